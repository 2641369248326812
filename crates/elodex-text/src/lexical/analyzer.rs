//! Text to terms.

use super::Language;

/// Makes terms of texts in one language. Cheap to make, free to share.
#[derive(Debug, Clone, Copy)]
pub struct Analyzer {
    language: Language,
}

impl Analyzer {
    /// An analyser for `language`.
    pub fn new(language: Language) -> Self {
        Self { language }
    }

    /// The language it analyses.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The terms of a text, in order, repetitions included.
    pub fn terms(&self, text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_lowercase).collect()
    }
}
