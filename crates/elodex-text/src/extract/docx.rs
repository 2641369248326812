//! Office Open XML texts: paragraphs, headings by their style, tables a line per row.
//!
//! Headers, footers, comments and footnotes are not read.

use super::{ExtractLimits, Extracted, Format, Heading, check_text, encoding};
use crate::{Error, ErrorKind, Result};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::collections::HashMap;
use std::io::{Cursor, Read};
use zip::ZipArchive;
use zip::result::ZipError;

/// What other files in a zip archive are, by a name inside.
const OTHERS: &[(&str, &str)] = &[
    ("xl/workbook.xml", "an Excel workbook"),
    ("ppt/presentation.xml", "a PowerPoint presentation"),
    ("META-INF/container.xml", "an EPUB book"),
    ("content.xml", "an OpenDocument file"),
    ("META-INF/MANIFEST.MF", "a Java archive"),
];

pub(super) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Extracted> {
    let archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| Error::new(ErrorKind::Malformed, "cannot read the zip archive").caused_by(error))?;
    let mut members = Members { archive, left: limits.expanded_bytes, limit: limits.expanded_bytes };
    let relations = members.text("_rels/.rels")?;
    let main = relations.as_deref().map(main_part).transpose()?.flatten();
    let main = main.unwrap_or_else(|| "word/document.xml".to_owned());
    let Some(document) = members.text(&main)? else { return Err(members.unknown(&main)) };
    let styles = members.text(&sibling(&main, "styles.xml"))?;
    let levels = styles.as_deref().map(heading_styles).transpose()?.unwrap_or_default();
    let mut body = Body { limits, levels, ..Body::new(limits) };
    let mut reader = Reader::from_str(&document);
    loop {
        match reader.read_event().map_err(|error| broken(&main, error))? {
            Event::Start(element) => body.start(&element),
            Event::Empty(element) => {
                body.start(&element);
                body.end(element.local_name().into_inner());
            }
            Event::End(element) => body.end(element.local_name().into_inner()),
            Event::Text(text) => body.write(&text.xml10_content()),
            Event::CData(text) => body.write(&text.xml10_content()),
            Event::GeneralRef(reference) => body.write(&resolved(&reference, &main)?),
            Event::Eof => break,
            _ => {}
        }
        check_text(body.text.len(), limits)?;
    }
    let title = members.text("docProps/core.xml")?.as_deref().map(title).transpose()?.flatten();
    let first =
        || body.headings.iter().find(|heading| heading.level == 1).map(|heading| heading.text.clone());
    let title = title.or_else(first);
    let text = body.text;
    Ok(Extracted { text, title, headings: body.headings, ..Extracted::plain(Format::Docx) })
}

/// The archive's members, inflated as far as the limit goes: what they say about their size counts for nothing.
struct Members<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    left: usize,
    limit: usize,
}

impl Members<'_> {
    /// A member as text; `None` where there is none of that name.
    fn text(&mut self, name: &str) -> Result<Option<String>> {
        let member = match self.archive.by_name(name) {
            Ok(member) => member,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(ZipError::InvalidPassword) => return Err(encrypted()),
            Err(ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)) => return Err(encrypted()),
            Err(error) => return Err(broken(name, error)),
        };
        let mut bytes = Vec::new();
        member.take(self.left as u64 + 1).read_to_end(&mut bytes).map_err(|error| broken(name, error))?;
        if bytes.len() > self.left {
            let message = format!(
                "the file expands to more than {} bytes at `{name}`; split the document, or raise the limit",
                self.limit
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        self.left -= bytes.len();
        encoding::decode(name, &bytes, false).map(Some)
    }

    fn unknown(&self, main: &str) -> Error {
        let is_there = |name: &str| self.archive.index_for_name(name).is_some();
        let (kind, what) = match OTHERS.iter().find(|(name, _)| is_there(name)) {
            Some((_, what)) => (ErrorKind::Unsupported, format!("{what}, which is not read")),
            None if is_there("[Content_Types].xml") => {
                (ErrorKind::Malformed, format!("an Office file without `{main}`"))
            }
            None => (ErrorKind::Unsupported, "a zip archive of other files, which is not read".to_owned()),
        };
        Error::new(kind, format!("the file is {what}; convert it to text, HTML, PDF or DOCX"))
    }
}

fn encrypted() -> Error {
    Error::new(ErrorKind::Encrypted, "the file is encrypted; remove its password")
}

fn broken(part: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Malformed, format!("cannot read `{part}` of the file")).caused_by(error)
}

/// A file beside another inside the archive.
fn sibling(path: &str, name: &str) -> String {
    path.rsplit_once('/').map_or_else(|| name.to_owned(), |(folder, _)| format!("{folder}/{name}"))
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.attributes().flatten().find(|found| found.key.local_name().into_inner() == name)?;
    found.normalized_value(XmlVersion::Implicit1_0).ok().map(|value| value.into_owned())
}

/// What `&name;` stands for.
fn resolved(reference: &BytesRef<'_>, part: &str) -> Result<String> {
    if let Some(character) = reference.resolve_char_ref().map_err(|error| broken(part, error))? {
        return Ok(character.to_string());
    }
    let name = reference.xml10_content();
    match quick_xml::escape::resolve_xml_entity(&name) {
        Some(text) => Ok(text.to_owned()),
        None => Err(broken(part, format!("it names the entity `{name}`, which nothing defines"))),
    }
}

/// Calls `found` for every element that begins.
fn elements(xml: &str, part: &str, mut found: impl FnMut(&BytesStart<'_>)) -> Result<()> {
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().map_err(|error| broken(part, error))? {
            Event::Start(element) | Event::Empty(element) => found(&element),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// The part that holds the text, as the archive's relations name it.
fn main_part(relations: &str) -> Result<Option<String>> {
    let mut target = None;
    elements(relations, "_rels/.rels", |element| {
        let kind = attribute(element, "Type").unwrap_or_default();
        if target.is_none() && kind.ends_with("/officeDocument") {
            target = attribute(element, "Target").map(|target| target.trim_start_matches('/').to_owned());
        }
    })?;
    Ok(target.filter(|target| target.starts_with("word/")))
}

/// Styles whose paragraphs are headings, with their level.
fn heading_styles(styles: &str) -> Result<HashMap<String, u8>> {
    let mut levels = HashMap::new();
    let mut style = String::new();
    elements(styles, "styles.xml", |element| match element.local_name().into_inner() {
        "style" => style = attribute(element, "styleId").unwrap_or_default(),
        "name" => {
            let name = attribute(element, "val").unwrap_or_default().to_lowercase();
            let level = name.strip_prefix("heading ").and_then(|level| level.parse().ok());
            let level = if name == "title" { Some(1) } else { level };
            if let Some(level @ 1..=9) = level {
                levels.insert(style.clone(), level);
            }
        }
        "outlineLvl" => {
            if let Some(level) = outline_level(element) {
                levels.insert(style.clone(), level);
            }
        }
        _ => {}
    })?;
    Ok(levels)
}

/// Levels count from 0 and 9 means body text.
fn outline_level(element: &BytesStart<'_>) -> Option<u8> {
    let level: u8 = attribute(element, "val")?.parse().ok()?;
    (level < 9).then_some(level + 1)
}

fn title(properties: &str) -> Result<Option<String>> {
    let mut reader = Reader::from_str(properties);
    let mut inside = false;
    let mut title = String::new();
    loop {
        match reader.read_event().map_err(|error| broken("docProps/core.xml", error))? {
            Event::Start(element) => inside = element.local_name().into_inner() == "title",
            Event::End(_) => inside = false,
            Event::Text(text) if inside => title.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) if inside => {
                title.push_str(&resolved(&reference, "docProps/core.xml")?)
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let title = title.trim();
    Ok((!title.is_empty()).then(|| title.to_owned()))
}

struct Body<'a> {
    limits: &'a ExtractLimits,
    levels: HashMap<String, u8>,
    text: String,
    headings: Vec<Heading>,
    /// Text of the paragraph at hand.
    paragraph: String,
    level: Option<u8>,
    /// Depth of `t` elements: text stands nowhere else.
    in_text: bool,
    /// Depth inside an alternative that repeats what has been read.
    repeated: usize,
    /// Depth of tables, and the cells of the row at hand.
    tables: usize,
    cells: Vec<String>,
    cell: String,
}

impl<'a> Body<'a> {
    fn new(limits: &'a ExtractLimits) -> Self {
        Self {
            limits,
            levels: HashMap::new(),
            text: String::new(),
            headings: Vec::new(),
            paragraph: String::new(),
            level: None,
            in_text: false,
            repeated: 0,
            tables: 0,
            cells: Vec::new(),
            cell: String::new(),
        }
    }

    fn start(&mut self, element: &BytesStart<'_>) {
        match element.local_name().into_inner() {
            "Fallback" => self.repeated += 1,
            _ if self.repeated > 0 => {}
            "t" => self.in_text = true,
            "tab" | "ptab" => self.paragraph.push('\t'),
            "br" | "cr" => self.paragraph.push('\n'),
            "noBreakHyphen" => self.paragraph.push('\u{2011}'),
            "pStyle" => {
                let style = attribute(element, "val").unwrap_or_default();
                self.level = self.level.or(self.levels.get(&style).copied());
            }
            "outlineLvl" => self.level = outline_level(element).or(self.level),
            "tbl" => self.tables += 1,
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "Fallback" => self.repeated = self.repeated.saturating_sub(1),
            _ if self.repeated > 0 => {}
            "t" => self.in_text = false,
            "p" => self.end_paragraph(),
            "tc" => self.cells.push(std::mem::take(&mut self.cell)),
            "tr" if self.tables <= 1 => self.end_row(),
            "tbl" => {
                self.end_row();
                self.tables = self.tables.saturating_sub(1);
            }
            _ => {}
        }
    }

    fn write(&mut self, text: &str) {
        if self.in_text
            && self.repeated == 0
            && self.text.len() + self.paragraph.len() <= self.limits.text_bytes
        {
            self.paragraph.push_str(text);
        }
    }

    fn end_paragraph(&mut self) {
        let paragraph = std::mem::take(&mut self.paragraph);
        let level = self.level.take();
        let content = paragraph.trim_matches(['\n', '\t', ' ']);
        if content.is_empty() {
            return;
        }
        if self.tables > 0 {
            if !self.cell.is_empty() {
                self.cell.push(' ');
            }
            self.cell.push_str(content);
            return;
        }
        self.begin_block("\n\n");
        if let Some(level) = level {
            self.headings.push(Heading { at: self.text.len(), level, text: content.replace('\n', " ") });
        }
        self.text.push_str(content);
    }

    fn end_row(&mut self) {
        let mut cells = std::mem::take(&mut self.cells);
        cells.extend(Some(std::mem::take(&mut self.cell)).filter(|cell| !cell.is_empty()));
        if cells.iter().all(String::is_empty) {
            return;
        }
        self.begin_block("\n");
        self.text.push_str(&cells.join(" | "));
    }

    fn begin_block(&mut self, gap: &str) {
        if !self.text.is_empty() {
            self.text.push_str(gap);
        }
    }
}
