use super::{kind, made, read};
use elodex_text::{ChunkSpec, ErrorKind, ExtractLimits, Format, PageFlow, Source, chunk, extract};
use pdf_extract::{Object, Stream, dictionary};
use std::io::Write;
use std::time::Duration;

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
    pdf.resources.set("XObject", dictionary! { "Again" => drawing });
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
fn a_pdf_that_takes_too_long_says_how_far_it_came() {
    let bytes = made::bytes(made::Pdf::new().page(&["one"]).page(&["two"]).finish());
    let limits = ExtractLimits { pdf_time: Duration::ZERO, ..ExtractLimits::default() };
    let error = extract(Source::File { name: "a.pdf", bytes: &bytes }, &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let report = error.report();
    assert!(report.contains("more than 0 seconds, of which page 1 of 2 was reached"), "{report}");
}

fn lzw(content: &[u8]) -> Vec<u8> {
    weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(content).unwrap()
}

fn flate(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn filtered(content: Vec<u8>, filters: &[&str]) -> Stream {
    let names: Vec<Object> = filters.iter().map(|name| Object::from(*name)).collect();
    Stream::new(dictionary! { "Filter" => names }, content)
}

fn small() -> ExtractLimits {
    ExtractLimits { expanded_bytes: 4 << 20, ..ExtractLimits::default() }
}

#[test]
fn bombs_of_every_filter_are_refused() {
    let blank = vec![b' '; 8 << 20];
    for (content, filters) in [
        (lzw(&blank), &["LZWDecode"][..]),
        (flate(&lzw(&blank)), &["FlateDecode", "LZWDecode"]),
        (lzw(&flate(&blank)), &["LZWDecode", "FlateDecode"]),
        (flate(&flate(&flate(&blank))), &["FlateDecode"; 3]),
        (vec![b'z'; 2 << 20], &["ASCII85Decode"]),
        (flate(&vec![b'z'; 2 << 20]), &["FlateDecode", "ASCII85Decode"]),
    ] {
        let document = made::Pdf::new().stream(filtered(content, filters)).finish();
        let bytes = made::bytes(document);
        let error = extract(Source::File { name: "a.pdf", bytes: &bytes }, &small()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{filters:?}");
        assert!(
            error.to_string().contains("4194304 bytes; split the document, or raise the limit"),
            "{error}"
        );
    }
    let document = made::Pdf::new().stream(filtered(Vec::new(), &["FlateDecode"; 4])).finish();
    assert_eq!(kind("a.pdf", &made::bytes(document)), ErrorKind::Malformed);
}

#[test]
fn every_filter_that_is_known_is_read_and_others_are_named() {
    let content = b"BT /F1 12 Tf 72 700 Td (Night trains) Tj ET".to_vec();
    for (content, filters) in [
        (lzw(&content), &["LZWDecode"][..]),
        (flate(&lzw(&content)), &["FlateDecode", "LZWDecode"]),
        (content.clone(), &[]),
    ] {
        let document = made::Pdf::new().stream(filtered(content, filters)).finish();
        assert_eq!(read("a.pdf", &made::bytes(document)).unwrap().text, "Night trains", "{filters:?}");
    }
    let document = made::Pdf::new().stream(filtered(content, &["RunLengthDecode"])).finish();
    let error = read("a.pdf", &made::bytes(document)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("page 1 of the PDF is compressed with `RunLengthDecode`"), "{error}");
}

#[test]
fn pictures_cost_nothing() {
    let mut pdf = made::Pdf::new();
    let mut pictures = pdf_extract::Dictionary::new();
    for number in 0..5 {
        let description =
            dictionary! { "Type" => "XObject", "Subtype" => "Image", "Filter" => "FlateDecode" };
        let picture = Stream::new(description, flate(&vec![number; 3 << 20]));
        pictures.set(format!("P{number}"), pdf.document.add_object(picture));
    }
    pdf.resources.set("XObject", pictures);
    let drawn = b"/P0 Do /P1 Do /P2 Do /P3 Do /P4 Do BT /F1 12 Tf (Scanned) Tj ET".to_vec();
    let bytes = made::bytes(pdf.content(drawn).finish());
    let extracted = extract(Source::File { name: "a.pdf", bytes: &bytes }, &small()).unwrap();
    assert_eq!(extracted.text, "Scanned");
}

/// A file whose table names the object `times` times.
fn repeated(object: &[u8], times: usize) -> Vec<u8> {
    let mut bytes = b"%PDF-1.5\n".to_vec();
    let at = bytes.len();
    bytes.extend(object);
    let table = bytes.len();
    bytes.extend(format!("xref\n0 {times}\n").bytes());
    bytes.extend(format!("{at:010} 00000 n \n").repeat(times).bytes());
    bytes.extend(format!("trailer\n<</Size {times}/Root 1 0 R>>\nstartxref\n{table}\n%%EOF").bytes());
    bytes
}

#[test]
fn an_object_named_many_times_is_not_kept_as_often() {
    let stream =
        format!("1 0 obj\n<</Length {0}>>stream\n{1}\nendstream\nendobj\n", 1 << 20, " ".repeat(1 << 20));
    let array = format!("1 0 obj\n[{}]\nendobj\n", "1 ".repeat(1 << 16));
    for object in [stream, array] {
        let bytes = repeated(object.as_bytes(), 10_000);
        let error = extract(Source::File { name: "a.pdf", bytes: &bytes }, &small()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{}", error.report());
    }
    // An object stream with many objects in one place.
    let index = (2..2000).map(|number| format!("{number} 0 ")).collect::<String>();
    let content = format!("{index}[{}]", "1 ".repeat(1 << 16));
    let object = format!(
        "1 0 obj\n<</Type/ObjStm/N 1998/First {}/Length {}>>stream\n{content}\nendstream\nendobj\n",
        index.len(),
        content.len()
    );
    let error = read("a.pdf", &repeated(object.as_bytes(), 2)).unwrap_err();
    assert!(error.to_string().contains("several objects in one place"), "{}", error.report());
}

#[test]
fn a_pdf_that_anyone_may_open_is_read() {
    let mut document = made::Pdf::new().page(&["not secret"]).finish();
    let id = Object::string_literal("0123456789abcdef");
    document.trailer.set("ID", vec![id.clone(), id]);
    let version = pdf_extract::EncryptionVersion::V2 {
        document: &document,
        owner_password: "owner",
        user_password: "",
        key_length: 128,
        permissions: pdf_extract::Permissions::all(),
    };
    let state = pdf_extract::EncryptionState::try_from(version).unwrap();
    document.compress();
    document.encrypt(&state).unwrap();
    assert_eq!(read("a.pdf", &made::bytes(document)).unwrap().text, "not secret");
}
