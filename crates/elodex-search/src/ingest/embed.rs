//! The second stage: texts of chunks to the embedder, many small documents in one request and large ones in many.

use super::board::Board;
use super::points::chunk_count;
use super::trouble::{Trouble, guard, settle};
use crate::collection::{OpenCollection, embedder_of};
use crate::engine::Shared;
use crate::lexical::read_chunks;
use elodex_engine::{EmbedService, ErrorKind, Pending};
use elodex_store::{Chunking, Document};
use elodex_types::{
    CallContext, EmbedRequest, EmbedResponse, IndexStatus, Latency, Role, SpaceFingerprint, TruncationPolicy,
};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Documents that are marked as being indexed in one transaction.
const TAKEN: usize = 128;

/// Bytes of text in a request, about: some batches of a small model, and no more than a second of work.
const REQUEST_BYTES: usize = 64 << 10;

/// Chunks of a document that are read at once.
const CHUNKS: u32 = 16;

/// Bytes of text per token of the model's window that are sent for one chunk: far more than any text has.
const BYTES_PER_TOKEN: usize = 64;

/// How long to wait for an embedder that is busy and does not say how long.
const BUSY_WAIT: Duration = Duration::from_millis(200);

/// The fairness key of ingestion's requests.
const KEY: &str = "ingestion";

/// A request with the embedder, and whose texts it holds.
#[derive(Debug)]
pub(super) struct Request {
    /// In the order of the request's texts.
    pub(super) pieces: Vec<Piece>,
    /// The vectors; none where the pieces have no chunks to embed.
    pub(super) answer: Answer,
}

/// See [`Request`].
#[derive(Debug)]
pub(super) enum Answer {
    /// Nothing was asked.
    Nothing,
    /// Under way.
    Pending(Pending<EmbedResponse>),
    /// Refused at once.
    Refused(elodex_engine::Error),
}

/// Some of a document's chunks.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) document: Arc<Document>,
    pub(super) open: Arc<OpenCollection>,
    /// Empty where the document's vectors are stored already, or it has no chunks.
    pub(super) ordinals: Range<u32>,
    /// Whether work on the document begins here.
    pub(super) first: bool,
    /// Whether the document ends here.
    pub(super) last: bool,
}

/// The embedding thread.
pub(super) fn run(shared: &Shared, board: &Board) {
    while let Some(revisions) = board.next_to_embed(TAKEN, REQUEST_BYTES as u64) {
        let mut stage = Stage { shared, board, gathered: None };
        let taken = guard("preparing documents for the embedder", || {
            let view = shared.catalog.view()?;
            let mut documents = Vec::with_capacity(revisions.len());
            for &revision in &revisions {
                let document = view.revision(revision)?;
                match document.filter(|document| embeddable(document.status)) {
                    Some(document) => documents.push(Arc::new(document)),
                    None => board.finish([revision]),
                }
            }
            drop(view);
            let wanted: Vec<_> = documents.iter().map(|document| document.revision).collect();
            let wanted = match wanted.is_empty() {
                true => Vec::new(),
                false => shared.catalog.begin(&wanted, IndexStatus::Indexing)?,
            };
            Ok((documents, wanted))
        });
        match taken {
            Ok((documents, wanted)) => stage.run(&documents, &wanted),
            Err(trouble) => {
                tracing::warn!(?trouble, "ingestion pauses and tries again");
                board.put_back(revisions);
            }
        }
    }
}

/// Whether a revision is at this stage.
fn embeddable(status: IndexStatus) -> bool {
    matches!(status, IndexStatus::NotIndexed | IndexStatus::Indexing)
}

/// Gathers texts into requests.
struct Stage<'a> {
    shared: &'a Shared,
    board: &'a Board,
    gathered: Option<Gathered>,
}

/// A request that is being put together.
struct Gathered {
    fingerprint: SpaceFingerprint,
    open: Arc<OpenCollection>,
    pieces: Vec<Piece>,
    texts: Vec<String>,
    bytes: usize,
}

impl Stage<'_> {
    fn run(&mut self, documents: &[Arc<Document>], wanted: &[bool]) {
        for (document, wanted) in documents.iter().zip(wanted) {
            if !wanted {
                self.board.finish([document.revision]);
                continue;
            }
            if self.board.stopping() {
                return;
            }
            if let Err(trouble) = guard("preparing the document", || self.document(document)) {
                self.withdraw(document);
                settle(self.shared, self.board, &[document], IndexStatus::IndexingFailed, &trouble);
            }
        }
        self.send();
    }

    /// Takes a document's texts in, sending what is full.
    fn document(&mut self, document: &Arc<Document>) -> Result<(), Trouble> {
        let Some(open) = self.shared.opened(document.collection)? else {
            return Err(Trouble::Later(format!("the collection of `{:.200}` is not open", document.path)));
        };
        let count = chunk_count(document);
        let begin = self.shared.catalog.view()?.embedded(document)?;
        let mut start = begin;
        loop {
            // A view of its own for each part: a large document takes minutes, and what is deleted meanwhile is freed.
            let view = self.shared.catalog.view()?;
            if !view.revision(document.revision)?.is_some_and(|document| embeddable(document.status)) {
                return Err(Trouble::Gone);
            }
            let ordinals = start..count.min(start + CHUNKS);
            let texts = texts_to_embed(&*view, document, &open.settings.chunking, ordinals.clone())?;
            drop(view);
            let (first, last) = (start == begin, ordinals.end == count);
            start = ordinals.end;
            let piece =
                Piece { document: Arc::clone(document), open: Arc::clone(&open), ordinals, first, last };
            self.take_in(piece, texts);
            // Given up by the writer: it begins anew where the stored vectors end.
            if last || self.board.stopping() || !self.board.works_on(document.revision) {
                return Ok(());
            }
        }
    }

    fn take_in(&mut self, piece: Piece, texts: Vec<String>) {
        let fingerprint = piece.open.settings.space.fingerprint;
        if self.gathered.as_ref().is_some_and(|gathered| gathered.fingerprint != fingerprint) {
            self.send();
        }
        let gathered = self.gathered.get_or_insert_with(|| Gathered {
            fingerprint,
            open: Arc::clone(&piece.open),
            pieces: Vec::new(),
            texts: Vec::new(),
            bytes: 0,
        });
        gathered.bytes += texts.iter().map(String::len).sum::<usize>();
        gathered.texts.extend(texts);
        gathered.pieces.push(piece);
        if gathered.bytes >= REQUEST_BYTES {
            self.send();
        }
    }

    /// Takes back what has been gathered of a document that fails; what has been sent of it is dropped by the writer.
    fn withdraw(&mut self, document: &Document) {
        let Some(gathered) = &mut self.gathered else { return };
        let mut kept = Vec::new();
        let mut texts = std::mem::take(&mut gathered.texts).into_iter();
        for piece in &gathered.pieces {
            let of_piece = texts.by_ref().take(piece.ordinals.len());
            match piece.document.revision == document.revision {
                true => drop(of_piece.collect::<Vec<_>>()),
                false => kept.extend(of_piece),
            }
        }
        gathered.texts = kept;
        gathered.pieces.retain(|piece| piece.document.revision != document.revision);
    }

    /// Sends what is gathered, as soon as the embedder may have it.
    fn send(&mut self) {
        let Some(gathered) = self.gathered.take() else { return };
        if gathered.pieces.is_empty() || !self.board.wait_for_room() {
            return;
        }
        let answer = match gathered.texts.is_empty() {
            true => Answer::Nothing,
            false => submit(self.shared, self.board, &gathered.open, gathered.texts),
        };
        self.board.sent(Request { pieces: gathered.pieces, answer });
    }
}

/// The texts of chunks as the embedder gets them: of a long chunk no more than fits the model's window for certain.
pub(super) fn texts_to_embed(
    view: &dyn elodex_store::CatalogView,
    document: &Document,
    chunking: &Chunking,
    ordinals: Range<u32>,
) -> elodex_store::Result<Vec<String>> {
    let most = chunking.tokens * BYTES_PER_TOKEN;
    let cut = |(_, mut text): (_, String)| {
        text.truncate(text.floor_char_boundary(most));
        text
    };
    Ok(read_chunks(view, document, ordinals)?.into_iter().map(cut).collect())
}

/// Sends texts to a collection's embedder, waiting while it is busy.
pub(super) fn submit(shared: &Shared, board: &Board, open: &OpenCollection, texts: Vec<String>) -> Answer {
    let space = &open.settings.space;
    let service: EmbedService = match embedder_of(shared, &open.name, space) {
        Ok(service) => service,
        Err(error) => return Answer::Refused(elodex_engine::Error::new(ErrorKind::Stopping, error.report())),
    };
    let request = EmbedRequest {
        model: space.model.clone(),
        role: Some(Role::Document),
        inputs: texts,
        dimensions: Some(space.dimensions),
        truncation: Some(TruncationPolicy::Truncate),
        latency: Latency::Slow,
    };
    loop {
        let context = CallContext { key: KEY.into(), deadline: None };
        match service.submit(request.clone(), context) {
            Ok(pending) => return Answer::Pending(pending),
            Err(error) if matches!(error.kind(), ErrorKind::QueueFull | ErrorKind::KeyLimit) => {
                if !board.pause(error.wait().unwrap_or(BUSY_WAIT)) {
                    return Answer::Refused(error);
                }
            }
            Err(error) => return Answer::Refused(error),
        }
    }
}
