//! Collections as callers handle them: what a request leaves open is settled here, once and for the collection's life.

use crate::{Error, ErrorKind, Result, SearchEngine, error};
use elodex_models::Embedder;
use elodex_store::{CatalogView, Chunking, Collection, CollectionSettings, Counts, Precision, Space};
use elodex_text::lexical::Language;
use elodex_types::{CollectionInfo, CreateCollection, Role, StatusCounts, TruncationPolicy, Weights};

/// Characters and bytes a name may have.
const NAME_LENGTH: usize = 1_024;

/// Fewest tokens a chunk may have: less is no passage, and a heading would leave no room for text.
const LEAST_CHUNK_TOKENS: usize = 16;

/// Characters a fine passage may have.
const PASSAGE_CHARS: std::ops::RangeInclusive<usize> = 20..=10_000;

impl SearchEngine {
    /// Makes a collection and binds it to an embedder's space.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where the name is taken; [`ErrorKind::Request`](crate::ErrorKind::Request)
    /// for a name or a setting that is not allowed; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for the model.
    pub fn create_collection(&self, request: &CreateCollection) -> Result<CollectionInfo> {
        let settings = self.settle(request)?;
        let catalog = &self.shared.catalog;
        let collection = catalog.create_collection(&request.name, settings).map_err(error::of)?;
        if let Err(error) = self.shared.open_collection(&collection) {
            // Without an index nobody could use it, and its name would be taken.
            catalog.delete_collection(&request.name).map_err(error::of)?;
            return Err(error);
        }
        self.collection_info(&request.name)
    }

    /// The settings of a collection to make.
    fn settle(&self, request: &CreateCollection) -> Result<CollectionSettings> {
        check_name(&request.name)?;
        let (model, service) = self.shared.models.embedder(request.model.as_deref())?;
        let embedder = service.model();
        let dimensions = embedder
            .resolve_dimensions(request.dimensions)
            .map_err(|error| refused(format!("embedder `{model}`: {}", error.report())))?;
        let weights = request.weights.unwrap_or_default();
        check_weights(weights)?;
        let language = request.language.as_deref().map(language).transpose()?;
        Ok(CollectionSettings {
            chunking: self.chunking(request, &model, embedder)?,
            space: Space { model, fingerprint: embedder.fingerprint(dimensions), dimensions },
            language,
            precision: precision(request.precision.as_deref())?,
            weights,
            policy: None,
        })
    }

    /// How the documents of a collection to make are cut.
    fn chunking(&self, request: &CreateCollection, model: &str, embedder: &Embedder) -> Result<Chunking> {
        let options = &self.shared.options;
        let window = content_window(embedder);
        if window < LEAST_CHUNK_TOKENS {
            return Err(refused(format!(
                "embedder `{model}` reads {} tokens, and its document prompt leaves {window} of them for text, at least \
                 {LEAST_CHUNK_TOKENS} are needed; use another embedder",
                embedder.info().max_tokens
            )));
        }
        let whole = request.whole_documents.unwrap_or(false);
        let tokens = match request.chunk_tokens {
            Some(tokens) if !(LEAST_CHUNK_TOKENS..=window).contains(&tokens) => {
                return Err(refused(format!(
                    "chunk_tokens is {tokens}, but embedder `{model}` has room for {LEAST_CHUNK_TOKENS} to {window} \
                     tokens of a document beside its prompt"
                )));
            }
            Some(tokens) => tokens,
            None if whole => window,
            None => options.chunk_tokens.clamp(LEAST_CHUNK_TOKENS, window),
        };
        let overlap = match request.chunk_overlap {
            Some(overlap) if whole && overlap > 0 => {
                return Err(refused(format!(
                    "chunk_overlap is {overlap}, but whole documents have no neighbours to overlap; leave it out"
                )));
            }
            Some(overlap) if overlap > tokens / 2 => {
                return Err(refused(format!(
                    "chunk_overlap is {overlap}, at most half of chunk_tokens ({}) is allowed",
                    tokens / 2
                )));
            }
            Some(overlap) => overlap,
            None if whole => 0,
            None => options.chunk_overlap.min(tokens / 4),
        };
        let passage_chars = request.passage_chars.unwrap_or(options.passage_chars);
        if !PASSAGE_CHARS.contains(&passage_chars) {
            return Err(refused(format!(
                "passage_chars is {passage_chars}, it must lie between {} and {}",
                PASSAGE_CHARS.start(),
                PASSAGE_CHARS.end()
            )));
        }
        Ok(Chunking { tokens, overlap, passage_chars, whole })
    }

    /// All collections, by name.
    ///
    /// # Errors
    /// As the catalog fails.
    pub fn collections(&self) -> Result<Vec<CollectionInfo>> {
        let view = self.shared.catalog.view().map_err(error::of)?;
        let collections = view.collections().map_err(error::of)?;
        collections.into_iter().map(|collection| info(&*view, collection)).collect()
    }

    /// One collection.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    pub fn collection_info(&self, name: &str) -> Result<CollectionInfo> {
        let view = self.shared.catalog.view().map_err(error::of)?;
        let collection = view.collection(name).map_err(error::of)?;
        info(&*view, collection)
    }

    /// Changes a collection's fusion weights.
    ///
    /// # Errors
    /// [`ErrorKind::Request`](crate::ErrorKind::Request) for weights that are negative, not finite or both 0.
    pub fn set_weights(&self, name: &str, weights: Weights) -> Result<()> {
        check_weights(weights)?;
        let collection = self.known(name)?;
        self.shared.catalog.set_weights(collection.id, weights).map_err(error::of)
    }

    /// Removes a collection and everything in it. Its index goes a moment later.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    pub fn delete_collection(&self, name: &str) -> Result<()> {
        let collection = self.shared.catalog.delete_collection(name).map_err(error::of)?;
        if let Some(open) = self.shared.close_collection(collection.id) {
            self.ingestion.discard(open);
        }
        Ok(())
    }

    /// Documents by state, of one collection or of all.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    pub fn status(&self, collection: Option<&str>) -> Result<StatusCounts> {
        let view = self.shared.catalog.view().map_err(error::of)?;
        let collections = match collection {
            Some(name) => vec![view.collection(name).map_err(error::of)?],
            None => view.collections().map_err(error::of)?,
        };
        let mut sum = Counts::default();
        for collection in collections {
            let counts = view.counts(collection.id).map_err(error::of)?;
            sum.parsing += counts.parsing;
            sum.indexing += counts.indexing;
            sum.indexed += counts.indexed;
            sum.failed += counts.failed;
            sum.indexed_bytes += counts.indexed_bytes;
            sum.chunks += counts.chunks;
        }
        Ok(status(sum))
    }
}

/// Tokens of a document that a model reads beside its prompt and special tokens.
fn content_window(embedder: &Embedder) -> usize {
    let nothing = embedder.prepare("", Some(Role::Document), TruncationPolicy::Truncate);
    // A model that adds nothing of its own refuses to read nothing.
    let added = nothing.map_or(0, |nothing| nothing.truncation.seen);
    embedder.info().max_tokens.saturating_sub(added)
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::Request, message)
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(refused("a collection's name is empty; give it one".into()));
    }
    // A character has at least one byte.
    if name.len() > NAME_LENGTH {
        return Err(refused(format!(
            "collection name `{name:.60}…` has {} bytes, at most {NAME_LENGTH} are allowed",
            name.len()
        )));
    }
    Ok(())
}

pub(crate) fn check_weights(weights: Weights) -> Result<()> {
    let Weights { dense, lexical } = weights;
    let usable = |weight: f32| weight.is_finite() && weight >= 0.0;
    if !usable(dense) || !usable(lexical) || dense + lexical == 0.0 {
        return Err(refused(format!(
            "the weights are {dense} (dense) and {lexical} (lexical); use numbers from 0, not both 0"
        )));
    }
    Ok(())
}

/// The code of a language whose words are analysed in their own way.
fn language(code: &str) -> Result<String> {
    if let Some(known) = Language::from_code(code).and_then(Language::code) {
        return Ok(known.to_owned());
    }
    let letters = || b'a'..=b'z';
    let codes = letters().flat_map(|first| letters().map(move |second| [first, second].map(char::from)));
    let codes = codes.map(String::from_iter);
    let known: Vec<String> = codes.filter(|code| Language::from_code(code).is_some()).collect();
    Err(refused(format!(
        "language `{code:.40}` has no analysis of its own; known: {}; leave it out to have it detected",
        known.join(", ")
    )))
}

fn precision(name: Option<&str>) -> Result<Precision> {
    match name {
        None => Ok(Precision::default()),
        Some("f32") => Ok(Precision::F32),
        Some("int8") => Ok(Precision::Int8),
        Some(other) => Err(refused(format!("unknown precision `{other:.40}`; use `f32` or `int8`"))),
    }
}

/// A collection as callers see it.
fn info(view: &dyn CatalogView, collection: Collection) -> Result<CollectionInfo> {
    let counts = view.counts(collection.id).map_err(error::of)?;
    let CollectionSettings { space, chunking, language, precision, weights, policy } = collection.settings;
    Ok(CollectionInfo {
        name: collection.name,
        created: crate::documents::since_epoch(collection.created).as_secs(),
        model: space.model,
        fingerprint: space.fingerprint.to_string(),
        dimensions: space.dimensions,
        chunk_tokens: chunking.tokens,
        chunk_overlap: chunking.overlap,
        passage_chars: chunking.passage_chars,
        whole_documents: chunking.whole,
        language,
        precision: match precision {
            Precision::F32 => "f32".into(),
            Precision::Int8 => "int8".into(),
        },
        weights,
        policy,
        status: status(counts),
    })
}

/// Counts as ZeroEntropy gives them.
fn status(counts: Counts) -> StatusCounts {
    StatusCounts {
        num_documents: counts.parsing + counts.indexing + counts.indexed + counts.failed,
        num_parsing_documents: counts.parsing,
        num_indexing_documents: counts.indexing,
        num_indexed_documents: counts.indexed,
        num_failed_documents: counts.failed,
        num_indexed_bytes: counts.indexed_bytes,
        num_chunks: counts.chunks,
    }
}
