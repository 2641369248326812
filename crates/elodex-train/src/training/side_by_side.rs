//! Two documents as one, for a model that reads both and says which is better.

use crate::network::cannot;
use crate::{Error, ErrorKind, Result};
use elodex_models::tokenizer::{TextTokenizer, Tokens};

/// Two documents in the place of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideBySide {
    /// `A [SEP] B`, with the tokenizer's own separator.
    pub text: String,
    /// Whether one of them was cut.
    pub cut: bool,
}

/// Puts two documents one behind the other, so that with the query and special tokens they take `max_tokens` at most:
/// each has half of the room, and what one does not need is the other's.
///
/// # Errors
/// A query that leaves no room; a text that cannot be tokenised; a tokenizer without a separator.
pub fn side_by_side(
    tokenizer: &TextTokenizer,
    query: &str,
    a: &str,
    b: &str,
    max_tokens: usize,
) -> Result<SideBySide> {
    let encode = |text: &str| tokenizer.encode(text).map_err(cannot("tokenise a text of a pair"));
    let separator = separator(tokenizer)?;
    let fixed = encode(query)?.ids.len() + tokenizer.frame_len(true) + 1;
    let Some(room) = max_tokens.checked_sub(fixed).filter(|room| *room >= 2) else {
        let start: String = query.chars().take(60).collect();
        let message = format!(
            "the query `{start}…` and special tokens take {fixed} of {max_tokens} tokens, which leaves no room for two \
             documents; shorten it or allow more tokens"
        );
        return Err(Error::new(ErrorKind::Request, message));
    };
    let (tokens_a, tokens_b) = (encode(a)?, encode(b)?);
    let (lengths, half) = ([tokens_a.ids.len(), tokens_b.ids.len()], room / 2);
    let for_a = lengths[0].min(room - lengths[1].min(half));
    let for_b = lengths[1].min(room - for_a);
    let text = format!("{} {separator} {}", start_of(a, &tokens_a, for_a), start_of(b, &tokens_b, for_b));
    Ok(SideBySide { text, cut: for_a < lengths[0] || for_b < lengths[1] })
}

/// What the tokenizer ends a pair with; standing in a text, it is recognised.
fn separator(tokenizer: &TextTokenizer) -> Result<String> {
    let (specials, _) = tokenizer.frame(&[], Some(&[]));
    specials.last().and_then(|id| tokenizer.token(*id)).ok_or_else(|| {
        let message = "the tokenizer ends pairs with no separator, so that two documents cannot be told apart; start \
                       from a BERT";
        Error::new(ErrorKind::Unsupported, message)
    })
}

/// A text up to its `count`th token.
fn start_of<'a>(text: &'a str, tokens: &Tokens, count: usize) -> &'a str {
    if count >= tokens.ids.len() {
        return text;
    }
    let end = count.checked_sub(1).map_or(0, |last| tokens.spans[last].1);
    text.char_indices().nth(end).map_or(text, |(byte, _)| &text[..byte])
}

#[cfg(test)]
mod tests {
    use super::*;
    use elodex_models::files::ModelFiles;
    use elodex_testkit::golden_dir;

    fn tokenizer() -> TextTokenizer {
        TextTokenizer::load(&ModelFiles::open(&golden_dir("bert_cross").join("model")).unwrap()).unwrap()
    }

    #[test]
    fn both_documents_are_cut_evenly_and_only_where_they_must() {
        let tokenizer = tokenizer();
        let length = |text: &str| tokenizer.encode(text).unwrap().ids.len();
        let whole = side_by_side(&tokenizer, "q", "the red car", "the dog", 64).unwrap();
        assert_eq!(whole, SideBySide { text: "the red car [SEP] the dog".into(), cut: false });
        assert_eq!(length("[SEP]"), 1);

        let (long, short) = ("the car is red ".repeat(30), "the dog".to_owned());
        let both = |a: &str, b: &str| {
            let joined = side_by_side(&tokenizer, "q", a, b, 32).unwrap();
            assert!(joined.cut);
            let total = length("q") + tokenizer.frame_len(true) + length(&joined.text);
            assert_eq!(total, 32, "{}", joined.text);
            let (a, b) = joined.text.split_once(" [SEP] ").unwrap();
            (length(a), length(b))
        };
        let (a, b) = both(&long, &long);
        assert!(a.abs_diff(b) <= 1, "{a} and {b}");
        assert_eq!(both(&long, &short).1, length(&short));
        assert_eq!(both(&short, &long).0, length(&short));
        assert_eq!(side_by_side(&tokenizer, &long, "a", "b", 32).unwrap_err().kind(), ErrorKind::Request);
    }
}
