//! From a [`Kernels`] value to code compiled for its instruction set.

use crate::isa::{Isa, Kernels};
use crate::simd::Simd;
#[cfg(target_arch = "x86_64")]
use crate::simd::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use crate::simd::avx512::Avx512;
#[cfg(target_arch = "aarch64")]
use crate::simd::neon::Neon;
use crate::simd::scalar::Scalar;

/// Work written once for every instruction set.
///
/// `run` is `#[inline(always)]` in every implementation, so that it is compiled with the features of the function
/// that dispatches it. Closures passed on inside it to code that may not be inlined (other threads, scratch) would
/// lose those features.
pub(crate) trait Operation {
    type Output;

    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

impl Kernels {
    /// Runs `operation` with this instruction set.
    pub(crate) fn dispatch<O: Operation>(self, operation: O) -> O::Output {
        match self.isa() {
            // SAFETY: a `Kernels` of this instruction set exists only on a CPU that has it.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { run_avx512(operation) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { run_avx2(operation) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => unsafe { run_neon(operation) },
            _ => operation.run(Scalar),
        }
    }
}

/// # Safety
/// The CPU has these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn run_avx512<O: Operation>(operation: O) -> O::Output {
    // SAFETY: the caller promises the features.
    operation.run(unsafe { Avx512::assume() })
}

/// # Safety
/// The CPU has these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<O: Operation>(operation: O) -> O::Output {
    // SAFETY: the caller promises the features.
    operation.run(unsafe { Avx2::assume() })
}

/// # Safety
/// The CPU has this feature.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
unsafe fn run_neon<O: Operation>(operation: O) -> O::Output {
    // SAFETY: the caller promises the feature.
    operation.run(unsafe { Neon::assume() })
}
