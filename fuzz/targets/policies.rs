//! A policy, the JSON that `elodex eval` writes and a server loads: refused, or one whose curve is a probability.
#![no_main]

use elodex_eval::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(policy) = Policy::parse(text) else { return };
    let written = serde_json::to_string(&policy).expect("a policy can be written");
    let policy = Policy::parse(&written).expect("what was written can be read");
    let Some(calibration) = &policy.calibration else { return };
    for score in [f64::NEG_INFINITY, -1e300, -3.5, -0.0, 0.2, 7.0, 1e300, f64::INFINITY, f64::NAN] {
        let probability = calibration.curve.probability(score);
        assert!((0.0..=1.0).contains(&probability), "score {score} has probability {probability}");
        let _ = calibration.curve.score_at(score);
    }
});
