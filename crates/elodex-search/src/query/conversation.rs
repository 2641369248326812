//! A conversation and a question become one query.

use super::deadline::Clock;
use super::{request::refused, rewrite};
use crate::{Error, ErrorKind, Result, RewriterOptions};
use elodex_types::{Conversation, Message, SearchRequest};

/// User turns that are searched for, the last included.
const TURNS: usize = 4;
/// Characters they may have together; the last is never cut.
const CHARACTERS: usize = 2_000;

/// What is searched for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Folded {
    pub(super) query: String,
    /// What the caller should know of how it was made.
    pub(super) note: Option<String>,
}

/// Folds the request's conversation into one query. `fits` says whether the embedder reads a text to its end.
pub(super) fn fold(
    request: &SearchRequest,
    rewriter: Option<&RewriterOptions>,
    fits: impl Fn(&str) -> bool,
    clock: &Clock,
) -> Result<Folded> {
    let turns = turns(request);
    let Some(last) = turns.iter().rposition(|turn| turn.role == "user") else {
        return Err(refused("the conversation has no user turn and there is no query; send one of them"));
    };
    let turns = &turns[..=last];
    if turns.len() == 1 {
        return Ok(Folded { query: turns[0].content.clone(), note: None });
    }
    match (request.conversation, rewriter) {
        (Conversation::Concatenate, _) | (Conversation::Auto, None) => concatenate(turns, fits),
        (Conversation::Rewrite, None) => Err(refused(
            "no chat model is configured to rewrite the conversation; ask for `concatenate`, or configure a rewriter",
        )),
        (Conversation::Rewrite, Some(rewriter)) => {
            let query = rewrite::rewrite(rewriter, turns, clock).map_err(|reason| {
                let message = format!("the chat model could not rewrite the conversation: {reason}");
                Error::new(ErrorKind::Upstream, message)
            })?;
            Ok(Folded { query, note: None })
        }
        (Conversation::Auto, Some(rewriter)) => match rewrite::rewrite(rewriter, turns, clock) {
            Ok(query) => Ok(Folded { query, note: None }),
            Err(reason) => {
                tracing::warn!(url = rewriter.url, reason, "a conversation could not be rewritten");
                let folded = concatenate(turns, fits)?;
                let note = format!(
                    "the chat model could not rewrite the conversation ({reason}); the recent user turns were searched for"
                );
                let note = folded.note.map_or_else(|| note.clone(), |left_out| format!("{note}; {left_out}"));
                Ok(Folded { query: folded.query, note: Some(note) })
            }
        },
    }
}

/// The turns with a text, the query as the last of them.
fn turns(request: &SearchRequest) -> Vec<Message> {
    let mut turns: Vec<Message> =
        request.messages.iter().filter(|message| !message.content.trim().is_empty()).cloned().collect();
    if let Some(query) = &request.query {
        // Some clients send their last turn twice: in the conversation and as the query.
        if turns.last().is_some_and(|turn| turn.role == "user" && turn.content.trim() == query.trim()) {
            turns.pop();
        }
        turns.push(Message { role: "user".to_owned(), content: query.clone() });
    }
    turns
}

/// The recent user turns, one a line, as many as are allowed and fit.
fn concatenate(turns: &[Message], fits: impl Fn(&str) -> bool) -> Result<Folded> {
    let mut recent = turns.iter().rev().filter(|turn| turn.role == "user").map(|turn| turn.content.trim());
    let mut query = recent.next().unwrap_or_default().to_owned();
    let mut used = 1;
    let mut left_out = 0;
    for turn in recent {
        if left_out == 0 && used < TURNS {
            let longer = format!("{turn}\n{query}");
            if longer.chars().count() <= CHARACTERS && fits(&longer) {
                query = longer;
                used += 1;
                continue;
            }
        }
        left_out += 1;
    }
    let note = (left_out > 0).then(|| {
        format!(
            "{left_out} earlier user turns were left out: {TURNS} turns or {CHARACTERS} characters are searched for, and no \
             more than the embedder reads"
        )
    });
    Ok(Folded { query, note })
}

#[cfg(test)]
mod tests {
    use super::*;
    use elodex_types::{CallContext, Unit};

    fn request(messages: &[(&str, &str)], query: Option<&str>) -> SearchRequest {
        let mut request = SearchRequest::new("c", "", Unit::Documents, 1);
        request.query = query.map(str::to_owned);
        let message = |(role, content): &(&str, &str)| Message {
            role: (*role).to_owned(),
            content: (*content).to_owned(),
        };
        request.messages = messages.iter().map(message).collect();
        request
    }

    fn folded(request: &SearchRequest, fits: impl Fn(&str) -> bool) -> Result<Folded> {
        fold(request, None, fits, &Clock::start(&CallContext { key: "test".into(), deadline: None }))
    }

    #[test]
    fn user_turns_are_joined_and_the_question_is_last() {
        let turns = [("system", "be brief"), ("user", "our returns policy"), ("assistant", "which country?")];
        let folded = folded(&request(&turns, Some("France")), |_| true).unwrap();
        assert_eq!(folded, Folded { query: "our returns policy\nFrance".into(), note: None });
    }

    #[test]
    fn a_query_that_is_also_the_last_turn_counts_once() {
        let turns = [("user", "returns"), ("user", "France ")];
        assert_eq!(folded(&request(&turns, Some("France")), |_| true).unwrap().query, "returns\nFrance");
        assert_eq!(folded(&request(&turns[1..], Some("France")), |_| true).unwrap().query, "France");
    }

    #[test]
    fn without_a_query_the_last_user_turn_is_the_question() {
        let turns = [("user", "returns"), ("user", "France"), ("assistant", "30 days")];
        assert_eq!(folded(&request(&turns, None), |_| true).unwrap().query, "returns\nFrance");
        assert!(folded(&request(&[("assistant", "hello")], None), |_| true).is_err());
    }

    #[test]
    fn older_turns_are_left_out_aloud_and_the_question_never() {
        let many: Vec<(&str, &str)> = vec![("user", "turn"); 9];
        let folded_many = folded(&request(&many, Some("now")), |_| true).unwrap();
        assert_eq!(folded_many.query, "turn\nturn\nturn\nnow");
        assert!(folded_many.note.unwrap().starts_with("6 earlier user turns"));
        let long = "x".repeat(CHARACTERS);
        let folded_long =
            folded(&request(&[("user", "old"), ("user", &long)], Some("now")), |_| true).unwrap();
        assert_eq!(folded_long.query, "now");
        assert!(folded_long.note.unwrap().starts_with("2 earlier user turns"));
        let short_window = folded(&request(&[("user", "old")], Some(&long)), |text| text.len() < 10).unwrap();
        assert_eq!(short_window.query, long);
    }

    #[test]
    fn a_rewrite_without_a_chat_model_is_refused() {
        let mut asked = request(&[("user", "returns")], Some("France"));
        asked.conversation = Conversation::Rewrite;
        assert!(folded(&asked, |_| true).unwrap_err().to_string().contains("no chat model"));
    }
}
