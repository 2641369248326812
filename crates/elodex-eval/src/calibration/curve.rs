//! A fitted curve, with a version.

use super::{isotonic::Isotonic, platt::Platt};
use crate::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The shape of a calibration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A logistic function of the score: two numbers, good from a few dozen labels on.
    Platt,
    /// Any curve that never falls: needs some hundred labels.
    Isotonic,
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Method::Platt => "platt",
            Method::Isotonic => "isotonic",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub(super) enum Curve {
    Platt(Platt),
    Isotonic(Isotonic),
}

/// A fitted map from a model's score to the probability that the document is relevant.
///
/// It never falls, so it keeps the order of results. Its version names the method and the numbers: what is stored with
/// another version than its numbers have is refused when read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Calibration {
    version: String,
    curve: Curve,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: String,
    #[serde(flatten)]
    curve: Curve,
}

impl Calibration {
    pub(super) fn of(curve: Curve) -> Self {
        let curve = settled(curve);
        Self { version: version(&curve), curve }
    }

    /// Which shape it has.
    pub fn method(&self) -> Method {
        method(&self.curve)
    }

    /// The method and a hash of the fitted numbers, such as `platt-1a2b3c4d5e6f`: two calibrations with one version map
    /// every score alike.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The probability, 0 to 1, that a document with this score is relevant. A score that is no number has
    /// probability 0.
    pub fn probability(&self, score: f64) -> f64 {
        if score.is_nan() {
            return 0.0;
        }
        match &self.curve {
            Curve::Platt(platt) => platt.probability(score),
            Curve::Isotonic(isotonic) => isotonic.probability(score),
        }
    }

    /// The lowest score whose probability is at least `probability`: the threshold to cut raw scores at. Minus infinity
    /// where every score reaches it, `None` where none does.
    pub fn score_at(&self, probability: f64) -> Option<f64> {
        match &self.curve {
            Curve::Platt(platt) => platt.score_at(probability),
            Curve::Isotonic(isotonic) => isotonic.score_at(probability),
        }
    }
}

fn method(curve: &Curve) -> Method {
    match curve {
        Curve::Platt(_) => Method::Platt,
        Curve::Isotonic(_) => Method::Isotonic,
    }
}

/// Its numbers with twelve significant digits: readers of JSON may be off by the last of seventeen, and a version must not
/// change by that.
fn settled(curve: Curve) -> Curve {
    // A number that was written reads back.
    let settle = |number: f64| format!("{number:.11e}").parse().unwrap_or(number);
    match curve {
        Curve::Platt(platt) => {
            Curve::Platt(Platt { slope: settle(platt.slope), intercept: settle(platt.intercept) })
        }
        Curve::Isotonic(isotonic) => Curve::Isotonic(Isotonic {
            scores: isotonic.scores.into_iter().map(settle).collect(),
            probabilities: isotonic.probabilities.into_iter().map(settle).collect(),
        }),
    }
}

/// Must never change for the same numbers: versions are stored beside scores.
fn version(curve: &Curve) -> String {
    let mut hasher = blake3::Hasher::new();
    let numbers = match curve {
        Curve::Platt(platt) => vec![platt.slope, platt.intercept],
        Curve::Isotonic(isotonic) => isotonic.scores.iter().chain(&isotonic.probabilities).copied().collect(),
    };
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
    let hash = hasher.finalize().to_hex();
    format!("{}-{}", method(curve), &hash[..12])
}

impl From<Calibration> for Stored {
    fn from(calibration: Calibration) -> Self {
        Self { version: calibration.version, curve: calibration.curve }
    }
}

impl TryFrom<Stored> for Calibration {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let refuse = |what: &str| {
            Err(Error::new(ErrorKind::Malformed, format!("calibration `{}`: {what}", stored.version)))
        };
        let sound = match &stored.curve {
            Curve::Platt(platt) => platt.is_sound(),
            Curve::Isotonic(isotonic) => isotonic.is_sound(),
        };
        if !sound {
            return refuse("its numbers are no rising curve of probabilities; fit it again");
        }
        let curve = settled(stored.curve);
        let expected = version(&curve);
        if stored.version != expected {
            return refuse(&format!(
                "its numbers have version `{expected}`; it was changed after the fit, fit it again"
            ));
        }
        Ok(Self { version: expected, curve })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn platt() -> Calibration {
        Calibration::of(Curve::Platt(Platt { slope: 2.0, intercept: -1.0 }))
    }

    fn isotonic() -> Calibration {
        let curve = Isotonic { scores: vec![0.0, 1.0, 3.0], probabilities: vec![0.1, 0.1, 0.9] };
        Calibration::of(Curve::Isotonic(curve))
    }

    #[test]
    fn stored_and_read_it_is_the_same() {
        for calibration in [platt(), isotonic()] {
            let text = serde_json::to_string(&calibration).unwrap();
            assert!(text.starts_with(&format!("{{\"version\":\"{}-", calibration.method())), "{text}");
            assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), calibration);
        }
        assert_ne!(platt().version(), isotonic().version());
    }

    proptest! {
        #[test]
        fn no_number_changes_on_the_way(slope in 1e-3_f64..1e3, intercept in -50.0_f64..50.0) {
            let calibration = Calibration::of(Curve::Platt(Platt { slope, intercept }));
            let text = serde_json::to_string(&calibration).unwrap();
            prop_assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), calibration);
        }
    }

    #[test]
    fn what_was_changed_by_hand_is_refused() {
        let text = serde_json::to_string(&platt()).unwrap();
        let changed = text.replace("2.0", "3.0");
        assert_ne!(changed, text);
        let error = serde_json::from_str::<Calibration>(&changed).unwrap_err().to_string();
        assert!(error.contains("it was changed after the fit"), "{error}");
        let text = serde_json::to_string(&isotonic()).unwrap();
        for (from, to) in [("[0.0,1.0", "[2.0,1.0"), ("0.9", "1.5"), ("0.9", "0.05"), (",3.0]", "]")] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            let error = serde_json::from_str::<Calibration>(&changed).unwrap_err().to_string();
            assert!(error.contains("no rising curve"), "{error}");
        }
    }

    #[test]
    fn a_threshold_is_a_probability() {
        let close = |one: f64, other: f64| assert!((one - other).abs() < 1e-12, "{one} {other}");
        close(platt().score_at(0.5).unwrap(), 0.5);
        close(platt().probability(platt().score_at(0.9).unwrap()), 0.9);
        close(isotonic().score_at(0.5).unwrap(), 2.0);
        close(isotonic().probability(2.0), 0.5);
        assert_eq!(isotonic().score_at(0.95), None);
        assert_eq!(isotonic().score_at(0.1), Some(f64::NEG_INFINITY));
        assert_eq!(platt().score_at(1.0), None);
        assert_eq!((isotonic().probability(-7.0), isotonic().probability(7.0)), (0.1, 0.9));
        assert_eq!(platt().probability(f64::NAN), 0.0);
    }
}
