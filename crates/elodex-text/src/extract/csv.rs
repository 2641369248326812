//! Tables of separated values: each row becomes `column: value` lines, and a page holds a few rows.

use super::{ExtractLimits, Extracted, Format, PageFlow};
use crate::{Error, ErrorKind, Result};
use std::fmt::Write;

/// Bytes of rows that share a page: about what a reader takes in at once, and about one chunk.
const PAGE_BYTES: usize = 1500;
/// Separators that files called CSV use, the usual one first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

pub(super) fn read(text: &str, format: Format, limits: &ExtractLimits) -> Result<Extracted> {
    let separator = if format == Format::Tsv { b'\t' } else { separator(text) };
    // Tab-separated values know no quotes: a quote there is part of a value.
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .quoting(format == Format::Csv)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut columns: Option<Vec<String>> = None;
    let mut extracted = Extracted { flow: PageFlow::Separate, ..Extracted::plain(format) };
    let mut page = String::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            Error::new(ErrorKind::Malformed, "cannot read the table; save it as CSV in UTF-8 again")
                .caused_by(error)
        })?;
        if columns.is_none() {
            let names = is_header(&record);
            columns = Some(if names {
                record.iter().map(|name| name.trim().to_owned()).collect()
            } else {
                Vec::new()
            });
            if names {
                continue;
            }
        }
        let row = row(columns.as_deref().unwrap_or_default(), &record);
        if row.is_empty() {
            continue;
        }
        if !page.is_empty() && page.len() + row.len() > PAGE_BYTES {
            extracted.add_page(&page, limits)?;
            page.clear();
        }
        if !page.is_empty() {
            page.push_str("\n\n");
        }
        page.push_str(&row);
    }
    if page.is_empty() && extracted.pages.is_none() {
        // A table of names only: they are all there is to find.
        page = columns.unwrap_or_default().join("\n");
    }
    if !page.is_empty() {
        extracted.add_page(&page, limits)?;
    }
    extracted.pages.get_or_insert_default();
    Ok(extracted)
}

/// The separator that the first line has most of, outside quotes.
fn separator(text: &str) -> u8 {
    let mut counts = [0_usize; SEPARATORS.len()];
    let mut quoted = false;
    for byte in text.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            _ if quoted => {}
            _ => {
                if let Some(position) = SEPARATORS.iter().position(|separator| *separator == byte) {
                    counts[position] += 1;
                }
            }
        }
    }
    let most = counts.iter().copied().max().unwrap_or_default();
    counts.iter().position(|count| *count == most).map_or(b',', |position| SEPARATORS[position])
}

/// Names are different from each other, not empty, and no numbers.
fn is_header(record: &csv::StringRecord) -> bool {
    let mut seen = std::collections::HashSet::new();
    record.iter().all(|name| {
        let name = name.trim();
        !name.is_empty() && name.parse::<f64>().is_err() && seen.insert(name)
    })
}

fn row(columns: &[String], record: &csv::StringRecord) -> String {
    let mut row = String::new();
    for (position, value) in record.iter().enumerate() {
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        if !row.is_empty() {
            row.push('\n');
        }
        let written = match columns.get(position) {
            Some(name) => write!(row, "{name}: {value}"),
            None => write!(row, "column {}: {value}", position + 1),
        };
        debug_assert!(written.is_ok(), "a string takes all that is written");
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(text: &str, format: Format) -> Vec<String> {
        let extracted = read(text, format, &ExtractLimits::default()).unwrap();
        assert_eq!(extracted.flow, PageFlow::Separate);
        extracted.pages.unwrap().into_iter().map(|page| extracted.text[page].to_owned()).collect()
    }

    #[test]
    fn rows_become_named_lines() {
        let text = "name,note\nAda,\"one, \"\"two\"\"\nthree\"\nBob,\n";
        assert_eq!(pages(text, Format::Csv), ["name: Ada\nnote: one, \"two\"\nthree\n\nname: Bob"]);
        assert_eq!(pages("a;b\n1;2\n", Format::Csv), ["a: 1\nb: 2"]);
        assert_eq!(pages("a\tb\n\"x\t2\n", Format::Tsv), ["a: \"x\nb: 2"]);
    }

    #[test]
    fn rows_of_any_length_keep_all_values() {
        assert_eq!(pages("a,b\n1\n1,2,3\n", Format::Csv), ["a: 1\n\na: 1\nb: 2\ncolumn 3: 3"]);
        assert_eq!(
            pages("1,2\n3,4\n", Format::Csv),
            ["column 1: 1\ncolumn 2: 2\n\ncolumn 1: 3\ncolumn 2: 4"]
        );
        assert_eq!(pages("only,names\n", Format::Csv), ["only\nnames"]);
        assert_eq!(pages("", Format::Csv), Vec::<String>::new());
        assert_eq!(pages("a,b\n\"open quote\n1,2\n", Format::Csv), ["a: open quote\n1,2"]);
    }

    #[test]
    fn a_page_holds_a_few_rows() {
        let text = format!("id,text\n{}", "1,some words of a row\n".repeat(1000));
        let pages = pages(&text, Format::Csv);
        assert!(pages.len() > 10);
        assert!(pages.iter().all(|page| page.len() <= PAGE_BYTES + 2));
    }
}
