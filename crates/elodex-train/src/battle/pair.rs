//! Two documents that meet, and how it went.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// Two documents that meet. The order is part of it: (a, b) and (b, a) are two battles, and a judge that looks at the
/// order is shown them in opposite ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pair {
    /// Id of the query that `a` is to answer.
    pub query: String,
    /// Id of the query that `b` is to answer, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_query: Option<String>,
    /// Id of a document.
    pub a: String,
    /// Id of another one.
    pub b: String,
}

impl Pair {
    /// Two documents for one query.
    pub fn within(query: impl Into<String>, a: impl Into<String>, b: impl Into<String>) -> Self {
        Self { query: query.into(), other_query: None, a: a.into(), b: b.into() }
    }

    /// A query with a document against another query with a document: which of them answers its own query better?
    pub fn across(
        query: impl Into<String>,
        a: impl Into<String>,
        other_query: impl Into<String>,
        b: impl Into<String>,
    ) -> Self {
        Self { query: query.into(), other_query: Some(other_query.into()), a: a.into(), b: b.into() }
    }

    /// The query of `b`.
    pub fn query_of_b(&self) -> &str {
        self.other_query.as_deref().unwrap_or(&self.query)
    }

    /// The same two the other way round. Asked for both, a judge shows how often the order decides.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        Self {
            query: self.query_of_b().to_owned(),
            other_query: self.other_query.as_ref().map(|_| self.query.clone()),
            a: self.b.clone(),
            b: self.a.clone(),
        }
    }

    /// Whether this is the orientation that sorts first of the two.
    pub fn is_canonical(&self) -> bool {
        (&*self.query, &*self.a) <= (self.query_of_b(), &*self.b)
    }
}

/// What a battle came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Decision {
    /// One is preferred.
    Verdict {
        /// How far `a` is preferred, 0 to 1, and not ½.
        preference: f64,
    },
    /// Neither is.
    Tie,
    /// The judge gave no answer: no evidence for either.
    Failure {
        /// Why.
        reason: String,
    },
}

impl Decision {
    /// A tie for ½, a verdict else.
    pub fn of_preference(preference: f64) -> Self {
        if preference == 0.5 { Decision::Tie } else { Decision::Verdict { preference } }
    }

    /// How far `a` is preferred, 0 to 1; none for a failure.
    pub fn preference(&self) -> Option<f64> {
        match self {
            Decision::Verdict { preference } => Some(*preference),
            Decision::Tie => Some(0.5),
            Decision::Failure { .. } => None,
        }
    }
}

/// What one judge said, alone or among others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    /// Its identity.
    pub judge: String,
    /// As it counts: −1 for `a`, 1 for `b`, 0 for neither, and between.
    pub score: f64,
    /// As it was said, where that differs: before it was taken for one of −1, 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<f64>,
    /// Whether `a` was shown first; none where the judge sees no order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a_first: Option<bool>,
}

/// A judge of an ensemble that gave no vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberFailure {
    /// Its identity.
    pub judge: String,
    /// Why.
    pub reason: String,
}

/// What answers have cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Spent {
    /// Calls that were answered, and so paid for, whatever they said.
    pub calls: u64,
    /// Of these, calls that did not say how many tokens they took, and are counted by an estimate.
    #[serde(skip_serializing_if = "is_zero")]
    pub estimated_calls: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// In the currency of the prices.
    pub cost: f64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Spent {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.estimated_calls += other.estimated_calls;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cost += other.cost;
    }
}

/// A pair, and what a judge said of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Battle {
    /// Who met.
    #[serde(flatten)]
    pub pair: Pair,
    /// The judge's identity, with whatever shapes its answers: model, prompt, members.
    pub judge: String,
    /// What it came to.
    #[serde(flatten)]
    pub decision: Decision,
    /// The votes behind it; a failed battle may have some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<Vote>,
    /// Members that gave no vote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<MemberFailure>,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Spent::is_nothing")]
    pub spent: Spent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrored_twice_is_the_same_and_one_of_two_is_canonical() {
        for pair in [
            Pair::within("q", "b", "a"),
            Pair::across("q2", "a", "q1", "z"),
            Pair::across("q1", "a", "q2", "a"),
        ] {
            assert_eq!(pair.mirrored().mirrored(), pair);
            assert_ne!(pair.is_canonical(), pair.mirrored().is_canonical(), "{pair:?}");
        }
        assert_eq!(Pair::across("q1", "a", "q2", "b").mirrored(), Pair::across("q2", "b", "q1", "a"));
    }

    #[test]
    fn a_battle_is_one_line_and_reads_back() {
        let battle = Battle {
            pair: Pair::across("q1", "a", "q2", "b\n"),
            judge: "j".into(),
            decision: Decision::of_preference(0.75),
            votes: vec![Vote { judge: "j".into(), score: -0.5, said: None, a_first: Some(true) }],
            failures: vec![],
            spent: Spent { calls: 1, cost: 0.5, ..Spent::default() },
        };
        let line = serde_json::to_string(&battle).unwrap();
        assert!(
            line.starts_with(
                r#"{"query":"q1","other_query":"q2","a":"a","b":"b\n","judge":"j","kind":"verdict","#
            ),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<Battle>(&line).unwrap(), battle);
        let tie = Battle {
            decision: Decision::of_preference(0.5),
            votes: vec![],
            spent: Spent::default(),
            ..battle
        };
        let line = serde_json::to_string(&tie).unwrap();
        assert!(line.ends_with(r#""kind":"tie"}"#), "{line}");
        assert_eq!(serde_json::from_str::<Battle>(&line).unwrap(), tie);
    }
}
