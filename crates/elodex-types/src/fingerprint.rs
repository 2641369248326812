//! The identity of an embedding space.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Hash over everything that decides where a text lands: weights, tokenizer, prompts, pooling, projection, dimension,
/// normalisation and number policy. Vectors with different fingerprints must not be compared.
///
/// Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpaceFingerprint([u8; 32]);

impl SpaceFingerprint {
    /// Wraps a 256-bit hash.
    pub fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The raw hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for SpaceFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for SpaceFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SpaceFingerprint({self})")
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseFingerprintError;

impl fmt::Display for ParseFingerprintError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a space fingerprint is 64 hexadecimal digits")
    }
}

impl std::error::Error for ParseFingerprintError {}

impl FromStr for SpaceFingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ParseFingerprintError);
        }
        let mut hash = [0; 32];
        for (index, byte) in hash.iter_mut().enumerate() {
            *byte =
                u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| ParseFingerprintError)?;
        }
        Ok(Self(hash))
    }
}

impl TryFrom<String> for SpaceFingerprint {
    type Error = ParseFingerprintError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SpaceFingerprint> for String {
    fn from(fingerprint: SpaceFingerprint) -> Self {
        fingerprint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_rejects_the_rest() {
        let fingerprint = SpaceFingerprint::new(std::array::from_fn(|index| index as u8 * 7));
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        for wrong in ["", "00", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(wrong.parse::<SpaceFingerprint>(), Err(ParseFingerprintError), "{wrong}");
        }
    }
}
