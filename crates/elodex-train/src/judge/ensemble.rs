//! Several judges as one.

use super::{Judge, Question, Verdict, preference_of};
use crate::battle::{Decision, MemberFailure, Pair, Spent};
use crate::{Error, ErrorKind, Result};
use std::collections::HashSet;

/// The mean of its members' scores s: p = (1 − s̄) / 2.
///
/// Members that give no vote are kept apart. Where fewer than the quorum vote, the battle is a failure, and keeps the votes
/// there are: asked again, only the others are asked.
pub struct Ensemble {
    members: Vec<Box<dyn Judge>>,
    quorum: usize,
    identity: String,
}

impl std::fmt::Debug for Ensemble {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Ensemble")
            .field("identity", &self.identity)
            .field("quorum", &self.quorum)
            .finish()
    }
}

impl Ensemble {
    /// Judges that vote together; without a quorum, all must vote.
    ///
    /// # Errors
    /// No member, two with one identity, an ensemble as member, a quorum that is 0 or more than there are members.
    pub fn new(members: Vec<Box<dyn Judge>>, quorum: Option<usize>) -> Result<Self> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Request, message));
        let identities: Vec<String> = members.iter().map(|member| member.identity()).collect();
        let mut seen = HashSet::new();
        if let Some(twice) = identities.iter().find(|identity| !seen.insert(identity.as_str())) {
            return refuse(format!(
                "judge `{twice}` is in the ensemble twice; its vote would only count double"
            ));
        }
        if let Some(nested) = identities.iter().find(|identity| identity.starts_with(PREFIX)) {
            return refuse(format!("`{nested}` is an ensemble itself; give its members"));
        }
        let quorum = quorum.unwrap_or(members.len());
        if quorum == 0 || quorum > members.len() {
            return refuse(format!(
                "a quorum of {quorum} of {} judges cannot be; use 1 to all",
                members.len()
            ));
        }
        let identity = format!("{PREFIX}({}) quorum {quorum}", identities.join(" + "));
        Ok(Self { members, quorum, identity })
    }
}

const PREFIX: &str = "ensemble ";

impl Judge for Ensemble {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn judge(&self, question: &Question<'_>) -> Result<Verdict> {
        let mut votes = Vec::new();
        let mut failures = Vec::new();
        let mut spent = Spent::default();
        let mut end = None;
        for member in &self.members {
            let identity = member.identity();
            if let Some(vote) = question.known.iter().find(|vote| vote.judge == identity) {
                votes.push(vote.clone());
                continue;
            }
            if end.is_some() {
                continue;
            }
            let verdict = match member.judge(question) {
                Ok(verdict) => verdict,
                Err(error) => {
                    end = Some(error);
                    continue;
                }
            };
            spent += verdict.spent;
            votes.extend(verdict.votes);
            end = verdict.end;
            if let Decision::Failure { reason } = verdict.decision {
                failures.push(MemberFailure { judge: identity, reason });
            }
        }
        if let Some(error) = end {
            if spent.is_nothing() && votes.len() == question.known.len() {
                return Err(error);
            }
            return Ok(Verdict { end: Some(error), ..Verdict::partial(votes, failures, spent) });
        }
        let decision = if votes.len() < self.quorum {
            let reasons: Vec<String> =
                failures.iter().map(|failure| format!("`{}`: {}", failure.judge, failure.reason)).collect();
            let reason = format!(
                "{} of {} judges voted, fewer than the quorum of {}; {}",
                votes.len(),
                self.members.len(),
                self.quorum,
                reasons.join("; ")
            );
            Decision::Failure { reason }
        } else {
            let sum: f64 = votes.iter().map(|vote| vote.score).sum();
            Decision::of_preference(preference_of(sum / votes.len() as f64))
        };
        Ok(Verdict { decision, votes, failures, spent, end: None })
    }

    fn estimate(&self, question: &Question<'_>) -> Spent {
        let mut estimate = Spent::default();
        for member in &self.members {
            let identity = member.identity();
            if !question.known.iter().any(|vote| vote.judge == identity) {
                estimate += member.estimate(question);
            }
        }
        estimate
    }

    fn knows(&self, pair: &Pair) -> bool {
        self.members.iter().all(|member| member.knows(pair))
    }
}
