//! Documents as callers handle them: checks, then the catalog, then a word to ingestion.

use crate::collection::bound_embedder;
use crate::lexical::read_chunks;
use crate::{Error, ErrorKind, Result, SearchEngine, error};
use elodex_store::{Accepted, CatalogView, Change, Collection, Document, UsageKind};
use elodex_types::{
    Content, DocumentInfo, IndexStatus, Metadata, NewDocument, PageInfo, Revision, validate_metadata,
};
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Bytes a path may have.
const PATH_BYTES: usize = 1_024;

/// Documents read at once where all are.
const READ: usize = 256;

/// A chunk as models read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkText {
    /// Of its document.
    pub path: String,
    /// Where it lies in the document's text, in code points.
    pub chars: Range<usize>,
    /// The document's title, the headings above it and its own text, each once.
    pub text: String,
}

impl SearchEngine {
    /// Accepts documents, all or none; they are on disk when this returns and searchable a little later.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) for a path that exists where not `overwrite`;
    /// [`ErrorKind::Request`](crate::ErrorKind::Request) for an empty or over-long path (1,024 bytes) or bad metadata;
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge). What [`Models::embedder`](crate::Models::embedder) says, and
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict), where the collection's embedder is not served as it was.
    pub fn add(
        &self,
        collection: &str,
        documents: Vec<NewDocument>,
        overwrite: bool,
    ) -> Result<Vec<Accepted>> {
        let mut sizes = Vec::with_capacity(documents.len());
        for document in &documents {
            self.check(document)?;
            sizes.push(document.content.bytes());
        }
        let collection = self.known(collection)?;
        bound_embedder(&self.shared, &collection)?;
        self.ingestion.unblock(collection.id);
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let accepted = self.shared.catalog.put(collection.id, documents, overwrite).map_err(error::of)?;
        self.ingestion.wake();
        for bytes in sizes {
            self.shared.usage.record(UsageKind::Documents, &collection.name, bytes);
        }
        Ok(accepted)
    }

    /// Bytes of content that a document has at most.
    pub fn document_bytes(&self) -> u64 {
        self.shared.options.document_bytes
    }

    /// What is checked of a document before it is accepted.
    fn check(&self, document: &NewDocument) -> Result<()> {
        let path = &document.path;
        let refused = |message: String| Err(Error::new(ErrorKind::Request, message));
        if path.is_empty() {
            return refused("a document's path is empty; give each document a path of its own".into());
        }
        if path.len() > PATH_BYTES {
            return refused(format!(
                "path `{path:.60}…` has {} bytes, at most {PATH_BYTES} are allowed",
                path.len()
            ));
        }
        if let Err(message) = validate_metadata(&document.metadata) {
            return refused(format!("document `{path:.200}`: {message}"));
        }
        let (bytes, most) = (document.content.bytes(), self.shared.options.document_bytes);
        if bytes > most {
            let message = format!(
                "document `{path:.200}` has {bytes} bytes, at most {most} are allowed; split it, or raise the limit"
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }

    /// Replaces a document's metadata or, after a failure, tries it again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound); [`ErrorKind::Request`](crate::ErrorKind::Request) where its
    /// status does not allow it: metadata can be replaced of an indexed document, `not_parsed` can be asked for after a
    /// failed parse and `not_indexed` after a failed indexing, so never both.
    pub fn update(
        &self,
        collection: &str,
        path: &str,
        metadata: Option<Metadata>,
        retry: Option<IndexStatus>,
    ) -> Result<()> {
        let collection = self.known(collection)?;
        let change = match (metadata, retry) {
            (None, None) => {
                let view = self.shared.catalog.view().map_err(error::of)?;
                view.document(collection.id, path).map_err(error::of)?;
                return Ok(());
            }
            (Some(_), Some(status)) => {
                let message = format!(
                    "metadata is replaced of an indexed document and `{status}` asked of a failed one, never both of \
                     `{path:.200}` at once; send two updates"
                );
                return Err(Error::new(ErrorKind::Request, message));
            }
            (Some(metadata), None) => {
                validate_metadata(&metadata).map_err(|message| Error::new(ErrorKind::Request, message))?;
                Change::Metadata(metadata)
            }
            (None, Some(status @ (IndexStatus::NotParsed | IndexStatus::NotIndexed))) => {
                Change::Retry(status)
            }
            (None, Some(other)) => {
                let message =
                    format!("a document cannot be set to `{other}`; usable: `not_parsed`, `not_indexed`");
                return Err(Error::new(ErrorKind::Request, message));
            }
        };
        let retried = matches!(change, Change::Retry(_));
        self.shared.catalog.update(collection.id, path, change).map_err(error::of)?;
        if retried {
            // The same revision is pending again, and ingestion has passed it.
            self.ingestion.rescan();
        }
        self.ingestion.wake();
        Ok(())
    }

    /// Deletes documents; returns the paths that existed.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where none did.
    pub fn delete(&self, collection: &str, paths: &[String]) -> Result<Vec<String>> {
        let collection = self.known(collection)?;
        let deleted = self.shared.catalog.delete(collection.id, paths).map_err(error::of)?;
        if let (true, Some(path)) = (deleted.is_empty(), paths.first()) {
            let others = match paths.len() - 1 {
                0 => String::new(),
                others => format!(" nor any of the {others} others"),
            };
            let message = format!("collection `{}` has no document `{path:.200}`{others}", collection.name);
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        self.ingestion.forget(collection.id, self.shared.opened(collection.id)?.as_deref());
        Ok(deleted)
    }

    /// A document's newest version; its text where asked for and parsed.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    pub fn document(
        &self,
        collection: &str,
        path: &str,
        include_content: bool,
    ) -> Result<(DocumentInfo, Revision)> {
        let view = self.shared.catalog.view().map_err(error::of)?;
        let collection = view.collection(collection).map_err(error::of)?;
        let document = view.document(collection.id, path).map_err(error::of)?;
        let content = match &document.parsed {
            Some(parsed) if include_content => {
                Some(view.text(&document, 0..text_length(parsed.text_bytes)).map_err(error::of)?)
            }
            _ => None,
        };
        let revision = document.revision;
        Ok((info(&collection, document, content), revision))
    }

    /// Documents ascending by the bytes of their paths, strictly after `after`, under `prefix`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    pub fn documents(
        &self,
        collection: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(DocumentInfo, Revision)>> {
        let view = self.shared.catalog.view().map_err(error::of)?;
        let collection = view.collection(collection).map_err(error::of)?;
        let documents = view.documents(collection.id, prefix, after, limit).map_err(error::of)?;
        let with_revision = |document: Document| {
            let revision = document.revision;
            (info(&collection, document, None), revision)
        };
        Ok(documents.into_iter().map(with_revision).collect())
    }

    /// Hands over every chunk that can be found at one moment, by path and then in order.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    pub fn each_chunk(&self, collection: &str, accept: &mut dyn FnMut(ChunkText)) -> Result<()> {
        let view = self.shared.catalog.view().map_err(error::of)?;
        let collection = view.collection(collection).map_err(error::of)?;
        let mut after: Option<String> = None;
        loop {
            let documents = view.live_documents(collection.id, after.as_deref(), READ).map_err(error::of)?;
            let Some(last) = documents.last() else { return Ok(()) };
            after = Some(last.path.clone());
            for document in documents {
                let chunks = document.parsed.as_ref().map_or(0, |parsed| parsed.chunks);
                for (chunk, text) in read_chunks(&*view, &document, 0..chunks).map_err(error::of)? {
                    accept(ChunkText { path: document.path.clone(), chars: chunk.chars, text });
                }
            }
        }
    }

    /// A page. A document without pages has one, its whole text.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    pub fn page(
        &self,
        collection: &str,
        path: &str,
        page: u32,
        include_content: bool,
    ) -> Result<(PageInfo, Revision)> {
        let view = self.shared.catalog.view().map_err(error::of)?;
        let collection = view.collection(collection).map_err(error::of)?;
        let document = view.document(collection.id, path).map_err(error::of)?;
        let pages = document.parsed.as_ref().map_or(1, |parsed| parsed.pages.unwrap_or(1));
        if page >= pages {
            let known = match &document.parsed {
                Some(_) => format!("it has {pages}, counted from 0"),
                None => format!("it is `{}`, and its pages are not known yet", document.status),
            };
            let message = format!("document `{path:.200}` has no page {page}: {known}");
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        let content = match &document.parsed {
            Some(_) if include_content => Some(page_text(&*view, &document, page)?),
            _ => None,
        };
        // The page takes the place of random bits only, so this is a version 4 UUID again.
        let id = Uuid::from_u128(document.id.as_u128() ^ (u128::from(page) + 1));
        let info =
            PageInfo { id: id.to_string(), collection: collection.name, path: document.path, page, content };
        Ok((info, document.revision))
    }

    /// A version's content as it was sent, with its path.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where the version is gone.
    pub fn file(&self, revision: Revision) -> Result<(String, Content)> {
        let view = self.shared.catalog.view().map_err(error::of)?;
        let Some(document) = view.revision(revision).map_err(error::of)? else {
            let message = format!("version {revision} is gone; ask for its document again");
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        let content = view.content(&document).map_err(error::of)?;
        Ok((document.path, content))
    }

    /// The collection of that name, open or not.
    pub(crate) fn known(&self, name: &str) -> Result<Collection> {
        self.shared.catalog.view().and_then(|view| view.collection(name)).map_err(error::of)
    }
}

/// The text of a page that is there.
fn page_text(view: &dyn CatalogView, document: &Document, page: u32) -> Result<String> {
    let bytes = match &document.parsed {
        Some(parsed) if parsed.pages.is_none() => 0..text_length(parsed.text_bytes),
        _ => view.page(document, page).map_err(error::of)?,
    };
    view.text(document, bytes).map_err(error::of)
}

/// A document as callers see it.
fn info(collection: &Collection, document: Document, content: Option<String>) -> DocumentInfo {
    DocumentInfo {
        id: document.id.to_string(),
        collection: collection.name.clone(),
        path: document.path,
        metadata: document.metadata,
        status: document.status,
        failure: document.failure,
        created_ms: u64::try_from(since_epoch(document.created).as_millis()).unwrap_or(u64::MAX),
        size: document.size,
        pages: document.parsed.and_then(|parsed| parsed.pages),
        content,
        file_url: String::new(),
    }
}

/// Time since 1970; none for a clock set before.
pub(crate) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A text's length as a position in it.
fn text_length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
