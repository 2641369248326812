//! Scripts that are written without spaces between words.

/// How a letter's words are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// Words stand apart: UAX #29 finds them.
    Words,
    /// Han, Hiragana and Katakana: overlapping pairs of characters.
    Han,
    /// Hangul: words carry particles, so pairs of syllables find what whole words would miss.
    Hangul,
    /// Thai, Lao, Khmer and Myanmar: overlapping pairs of clusters.
    SouthEast,
}

/// The kind of run that a character belongs to.
pub(super) fn run_of(character: char) -> Run {
    match u32::from(character) {
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0xA9E0..=0xA9FF | 0xAA60..=0xAA7F => {
            Run::SouthEast
        }
        0x1100..=0x11FF | 0x3130..=0x318F | 0xA960..=0xA97F | 0xAC00..=0xD7FF => Run::Hangul,
        0x2E80..=0x2FDF
        | 0x3005..=0x3007
        | 0x3021..=0x3029
        | 0x3031..=0x3035
        | 0x3041..=0x30FF
        | 0x31F0..=0x31FF
        | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF
        | 0xF900..=0xFAFF
        | 0x1AFF0..=0x1B16F
        | 0x20000..=0x3FFFD => Run::Han,
        _ => Run::Words,
    }
}
