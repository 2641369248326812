//! PDF: the text layer, page by page.

mod filters;
mod layout;
mod raw;

use super::{ExtractLimits, Extracted, Format, PageFlow, text_too_large};
use crate::{Error, ErrorKind, Result};
use encoding_rs::UTF_16BE;
use filters::Filter;
use hayro_interpret::font::{Glyph, GlyphRun};
use hayro_interpret::hayro_cmap::{BfString, WritingMode};
use hayro_interpret::hayro_syntax::content::TypedIter;
use hayro_interpret::hayro_syntax::object::{Dict, Object, Stream};
use hayro_interpret::hayro_syntax::page::Page;
use hayro_interpret::hayro_syntax::{LoadPdfError, Pdf};
use hayro_interpret::kurbo::{Affine, BezPath, Point, Rect, Vec2};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps, InterpreterCache,
    InterpreterSettings, RenderContent, SoftMask, interpret, interpret_page,
};
use layout::{Letter, Lines};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(super) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Extracted> {
    let hidden = raw::check(bytes, limits)?;
    // The parser has no way to be stopped but to unwind, and would unwind itself where it has a mistake. It works on these
    // bytes alone: whatever it leaves half done is dropped with it.
    let read = catch_unwind(AssertUnwindSafe(|| parse(bytes, hidden, limits)));
    read.unwrap_or_else(|panic| {
        let message = "the PDF cannot be parsed; repair it, or print it to PDF again";
        let ours = panic.downcast::<Error>().map(|error| *error);
        Err(ours.unwrap_or_else(|_| Error::new(ErrorKind::Malformed, message)))
    })
}

fn parse(bytes: &[u8], hidden: bool, limits: &ExtractLimits) -> Result<Extracted> {
    let clock = Arc::new(Clock {
        bytes: bytes.to_vec(),
        until: Instant::now().checked_add(limits.pdf_time),
        limit: limits.pdf_time,
        read: AtomicUsize::new(0),
    });
    let pdf = Pdf::new(Arc::clone(&clock)).map_err(|error| match error {
        LoadPdfError::Decryption(_) => {
            Error::new(ErrorKind::Encrypted, "the PDF is encrypted; remove its password")
        }
        LoadPdfError::Invalid => {
            Error::new(ErrorKind::Malformed, "cannot read the PDF; repair it, or print it to PDF again")
        }
    })?;
    let pages = pdf.pages();
    if pages.is_empty() {
        return Err(Error::new(ErrorKind::Malformed, "the PDF has no pages"));
    }
    check_streams(&pdf, hidden, limits.expanded_bytes)?;
    let cache = InterpreterCache::new();
    let settings =
        InterpreterSettings { render_content: RenderContent::ANNOTATIONS, ..InterpreterSettings::default() };
    let mut extracted = Extracted {
        title: pdf.metadata().title.as_deref().and_then(title),
        flow: PageFlow::Continuous,
        ..Extracted::plain(Format::Pdf)
    };
    let mut expanded = 0;
    let (mut has_letters, mut is_legible) = (false, false);
    for (at, page) in pages.iter().enumerate() {
        clock.read.store(at, Ordering::Relaxed);
        let mut reader =
            Reader { lines: Lines::default(), clock: &clock, limits, text: extracted.text.len() };
        let content = content(page, at + 1, limits.expanded_bytes - expanded, limits.expanded_bytes)?;
        expanded += content.len();
        let area = page.media_box();
        let area = Rect::new(area.x0, area.y0, area.x1, area.y1);
        let mut context = Context::new(Affine::IDENTITY, area, &cache, pdf.xref(), settings.clone());
        interpret(TypedIter::new(&content), page.resources(), &mut context, &mut reader);
        interpret_page(page, &mut context, &mut reader);
        let (text, page_is_legible) = reader.lines.finish();
        has_letters |= !text.is_empty();
        is_legible |= page_is_legible;
        extracted.add_page(&text, limits)?;
    }
    if is_legible {
        return Ok(extracted);
    }
    let cause = match has_letters {
        true => "says which letters it draws: its fonts are without that table",
        false => "has text: they may be pictures",
    };
    let message =
        format!("none of the PDF's {} pages {cause}; run text recognition (OCR) over them", pages.len());
    Err(Error::new(ErrorKind::Empty, message))
}

fn too_large(limit: usize) -> Error {
    let message =
        format!("the PDF expands to more than {limit} bytes; split the document, or raise the limit");
    Error::new(ErrorKind::TooLarge, message)
}

/// Refuses what could not be seen before the document was decrypted and its objects found: streams that expand beyond the
/// limit, have too many filters, or rows wider than any picture's.
fn check_streams(pdf: &Pdf, hidden: bool, limit: usize) -> Result<()> {
    let mut total = 0_usize;
    for object in pdf.objects() {
        let Object::Stream(stream) = object else { continue };
        if stream.filters().len() > filters::CHAINED {
            return Err(raw::too_many_filters());
        }
        for key in ["DecodeParms", "DP"] {
            let Some(parameters) = stream.dict().get::<Object<'_>>(key) else { continue };
            match parameters {
                Object::Dict(row) => check_row(&row)?,
                Object::Array(rows) => rows.iter::<Dict<'_>>().try_for_each(|row| check_row(&row))?,
                _ => {}
            }
        }
        if hidden {
            let filters: Vec<Filter> =
                stream.filters().iter().flat_map(|filter| Filter::known(*filter)).copied().collect();
            total = total.saturating_add(filters::most_expanded(&stream.raw_data(), &filters, limit));
        }
        if total > limit {
            return Err(too_large(limit));
        }
    }
    Ok(())
}

fn check_row(parameters: &Dict<'_>) -> Result<()> {
    raw::ROW_LIMITS.iter().try_for_each(|(name, most)| {
        let value = parameters.get::<usize>(name).unwrap_or(0);
        raw::check_row(name, u64::try_from(value).unwrap_or(u64::MAX), *most)
    })
}

/// What a page draws, at most `left` of the document's `limit` bytes.
fn content(page: &Page<'_>, number: usize, left: usize, limit: usize) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut add = |stream: Stream<'_>| {
        let part = stream.decoded_data().map_err(|_| {
            let message = format!(
                "page {number} of the PDF is compressed with {:?}, which cannot be undone; print it to PDF again",
                stream.filters()
            );
            Error::new(ErrorKind::Malformed, message)
        })?;
        if content.len() + part.len() >= left {
            return Err(too_large(limit));
        }
        content.extend_from_slice(&part);
        // What one part ends and the next one begins with are two words.
        content.push(b' ');
        Ok(())
    };
    match page.raw().get::<Object<'_>>("Contents") {
        Some(Object::Stream(stream)) => add(stream)?,
        Some(Object::Array(parts)) => parts.iter::<Stream<'_>>().try_for_each(add)?,
        _ => {}
    }
    Ok(content)
}

/// Characters 0x80 to 0xA0 of PDF's own encoding: ISO 32000-1, annex D.
const PDF_ENCODING: &str = "•†‡…—–ƒ⁄‹›−‰„“”‘’‚™ﬁﬂŁŒŠŸŽıłœšž\u{FFFD}€";

fn title(bytes: &[u8]) -> Option<String> {
    let title = match bytes {
        [0xFE, 0xFF, text @ ..] => UTF_16BE.decode_without_bom_handling(text).0.into_owned(),
        [0xEF, 0xBB, 0xBF, text @ ..] => String::from_utf8_lossy(text).into_owned(),
        bytes => {
            let special = |byte: u8| PDF_ENCODING.chars().nth(usize::from(byte.checked_sub(0x80)?));
            bytes.iter().map(|byte| special(*byte).unwrap_or(char::from(*byte))).collect()
        }
    };
    let title = title.trim_matches(|letter: char| letter.is_whitespace() || letter.is_control());
    (!title.is_empty()).then(|| title.to_owned())
}

/// The bytes of a file until the time for it is over. The parser asks for them whenever it looks up an object.
struct Clock {
    bytes: Vec<u8>,
    /// `None` where no clock reaches that far.
    until: Option<Instant>,
    limit: Duration,
    /// Pages that are read.
    read: AtomicUsize,
}

impl Clock {
    /// Leaves the parser, which hands no error on, when the time is over.
    fn check(&self) {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            let message = format!(
                "reading the PDF takes more than {} seconds, in which {} of its pages were read; split the document",
                self.limit.as_secs(),
                self.read.load(Ordering::Relaxed)
            );
            resume_unwind(Box::new(Error::new(ErrorKind::TooLarge, message)));
        }
    }
}

impl AsRef<[u8]> for Clock {
    fn as_ref(&self) -> &[u8] {
        self.check();
        &self.bytes
    }
}

/// Takes the letters of a page from what the parser draws.
struct Reader<'l> {
    lines: Lines,
    clock: &'l Clock,
    limits: &'l ExtractLimits,
    /// Bytes of the pages before.
    text: usize,
}

impl<'a> Device<'a> for Reader<'_> {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, _: &DrawMode) {
        self.clock.check();
        let is_vertical = matches!(run.writing_mode(), WritingMode::Vertical);
        let letters =
            run.glyphs().iter().map(|glyph| letter(glyph, props.transform * glyph.transform(), is_vertical));
        self.lines.add(letters.collect());
        if self.text + self.lines.len() > self.limits.text_bytes {
            resume_unwind(Box::new(text_too_large(self.limits)));
        }
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {
        self.clock.check();
    }

    fn push_clip_path(&mut self, _: &ClipPath) {
        self.clock.check();
    }

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {
        self.clock.check();
    }

    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {
        self.clock.check();
    }

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}
}

/// Units of a glyph's own coordinates in its font's size.
const EM: f64 = 1000.0;

fn letter(glyph: &Glyph<'_>, transform: Affine, is_vertical: bool) -> Letter {
    let [across_x, across_y, up_x, up_y, ..] = transform.as_coeffs();
    let at = transform * Point::ORIGIN;
    let advance = match glyph {
        Glyph::Outline(outline) => outline.advance_width(),
        Glyph::Type3(drawing) => drawing.advance_width(),
    };
    let (across, up) = (Vec2::new(across_x, across_y), Vec2::new(up_x, up_y));
    let (axis, advance) = match is_vertical {
        true => (-up, EM),
        // A third of the size where the file does not tell: about what a letter takes.
        false => (across, advance.map_or(EM / 3.0, f64::from)),
    };
    let length = axis.hypot();
    let direction = if length > 0.0 { axis / length } else { Vec2::new(1.0, 0.0) };
    let text = match (glyph.as_unicode(), glyph) {
        (Some(BfString::Char(letter)), _) => Some(letter.to_string()),
        (Some(BfString::String(text)), _) => Some(text),
        // Fonts of pictures, as TeX made them, name their letters by numbers and number them as ASCII does.
        (None, Glyph::Type3(drawing)) => {
            let code = u8::try_from(drawing.char_code()).ok().filter(u8::is_ascii_graphic);
            code.map(|code| char::from(code).to_string())
        }
        // What PDF spaces words by, whatever its font calls it.
        (None, Glyph::Outline(outline)) => (outline.char_code() == u32::from(b' ')).then(|| " ".to_owned()),
    };
    Letter {
        at: [at.x, at.y],
        direction: [direction.x, direction.y],
        advance: advance * length,
        size: EM * up.hypot(),
        text,
    }
}
