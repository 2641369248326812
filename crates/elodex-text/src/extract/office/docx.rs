//! Texts: paragraphs, headings by their style, tables a line per row.
//!
//! A footnote or an endnote follows the paragraph that refers to it, numbered as the reference is. What stands in a text
//! box comes before the paragraph that holds the box. Headers and footers, which every page repeats, comments, hidden text,
//! and what tracked changes have deleted or moved away are not read.

use super::super::{ExtractLimits, Extracted, Format, Heading, check_text};
use super::Members;
use super::xml::{Visit, attribute, walk};
use crate::Result;
use quick_xml::events::BytesStart;
use std::collections::HashMap;

/// Elements whose content is deleted, moved elsewhere, a reading aid above a word, or said before in another way.
const SKIPPED: [&str; 4] = ["del", "moveFrom", "rt", "Fallback"];

pub(super) fn read(members: &mut Members<'_>, main: &str, limits: &ExtractLimits) -> Result<Extracted> {
    let Some(document) = members.text(main)? else { return Err(members.unknown(main)) };
    let mut styles = Styles::default();
    let mut notes = HashMap::new();
    let relations = members.relations(main)?;
    for (kind, note) in
        [("styles", None), ("footnotes", Some(NoteKind::Footnote)), ("endnotes", Some(NoteKind::Endnote))]
    {
        let named = relations.iter().find(|relation| relation.kind == kind);
        let usual = || format!("word/{kind}.xml");
        let name = named.map_or_else(usual, |relation| relation.target.clone());
        let Some(part) = members.text(&name)? else { continue };
        match note {
            None => walk(&part, &name, &mut styles)?,
            Some(kind) => {
                let mut reader = Notes { kind, body: Body::new(limits), id: None, notes: &mut notes };
                walk(&part, &name, &mut reader)?;
            }
        }
    }
    let mut body = Body { levels: styles.levels, notes, ..Body::new(limits) };
    walk(&document, main, &mut body)?;
    Ok(Extracted { text: body.text, headings: body.headings, ..Extracted::plain(Format::Docx) })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum NoteKind {
    Footnote,
    Endnote,
}

/// Styles whose paragraphs are headings, with their level.
#[derive(Default)]
struct Styles {
    levels: HashMap<String, u8>,
    style: String,
}

impl Visit for Styles {
    fn start(&mut self, name: &str, element: &BytesStart<'_>) -> Result<()> {
        let level = match name {
            "style" => {
                self.style = attribute(element, "styleId").unwrap_or_default();
                None
            }
            "name" => match attribute(element, "val").unwrap_or_default().to_lowercase().as_str() {
                "title" => Some(1),
                name => name.strip_prefix("heading ").and_then(|level| level.parse().ok()),
            },
            "outlineLvl" => outline_level(element),
            _ => None,
        };
        if let Some(level @ 1..=9) = level {
            self.levels.insert(self.style.clone(), level);
        }
        Ok(())
    }
}

/// Levels count from 0 and 9 means body text.
fn outline_level(element: &BytesStart<'_>) -> Option<u8> {
    let level: u8 = attribute(element, "val")?.parse().ok()?;
    (level < 9).then_some(level + 1)
}

/// Reads a part of notes, each as a text of its own.
struct Notes<'a> {
    kind: NoteKind,
    body: Body<'a>,
    /// The note that is open.
    id: Option<String>,
    notes: &'a mut HashMap<(NoteKind, String), String>,
}

impl Visit for Notes<'_> {
    fn start(&mut self, name: &str, element: &BytesStart<'_>) -> Result<()> {
        if let "footnote" | "endnote" = name {
            // Lines that separate notes from the text have a type.
            self.id = attribute(element, "id").filter(|_| attribute(element, "type").is_none());
        }
        self.body.start(name, element)
    }

    fn end(&mut self, name: &str) -> Result<()> {
        self.body.end(name)?;
        if let "footnote" | "endnote" = name {
            let text = std::mem::take(&mut self.body.text);
            if let Some(id) = self.id.take() {
                self.notes.insert((self.kind, id), text.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<()> {
        self.body.text(text)
    }
}

struct Body<'a> {
    limits: &'a ExtractLimits,
    levels: HashMap<String, u8>,
    notes: HashMap<(NoteKind, String), String>,
    text: String,
    headings: Vec<Heading>,
    paragraph: Paragraph,
    /// Paragraphs around the text box at hand.
    around: Vec<Paragraph>,
    /// Inside a `t` element: text stands nowhere else.
    in_text: bool,
    /// The run at hand is hidden.
    is_hidden: bool,
    /// Depth inside elements that are skipped.
    skipped: usize,
    /// Depth of tables, and the cells of the row at hand.
    tables: usize,
    cells: Vec<String>,
    cell: String,
    /// Notes referred to so far, and those that are not written yet.
    noted: usize,
    open_notes: Vec<String>,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    /// Its level where it is a heading.
    level: Option<u8>,
}

impl Visit for Body<'_> {
    fn start(&mut self, name: &str, element: &BytesStart<'_>) -> Result<()> {
        if self.skipped > 0 || SKIPPED.contains(&name) {
            self.skipped += usize::from(SKIPPED.contains(&name));
            return Ok(());
        }
        let paragraph = &mut self.paragraph;
        match name {
            "r" => self.is_hidden = false,
            "vanish" => {
                self.is_hidden = !matches!(attribute(element, "val").as_deref(), Some("0" | "false" | "off"))
            }
            "t" => self.in_text = !self.is_hidden,
            "tab" | "ptab" => paragraph.text.push('\t'),
            "br" | "cr" => paragraph.text.push('\n'),
            "noBreakHyphen" => paragraph.text.push('\u{2011}'),
            "pStyle" => {
                let style = attribute(element, "val").unwrap_or_default();
                paragraph.level = paragraph.level.or(self.levels.get(&style).copied());
            }
            "outlineLvl" => paragraph.level = outline_level(element).or(paragraph.level),
            "tbl" => self.tables += 1,
            "txbxContent" => self.around.push(std::mem::take(paragraph)),
            "footnoteReference" => self.refer(NoteKind::Footnote, element),
            "endnoteReference" => self.refer(NoteKind::Endnote, element),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str) -> Result<()> {
        if self.skipped > 0 {
            self.skipped -= usize::from(SKIPPED.contains(&name));
            return Ok(());
        }
        match name {
            "t" => self.in_text = false,
            "p" => self.end_paragraph(),
            "txbxContent" => {
                self.end_paragraph();
                self.paragraph = self.around.pop().unwrap_or_default();
            }
            "tc" => self.cells.push(std::mem::take(&mut self.cell)),
            "tr" if self.tables <= 1 => self.end_row(),
            "tbl" => {
                self.end_row();
                self.tables = self.tables.saturating_sub(1);
            }
            _ => {}
        }
        check_text(self.text.len(), self.limits)
    }

    fn text(&mut self, text: &str) -> Result<()> {
        if self.in_text && self.skipped == 0 {
            self.paragraph.text.push_str(text);
        }
        Ok(())
    }
}

impl<'a> Body<'a> {
    fn new(limits: &'a ExtractLimits) -> Self {
        Self {
            limits,
            levels: HashMap::new(),
            notes: HashMap::new(),
            text: String::new(),
            headings: Vec::new(),
            paragraph: Paragraph::default(),
            around: Vec::new(),
            in_text: false,
            is_hidden: false,
            skipped: 0,
            tables: 0,
            cells: Vec::new(),
            cell: String::new(),
            noted: 0,
            open_notes: Vec::new(),
        }
    }

    /// Marks the place of a note, which is written behind the paragraph.
    fn refer(&mut self, kind: NoteKind, element: &BytesStart<'_>) {
        let id = attribute(element, "id").unwrap_or_default();
        let Some(note) = self.notes.remove(&(kind, id)) else { return };
        self.noted += 1;
        self.paragraph.text.push_str(&format!("[{}]", self.noted));
        self.open_notes.push(format!("[{}] {note}", self.noted));
    }

    fn end_paragraph(&mut self) {
        let Paragraph { text, level } = std::mem::take(&mut self.paragraph);
        let content = text.trim_matches(['\n', '\t', ' ']);
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
        self.write_notes();
    }

    fn end_row(&mut self) {
        let mut cells = std::mem::take(&mut self.cells);
        cells.extend(Some(std::mem::take(&mut self.cell)).filter(|cell| !cell.is_empty()));
        if cells.iter().all(String::is_empty) {
            return;
        }
        self.begin_block("\n");
        self.text.push_str(&cells.join(" | "));
        if self.tables <= 1 {
            self.write_notes();
        }
    }

    fn write_notes(&mut self) {
        for note in std::mem::take(&mut self.open_notes) {
            self.begin_block("\n\n");
            self.text.push_str(&note);
        }
    }

    fn begin_block(&mut self, gap: &str) {
        if !self.text.is_empty() {
            self.text.push_str(gap);
        }
    }
}
