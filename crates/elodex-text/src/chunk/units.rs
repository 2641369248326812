//! A text as sentences, each with what separates it from the one before.

use super::borders::{between_clusters, pieces, trimmed};
use crate::Extracted;
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// What stands before a unit, the weakest border first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Border {
    /// Nothing: one sentence was too long.
    Word,
    /// The end of a sentence or of a line.
    Sentence,
    /// An empty line.
    Paragraph,
    /// The unit is a heading or stands right after one's beginning.
    Heading,
    /// A page that stands alone, or more white space than belongs into one chunk.
    Apart,
}

/// A sentence, or a part of one that is too long.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    /// Where, without white space at its ends.
    pub(super) bytes: Range<usize>,
    /// What stands before it.
    pub(super) border: Border,
    /// Its section: the last heading that begins at or before it.
    pub(super) section: Option<usize>,
}

/// White space longer than this is not carried inside a chunk.
const LONGEST_GAP: usize = 1 << 10;
/// A line at least this long, without an end of a sentence, goes on in the next line if that begins in lower case.
const WRAPPED_LINE: usize = 50;

/// The parts of a text that no chunk may leave: separate pages, or all of it.
pub(super) fn regions(extracted: &Extracted) -> Vec<Range<usize>> {
    match (&extracted.pages, extracted.flow) {
        (Some(pages), crate::PageFlow::Separate) => pages.clone(),
        _ => std::iter::once(0..extracted.text.len()).collect(),
    }
}

/// The sentences of a region, none longer than `longest` bytes unless it is one cluster.
pub(super) fn units(extracted: &Extracted, region: Range<usize>, longest: usize, units: &mut Vec<Unit>) {
    let first = extracted.headings.partition_point(|heading| heading.at < region.start);
    let mut section = first.checked_sub(1).filter(|_| extracted.flow == crate::PageFlow::Continuous);
    let mut start = region.start;
    let mut border = Border::Apart;
    for (position, heading) in extracted.headings.iter().enumerate().skip(first) {
        if heading.at >= region.end {
            break;
        }
        border = sentences(&extracted.text, start..heading.at, longest, (border, section), units)
            .max(Border::Heading);
        section = Some(position);
        start = heading.at;
    }
    sentences(&extracted.text, start..region.end, longest, (border, section), units);
}

/// The sentences of a range, the first behind the given border; the border that the next range begins with.
fn sentences(
    text: &str,
    range: Range<usize>,
    longest: usize,
    (mut border, section): (Border, Option<usize>),
    units: &mut Vec<Unit>,
) -> Border {
    let mut open: Option<Range<usize>> = None;
    let mut close = |sentence: Range<usize>, border: Border| {
        if sentence.len() <= longest {
            units.push(Unit { bytes: sentence, border, section });
            return;
        }
        let mut end = None;
        for bytes in pieces(text, sentence, longest, str::len) {
            let border = match end.map(|end| bytes.start - end) {
                None => border,
                Some(gap) if gap > LONGEST_GAP => Border::Apart,
                Some(_) => Border::Word,
            };
            end = Some(bytes.end);
            units.push(Unit { bytes, border, section });
        }
    };
    for (offset, sentence) in text[range.clone()].split_sentence_bound_indices() {
        let start = range.start + offset;
        let content = trimmed(text, start..start + sentence.len());
        if content.is_empty() {
            continue;
        }
        let Some(before) = open.take() else {
            open = Some(content);
            continue;
        };
        let gap = &text[before.end..content.start];
        let goes_on = !between_clusters(text, content.start)
            || newlines(gap) == 1 && is_wrapped(&text[before.clone()], &text[content.clone()]);
        if goes_on && gap.len() <= LONGEST_GAP {
            open = Some(before.start..content.end);
            continue;
        }
        close(before, border);
        border = match newlines(gap) {
            _ if gap.len() > LONGEST_GAP => Border::Apart,
            0 | 1 => Border::Sentence,
            _ => Border::Paragraph,
        };
        open = Some(content);
    }
    let Some(last) = open else { return border };
    let gap = range.end - last.end;
    close(last, border);
    if gap > LONGEST_GAP { Border::Apart } else { Border::Heading }
}

/// Line ends in white space; a paragraph separator counts for two.
fn newlines(gap: &str) -> usize {
    gap.matches('\n').count().max(gap.matches('\r').count()) + 2 * gap.matches('\u{2029}').count()
}

/// Whether a line end between two lines is only where the line was full.
fn is_wrapped(before: &str, after: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or(before);
    line.len() >= WRAPPED_LINE
        && !line.ends_with(['.', '!', '?', ':', ';', '。', '！', '？', '…', '؟', '۔', '।', '|'])
        && after.starts_with(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, Heading, PageFlow};

    fn extracted(text: &str, headings: Vec<Heading>) -> Extracted {
        Extracted {
            text: text.to_owned(),
            pages: None,
            flow: PageFlow::Continuous,
            title: None,
            headings,
            format: Format::Text,
        }
    }

    fn cut(text: &str, headings: Vec<Heading>) -> Vec<(String, Border)> {
        let extracted = extracted(text, headings);
        let mut found = Vec::new();
        units(&extracted, 0..text.len(), 100, &mut found);
        found.into_iter().map(|unit| (text[unit.bytes].to_owned(), unit.border)).collect()
    }

    fn sentences_of(text: &str) -> Vec<String> {
        cut(text, Vec::new()).into_iter().map(|(sentence, _)| sentence).collect()
    }

    #[test]
    fn sentences_end_in_every_script() {
        assert_eq!(sentences_of("One here. Two there! Three?"), ["One here.", "Two there!", "Three?"]);
        assert_eq!(sentences_of("今日は晴れ。明日は雨！"), ["今日は晴れ。", "明日は雨！"]);
        assert_eq!(sentences_of("هل وصل القطار؟ نعم وصل."), ["هل وصل القطار؟", "نعم وصل."]);
        assert_eq!(sentences_of("यह पहला है। यह दूसरा है।"), ["यह पहला है।", "यह दूसरा है।"]);
    }

    #[test]
    fn full_lines_go_on() {
        let wrapped =
            "the first line of a paragraph that somebody has wrapped\nwhere the column ended. Next.";
        assert_eq!(sentences_of(wrapped)[1], "Next.");
        assert_eq!(sentences_of("- tea\n- milk\n- rice"), ["- tea", "- milk", "- rice"]);
    }

    #[test]
    fn borders_say_what_stands_before() {
        let text = "Intro.\n\nPara two. More.\nHead\nBody.";
        let at = text.find("Head").unwrap();
        let found = cut(text, vec![Heading { at, level: 1, text: "Head".to_owned() }]);
        let borders: Vec<Border> = found.iter().map(|(_, border)| *border).collect();
        use Border::{Apart, Heading as H, Paragraph, Sentence};
        assert_eq!(borders, [Apart, Paragraph, Sentence, H, Sentence], "{found:?}");
        let wide = format!("a.{}b.", " ".repeat(5000));
        assert_eq!(cut(&wide, Vec::new())[1].1, Border::Apart);
    }

    #[test]
    fn a_sentence_that_is_too_long_is_cut_at_words() {
        let found = cut(&"word ".repeat(50), Vec::new());
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|(piece, _)| piece.len() <= 100 && piece.ends_with("word")), "{found:?}");
        assert_eq!(found[1].1, Border::Word);
    }
}
