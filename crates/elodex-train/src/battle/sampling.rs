//! Drawing pairs. What is drawn for a query depends on the seed and the query's id and candidates alone, so that a run
//! that is resumed, or has more queries, asks the same again.

use super::{Arena, Pair};
use crate::{Error, ErrorKind, Result};
use fastrand::Rng;
use std::collections::HashSet;

/// The shallowest depth that [`one_per_query`] draws from.
pub const SHALLOWEST: usize = 10;

/// Pairs that were drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    /// By query, ascending.
    pub pairs: Vec<Pair>,
    /// Queries with too few candidates for a pair.
    pub skipped: Vec<String>,
}

/// One pair per query: two of the first k candidates, where k is drawn from 10..=`depth` with P(k) ∝ 1/k, so that the head
/// of the ranking is met often and the tail now and then. A query with fewer candidates has them all.
///
/// # Errors
/// A depth below 2.
pub fn one_per_query(arena: &Arena, depth: usize, seed: u64) -> Result<Sampled> {
    check_depth(depth)?;
    let mut sampled = Sampled { pairs: Vec::new(), skipped: Vec::new() };
    for (query, ranking) in arena.candidates() {
        if ranking.len() < 2 {
            sampled.skipped.push(query.to_owned());
            continue;
        }
        let mut random = random(seed, "one", &[query]);
        let k = inverse(SHALLOWEST, depth.min(ranking.len()), &mut random);
        let a = random.usize(..k);
        let b = (a + random.usize(1..k)) % k;
        sampled.pairs.push(Pair::within(query, &ranking[a], &ranking[b]));
    }
    Ok(sampled)
}

/// The union of `cycles` random cycles through the first `depth` candidates of each query: connected, of a small diameter,
/// and every document meets 2·`cycles` others, fewer where cycles share a pair. A shared pair is drawn once: the same judge
/// asked the same again is no more evidence. The pairs of fewer cycles are among those of more.
///
/// # Errors
/// A depth below 2, no cycle.
pub fn cycles(arena: &Arena, cycles: usize, depth: usize, seed: u64) -> Result<Sampled> {
    check_depth(depth)?;
    check_cycles(cycles)?;
    let mut sampled = Sampled { pairs: Vec::new(), skipped: Vec::new() };
    for (query, ranking) in arena.candidates() {
        let ranking = &ranking[..ranking.len().min(depth)];
        if ranking.len() < 2 {
            sampled.skipped.push(query.to_owned());
            continue;
        }
        let mut random = random(seed, "cycles", &[query]);
        let mut met = HashSet::new();
        for _ in 0..cycles {
            for (a, b) in cycle(ranking.len(), &mut random) {
                if met.insert((a.min(b), a.max(b))) {
                    sampled.pairs.push(Pair::within(query, &ranking[a], &ranking[b]));
                }
            }
        }
    }
    Ok(sampled)
}

/// Battles between queries: the union of `cycles` random cycles through all queries, each side with one of its first
/// `depth` candidates, every rank as likely. Queries without candidates are skipped.
///
/// Unlike the others, these depend on which queries there are.
///
/// # Errors
/// A depth of 0, no cycle, fewer than two queries with candidates.
pub fn across_queries(arena: &Arena, cycles: usize, depth: usize, seed: u64) -> Result<Sampled> {
    check_cycles(cycles)?;
    if depth == 0 {
        return Err(Error::new(ErrorKind::Request, "depth `0` leaves no candidates; use 100"));
    }
    let (some, none): (Vec<_>, Vec<_>) = arena.candidates().partition(|(_, ranking)| !ranking.is_empty());
    if some.len() < 2 {
        let message = format!("{} queries have candidates; battles between queries need two", some.len());
        return Err(Error::new(ErrorKind::Request, message));
    }
    let mut orders = random(seed, "across", &[]);
    let mut seen = HashSet::new();
    let mut pairs = Vec::new();
    for round in 0..cycles {
        for (one, other) in cycle(some.len(), &mut orders) {
            let [(query, ranking), (other_query, other_ranking)] = [some[one], some[other]];
            let mut random = random(seed, &format!("across {round}"), &[query, other_query]);
            let a = &ranking[random.usize(..ranking.len().min(depth))];
            let b = &other_ranking[random.usize(..other_ranking.len().min(depth))];
            let pair = Pair::across(query, a, other_query, b);
            let canonical = if pair.is_canonical() { pair.clone() } else { pair.mirrored() };
            if seen.insert(canonical) {
                pairs.push(pair);
            }
        }
    }
    Ok(Sampled { pairs, skipped: none.into_iter().map(|(query, _)| query.to_owned()).collect() })
}

/// Neighbours in a random order of `items`, closed to a cycle; two items meet once.
fn cycle(items: usize, random: &mut Rng) -> impl Iterator<Item = (usize, usize)> + use<> {
    let mut order: Vec<usize> = (0..items).collect();
    random.shuffle(&mut order);
    let edges = if items == 2 { 1 } else { items };
    (0..edges).map(move |at| (order[at], order[(at + 1) % items]))
}

/// A number k of `low`..=`high` with P(k) ∝ 1/k; `high` where that is not above `low`.
fn inverse(low: usize, high: usize, random: &mut Rng) -> usize {
    let total: f64 = (low..=high).map(|k| 1.0 / k as f64).sum();
    let mut left = random.f64() * total;
    for k in low..high {
        left -= 1.0 / k as f64;
        if left < 0.0 {
            return k;
        }
    }
    high
}

fn random(seed: u64, purpose: &str, ids: &[&str]) -> Rng {
    Rng::with_seed(seed_of(seed, purpose, ids))
}

/// A seed of its own for a purpose and some ids.
pub(crate) fn seed_of(seed: u64, purpose: &str, ids: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    for text in std::iter::once(&purpose).chain(ids) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

fn check_depth(depth: usize) -> Result<()> {
    if depth < 2 {
        return Err(Error::new(
            ErrorKind::Request,
            format!("depth `{depth}` leaves no two candidates to meet; use 100"),
        ));
    }
    Ok(())
}

fn check_cycles(cycles: usize) -> Result<()> {
    if cycles == 0 {
        return Err(Error::new(ErrorKind::Request, "`0` cycles have no battles; use 4"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, HashMap};

    fn arena(sizes: &[usize]) -> Arena {
        let queries: BTreeMap<String, String> =
            (0..sizes.len()).map(|query| (format!("q{query:03}"), "?".to_owned())).collect();
        let documents = (0..200).map(|document| (format!("d{document:03}"), "!".to_owned())).collect();
        let ranking = |size: &usize| (0..*size).map(|document| format!("d{document:03}")).collect();
        let candidates = queries.keys().cloned().zip(sizes.iter().map(ranking)).collect();
        Arena::new(queries, documents, candidates).unwrap()
    }

    fn rank(document: &str) -> usize {
        document[1..].parse().unwrap()
    }

    #[test]
    fn one_pair_per_query_is_drawn_from_inverse_depths() {
        let sampled = one_per_query(&arena(&[100; 4000]), 100, 1).unwrap();
        assert_eq!((sampled.pairs.len(), sampled.skipped.len()), (4000, 0));
        // P(rank) is the mean of 1/k over the depths k that reach it.
        let total: f64 = (10..=100).map(|k| 1.0 / f64::from(k)).sum();
        let expected = |rank: usize| {
            let reaching = (10_usize..=100).filter(|&k| rank < k).map(|k| 1.0 / (k * k) as f64);
            8000.0 * reaching.sum::<f64>() / total
        };
        let mut counts = [0.0; 100];
        for pair in &sampled.pairs {
            assert_ne!(pair.a, pair.b);
            counts[rank(&pair.a)] += 1.0;
            counts[rank(&pair.b)] += 1.0;
        }
        let top: f64 = counts[..10].iter().sum();
        let top_expected: f64 = (0..10).map(expected).sum();
        assert!((top - top_expected).abs() < 4.0 * top_expected.sqrt(), "{top} {top_expected}");
        let tail: f64 = counts[50..].iter().sum();
        let tail_expected: f64 = (50..100).map(expected).sum();
        assert!((tail - tail_expected).abs() < 4.0 * tail_expected.sqrt(), "{tail} {tail_expected}");
    }

    #[test]
    fn few_candidates_are_used_whole_and_too_few_are_reported() {
        let arena = arena(&[1, 2, 5, 0]);
        let one = one_per_query(&arena, 100, 0).unwrap();
        assert_eq!((one.pairs.len(), one.skipped), (2, vec!["q000".to_owned(), "q003".to_owned()]));
        let cycles = cycles(&arena, 10, 100, 0).unwrap();
        // The one pair of two, the ten of five.
        assert_eq!((cycles.pairs.len(), cycles.skipped.len()), (11, 2));
        let across = across_queries(&arena, 1, 100, 0).unwrap();
        assert_eq!((across.pairs.len(), across.skipped), (3, vec!["q003".to_owned()]));
    }

    #[test]
    fn what_draws_nothing_is_refused() {
        let arena = arena(&[5]);
        assert!(one_per_query(&arena, 1, 0).is_err());
        assert!(cycles(&arena, 0, 100, 0).is_err());
        assert!(cycles(&arena, 4, 1, 0).is_err());
        assert!(across_queries(&arena, 1, 100, 0).is_err());
    }

    #[test]
    fn between_queries_all_ranks_meet_and_queries_are_tied() {
        let sampled = across_queries(&arena(&[100; 300]), 4, 50, 9).unwrap();
        let mut battles: HashMap<&str, usize> = HashMap::new();
        for pair in &sampled.pairs {
            assert_ne!(pair.query, pair.query_of_b());
            *battles.entry(&pair.query).or_default() += 1;
            *battles.entry(pair.query_of_b()).or_default() += 1;
        }
        assert!(battles.len() == 300 && battles.values().all(|&count| count >= 7), "{battles:?}");
        let ranks: Vec<usize> =
            sampled.pairs.iter().flat_map(|pair| [rank(&pair.a), rank(&pair.b)]).collect();
        let mean = ranks.iter().sum::<usize>() as f64 / ranks.len() as f64;
        assert!(ranks.iter().all(|&rank| rank < 50) && (mean - 24.5).abs() < 1.5, "{mean}");
    }

    #[test]
    fn another_seed_draws_other_pairs() {
        let arena = arena(&[30; 50]);
        for draw in [one_per_query, |arena: &Arena, depth, seed| cycles(arena, 3, depth, seed)] {
            assert_ne!(draw(&arena, 100, 1).unwrap().pairs, draw(&arena, 100, 2).unwrap().pairs);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn cycles_are_regular_connected_and_grow(seed: u64, size in 3_usize..60, count in 1_usize..6) {
            let arena = arena(&[size]);
            let sampled = cycles(&arena, count, 100, seed).unwrap().pairs;
            prop_assert!(sampled.len() <= size * count && sampled.len() >= size);
            let distinct: HashSet<_> =
                sampled.iter().map(|pair| (rank(&pair.a).min(rank(&pair.b)), rank(&pair.a).max(rank(&pair.b)))).collect();
            prop_assert_eq!(distinct.len(), sampled.len());
            let mut reached = vec![0];
            for _ in 0..size {
                for &(a, b) in &distinct {
                    if reached.contains(&a) != reached.contains(&b) {
                        reached.push(if reached.contains(&a) { b } else { a });
                    }
                }
            }
            prop_assert_eq!(reached.len(), size);
            let more = cycles(&arena, count + 1, 100, seed).unwrap().pairs;
            prop_assert_eq!(&more[..sampled.len()], &sampled[..]);
        }

        #[test]
        fn what_is_drawn_for_a_query_does_not_depend_on_the_others(seed: u64) {
            let few = arena(&[30, 40]);
            let many = arena(&[30, 40, 50]);
            for draw in [one_per_query, |arena: &Arena, depth, seed| cycles(arena, 3, depth, seed)] {
                let (few, many) = (draw(&few, 100, seed).unwrap().pairs, draw(&many, 100, seed).unwrap().pairs);
                prop_assert_eq!(&few[..], &many[..few.len()]);
            }
        }
    }
}
