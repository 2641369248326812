//! The first stage: content to text, chunks, language and terms.

use super::board::{Board, Reading, text_bytes};
use super::feed::PageWanted;
use super::trouble::{Trouble, guard, settle};
use crate::collection::{OpenCollection, embedder_of};
use crate::engine::Shared;
use crate::lexical::{analyzer_of, chunk_terms, chunk_text, cut_title};
use elodex_models::Embedder;
use elodex_store::{Chunk, Document, Parsed, ParsedInfo, Passage};
use elodex_text::lexical::{Language, detect};
use elodex_text::{ChunkSpec, ExtractLimits, Extracted, Format, PageFlow, Source};
use elodex_types::{ChunkId, Content, IndexStatus, Revision};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Revisions in a page of the list of pending ones.
const PAGE: usize = 256;

/// Documents and bytes of content that are marked as being read in one transaction.
const TAKEN: usize = 128;
const TAKEN_BYTES: u64 = 1 << 20;

/// Bytes of text, and time, after which what was read is stored.
const STORED_BYTES: usize = 4 << 20;
const STORED_AFTER: Duration = Duration::from_millis(500);

/// Bytes that a compressed file may expand to, for each byte of text that a document may have: markup takes several
/// times the room of its text.
const EXPANDED: usize = 4;

/// A reading thread.
pub(super) fn run(shared: &Shared, board: &Board) {
    loop {
        match board.next_to_read(TAKEN, TAKEN_BYTES) {
            Reading::Stop => return,
            Reading::Page(wanted) => read_page(shared, board, wanted),
            Reading::Documents(documents) => {
                let read = guard("reading documents", || {
                    Batch { shared, board, read: Vec::new(), bytes: 0, onward: Vec::new() }.run(&documents)
                });
                if let Err(Trouble::Failed(reason) | Trouble::Later(reason)) = read {
                    tracing::warn!(reason, "ingestion pauses and tries again");
                    board.put_back(documents.iter().map(|document| document.revision));
                }
            }
        }
    }
}

/// Reads a page of the list of pending revisions.
fn read_page(shared: &Shared, board: &Board, wanted: PageWanted) {
    let page = guard("listing documents", || Ok(shared.catalog.view()?.pending(wanted.after, PAGE)?));
    match page {
        Ok(page) => {
            let last = page.len() < PAGE;
            board.change(|state| state.feed.page_read(wanted, page, last));
        }
        Err(trouble) => {
            tracing::warn!(?trouble, "the list of pending documents cannot be read; it is tried again");
            board.change(|state| state.feed.page_failed());
        }
    }
}

/// Documents that were taken together.
struct Batch<'a> {
    shared: &'a Shared,
    board: &'a Board,
    /// Read and not stored yet, with the bytes of their text.
    read: Vec<(&'a Document, Parsed)>,
    bytes: usize,
    /// To hand on, in order.
    onward: Vec<(Revision, u64)>,
}

impl<'a> Batch<'a> {
    fn run(mut self, documents: &'a [Document]) -> Result<(), Trouble> {
        let usable = self.usable(documents)?;
        let unread =
            |document: &Document| matches!(document.status, IndexStatus::NotParsed | IndexStatus::Parsing);
        let revisions: Vec<Revision> = usable
            .iter()
            .filter(|(document, _)| unread(document))
            .map(|(document, _)| document.revision)
            .collect();
        let mut wanted = match revisions.is_empty() {
            true => Vec::new().into_iter(),
            false => self.shared.catalog.begin(&revisions, IndexStatus::Parsing)?.into_iter(),
        };
        let mut since = Instant::now();
        for (document, open) in usable {
            if self.board.stopping() {
                break;
            }
            if !unread(document) {
                self.store();
                self.onward.push((document.revision, text_bytes(document)));
                continue;
            }
            if wanted.next() != Some(true) {
                self.board.finish([document.revision]);
                continue;
            }
            match guard("reading the document", || read(self.shared, document, &open)) {
                Ok(parsed) => {
                    self.bytes += parsed.text.len();
                    self.read.push((document, parsed));
                }
                Err(trouble) => {
                    settle(self.shared, self.board, &[document], IndexStatus::ParsingFailed, &trouble);
                }
            }
            if self.bytes >= STORED_BYTES || since.elapsed() >= STORED_AFTER {
                self.hand_on();
                since = Instant::now();
            }
        }
        self.hand_on();
        Ok(())
    }

    /// The documents whose collection can be worked on, with it.
    fn usable(&self, documents: &'a [Document]) -> Result<Vec<(&'a Document, Arc<OpenCollection>)>, Trouble> {
        let mut collections = HashMap::new();
        let mut usable = Vec::with_capacity(documents.len());
        for document in documents {
            let id = document.collection;
            if let std::collections::hash_map::Entry::Vacant(unknown) = collections.entry(id) {
                unknown.insert(self.shared.opened(id)?);
            }
            let Some(Some(open)) = collections.get(&id) else {
                // Just being made, or just removed.
                self.board.put_back([document.revision]);
                continue;
            };
            if let Err(error) = embedder_of(self.shared, &open.name, &open.settings.space) {
                let reason = error.report();
                let new = self.board.change(|state| {
                    state.feed.finish(document.revision);
                    state.feed.block(id, &reason)
                });
                if new {
                    tracing::warn!(collection = open.name, reason, "documents of a collection have to wait");
                }
                continue;
            }
            usable.push((document, Arc::clone(open)));
        }
        Ok(usable)
    }

    /// Stores what was read and hands it on.
    fn hand_on(&mut self) {
        self.store();
        let onward = std::mem::take(&mut self.onward);
        if !onward.is_empty() {
            self.board.queue(&onward);
        }
    }

    /// Stores what was read, in one transaction; where that fails, one by one, to tell whose fault it is.
    fn store(&mut self) {
        self.bytes = 0;
        let (documents, parsed): (Vec<&Document>, Vec<Parsed>) = self.read.drain(..).unzip();
        if documents.is_empty() {
            return;
        }
        let sizes: Vec<u64> = parsed.iter().map(|parsed| parsed.info.text_bytes).collect();
        let alone = documents.len() == 1;
        let copies = if alone { Vec::new() } else { parsed.clone() };
        let revisions = documents.iter().map(|document| document.revision);
        let rows = revisions.zip(parsed).collect();
        let mut stored = guard("storing texts", || Ok(self.shared.catalog.store_parsed(rows)?));
        if matches!(stored, Err(Trouble::Failed(_) | Trouble::Gone)) && !alone {
            for (document, parsed) in documents.into_iter().zip(copies) {
                self.read.push((document, parsed));
                self.store();
            }
            return;
        }
        if let Err(trouble) = &mut stored {
            return settle(self.shared, self.board, &documents, IndexStatus::ParsingFailed, trouble);
        }
        for ((document, size), wanted) in documents.iter().zip(sizes).zip(stored.unwrap_or_default()) {
            match wanted {
                true => self.onward.push((document.revision, size)),
                false => self.board.finish([document.revision]),
            }
        }
    }
}

/// Reads and cuts one document.
fn read(shared: &Shared, document: &Document, open: &OpenCollection) -> Result<Parsed, Trouble> {
    let service = embedder_of(shared, &open.name, &open.settings.space)?;
    let content = shared.catalog.view()?.content(document)?;
    let text_bytes = shared.options.text_bytes;
    let expanded_bytes = text_bytes.saturating_mul(EXPANDED);
    let limits = ExtractLimits { text_bytes, expanded_bytes, ..ExtractLimits::default() };
    let source = match &content {
        Content::Text(text) => Source::Text(text),
        Content::Pages { pages, continuous: true } => Source::Pages { pages, flow: PageFlow::Continuous },
        Content::Pages { pages, continuous: false } => Source::Pages { pages, flow: PageFlow::Separate },
        Content::File(bytes) => Source::File { name: &document.path, bytes },
    };
    let extracted = elodex_text::extract(source, &limits).map_err(failed)?;
    drop(content);
    let chunks = cut(&extracted, open, service.model())?;
    let language = match &open.settings.language {
        Some(code) => Language::from_code(code).unwrap_or(Language::Other),
        None => detect(&extracted.text),
    };
    let language = language.code().map(str::to_owned);
    let analyzer = analyzer_of(language.as_deref());
    let mut terms = 0;
    for chunk in &chunks {
        let content = &extracted.text[chunk.bytes.clone()];
        let text = chunk_text(extracted.title.as_deref(), &chunk.headings, content);
        terms += chunk_terms(&analyzer, &text).1;
    }
    let pages = extracted.pages.as_ref().map(|pages| u32::try_from(pages.len()).unwrap_or(u32::MAX));
    let info = ParsedInfo {
        title: extracted.title,
        language,
        media_type: media_type(extracted.format).to_owned(),
        pages,
        text_bytes: extracted.text.len() as u64,
        chunks: chunks.len() as u32,
        terms,
    };
    Ok(Parsed { info, text: extracted.text, pages: extracted.pages.unwrap_or_default(), chunks })
}

/// Cuts a text so that each chunk, behind title and headings, fits what the collection allows.
fn cut(extracted: &Extracted, open: &OpenCollection, embedder: &Embedder) -> Result<Vec<Chunk>, Trouble> {
    let tokenizer = embedder.tokenizer();
    // What cannot be tokenised in one go counts a token a byte: it has to be cut smaller.
    let count = |text: &str| tokenizer.encode(text).map_or(text.len(), |tokens| tokens.ids.len());
    let chunking = &open.settings.chunking;
    let title = extracted.title.as_deref().map_or(0, |title| count(cut_title(title)));
    let spec = ChunkSpec {
        // A title takes half at most: the chunk is cut when it is embedded, which is said.
        tokens: chunking.tokens - title.min(chunking.tokens / 2),
        overlap: chunking.overlap.min(chunking.tokens / 4),
        passage_chars: chunking.passage_chars,
        whole: chunking.whole,
    };
    let chunks = elodex_text::chunk(extracted, &spec, &count).map_err(failed)?;
    if chunks.len() > ChunkId::MAX_CHUNKS as usize {
        return Err(Trouble::Failed(format!(
            "the text makes {} chunks, at most {} are allowed; split the document, or use larger chunks",
            chunks.len(),
            ChunkId::MAX_CHUNKS
        )));
    }
    let passage = |passage: elodex_text::Passage| Passage { bytes: passage.bytes, chars: passage.chars };
    let chunk = |chunk: elodex_text::Chunk| Chunk {
        bytes: chunk.bytes,
        chars: chunk.chars,
        pages: chunk.pages,
        headings: chunk.headings,
        passages: chunk.passages.into_iter().map(passage).collect(),
    };
    Ok(chunks.into_iter().map(chunk).collect())
}

fn failed(error: elodex_text::Error) -> Trouble {
    Trouble::Failed(error.report())
}

/// What a format is called on the wire.
fn media_type(format: Format) -> &'static str {
    match format {
        Format::Text => "text/plain",
        Format::Markdown => "text/markdown",
        Format::Html => "text/html",
        Format::Csv => "text/csv",
        Format::Tsv => "text/tab-separated-values",
        Format::Json => "application/json",
        Format::JsonLines => "application/jsonl",
        Format::Pdf => "application/pdf",
        Format::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Format::Pptx => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => "application/octet-stream",
    }
}
