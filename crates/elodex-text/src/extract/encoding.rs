//! Bytes to text in the encoding they are in, losing nothing.

use crate::{Error, ErrorKind, Result};
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{DecoderResult, Encoding, UTF_16BE, UTF_16LE};

/// Bytes at the beginning of an HTML file in which it may name its encoding.
const DECLARATION: usize = 1024;
/// Text with more than one control byte in so many is data.
const CONTROLS: usize = 20;
/// A file is broken UTF-8, not another encoding, where so many characters beyond ASCII are right for each that is not.
const RIGHT_PER_WRONG: usize = 8;

/// The text of a file: by its byte order mark, else UTF-8, else what HTML declares, else what its bytes resemble most.
pub(super) fn decode(name: &str, bytes: &[u8], is_html: bool) -> Result<String> {
    if bytes.starts_with(b"\xFF\xFE\0\0") || bytes.starts_with(b"\0\0\xFE\xFF") {
        let message = format!("`{name}` is in UTF-32, which is not read; save it as UTF-8");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return strict(name, encoding, &bytes[mark..], mark);
    }
    let failure = match str::from_utf8(bytes) {
        Ok(text) => {
            let controls = bytes.iter().filter(|byte| is_control(**byte)).count();
            if controls * CONTROLS > bytes.len() {
                return Err(binary(name, bytes));
            }
            return Ok(text.to_owned());
        }
        Err(failure) => failure,
    };
    if let Some(encoding) = is_html.then(|| declared(bytes)).flatten() {
        return strict(name, encoding, bytes, 0);
    }
    if bytes.iter().any(|byte| is_control(*byte)) {
        return Err(binary(name, bytes));
    }
    if is_nearly_utf8(bytes) {
        let at = failure.valid_up_to();
        let message = format!("`{name}` is UTF-8 but for byte {at} (0x{:02x}); save it as UTF-8", bytes[at]);
        return Err(Error::new(ErrorKind::Malformed, message));
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    strict(name, detector.guess(None, Utf8Detection::Deny), bytes, 0)
}

/// Decodes all or fails at the first byte that does not belong.
fn strict(name: &str, encoding: &'static Encoding, bytes: &[u8], skipped: usize) -> Result<String> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
    let mut text = String::with_capacity(room.unwrap_or(bytes.len()));
    let (result, read) = decoder.decode_to_string_without_replacement(bytes, &mut text, true);
    let bad = match result {
        DecoderResult::InputEmpty => return Ok(text),
        DecoderResult::Malformed(bad, behind) => usize::from(bad) + usize::from(behind),
        DecoderResult::OutputFull => 0,
    };
    let message = format!(
        "`{name}` seems to be in {} but is not at byte {}; save it as UTF-8",
        encoding.name(),
        skipped + read.saturating_sub(bad)
    );
    Err(Error::new(ErrorKind::Malformed, message))
}

/// The encoding that an HTML file names in its first bytes.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let beginning = bytes[..bytes.len().min(DECLARATION)].to_ascii_lowercase();
    let at = beginning.windows(8).position(|window| window == b"charset=")? + 8;
    let label = beginning[at..].trim_ascii_start();
    let label = label.strip_prefix(b"\"").or(label.strip_prefix(b"'")).unwrap_or(label);
    let end = label.iter().position(|byte| b"\"' />;".contains(byte)).unwrap_or(label.len());
    // A page cannot say in ASCII that it is in UTF-16.
    Encoding::for_label(&label[..end]).filter(|found| *found != UTF_16LE && *found != UTF_16BE)
}

fn is_nearly_utf8(bytes: &[u8]) -> bool {
    let (mut right, mut wrong) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        right += chunk.valid().chars().filter(|character| !character.is_ascii()).count();
        wrong += usize::from(!chunk.invalid().is_empty());
    }
    right >= wrong * RIGHT_PER_WRONG
}

/// Control bytes that no text has; escape is one of ISO-2022-JP.
fn is_control(byte: u8) -> bool {
    matches!(byte, 0..=0x08 | 0x0E..=0x1A | 0x1C..=0x1F)
}

fn binary(name: &str, bytes: &[u8]) -> Error {
    let at = bytes.iter().position(|byte| is_control(*byte)).unwrap_or(0);
    let byte = bytes.get(at).copied().unwrap_or(0);
    let way_out = if byte == 0 { "; UTF-16 needs a byte order mark" } else { "" };
    let message = format!("`{name}` is not text: byte {at} is 0x{byte:02x}{way_out}");
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String> {
        decode("file.txt", bytes, false)
    }

    #[test]
    fn marks_of_the_byte_order_are_followed_and_dropped() {
        assert_eq!(read(b"\xEF\xBB\xBFab").unwrap(), "ab");
        assert_eq!(read(b"\xFF\xFEa\0\xAC\x20").unwrap(), "a€");
        assert_eq!(read(b"\xFE\xFF\0a\x20\xAC").unwrap(), "a€");
        assert_eq!(read(b"\xFF\xFE\0\xD8a\0").unwrap_err().kind(), ErrorKind::Malformed);
    }

    #[test]
    fn other_encodings_are_recognised() {
        let cases = [
            (encoding_rs::WINDOWS_1252, "Le café de l'île était fermé à cause de la fête."),
            (encoding_rs::WINDOWS_1251, "Поезд опоздал на час из-за сильного снегопада этой ночью."),
            (encoding_rs::SHIFT_JIS, "昨夜の大雪のため、電車は一時間遅れて到着しました。"),
            (encoding_rs::GBK, "由于昨晚下了大雪，火车晚点了一个小时才到达。"),
            (encoding_rs::EUC_KR, "어젯밤 폭설로 인해 기차가 한 시간 늦게 도착했습니다."),
        ];
        for (encoding, text) in cases {
            let (bytes, _, _) = encoding.encode(text);
            assert_eq!(read(&bytes).unwrap(), text, "{}", encoding.name());
        }
    }

    #[test]
    fn one_wrong_byte_in_utf8_is_named() {
        let mut bytes = "é".repeat(20).into_bytes();
        bytes.push(0xFF);
        let error = read(&bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains("byte 40 (0xff)"), "{error}");
    }

    #[test]
    fn data_is_not_text() {
        assert_eq!(read(b"\x00\x01\x02\xFF\xFE").unwrap_err().kind(), ErrorKind::Unsupported);
        let error = read(b"a\0b\0c\0").unwrap_err();
        assert!(error.to_string().contains("byte order mark"), "{error}");
        // A stray NUL in a long text is kept.
        let text = format!("{}\0end", "word ".repeat(20));
        assert_eq!(read(text.as_bytes()).unwrap(), text);
    }

    #[test]
    fn html_may_declare_its_encoding() {
        let html = b"<meta charset=\"windows-1251\"><p>\xCF\xF0\xE8</p>";
        assert!(decode("a.html", html, true).unwrap().contains("При"));
    }
}
