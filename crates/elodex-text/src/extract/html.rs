//! HTML to its text: no markup, scripts, styles or drawings, and nothing that the markup itself hides; blocks become lines
//! and paragraphs.

use super::{ExtractLimits, Extracted, Format, Heading, check_text};
use crate::Result;
use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

pub(super) fn read(html: &str, limits: &ExtractLimits) -> Result<Extracted> {
    let mut emitter = DefaultEmitter::default();
    // Without a tree, the tag's name alone says that what follows is a script and not markup.
    emitter.naively_switch_states(true);
    let mut page = Page::default();
    for token in Tokenizer::new_with_emitter(html, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => page.start(&tag),
            Token::EndTag(tag) => page.end(&tag.name),
            Token::String(text) => page.text(&String::from_utf8_lossy(&text)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
        check_text(page.text.len(), limits)?;
    }
    page.end_heading();
    let title = page.title.map(|title| title.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    let title = title.filter(|title| !title.is_empty());
    let first =
        || page.headings.iter().find(|heading| heading.level == 1).map(|heading| heading.text.clone());
    let title = title.or_else(first);
    Ok(Extracted { text: page.text, title, headings: page.headings, ..Extracted::plain(Format::Html) })
}

/// What stands between two pieces of text, the weakest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Cell,
    Line,
    Paragraph,
}

#[derive(Default)]
struct Page {
    text: String,
    gap: Gap,
    /// A list item has begun and has no text yet.
    item: bool,
    /// Depth of `pre` elements.
    preformatted: usize,
    /// The element whose content is dropped, and how many of its name are open.
    dropped: Option<(Vec<u8>, usize)>,
    in_title: bool,
    title: Option<String>,
    /// The heading that is open: its level, and where its text began.
    heading: Option<(u8, Option<usize>)>,
    headings: Vec<Heading>,
}

impl Page {
    fn start(&mut self, tag: &StartTag<()>) {
        let (name, self_closing) = (&tag.name[..], tag.self_closing);
        if let Some((dropped, depth)) = &mut self.dropped {
            *depth += usize::from(dropped == name && !self_closing);
            return;
        }
        if is_hidden(tag) {
            self.dropped = Some((name.to_vec(), 1));
            return;
        }
        match name {
            b"script" | b"style" | b"noscript" | b"template" | b"svg" | b"iframe" => {
                self.dropped = (!self_closing || name != b"svg").then(|| (name.to_vec(), 1));
            }
            b"title" => {
                self.in_title = true;
                self.title.get_or_insert_default();
            }
            b"pre" | b"textarea" => {
                self.preformatted += 1;
                self.widen(Gap::Paragraph);
            }
            b"br" if self.preformatted > 0 => self.text.push('\n'),
            b"li" => {
                self.widen(Gap::Line);
                self.item = true;
            }
            b"td" | b"th" => self.widen(Gap::Cell),
            [b'h', level @ b'1'..=b'6'] => {
                self.end_heading();
                self.widen(Gap::Paragraph);
                self.heading = Some((level - b'0', None));
            }
            _ => self.widen(gap_of(name)),
        }
    }

    fn end(&mut self, name: &[u8]) {
        if let Some((dropped, depth)) = &mut self.dropped {
            *depth -= usize::from(dropped == name);
            if *depth == 0 {
                self.dropped = None;
            }
            return;
        }
        match name {
            b"title" => self.in_title = false,
            b"pre" | b"textarea" => {
                self.preformatted = self.preformatted.saturating_sub(1);
                self.widen(Gap::Paragraph);
            }
            b"li" => {
                self.widen(Gap::Line);
                self.item = false;
            }
            [b'h', b'1'..=b'6'] => {
                self.end_heading();
                self.widen(Gap::Paragraph);
            }
            b"br" => self.widen(Gap::Line),
            _ => self.widen(gap_of(name)),
        }
    }

    fn text(&mut self, text: &str) {
        if self.dropped.is_some() {
            return;
        }
        if self.in_title {
            self.title.get_or_insert_default().push_str(text);
            return;
        }
        if self.preformatted > 0 {
            self.close_gap();
            self.text.push_str(text);
            return;
        }
        if text.starts_with(|character: char| character.is_ascii_whitespace()) {
            self.widen(Gap::Space);
        }
        let mut words = text.split_ascii_whitespace();
        let Some(first) = words.next() else { return };
        self.close_gap();
        self.text.push_str(first);
        for word in words {
            self.text.push(' ');
            self.text.push_str(word);
        }
        if text.ends_with(|character: char| character.is_ascii_whitespace()) {
            self.widen(Gap::Space);
        }
    }

    fn widen(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    fn close_gap(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        if !self.text.is_empty() {
            self.text.push_str(match gap {
                Gap::None => "",
                Gap::Space => " ",
                Gap::Cell => " | ",
                Gap::Line => "\n",
                Gap::Paragraph => "\n\n",
            });
        }
        if let Some((_, start @ None)) = &mut self.heading {
            *start = Some(self.text.len());
        }
        if std::mem::take(&mut self.item) {
            self.text.push_str("- ");
        }
    }

    fn end_heading(&mut self) {
        let Some((level, Some(at))) = self.heading.take() else { return };
        let text = self.text[at..].split_whitespace().collect::<Vec<_>>().join(" ");
        self.headings.push(Heading { at, level, text });
    }
}

/// Whether the tag itself hides its element. One that may stand without its end tag is not looked at, since all behind it
/// could be lost, and neither is the body, which scripts show.
fn is_hidden(tag: &StartTag<()>) -> bool {
    if !matches!(
        &tag.name[..],
        b"div"
            | b"span"
            | b"section"
            | b"article"
            | b"aside"
            | b"nav"
            | b"header"
            | b"footer"
            | b"ul"
            | b"ol"
            | b"dl"
            | b"table"
            | b"form"
            | b"fieldset"
            | b"figure"
            | b"details"
            | b"dialog"
            | b"a"
            | b"button"
            | b"label"
    ) {
        return false;
    }
    let value = |name: &[u8]| {
        tag.attributes.get(name).map(|value| String::from_utf8_lossy(value).to_ascii_lowercase())
    };
    let style = value(b"style").unwrap_or_default();
    let mut rules = style.split(';').filter_map(|rule| rule.split_once(':'));
    // Text that is hidden until it is found is there to be found.
    value(b"hidden").is_some_and(|hidden| hidden != "until-found")
        || rules.any(|(name, value)| name.trim() == "display" && value.trim().starts_with("none"))
}

/// What the border of an element puts between texts.
fn gap_of(name: &[u8]) -> Gap {
    match name {
        b"p" | b"section" | b"article" | b"header" | b"footer" | b"main" | b"nav" | b"aside" | b"ul"
        | b"ol" | b"dl" | b"table" | b"blockquote" | b"figure" | b"form" | b"fieldset" | b"hr"
        | b"details" | b"body" => Gap::Paragraph,
        b"div" | b"br" | b"tr" | b"dt" | b"dd" | b"caption" | b"figcaption" | b"summary" | b"option"
        | b"select" | b"address" | b"center" | b"thead" | b"tbody" | b"tfoot" | b"legend" => Gap::Line,
        b"button" | b"input" | b"img" => Gap::Space,
        _ => Gap::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extracted(html: &str) -> Extracted {
        read(html, &ExtractLimits::default()).unwrap()
    }

    #[test]
    fn blocks_become_lines_and_markup_goes() {
        let html = "<!doctype html><html><head><title> A  page </title><style>p{}</style></head><body>\
            <h1>Top &amp; <i>more</i></h1>\n<p>One   <b>two</b>three.<br>Four</p><ul><li>tea<li>milk</ul>\
            <script>if (a < b) { '</p>' }</script><table><tr><td>x</td><td>y</td></tr><tr><td>z</td></tr></table>\
            <pre>a  b\n c</pre><h2></h2></body></html>";
        let extracted = extracted(html);
        assert_eq!(
            extracted.text,
            "Top & more\n\nOne twothree.\nFour\n\n- tea\n- milk\n\nx | y\nz\n\na  b\n c"
        );
        assert_eq!(extracted.title.as_deref(), Some("A page"));
        let heading = Heading { at: 0, level: 1, text: "Top & more".to_owned() };
        assert_eq!(extracted.headings, [heading]);
    }

    #[test]
    fn what_the_markup_hides_is_left_out() {
        let text = |html: &str| extracted(html).text;
        assert_eq!(text("a<div hidden>b<div>c</div></div>d"), "ad");
        assert_eq!(text("a <span style='color:red; DISPLAY : none'>b</span>c"), "a c");
        assert_eq!(text("a<iframe src=x>Your browser shows no frames.</iframe>b"), "ab");
        assert_eq!(text("<div hidden=until-found>a</div><div style='display:block'>b</div>"), "a\nb");
        assert_eq!(
            text("<ul><li hidden>a<li>b</ul><input hidden>c<body style='display:none'>d"),
            "- a\n- b\n\nc\n\nd"
        );
    }

    #[test]
    fn headings_begin_behind_the_gap() {
        let extracted = extracted("<p>before</p><h2>Here</h2><p>after</p>");
        let heading = &extracted.headings[0];
        assert_eq!(&extracted.text[heading.at..heading.at + 4], "Here");
        assert_eq!(extracted.title, None);
    }

    #[test]
    fn deep_and_broken_markup_ends() {
        let deep = format!("{}text", "<div><svg></svg><pre>".repeat(50_000));
        assert_eq!(extracted(&deep).text.trim(), "text");
        assert_eq!(extracted("<p>a</b></i><h1>b<h2>c").text, "a\n\nb\n\nc");
        assert_eq!(extracted("<").text, "<");
        assert_eq!(extracted("<svg><svg></svg>x</svg>y").text, "y");
    }

    #[test]
    fn a_text_over_the_limit_is_refused() {
        let limits = ExtractLimits { text_bytes: 3, ..ExtractLimits::default() };
        assert_eq!(read("<p>four", &limits).unwrap_err().kind(), crate::ErrorKind::TooLarge);
    }
}
