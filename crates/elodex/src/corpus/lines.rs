//! Documents as JSON lines, BEIR's `corpus.jsonl` among them.

use anyhow::{Context as _, bail, ensure};
use elodex_eval::RecordId;
use elodex_types::{Content, LIST_PREFIX, Metadata, MetadataValue, NewDocument, validate_metadata};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::io::BufRead;
use std::path::Path;

/// Longest line that is read: one document.
const LINE_BYTES: u64 = 256 << 20;

/// One line.
#[derive(Deserialize)]
struct Line {
    _id: Option<RecordId>,
    id: Option<RecordId>,
    path: Option<RecordId>,
    title: Option<String>,
    text: String,
    metadata: Option<Map<String, Value>>,
}

/// What becomes of a line's `metadata`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attributes {
    /// Attributes that filters ask for: texts, numbers and truth values as texts, and lists of them. `null` is none.
    Kept,
    /// Nothing, whatever it is.
    Dropped,
}

/// What some editors write in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether a file's name ends in `.jsonl` and its first line, blank ones aside, has an id and a text, as documents have.
pub(super) fn hold_documents(path: &Path) -> anyhow::Result<bool> {
    if path.extension().is_none_or(|ending| ending != "jsonl" && ending != "ndjson") {
        return Ok(false);
    }
    let file = std::fs::File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut reader = std::io::BufReader::new(std::io::Read::take(file, LINE_BYTES));
    let mut first = Vec::new();
    while reader.read_until(b'\n', &mut first)? > 0 && without_mark(&first).trim_ascii().is_empty() {
        first.clear();
    }
    let line: Option<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_slice(without_mark(&first)).ok();
    Ok(line.is_some_and(|line| {
        line.contains_key("text") && ["_id", "id", "path"].iter().any(|name| line.contains_key(*name))
    }))
}

fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
}

/// Hands over the documents of `reader`, a JSON object a line: `_id`, `id` or `path`, `text`, and where there are any
/// `title` and `metadata`. The title becomes the text's first paragraph. `name` is for messages.
pub(crate) fn from_reader(
    mut reader: impl BufRead,
    name: &str,
    attributes: Attributes,
    add: &mut dyn FnMut(NewDocument) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = std::io::Read::take(&mut reader, LINE_BYTES).read_until(b'\n', &mut line);
        if read.with_context(|| format!("cannot read line {number} of {name}"))? == 0 {
            break;
        }
        if line.len() as u64 == LINE_BYTES {
            bail!("line {number} of {name} is longer than {LINE_BYTES} bytes");
        }
        let content = if number == 1 { without_mark(&line) } else { &line };
        if content.trim_ascii().is_empty() {
            continue;
        }
        let document = parse(content, attributes).with_context(|| format!("line {number} of {name}"))?;
        add(document)?;
    }
    Ok(())
}

fn parse(line: &[u8], attributes: Attributes) -> anyhow::Result<NewDocument> {
    let line: Line = serde_json::from_slice(line)
        .context("no document: it takes an object with `_id` (or `id`, `path`) and `text`")?;
    let path = line._id.or(line.id).or(line.path).context("no `_id`, `id` or `path`")?.into();
    let metadata = match attributes {
        Attributes::Kept => metadata(line.metadata.unwrap_or_default())?,
        Attributes::Dropped => Metadata::new(),
    };
    let title = line.title.as_deref().unwrap_or_default().trim();
    let text = if title.is_empty() { line.text } else { format!("{title}\n\n{}", line.text) };
    Ok(NewDocument { path, metadata, content: Content::Text(text) })
}

/// A line's `metadata` as attributes.
fn metadata(values: Map<String, Value>) -> anyhow::Result<Metadata> {
    let mut metadata = Metadata::new();
    for (name, value) in values {
        let (name, value) = match value {
            Value::Null => continue,
            Value::Array(items) => {
                let items: Option<Vec<String>> = items.iter().map(text).collect();
                let listed =
                    if name.starts_with(LIST_PREFIX) { name.clone() } else { format!("{LIST_PREFIX}{name}") };
                (listed, items.map(MetadataValue::List))
            }
            value => (name, text(&value).map(MetadataValue::Text)),
        };
        let Some(value) = value else {
            bail!(
                "attribute `{name}` holds more than texts, numbers or one list of them; take it apart, or leave it out"
            );
        };
        ensure!(
            metadata.insert(name.clone(), value).is_none(),
            "attribute `{name}` is there twice; leave one out"
        );
    }
    validate_metadata(&metadata).map_err(anyhow::Error::msg)?;
    Ok(metadata)
}

/// A text as it is, a number or a truth value as it is written; `None` for anything else.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Vec<NewDocument>> {
        let mut documents = Vec::new();
        from_reader(text.as_bytes(), "a.jsonl", Attributes::Kept, &mut |document| {
            documents.push(document);
            Ok(())
        })?;
        Ok(documents)
    }

    #[test]
    fn lines_have_an_id_a_text_and_what_else_there_is() {
        let documents = read(concat!(
            "{\"_id\": \"a\", \"title\": \"T\", \"text\": \"x\", \"metadata\": {\"lang\": \"en\"}}\n\n",
            "{\"id\": 7, \"text\": \"y\", \"title\": \"\"}",
        ));
        let documents = documents.unwrap();
        assert_eq!(documents[0].content, Content::Text("T\n\nx".into()));
        assert_eq!(documents[0].metadata.len(), 1);
        assert_eq!((documents[1].path.as_str(), &documents[1].content), ("7", &Content::Text("y".into())));
    }

    #[test]
    fn attributes_become_what_filters_ask_for() {
        let line = r#"{"_id": 1, "text": "x", "metadata": {"year": 2020, "open": true, "by": null, "of": "a",
            "tags": ["b", 3], "list:more": []}}"#
            .replace('\n', "");
        let text = |text: &str| MetadataValue::Text(text.to_owned());
        let list =
            |items: &[&str]| MetadataValue::List(items.iter().map(|item| (*item).to_owned()).collect());
        let expected = [
            ("year", text("2020")),
            ("open", text("true")),
            ("of", text("a")),
            ("list:tags", list(&["b", "3"])),
            ("list:more", list(&[])),
        ];
        let expected: Metadata = expected.map(|(name, value)| (name.to_owned(), value)).into();
        assert_eq!(read(&line).unwrap()[0].metadata, expected);
        let odd = r#"{"_id": 1, "text": "x", "metadata": {"a b": {"c": [[]]}}}"#;
        assert!(read(odd).is_err());
        assert_eq!(parse(odd.as_bytes(), Attributes::Dropped).unwrap().metadata, Metadata::new());
    }

    #[test]
    fn what_other_tools_write_is_read() {
        let documents = read(concat!(
            "\u{feff}\n{\"_id\": \"a\", \"id\": \"b\", \"title\": null, \"text\": \"x\", \"metadata\": null}\n",
            "{\"id\": -7, \"text\": \"y\"}",
        ));
        let paths: Vec<String> = documents.unwrap().into_iter().map(|document| document.path).collect();
        assert_eq!(paths, ["a", "-7"]);
    }

    #[test]
    fn a_file_is_lines_where_its_first_one_looks_like_a_document() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.jsonl");
        for (text, expected) in [
            ("{\"_id\": \"a\", \"text\": \"x\", \"metadata\": {\"year\": 2020}}\n{\"_id\"", true),
            ("\u{feff}\n\n{\"path\": \"a\", \"text\": null}", true),
            ("{\"level\": \"info\", \"id\": 3}", false),
            ("", false),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(hold_documents(&file).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_broken_line_is_named() {
        for broken in [
            "{",
            "{\"text\": \"x\"}",
            "{\"_id\": \"a\"}",
            "{\"_id\":\"a\",\"text\":\"x\",\"metadata\":{\"a b\":\"c\"}}",
            "{\"_id\":true,\"text\":\"x\"}",
            "{\"_id\":\"a\",\"text\":\"x\",\"metadata\":{\"author\":{\"name\":\"c\"}}}",
            "{\"_id\":\"a\",\"text\":\"x\",\"metadata\":{\"pages\":[[1]]}}",
            "{\"_id\":\"a\",\"text\":\"x\",\"metadata\":{\"tags\":[1],\"list:tags\":[2]}}",
        ] {
            let problem = read(&format!("{{\"_id\": \"a\", \"text\": \"x\"}}\n{broken}\n")).unwrap_err();
            assert!(problem.to_string().contains("line 2 of a.jsonl"), "{problem:#}");
        }
    }
}
