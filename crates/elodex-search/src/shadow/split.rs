//! Which key gets which pipeline.

use elodex_types::Arm;

/// The arm of `key` in the experiment called `name`: one key always has the same one, and keys are spread over the arms
/// anew in each experiment. `share` of all keys are [treated](Arm::Treatment); who is at some share is at any larger one.
pub(super) fn arm(name: &str, key: &str, share: f64) -> Arm {
    let mut hasher = blake3::Hasher::new();
    hasher.update(name.as_bytes());
    hasher.update(&[0]);
    hasher.update(key.as_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    // 53 bits are what an f64 holds exactly.
    let place = (u64::from_le_bytes(first) >> 11) as f64 / (1_u64 << 53) as f64;
    if place < share { Arm::Treatment } else { Arm::Control }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn treated(name: &str, share: f64) -> Vec<usize> {
        (0..10_000).filter(|key| arm(name, &format!("user-{key}"), share) == Arm::Treatment).collect()
    }

    #[test]
    fn the_split_is_stable_near_its_share_and_grows_with_it() {
        // Four standard deviations of a binomial distribution over 10,000 keys at 0.2 are 160.
        let some = treated("deeper", 0.2);
        assert!((1_840..=2_160).contains(&some.len()), "{}", some.len());
        assert_eq!(some, treated("deeper", 0.2));
        let more = treated("deeper", 0.5);
        assert!(some.iter().all(|key| more.binary_search(key).is_ok()));
        assert_eq!(treated("deeper", 1.0).len(), 10_000);
        // In another experiment a fifth of them: four standard deviations over 2,000 are 72.
        let both = treated("other", 0.2).into_iter().filter(|key| some.binary_search(key).is_ok()).count();
        let expected = some.len() / 5;
        assert!(both.abs_diff(expected) <= 80, "{both}");
    }

    #[test]
    fn a_key_s_arm_does_not_change_between_releases() {
        let arms: Vec<bool> = (0..8).map(|key| arm("a", &key.to_string(), 0.5) == Arm::Treatment).collect();
        assert_eq!(arms, [false, false, true, true, false, false, false, true]);
    }
}
