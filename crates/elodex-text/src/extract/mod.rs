//! Files to text with pages, headings and exact offsets.

use crate::{Error, ErrorKind, Result};
use std::ops::Range;

/// What a document is made of.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A plain text without pages.
    Text(&'a str),
    /// Pages that somebody else has read.
    Pages {
        /// The pages, in order.
        pages: &'a [String],
        /// Whether they belong together.
        flow: PageFlow,
    },
    /// A file: its format is read from its bytes, and from the extension of its name where the bytes do not tell.
    File {
        /// File name or path.
        name: &'a str,
        /// Content.
        bytes: &'a [u8],
    },
}

/// Whether a sentence may run on from one page to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PageFlow {
    /// Pages of one running text, as in a book: a chunk may cross them.
    #[default]
    Continuous,
    /// Each page stands alone, as the rows of a table do: no chunk crosses them.
    Separate,
}

/// What [`extract`] refuses to exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtractLimits {
    /// Bytes of the extracted text.
    pub text_bytes: usize,
    /// Bytes that the compressed parts of one file may expand to.
    pub expanded_bytes: usize,
    /// Pages of one document.
    pub pages: usize,
}

impl Default for ExtractLimits {
    fn default() -> Self {
        Self { text_bytes: 128 << 20, expanded_bytes: 512 << 20, pages: 1 << 20 }
    }
}

/// A document's text and what is known about its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// The whole text. Where there are pages it is the pages joined by one line feed.
    pub text: String,
    /// Byte range of each page in `text`, without the line feed between two; `None`: a format without pages.
    pub pages: Option<Vec<Range<usize>>>,
    /// Whether the pages belong together.
    pub flow: PageFlow,
    /// The title the document gives itself.
    pub title: Option<String>,
    /// Its headings, in order.
    pub headings: Vec<Heading>,
    /// What it was read as.
    pub format: Format,
}

/// A heading of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// Byte offset in the text at which its section begins: the heading itself is the section's first line.
    pub at: usize,
    /// Depth, 1 the outermost.
    pub level: u8,
    /// The heading without markup.
    pub text: String,
}

/// Formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Plain text in any usual encoding.
    Text,
    /// Markdown; kept as it is written.
    Markdown,
    /// HTML, without its markup.
    Html,
    /// Comma-separated values; each row as `column: value` lines.
    Csv,
    /// Tab-separated values; each row as `column: value` lines.
    Tsv,
    /// JSON; each value as a `path: value` line.
    Json,
    /// One JSON value a line; a page each.
    JsonLines,
    /// PDF; its text layer.
    Pdf,
    /// Office Open XML text document.
    Docx,
}

/// Reads a source into text.
///
/// # Errors
/// [`ErrorKind::Unsupported`] names what was seen instead of text, [`ErrorKind::Malformed`] where a file breaks its
/// format, [`ErrorKind::Encrypted`], [`ErrorKind::TooLarge`] over a limit.
pub fn extract(source: Source<'_>, limits: &ExtractLimits) -> Result<Extracted> {
    let _ = limits;
    match source {
        Source::Text(text) => Ok(Extracted {
            text: text.to_owned(),
            pages: None,
            flow: PageFlow::Continuous,
            title: None,
            headings: Vec::new(),
            format: Format::Text,
        }),
        _ => Err(Error::new(ErrorKind::Unsupported, "only a plain text is read yet")),
    }
}
