//! Markdown stays as it is written; its headings are found.

use super::{Extracted, Format, Heading};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

pub(super) fn read(text: String) -> Extracted {
    let mut headings: Vec<Heading> = Vec::new();
    let mut open: Option<Heading> = None;
    let mut in_front_matter = false;
    let mut title = None;
    let options = Options::ENABLE_YAML_STYLE_METADATA_BLOCKS | Options::ENABLE_TABLES;
    for (event, range) in Parser::new_ext(&text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                open = Some(Heading { at: range.start, level: level as u8, text: String::new() });
            }
            Event::End(TagEnd::Heading(_)) => headings.extend(open.take()),
            Event::Start(Tag::MetadataBlock(_)) => in_front_matter = true,
            Event::End(TagEnd::MetadataBlock(_)) => in_front_matter = false,
            Event::Text(part) if in_front_matter => title = title.or_else(|| front_matter_title(&part)),
            Event::Text(part) | Event::Code(part) => {
                if let Some(heading) = &mut open {
                    heading.text.push_str(&part);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(heading) = &mut open {
                    heading.text.push(' ');
                }
            }
            _ => {}
        }
    }
    let first = headings.iter().find(|heading| heading.level == 1 && !heading.text.is_empty());
    let title = title.or_else(|| first.map(|heading| heading.text.clone()));
    Extracted { text, title, headings, ..Extracted::plain(Format::Markdown) }
}

/// The `title:` line of YAML front matter.
fn front_matter_title(yaml: &str) -> Option<String> {
    let title = yaml.lines().find_map(|line| line.strip_prefix("title:"))?;
    let title = title.trim().trim_matches(['"', '\'']);
    (!title.is_empty()).then(|| title.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_found_where_they_stand() {
        let text = "# One `two`\n\nbody\n\nUnder\n-----\n\n```\n# no heading\n```\n### Three\n";
        let extracted = read(text.to_owned());
        assert_eq!(extracted.text, text);
        assert_eq!(extracted.title.as_deref(), Some("One two"));
        let found: Vec<(&str, u8, &str)> = extracted
            .headings
            .iter()
            .map(|heading| (heading.text.as_str(), heading.level, text[heading.at..].lines().next().unwrap()))
            .collect();
        assert_eq!(found, [("One two", 1, "# One `two`"), ("Under", 2, "Under"), ("Three", 3, "### Three")]);
    }

    #[test]
    fn front_matter_names_the_title() {
        let extracted = read("---\ntitle: \"A b\"\ntags: x\n---\n\ntext\n".to_owned());
        assert_eq!(extracted.title.as_deref(), Some("A b"));
        assert_eq!(extracted.headings, []);
    }

    #[test]
    fn deep_nesting_ends() {
        let deep = format!("{}# heading\n", "> ".repeat(20_000));
        assert_eq!(read(deep.clone()).text, deep);
        assert_eq!(read("[".repeat(50_000)).headings, []);
    }
}
