//! Letters to lines: what stands where on a page, as text in reading order.

use unicode_bidi::{BidiClass, bidi_class};
use unicode_normalization::UnicodeNormalization;

/// Distance between two letters that parts words, in letter sizes. Letters of a word stand closer, and where a writer
/// spaces without a space character it leaves a fifth of the size or more.
const WORD_GAP: f64 = 0.15;
/// Distance from a letter's base line at which another begins a line of its own, in letter sizes: indices and exponents
/// stay within it.
const LINE_SHIFT: f64 = 0.5;
/// Distance back along the line from which a letter begins a new one, in letter sizes.
const LINE_RETURN: f64 = 1.0;
/// Distance between base lines that parts paragraphs, in letter sizes, and in distances of the two lines before: lines
/// may be spaced widely.
const PARAGRAPH_GAP: f64 = 1.8;
const PARAGRAPH_RATIO: f64 = 1.25;
/// Distance between the parts of one line that is written from right to left, in letter sizes.
const PART_GAP: f64 = 3.0;
/// Distance at which a letter drawn again is the same letter made bold, in letter sizes.
const BOLD_SHIFT: f64 = 0.1;
/// Least cosine of the angle between two letters of a line.
const STRAIGHT: f64 = 0.9;

/// A letter as it is drawn.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    /// Where it begins, in the page's coordinates, y upwards.
    pub(super) at: [f64; 2],
    /// Direction of its line, of length 1.
    pub(super) direction: [f64; 2],
    /// How far the next letter stands, along the direction.
    pub(super) advance: f64,
    /// Size of its font, on the page.
    pub(super) size: f64,
    /// What it says; `None` where the file does not tell.
    pub(super) text: Option<String>,
}

impl Letter {
    /// From its beginning to that of the other, in sizes of the larger one: along its line, and below it.
    fn way_to(&self, other: &Self) -> [f64; 2] {
        let size = self.size.max(other.size).max(f64::MIN_POSITIVE);
        let [x, y] = [other.at[0] - self.at[0], other.at[1] - self.at[1]];
        let [along, up] = self.direction;
        [(x * along + y * up) / size, (x * up - y * along) / size]
    }

    /// From its end to the beginning of the other, along its line, in sizes of the larger one.
    fn gap_to(&self, other: &Self) -> f64 {
        self.way_to(other)[0] - self.advance / self.size.max(other.size).max(f64::MIN_POSITIVE)
    }

    /// From where to where the other one stands along its line, in sizes of the larger one.
    fn reach(&self, other: &Self) -> [f64; 2] {
        let start = self.way_to(other)[0];
        [start, start + other.advance / self.size.max(other.size).max(f64::MIN_POSITIVE)]
    }

    fn is_parallel_to(&self, other: &Self) -> bool {
        self.direction[0] * other.direction[0] + self.direction[1] * other.direction[1] >= STRAIGHT
    }

    fn is_right_to_left(&self) -> bool {
        self.text.iter().flat_map(|text| text.chars()).any(|letter| side(letter) == Side::RightToLeft)
    }
}

/// A page's text as its letters come.
#[derive(Default)]
pub(super) struct Lines {
    text: String,
    line: Vec<Letter>,
    /// From where to where the line stands, from its first letter on, in letter sizes.
    reach: [f64; 2],
    /// Whether some of the line is written from right to left.
    is_mixed: bool,
    /// Letters drawn at once before those that come now.
    before: Vec<Letter>,
    /// Distance of the last two base lines, in letter sizes.
    distance: f64,
    /// Whether any letter said what it is.
    is_legible: bool,
    /// What parts the line from the text before it.
    separator: &'static str,
}

impl Lines {
    /// Adds letters that are drawn at once, unless they are drawn over the same ones to make them bold.
    pub(super) fn add(&mut self, run: Vec<Letter>) {
        let is_again = run.len() == self.before.len()
            && run.iter().zip(&self.before).all(|(now, before)| {
                now.text == before.text && before.way_to(now).iter().all(|way| way.abs() < BOLD_SHIFT)
            });
        if is_again {
            return;
        }
        for letter in &run {
            self.push(letter.clone());
        }
        self.before = run;
    }

    fn push(&mut self, letter: Letter) {
        self.is_legible |= letter.text.as_ref().is_some_and(|text| !text.trim().is_empty());
        if let Some(last) = self.line.last() {
            let below = last.way_to(&letter)[1];
            let goes_on = last.is_parallel_to(&letter)
                && below.abs() <= LINE_SHIFT
                && (last.gap_to(&letter) >= -LINE_RETURN || self.takes_back(&letter));
            if !goes_on {
                let is_paragraph = below > PARAGRAPH_GAP.max(PARAGRAPH_RATIO * self.distance);
                self.distance = below;
                self.end_line();
                self.separator = if is_paragraph { "\n\n" } else { "\n" };
            }
        }
        let [start, end] = self.line.first().map_or([0.0; 2], |first| first.reach(&letter));
        self.reach = [self.reach[0].min(start), self.reach[1].max(end)];
        self.is_mixed |= letter.is_right_to_left();
        self.line.push(letter);
    }

    /// Whether a letter that stands before the last one belongs to a line that is written from right to left.
    fn takes_back(&self, letter: &Letter) -> bool {
        let [start, end] = self.line.first().map_or([0.0; 2], |first| first.reach(letter));
        let is_near = start <= self.reach[1] + PART_GAP && end >= self.reach[0] - PART_GAP;
        is_near && (self.is_mixed || letter.is_right_to_left())
    }

    fn end_line(&mut self) {
        let mut letters = std::mem::take(&mut self.line);
        let is_mixed = std::mem::take(&mut self.is_mixed);
        self.reach = [0.0; 2];
        if is_mixed && let Some(first) = letters.first().cloned() {
            letters.sort_by(|left, right| first.way_to(left)[0].total_cmp(&first.way_to(right)[0]));
        }
        let mut parts: Vec<String> = Vec::with_capacity(letters.len());
        let mut last: Option<&Letter> = None;
        for letter in &letters {
            if last.is_some_and(|last| last.gap_to(letter) > WORD_GAP) {
                parts.push(" ".to_owned());
            }
            parts.push(letter.text.as_deref().map_or_else(|| UNKNOWN.to_string(), spelled));
            last = Some(letter);
        }
        if is_mixed {
            to_reading_order(&mut parts);
        }
        let mut line = String::new();
        for letter in parts.iter().flat_map(|part| part.chars()) {
            let is_again = match letter {
                ' ' => line.ends_with(' '),
                UNKNOWN => line.trim_end().ends_with(UNKNOWN),
                _ => false,
            };
            if !is_again {
                line.push(letter);
            }
        }
        self.add_line(line.trim());
    }

    fn add_line(&mut self, line: &str) {
        let is_again = self.text.ends_with(UNKNOWN) && line.strip_prefix(UNKNOWN) == Some("");
        if line.is_empty() || is_again {
            return;
        }
        if self.text.is_empty() {
            self.text.push_str(line);
            return;
        }
        let mut before = self.text.chars().rev();
        let is_divided = match before.next() {
            Some('\u{AD}') => true,
            Some('-') => before.next().is_some_and(char::is_lowercase),
            _ => false,
        };
        if is_divided && self.separator == "\n" && line.starts_with(char::is_lowercase) {
            self.text.pop();
        } else {
            self.text.push_str(self.separator);
        }
        self.text.push_str(line);
    }

    /// Bytes of the text so far.
    pub(super) fn len(&self) -> usize {
        self.text.len() + self.line.len()
    }

    /// The text, and whether any of it is legible.
    pub(super) fn finish(mut self) -> (String, bool) {
        self.end_line();
        (self.text, self.is_legible)
    }
}

/// Stands for letters of which the file does not tell what they are, once for all that follow each other.
const UNKNOWN: char = char::REPLACEMENT_CHARACTER;

/// A letter's text without forms that only show how it is drawn: ligatures, Arabic letters by their place in the word, and
/// ideographs as parts of others.
fn spelled(text: &str) -> String {
    let mut spelled = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\u{2E80}'..='\u{2FDF}' | '\u{F900}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}' => {
                spelled.extend(letter.nfkc())
            }
            letter if letter.is_whitespace() => spelled.push(' '),
            letter if letter.is_control() => spelled.push(UNKNOWN),
            letter => spelled.push(letter),
        }
    }
    spelled
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    LeftToRight,
    RightToLeft,
    Neither,
}

fn side(letter: char) -> Side {
    match bidi_class(letter) {
        BidiClass::L | BidiClass::EN | BidiClass::AN => Side::LeftToRight,
        BidiClass::R | BidiClass::AL => Side::RightToLeft,
        _ => Side::Neither,
    }
}

/// Brings the parts of a line, which stand as they are seen from left to right, into the order in which they are read:
/// the levels of Unicode's bidirectional algorithm (UAX 9) from their order on the page, for one level of nesting.
fn to_reading_order(parts: &mut [String]) {
    let sides: Vec<Side> = parts.iter().map(|part| part.chars().next().map_or(Side::Neither, side)).collect();
    let count = |wanted| sides.iter().filter(|side| **side == wanted).count();
    let is_right_to_left = count(Side::RightToLeft) >= count(Side::LeftToRight);
    let inner = if is_right_to_left { Side::LeftToRight } else { Side::RightToLeft };
    let mut start = 0;
    while start < parts.len() {
        if sides[start] != inner {
            if is_right_to_left {
                mirror(&mut parts[start]);
            }
            start += 1;
            continue;
        }
        let outside = sides[start..].iter().position(|side| *side != inner && *side != Side::Neither);
        let behind = outside.map_or(parts.len(), |length| start + length);
        let end = (start..behind).rfind(|at| sides[*at] == inner).map_or(behind, |last| last + 1);
        parts[start..end].reverse();
        if !is_right_to_left {
            parts[start..end].iter_mut().for_each(mirror);
        }
        start = end;
    }
    if is_right_to_left {
        parts.reverse();
    }
}

/// Turns a bracket, which is drawn the other way round between letters that are written from right to left.
fn mirror(part: &mut String) {
    const PAIRS: [&str; 5] = ["()", "[]", "{}", "<>", "«»"];
    let mirrored = PAIRS.iter().find(|pair| !part.is_empty() && pair.contains(part.as_str()));
    if let Some(mirrored) = mirrored.map(|pair| pair.replace(part.as_str(), "")) {
        *part = mirrored;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters of half their size's width, side by side.
    fn drawn(text: &str, x: f64, y: f64, size: f64) -> Vec<Letter> {
        let letter = |(place, letter): (usize, char)| Letter {
            at: [x + place as f64 * size / 2.0, y],
            direction: [1.0, 0.0],
            advance: size / 2.0,
            size,
            text: Some(letter.to_string()),
        };
        text.chars().enumerate().map(letter).collect()
    }

    fn text(runs: &[(&str, f64, f64, f64)]) -> String {
        let mut lines = Lines::default();
        for (text, x, y, size) in runs {
            lines.add(drawn(text, *x, *y, *size));
        }
        lines.finish().0
    }

    #[test]
    fn gaps_part_words_lines_and_paragraphs() {
        assert_eq!(
            text(&[("night", 0.0, 0.0, 10.0), ("train", 28.0, 0.0, 10.0), ("s", 54.0, 0.0, 10.0)]),
            "night trains"
        );
        assert_eq!(
            text(&[("E = mc", 0.0, 0.0, 10.0), ("2", 30.0, 4.0, 6.0), (" holds", 33.0, 0.0, 10.0)]),
            "E = mc2 holds"
        );
        let lines = |pitch: f64| {
            let y = |line: f64| -line * pitch;
            text(&[
                ("one", 0.0, 0.0, 10.0),
                ("two", 0.0, y(1.0), 10.0),
                ("three", 0.0, y(2.0), 10.0),
                ("four", 0.0, y(4.0), 10.0),
            ])
        };
        assert_eq!(lines(12.0), "one\ntwo\nthree\n\nfour");
        assert_eq!(lines(24.0), "one\n\ntwo\nthree\n\nfour");
        assert_eq!(text(&[("left", 0.0, 0.0, 10.0), ("right", 200.0, 300.0, 10.0)]), "left\nright");
    }

    #[test]
    fn a_word_divided_at_the_end_of_a_line_is_joined() {
        assert_eq!(text(&[("exam-", 0.0, 0.0, 10.0), ("ple", 0.0, -12.0, 10.0)]), "example");
        assert_eq!(text(&[("exam\u{AD}", 0.0, 0.0, 10.0), ("ple", 0.0, -12.0, 10.0)]), "example");
        assert_eq!(text(&[("COVID-", 0.0, 0.0, 10.0), ("related", 0.0, -12.0, 10.0)]), "COVID-\nrelated");
        assert_eq!(text(&[("pages 3-", 0.0, 0.0, 10.0), ("12", 0.0, -12.0, 10.0)]), "pages 3-\n12");
    }

    #[test]
    fn letters_drawn_again_to_make_them_bold_count_once() {
        assert_eq!(
            text(&[("Night", 0.0, 0.0, 10.0), ("Night", 0.3, 0.0, 10.0), (" trains", 25.0, 0.0, 10.0)]),
            "Night trains"
        );
        assert_eq!(text(&[("go", 0.0, 0.0, 10.0), ("go", 12.0, 0.0, 10.0)]), "go go");
    }

    #[test]
    fn what_is_written_from_right_to_left_is_read_so() {
        // As most writers draw it, from the left.
        assert_eq!(text(&[("םולש 12:30", 0.0, 0.0, 10.0)]), "12:30 שלום");
        assert_eq!(text(&[("Elodex תכרעמ", 0.0, 0.0, 10.0)]), "Elodex מערכת");
        assert_eq!(text(&[("the word םולש means peace", 0.0, 0.0, 10.0)]), "the word שלום means peace");
        assert_eq!(text(&[(".(םולש) םלוע", 0.0, 0.0, 10.0)]), "עולם (שלום).");
        assert_eq!(text(&[("f(x) = 1 הז ,םולש", 0.0, 0.0, 10.0)]), "שלום, זה f(x) = 1");
        // Word for word, and letter for letter from the right.
        assert_eq!(text(&[("םולש", 60.0, 0.0, 10.0), ("םלוע", 35.0, 0.0, 10.0)]), "שלום עולם");
        assert_eq!(
            text(&[
                ("ש", 15.0, 0.0, 10.0),
                ("ל", 10.0, 0.0, 10.0),
                ("ו", 5.0, 0.0, 10.0),
                ("ם", 0.0, 0.0, 10.0)
            ]),
            "שלום"
        );
        // Forms of Arabic letters by their place, one of them of two letters.
        assert_eq!(text(&[("\u{FEE1}\u{FEFC}\u{FEB3}", 0.0, 0.0, 10.0)]), "سلام");
    }

    #[test]
    fn forms_of_letters_become_letters() {
        assert_eq!(text(&[("\u{FB01}nd\u{A0}o\u{FB03}ce", 0.0, 0.0, 10.0)]), "find office");
        assert_eq!(text(&[("夜\u{2F8F}列", 0.0, 0.0, 10.0)]), "夜行列");
        assert_eq!(text(&[("a\u{1}b", 0.0, 0.0, 10.0)]), "a\u{FFFD}b");
        let unknown =
            [("a \u{1} \u{1}\u{2}", 0.0, 0.0, 10.0), ("\u{3}", 0.0, -12.0, 10.0), ("b", 0.0, -24.0, 10.0)];
        assert_eq!(text(&unknown), "a \u{FFFD}\nb");
    }
}
