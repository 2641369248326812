//! Parsing under a budget. The parser shows every object as it reads it, before it expands what the object holds.

use super::filters::{CHAINED, expanded};
use super::too_large;
use crate::{Error, ErrorKind, Result};
use pdf_extract::{Dictionary, Document, LoadOptions, Object, ObjectId, Stream};
use std::cell::Cell;
use std::collections::HashSet;
use std::panic::resume_unwind;

thread_local! {
    /// Of the document being parsed: the parser takes a plain function and calls it on the thread that it was called on.
    static BUDGET: Cell<Budget> = const { Cell::new(Budget { left: 0, limit: 0, file: 0 }) };
}

#[derive(Clone, Copy)]
struct Budget {
    /// Bytes that the objects may still take.
    left: usize,
    /// Bytes that they may take in all.
    limit: usize,
    /// Bytes of the file.
    file: usize,
}

/// Parses a document. Pictures come without their content: they have no text, and drawing one would read its pixels as
/// one. A document over the limit unwinds with an [`Error`].
pub(super) fn load(bytes: &[u8], limit: usize) -> Result<Document, pdf_extract::Error> {
    BUDGET.set(Budget { left: limit, limit, file: bytes.len() });
    let options = LoadOptions { filter: Some(admit), ..LoadOptions::default() };
    Document::load_mem_with_options(bytes, options)
}

/// Takes an object's bytes from the budget. Many entries of the file's table may name the same object, and each is kept
/// until all are read.
fn admit(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    let budget = BUDGET.get();
    let cost = match &mut *object {
        Object::Stream(stream) if is_picture(stream) => {
            stream.set_plain_content(Vec::new());
            0
        }
        // Its length is not known yet: the parser fills it in at the end.
        Object::Stream(stream) if stream.content.is_empty() && stream.start_position.is_some() => budget.file,
        Object::Stream(stream) if stream.dict.has_type(b"ObjStm") => match open(stream, budget) {
            Ok(size) => size,
            Err(error) => stop(error),
        },
        other => weight(other),
    };
    match budget.left.checked_sub(cost) {
        Some(left) => BUDGET.set(Budget { left, ..budget }),
        None => stop(too_large(budget.limit)),
    }
    // The parser wants a copy of what an object stream holds, which is never a stream, and drops that of any other.
    let copy = if let Object::Stream(_) = object { Object::Null } else { object.clone() };
    Some((id, copy))
}

/// Leaves the parser, which hands no error of ours on.
fn stop(error: Error) -> ! {
    resume_unwind(Box::new(error))
}

pub(super) fn is_picture(stream: &Stream) -> bool {
    stream.dict.get(b"Subtype").and_then(Object::as_name).is_ok_and(|name| name == b"Image")
        && !stream.dict.has_type(b"ObjStm")
}

/// Expands an object stream in place. Returns its size.
fn open(stream: &mut Stream, budget: Budget) -> Result<usize> {
    let size = undo_filters(stream, budget.left, budget.limit)?;
    let first = stream.dict.get(b"First").and_then(Object::as_i64).ok();
    let index = first.and_then(|first| stream.content.get(..usize::try_from(first).ok()?));
    let index = index.and_then(|index| str::from_utf8(index).ok()).unwrap_or_default();
    let mut places = HashSet::new();
    let mut offsets =
        index.split_whitespace().skip(1).step_by(2).filter_map(|offset| offset.parse::<u32>().ok());
    // Objects in one place would be as many copies of it.
    if offsets.all(|offset| places.insert(offset)) {
        return Ok(size);
    }
    Err(Error::new(ErrorKind::Malformed, "the PDF has several objects in one place; print it to PDF again"))
}

/// Expands a stream in place, where that takes at most `left` of the document's `limit` bytes; one with a filter that the
/// parser does not know stays as it is. Returns the bytes that it took.
pub(super) fn undo_filters(stream: &mut Stream, left: usize, limit: usize) -> Result<usize> {
    let Some(size) = expanded(stream, left) else {
        let message = format!("a stream of the PDF has more than {CHAINED} filters; print it to PDF again");
        return Err(Error::new(ErrorKind::Malformed, message));
    };
    if size > left {
        return Err(too_large(limit));
    }
    if stream.is_compressed()
        && let Ok(content) = stream.get_plain_content()
    {
        stream.set_plain_content(content);
    }
    Ok(size)
}

/// Bytes that an object takes in memory, about. The parser bounds how deep it is.
fn weight(object: &Object) -> usize {
    let own = size_of::<Object>();
    own + match object {
        Object::Array(items) => items.iter().map(weight).sum(),
        Object::Dictionary(entries) => dictionary_weight(entries),
        Object::Stream(stream) => stream.content.len() + dictionary_weight(&stream.dict),
        Object::Name(text) | Object::String(text, _) => text.len(),
        _ => 0,
    }
}

fn dictionary_weight(entries: &Dictionary) -> usize {
    entries.iter().map(|(key, value)| key.len() + weight(value)).sum()
}
