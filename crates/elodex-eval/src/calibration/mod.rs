//! Scores to probabilities, fitted on labels.

mod curve;
mod fit;
mod isotonic;
mod platt;
mod reliability;
mod separation;

pub use curve::{Calibration, Method};
pub use fit::{CalibrationFit, Sample, Samples, fit_calibration};
pub use reliability::{Bin, Reliability};
pub use separation::{Separability, Separation};
