//! Where an answer stands in its document.

use super::arguments::Case;
use crate::library::Library;
use serde_json::{Value, json};
use std::ops::Range;

/// What is there of an answer before anything is searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Passage {
    /// The whole document answers.
    Document,
    /// These characters of its text answer.
    Span(Range<usize>),
    /// It cannot be found by any search: why.
    Absent(String),
}

/// Looks for the case's answer in the collection.
pub(crate) fn find(library: &dyn Library, collection: &str, case: &Case) -> anyhow::Result<Passage> {
    let path = &case.document;
    // A list, since asking for a document that is not there is an error like any other.
    let list = json!({ "collection_name": collection, "limit": 1, "path_prefix": path });
    let answer = library.call("/v1/documents/get-document-info-list", &list)?;
    let listed = answer["documents"].as_array().and_then(|documents| documents.first());
    let Some(document) = listed.filter(|document| document["path"] == path.as_str()) else {
        return Ok(Passage::Absent(format!("`{path}` is not in the collection; ingest it")));
    };
    if document["index_status"] != "indexed" {
        let status = document["index_status"].as_str().unwrap_or("in no state");
        let reason = document["failure"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
        return Ok(Passage::Absent(format!("`{path}` cannot be searched, it is {status}{reason}")));
    }
    let Some(text) = &case.text else { return Ok(Passage::Document) };
    let info = json!({ "collection_name": collection, "path": path, "include_content": true });
    let answer: Value = library.call("/v1/documents/get-document-info", &info)?;
    let content = answer["document"]["content"].as_str().unwrap_or_default();
    Ok(match position(content, text) {
        Some(span) => Passage::Span(span),
        None => Passage::Absent(format!(
            "`{path}` does not have these words as it was read; look at its text with `elodex search`"
        )),
    })
}

/// The characters of `content` that say `text`, whatever the case of letters and the white space between words.
fn position(content: &str, text: &str) -> Option<Range<usize>> {
    let (folded, places) = folded(content);
    let (wanted, _) = self::folded(text);
    let length = wanted.len();
    let start = folded.windows(length).position(|window| window == wanted)?;
    let last = places.get(start + length - 1)?;
    Some(*places.get(start)?..last + 1)
}

/// Lower-case characters with one space between words, and where each comes from.
fn folded(text: &str) -> (Vec<char>, Vec<usize>) {
    let mut characters = Vec::new();
    let mut places = Vec::new();
    for (place, letter) in text.chars().enumerate() {
        if letter.is_whitespace() {
            if characters.last() == Some(&' ') || characters.is_empty() {
                continue;
            }
            characters.push(' ');
            places.push(place);
            continue;
        }
        for lower in letter.to_lowercase() {
            characters.push(lower);
            places.push(place);
        }
    }
    if characters.last() == Some(&' ') {
        characters.pop();
        places.pop();
    }
    (characters, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whatever_stands_between_them() {
        let content = "# Köln\n\nInvoices are  kept\nfor ten years.";
        let found = position(content, "ARE kept for").unwrap();
        let said: String = content.chars().skip(found.start).take(found.len()).collect();
        assert_eq!(said, "are  kept\nfor");
        assert_eq!(position(content, "kept for eleven"), None);
        assert_eq!(position("short", "longer than that"), None);
        assert_eq!(position(content, "köln").unwrap(), 2..6);
    }
}
