//! Documents as JSON lines, BEIR's `corpus.jsonl` among them.

use anyhow::{Context as _, bail};
use elodex_types::{Content, Metadata, NewDocument, validate_metadata};
use serde::Deserialize;
use std::io::BufRead;
use std::path::Path;

/// Longest line that is read: one document.
const LINE_BYTES: u64 = 256 << 20;

/// One line.
#[derive(Deserialize)]
struct Line {
    #[serde(alias = "_id", alias = "id")]
    path: Option<Id>,
    #[serde(default)]
    title: String,
    text: String,
    #[serde(default)]
    metadata: Metadata,
}

/// Ids are texts or numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(u64),
}

/// Whether a file's name ends in `.jsonl` and its first line is a document.
pub(super) fn hold_documents(path: &Path) -> anyhow::Result<bool> {
    if path.extension().is_none_or(|ending| ending != "jsonl" && ending != "ndjson") {
        return Ok(false);
    }
    let file = std::fs::File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut first = Vec::new();
    std::io::BufReader::new(std::io::Read::take(file, LINE_BYTES)).read_until(b'\n', &mut first)?;
    Ok(serde_json::from_slice::<Line>(&first).is_ok_and(|line| line.path.is_some()))
}

/// Hands over the documents of `reader`, a JSON object a line: `_id`, `id` or `path`, `text`, and where there are any
/// `title` and `metadata`. The title becomes the text's first paragraph. `name` is for messages.
pub(crate) fn from_reader(
    mut reader: impl BufRead,
    name: &str,
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
        if line.trim_ascii().is_empty() {
            continue;
        }
        let document = parse(&line).with_context(|| format!("line {number} of {name}"))?;
        add(document)?;
    }
    Ok(())
}

fn parse(line: &[u8]) -> anyhow::Result<NewDocument> {
    let line: Line = serde_json::from_slice(line)
        .context("no document: it takes an object with `_id` (or `id`, `path`) and `text`")?;
    let path = match line.path {
        Some(Id::Text(text)) => text,
        Some(Id::Number(number)) => number.to_string(),
        None => bail!("no `_id`, `id` or `path`"),
    };
    validate_metadata(&line.metadata).map_err(anyhow::Error::msg)?;
    let title = line.title.trim();
    let text = if title.is_empty() { line.text } else { format!("{title}\n\n{}", line.text) };
    Ok(NewDocument { path, metadata: line.metadata, content: Content::Text(text) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Vec<NewDocument>> {
        let mut documents = Vec::new();
        from_reader(text.as_bytes(), "a.jsonl", &mut |document| {
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
    fn a_broken_line_is_named() {
        for broken in [
            "{",
            "{\"text\": \"x\"}",
            "{\"_id\": \"a\"}",
            "{\"_id\":\"a\",\"text\":\"x\",\"metadata\":{\"a b\":\"c\"}}",
        ] {
            let problem = read(&format!("{{\"_id\": \"a\", \"text\": \"x\"}}\n{broken}\n")).unwrap_err();
            assert!(problem.to_string().contains("line 2 of a.jsonl"), "{problem:#}");
        }
    }
}
