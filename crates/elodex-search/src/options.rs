//! The deployment's choices.

use crate::Experiment;
use std::time::Duration;

/// What a deployment chooses, with defaults for one machine.
#[derive(Debug, Clone)]
pub struct SearchOptions {
    /// Tokens in a chunk of a new collection, where its model's window allows.
    pub chunk_tokens: usize,
    /// Tokens that two chunks may share.
    pub chunk_overlap: usize,
    /// Characters of a fine passage.
    pub passage_chars: usize,
    /// Candidates of each list, where a request names no depth.
    pub depth: usize,
    /// Candidates a reranker sees, where a request names no depth.
    pub rerank_depth: usize,
    /// Documents being read and cut at once.
    pub parse_threads: usize,
    /// Bytes of content one document may have.
    pub document_bytes: u64,
    /// Bytes of text a document may have once it is extracted.
    pub text_bytes: usize,
    /// How often what was indexed is written through to disk, at the latest.
    pub flush_interval: Duration,
    /// Points written to an index after which it is optimised, though more are on their way; a third of those it has,
    /// where that is more and writing did not take as long as optimising did last.
    pub optimise_after: u64,
    /// The chat model that rewrites conversations.
    pub rewriter: Option<RewriterOptions>,
    /// Second pipelines on live queries.
    pub experiments: Vec<Experiment>,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            chunk_tokens: 512,
            chunk_overlap: 64,
            passage_chars: 200,
            depth: 100,
            rerank_depth: 100,
            parse_threads: 1,
            document_bytes: 64 << 20,
            text_bytes: 128 << 20,
            flush_interval: Duration::from_secs(5),
            optimise_after: 50_000,
            rewriter: None,
            experiments: Vec::new(),
        }
    }
}

/// An OpenAI-compatible chat endpoint.
#[derive(Debug, Clone)]
pub struct RewriterOptions {
    /// Base address, up to and with `/v1`.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// Sent as a bearer token.
    pub key: Option<String>,
    /// How long a rewrite may take before the search goes on with the concatenated turns.
    pub timeout: Duration,
}
