//! Where a text may be cut, and code-point offsets of byte offsets.

use std::ops::Range;
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// Bytes before a position that decide whether a cluster ends there: a longer one is cut.
const CONTEXT: usize = 512;

/// Whether a byte offset, on a code-point border, is also one between grapheme clusters.
pub(super) fn between_clusters(text: &str, at: usize) -> bool {
    if at == 0 || at == text.len() {
        return true;
    }
    let bytes = text.as_bytes();
    if bytes[at - 1].is_ascii() && bytes[at].is_ascii() {
        return bytes[at - 1] != b'\r' || bytes[at] != b'\n';
    }
    let start = text.floor_char_boundary(at.saturating_sub(CONTEXT));
    let end = text.ceil_char_boundary((at + CONTEXT).min(text.len()));
    let mut cursor = GraphemeCursor::new(at - start, end - start, true);
    cursor.is_boundary(&text[start..end], 0).unwrap_or(true)
}

/// The range without white space at its ends, as far as that cuts no cluster.
pub(super) fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let content = &text[range.clone()];
    let left = content.trim_start();
    if left.is_empty() {
        return range.start..range.start;
    }
    let mut start = range.start + (content.len() - left.len());
    while start > range.start && !between_clusters(text, start) {
        start = text.floor_char_boundary(start - 1);
    }
    let mut end = range.start + content.trim_end().len();
    while end < range.end && !between_clusters(text, end) {
        end = text.ceil_char_boundary(end + 1);
    }
    start..end
}

/// Cuts a range into pieces of at most `limit` as `measure` says, at words where it can, else between clusters; a
/// cluster over the limit stays whole. Pieces are trimmed and not empty.
pub(super) fn pieces(
    text: &str,
    range: Range<usize>,
    limit: usize,
    measure: impl Fn(&str) -> usize,
) -> Vec<Range<usize>> {
    let mut cutter =
        Cutter { text, limit, start: range.start, end: range.start, size: 0, pieces: Vec::new() };
    for word in text[range].split_word_bounds() {
        let size = measure(word);
        if size <= limit {
            cutter.take(word, size);
            continue;
        }
        for cluster in word.graphemes(true) {
            cutter.take(cluster, measure(cluster));
        }
    }
    cutter.close();
    cutter.pieces
}

struct Cutter<'a> {
    text: &'a str,
    limit: usize,
    start: usize,
    end: usize,
    size: usize,
    pieces: Vec<Range<usize>>,
}

impl Cutter<'_> {
    fn take(&mut self, part: &str, size: usize) {
        // White space at the end goes when the piece is trimmed.
        let fits = self.size + size <= self.limit || part.trim().is_empty();
        if !fits && between_clusters(self.text, self.end) {
            self.close();
        }
        self.end += part.len();
        self.size += size;
    }

    fn close(&mut self) {
        let piece = trimmed(self.text, self.start..self.end);
        if !piece.is_empty() {
            self.pieces.push(piece);
        }
        self.start = self.end;
        self.size = 0;
    }
}

/// Cuts a range between code points into about `parts` parts, into two at least where it holds two.
pub(super) fn code_points(text: &str, range: Range<usize>, parts: usize) -> Vec<Range<usize>> {
    let step = range.len().div_ceil(parts).max(1);
    let mut found = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let end = text.ceil_char_boundary((start + step).min(range.end));
        found.push(start..end);
        start = end;
    }
    found
}

/// Bytes between two marks of [`CharOffsets`].
const STRIDE: usize = 64;

/// Code-point offsets of byte offsets: one pass to build, at most a stride of bytes to answer.
pub(super) struct CharOffsets<'a> {
    text: &'a str,
    /// Code points that begin before each multiple of the stride.
    marks: Vec<usize>,
}

impl<'a> CharOffsets<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut marks = Vec::with_capacity(text.len() / STRIDE + 1);
        let mut total = 0;
        for block in text.as_bytes().chunks(STRIDE) {
            marks.push(total);
            total += beginnings(block);
        }
        marks.push(total);
        Self { text, marks }
    }

    /// Code points before a byte offset.
    pub(super) fn at(&self, byte: usize) -> usize {
        let mark = byte / STRIDE;
        self.marks[mark] + beginnings(&self.text.as_bytes()[mark * STRIDE..byte])
    }

    pub(super) fn range(&self, bytes: &Range<usize>) -> Range<usize> {
        self.at(bytes.start)..self.at(bytes.end)
    }
}

/// Bytes that begin a code point.
fn beginnings(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_are_counted_over_strides() {
        let text = "aé東🙂\n".repeat(1000);
        let offsets = CharOffsets::new(&text);
        for (count, (byte, _)) in text.char_indices().enumerate() {
            assert_eq!(offsets.at(byte), count);
        }
        assert_eq!(offsets.at(text.len()), text.chars().count());
        let exact = "a".repeat(2 * STRIDE);
        assert_eq!(CharOffsets::new(&exact).at(2 * STRIDE), 2 * STRIDE);
    }

    #[test]
    fn trimming_keeps_clusters_whole() {
        assert_eq!(trimmed("  a b \n", 0..7), 2..5);
        assert!(trimmed(" \n ", 0..3).is_empty());
        // A space that carries a mark is not white space to a reader.
        let marked = "  \u{308}x";
        assert_eq!(trimmed(marked, 0..marked.len()), 1..marked.len());
    }

    #[test]
    fn pieces_end_at_words_then_at_clusters() {
        let texts = |text: &str, limit: usize| -> Vec<String> {
            let ranges = pieces(text, 0..text.len(), limit, |part| part.chars().count());
            ranges.into_iter().map(|range| text[range].to_owned()).collect()
        };
        assert_eq!(texts("one two three", 8), ["one two", "three"]);
        assert_eq!(texts("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        let family = "👩‍👩‍👧";
        assert_eq!(texts(&family.repeat(2), 3), [family, family]);
    }

    #[test]
    fn long_clusters_do_not_take_long() {
        let marks = format!("a{}", "\u{301}".repeat(1 << 20));
        assert!(between_clusters(&marks, marks.len()));
        assert!(!between_clusters(&marks, 3));
        let flags = "🇩🇪".repeat(1000);
        assert!(between_clusters(&flags, 8 * 500));
        assert!(!between_clusters(&flags, 4));
    }
}
