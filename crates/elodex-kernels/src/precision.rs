//! What numbers matrices are multiplied in.

use std::fmt;
use std::str::FromStr;

/// What numbers matrices are multiplied in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 8-bit integers with 32-bit sums; both factors have scales of their own.
    Int8,
}

/// A name that is no precision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsePrecisionError {
    name: String,
}

impl Precision {
    /// Every precision.
    pub const ALL: [Self; 2] = [Self::F32, Self::Int8];

    /// Its name on the command line and in receipts.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = ParsePrecisionError;

    fn from_str(name: &str) -> Result<Self, ParsePrecisionError> {
        let found = Self::ALL.into_iter().find(|precision| precision.name() == name);
        found.ok_or_else(|| ParsePrecisionError { name: name.to_owned() })
    }
}

impl fmt::Display for ParsePrecisionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` is no precision; use `f32` or `int8`", self.name)
    }
}

impl std::error::Error for ParsePrecisionError {}
