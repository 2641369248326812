//! Presentations: a page per slide, its title a heading, the speaker's notes behind it.
//!
//! Slide numbers, dates, headers and footers are not read, nor is what the slides' masters show.

use super::super::{ExtractLimits, Extracted, Format, Heading, check_text};
use super::Members;
use super::xml::{Visit, attribute, walk};
use crate::Result;
use quick_xml::events::BytesStart;

pub(super) fn read(members: &mut Members<'_>, main: &str, limits: &ExtractLimits) -> Result<Extracted> {
    let Some(presentation) = members.text(main)? else { return Err(members.unknown(main)) };
    let mut order = Order { slides: Vec::new() };
    walk(&presentation, main, &mut order)?;
    let parts = members.relations(main)?;
    let mut extracted = Extracted::plain(Format::Pptx);
    for id in order.slides {
        let Some(slide) = parts.iter().find(|part| part.id == id).map(|part| part.target.as_str()) else {
            continue;
        };
        let mut shown = Slide::new(limits, false);
        if let Some(xml) = members.text(slide)? {
            walk(&xml, slide, &mut shown)?;
        }
        let notes = members.relations(slide)?.into_iter().find(|relation| relation.kind == "notesSlide");
        if let Some(notes) = notes
            && let Some(xml) = members.text(&notes.target)?
        {
            let mut said = Slide::new(limits, true);
            walk(&xml, &notes.target, &mut said)?;
            shown.block(&said.text);
        }
        extracted.add_page(&shown.text, limits)?;
        let start = extracted.pages.as_deref().and_then(<[_]>::last).map_or(0, |page| page.start);
        let moved = |heading: Heading| Heading { at: heading.at + start, ..heading };
        extracted.headings.extend(shown.headings.into_iter().map(moved));
    }
    extracted.pages.get_or_insert_default();
    Ok(extracted)
}

/// The slides in the order in which they are shown, as the presentation's relations call them.
struct Order {
    slides: Vec<String>,
}

impl Visit for Order {
    fn start(&mut self, name: &str, element: &BytesStart<'_>) -> Result<()> {
        if name == "sldId" {
            // Beside `r:id` there is an `id`, a number.
            let named = element.attributes().with_checks(false).flatten().find(|found| {
                let (name, prefix) = found.key.decompose();
                name.into_inner() == "id" && prefix.is_some()
            });
            self.slides.extend(named.map(|found| found.value.into_owned()));
        }
        Ok(())
    }
}

/// What a shape is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Content,
    Title,
    Dropped,
}

struct Slide<'a> {
    limits: &'a ExtractLimits,
    /// Whether it is the page of a slide's notes, of which only the notes are read.
    is_notes: bool,
    text: String,
    /// An empty line comes before what is written next.
    apart: bool,
    headings: Vec<Heading>,
    role: Role,
    paragraph: String,
    in_text: bool,
    /// Depth inside an alternative that repeats what has been read.
    repeated: usize,
    /// The cells of the row at hand; `None` outside a table.
    cells: Option<Vec<String>>,
}

impl<'a> Slide<'a> {
    fn new(limits: &'a ExtractLimits, is_notes: bool) -> Self {
        Self {
            limits,
            is_notes,
            text: String::new(),
            apart: false,
            headings: Vec::new(),
            role: Role::Content,
            paragraph: String::new(),
            in_text: false,
            repeated: 0,
            cells: None,
        }
    }

    fn role_of(&self, placeholder: &str) -> Role {
        match placeholder {
            "sldNum" | "dt" | "hdr" | "ftr" | "sldImg" => Role::Dropped,
            "title" | "ctrTitle" if !self.is_notes => Role::Title,
            _ => Role::Content,
        }
    }

    fn end_paragraph(&mut self) {
        let paragraph = std::mem::take(&mut self.paragraph);
        let content = paragraph.trim();
        if content.is_empty() || self.role == Role::Dropped {
            return;
        }
        if let Some(cell) = self.cells.as_mut().and_then(|cells| cells.last_mut()) {
            if !cell.is_empty() {
                cell.push(' ');
            }
            cell.push_str(content);
            return;
        }
        self.begin();
        if self.role == Role::Title {
            let text = content.replace('\n', " ");
            self.headings.push(Heading { at: self.text.len(), level: 1, text });
        }
        self.text.push_str(content);
    }

    fn end_row(&mut self) {
        let cells = self.cells.take().unwrap_or_default();
        if cells.iter().any(|cell| !cell.is_empty()) {
            self.begin();
            self.text.push_str(&cells.join(" | "));
        }
    }

    /// Adds a text that stands apart.
    fn block(&mut self, text: &str) {
        if !text.is_empty() {
            self.apart = true;
            self.begin();
            self.text.push_str(text);
        }
    }

    fn begin(&mut self) {
        let gap = if std::mem::take(&mut self.apart) { "\n\n" } else { "\n" };
        if !self.text.is_empty() {
            self.text.push_str(gap);
        }
    }
}

impl Visit for Slide<'_> {
    fn start(&mut self, name: &str, element: &BytesStart<'_>) -> Result<()> {
        match name {
            "Fallback" => self.repeated += 1,
            _ if self.repeated > 0 => {}
            "sp" => {
                self.role = Role::Content;
                self.apart = true;
            }
            "ph" => self.role = self.role_of(&attribute(element, "type").unwrap_or_default()),
            "t" => self.in_text = true,
            "br" => self.paragraph.push('\n'),
            "tr" => self.cells = Some(Vec::new()),
            "tc" => {
                if let Some(cells) = &mut self.cells {
                    cells.push(String::new());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str) -> Result<()> {
        match name {
            "Fallback" => self.repeated = self.repeated.saturating_sub(1),
            _ if self.repeated > 0 => {}
            "t" => self.in_text = false,
            "p" => self.end_paragraph(),
            "tr" => self.end_row(),
            "sp" => self.role = Role::Content,
            _ => {}
        }
        check_text(self.text.len(), self.limits)
    }

    fn text(&mut self, text: &str) -> Result<()> {
        if self.in_text && self.repeated == 0 {
            self.paragraph.push_str(text);
        }
        Ok(())
    }
}
