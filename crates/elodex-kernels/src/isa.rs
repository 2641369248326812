//! Instruction sets, their detection, and [`Kernels`], the proof that one of them is there.

use std::fmt;
use std::str::FromStr;

#[cfg(target_arch = "x86_64")]
use crate::gemm::amx;

/// An instruction set, best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Isa {
    /// Portable Rust.
    Scalar,
    /// Arm NEON.
    Neon,
    /// NEON + dot products (FEAT_DotProd).
    NeonDot,
    /// NEON + dot products of unsigned with signed bytes (FEAT_I8MM).
    NeonI8mm,
    /// AVX2 + FMA.
    Avx2,
    /// AVX2 + FMA + AVX-VNNI.
    AvxVnni,
    /// AVX-512 F, BW, DQ, VL.
    Avx512,
    /// AVX-512 F, BW, DQ, VL, VNNI.
    Avx512Vnni,
    /// AVX-512 F, BW, DQ, VL, VNNI + AMX's tiles of 8-bit integers and bf16.
    Avx512Amx,
}

/// A name that is no instruction set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseIsaError {
    name: String,
}

/// Proof that the CPU has an instruction set; the door to every kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernels {
    isa: Isa,
}

impl Isa {
    /// Every instruction set, best last.
    pub const ALL: [Self; 9] = [
        Self::Scalar,
        Self::Neon,
        Self::NeonDot,
        Self::NeonI8mm,
        Self::Avx2,
        Self::AvxVnni,
        Self::Avx512,
        Self::Avx512Vnni,
        Self::Avx512Amx,
    ];

    /// Those of this CPU, best last. Never empty: the scalar one is always there.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// Its name on the command line and in receipts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::NeonDot => "neon-dot",
            Self::NeonI8mm => "neon-i8mm",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avx-vnni",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512-vnni",
            Self::Avx512Amx => "avx512-amx",
        }
    }

    /// Whether this CPU has it.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        let avx512_vnni = avx512 && is_x86_feature_detected!("avx512vnni");
        match self {
            Self::Scalar => true,
            Self::Neon | Self::NeonDot | Self::NeonI8mm => false,
            Self::Avx2 => avx2,
            Self::AvxVnni => avx2 && is_x86_feature_detected!("avxvnni"),
            Self::Avx512 => avx512,
            Self::Avx512Vnni => avx512_vnni,
            Self::Avx512Amx => avx512_vnni && amx::is_available(),
        }
    }

    /// Whether this CPU has it.
    #[cfg(target_arch = "aarch64")]
    pub fn is_available(self) -> bool {
        use std::arch::is_aarch64_feature_detected;
        let dot = is_aarch64_feature_detected!("dotprod");
        match self {
            Self::Scalar | Self::Neon => true,
            Self::NeonDot => dot,
            Self::NeonI8mm => dot && is_aarch64_feature_detected!("i8mm"),
            Self::Avx2 | Self::AvxVnni | Self::Avx512 | Self::Avx512Vnni | Self::Avx512Amx => false,
        }
    }

    /// Whether this CPU has it.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub fn is_available(self) -> bool {
        self == Self::Scalar
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Isa {
    type Err = ParseIsaError;

    fn from_str(name: &str) -> Result<Self, ParseIsaError> {
        let found = Self::ALL.into_iter().find(|isa| isa.name() == name);
        found.ok_or_else(|| ParseIsaError { name: name.to_owned() })
    }
}

impl fmt::Display for ParseIsaError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Isa::ALL.map(|isa| format!("`{isa}`")).join(", ");
        write!(formatter, "`{}` is no instruction set; use one of {known}", self.name)
    }
}

impl std::error::Error for ParseIsaError {}

impl Kernels {
    /// The best instruction set of this CPU.
    pub fn detect() -> Self {
        let best = Isa::available().into_iter().max().unwrap_or(Isa::Scalar);
        Self { isa: best }
    }

    /// A given one, or `None` if the CPU lacks it.
    pub fn with_isa(isa: Isa) -> Option<Self> {
        isa.is_available().then_some(Self { isa })
    }

    /// The instruction set in use.
    pub fn isa(self) -> Isa {
        self.isa
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for isa in Isa::ALL {
            assert_eq!(isa.to_string().parse(), Ok(isa));
        }
        let error = "sse9".parse::<Isa>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sse9` is no instruction set; use one of `scalar`, `neon`, `neon-dot`, `neon-i8mm`, `avx2`, `avx-vnni`, \
             `avx512`, `avx512-vnni`, `avx512-amx`"
        );
    }

    #[test]
    fn only_what_the_cpu_has_is_handed_out() {
        let available = Isa::available();
        for isa in Isa::ALL {
            assert_eq!(Kernels::with_isa(isa).is_some(), available.contains(&isa), "{isa}");
        }
        assert_eq!(Some(&Kernels::detect().isa()), available.last());
    }
}
