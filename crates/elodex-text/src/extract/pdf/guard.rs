//! What the parser does not check itself in a document it has read: how much its parts take, and whether they form
//! circles that it would follow until the stack ends, which nothing can catch.

use super::load::{is_picture, undo_filters};
use super::too_large;
use crate::extract::ExtractLimits;
use crate::{Error, ErrorKind, Result};
use pdf_extract::content::Content;
use pdf_extract::{Dictionary, Document, Object, ObjectId, Stream};
use std::collections::{HashMap, HashSet};

/// Depth to which page trees and drawings within drawings are followed.
const DEEPEST: usize = 32;
/// Part of the limit that one content may have: parsed, each of its operators takes many times what it does in the file.
const CONTENT_SHARE: usize = 16;

/// Expands every stream within the limit, and empties pictures and colour profiles, in which there is no text: the parser
/// would read them again for every use.
pub(super) fn expand(document: &mut Document, limits: &ExtractLimits) -> Result<()> {
    let limit = limits.expanded_bytes;
    let mut profiles = HashSet::new();
    for object in document.objects.values() {
        find_profiles(object, &mut profiles);
    }
    let mut left = limit;
    for (id, object) in &mut document.objects {
        let Object::Stream(stream) = object else { continue };
        if is_picture(stream) || profiles.contains(id) {
            stream.set_plain_content(Vec::new());
            continue;
        }
        left = left.saturating_sub(undo_filters(stream, left, limit)?);
    }
    Ok(())
}

/// Adds the streams that colour spaces name as their profile.
fn find_profiles(object: &Object, profiles: &mut HashSet<ObjectId>) {
    match object {
        Object::Array(items) => {
            if let [Object::Name(name), Object::Reference(profile), ..] = &items[..]
                && name == b"ICCBased"
            {
                profiles.insert(*profile);
            }
            items.iter().for_each(|item| find_profiles(item, profiles));
        }
        Object::Dictionary(entries) => entries.iter().for_each(|(_, entry)| find_profiles(entry, profiles)),
        Object::Stream(stream) => stream.dict.iter().for_each(|(_, entry)| find_profiles(entry, profiles)),
        _ => {}
    }
}

/// Refuses page trees and drawings that are circles or too deep, and pages that draw more than the limit.
pub(super) fn check(document: &Document, limits: &ExtractLimits) -> Result<()> {
    let mut walk = Walk { document, limit: limits.expanded_bytes, costs: HashMap::new() };
    let mut total = 0_usize;
    for (number, page) in document.get_pages() {
        let broken =
            |what: &str| Error::new(ErrorKind::Malformed, format!("page {number} of the PDF {what}"));
        let dictionary =
            document.get_dictionary(page).map_err(|error| broken("is missing").caused_by(error))?;
        let resources = inherited_resources(document, dictionary)
            .ok_or_else(|| broken("stands in a page tree that is a circle or too deep"))?;
        let mut size = 0_usize;
        for id in document.get_page_contents(page) {
            let Ok(stream) = document.get_object(id).and_then(Object::as_stream) else { continue };
            if let Ok(filters) = stream.filters() {
                let names: Vec<_> = filters.iter().map(|name| String::from_utf8_lossy(name)).collect();
                let message = format!(
                    "page {number} of the PDF is compressed with `{}`, which is not read; print it to PDF again",
                    names.join(" ")
                );
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            size = size.saturating_add(stream.content.len());
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
    /// Bytes that each drawing takes to draw, by its address and that of the resources it may fall back on.
    costs: HashMap<(usize, usize), usize>,
}

impl<'a> Walk<'a> {
    /// Bytes of all that a content draws, drawings within drawings included.
    fn drawn(&mut self, content: &[u8], resources: Option<&'a Dictionary>, depth: usize) -> Result<usize> {
        let most = self.limit / CONTENT_SHARE;
        if content.len() > most {
            let message = format!(
                "a page or a drawing of the PDF takes {} bytes, at most {most} are read; split the document, or raise the limit",
                content.len()
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
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
        let drawn = self.drawn(&stream.content, resources, depth)?;
        let cost = stream.content.len().saturating_add(drawn).saturating_add(1);
        self.costs.insert(address, cost);
        Ok(cost)
    }
}
