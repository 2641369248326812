//! Percentiles of what was measured.

/// The smallest of `sorted` numbers that at least `share` of them do not exceed (nearest rank): always one that was
/// measured. `None` without numbers.
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_number_that_was_measured() {
        let times: Vec<f64> = (1..=100).map(f64::from).collect();
        let of = |share| percentile(&times, share).unwrap();
        assert_eq!(
            (of(0.0), of(0.05), of(0.5), of(0.95), of(0.99), of(1.0)),
            (1.0, 5.0, 50.0, 95.0, 99.0, 100.0)
        );
        assert_eq!(percentile(&[7.0], 0.5), Some(7.0));
        assert_eq!(percentile(&[1.0, 2.0, 3.0], 0.5), Some(2.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
