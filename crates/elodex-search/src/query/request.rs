//! What a search may ask for.

use super::condition;
use crate::{Error, ErrorKind, Result};
use elodex_types::{Rerank, SearchRequest, Unit, Weights};

/// Most results of a search.
pub(super) const MOST_RESULTS: usize = 2_048;
/// Most candidates of a list that a request may name.
pub(crate) const MOST_DEPTH: usize = 10_000;
/// Most candidates that a reranker may be asked to see.
pub const MOST_RERANKED: usize = 2_048;
/// Bytes of a query, or of one turn of a conversation.
const MOST_QUERY_BYTES: usize = 64 << 10;
/// Turns of a conversation.
const MOST_TURNS: usize = 1_024;

/// Refuses what no search may ask for, before any work.
pub(super) fn check(request: &SearchRequest) -> Result<()> {
    within("k", request.k, MOST_RESULTS)?;
    if let Some(depth) = request.depth {
        within("depth", depth, MOST_DEPTH)?;
    }
    if let Some(weights) = request.weights {
        check_weights(weights)?;
    }
    if let Rerank::On { depth: Some(depth), .. } = request.rerank {
        within("rerank depth", depth, MOST_RERANKED)?;
    }
    check_threshold(request)?;
    check_texts(request)?;
    if let Some(filter) = &request.filter {
        condition::check(filter)?;
    }
    if is_listing(request) && request.unit != Unit::Documents {
        return Err(refused(
            "without a query only documents can be listed; ask for documents, or send a query",
        ));
    }
    Ok(())
}

/// Whether nothing is asked for but what meets the filter.
pub(super) fn is_listing(request: &SearchRequest) -> bool {
    request.query.is_none() && request.messages.is_empty()
}

fn check_weights(Weights { dense, lexical }: Weights) -> Result<()> {
    for (name, weight) in [("dense", dense), ("lexical", lexical)] {
        if !weight.is_finite() || weight < 0.0 {
            return Err(refused(format!(
                "the {name} weight is {weight}; weights are finite and not negative"
            )));
        }
    }
    if dense == 0.0 && lexical == 0.0 {
        return Err(refused("both weights are 0, so no list would be asked; set one above 0"));
    }
    Ok(())
}

fn check_threshold(request: &SearchRequest) -> Result<()> {
    let Some(threshold) = request.threshold else { return Ok(()) };
    if !(0.0..=1.0).contains(&threshold) {
        return Err(refused(format!("threshold {threshold} is not between 0 and 1")));
    }
    if request.rerank == Rerank::Off {
        return Err(refused(
            "a threshold needs a reranker: fused scores are ranks, which mean nothing across queries; name a reranker \
             or leave the threshold out",
        ));
    }
    if is_listing(request) {
        return Err(refused("a threshold needs a query to score documents against"));
    }
    Ok(())
}

fn check_texts(request: &SearchRequest) -> Result<()> {
    if let Some(query) = &request.query {
        if query.trim().is_empty() {
            return Err(refused("the query is empty; leave it out to list the documents that meet a filter"));
        }
        check_bytes("the query", query)?;
    }
    if request.messages.len() > MOST_TURNS {
        let message = format!(
            "the conversation has {} messages, at most {MOST_TURNS} are read",
            request.messages.len()
        );
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    for (position, message) in request.messages.iter().enumerate() {
        if !matches!(message.role.as_str(), "user" | "assistant" | "system") {
            return Err(refused(format!(
                "message {position} has role `{:.40}`; use `user`, `assistant` or `system`",
                message.role
            )));
        }
        check_bytes(&format!("message {position}"), &message.content)?;
    }
    Ok(())
}

fn check_bytes(what: &str, text: &str) -> Result<()> {
    if text.len() <= MOST_QUERY_BYTES {
        return Ok(());
    }
    let message = format!("{what} has {} bytes, at most {MOST_QUERY_BYTES} are read", text.len());
    Err(Error::new(ErrorKind::TooLarge, message))
}

fn within(name: &str, value: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(refused(format!("{name} is {value}; it must be between 1 and {most}")))
}

pub(super) fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Request, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use elodex_types::Message;

    fn refusal(change: impl FnOnce(&mut SearchRequest)) -> String {
        let mut request = SearchRequest::new("c", "q", Unit::Documents, 10);
        assert!(check(&request).is_ok());
        change(&mut request);
        check(&request).unwrap_err().to_string()
    }

    fn on() -> Rerank {
        Rerank::On { model: None, depth: None }
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        assert!(refusal(|r| r.k = 0).contains("k is 0"));
        assert!(refusal(|r| r.k = 2_049).contains("2048"));
        assert!(refusal(|r| r.depth = Some(0)).contains("depth is 0"));
        assert!(refusal(|r| r.rerank = Rerank::On { model: None, depth: Some(0) }).contains("rerank depth"));
        let weights = |dense, lexical| Some(Weights { dense, lexical });
        assert!(refusal(|r| r.weights = weights(-1.0, 1.0)).contains("dense weight is -1"));
        assert!(refusal(|r| r.weights = weights(1.0, f32::NAN)).contains("lexical weight is NaN"));
        assert!(refusal(|r| r.weights = weights(0.0, 0.0)).contains("both weights"));
    }

    #[test]
    fn a_threshold_needs_a_reranker_and_says_why() {
        assert!(refusal(|r| r.threshold = Some(0.5)).contains("needs a reranker: fused scores are ranks"));
        assert!(refusal(|r| (r.threshold, r.rerank) = (Some(1.5), on())).contains("between 0 and 1"));
        assert!(refusal(|r| (r.threshold, r.rerank) = (Some(f32::NAN), on())).contains("between 0 and 1"));
    }

    #[test]
    fn texts_are_bounded_and_roles_known() {
        assert!(refusal(|r| r.query = Some(" \n".into())).contains("empty"));
        assert!(refusal(|r| r.query = Some("x".repeat(MOST_QUERY_BYTES + 1))).contains("65536"));
        let odd = Message { role: "tool".into(), content: "x".into() };
        assert!(refusal(|r| r.messages = vec![odd]).contains("`tool`"));
        assert!(refusal(|r| (r.query, r.unit) = (None, Unit::Chunks)).contains("only documents"));
    }
}
