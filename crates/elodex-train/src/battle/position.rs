//! Whether a judge looks at the order in which it is shown two documents.

use super::{Battle, Pair};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// The 97.5 % point of the normal distribution, for intervals of 95 %.
const Z: f64 = 1.959_963_984_540_054;
/// A judge whose interval lies wholly beyond this says the same place whatever stands there.
const CONSTANT: f64 = 0.8;

/// How often the document shown first wins. The order is drawn by chance, so that a judge that does not look at it comes
/// to ½.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PositionBias {
    /// The judge.
    pub judge: String,
    /// Votes for one of two documents shown in some order.
    pub decided: usize,
    /// Votes for neither.
    pub ties: usize,
    /// Of those decided, votes for the one shown first.
    pub first_wins: usize,
    /// `first_wins` by `decided`; 0.5 where nothing is decided.
    pub share: f64,
    /// Lower end of the share's interval of 95 % (Wilson, *JASA* 22, 1927).
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Pairs that were judged in both orders, and decided in both.
    pub both_orders: usize,
    /// Of those, pairs whose two votes contradict each other: the order decided.
    pub contradicted: usize,
}

/// Which way a judge leans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lean {
    /// The interval holds ½: nothing is seen of a bias.
    None,
    /// The first wins more often than chance has it.
    First,
    /// The second does.
    Second,
    /// It says "the first" whatever is shown: its votes say nothing.
    AlwaysFirst,
    /// It says "the second" whatever is shown.
    AlwaysSecond,
}

#[derive(Default)]
struct Count<'a> {
    ties: usize,
    first: usize,
    second: usize,
    /// By canonical pair, of the vote before: whether its `a` won, and whether that was shown first.
    seen: HashMap<Pair, (bool, bool)>,
    both: usize,
    contradicted: usize,
    judge: &'a str,
}

impl PositionBias {
    /// Of every judge that is shown an order, by name.
    pub fn of<'a>(battles: impl IntoIterator<Item = &'a Battle>) -> Vec<Self> {
        let mut counts: BTreeMap<&str, Count<'_>> = BTreeMap::new();
        for battle in battles {
            for vote in &battle.votes {
                if let Some(a_first) = vote.a_first {
                    let count = counts
                        .entry(&vote.judge)
                        .or_insert_with(|| Count { judge: &vote.judge, ..Count::default() });
                    count.add(&battle.pair, vote.score, a_first);
                }
            }
        }
        counts.into_values().map(Count::into_bias).collect()
    }

    /// Which way the judge leans, as far as its votes tell.
    pub fn lean(&self) -> Lean {
        if self.low > CONSTANT {
            Lean::AlwaysFirst
        } else if self.high < 1.0 - CONSTANT {
            Lean::AlwaysSecond
        } else if self.low > 0.5 {
            Lean::First
        } else if self.high < 0.5 {
            Lean::Second
        } else {
            Lean::None
        }
    }
}

impl std::fmt::Display for PositionBias {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "`{}` prefers what it is shown first in {} of {} votes ({:.1} %, interval {:.1} to {:.1} %)",
            self.judge,
            self.first_wins,
            self.decided,
            100.0 * self.share,
            100.0 * self.low,
            100.0 * self.high
        )?;
        if self.both_orders > 0 {
            let Self { contradicted, both_orders, .. } = self;
            write!(
                formatter,
                " and contradicts itself on {contradicted} of {both_orders} pairs shown in both orders"
            )?;
        }
        formatter.write_str(match self.lean() {
            Lean::None => "",
            Lean::First => ": it leans towards the first; show every pair in both orders",
            Lean::Second => ": it leans towards the second; show every pair in both orders",
            Lean::AlwaysFirst => ": it says the first whatever is shown, so that its votes are worth nothing; use another judge",
            Lean::AlwaysSecond => {
                ": it says the second whatever is shown, so that its votes are worth nothing; use another judge"
            }
        })
    }
}

impl Count<'_> {
    fn add(&mut self, pair: &Pair, score: f64, a_first: bool) {
        if score == 0.0 {
            self.ties += 1;
            return;
        }
        let a_won = score < 0.0;
        if a_won == a_first {
            self.first += 1;
        } else {
            self.second += 1;
        }
        let canonical = pair.is_canonical();
        let key = if canonical { pair.clone() } else { pair.mirrored() };
        let vote = (a_won == canonical, a_first == canonical);
        let before = self.seen.insert(key, vote);
        if let Some(before) = before.filter(|before| before.1 != vote.1) {
            self.both += 1;
            self.contradicted += usize::from(before.0 != vote.0);
        }
    }

    fn into_bias(self) -> PositionBias {
        let decided = self.first + self.second;
        let share = if decided == 0 { 0.5 } else { self.first as f64 / decided as f64 };
        let (low, high) = wilson(share, decided as f64);
        PositionBias {
            judge: self.judge.to_owned(),
            decided,
            ties: self.ties,
            first_wins: self.first,
            share,
            low,
            high,
            both_orders: self.both,
            contradicted: self.contradicted,
        }
    }
}

fn wilson(share: f64, count: f64) -> (f64, f64) {
    if count == 0.0 {
        return (0.0, 1.0);
    }
    let scale = 1.0 + Z * Z / count;
    let centre = (share + Z * Z / (2.0 * count)) / scale;
    let half = Z / scale * (share * (1.0 - share) / count + Z * Z / (4.0 * count * count)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battle::{Decision, Spent, Vote};

    fn battle(pair: Pair, score: f64, a_first: Option<bool>) -> Battle {
        let votes = vec![Vote { judge: "j".into(), score, said: None, a_first }];
        let decision = Decision::of_preference((1.0 - score) / 2.0);
        Battle { pair, judge: "j".into(), decision, votes, failures: vec![], spent: Spent::default() }
    }

    fn pair(number: usize) -> Pair {
        Pair::within("q", format!("a{number}"), format!("b{number}"))
    }

    #[test]
    fn a_judge_that_always_says_first_is_named() {
        let battles: Vec<Battle> = (0..40)
            .map(|at| battle(pair(at), if at % 2 == 0 { -1.0 } else { 1.0 }, Some(at % 2 == 0)))
            .collect();
        let found = PositionBias::of(&battles);
        assert_eq!((found.len(), found[0].decided, found[0].first_wins), (1, 40, 40));
        assert_eq!(found[0].lean(), Lean::AlwaysFirst);
        assert!(found[0].to_string().contains("its votes are worth nothing"), "{}", found[0]);
        // A few votes prove nothing of the kind.
        assert_ne!(PositionBias::of(&battles[..6])[0].lean(), Lean::AlwaysFirst);
    }

    #[test]
    fn a_fair_judge_is_not() {
        // It prefers every `a`, which is shown first in half of the votes.
        let battles: Vec<Battle> = (0..40).map(|at| battle(pair(at), -1.0, Some(at % 2 == 0))).collect();
        let found = &PositionBias::of(&battles)[0];
        assert_eq!((found.share, found.lean()), (0.5, Lean::None));
        // Wilson's interval for 20 of 40.
        assert!((found.low - 0.352).abs() < 5e-4 && (found.high - 0.648).abs() < 5e-4, "{found:?}");
    }

    #[test]
    fn both_orders_show_contradictions() {
        let battles = [
            battle(pair(0), -1.0, Some(true)),
            battle(pair(0).mirrored(), -1.0, Some(true)),
            battle(pair(1), -1.0, Some(false)),
            battle(pair(1).mirrored(), 1.0, Some(false)),
            battle(pair(4), 1.0, Some(false)),
            battle(pair(4).mirrored(), -1.0, Some(true)),
            battle(pair(2), 0.0, Some(true)),
            battle(pair(3), 1.0, None),
        ];
        let found = &PositionBias::of(&battles)[0];
        assert_eq!((found.both_orders, found.contradicted, found.ties, found.decided), (2, 1, 1, 6));
    }
}
