//! A text as sentences, each with what separates it from the one before.

use super::borders::{between_clusters, code_points, pieces, trimmed};
use crate::Extracted;
use std::ops::Range;
use unicode_normalization::char::is_combining_mark;
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
/// Bytes whose sentences are found at once, and those within which a good border for their end is looked for.
const STRETCH: usize = 256 << 10;
const STRETCH_SLACK: usize = 64 << 10;
/// White space and closing marks in a row that the search for sentences sees.
const LONGEST_RUN: usize = 32;
/// A line at least this long, without an end of a sentence, goes on in the next line if that begins in lower case.
const WRAPPED_LINE: usize = 50;

/// The parts of a text that no chunk may leave: separate pages, or all of it.
pub(super) fn regions(extracted: &Extracted) -> Vec<Range<usize>> {
    match (&extracted.pages, extracted.flow) {
        (Some(pages), crate::PageFlow::Separate) => pages.clone(),
        _ => std::iter::once(0..extracted.text.len()).collect(),
    }
}

/// The sentences of a region, a stretch of it at a time: a text of many short lines has far more of them than bytes that
/// should be held at once.
pub(super) struct Units<'a> {
    extracted: &'a Extracted,
    region: Range<usize>,
    /// Bytes that no unit is longer than.
    longest: usize,
    /// The section at hand, and the heading that ends it.
    section: Option<usize>,
    next_heading: usize,
    /// Where the last unit ended, and what stands before the next one at least.
    end: Option<usize>,
    border: Border,
}

impl<'a> Units<'a> {
    pub(super) fn new(extracted: &'a Extracted, region: Range<usize>, longest: usize) -> Self {
        let next_heading = extracted.headings.partition_point(|heading| heading.at < region.start);
        let is_continuous = extracted.flow == crate::PageFlow::Continuous;
        let section = next_heading.checked_sub(1).filter(|_| is_continuous);
        Self { extracted, region, longest, section, next_heading, end: None, border: Border::Apart }
    }

    /// Adds the sentences of the next stretch. Returns whether there was one.
    pub(super) fn read(&mut self, units: &mut Vec<Unit>) -> bool {
        if self.region.is_empty() {
            return false;
        }
        let heading = self.extracted.headings.get(self.next_heading).map(|heading| heading.at);
        let end = heading.filter(|at| *at < self.region.end).unwrap_or(self.region.end);
        let cut = cut(&self.extracted.text, self.region.start..end);
        self.sentences(self.region.start..cut, units);
        self.region.start = cut;
        if Some(cut) == heading && cut < self.region.end {
            self.border = Border::Heading;
            self.section = Some(self.next_heading);
            self.next_heading += 1;
        }
        true
    }

    fn sentences(&mut self, range: Range<usize>, units: &mut Vec<Unit>) {
        let text = self.extracted.text.as_str();
        let mut open: Option<Range<usize>> = None;
        for part in short_runs(text, range) {
            for (offset, sentence) in text[part.clone()].split_sentence_bound_indices() {
                let start = part.start + offset;
                let content = trimmed(text, start..start + sentence.len());
                if content.is_empty() {
                    continue;
                }
                let Some(before) = open.take() else {
                    open = Some(content);
                    continue;
                };
                let gap = &text[before.end..content.start];
                let goes_on = gap.len() <= LONGEST_GAP
                    && (!between_clusters(text, content.start)
                        || newlines(gap) == 1 && is_wrapped(&text[before.clone()], &text[content.clone()]));
                if goes_on {
                    open = Some(before.start..content.end);
                    continue;
                }
                self.close(before, units);
                self.border = Border::Sentence;
                open = Some(content);
            }
        }
        if let Some(last) = open {
            self.close(last, units);
        }
    }

    /// Adds a sentence, in parts where it is too long.
    fn close(&mut self, sentence: Range<usize>, units: &mut Vec<Unit>) {
        let text = self.extracted.text.as_str();
        let mut border = match self.end.map(|end| &text[end..sentence.start]) {
            None => Border::Apart,
            Some(gap) if gap.len() > LONGEST_GAP => Border::Apart,
            Some(gap) => self.border.max(match newlines(gap) {
                0 => Border::Word,
                1 => Border::Sentence,
                _ => Border::Paragraph,
            }),
        };
        self.end = Some(sentence.end);
        self.border = Border::Word;
        if sentence.len() <= self.longest {
            units.push(Unit { bytes: sentence, border, section: self.section });
            return;
        }
        let mut end = sentence.start;
        for piece in pieces(text, sentence, self.longest, str::len) {
            // A cluster that is too long alone.
            let parts = piece.len().div_ceil(self.longest);
            for bytes in code_points(text, piece, parts) {
                if bytes.start - end > LONGEST_GAP {
                    border = Border::Apart;
                }
                end = bytes.end;
                units.push(Unit { bytes, border, section: self.section });
                border = Border::Word;
            }
        }
    }
}

/// Where a stretch of the range ends: at its end, or behind the best border that comes soon after the stretch's length.
fn cut(text: &str, range: Range<usize>) -> usize {
    if range.len() <= STRETCH + STRETCH_SLACK {
        return range.end;
    }
    let earliest = text.ceil_char_boundary(range.start + STRETCH);
    let latest = text.floor_char_boundary(range.start + STRETCH + STRETCH_SLACK);
    let slack = &text[earliest..latest];
    let behind = |border: &str| slack.find(border).map(|at| earliest + at + border.len());
    if let Some(at) = behind("\n\n").or_else(|| behind("\n")).or_else(|| behind(" ")) {
        return at;
    }
    let mut at = latest;
    while at > earliest && !between_clusters(text, at) {
        at = text.floor_char_boundary(at - 1);
    }
    at
}

/// Cuts a range behind long runs of white space, closing marks and what joins them: the search for sentences looks ahead
/// from each character of such a run.
fn short_runs(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = range.start;
    let mut run = 0;
    for (offset, character) in text[range.clone()].char_indices() {
        let runs_on = match character.is_ascii() {
            true => character.is_ascii_whitespace() || "\"'()[]{}".contains(character),
            false => !character.is_alphanumeric() || is_combining_mark(character),
        };
        run = if runs_on { run + 1 } else { 0 };
        if run == LONGEST_RUN {
            let end = range.start + offset + character.len_utf8();
            parts.push(start..end);
            start = end;
            run = 0;
        }
    }
    parts.push(start..range.end);
    parts
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
        let mut units = Units::new(&extracted, 0..text.len(), 100);
        let mut found = Vec::new();
        while units.read(&mut found) {}
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
