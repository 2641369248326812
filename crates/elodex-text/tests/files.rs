//! Whole files, well-formed and hostile, made here.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use elodex_text::{
    ChunkSpec, ErrorKind, ExtractLimits, Extracted, Format, PageFlow, Result, Source, chunk, extract,
};
use std::io::{Cursor, Write};

fn read(name: &str, bytes: &[u8]) -> Result<Extracted> {
    extract(Source::File { name, bytes }, &ExtractLimits::default())
}

fn kind(name: &str, bytes: &[u8]) -> ErrorKind {
    read(name, bytes).unwrap_err().kind()
}

mod made {
    use super::*;
    use pdf_extract::content::{Content, Operation};
    use pdf_extract::{Dictionary, Document, Object, Stream, dictionary};

    pub(crate) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for (name, content) in members {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    pub(crate) fn docx(body: &str) -> Vec<u8> {
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:document xmlns:w=\"w\"><w:body>{body}</w:body></w:document>"
        );
        let styles = r#"<w:styles xmlns:w="w"><w:style w:styleId="T1"><w:name w:val="heading 1"/></w:style>
            <w:style w:styleId="T2"><w:name w:val="Custom"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style></w:styles>"#;
        let core = r#"<cp:coreProperties xmlns:cp="c" xmlns:dc="d"><dc:title>R &amp; D</dc:title></cp:coreProperties>"#;
        zip(&[
            ("[Content_Types].xml", b"<Types/>"),
            ("word/document.xml", document.as_bytes()),
            ("word/styles.xml", styles.as_bytes()),
            ("docProps/core.xml", core.as_bytes()),
        ])
    }

    /// A document under construction: its page tree, and the resources that all pages share.
    pub(crate) struct Pdf {
        pub(crate) document: Document,
        pub(crate) tree: pdf_extract::ObjectId,
        pub(crate) resources: Dictionary,
        pages: Vec<Object>,
    }

    impl Pdf {
        pub(crate) fn new() -> Self {
            let mut document = Document::with_version("1.5");
            let tree = document.new_object_id();
            let font = document.add_object(dictionary! {
                "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding",
            });
            let resources = dictionary! { "Font" => dictionary! { "F1" => font } };
            Self { document, tree, resources, pages: Vec::new() }
        }

        pub(crate) fn page(self, lines: &[&str]) -> Self {
            let mut operations =
                vec![Operation::new("BT", vec![]), Operation::new("Tf", vec!["F1".into(), 12.into()])];
            operations.push(Operation::new("Td", vec![72.into(), 700.into()]));
            for line in lines {
                operations.push(Operation::new("Tj", vec![Object::string_literal(*line)]));
                operations.push(Operation::new("Td", vec![0.into(), (-14).into()]));
            }
            operations.push(Operation::new("ET", vec![]));
            self.content(Content { operations }.encode().unwrap())
        }

        pub(crate) fn content(mut self, content: Vec<u8>) -> Self {
            let content = self.document.add_object(Stream::new(dictionary! {}, content));
            let page = self.document.add_object(dictionary! {
                "Type" => "Page", "Parent" => self.tree, "Contents" => content,
                "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()],
            });
            self.pages.push(page.into());
            self
        }

        pub(crate) fn finish(mut self) -> Document {
            let count = self.pages.len() as i64;
            let resources = self.document.add_object(self.resources);
            let tree = dictionary! {
                "Type" => "Pages", "Kids" => self.pages, "Count" => count, "Resources" => resources,
            };
            self.document.objects.insert(self.tree, tree.into());
            let catalog = self.document.add_object(dictionary! { "Type" => "Catalog", "Pages" => self.tree });
            let title = dictionary! { "Title" => Object::string_literal("A small book") };
            let information = self.document.add_object(title);
            self.document.trailer.set("Root", catalog);
            self.document.trailer.set("Info", information);
            self.document
        }
    }

    pub(crate) fn bytes(mut document: Document) -> Vec<u8> {
        let mut bytes = Vec::new();
        document.save_to(&mut bytes).unwrap();
        bytes
    }

    /// A drawing with this content.
    pub(crate) fn drawing(content: &[u8]) -> Stream {
        let description =
            dictionary! { "Type" => "XObject", "Subtype" => "Form", "BBox" => vec![0.into(); 4] };
        Stream::new(description, content.to_vec())
    }
}

#[test]
fn a_pdf_gives_its_pages() {
    let pdf =
        made::Pdf::new().page(&["Night trains run late.", "They carry mail."]).page(&[]).page(&["The end."]);
    let mut document = pdf.finish();
    for compressed in [false, true] {
        if compressed {
            document.compress();
        }
        let extracted = read("book", &made::bytes(document.clone())).unwrap();
        assert_eq!((extracted.format, extracted.flow), (Format::Pdf, PageFlow::Continuous));
        assert_eq!(extracted.title.as_deref(), Some("A small book"));
        let pages: Vec<&str> =
            extracted.pages.iter().flatten().map(|page| &extracted.text[page.clone()]).collect();
        assert_eq!(pages, ["Night trains run late.\nThey carry mail.", "", "The end."]);
        let chunks =
            chunk(&extracted, &ChunkSpec::default(), &|text| text.split_whitespace().count()).unwrap();
        assert_eq!(chunks[0].pages, Some(0..3));
    }
}

#[test]
fn a_broken_pdf_is_an_error_wherever_it_breaks() {
    let whole = made::bytes(made::Pdf::new().page(&["Some text."]).finish());
    assert_eq!(kind("a.pdf", b"no pdf"), ErrorKind::Malformed);
    assert_eq!(kind("a.pdf", b"%PDF-1.7\n"), ErrorKind::Malformed);
    for end in (9..whole.len()).step_by(7) {
        if let Err(error) = read("a.pdf", &whole[..end]) {
            assert!(matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Empty), "{}", error.report());
        }
    }
    for at in (0..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x15;
        // It may still be read; it must not end the process.
        let _ = read("a.pdf", &damaged);
    }
}

#[test]
fn a_pdf_without_text_says_so() {
    let error = read("scan.pdf", &made::bytes(made::Pdf::new().page(&[]).finish())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Empty);
    assert!(error.to_string().contains("OCR"), "{error}");
}

#[test]
fn an_encrypted_pdf_says_so() {
    let mut document = made::Pdf::new().page(&["secret"]).finish();
    let id = pdf_extract::Object::string_literal("0123456789abcdef");
    document.trailer.set("ID", vec![id.clone(), id]);
    let version = pdf_extract::EncryptionVersion::V2 {
        document: &document,
        owner_password: "owner",
        user_password: "user",
        key_length: 128,
        permissions: pdf_extract::Permissions::all(),
    };
    let state = pdf_extract::EncryptionState::try_from(version).unwrap();
    document.encrypt(&state).unwrap();
    assert_eq!(kind("a.pdf", &made::bytes(document)), ErrorKind::Encrypted);
}

#[test]
fn a_pdf_that_goes_in_circles_ends() {
    // A page tree whose parents are a circle, on the way to resources that nobody has.
    let mut pdf = made::Pdf::new().page(&["text"]);
    pdf.resources = pdf_extract::Dictionary::new();
    let tree = pdf.tree;
    let mut document = pdf.finish();
    document.get_object_mut(tree).unwrap().as_dict_mut().unwrap().set("Parent", tree);
    assert_eq!(kind("a.pdf", &made::bytes(document)), ErrorKind::Malformed);

    // A drawing that draws itself.
    let mut pdf = made::Pdf::new();
    let drawing = pdf.document.add_object(made::drawing(b"/Again Do"));
    pdf.resources.set("XObject", pdf_extract::dictionary! { "Again" => drawing });
    let document = pdf.content(b"/Again Do".to_vec()).finish();
    assert_eq!(kind("a.pdf", &made::bytes(document)), ErrorKind::Malformed);

    // Drawings that draw the next one ten times, twenty deep.
    let mut pdf = made::Pdf::new();
    let mut drawings = pdf_extract::Dictionary::new();
    for level in 0..20 {
        let content = format!("/D{} Do\n", level + 1).repeat(10);
        drawings.set(format!("D{level}"), pdf.document.add_object(made::drawing(content.as_bytes())));
    }
    drawings.set("D20", pdf.document.add_object(made::drawing(b"q Q")));
    pdf.resources.set("XObject", drawings);
    let document = pdf.content(b"/D0 Do".to_vec()).finish();
    assert_eq!(kind("a.pdf", &made::bytes(document)), ErrorKind::TooLarge);
}

#[test]
fn a_pdf_that_expands_beyond_the_limit_is_refused() {
    let mut document = made::Pdf::new().content(b" ".repeat(8 << 20)).finish();
    document.compress();
    let bytes = made::bytes(document);
    assert!(bytes.len() < 1 << 20);
    let limits = ExtractLimits { expanded_bytes: 4 << 20, ..ExtractLimits::default() };
    let error = extract(Source::File { name: "a.pdf", bytes: &bytes }, &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);

    let long = "word ".repeat(100);
    let bytes = made::bytes(made::Pdf::new().page(&[&long]).page(&[&long]).finish());
    let limits = ExtractLimits { text_bytes: 700, ..ExtractLimits::default() };
    let error = extract(Source::File { name: "a.pdf", bytes: &bytes }, &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{}", error.report());
}

#[test]
fn a_docx_gives_paragraphs_headings_and_tables() {
    let body = r#"<w:p><w:pPr><w:pStyle w:val="T1"/></w:pPr><w:r><w:t>First &amp; last</w:t></w:r></w:p>
        <w:p><w:r><w:t xml:space="preserve">One </w:t></w:r><w:r><w:t>line</w:t><w:tab/><w:t>&#x26;</w:t></w:r></w:p>
        <w:p/><w:p><w:pPr><w:pStyle w:val="T2"/></w:pPr><w:r><w:t>Below</w:t></w:r></w:p>
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc>
        <w:tc><w:p><w:r><w:t>c</w:t></w:r></w:p></w:tc></w:tr><w:tr><w:tc><w:p/></w:tc></w:tr></w:tbl>
        <w:p><w:r><w:delText>gone</w:delText><w:instrText>PAGE</w:instrText><w:t>end</w:t></w:r></w:p>"#;
    let extracted = read("a.docx", &made::docx(body)).unwrap();
    assert_eq!(extracted.format, Format::Docx);
    assert_eq!(extracted.text, "First & last\n\nOne line\t&\n\nBelow\na b | c\n\nend");
    assert_eq!(extracted.title.as_deref(), Some("R & D"));
    let headings: Vec<(u8, &str)> = extracted
        .headings
        .iter()
        .map(|heading| (heading.level, &extracted.text[heading.at..heading.at + 5]))
        .collect();
    assert_eq!(headings, [(1, "First"), (2, "Below")]);
}

#[test]
fn other_archives_are_named() {
    let message = |members: &[(&str, &[u8])]| read("a.docx", &made::zip(members)).unwrap_err().to_string();
    assert!(message(&[("xl/workbook.xml", b"")]).contains("Excel"));
    assert!(message(&[("readme.txt", b"")]).contains("zip archive"));
    assert!(message(&[("[Content_Types].xml", b"")]).contains("without `word/document.xml`"));
    assert_eq!(kind("a.docx", &made::zip(&[("[Content_Types].xml", b"")])), ErrorKind::Malformed);
    let whole = made::docx("<w:p><w:r><w:t>text</w:t></w:r></w:p>");
    for end in (4..whole.len()).step_by(5) {
        assert_eq!(kind("a.docx", &whole[..end]), ErrorKind::Malformed);
    }
    assert_eq!(kind("a.docx", &made::docx("<w:p></w:r>")), ErrorKind::Malformed);
    assert_eq!(kind("a.docx", &made::docx("<w:p><w:r><w:t>&evil;</w:t></w:r></w:p>")), ErrorKind::Malformed);
}

#[test]
fn an_archive_that_expands_beyond_the_limit_is_refused() {
    let body = format!("<w:p>{}</w:p>", " ".repeat(8 << 20));
    let mut bytes = made::docx(&body);
    let limits = ExtractLimits { expanded_bytes: 1 << 20, ..ExtractLimits::default() };
    let read = |bytes: &[u8]| extract(Source::File { name: "a.docx", bytes }, &limits).unwrap_err().kind();
    assert_eq!(read(&bytes), ErrorKind::TooLarge);
    // Whatever sizes the archive claims.
    for at in 0..bytes.len() - 4 {
        if bytes[at..].starts_with(b"PK\x01\x02") {
            bytes[at + 24..at + 28].copy_from_slice(&10_u32.to_le_bytes());
        }
    }
    assert!(matches!(read(&bytes), ErrorKind::TooLarge | ErrorKind::Malformed));
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
