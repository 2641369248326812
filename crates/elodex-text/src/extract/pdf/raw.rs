//! What a PDF's bytes show before anything is parsed. The parser bounds no stream that it expands, and some it expands to
//! learn what the file holds; it gives tables the sizes that the file names. Both are bounded here.
//!
//! Names are read as the parser reads them, wherever they stand, so that none is overlooked; what is refused for a name
//! that stands in a comment or a picture would have to look like an attack by chance.

use super::filters::{CHAINED, Filter, most_expanded};
use super::too_large;
use crate::extract::ExtractLimits;
use crate::{Error, ErrorKind, Result};

/// Bytes before a stream in which its description is looked for.
const DESCRIPTION: usize = 64 << 10;
/// How often, on average, a byte is looked at again behind a name: files that need more are made to cost time.
const LOOKS: usize = 16;
/// Longest name of those looked for.
const LONGEST_NAME: usize = 32;
/// Objects of a file: ISO 32000-1, annex C.
const MOST_OBJECTS: usize = (1 << 23) - 1;
/// Widest picture row that a predictor may ask the parser to make room for, and its samples and their bits.
pub(super) const ROW_LIMITS: [(&[u8], u64); 3] =
    [(b"Columns", 1 << 18), (b"Colors", 256), (b"BitsPerComponent", 16)];
/// Widest field of a cross-reference stream; eight bytes hold every number.
const FIELD_BYTES: u64 = 8;
/// Bytes in which a reference stands, white space included; in a longer one it is overlooked.
const MOST_REFERENCE: usize = 64;
/// Bytes that one byte makes at most, with Flate and with LZW.
const RATIOS: [usize; 2] = [1032, 2730];

/// Refuses a file whose streams expand beyond the limit: together, or one alone where it is a picture, and one whose
/// descriptions ask for more than any document needs. Returns whether it may have streams of which the bytes do not show
/// how far they expand: encrypted ones, and those that name their filters elsewhere.
pub(super) fn check(bytes: &[u8], limits: &ExtractLimits) -> Result<bool> {
    let limit = limits.expanded_bytes;
    let mut looks = Looks { left: bytes.len().saturating_mul(LOOKS) };
    let mut encrypted = false;
    let mut elsewhere = false;
    let mut filters: Vec<Filter> = Vec::new();
    let mut widths = Vec::new();
    for (name, rest) in names(bytes) {
        match name.as_slice() {
            b"Encrypt" => encrypted = true,
            b"W" => widths.push(rest),
            b"Filter" | b"F" | b"DecodeParms" | b"DP" if names_elsewhere(rest, &mut looks)? => {
                elsewhere = true;
                check_direct(bytes, rest, &mut looks)?;
            }
            name if !Filter::named(name).is_empty() => {
                for filter in Filter::named(name) {
                    if !filters.contains(filter) {
                        filters.push(*filter);
                    }
                }
                check_chain(rest, &mut looks)?;
            }
            name => {
                if let Some((_, most)) = ROW_LIMITS.iter().find(|(key, _)| *key == name) {
                    let value = integer(looks.after_space(rest)?).map_or(0, |(value, _)| value);
                    check_row(name, value, *most)?;
                }
            }
        }
    }
    for rest in widths {
        check_cross_references(rest, &filters, limit, &mut looks)?;
    }
    if encrypted {
        let lzw = filters.contains(&Filter::Lzw { early: true });
        check_encrypted(bytes, RATIOS[usize::from(lzw)], limit)?;
    }
    check_streams(bytes, &filters, limit)?;
    Ok(encrypted || elsewhere)
}

fn check_streams(bytes: &[u8], filters: &[Filter], limit: usize) -> Result<()> {
    let mut total = 0_usize;
    for at in found(bytes, b"stream") {
        if bytes[..at].ends_with(b"end") {
            continue;
        }
        let expanded = most_expanded(stream_content(&bytes[at..]), filters, limit);
        if !is_picture(&bytes[at.saturating_sub(DESCRIPTION)..at]) {
            total = total.saturating_add(expanded);
        }
        if expanded > limit || total > limit {
            return Err(too_large(limit));
        }
    }
    Ok(())
}

/// What follows the keyword that begins here, and its line end.
fn stream_content(keyword: &[u8]) -> &[u8] {
    let content = &keyword[b"stream".len()..];
    let content = content.strip_prefix(b"\r").unwrap_or(content);
    content.strip_prefix(b"\n").unwrap_or(content)
}

/// Where `needle` begins.
fn found<'a>(bytes: &'a [u8], needle: &'static [u8]) -> impl Iterator<Item = usize> + 'a {
    bytes.windows(needle.len()).enumerate().filter(move |(_, window)| *window == needle).map(|(at, _)| at)
}

/// Whether a stream's description calls it a picture and nothing that reading expands.
fn is_picture(description: &[u8]) -> bool {
    let Some(start) = description.windows(4).rposition(|window| window == b" obj") else { return false };
    let description = &description[start..];
    let says = |name: &[u8]| description.windows(name.len()).any(|window| window == name);
    // A name may hide letters behind `#`.
    says(b"/Image") && !says(b"ObjStm") && !says(b"XRef") && !says(b"#")
}

/// Every name, the escapes in it resolved, and what stands behind it. A long one is cut, which ends what it is equal to.
fn names(bytes: &[u8]) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
    let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(at, _)| name(&bytes[at + 1..]))
}

fn name(mut rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut name = Vec::new();
    while name.len() < LONGEST_NAME {
        match rest {
            [b'#', first, second, ..] if first.is_ascii_hexdigit() && second.is_ascii_hexdigit() => {
                name.push(hex(*first) << 4 | hex(*second));
                rest = &rest[3..];
            }
            [byte, ..] if *byte != b'#' && !is_space(*byte) && !b"()<>[]{}/%".contains(byte) => {
                name.push(*byte);
                rest = &rest[1..];
            }
            _ => break,
        }
    }
    (name, rest)
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

fn is_space(byte: u8) -> bool {
    b" \t\n\r\0\x0C".contains(&byte)
}

/// Bytes behind names that may still be looked at.
struct Looks {
    left: usize,
}

impl Looks {
    fn spend(&mut self, bytes: usize) -> Result<()> {
        let Some(left) = self.left.checked_sub(bytes) else {
            return Err(strange("its descriptions overlap"));
        };
        self.left = left;
        Ok(())
    }

    /// What stands behind white space and comments.
    fn after_space<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        let mut comment = false;
        let end = bytes.iter().position(|byte| {
            comment = match byte {
                b'\r' | b'\n' => false,
                b'%' => true,
                _ => comment,
            };
            !comment && !is_space(*byte)
        });
        let end = end.unwrap_or(bytes.len());
        self.spend(end)?;
        Ok(&bytes[end..])
    }

    /// What stands behind a string in parentheses.
    fn after_string<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        let mut open = 0_usize;
        let mut escaped = false;
        let end = bytes.iter().position(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'(' => open += 1,
                b')' => open -= 1,
                _ => {}
            }
            open == 0
        });
        let end = end.map_or(bytes.len(), |last| last + 1);
        self.spend(end)?;
        Ok(&bytes[end..])
    }
}

/// The error of a file that no writer makes.
fn strange(what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("the PDF is not read because {what}; print it to PDF again"))
}

/// A number of digits, and what stands behind it.
fn integer(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let bytes = bytes.strip_prefix(b"+").unwrap_or(bytes);
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = bytes[..digits]
        .iter()
        .fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    (digits > 0).then(|| (number, &bytes[digits..]))
}

/// Refuses more filters in a row than any writer uses, the first of which stands before `rest`.
fn check_chain(mut rest: &[u8], looks: &mut Looks) -> Result<()> {
    for _ in 0..CHAINED {
        let Some(behind) = looks.after_space(rest)?.strip_prefix(b"/") else { return Ok(()) };
        let (name, behind) = name(behind);
        if Filter::named(&name).is_empty() {
            return Ok(());
        }
        rest = behind;
    }
    Err(too_many_filters())
}

pub(super) fn too_many_filters() -> Error {
    strange(&format!("a stream has more than {CHAINED} filters"))
}

/// Whether a value or an item of the list that begins in `rest` is a reference.
fn names_elsewhere(rest: &[u8], looks: &mut Looks) -> Result<bool> {
    let value = looks.after_space(rest)?;
    let items = value.strip_prefix(b"[");
    let end = items
        .map_or(MOST_REFERENCE, |items| items.iter().position(|byte| *byte == b']').unwrap_or(items.len()));
    let mut value = items.unwrap_or(value);
    value = &value[..end.min(value.len())];
    looks.spend(value.len())?;
    let words: Vec<&[u8]> = value
        .split(|byte| is_space(*byte) || b"[]<>()/%".contains(byte))
        .filter(|word| !word.is_empty())
        .collect();
    let is_number = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
    let mut references =
        words.windows(3).map(|words| is_number(words[0]) && is_number(words[1]) && words[2] == b"R");
    Ok(if items.is_some() { references.any(|found| found) } else { references.next() == Some(true) })
}

/// Refuses an object stream that names elsewhere, from `rest` on, how it is compressed: it is expanded before anything can
/// look there.
fn check_direct(bytes: &[u8], rest: &[u8], looks: &mut Looks) -> Result<()> {
    let at = bytes.len() - rest.len();
    let before = &bytes[at.saturating_sub(DESCRIPTION)..at];
    let start = before.windows(3).rposition(|window| window == b"obj").unwrap_or(0);
    let behind =
        rest.windows(6).take(DESCRIPTION).position(|window| window == b"stream" || window == b"endobj");
    let behind = &rest[..behind.unwrap_or(rest.len().min(DESCRIPTION))];
    looks.spend(before.len() - start + behind.len())?;
    if names(&before[start..]).chain(names(behind)).any(|(name, _)| name == b"ObjStm") {
        return Err(strange("an object stream names its filters elsewhere"));
    }
    Ok(())
}

/// Refuses a picture row, described by `name`, that takes more room than any picture has.
pub(super) fn check_row(name: &[u8], value: u64, most: u64) -> Result<()> {
    if value <= most {
        return Ok(());
    }
    let name = String::from_utf8_lossy(name);
    Err(strange(&format!("a stream has {value} as its `{name}`, more than {most}")))
}

/// Refuses a cross-reference stream, whose field widths begin in `rest`, that has more entries than a file has objects or
/// fields wider than a number. Widths of a font's letters look alike but no stream follows them.
fn check_cross_references(rest: &[u8], filters: &[Filter], limit: usize, looks: &mut Looks) -> Result<()> {
    let Some(mut rest) = looks.after_space(rest)?.strip_prefix(b"[") else { return Ok(()) };
    let mut widths = [0; 3];
    for width in &mut widths {
        let Some((number, behind)) = integer(looks.after_space(rest)?) else { return Ok(()) };
        *width = number;
        rest = behind;
    }
    let Some(content) = stream_behind(rest, looks)? else { return Ok(()) };
    let entry: u64 = widths.iter().fold(0, |entry, width| entry.saturating_add(*width));
    if entry == 0 || widths.iter().any(|width| *width > FIELD_BYTES) {
        return Err(strange(&format!("its cross-references have fields of {widths:?} bytes")));
    }
    let most = MOST_OBJECTS.saturating_mul(usize::try_from(entry).unwrap_or(usize::MAX)).min(limit);
    if most_expanded(content, filters, most) > most {
        return Err(strange(&format!("its cross-references have more than {MOST_OBJECTS} entries")));
    }
    Ok(())
}

/// The content of the stream whose description goes on here; `None` where the description is of another object.
fn stream_behind<'a>(mut rest: &'a [u8], looks: &mut Looks) -> Result<Option<&'a [u8]>> {
    loop {
        rest = looks.after_space(rest)?;
        if rest.starts_with(b"stream") {
            return Ok(Some(stream_content(rest)));
        }
        if rest.is_empty() || rest.starts_with(b"endobj") || rest.starts_with(b"obj") {
            return Ok(None);
        }
        if rest.starts_with(b"(") {
            rest = looks.after_string(rest)?;
            continue;
        }
        looks.spend(1)?;
        rest = &rest[1..];
    }
}

/// Refuses an encrypted file whose object streams may expand beyond the limit: the parser decrypts and expands them in one
/// step, so that only their length is known here.
fn check_encrypted(bytes: &[u8], ratio: usize, limit: usize) -> Result<()> {
    let mut hidden = 0_usize;
    let mut last = 0;
    let mut in_object_stream = false;
    for at in found(bytes, b"obj").chain(std::iter::once(bytes.len())) {
        let between = &bytes[last..at];
        in_object_stream |= names(between).any(|(name, _)| name == b"ObjStm");
        if in_object_stream {
            hidden = hidden.saturating_add(between.len());
        }
        in_object_stream &= !bytes[..at].ends_with(b"end");
        last = at;
    }
    if hidden.saturating_mul(ratio) > limit {
        let message = format!(
            "the PDF is encrypted, so that how far it expands within {limit} bytes cannot be checked; remove its password"
        );
        return Err(Error::new(ErrorKind::Encrypted, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> Option<ErrorKind> {
        check(bytes, &ExtractLimits { expanded_bytes: 1 << 20, ..ExtractLimits::default() })
            .err()
            .map(|error| error.kind())
    }

    #[test]
    fn long_chains_are_refused_however_they_are_written() {
        let malformed = Some(ErrorKind::Malformed);
        assert_eq!(refusal(b"<</Filter[/FlateDecode/LZWDecode/FlateDecode]>>"), None);
        assert_eq!(refusal(b"<</Filter[/FlateDecode/LZWDecode/FlateDecode/FlateDecode]>>"), malformed);
        assert_eq!(refusal(b"[/Flate#44ecode%/a\n /LZWDecode\r/ASCII85Decod#65 /FlateDecode]"), malformed);
        assert_eq!(refusal(&b"/FlateDecode%".repeat(10_000)), malformed);
        assert_eq!(refusal(b"/FlateDecode>> /FlateDecode>> /FlateDecode>> /FlateDecode>>"), None);
    }

    #[test]
    fn tables_that_no_document_needs_are_refused() {
        let malformed = Some(ErrorKind::Malformed);
        assert_eq!(refusal(b"<</Predictor 12/Columns 5/Colors 3>>"), None);
        assert_eq!(refusal(b"<</Predictor 12/Columns 99999999999999999999>>"), malformed);
        assert_eq!(refusal(b"<</Col#6frs 1000>>"), malformed);
        assert_eq!(refusal(b"<</Type/XRef/W[1 2 1]>>stream\n"), None);
        assert_eq!(refusal(b"<</Type/XRef/W[1 70368744177664 1]>>stream\n"), malformed);
        assert_eq!(refusal(b"<</W[0 0 0]/A(\\) endobj )>>stream\n"), malformed);
        assert_eq!(refusal(b"<</Type/Font/W[0 0 0]>>endobj 1 0 obj<<>>stream\n"), None);
        assert_eq!(refusal(b"<</Type/Font/W[0 255 600]>>endobj"), None);
    }

    #[test]
    fn what_is_compressed_as_another_place_says_is_checked_again() {
        let check = |bytes: &[u8]| check(bytes, &ExtractLimits::default());
        assert!(check(b"4 0 obj<</Filter 5 0 R>>stream\n").unwrap());
        assert!(check(b"4 0 obj<</Filter[/FlateDecode 5 0 R]>>stream\n").unwrap());
        assert!(check(b"4 0 obj<</DecodeParms[null % 1\n 5 0 R]>>stream\n").unwrap());
        assert!(!check(b"4 0 obj<</F 4/Filter/FlateDecode/Length 5 0 R>>stream\n").unwrap());
        let malformed = Some(ErrorKind::Malformed);
        assert_eq!(refusal(b"4 0 obj<</Type/ObjStm/Filter 5 0 R>>stream\n"), malformed);
        assert_eq!(refusal(b"4 0 obj<</DecodeParms 5 0 R/Type/Obj#53tm>>stream\n"), malformed);
        assert_eq!(refusal(b"4 0 obj<</F 5 0 R>>endobj 6 0 obj<</Type/ObjStm>>stream\n"), None);
    }

    #[test]
    fn what_is_encrypted_is_bounded_by_its_length() {
        let file = |length: usize| {
            [b"1 0 obj<</Type/ObjStm>>stream\n", &[0xFF].repeat(length)[..], b"endstream endobj /Encrypt"]
                .concat()
        };
        assert_eq!(refusal(&file(100)), None);
        assert_eq!(refusal(&file(2000)), Some(ErrorKind::Encrypted));
        assert_eq!(refusal(&b"1 0 obj<<>>endobj ".repeat(10_000)), None);
    }
}
