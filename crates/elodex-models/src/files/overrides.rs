//! What repositories keep only in a README: prompts, usable widths, scoring templates, keyed by repository id.

use crate::{Error, ErrorKind, Result};
use serde::Deserialize;

const BUILTIN: &str = include_str!("overrides.toml");

/// A table of models.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Overrides {
    #[serde(default)]
    model: Vec<Override>,
}

/// What the table knows of a model. Everything is optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Override {
    /// Repository ids; `*` stands for anything but a slash.
    ids: Vec<String>,
    pub(super) query: Option<String>,
    pub(super) document: Option<String>,
    pub(super) suffix: String,
    pub(super) matryoshka: Vec<usize>,
    pub(super) any_width_from: Option<usize>,
    pub(super) norm_before_slice: bool,
    pub(super) strip: bool,
    /// Longest input where the files allow more than the model was made for.
    pub(super) max_tokens: Option<usize>,
    pub(super) chat: Option<Chat>,
    pub(super) licence: Option<KnownLicence>,
}

/// A [`super::ChatRerank`], with the tokens to take where the files name none.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chat {
    pub(super) before_query: String,
    pub(super) between: String,
    pub(super) after_document: String,
    #[serde(default)]
    pub(super) strip: bool,
    pub(super) true_token: u32,
    #[serde(default)]
    pub(super) false_token: Option<u32>,
    pub(super) temperature: f32,
}

/// A licence that is not the one on the card.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownLicence {
    pub(super) id: String,
    pub(super) reason: String,
}

impl Overrides {
    /// The table that comes with the program.
    pub(super) fn builtin() -> Result<Self> {
        Self::parse(BUILTIN)
    }

    fn parse(text: &str) -> Result<Self> {
        let table: Self = toml::from_str(text).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "`overrides.toml` is not a table of models").caused_by(error)
        })?;
        for chat in table.model.iter().filter_map(|entry| entry.chat.as_ref()) {
            if !(chat.temperature.is_finite() && chat.temperature > 0.0) {
                let message =
                    format!("`overrides.toml` has the temperature {}; it must be positive", chat.temperature);
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
        }
        Ok(table)
    }

    /// The first entry that fits the id. An id without an owner, which is a directory's name, is compared with the
    /// name behind the slash.
    pub(super) fn get(&self, id: &str) -> Override {
        let fits = |pattern: &String| {
            let name = if id.contains('/') { pattern } else { pattern.rsplit('/').next().unwrap_or(pattern) };
            matches(name.to_ascii_lowercase().as_bytes(), id.to_ascii_lowercase().as_bytes())
        };
        self.model.iter().find(|entry| entry.ids.iter().any(fits)).cloned().unwrap_or_default()
    }
}

/// Whether `*` in the pattern can stand for parts of the text so that they are equal.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, text)
                || text.split_first().is_some_and(|(first, tail)| *first != b'/' && matches(pattern, tail))
        }
        (Some((left, pattern)), Some((right, text))) => left == right && matches(pattern, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("a/b", "a/b", true),
            ("a/*", "a/bc", true),
            ("a/*-en", "a/bge-small-en", true),
            ("a/*-en", "a/bge-small-en-v1.5", false),
            ("*", "a/b", false),
            ("*/b", "a/b", true),
            ("a/**b", "a/b", true),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn the_table_finds_models_by_id_and_by_name() {
        let table = Overrides::builtin().unwrap();
        let bge = "Represent this sentence for searching relevant passages: ";
        assert_eq!(table.get("BAAI/bge-small-en-v1.5").query.as_deref(), Some(bge));
        assert_eq!(table.get("bge-large-en").query.as_deref(), Some(bge));
        assert_eq!(table.get("BAAI/bge-m3").query, None);
        assert_eq!(table.get("intfloat/multilingual-e5-small").document.as_deref(), Some("passage: "));
        assert_eq!(table.get("intfloat/multilingual-e5-large-instruct").document.as_deref(), Some(""));
        assert_eq!(table.get("somebody/bge-small-en-v1.5").query, None);
        for id in ["zerank-2", "zerank-2-reranker", "zerank-1", "zerank-1-small", "zerank-1-small-reranker"] {
            let known = table.get(&format!("zeroentropy/{id}"));
            let chat = known.chat.unwrap();
            assert_eq!(
                (chat.true_token, chat.false_token, chat.temperature, chat.strip),
                (9454, None, 5.0, true)
            );
            assert_eq!(known.licence.unwrap().id, "apache-2.0");
        }
        let qwen = table.get("Qwen/Qwen3-Reranker-0.6B").chat.unwrap();
        assert_eq!((qwen.true_token, qwen.false_token, qwen.temperature), (9693, Some(2152), 1.0));
        assert_eq!(table.get("zeroentropy/zembed-1").suffix, "<|im_end|>\n");
        assert!(table.get("nomic-ai/nomic-embed-text-v1.5").norm_before_slice);
    }

    #[test]
    fn the_first_entry_that_fits_counts() {
        let text = "[[model]]\nids = [\"a/b\"]\nquery = \"1\"\n[[model]]\nids = [\"a/*\"]\nquery = \"2\"\n";
        let table = Overrides::parse(text).unwrap();
        assert_eq!(table.get("a/b").query.as_deref(), Some("1"));
        assert_eq!(table.get("a/c").query.as_deref(), Some("2"));
        for text in ["[[model]]\nids = []\nqueri = \"x\"\n", "[[model]", "model = 3"] {
            assert_eq!(Overrides::parse(text).unwrap_err().kind(), ErrorKind::Corrupt, "{text}");
        }
    }
}
