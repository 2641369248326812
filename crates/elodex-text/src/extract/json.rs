//! JSON to `path: value` lines; numbers as they are written, names that repeat all kept.

use super::{ExtractLimits, Extracted, Format, PageFlow, check_text};
use crate::{Error, ErrorKind, Result};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Nesting beyond which a value is no document.
const DEEPEST: usize = 128;

pub(super) fn read(text: &str, limits: &ExtractLimits) -> Result<Extracted> {
    let mut lines = Lines { limits, text: String::new(), path: String::new() };
    if !text.trim().is_empty() {
        lines.value(parse(text)?, 0)?;
    }
    Ok(Extracted { text: lines.text, ..Extracted::plain(Format::Json) })
}

/// One value a line, a page each.
pub(super) fn read_lines(text: &str, limits: &ExtractLimits) -> Result<Extracted> {
    let mut extracted = Extracted { flow: PageFlow::Separate, ..Extracted::plain(Format::JsonLines) };
    let mut lines = Lines { limits, text: String::new(), path: String::new() };
    for (position, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        lines.text.clear();
        parse(line).and_then(|value| lines.value(value, 0)).map_err(|error| {
            Error::new(error.kind(), format!("line {}: {}", position + 1, error.report()))
        })?;
        extracted.add_page(&lines.text, limits)?;
    }
    extracted.pages.get_or_insert_default();
    Ok(extracted)
}

fn parse<'de, T: serde::Deserialize<'de>>(text: &'de str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::new(ErrorKind::Malformed, format!("not JSON: {error}")))
}

struct Lines<'a> {
    limits: &'a ExtractLimits,
    text: String,
    /// Names and positions that lead to the value at hand.
    path: String,
}

impl Lines<'_> {
    fn value(&mut self, value: &RawValue, depth: usize) -> Result<()> {
        let written = value.get().trim();
        if depth > DEEPEST {
            let message = format!("the JSON is nested deeper than {DEEPEST} levels");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        match written.as_bytes().first() {
            Some(b'{') => self.object(written, depth),
            Some(b'[') => self.array(written, depth),
            Some(b'"') => self.line(&parse::<String>(written)?),
            _ => self.line(written),
        }
    }

    fn object(&mut self, written: &str, depth: usize) -> Result<()> {
        let Entries(entries) = parse(written)?;
        if entries.is_empty() {
            return self.line("{}");
        }
        for (name, value) in entries {
            let before = self.path.len();
            if before > 0 {
                self.path.push('.');
            }
            self.path.push_str(&name);
            self.value(value, depth + 1)?;
            self.path.truncate(before);
        }
        Ok(())
    }

    fn array(&mut self, written: &str, depth: usize) -> Result<()> {
        let values: Vec<&RawValue> = parse(written)?;
        if values.is_empty() {
            return self.line("[]");
        }
        for (position, value) in values.into_iter().enumerate() {
            if depth == 0 && position > 0 {
                // The records of a file are paragraphs.
                self.text.push('\n');
            }
            let before = self.path.len();
            self.path.push_str(&format!("[{position}]"));
            self.value(value, depth + 1)?;
            self.path.truncate(before);
        }
        Ok(())
    }

    fn line(&mut self, value: &str) -> Result<()> {
        // Long names over many values make more text than the file has.
        check_text(self.text.len() + self.path.len() + value.len() + 3, self.limits)?;
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        if !self.path.is_empty() {
            self.text.push_str(&self.path);
            self.text.push_str(": ");
        }
        self.text.push_str(value);
        Ok(())
    }
}

/// The entries of an object in order, repeated names included.
struct Entries<'de>(Vec<(String, &'de RawValue)>);

impl<'de> serde::Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Entries<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Result<String> {
        read(json, &ExtractLimits::default()).map(|extracted| extracted.text)
    }

    #[test]
    fn values_stand_behind_their_path() {
        let json = r#"{"a": {"b": [1.10, "two\nlines"]}, "n": null, "a": 12345678901234567890123, "e": [], "o": {}}"#;
        assert_eq!(
            text(json).unwrap(),
            "a.b[0]: 1.10\na.b[1]: two\nlines\nn: null\na: 12345678901234567890123\ne: []\no: {}"
        );
        assert_eq!(text(r#"[{"a":1},{"a":2}]"#).unwrap(), "[0].a: 1\n\n[1].a: 2");
        assert_eq!(text("\"plain\"").unwrap(), "plain");
        assert_eq!(text(" \n").unwrap(), "");
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for json in ["{", "[1,]", "{\"a\":1} x", r#""\ud800""#, r#"{"a":"\udc00 b"}"#] {
            assert_eq!(text(json).unwrap_err().kind(), ErrorKind::Malformed, "{json}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_a_deep_stack() {
        let depth = 1 << 20;
        let json = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(text(&json).unwrap_err().kind(), ErrorKind::Unsupported);
        let json = format!("{}1{}", "{\"a\":".repeat(DEEPEST), "}".repeat(DEEPEST));
        assert!(text(&json).unwrap().ends_with(": 1"));
    }

    #[test]
    fn long_paths_do_not_multiply_beyond_the_limit() {
        let json = format!("{{\"{}\":[{}0]}}", "k".repeat(10_000), "0,".repeat(10_000));
        let limits = ExtractLimits { text_bytes: 1 << 20, ..ExtractLimits::default() };
        assert_eq!(read(&json, &limits).unwrap_err().kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn lines_are_pages_and_errors_name_theirs() {
        let extracted = read_lines("{\"a\":1}\n\n{\"a\":2}\n", &ExtractLimits::default()).unwrap();
        assert_eq!(extracted.text, "a: 1\na: 2");
        assert_eq!(extracted.pages.unwrap(), [0..4, 5..9]);
        let error = read_lines("1\n\n{", &ExtractLimits::default()).unwrap_err();
        assert!(error.to_string().starts_with("line 3: not JSON"), "{error}");
    }
}
