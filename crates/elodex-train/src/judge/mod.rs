//! Who says which of two passages answers a query better.
//!
//! A [`Judge`] answers one [`Question`]; a [`Tournament`] asks it about many pairs, and keeps the answers in a log.

mod chat;
mod cross_encoder;
mod endpoint;
mod ensemble;
mod feedback;
mod labels;
mod pairwise;
mod prompt;
mod reply;
mod tournament;
mod writer;

pub use chat::{ChatJudge, ChatOptions, Votes};
pub use cross_encoder::CrossEncoderJudge;
pub use endpoint::{ApiKey, Prices};
pub use ensemble::Ensemble;
pub use feedback::FeedbackJudge;
pub use labels::QrelsJudge;
pub use pairwise::PairwiseJudge;
pub use reply::ReplyForm;
pub use tournament::{Forecast, Progress, Tournament, TournamentOptions};
pub use writer::{QueryWriter, WrittenQuery};

use crate::battle::{Arena, Decision, MemberFailure, Pair, Spent, Vote};
use crate::{Error, Result};
use std::sync::atomic::AtomicBool;

/// Answers which of two documents is better. Shared by threads.
pub trait Judge: Send + Sync {
    /// A name that holds whatever shapes the answers: model, prompt, settings. Answers are kept under it, so that a judge
    /// with another prompt is another one.
    fn identity(&self) -> String;

    /// Answers a question. That it cannot, this time, is a verdict too: [`Decision::Failure`].
    ///
    /// # Errors
    /// What no other question would fare better with, such as a key that is not accepted; [`crate::ErrorKind::Cancelled`]
    /// where the question's `stop` was raised while waiting.
    fn judge(&self, question: &Question<'_>) -> Result<Verdict>;

    /// What answering will probably cost.
    fn estimate(&self, _question: &Question<'_>) -> Spent {
        Spent::default()
    }

    /// Whether it can say anything about a pair. Others are not asked, which is no failure.
    fn knows(&self, _pair: &Pair) -> bool {
        true
    }
}

/// Two documents, and what they are to answer.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Their ids.
    pub pair: &'a Pair,
    /// Text of the query of `a`.
    pub query: &'a str,
    /// Text of the query of `b`: the same one, unless the pair is across queries.
    pub query_of_b: &'a str,
    /// Text of one document.
    pub a: &'a str,
    /// Text of the other.
    pub b: &'a str,
    /// Votes that were given, and paid for, before: an ensemble does not ask these members again.
    pub known: &'a [Vote],
    /// Raised when waiting is to end.
    pub stop: &'a AtomicBool,
}

impl<'a> Question<'a> {
    /// The question about a pair.
    ///
    /// # Errors
    /// A text that is not in the arena.
    pub fn of(arena: &'a Arena, pair: &'a Pair, known: &'a [Vote], stop: &'a AtomicBool) -> Result<Self> {
        let [query, query_of_b, a, b] = arena.texts(pair)?;
        Ok(Self { pair, query, query_of_b, a, b, known, stop })
    }
}

/// An answer.
#[derive(Debug)]
pub struct Verdict {
    /// What it comes to.
    pub decision: Decision,
    /// The votes behind it.
    pub votes: Vec<Vote>,
    /// Members of an ensemble that gave none.
    pub failures: Vec<MemberFailure>,
    /// What it cost, without votes that were known before.
    pub spent: Spent,
    /// Why nothing more should be asked, though there are votes to keep: see [`Judge::judge`]'s errors.
    pub end: Option<Error>,
}

impl Verdict {
    /// One vote decides.
    pub fn of_vote(vote: Vote, spent: Spent) -> Self {
        let decision = Decision::of_preference(preference_of(vote.score));
        Self { decision, votes: vec![vote], failures: Vec::new(), spent, end: None }
    }

    /// A judge whose answer is a probability that `a` is better.
    fn of_probability(judge: String, probability: f64) -> Self {
        let vote = Vote { judge, score: 1.0 - 2.0 * probability, said: None, a_first: None };
        Self::of_vote(vote, Spent::default())
    }

    /// Stopped before all votes were given.
    fn partial(votes: Vec<Vote>, failures: Vec<MemberFailure>, spent: Spent) -> Self {
        Self { decision: Decision::Partial, votes, failures, spent, end: None }
    }

    /// No answer.
    pub fn failure(reason: impl Into<String>, spent: Spent) -> Self {
        let decision = Decision::Failure { reason: reason.into() };
        Self { decision, votes: Vec::new(), failures: Vec::new(), spent, end: None }
    }
}

/// p = (1 − s) / 2: how far `a` is preferred, by a score that is −1 for it and 1 for `b`.
fn preference_of(score: f64) -> f64 {
    (1.0 - score) / 2.0
}

fn logistic(x: f64) -> f64 {
    crate::fit::Link::BradleyTerry.probability(x)
}

/// The start of a hash, for identities.
fn short_hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex()[..12].to_owned()
}
