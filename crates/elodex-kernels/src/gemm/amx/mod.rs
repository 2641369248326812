//! Products by AMX, whose registers hold sixteen rows of 64 bytes each: of bytes, and of f32 in three parts.
//!
//! The instructions are assembly, since their intrinsics are not stable. No code but this uses their registers, so what
//! [`Ready`] sets up, and what one piece of assembly leaves in them, stays as it is until that is dropped.

pub(crate) mod bytes;
pub(crate) mod floats;

use std::arch::asm;

/// Rows of a register.
pub(crate) const ROWS: usize = 16;

/// Bytes of a row of a register.
const ROW_BYTES: u16 = 64;

/// Whether the processor has AMX for bytes and bf16, and the system lets this process use it.
pub(crate) fn is_available() -> bool {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        use std::sync::OnceLock;
        /// AMX-BF16, AMX-TILE and AMX-INT8 of leaf 7.
        const FEATURES: u32 = 1 << 22 | 1 << 24 | 1 << 25;
        /// `ARCH_REQ_XCOMP_PERM` of arch_prctl(2).
        const REQUEST_PERMISSION: libc::c_long = 0x1023;
        /// The state component of the registers.
        const TILE_DATA: libc::c_long = 18;
        static AVAILABLE: OnceLock<bool> = OnceLock::new();
        *AVAILABLE.get_or_init(|| {
            let supported = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & FEATURES == FEATURES;
            // SAFETY: asks for a permission of this process, and touches no memory.
            supported && unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) } == 0
        })
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    false
}

/// The registers of this thread, set up as whole tiles until this is dropped.
pub(crate) struct Ready(());

/// What `ldtilecfg` reads: see Intel's Software Developer's Manual.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    first_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static WHOLE_TILES: Configuration = {
    let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
    let mut register = 0;
    while register < 8 {
        row_bytes[register] = ROW_BYTES;
        rows[register] = ROWS as u8;
        register += 1;
    }
    Configuration { palette: 1, first_row: 0, reserved: [0; 14], row_bytes, rows }
};

impl Ready {
    /// # Safety
    /// AMX is [available](is_available).
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the caller promises AMX, and the configuration is a valid one.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE_TILES, options(nostack, readonly)) };
        Self(())
    }
}

impl Drop for Ready {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: it was there to be made ready.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
