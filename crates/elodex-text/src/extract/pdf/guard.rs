//! What the PDF parser does not check itself: how far streams expand, and whether the document's parts form circles
//! that it would follow until the stack ends, which nothing can catch.

use super::super::ExtractLimits;
use crate::{Error, ErrorKind, Result};
use flate2::read::DeflateDecoder;
use pdf_extract::content::Content;
use pdf_extract::{Dictionary, Document, Object, ObjectId, Stream};
use std::collections::HashMap;
use std::io::Read;

/// Filters in a row that a stream may have in one compression; no writer uses two.
const CHAINED: usize = 3;
/// Bytes before a stream in which its description is looked for.
const DESCRIPTION: usize = 64 << 10;
/// Depth to which page trees and drawings within drawings are followed.
const DEEPEST: usize = 32;

fn too_large(limit: usize) -> Error {
    let message =
        format!("the PDF expands to more than {limit} bytes; split the document, or raise the limit");
    Error::new(ErrorKind::TooLarge, message)
}

/// Refuses a file whose streams expand beyond the limit: together, or one alone where it is a picture. Reading a
/// document expands some of them, so this looks at the bytes before anything is parsed.
pub(super) fn check_streams(bytes: &[u8], limits: &ExtractLimits) -> Result<()> {
    let limit = limits.expanded_bytes;
    let mut total = 0_usize;
    for at in memmem(bytes, b"stream") {
        if bytes[..at].ends_with(b"end") {
            continue;
        }
        let content = &bytes[at + b"stream".len()..];
        let content = content.strip_prefix(b"\r").unwrap_or(content);
        let content = content.strip_prefix(b"\n").unwrap_or(content);
        let expanded = expanded(content, limit);
        if expanded > limit {
            return Err(too_large(limit));
        }
        if !is_picture(&bytes[at.saturating_sub(DESCRIPTION)..at]) {
            total = total.saturating_add(expanded);
        }
        if total > limit {
            return Err(too_large(limit));
        }
    }
    Ok(())
}

/// Where `needle` begins.
fn memmem<'a>(bytes: &'a [u8], needle: &'static [u8]) -> impl Iterator<Item = usize> + 'a {
    bytes.windows(needle.len()).enumerate().filter(move |(_, window)| *window == needle).map(|(at, _)| at)
}

/// Bytes a compressed stream expands to, every filter in a row counted; 0 where it is not compressed. The parser
/// forgives a wrong header, so the header is skipped here as well.
fn expanded(content: &[u8], limit: usize) -> usize {
    let mut most = 0;
    for filters in 1..=CHAINED {
        let mut reader: Box<dyn Read + '_> = Box::new(content);
        for _ in 0..filters {
            let mut header = [0; 2];
            if reader.read_exact(&mut header).is_err() {
                return most;
            }
            reader = Box::new(DeflateDecoder::new(reader));
        }
        let mut size = 0;
        let mut block = [0; 16 << 10];
        while size <= limit {
            match reader.read(&mut block) {
                Ok(read) if read > 0 => size += read,
                _ => break,
            }
        }
        if size == 0 {
            return most;
        }
        most = most.max(size);
    }
    most
}

/// Whether a stream's description calls it a picture and nothing that reading expands.
fn is_picture(description: &[u8]) -> bool {
    let Some(start) = description.windows(4).rposition(|window| window == b" obj") else { return false };
    let description = &description[start..];
    let says = |name: &[u8]| description.windows(name.len()).any(|window| window == name);
    // A name may hide letters behind `#`.
    says(b"/Image") && !says(b"ObjStm") && !says(b"XRef") && !says(b"#")
}

/// Refuses page trees and drawings that are circles or too deep, and pages that draw more than the limit.
pub(super) fn check_document(document: &Document, limits: &ExtractLimits) -> Result<()> {
    let mut walk =
        Walk { document, limit: limits.expanded_bytes, sizes: HashMap::new(), costs: HashMap::new() };
    let mut total = 0_usize;
    for (number, page) in document.get_pages() {
        let broken =
            |what: &str| Error::new(ErrorKind::Malformed, format!("page {number} of the PDF {what}"));
        let dictionary =
            document.get_dictionary(page).map_err(|error| broken("is missing").caused_by(error))?;
        let resources = inherited_resources(document, dictionary)
            .ok_or_else(|| broken("stands in a page tree that is a circle or too deep"))?;
        let mut size = 0_usize;
        for stream in document.get_page_contents(page) {
            size = size.saturating_add(walk.size(stream));
            if total.saturating_add(size) > limits.expanded_bytes {
                return Err(too_large(limits.expanded_bytes));
            }
        }
        let content =
            document.get_page_content(page).map_err(|error| broken("cannot be read").caused_by(error))?;
        let drawn = walk.drawn(&content, resources, 0)?;
        total = total.saturating_add(size).saturating_add(drawn);
        if total > limits.expanded_bytes {
            return Err(too_large(limits.expanded_bytes));
        }
    }
    Ok(())
}

/// The page's resources or those of the nearest node above that has some; `None` where the way up does not end.
fn inherited_resources<'a>(document: &'a Document, page: &'a Dictionary) -> Option<Option<&'a Dictionary>> {
    let mut node = page;
    let mut found = None;
    for _ in 0..DEEPEST {
        found = found.or_else(|| node.get_deref(b"Resources", document).and_then(Object::as_dict).ok());
        let parent = node.get(b"Parent").and_then(Object::as_reference);
        match parent.and_then(|parent| document.get_dictionary(parent)) {
            Ok(parent) => node = parent,
            Err(_) => return Some(found),
        }
    }
    None
}

struct Walk<'a> {
    document: &'a Document,
    limit: usize,
    /// Expanded bytes of each stream.
    sizes: HashMap<ObjectId, usize>,
    /// Bytes that each drawing takes to draw, by its address and that of the resources it may fall back on.
    costs: HashMap<(usize, usize), usize>,
}

impl<'a> Walk<'a> {
    fn size(&mut self, id: ObjectId) -> usize {
        if let Some(size) = self.sizes.get(&id) {
            return *size;
        }
        let stream = self.document.get_object(id).and_then(Object::as_stream);
        let size = stream.map_or(0, |stream| expanded_content(stream).len());
        self.sizes.insert(id, size);
        size
    }

    /// Bytes of all that a content draws, drawings within drawings included.
    fn drawn(&mut self, content: &[u8], resources: Option<&'a Dictionary>, depth: usize) -> Result<usize> {
        if !content.windows(2).any(|window| window == b"Do") {
            return Ok(0);
        }
        let Ok(decoded) = Content::decode(content) else { return Ok(0) };
        let mut total = 0_usize;
        for operation in decoded.operations.iter().filter(|operation| operation.operator == "Do") {
            let name = operation.operands.first().and_then(|name| name.as_name().ok());
            let Some((stream, resources)) = name.and_then(|name| self.drawing(name, resources)) else {
                continue;
            };
            total = total.saturating_add(self.cost(stream, resources, depth + 1)?);
            if total > self.limit {
                return Err(too_large(self.limit));
            }
        }
        Ok(total)
    }

    /// The stream of a drawing and the resources it uses.
    fn drawing(
        &self,
        name: &[u8],
        resources: Option<&'a Dictionary>,
    ) -> Option<(&'a Stream, Option<&'a Dictionary>)> {
        let drawings = resources?.get_deref(b"XObject", self.document).and_then(Object::as_dict).ok()?;
        let stream = drawings.get_deref(name, self.document).and_then(Object::as_stream).ok()?;
        let own = stream.dict.get_deref(b"Resources", self.document).and_then(Object::as_dict).ok();
        Some((stream, own.or(resources)))
    }

    fn cost(&mut self, stream: &'a Stream, resources: Option<&'a Dictionary>, depth: usize) -> Result<usize> {
        if depth > DEEPEST {
            let message = "the PDF's drawings contain each other in a circle, or too deep";
            return Err(Error::new(ErrorKind::Malformed, message));
        }
        let address = (
            std::ptr::from_ref(stream).addr(),
            resources.map_or(0, |found| std::ptr::from_ref(found).addr()),
        );
        if let Some(cost) = self.costs.get(&address) {
            return Ok(*cost);
        }
        let content = expanded_content(stream);
        let cost = content.len().saturating_add(self.drawn(&content, resources, depth)?).saturating_add(1);
        self.costs.insert(address, cost);
        Ok(cost)
    }
}

/// A stream's content as the parser expands it.
fn expanded_content(stream: &Stream) -> Vec<u8> {
    stream.decompressed_content().unwrap_or_else(|_| stream.content.clone())
}
