//! `tokenizer.json`, authoritative for special tokens, with truncation of content only.

use crate::Result;
use crate::files::ModelFiles;

/// A loaded tokenizer.
#[derive(Debug)]
pub struct TextTokenizer {}

/// Tokens without special tokens, with the code-point span of each in the text they came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Token ids.
    pub ids: Vec<u32>,
    /// `[start, end)` of each token in code points of the input text.
    pub spans: Vec<(usize, usize)>,
}

impl TextTokenizer {
    /// Loads `tokenizer.json`; its own padding and truncation settings are switched off.
    pub fn load(files: &ModelFiles) -> Result<Self> {
        let _ = files;
        todo!()
    }

    /// Content tokens of `text`, without special tokens.
    pub fn encode(&self, text: &str) -> Result<Tokens> {
        let _ = text;
        todo!()
    }

    /// Puts the tokenizer's own post-processor around one or two sequences of content ids: ids and segment ids.
    pub fn frame(&self, first: &[u32], second: Option<&[u32]>) -> (Vec<u32>, Vec<u32>) {
        let _ = (first, second);
        todo!()
    }

    /// How many special tokens [`Self::frame`] adds to one sequence or a pair.
    pub fn frame_len(&self, pair: bool) -> usize {
        let _ = pair;
        todo!()
    }

    /// Id of a token given literally.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        let _ = token;
        todo!()
    }

    /// The tokens of ids, for `/tokenize`.
    pub fn token(&self, id: u32) -> Option<String> {
        let _ = id;
        todo!()
    }

    /// Size of the vocabulary with added tokens: every id is below it.
    pub fn vocab_size(&self) -> usize {
        todo!()
    }

    /// blake3 of the tokenizer file.
    pub fn digest(&self) -> [u8; 32] {
        todo!()
    }
}
