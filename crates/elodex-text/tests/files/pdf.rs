use super::{kind, made, read};
use elodex_text::{ChunkSpec, ErrorKind, ExtractLimits, Format, PageFlow, Source, chunk, extract};
use lopdf::{Object, Stream, dictionary};
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
    let id = lopdf::Object::string_literal("0123456789abcdef");
    document.trailer.set("ID", vec![id.clone(), id]);
    let version = lopdf::EncryptionVersion::V2 {
        document: &document,
        owner_password: "owner",
        user_password: "user",
        key_length: 128,
        permissions: lopdf::Permissions::all(),
    };
    let state = lopdf::EncryptionState::try_from(version).unwrap();
    document.encrypt(&state).unwrap();
    assert_eq!(kind("a.pdf", &made::bytes(document)), ErrorKind::Encrypted);
}

#[test]
fn a_pdf_that_goes_in_circles_ends() {
    // A page tree whose parents are a circle, on the way to resources that nobody has.
    let mut pdf = made::Pdf::new().page(&["text"]);
    pdf.resources = lopdf::Dictionary::new();
    let tree = pdf.tree;
    let mut document = pdf.finish();
    document.get_object_mut(tree).unwrap().as_dict_mut().unwrap().set("Parent", tree);
    assert!(read("a.pdf", &made::bytes(document)).unwrap().text.contains("text"));

    // A drawing that draws itself.
    let mut pdf = made::Pdf::new();
    let drawing = pdf.document.add_object(made::drawing(b"/Again Do"));
    pdf.resources.set("XObject", dictionary! { "Again" => drawing });
    let document = pdf.content(b"/Again Do BT /F1 12 Tf (text) Tj ET".to_vec()).finish();
    assert_eq!(read("a.pdf", &made::bytes(document)).unwrap().text, "text");

    // Drawings that draw the next one ten times, twenty deep.
    let mut pdf = made::Pdf::new();
    let mut drawings = lopdf::Dictionary::new();
    for level in 0..20 {
        let content = format!("/D{} Do\n", level + 1).repeat(10);
        drawings.set(format!("D{level}"), pdf.document.add_object(made::drawing(content.as_bytes())));
    }
    drawings.set("D20", pdf.document.add_object(made::drawing(b"q Q")));
    pdf.resources.set("XObject", drawings);
    let bytes = made::bytes(pdf.content(b"/D0 Do".to_vec()).finish());
    let limits = ExtractLimits { pdf_time: Duration::from_millis(100), ..ExtractLimits::default() };
    let error = extract(Source::File { name: "a.pdf", bytes: &bytes }, &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{}", error.report());
}

#[test]
fn a_pdf_whose_tables_are_damaged_is_read() {
    let whole = made::bytes(made::Pdf::new().page(&["Night trains run late."]).finish());
    let place = |needle: &[u8]| whole.windows(needle.len()).rposition(|window| window == needle).unwrap();
    let mut wrong_place = whole[..place(b"startxref")].to_vec();
    wrong_place.extend(b"startxref\n7\n%%EOF");
    for damaged in [&wrong_place[..], &whole[..place(b"startxref")], &whole[..place(b"XRef")]] {
        assert_eq!(read("a.pdf", damaged).unwrap().text, "Night trains run late.");
    }
}

#[test]
fn fonts_that_stand_elsewhere_are_read() {
    let mut pdf = made::Pdf::new();
    let font = pdf.document.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "Type0", "BaseFont" => "HeiseiMin-W3", "Encoding" => "UniJIS-UCS2-H",
        "DescendantFonts" => vec![dictionary! {
            "Type" => "Font", "Subtype" => "CIDFontType0", "BaseFont" => "HeiseiMin-W3",
            "CIDSystemInfo" => dictionary! {
                "Registry" => Object::string_literal("Adobe"), "Ordering" => Object::string_literal("Japan1"),
                "Supplement" => 2,
            },
        }.into()],
    });
    pdf.resources.set("Font", dictionary! { "F1" => font });
    let document = pdf.content(b"BT /F1 12 Tf 72 700 Td <591C884C5217 8ECA> Tj ET".to_vec()).finish();
    assert_eq!(read("a.pdf", &made::bytes(document)).unwrap().text, "夜行列車");
}

#[test]
fn letters_that_nothing_names_are_marked_or_named_as_the_reason() {
    let made = |content: &[u8]| {
        let mut pdf = made::Pdf::new();
        let unknown = pdf.document.add_object(dictionary! {
            "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica",
            "Encoding" => dictionary! { "Differences" => vec![65.into(), "x1".into(), "x2".into(), "x3".into()] },
        });
        let known = dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica" };
        let known = pdf.document.add_object(known);
        pdf.resources.set("Font", dictionary! { "F1" => unknown, "F2" => known });
        made::bytes(pdf.content(content.to_vec()).finish())
    };
    let mixed = made(b"BT /F1 12 Tf 72 700 Td (ABC) Tj /F2 12 Tf ( is the price) Tj ET");
    assert_eq!(read("a.pdf", &mixed).unwrap().text, "\u{FFFD} is the price");
    let error = read("a.pdf", &made(b"BT /F1 12 Tf 72 700 Td (ABC) Tj ET")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Empty);
    assert!(error.to_string().contains("says which letters it draws"), "{error}");
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
    assert!(report.contains("more than 0 seconds, in which 0 of its pages were read"), "{report}");
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
        ([&[content.len() as u8 - 1][..], &content, &[128]].concat(), &["RunLengthDecode"]),
        (content.iter().map(|byte| format!("{byte:02X}")).collect::<String>().into_bytes(), &["AHx"]),
        (content.clone(), &[]),
    ] {
        let document = made::Pdf::new().stream(filtered(content, filters)).finish();
        assert_eq!(read("a.pdf", &made::bytes(document)).unwrap().text, "Night trains", "{filters:?}");
    }
    let document = made::Pdf::new().stream(filtered(content, &["DCTDecode"])).finish();
    let error = read("a.pdf", &made::bytes(document)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("page 1 of the PDF is compressed with [DctDecode]"), "{error}");
}

#[test]
fn pictures_cost_nothing() {
    let mut pdf = made::Pdf::new();
    let mut pictures = lopdf::Dictionary::new();
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

#[test]
fn a_pdf_that_anyone_may_open_is_read() {
    let mut document = made::Pdf::new().page(&["not secret"]).finish();
    let id = Object::string_literal("0123456789abcdef");
    document.trailer.set("ID", vec![id.clone(), id]);
    let version = lopdf::EncryptionVersion::V2 {
        document: &document,
        owner_password: "owner",
        user_password: "",
        key_length: 128,
        permissions: lopdf::Permissions::all(),
    };
    let state = lopdf::EncryptionState::try_from(version).unwrap();
    document.compress();
    document.encrypt(&state).unwrap();
    assert_eq!(read("a.pdf", &made::bytes(document)).unwrap().text, "not secret");
}
