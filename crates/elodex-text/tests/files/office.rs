use super::{kind, made, read};
use elodex_text::{ErrorKind, ExtractLimits, Format, Source, extract};

#[test]
fn hidden_text_is_left_out() {
    let runs = r#"<w:p><w:pPr><w:rPr><w:vanish/></w:rPr></w:pPr><w:r><w:t>seen</w:t></w:r>
        <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t> too</w:t></w:r></w:p>"#;
    assert_eq!(read("a.docx", &made::docx(runs)).unwrap().text, "seen too");
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
fn notes_follow_the_paragraph_that_refers_to_them() {
    let paragraph = |content: &str| format!("<w:p><w:r>{content}</w:r></w:p>");
    let body = [
        paragraph(
            r#"<w:t>Trains ran</w:t><w:footnoteReference w:id="2"/><w:t> late.</w:t><w:endnoteReference w:id="2"/>"#,
        ),
        format!(
            "<w:tbl><w:tr><w:tc>{}</w:tc></w:tr></w:tbl>",
            paragraph(r#"<w:t>cell</w:t><w:footnoteReference w:id="3"/>"#)
        ),
        paragraph("<w:t>After.</w:t>"),
    ];
    let footnotes = r#"<w:footnotes><w:footnote w:type="separator" w:id="-1"><w:p><w:r><w:t>---</w:t></w:r></w:p></w:footnote>
        <w:footnote w:id="2"><w:p><w:r><w:footnoteRef/><w:t xml:space="preserve"> In winter</w:t></w:r></w:p><w:p><w:r><w:t>only.</w:t></w:r></w:p></w:footnote>
        <w:footnote w:id="3"><w:p><w:r><w:t>A cell's note.</w:t></w:r></w:p></w:footnote>
        <w:footnote w:id="9"><w:p><w:r><w:t>Nobody refers here.</w:t></w:r></w:p></w:footnote></w:footnotes>"#;
    let endnotes = r#"<w:endnotes><w:endnote w:id="2"><w:p><w:r><w:t>Says the log.</w:t></w:r></w:p></w:endnote></w:endnotes>"#;
    let relations = r#"<Relationships><Relationship Id="r1" Type="http://x/relationships/footnotes" Target="notes/feet.xml"/></Relationships>"#;
    let parts = [
        ("word/notes/feet.xml", footnotes),
        ("word/endnotes.xml", endnotes),
        ("word/_rels/document.xml.rels", relations),
        ("word/header1.xml", "<w:hdr><w:p><w:r><w:t>Every page</w:t></w:r></w:p></w:hdr>"),
    ];
    let extracted = read("a.docx", &made::docx_with(&body.concat(), &parts)).unwrap();
    assert_eq!(
        extracted.text,
        "Trains ran[1] late.[2]\n\n[1] In winter only.\n\n[2] Says the log.\ncell[3]\n\n[3] A cell's note.\n\nAfter."
    );
}

#[test]
fn what_a_reader_sees_of_a_docx_is_read_once() {
    let body = r#"<w:p><w:r><w:t>Before</w:t></w:r><w:r><mc:AlternateContent><mc:Choice><w:drawing><w:txbxContent>
          <w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent></w:drawing></mc:Choice><mc:Fallback><w:pict><w:txbxContent>
          <w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent></w:pict></mc:Fallback></mc:AlternateContent></w:r>
          <w:r><w:t xml:space="preserve"> and after.</w:t></w:r></w:p>
        <w:p><w:del><w:r><w:t>old </w:t><w:delText>old</w:delText></w:r></w:del><w:ins><w:r><w:t>new</w:t></w:r></w:ins>
          <w:moveFrom><w:r><w:t>gone</w:t></w:r></w:moveFrom><w:moveTo><w:r><w:t xml:space="preserve"> moved</w:t></w:r></w:moveTo>
          <w:hyperlink r:id="x"><w:r><w:t xml:space="preserve"> link</w:t><w:br/><w:t>line</w:t></w:r></w:hyperlink></w:p>
        <w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr><w:r><w:ruby><w:rt><w:r><w:t>kan</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>&#x6F22;</w:t></w:r></w:rubyBase></w:ruby></w:r></w:p>
        <w:sdt><w:sdtContent><w:p><w:r><w:t>Field.</w:t></w:r></w:p></w:sdtContent></w:sdt>"#;
    let extracted = read("a.docx", &made::docx(body)).unwrap();
    assert_eq!(
        extracted.text,
        "In a box.\n\nBefore and after.\n\nnew moved link\nline\n\n\u{6F22}\n\nField."
    );
}

#[test]
fn a_pptx_gives_its_slides_in_order_with_their_notes() {
    let shape = |kind: &str, text: &str| {
        let place =
            if kind.is_empty() { String::new() } else { format!("<p:nvPr><p:ph type=\"{kind}\"/></p:nvPr>") };
        format!("<p:sp><p:nvSpPr>{place}</p:nvSpPr><p:txBody>{text}</p:txBody></p:sp>")
    };
    let paragraph = |text: &str| format!("<a:p><a:r><a:t>{text}</a:t></a:r></a:p>");
    let first = [
        shape("ctrTitle", &paragraph("Night &amp; day")),
        shape("body", &[paragraph("One"), paragraph("Two")].concat()),
        shape("sldNum", &paragraph("1")),
    ];
    let notes =
        [shape("sldImg", ""), shape("body", &paragraph("Say hello.")), shape("sldNum", &paragraph("1"))];
    let table = format!(
        "<p:graphicFrame><a:tbl><a:tr><a:tc>{}</a:tc><a:tc>{}</a:tc></a:tr></a:tbl></p:graphicFrame>",
        paragraph("x"),
        paragraph("y")
    );
    let second = [
        shape("title", &paragraph("Second")),
        table,
        shape("", "<a:p><a:r><a:t>a</a:t></a:r><a:br/><a:r><a:t>b</a:t></a:r></a:p>"),
    ];
    let bytes = made::pptx(&[(&first.concat(), Some(&notes.concat())), (&second.concat(), None), ("", None)]);
    let extracted = read("talk.pptx", &bytes).unwrap();
    assert_eq!((extracted.format, extracted.title.as_deref()), (Format::Pptx, Some("Night & day")));
    let pages: Vec<&str> =
        extracted.pages.iter().flatten().map(|page| &extracted.text[page.clone()]).collect();
    assert_eq!(pages, ["Night & day\n\nOne\nTwo\n\nSay hello.", "Second\nx | y\n\na\nb", ""]);
    let headings: Vec<&str> =
        extracted.headings.iter().map(|heading| &extracted.text[heading.at..heading.at + 6]).collect();
    assert_eq!(headings, ["Night ", "Second"]);
    assert_eq!(
        extract(
            Source::File { name: "a.pptx", bytes: &bytes },
            &ExtractLimits { pages: 2, ..ExtractLimits::default() }
        )
        .unwrap_err()
        .kind(),
        ErrorKind::TooLarge
    );
    assert_eq!(kind("a.pptx", b"no slides"), ErrorKind::Malformed);
}

#[test]
fn hostile_xml_costs_no_more_than_its_length() {
    // Entities that a part defines are not expanded.
    let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><w:document><w:body><w:p><w:r><w:t>&b;</w:t></w:r></w:p></w:body></w:document>"#;
    assert_eq!(kind("a.docx", &made::zip(&[("word/document.xml", bomb.as_bytes())])), ErrorKind::Malformed);
    let attributes: String = (0..200_000).map(|number| format!(" a{number}=\"\"")).collect();
    let body =
        format!("<w:p><w:pPr><w:pStyle{attributes} w:val=\"T1\"/></w:pPr><w:r><w:t>Head</w:t></w:r></w:p>");
    assert_eq!(read("a.docx", &made::docx(&body)).unwrap().headings.len(), 1);
    let deep = "<w:txbxContent><w:p>".repeat(100_000);
    assert_eq!(kind("a.docx", &made::docx(&deep)), ErrorKind::Malformed);
    let members: Vec<(String, Vec<u8>)> =
        (0..20_000).map(|number| (format!("n{number}"), Vec::new())).collect();
    let members: Vec<(&str, &[u8])> =
        members.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    assert_eq!(kind("a.docx", &made::zip(&members)), ErrorKind::Unsupported);
}
