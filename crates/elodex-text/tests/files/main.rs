//! Whole files, well-formed and hostile, made here.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod made;
mod office;
mod pdf;

use elodex_text::{ErrorKind, ExtractLimits, Extracted, Format, PageFlow, Result, Source, extract};

fn read(name: &str, bytes: &[u8]) -> Result<Extracted> {
    extract(Source::File { name, bytes }, &ExtractLimits::default())
}

fn kind(name: &str, bytes: &[u8]) -> ErrorKind {
    read(name, bytes).unwrap_err().kind()
}

#[test]
fn deep_documents_do_not_end_the_process() {
    let deep = "<w:tbl><w:tr><w:tc>".repeat(50_000);
    assert_eq!(kind("a.docx", &made::docx(&deep)), ErrorKind::Malformed);
    let html = format!("{}text", "<ul><li>".repeat(100_000));
    assert!(read("a.html", html.as_bytes()).unwrap().text.ends_with("text"));
}

#[test]
fn bytes_decide_before_the_extension() {
    let pdf = made::bytes(made::Pdf::new().page(&["text"]).finish());
    assert_eq!(read("a.txt", &pdf).unwrap().format, Format::Pdf);
    assert_eq!(read("a.pdf", &made::docx("")).unwrap().format, Format::Docx);
    assert_eq!(read("page", b"<!DOCTYPE html><p>x").unwrap().text, "x");
    assert_eq!(read("notes.txt", b"how %PDF- files begin").unwrap().format, Format::Text);
    let formats = [
        ("dir.md/README", Format::Text),
        ("a.MD", Format::Markdown),
        ("a.htm", Format::Html),
        ("a.csv", Format::Csv),
        ("a.tsv", Format::Tsv),
        ("a.json", Format::Json),
        ("a.jsonl", Format::JsonLines),
        ("a.rs", Format::Text),
    ];
    for (name, format) in formats {
        assert_eq!(read(name, b"1").unwrap().format, format, "{name}");
        assert_eq!(read(name, b"").unwrap().text, "", "{name}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let error = read("photo.txt", b"\x89PNG\r\n\x1a\n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("`photo.txt` is a PNG picture"), "{error}");
    assert!(
        error.to_string().ends_with("convert it to text, Markdown, HTML, CSV, JSON, PDF, DOCX or PPTX"),
        "{error}"
    );
    assert_eq!(kind("a.bin", &[0, 1, 2, 3, 254, 255]), ErrorKind::Unsupported);
    assert_eq!(kind("old.doc", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"), ErrorKind::Unsupported);
}

#[test]
fn pages_are_joined_by_one_line_feed_and_bounded() {
    let pages = ["one\n".to_owned(), String::new(), "two".to_owned()];
    let source = Source::Pages { pages: &pages, flow: PageFlow::Separate };
    let extracted = extract(source, &ExtractLimits::default()).unwrap();
    assert_eq!(extracted.text, "one\n\n\ntwo");
    assert_eq!(extracted.pages, Some(vec![0..4, 5..5, 6..9]));
    let none = Source::Pages { pages: &[], flow: PageFlow::Continuous };
    assert_eq!(extract(none, &ExtractLimits::default()).unwrap().pages, Some(vec![]));
    let limits = ExtractLimits { pages: 2, ..ExtractLimits::default() };
    assert_eq!(extract(source, &limits).unwrap_err().kind(), ErrorKind::TooLarge);
    let limits = ExtractLimits { text_bytes: 7, ..ExtractLimits::default() };
    assert_eq!(extract(source, &limits).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(extract(Source::Text("12345678"), &limits).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn one_thing_a_megabyte_long_is_read() {
    const LENGTH: usize = 1 << 20;
    // Ways through the readers that something quadratic would not come out of.
    for name in ["a.txt", "a.md", "a.html", "a.csv", "a.tsv", "a.jsonl"] {
        for part in [
            "a", " ", "\n", "東", "#", "# a\n", "*", "`", "[", "![", "<", "<p", "<b>", "&", "\"", "\"\"",
            ",", "a,", "|", ">", "- ",
        ] {
            match read(name, part.repeat(LENGTH / part.len()).as_bytes()) {
                Ok(extracted) => assert!(extracted.text.len() <= 10 * LENGTH, "{name} {part:?}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Malformed, "{name} {part:?}: {}", error.report())
                }
            }
        }
    }
    let field = "a \"\"quoted\"\" word, ".repeat(10 << 15);
    let table = format!("id,text\n1,\"{field}\"\n2,short\n");
    let extracted = read("a.csv", table.as_bytes()).unwrap();
    let pages = extracted.pages.unwrap();
    assert_eq!(pages.len(), 2);
    assert_eq!(
        &extracted.text[pages[0].clone()],
        format!("id: 1\ntext: {}", field.replace("\"\"", "\"").trim())
    );
    let value = "x".repeat(LENGTH);
    assert_eq!(
        read("a.json", format!("{{\"k\":\"{value}\"}}").as_bytes()).unwrap().text,
        format!("k: {value}")
    );
}

#[test]
fn names_that_every_row_repeats_do_not_multiply_beyond_the_limit() {
    let table = format!("{},b\n{}", "k".repeat(1 << 16), "1,2\n".repeat(1 << 16));
    let limits = ExtractLimits { text_bytes: 1 << 20, ..ExtractLimits::default() };
    let error = extract(Source::File { name: "a.csv", bytes: table.as_bytes() }, &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}
