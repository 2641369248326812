//! PDF: the text layer, page by page.

mod filters;
mod guard;
mod load;
mod raw;

use super::{ExtractLimits, Extracted, Format, PageFlow, text_too_large};
use crate::{Error, ErrorKind, Result};
use pdf_extract::{
    ColorSpace, ConvertToFmt, Document, MediaBox, OutputDev, OutputError, Path, PlainTextOutput, Transform,
    decode_text_string,
};
use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;

pub(super) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Extracted> {
    raw::check(bytes, limits)?;
    // The parser panics on many a file that is not quite PDF, and there is no other way to make that an error. It works
    // on these bytes alone: whatever it leaves half done is dropped with it.
    let read = catch_unwind(AssertUnwindSafe(|| parse(bytes, limits)));
    read.unwrap_or_else(|panic| {
        let message = "the PDF cannot be parsed; repair it, or print it to PDF again";
        let ours = panic.downcast::<Error>().map(|error| *error);
        Err(ours.unwrap_or_else(|_| Error::new(ErrorKind::Malformed, message)))
    })
}

fn parse(bytes: &[u8], limits: &ExtractLimits) -> Result<Extracted> {
    let mut document = load::load(bytes, limits.expanded_bytes).map_err(malformed)?;
    if document.is_encrypted() && document.decrypt("").is_err() {
        return Err(Error::new(ErrorKind::Encrypted, "the PDF is encrypted; remove its password"));
    }
    let page_ids = document.get_pages();
    if page_ids.is_empty() {
        return Err(Error::new(ErrorKind::Malformed, "the PDF has no pages"));
    }
    guard::expand(&mut document, limits)?;
    guard::check(&document, limits)?;
    let mut pages = Pages::within(limits);
    if let Err(error) = pdf_extract::output_doc(&document, &mut pages) {
        if pages.is_full() {
            return Err(text_too_large(limits));
        }
        if pages.is_late {
            let message = format!(
                "reading the PDF takes more than {} seconds, of which page {} of {} was reached; split the document",
                limits.pdf_time.as_secs(),
                pages.done.len() + 1,
                page_ids.len()
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let message = format!("cannot read page {} of {} of the PDF", pages.done.len() + 1, page_ids.len());
        return Err(Error::new(ErrorKind::Malformed, message).caused_by(error));
    }
    if pages.done.iter().all(|page| page.trim().is_empty()) {
        let message = format!(
            "none of the PDF's {} pages has text: they may be pictures; run text recognition (OCR) over them",
            pages.done.len()
        );
        return Err(Error::new(ErrorKind::Empty, message));
    }
    let mut extracted =
        Extracted { title: title(&document), flow: PageFlow::Continuous, ..Extracted::plain(Format::Pdf) };
    for page in &pages.done {
        extracted.add_page(&tidy(page), limits)?;
    }
    Ok(extracted)
}

fn too_large(limit: usize) -> Error {
    let message =
        format!("the PDF expands to more than {limit} bytes; split the document, or raise the limit");
    Error::new(ErrorKind::TooLarge, message)
}

fn malformed(error: pdf_extract::Error) -> Error {
    use pdf_extract::Error as Cause;
    match error {
        Cause::Decryption(_) | Cause::InvalidPassword => {
            Error::new(ErrorKind::Encrypted, "the PDF is encrypted; remove its password").caused_by(error)
        }
        _ => Error::new(ErrorKind::Malformed, "cannot read the PDF; repair it, or print it to PDF again")
            .caused_by(error),
    }
}

fn title(document: &Document) -> Option<String> {
    let information = document.trailer.get_deref(b"Info", document).ok()?.as_dict().ok()?;
    let title = decode_text_string(information.get_deref(b"Title", document).ok()?).ok()?;
    let title = title.trim();
    (!title.is_empty()).then(|| title.to_owned())
}

/// A page without white space at the ends of lines, and with one empty line where the layout left several.
fn tidy(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    let mut empty = 0;
    for line in page.lines().map(str::trim_end) {
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if !text.is_empty() {
            text.push_str(if empty > 0 { "\n\n" } else { "\n" });
        }
        empty = 0;
        text.push_str(line);
    }
    text
}

/// Text of one page that grows until the document's limit.
#[derive(Clone)]
struct Page {
    text: Rc<RefCell<String>>,
    left: usize,
}

impl fmt::Write for Page {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let mut text = self.text.borrow_mut();
        text.push_str(part);
        if text.len() > self.left { Err(fmt::Error) } else { Ok(()) }
    }
}

impl ConvertToFmt for Page {
    type Writer = Self;
    fn convert(self) -> Self {
        self
    }
}

/// Collects the pages as the parser walks the document.
struct Pages {
    limit: usize,
    left: usize,
    done: Vec<String>,
    open: Option<(Page, PlainTextOutput<Page>)>,
    /// When the time is over; none where no clock reaches that far.
    until: Option<Instant>,
    is_late: bool,
}

impl Pages {
    fn within(limits: &ExtractLimits) -> Self {
        let until = Instant::now().checked_add(limits.pdf_time);
        let (limit, left) = (limits.text_bytes, limits.text_bytes);
        Self { limit, left, done: Vec::new(), open: None, until, is_late: false }
    }

    /// An error, which ends the parser's walk, when the time is over.
    fn check_time(&mut self) -> Result<(), OutputError> {
        self.is_late = self.until.is_some_and(|until| Instant::now() >= until);
        if self.is_late { Err(OutputError::FormatError(fmt::Error)) } else { Ok(()) }
    }

    fn is_full(&self) -> bool {
        let open = self.open.as_ref().map_or(0, |(page, _)| page.text.borrow().len());
        self.limit - self.left + open > self.limit
    }

    fn output(&mut self) -> Result<&mut PlainTextOutput<Page>, OutputError> {
        self.open.as_mut().map(|(_, output)| output).ok_or(OutputError::FormatError(fmt::Error))
    }
}

impl OutputDev for Pages {
    fn begin_page(
        &mut self,
        number: u32,
        media_box: &MediaBox,
        art_box: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        self.check_time()?;
        let page = Page { text: Rc::default(), left: self.left };
        let mut output = PlainTextOutput::new(page.clone());
        output.begin_page(number, media_box, art_box)?;
        self.open = Some((page, output));
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        if let Some((page, _)) = self.open.take() {
            let text = page.text.take();
            self.left = self.left.saturating_sub(text.len());
            self.done.push(text);
        }
        Ok(())
    }

    fn output_character(
        &mut self,
        position: &Transform,
        width: f64,
        spacing: f64,
        font_size: f64,
        character: &str,
    ) -> Result<(), OutputError> {
        self.output()?.output_character(position, width, spacing, font_size, character)
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        self.check_time()?;
        self.output()?.begin_word()
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        self.output()?.end_word()
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        self.output()?.end_line()
    }

    fn stroke(&mut self, _: &Transform, _: &ColorSpace, _: &[f64], _: &Path) -> Result<(), OutputError> {
        self.check_time()
    }

    fn fill(&mut self, _: &Transform, _: &ColorSpace, _: &[f64], _: &Path) -> Result<(), OutputError> {
        self.check_time()
    }
}
