//! XML as Office files use it: read once from front to back, whatever its depth, with no entities of its own.

use crate::{Error, ErrorKind, Result};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// What reads a part.
pub(super) trait Visit {
    /// An element begins; names are without prefix.
    fn start(&mut self, name: &str, element: &BytesStart<'_>) -> Result<()>;

    /// An element ends.
    fn end(&mut self, _name: &str) -> Result<()> {
        Ok(())
    }

    /// Text between elements, entities resolved.
    fn text(&mut self, _text: &str) -> Result<()> {
        Ok(())
    }
}

/// Shows a part to `visit`.
pub(super) fn walk(xml: &str, part: &str, visit: &mut dyn Visit) -> Result<()> {
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().map_err(|error| broken(part, error))? {
            Event::Start(element) => visit.start(element.local_name().into_inner(), &element)?,
            Event::Empty(element) => {
                visit.start(element.local_name().into_inner(), &element)?;
                visit.end(element.local_name().into_inner())?;
            }
            Event::End(element) => visit.end(element.local_name().into_inner())?,
            Event::Text(text) => visit.text(&text.xml10_content())?,
            Event::CData(text) => visit.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => visit.text(&resolved(&reference, part)?)?,
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// The value of an attribute by its name without prefix.
pub(super) fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    // Checks compare each attribute with all before it.
    let found = element
        .attributes()
        .with_checks(false)
        .flatten()
        .find(|found| found.key.local_name().into_inner() == name)?;
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

pub(super) fn broken(part: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Malformed, format!("cannot read `{part}` of the file")).caused_by(error)
}
