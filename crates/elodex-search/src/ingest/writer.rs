//! The third stage: vectors to the catalog, points to the index, and the word that makes a document searchable.
//!
//! One thread writes to all indexes. So what it has read in the catalog's log is in an index for certain: additions
//! were written before they could be logged as live, removals are applied when they are read.

use super::board::{Board, Turn};
use super::embed::{Answer, Piece, Request, submit, texts_to_embed};
use super::points::{chunk_count, mean_terms, remove, upsert};
use super::trouble::{Trouble, guard, settle};
use super::upkeep::Upkeep;
use crate::collection::OpenCollection;
use crate::engine::Shared;
use elodex_engine::ErrorKind;
use elodex_store::{CollectionId, Document, Published, VectorSlice};
use elodex_types::{EmbedResponse, IndexStatus, Revision};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Documents, bytes of vectors and time after which what is complete is written, though more answers wait.
const WRITTEN: usize = 256;
const WRITTEN_BYTES: usize = 8 << 20;
const WRITTEN_AFTER: Duration = Duration::from_millis(200);

/// Bytes of a document's vectors, and time, after which they are stored, though the document is not complete: what is
/// lost with a kill, and has to be in memory.
const SLICE_BYTES: usize = 256 << 10;
const SLICE_AFTER: Duration = Duration::from_secs(2);

/// The writing thread.
pub(super) struct Writer<'a> {
    shared: &'a Shared,
    board: &'a Board,
    /// The document whose vectors are coming in.
    partial: Option<Incoming>,
    complete: Vec<Incoming>,
    complete_bytes: usize,
    /// When something was last written.
    written: Instant,
    upkeep: Upkeep<'a>,
}

/// A document with those of its vectors that came and are not stored yet.
struct Incoming {
    document: Arc<Document>,
    open: Arc<OpenCollection>,
    /// The chunk whose vector comes first, and the one behind the last.
    first: u32,
    end: u32,
    vectors: Vec<f32>,
    /// When vectors of it were last stored, or it began.
    since: Instant,
}

impl Incoming {
    fn beginning(piece: &Piece) -> Self {
        Self {
            document: Arc::clone(&piece.document),
            open: Arc::clone(&piece.open),
            first: piece.ordinals.start,
            end: piece.ordinals.start,
            vectors: Vec::new(),
            since: Instant::now(),
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.vectors[..])
    }

    fn slice(&self) -> VectorSlice {
        VectorSlice { revision: self.document.revision, first: self.first, vectors: self.vectors.clone() }
    }
}

impl<'a> Writer<'a> {
    pub(super) fn new(shared: &'a Shared, board: &'a Board) -> Self {
        Self {
            shared,
            board,
            partial: None,
            complete: Vec::new(),
            complete_bytes: 0,
            written: Instant::now(),
            upkeep: Upkeep::new(shared, board),
        }
    }

    /// Works until threads are to stop; then writes what is complete and flushes the indexes.
    pub(super) fn run(&mut self) {
        loop {
            let (until, idle_from) = self.upkeep.due();
            match self.board.next_turn(until, idle_from) {
                Turn::Request(request) => {
                    self.take_in(request);
                    self.store_slice(SLICE_BYTES, SLICE_AFTER);
                    let enough = self.complete.len() >= WRITTEN
                        || self.complete_bytes >= WRITTEN_BYTES
                        || self.written.elapsed() >= WRITTEN_AFTER;
                    if enough || !self.board.has_requests() {
                        self.write_complete();
                    }
                }
                Turn::Other => self.upkeep.events(),
                Turn::Idle => self.upkeep.idle(),
                Turn::Stop => break,
            }
        }
        self.board.withdraw_requests();
        self.store_slice(0, Duration::ZERO);
        self.write_complete();
        self.upkeep.end();
    }

    /// Waits for a request's answer and adds it to the documents it is of.
    fn take_in(&mut self, request: Request) {
        let answer = match request.answer {
            Answer::Nothing => Ok(None),
            Answer::Pending(pending) => pending.wait().map(Some),
            Answer::Refused(error) => Err(error),
        };
        match answer {
            Ok(None) => request.pieces.iter().for_each(|piece| self.add(piece, &[])),
            Ok(Some(response)) => self.distribute(&request.pieces, &response),
            Err(error) if error.kind() == ErrorKind::Stopping => {
                for piece in &request.pieces {
                    self.give_up(piece, &Trouble::Later(error.report()));
                }
            }
            // A request fails as a whole, and so may a batch of the embedder with others in it: ask again one by one,
            // to fail only what fails by itself.
            Err(_) => request.pieces.iter().for_each(|piece| self.ask_alone(piece)),
        }
    }

    /// Embeds one piece, waiting for it.
    fn ask_alone(&mut self, piece: &Piece) {
        let asked = guard("embedding the document", || {
            let ordinals = piece.ordinals.clone();
            let view = self.shared.catalog.view()?;
            let texts = texts_to_embed(&*view, &piece.document, &piece.open.settings.chunking, ordinals)?;
            drop(view);
            if texts.is_empty() {
                return Ok(None);
            }
            let answer = match submit(self.shared, self.board, &piece.open, texts) {
                Answer::Nothing => return Ok(None),
                Answer::Pending(pending) => pending.wait(),
                Answer::Refused(error) => Err(error),
            };
            answer.map(Some).map_err(|error| match error.kind() {
                ErrorKind::Stopping | ErrorKind::QueueFull | ErrorKind::KeyLimit => {
                    Trouble::Later(error.report())
                }
                _ => Trouble::Failed(error.report()),
            })
        });
        match asked {
            Ok(None) => self.add(piece, &[]),
            Ok(Some(response)) => self.distribute(std::slice::from_ref(piece), &response),
            Err(trouble) => self.give_up(piece, &trouble),
        }
    }

    /// Gives each piece its vectors.
    fn distribute(&mut self, pieces: &[Piece], response: &EmbedResponse) {
        let mut rows = &response.embeddings[..];
        let mut receipts = &response.truncations[..];
        for piece in pieces {
            let count = piece.ordinals.len();
            let (Some((own, others)), Some((own_receipts, other_receipts))) =
                (rows.split_at_checked(count), receipts.split_at_checked(count))
            else {
                let message =
                    format!("{} vectors came for the chunks of several documents", response.embeddings.len());
                self.give_up(piece, &Trouble::Failed(message));
                continue;
            };
            (rows, receipts) = (others, other_receipts);
            if !piece.open.settings.chunking.whole
                && let Some(cut) = own_receipts.iter().find(|receipt| receipt.used < receipt.seen)
            {
                let path = &piece.document.path;
                tracing::warn!(path, seen = cut.seen, used = cut.used, "the end of a chunk was not embedded");
            }
            piece.open.embedded.fetch_add(count as u64, Ordering::Relaxed);
            self.add(piece, own);
        }
    }

    /// Adds vectors to the document they are of.
    fn add(&mut self, piece: &Piece, rows: &[Arc<[f32]>]) {
        let revision = piece.document.revision;
        if piece.first {
            self.partial = Some(Incoming::beginning(piece));
        }
        let Some(mut partial) = self.partial.take_if(|partial| partial.document.revision == revision) else {
            // Given up before.
            return;
        };
        for row in rows {
            partial.vectors.extend_from_slice(row);
        }
        partial.end = piece.ordinals.end;
        if piece.last {
            self.complete_bytes += partial.bytes();
            self.complete.push(partial);
        } else {
            self.partial = Some(partial);
        }
    }

    /// Stores what has come of a document that is not complete, where that is `bytes` or the last is `time` ago.
    fn store_slice(&mut self, bytes: usize, time: Duration) {
        let due = |partial: &mut Incoming| {
            !partial.vectors.is_empty() && (partial.bytes() >= bytes || partial.since.elapsed() >= time)
        };
        let Some(mut partial) = self.partial.take_if(due) else { return };
        let stored =
            guard("storing vectors", || Ok(self.shared.catalog.store_vectors(vec![partial.slice()])?));
        match stored.as_deref() {
            Ok([true]) => {
                partial.first = partial.end;
                partial.vectors.clear();
                partial.since = Instant::now();
                self.partial = Some(partial);
            }
            Ok(_) => self.board.finish([partial.document.revision]),
            Err(trouble) => {
                let status = IndexStatus::IndexingFailed;
                settle(self.shared, self.board, &[&partial.document], status, trouble);
            }
        }
    }

    /// Ends or puts off a document of which a piece is in trouble.
    fn give_up(&mut self, piece: &Piece, trouble: &Trouble) {
        if matches!(trouble, Trouble::Later(_)) {
            self.store_slice(0, Duration::ZERO);
        }
        let of_piece = |partial: &mut Incoming| partial.document.revision == piece.document.revision;
        let begun = self.partial.take_if(of_piece).is_some();
        // Later pieces of what was given up come here no more than once.
        if begun || piece.first {
            settle(self.shared, self.board, &[&piece.document], IndexStatus::IndexingFailed, trouble);
        }
    }

    /// Writes what is complete, together; where that fails, one by one, to tell whose fault it is.
    fn write_complete(&mut self) {
        self.written = Instant::now();
        self.complete_bytes = 0;
        let batch = std::mem::take(&mut self.complete);
        if batch.is_empty() {
            return;
        }
        let written = guard("indexing documents", || self.write(&batch));
        let Err(trouble) = written else { return };
        if batch.len() == 1 || matches!(trouble, Trouble::Later(_)) {
            return self.not_written(&batch, &trouble);
        }
        for alone in batch.chunks(1) {
            if let Err(trouble) = guard("indexing the document", || self.write(alone)) {
                self.not_written(alone, &trouble);
            }
        }
    }

    /// Ends or puts off documents that could not be written; points of what failed leave the index.
    fn not_written(&mut self, batch: &[Incoming], trouble: &Trouble) {
        let documents: Vec<&Document> = batch.iter().map(|complete| &*complete.document).collect();
        settle(self.shared, self.board, &documents, IndexStatus::IndexingFailed, trouble);
        if matches!(trouble, Trouble::Later(_)) {
            return;
        }
        for Incoming { document, open, .. } in batch {
            let removed = guard("removing points", || {
                let now = self.shared.catalog.view()?.revision(document.revision)?;
                if !now.is_some_and(|now| now.live) && self.shared.opened(open.id)?.is_some() {
                    remove(&*open.index, &[(document.revision, chunk_count(document))])?;
                    self.upkeep.changed(open, 0, Duration::ZERO);
                }
                Ok(())
            });
            if let Err(trouble) = removed {
                let path = &document.path;
                tracing::warn!(path, ?trouble, "points of a failed document stay until the next start");
            }
        }
    }

    /// Stores vectors, writes points, and publishes.
    fn write(&mut self, batch: &[Incoming]) -> Result<(), Trouble> {
        let stored = self.shared.catalog.store_vectors(batch.iter().map(Incoming::slice).collect())?;
        let mut by_collection: BTreeMap<CollectionId, Vec<&Incoming>> = BTreeMap::new();
        for (complete, stored) in batch.iter().zip(stored) {
            let gone = self.shared.opened(complete.open.id)?.is_none();
            match stored && !gone {
                true => by_collection.entry(complete.open.id).or_default().push(complete),
                false => self.board.finish([complete.document.revision]),
            }
        }
        for of_collection in by_collection.values() {
            self.upsert(of_collection)?;
        }
        let revisions: Vec<Revision> =
            by_collection.values().flatten().map(|complete| complete.document.revision).collect();
        let published = self.shared.catalog.publish(&revisions)?;
        let mut published = published.into_iter();
        for of_collection in by_collection.values() {
            let Some(first) = of_collection.first() else { continue };
            let superseded: Vec<(Revision, u32)> = of_collection
                .iter()
                .zip(published.by_ref())
                .filter(|(_, published)| *published == Published::Superseded)
                .map(|(complete, _)| (complete.document.revision, chunk_count(&complete.document)))
                .collect();
            remove(&*first.open.index, &superseded)?;
            self.upkeep.apply_log(&first.open);
        }
        self.board.change(|state| {
            state.feed.succeeded();
            revisions.iter().for_each(|&revision| state.feed.finish(revision));
        });
        Ok(())
    }

    /// Writes the points of documents of one collection.
    fn upsert(&mut self, of_collection: &[&Incoming]) -> Result<(), Trouble> {
        let Some(first) = of_collection.first() else { return Ok(()) };
        let open = &first.open;
        let documents: Vec<&Document> = of_collection.iter().map(|complete| &*complete.document).collect();
        let average = self.average(open, &documents)?;
        let view = self.shared.catalog.view()?;
        let upkeep = &mut self.upkeep;
        let mut wrote = |points, took| upkeep.wrote(open, points, took);
        Ok(upsert(&*view, &*open.index, &documents, average, &mut wrote)?)
    }

    /// The average length of a chunk to assume; that of the first documents where a collection has none yet.
    fn average(&self, open: &OpenCollection, documents: &[&Document]) -> Result<f32, Trouble> {
        if let Some(average) = open.average() {
            return Ok(average);
        }
        let parsed = || documents.iter().filter_map(|document| document.parsed.as_ref());
        let terms = parsed().map(|parsed| parsed.terms).sum();
        let chunks = parsed().map(|parsed| u64::from(parsed.chunks)).sum();
        let Some(average) = mean_terms(terms, chunks) else {
            // No chunk, so no weight.
            return Ok(1.0);
        };
        self.shared.catalog.set_average_terms(open.id, average)?;
        open.set_average(average);
        Ok(average)
    }
}
