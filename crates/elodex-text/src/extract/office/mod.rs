//! Office Open XML: a zip archive of XML parts that name each other.

mod docx;
mod pptx;
mod xml;

use super::{ExtractLimits, Extracted, encoding};
use crate::{Error, ErrorKind, Result};
use quick_xml::events::BytesStart;
use std::io::{Cursor, Read};
use xml::{Visit, attribute, broken, walk};
use zip::ZipArchive;
use zip::result::ZipError;

/// What other files in a zip archive are, by a name inside.
const OTHERS: &[(&str, &str)] = &[
    ("xl/workbook.xml", "an Excel workbook"),
    ("META-INF/container.xml", "an EPUB book"),
    ("content.xml", "an OpenDocument file"),
    ("META-INF/MANIFEST.MF", "a Java archive"),
];

pub(super) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Extracted> {
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
        let message = "cannot read the zip archive; open the file in its own program and save it again";
        Error::new(ErrorKind::Malformed, message).caused_by(error)
    })?;
    let mut members = Members { archive, left: limits.expanded_bytes, limit: limits.expanded_bytes };
    let main = members.relations("")?.into_iter().find(|relation| relation.kind == "officeDocument");
    let main = main.map(|relation| relation.target).unwrap_or_default();
    let is_slides = main.starts_with("ppt/") || members.holds("ppt/presentation.xml");
    let mut extracted = match is_slides {
        true => pptx::read(&mut members, &part(main, "ppt/presentation.xml"), limits)?,
        false => docx::read(&mut members, &part(main, "word/document.xml"), limits)?,
    };
    let title = members.text("docProps/core.xml")?.map(|core| title(&core)).transpose()?.flatten();
    let first = || extracted.headings.iter().find(|heading| heading.level == 1);
    extracted.title = title.or_else(|| first().map(|heading| heading.text.clone()));
    Ok(extracted)
}

/// The main part that the archive names, where it lies in the folder of the usual one.
fn part(named: String, usual: &str) -> String {
    let folder = usual.split('/').next().unwrap_or_default();
    if named.split_once('/').is_some_and(|(found, _)| found == folder) { named } else { usual.to_owned() }
}

/// The archive's members, inflated as far as the limit goes: what they say about their size counts for nothing.
struct Members<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    left: usize,
    limit: usize,
}

/// Another part that a part names.
struct Relation {
    id: String,
    /// The last step of its type's address.
    kind: String,
    /// Its name in the archive.
    target: String,
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

    /// The parts that a part names; those of the whole archive where it is empty.
    fn relations(&mut self, part: &str) -> Result<Vec<Relation>> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let name = resolved(folder, &format!("_rels/{file}.rels"));
        let Some(xml) = self.text(&name)? else { return Ok(Vec::new()) };
        let mut relations = Relations { folder, found: Vec::new() };
        walk(&xml, &name, &mut relations)?;
        Ok(relations.found)
    }

    fn holds(&self, name: &str) -> bool {
        self.archive.index_for_name(name).is_some()
    }

    /// The error of an archive without its main part.
    fn unknown(&self, main: &str) -> Error {
        let (kind, what) = match OTHERS.iter().find(|(name, _)| self.holds(name)) {
            Some((_, what)) => (ErrorKind::Unsupported, format!("{what}, which is not read")),
            None if self.holds("[Content_Types].xml") => {
                (ErrorKind::Malformed, format!("an Office file without `{main}`"))
            }
            None => (ErrorKind::Unsupported, "a zip archive of other files, which is not read".to_owned()),
        };
        Error::new(kind, format!("the file is {what}; {}", super::file::WAY_OUT))
    }
}

fn encrypted() -> Error {
    Error::new(ErrorKind::Encrypted, "the file is encrypted; remove its password")
}

/// A name in the archive, from one that stands in a part of `folder`.
fn resolved(folder: &str, target: &str) -> String {
    let mut steps: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => folder.split('/').filter(|step| !step.is_empty()).collect(),
    };
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    steps.join("/")
}

struct Relations<'a> {
    folder: &'a str,
    found: Vec<Relation>,
}

impl Visit for Relations<'_> {
    fn start(&mut self, name: &str, element: &BytesStart<'_>) -> Result<()> {
        let value = |name: &str| attribute(element, name).unwrap_or_default();
        if name == "Relationship" && value("TargetMode") != "External" {
            let kind = value("Type").rsplit('/').next().unwrap_or_default().to_owned();
            self.found.push(Relation {
                id: value("Id"),
                kind,
                target: resolved(self.folder, &value("Target")),
            });
        }
        Ok(())
    }
}

/// The title among a file's properties.
fn title(properties: &str) -> Result<Option<String>> {
    #[derive(Default)]
    struct Title {
        inside: bool,
        text: String,
    }

    impl Visit for Title {
        fn start(&mut self, name: &str, _element: &BytesStart<'_>) -> Result<()> {
            self.inside = name == "title";
            Ok(())
        }

        fn end(&mut self, _name: &str) -> Result<()> {
            self.inside = false;
            Ok(())
        }

        fn text(&mut self, text: &str) -> Result<()> {
            if self.inside {
                self.text.push_str(text);
            }
            Ok(())
        }
    }

    let mut title = Title::default();
    walk(properties, "docProps/core.xml", &mut title)?;
    let title = title.text.trim();
    Ok((!title.is_empty()).then(|| title.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts_are_resolved() {
        assert_eq!(resolved("ppt/slides", "../notesSlides/n1.xml"), "ppt/notesSlides/n1.xml");
        assert_eq!(resolved("word", "/word/document.xml"), "word/document.xml");
        assert_eq!(resolved("", "../../word/./document.xml"), "word/document.xml");
        assert_eq!(part("ppt/other.xml".to_owned(), "ppt/presentation.xml"), "ppt/other.xml");
        assert_eq!(part("elsewhere.xml".to_owned(), "word/document.xml"), "word/document.xml");
    }
}
