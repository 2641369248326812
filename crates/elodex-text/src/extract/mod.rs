//! Files to text with pages, headings and exact offsets.

mod csv;
mod encoding;
mod file;
mod html;
mod json;
mod markdown;
mod office;
mod pdf;

use crate::{Error, ErrorKind, Result};
use std::ops::Range;
use std::time::Duration;

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
    /// Time that the pages of a PDF may take, whose cost no size tells; looked at before each page, word and drawing.
    pub pdf_time: Duration,
}

impl Default for ExtractLimits {
    fn default() -> Self {
        Self {
            text_bytes: 128 << 20,
            expanded_bytes: 512 << 20,
            pages: 1 << 20,
            pdf_time: Duration::from_secs(120),
        }
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
    /// Office Open XML presentation; a page per slide.
    Pptx,
}

/// Reads a source into text.
///
/// # Errors
/// [`ErrorKind::Unsupported`] names what was seen instead of text, [`ErrorKind::Malformed`] where a file breaks its
/// format, [`ErrorKind::Encrypted`], [`ErrorKind::Empty`] where a PDF holds pictures only, [`ErrorKind::TooLarge`] over a
/// limit.
pub fn extract(source: Source<'_>, limits: &ExtractLimits) -> Result<Extracted> {
    match source {
        Source::Text(text) => {
            let mut extracted = Extracted::plain(Format::Text);
            check_text(text.len(), limits)?;
            text.clone_into(&mut extracted.text);
            Ok(extracted)
        }
        Source::Pages { pages, flow } => {
            let mut extracted = Extracted { flow, ..Extracted::plain(Format::Text) };
            for page in pages {
                extracted.add_page(page, limits)?;
            }
            extracted.pages.get_or_insert_default();
            Ok(extracted)
        }
        Source::File { name, bytes } => file::read(name, bytes, limits),
    }
}

impl Extracted {
    /// An empty document.
    fn plain(format: Format) -> Self {
        Self {
            text: String::new(),
            pages: None,
            flow: PageFlow::Continuous,
            title: None,
            headings: Vec::new(),
            format,
        }
    }

    /// Adds a page behind the others.
    fn add_page(&mut self, page: &str, limits: &ExtractLimits) -> Result<()> {
        let pages = self.pages.get_or_insert_default();
        if pages.len() >= limits.pages {
            let message =
                format!("the document has more than {} pages; split it into several documents", limits.pages);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        if !pages.is_empty() {
            self.text.push('\n');
        }
        let start = self.text.len();
        check_text(start.saturating_add(page.len()), limits)?;
        self.text.push_str(page);
        pages.push(start..self.text.len());
        Ok(())
    }
}

/// Refuses a text of `bytes` bytes that is over the limit.
fn check_text(bytes: usize, limits: &ExtractLimits) -> Result<()> {
    if bytes <= limits.text_bytes {
        return Ok(());
    }
    Err(text_too_large(limits))
}

fn text_too_large(limits: &ExtractLimits) -> Error {
    let message = format!(
        "the text takes more than {} bytes; split the document, or raise the limit",
        limits.text_bytes
    );
    Error::new(ErrorKind::TooLarge, message)
}
