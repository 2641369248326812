//! `tokenizer.json`, authoritative for special tokens, with truncation of content only.
//!
//! Special tokens that stand literally in a text are recognised as such, as the reference implementation does.

mod slices;

use crate::files::ModelFiles;
use crate::files::read::{self, MAX_TOKENIZER_BYTES};
use crate::{Error, ErrorKind, Result};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use tokenizers::{Encoding, Tokenizer};

/// A loaded tokenizer.
#[derive(Debug)]
pub struct TextTokenizer {
    inner: Tokenizer,
    single: Template,
    pair: Template,
    lower_case: bool,
    /// Where long texts may be cut to be tokenised slice by slice.
    cuts: slices::Cuts,
    vocab_size: usize,
    digest: [u8; 32],
}

/// Tokens without special tokens, with the code-point span of each in the text they came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Token ids.
    pub ids: Vec<u32>,
    /// `[start, end)` of each token in code points of the input text.
    pub spans: Vec<(usize, usize)>,
}

/// What the post-processor makes of one or two sequences, found out once: it does not depend on their tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Template(Vec<Piece>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Special { id: u32, segment: u32 },
    First { segment: u32 },
    Second { segment: u32 },
}

/// Stand for the first and the second sequence while the templates are found out. Vocabularies that reach so far are
/// refused on loading.
const FIRST: u32 = u32::MAX - 1;
const SECOND: u32 = u32::MAX;

impl TextTokenizer {
    /// Loads `tokenizer.json`; its own padding and truncation settings are switched off.
    pub fn load(files: &ModelFiles) -> Result<Self> {
        let dir = files.backbone_dir();
        let path = dir.join("tokenizer.json");
        if !path.is_file() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "`{}` has no tokenizer.json; save the model's fast tokenizer there (`save_pretrained` writes it)",
                    dir.display()
                ),
            ));
        }
        Self::from_bytes(&read::bytes(&path, MAX_TOKENIZER_BYTES)?, files.lower_case, &path)
    }

    /// A tokenizer from the bytes of `tokenizer.json`. `path` is for messages.
    pub fn from_bytes(bytes: &[u8], lower_case: bool, path: &Path) -> Result<Self> {
        let corrupt =
            |reason: &str| Error::new(ErrorKind::Corrupt, format!("`{}`: {reason}", path.display()));
        let built = guard(|| {
            let mut inner = Tokenizer::from_bytes(bytes)?;
            inner.with_truncation(None)?;
            inner.with_padding(None);
            let single = template(&inner, false)?;
            let pair = template(&inner, true)?;
            let words = inner.get_vocab(true).into_values().max();
            let specials = single.specials().chain(pair.specials()).max();
            // Words first: a vocabulary without any is no vocabulary.
            let last = words.map(|words| words.max(specials.unwrap_or_default()));
            Ok((inner, single, pair, last))
        });
        let (inner, single, pair, last) =
            built.map_err(|cause| corrupt("it is not a tokenizer that can be used").caused_by(cause))?;
        let Some(last) = last else {
            return Err(corrupt("its vocabulary is empty"));
        };
        if last >= FIRST {
            return Err(corrupt(&format!("its vocabulary reaches token id {last}, which no model has")));
        }
        for (template, sequences) in [(&single, 1), (&pair, 2)] {
            if !template.uses_each_once(sequences) {
                return Err(corrupt("its post-processor leaves out or repeats a sequence"));
            }
        }
        let digest = blake3::hash(bytes).into();
        let cuts = slices::allowed(&inner);
        Ok(Self { inner, single, pair, lower_case, cuts, vocab_size: last as usize + 1, digest })
    }

    /// Content tokens of `text`, without special tokens.
    ///
    /// # Errors
    /// [`ErrorKind::TooLong`] for a megabyte and more without a place to cut, which would take gigabytes to tokenise.
    pub fn encode(&self, text: &str) -> Result<Tokens> {
        let input: Cow<'_, str> = if self.lower_case { text.to_lowercase().into() } else { text.into() };
        let slices = slices::of(&input, self.cuts);
        if let Some(long) = slices.iter().find(|slice| slice.len() > slices::MAX_SLICE_BYTES) {
            let message = format!(
                "{} bytes of text from byte {} on have no place where this tokenizer can pause, at most {} are \
                 tokenised in one go; split the text, or put spaces between its words",
                long.len(),
                long.start,
                slices::MAX_SLICE_BYTES
            );
            return Err(Error::new(ErrorKind::TooLong, message));
        }
        let mut tokens = Tokens::default();
        let mut offset = 0;
        for slice in slices {
            let slice = &input[slice];
            let encoding = guard(|| self.inner.encode_char_offsets(slice, false)).map_err(|cause| {
                Error::new(ErrorKind::Corrupt, "tokenizer.json cannot tokenise this text").caused_by(cause)
            })?;
            tokens.ids.extend_from_slice(encoding.get_ids());
            let spans = encoding.get_offsets().iter();
            tokens.spans.extend(spans.map(|(start, end)| (offset + start, offset + end)));
            offset += slice.chars().count();
        }
        if self.lower_case {
            spans_before_lowering(text, &mut tokens.spans);
        }
        Ok(tokens)
    }

    /// Puts the tokenizer's own post-processor around one or two sequences of content ids: ids and segment ids.
    pub fn frame(&self, first: &[u32], second: Option<&[u32]>) -> (Vec<u32>, Vec<u32>) {
        let template = if second.is_some() { &self.pair } else { &self.single };
        let second = second.unwrap_or_default();
        let length = template.added() + first.len() + second.len();
        let mut ids = Vec::with_capacity(length);
        let mut segments = Vec::with_capacity(length);
        for piece in &template.0 {
            match *piece {
                Piece::Special { id, segment } => {
                    ids.push(id);
                    segments.push(segment);
                }
                Piece::First { segment } => {
                    ids.extend_from_slice(first);
                    segments.resize(ids.len(), segment);
                }
                Piece::Second { segment } => {
                    ids.extend_from_slice(second);
                    segments.resize(ids.len(), segment);
                }
            }
        }
        (ids, segments)
    }

    /// How many special tokens [`Self::frame`] adds to one sequence or a pair.
    pub fn frame_len(&self, pair: bool) -> usize {
        if pair { self.pair.added() } else { self.single.added() }
    }

    /// The tokens of ids, for `/tokenize`.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Size of the vocabulary with added tokens: every id is below it.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// blake3 of the tokenizer file.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

impl Template {
    fn specials(&self) -> impl Iterator<Item = u32> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Special { id, .. } => Some(*id),
            Piece::First { .. } | Piece::Second { .. } => None,
        })
    }

    fn added(&self) -> usize {
        self.specials().count()
    }

    fn uses_each_once(&self, sequences: usize) -> bool {
        let first = self.0.iter().filter(|piece| matches!(piece, Piece::First { .. })).count();
        let second = self.0.iter().filter(|piece| matches!(piece, Piece::Second { .. })).count();
        (first, second) == (1, sequences - 1)
    }
}

/// Runs the post-processor on sequences of one marker token each.
fn template(tokenizer: &Tokenizer, pair: bool) -> tokenizers::Result<Template> {
    let second = pair.then(|| content(&[SECOND], 1));
    let framed = tokenizer.post_process(content(&[FIRST], 0), second, true)?;
    let pieces = framed.get_ids().iter().zip(framed.get_type_ids()).map(|(&id, &segment)| match id {
        FIRST => Piece::First { segment },
        SECOND => Piece::Second { segment },
        id => Piece::Special { id, segment },
    });
    Ok(Template(pieces.collect()))
}

/// Content ids as the tokenizer hands them to its post-processor.
fn content(ids: &[u32], segment: u32) -> Encoding {
    let count = ids.len();
    Encoding::new(
        ids.to_vec(),
        vec![segment; count],
        vec!["x".to_owned(); count],
        vec![None; count],
        vec![(0, 1); count],
        vec![0; count],
        vec![1; count],
        vec![],
        Default::default(),
    )
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Turns a panic of the tokenizers crate into an error. Some of its paths index by what the file says (a template
/// that names a special token it does not define, an unknown token that is not in the vocabulary).
fn guard<T>(run: impl FnOnce() -> tokenizers::Result<T>) -> std::result::Result<T, Cause> {
    // Nothing outlives a panic half-changed: on loading the tokenizer is dropped, and encoding only reads it, except
    // for its word cache, whose lock it takes with `try_write` and skips when poisoned.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result,
        Err(payload) => {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
            Err(text.unwrap_or_else(|| "the tokenizer panicked".to_owned()).into())
        }
    }
}

/// Spans of the lower-cased text become spans of the text itself: one code point may lower to several.
fn spans_before_lowering(text: &str, spans: &mut [(usize, usize)]) {
    let mut origin = Vec::new();
    for (index, letter) in text.chars().enumerate() {
        origin.extend(std::iter::repeat_n(index, letter.to_lowercase().count()));
    }
    let count = text.chars().count();
    if origin.len() == count {
        return;
    }
    for (start, end) in spans {
        let last = end.checked_sub(1).filter(|last| last >= start);
        *start = origin.get(*start).copied().unwrap_or(count);
        *end = last.map_or(*start, |last| origin.get(last).map_or(count, |index| index + 1));
    }
}
