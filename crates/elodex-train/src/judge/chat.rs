//! A chat model as judge.

use super::endpoint::{ApiKey, Endpoint, Prices, Refusal};
use super::prompt::{self, Shown};
use super::reply::ReplyForm;
use super::{Judge, Question, Verdict, short_hash};
use crate::battle::sampling::seed_of;
use crate::battle::{Pair, Spent, Vote};
use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// Bytes of text that make about one token. A rough figure, for what a call will cost before it is made.
const BYTES_PER_TOKEN: u64 = 4;
/// Tokens that an endpoint counts for the form of the reply and around messages, about.
const FRAME_TOKENS: u64 = 80;

/// How a score counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Votes {
    /// As −1, 0 or 1, by its sign: models differ in how boldly they say the same.
    #[default]
    Hard,
    /// As it is said.
    Soft,
}

/// Which model is asked, where, and how.
#[derive(Debug, Clone)]
pub struct ChatOptions {
    /// Address of the API, such as `https://host/v1`; `/chat/completions` is added.
    pub url: String,
    /// The model's name there. With the prompt it identifies the judge; the address does not.
    pub model: String,
    /// The endpoint's key.
    pub key: Option<ApiKey>,
    /// What its tokens cost.
    pub prices: Prices,
    /// How a score counts.
    pub votes: Votes,
    /// How the endpoint is told the form of a reply.
    pub reply_form: ReplyForm,
    /// Decides which of two documents is shown first. No part of the identity: whichever was shown first, the answer is
    /// about the same two.
    pub seed: u64,
    /// For one try, from the connection to the last byte.
    pub timeout: Duration,
    /// How often a call is made before its failure is final, at least 1.
    pub tries: u32,
    /// Wait before the second try, doubled for each one after, where the endpoint names none (`Retry-After`, in seconds).
    pub backoff: Duration,
    /// An endpoint that asks for a longer wait is not waited for.
    pub longest_wait: Duration,
    /// Tokens a reply probably takes, for estimates.
    pub expected_output_tokens: u64,
    /// Tokens a reply may take, as `max_tokens`; the endpoint's own limit where none is given.
    pub max_output_tokens: Option<u32>,
}

impl ChatOptions {
    /// A model at an address, without key or prices; one minute a try, five tries.
    pub fn new(url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            model: model.into(),
            key: None,
            prices: Prices::default(),
            votes: Votes::default(),
            reply_form: ReplyForm::default(),
            seed: 0,
            timeout: Duration::from_secs(60),
            tries: 5,
            backoff: Duration::from_secs(1),
            longest_wait: Duration::from_secs(120),
            expected_output_tokens: 250,
            max_output_tokens: None,
        }
    }

    /// Where to ask, once it is clear that these options can be meant.
    ///
    /// # Errors
    /// No model, no try, a time of 0, a price below 0.
    pub(super) fn endpoint(&self) -> Result<Endpoint> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Request, message));
        if self.model.trim().is_empty() {
            return refuse("no model is named; give the name by which the endpoint knows it".to_owned());
        }
        if self.tries == 0 || self.timeout.is_zero() {
            return refuse("a judge needs at least one try and some time for it".to_owned());
        }
        for price in [self.prices.input_per_million, self.prices.output_per_million] {
            if !(price >= 0.0 && price.is_finite()) {
                return refuse(format!("price `{price}` of a million tokens is not a number of at least 0"));
            }
        }
        Ok(Endpoint {
            url: self.url.clone(),
            key: self.key.clone(),
            agent: Endpoint::agent(),
            timeout: self.timeout,
            tries: self.tries,
            backoff: self.backoff,
            longest_wait: self.longest_wait,
        })
    }
}

/// A chat model behind an OpenAI-compatible endpoint, asked for a structured reply at temperature 0.
///
/// The order in which two documents are shown is drawn by chance, from the seed and the pair; a pair and its mirror are
/// shown in opposite orders. A reply that is not in the form asked for is asked for once more, and then a failure.
#[derive(Debug)]
pub struct ChatJudge {
    options: ChatOptions,
    endpoint: Endpoint,
    identity: String,
}

impl ChatJudge {
    /// A judge; nothing is called yet.
    ///
    /// # Errors
    /// No model, no try, a time of 0, a price below 0.
    pub fn new(options: ChatOptions) -> Result<Self> {
        let endpoint = options.endpoint()?;
        let votes = match options.votes {
            Votes::Hard => "hard",
            Votes::Soft => "soft",
        };
        let texts = prompt::texts(options.reply_form);
        let hash = short_hash(texts.iter().map(String::as_str));
        let identity = format!("chat {} {votes} prompt {hash}", options.model);
        Ok(Self { options, endpoint, identity })
    }

    /// Whether `a` is shown first.
    fn a_first(&self, pair: &Pair) -> bool {
        let canonical = if pair.is_canonical() { pair.clone() } else { pair.mirrored() };
        let ids = [&*canonical.query, canonical.query_of_b(), &*canonical.a, &*canonical.b];
        seed_of(self.options.seed, "order", &ids).is_multiple_of(2)
    }

    fn call(&self, shown: &Shown<'_>, complaint: Option<&str>) -> Value {
        let mut messages = vec![
            json!({"role": "system", "content": shown.instruction()}),
            json!({"role": "user", "content": shown.material()}),
        ];
        if let Some(complaint) = complaint {
            let content = format!(
                "Your last reply could not be used: it was {complaint}. Reply again, with nothing but the JSON object."
            );
            messages.push(json!({"role": "user", "content": content}));
        }
        let mut call = json!({
            "model": self.options.model,
            "messages": messages,
            "temperature": 0,
            "stream": false,
        });
        self.options.reply_form.ask_for(prompt::NAME, &prompt::schema(), &mut call);
        if let Some(most) = self.options.max_output_tokens {
            call["max_tokens"] = json!(most);
        }
        call
    }

    fn estimated(&self, shown: &Shown<'_>) -> Spent {
        let bytes = shown.instruction().len() + shown.material().len();
        let input = bytes as u64 / BYTES_PER_TOKEN + FRAME_TOKENS;
        Spent { estimated_calls: 1, ..self.options.prices.spent(input, self.options.expected_output_tokens) }
    }
}

fn shown<'a>(question: &Question<'a>, a_first: bool) -> Shown<'a> {
    let mut shown = Shown {
        queries: [question.query, question.query_of_b],
        documents: [question.a, question.b],
        across: question.pair.other_query.is_some(),
    };
    if !a_first {
        shown.queries.reverse();
        shown.documents.reverse();
    }
    shown
}

impl Judge for ChatJudge {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn judge(&self, question: &Question<'_>) -> Result<Verdict> {
        let a_first = self.a_first(question.pair);
        let shown = shown(question, a_first);
        let mut spent = Spent::default();
        let mut complaint: Option<String> = None;
        loop {
            let answer = match self.endpoint.ask(&self.call(&shown, complaint.as_deref()), question.stop) {
                Ok(answer) => answer,
                Err(Refusal::ThisOne(reason)) => return Ok(Verdict::failure(reason, spent)),
                Err(Refusal::All(error)) if spent.is_nothing() => return Err(error),
                Err(Refusal::All(error)) => {
                    return Ok(Verdict {
                        end: Some(error),
                        ..Verdict::partial(Vec::new(), Vec::new(), spent)
                    });
                }
            };
            spent += match answer.usage {
                Some((input, output)) => self.options.prices.spent(input, output),
                None => self.estimated(&shown),
            };
            let what = match answer.reply.and_then(|reply| prompt::score_in(&reply)) {
                Ok(said) => return Ok(Verdict::of_vote(self.vote(said, a_first), spent)),
                Err(what) => what,
            };
            if complaint.is_some() {
                return Ok(Verdict::failure(
                    format!("it replied with nonsense twice, at last with {what}"),
                    spent,
                ));
            }
            complaint = Some(what);
        }
    }

    fn estimate(&self, question: &Question<'_>) -> Spent {
        self.estimated(&shown(question, self.a_first(question.pair)))
    }
}

impl ChatJudge {
    /// `said` is negative where the one shown first is better.
    fn vote(&self, said: f64, a_first: bool) -> Vote {
        let said = if a_first { said } else { -said };
        let score = match self.options.votes {
            Votes::Soft => said,
            Votes::Hard if said == 0.0 => 0.0,
            Votes::Hard => said.signum(),
        };
        let said = (said != score).then_some(said);
        Vote { judge: self.identity.clone(), score, said, a_first: Some(a_first) }
    }
}
