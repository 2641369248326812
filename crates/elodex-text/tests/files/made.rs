//! Files that tests read.

use lopdf::content::{Content, Operation};
use lopdf::{Dictionary, Document, Object, Stream, dictionary};
use std::io::{Cursor, Write};

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
    docx_with(body, &[])
}

/// A text document with parts beside its main one.
pub(crate) fn docx_with(body: &str, parts: &[(&str, &str)]) -> Vec<u8> {
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:document xmlns:w=\"w\"><w:body>{body}</w:body></w:document>"
    );
    let styles = r#"<w:styles xmlns:w="w"><w:style w:styleId="T1"><w:name w:val="heading 1"/></w:style>
        <w:style w:styleId="T2"><w:name w:val="Custom"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style></w:styles>"#;
    let core =
        r#"<cp:coreProperties xmlns:cp="c" xmlns:dc="d"><dc:title>R &amp; D</dc:title></cp:coreProperties>"#;
    let mut members = vec![
        ("[Content_Types].xml", "<Types/>"),
        ("word/document.xml", &document),
        ("word/styles.xml", styles),
        ("docProps/core.xml", core),
    ];
    members.extend(parts);
    zip(&members.iter().map(|(name, text)| (*name, text.as_bytes())).collect::<Vec<_>>())
}

/// A presentation; of each slide what stands in its tree of shapes, and the notes.
pub(crate) fn pptx(slides: &[(&str, Option<&str>)]) -> Vec<u8> {
    let mut members = vec![("[Content_Types].xml".to_owned(), "<Types/>".to_owned())];
    let mut order = String::new();
    let mut relations = String::new();
    for (position, (shapes, notes)) in slides.iter().enumerate() {
        // Files are numbered against the order in which they are shown.
        let number = slides.len() - position;
        order.push_str(&format!(r#"<p:sldId id="{}" r:id="rId{number}"/>"#, 256 + position));
        relations.push_str(&format!(
            r#"<Relationship Id="rId{number}" Type="http://x/relationships/slide" Target="slides/slide{number}.xml"/>"#
        ));
        let tree = |shapes: &str| format!("<p:sld><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>");
        members.push((format!("ppt/slides/slide{number}.xml"), tree(shapes)));
        if let Some(notes) = notes {
            let relation = format!(
                r#"<Relationships><Relationship Id="r" Type="http://x/notesSlide" Target="../notesSlides/n{number}.xml"/></Relationships>"#
            );
            members.push((format!("ppt/slides/_rels/slide{number}.xml.rels"), relation));
            members.push((format!("ppt/notesSlides/n{number}.xml"), tree(notes)));
        }
    }
    let presentation = format!("<p:presentation><p:sldIdLst>{order}</p:sldIdLst></p:presentation>");
    members.push(("ppt/presentation.xml".to_owned(), presentation));
    members.push((
        "ppt/_rels/presentation.xml.rels".to_owned(),
        format!("<Relationships>{relations}</Relationships>"),
    ));
    zip(&members.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect::<Vec<_>>())
}

/// A document under construction: its page tree, and the resources that all pages share.
pub(crate) struct Pdf {
    pub(crate) document: Document,
    pub(crate) tree: lopdf::ObjectId,
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

    pub(crate) fn content(self, content: Vec<u8>) -> Self {
        self.stream(Stream::new(dictionary! {}, content))
    }

    /// A page with this stream as its content.
    pub(crate) fn stream(mut self, content: Stream) -> Self {
        let content = self.document.add_object(content);
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
    let description = dictionary! { "Type" => "XObject", "Subtype" => "Form", "BBox" => vec![0.into(); 4] };
    Stream::new(description, content.to_vec())
}
