//! From a [`Kernels`] value to code compiled for its instruction set.

#[cfg(target_arch = "x86_64")]
use crate::gemm::amx;
use crate::isa::{Isa, Kernels};
use crate::simd::Simd;
#[cfg(target_arch = "x86_64")]
use crate::simd::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use crate::simd::avx512::{self, Avx512};
#[cfg(target_arch = "aarch64")]
use crate::simd::neon::{DOT_PRODUCT, MIXED_DOT_PRODUCT, Neon, WIDENING};
use crate::simd::scalar::Scalar;

/// Work written once for every instruction set.
///
/// `run` is `#[inline(always)]` in every implementation, so that it is compiled with the features of the function
/// that dispatches it. Closures passed on inside it to code that may not be inlined (other threads, scratch) would
/// lose those features.
pub(crate) trait Operation {
    type Output;

    /// Whether it multiplies tiles, so that the registers of AMX are to be made ready for it.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "no other architecture has AMX"))]
    const MULTIPLIES_TILES: bool = false;

    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

impl Kernels {
    /// Runs `operation` with this instruction set.
    pub(crate) fn dispatch<O: Operation>(self, operation: O) -> O::Output {
        match self.isa() {
            // SAFETY: a `Kernels` of this instruction set exists only on a CPU that has it.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Amx => unsafe { run_avx512_amx(operation) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => unsafe { run_avx512_vnni(operation) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { run_avx512(operation) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => unsafe { run_avx_vnni(operation) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { run_avx2(operation) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Isa::NeonI8mm => unsafe { run_neon_i8mm(operation) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => unsafe { run_neon_dot(operation) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => unsafe { run_neon(operation) },
            _ => operation.run(Scalar),
        }
    }
}

/// # Safety
/// The CPU has AVX-512 F, BW, DQ, VL, VNNI, and AMX that this process may use.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn run_avx512_amx<O: Operation>(operation: O) -> O::Output {
    // SAFETY: the caller promises AMX.
    let _ready = O::MULTIPLIES_TILES.then(|| unsafe { amx::Ready::new() });
    // SAFETY: the caller promises the features.
    operation.run(unsafe { Avx512::<{ avx512::AMX }>::assume() })
}

/// Defines a function that is compiled for an instruction set and runs an operation with it.
macro_rules! compiled_for {
    ($name:ident, $features:literal, $simd:ty, $architecture:literal) => {
        /// # Safety
        /// The CPU has these features.
        #[cfg(target_arch = $architecture)]
        #[target_feature(enable = $features)]
        unsafe fn $name<O: Operation>(operation: O) -> O::Output {
            // SAFETY: the caller promises the features.
            operation.run(unsafe { <$simd>::assume() })
        }
    };
}

compiled_for!(
    run_avx512_vnni,
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma",
    Avx512<{ avx512::VNNI }>,
    "x86_64"
);
compiled_for!(
    run_avx512,
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma",
    Avx512<{ avx512::WIDENING }>,
    "x86_64"
);
compiled_for!(run_avx_vnni, "avx2,fma,avxvnni", Avx2<true>, "x86_64");
compiled_for!(run_avx2, "avx2,fma", Avx2<false>, "x86_64");
compiled_for!(run_neon_i8mm, "neon,dotprod,i8mm", Neon<MIXED_DOT_PRODUCT>, "aarch64");
compiled_for!(run_neon_dot, "neon,dotprod", Neon<DOT_PRODUCT>, "aarch64");
compiled_for!(run_neon, "neon", Neon<WIDENING>, "aarch64");
