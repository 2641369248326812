//! Which reader a file goes to: its bytes decide where they tell, else the extension of its name.

use super::{ExtractLimits, Extracted, Format, check_text, csv, encoding, html, json, markdown, office, pdf};
use crate::{Error, ErrorKind, Result};

/// Beginnings of files that hold no text we read, and what they are.
const OTHERS: &[(&[u8], &str)] = &[
    (b"\x89PNG", "a PNG picture"),
    (b"\xFF\xD8\xFF", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"\x1F\x8B", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xFD7zXZ", "an xz archive"),
    (b"\x28\xB5\x2F\xFD", "a Zstandard archive"),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an Office 97-2003 file (.doc, .xls, .ppt)"),
    (b"{\\rtf", "an RTF text"),
    (b"%!PS", "a PostScript file"),
    (b"\x7FELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1", "a Parquet table"),
    (b"ID3", "an MP3 recording"),
    (b"OggS", "an Ogg recording"),
    (b"RIFF", "a recording, a film or a WebP picture"),
];

/// The formats that a file of another may be converted to.
pub(super) const WAY_OUT: &str = "convert it to text, Markdown, HTML, CSV, JSON, PDF, DOCX or PPTX";

/// Bytes in which a PDF begins; what stands before is ignored, as readers do.
const PDF_PREAMBLE: usize = 1024;

pub(super) fn read(name: &str, bytes: &[u8], limits: &ExtractLimits) -> Result<Extracted> {
    let extension = extension(name);
    let beginning = &bytes[..bytes.len().min(PDF_PREAMBLE)];
    if beginning.windows(5).any(|window| window == b"%PDF-") && looks_like_pdf(beginning, &extension) {
        return pdf::read(bytes, limits);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return office::read(bytes, limits);
    }
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        let message = format!("`{name}` is {what}, which is not read; {WAY_OUT}");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if let "pdf" | "docx" | "pptx" = extension.as_str() {
        let message = format!("`{name}` does not begin as a {} file does", extension.to_uppercase());
        return Err(Error::new(ErrorKind::Malformed, message));
    }
    let is_html = matches!(extension.as_str(), "html" | "htm" | "xhtml") || begins_as_html(beginning);
    let text = encoding::decode(name, bytes, is_html)?;
    check_text(text.len(), limits)?;
    match extension.as_str() {
        _ if is_html => html::read(&text, limits),
        "md" | "markdown" | "mdown" => Ok(markdown::read(text)),
        "csv" => csv::read(&text, Format::Csv, limits),
        "tsv" | "tab" => csv::read(&text, Format::Tsv, limits),
        "json" => json::read(&text, limits),
        "jsonl" | "ndjson" => json::read_lines(&text, limits),
        _ => Ok(Extracted { text, ..Extracted::plain(Format::Text) }),
    }
}

/// The extension of a name in lower case, without the dot; empty where there is none.
fn extension(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default()
}

/// A text may speak of `%PDF-`: only a file that begins with it, or calls itself PDF, is one.
fn looks_like_pdf(beginning: &[u8], extension: &str) -> bool {
    extension == "pdf" || beginning.trim_ascii_start().starts_with(b"%PDF-")
}

fn begins_as_html(beginning: &[u8]) -> bool {
    let beginning = beginning.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(beginning).trim_ascii_start();
    let starts = |tag: &[u8]| beginning.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    starts(b"<!doctype html") || starts(b"<html")
}
