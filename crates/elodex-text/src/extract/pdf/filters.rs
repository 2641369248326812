//! How far the filters of a stream expand it. Nothing of what comes out is kept.

use flate2::read::DeflateDecoder;
use hayro_interpret::hayro_syntax::Filter as Known;
use std::io::{BufReader, Bytes, Read};
use weezl::BitOrder;
use weezl::decode::Decoder;

/// Filters in a row that a stream may have; writers use two at most.
pub(super) const CHAINED: usize = 3;

/// A filter that the parser undoes in what is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Flate,
    Lzw {
        /// Codes grow one code early.
        early: bool,
    },
    Ascii85,
    AsciiHex,
    RunLength,
}

impl Filter {
    /// Filters of a name in a stream's description, short ones included; the file may tell elsewhere how LZW's codes grow.
    pub(super) fn named(name: &[u8]) -> &'static [Self] {
        match name {
            b"FlateDecode" | b"Fl" => &[Self::Flate],
            b"LZWDecode" | b"LZW" => &[Self::Lzw { early: true }, Self::Lzw { early: false }],
            b"ASCII85Decode" | b"A85" => &[Self::Ascii85],
            b"ASCIIHexDecode" | b"AHx" => &[Self::AsciiHex],
            b"RunLengthDecode" | b"RL" => &[Self::RunLength],
            _ => &[],
        }
    }

    /// The same for a filter as the parser knows it.
    pub(super) fn known(filter: Known) -> &'static [Self] {
        match filter {
            Known::FlateDecode => Self::named(b"Fl"),
            Known::LzwDecode => Self::named(b"LZW"),
            Known::Ascii85Decode => Self::named(b"A85"),
            Known::AsciiHexDecode => Self::named(b"AHx"),
            Known::RunLengthDecode => Self::named(b"RL"),
            _ => &[],
        }
    }
}

/// The most bytes that content may expand to with any chain of the filters, counted up to a little over `limit`; 0 where
/// none makes anything of it.
pub(super) fn most_expanded(content: &[u8], filters: &[Filter], limit: usize) -> usize {
    most_behind(content, filters, &mut Vec::with_capacity(CHAINED), limit)
}

fn most_behind(content: &[u8], filters: &[Filter], undone: &mut Vec<Filter>, limit: usize) -> usize {
    let mut most = 0;
    for filter in filters {
        undone.push(*filter);
        let size = size(content, undone, limit);
        most = most.max(size);
        if size > 0 && undone.len() < CHAINED && most <= limit {
            most = most.max(most_behind(content, filters, undone, limit));
        }
        undone.pop();
        if most > limit {
            break;
        }
    }
    most
}

/// Bytes behind the filters, counted up to a little over `limit`.
fn size(content: &[u8], filters: &[Filter], limit: usize) -> usize {
    let mut reader: Box<dyn Read + '_> = Box::new(content);
    for filter in filters {
        reader = match filter {
            Filter::Flate => {
                // The parser forgives a wrong header.
                let mut header = [0; 2];
                if reader.read_exact(&mut header).is_err() {
                    return 0;
                }
                Box::new(DeflateDecoder::new(reader))
            }
            Filter::Lzw { early } => Box::new(Lzw::new(reader, *early)),
            Filter::Ascii85 => Box::new(Ascii85::new(reader)),
            Filter::AsciiHex => Box::new(AsciiHex(BufReader::new(reader).bytes())),
            Filter::RunLength => {
                Box::new(RunLength { source: BufReader::new(reader).bytes(), left: 0, repeated: None })
            }
        };
    }
    let mut size = 0;
    let mut block = [0; 16 << 10];
    while size <= limit {
        match reader.read(&mut block) {
            Ok(read) if read > 0 => size += read,
            _ => break,
        }
    }
    size
}

/// Bits of an LZW code for plain bytes.
const LZW_BITS: u8 = 8;
const LZW_BLOCK: usize = 4 << 10;

struct Lzw<R> {
    source: R,
    decoder: Decoder,
    block: [u8; LZW_BLOCK],
    /// The part of the block that is not decoded yet.
    start: usize,
    end: usize,
}

impl<R: Read> Lzw<R> {
    fn new(source: R, early: bool) -> Self {
        let decoder = match early {
            true => Decoder::with_tiff_size_switch(BitOrder::Msb, LZW_BITS),
            false => Decoder::new(BitOrder::Msb, LZW_BITS),
        };
        Self { source, decoder, block: [0; LZW_BLOCK], start: 0, end: 0 }
    }
}

impl<R: Read> Read for Lzw<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if self.start == self.end {
                self.start = 0;
                self.end = self.source.read(&mut self.block)?;
            }
            let step = self.decoder.decode_bytes(&self.block[self.start..self.end], out);
            self.start += step.consumed_in;
            if step.consumed_out > 0 || step.consumed_in == 0 || step.status.is_err() {
                return Ok(step.consumed_out);
            }
        }
    }
}

struct Ascii85<R> {
    source: Bytes<BufReader<R>>,
    /// Decoded bytes that are not handed out yet, the next one last.
    ready: Vec<u8>,
    ended: bool,
}

impl<R: Read> Ascii85<R> {
    fn new(source: R) -> Self {
        Self { source: BufReader::new(source).bytes(), ready: Vec::new(), ended: false }
    }

    /// Decodes the next five characters, or what is left of them.
    fn group(&mut self) {
        let mut value = 0_u32;
        let mut count = 0;
        while count < 5 {
            let character = match self.source.next() {
                Some(Ok(character)) if character.is_ascii_whitespace() => continue,
                Some(Ok(b'z')) if count == 0 => return self.ready.extend([0; 4]),
                Some(Ok(character @ b'!'..=b'u')) => character,
                _ => {
                    self.ended = true;
                    break;
                }
            };
            let next = value.checked_mul(85).and_then(|value| value.checked_add(u32::from(character - b'!')));
            let Some(next) = next else {
                self.ended = true;
                return;
            };
            value = next;
            count += 1;
        }
        for _ in count..5 {
            value = value.saturating_mul(85).saturating_add(84);
        }
        self.ready.extend(value.to_be_bytes().iter().take(4_usize.min(count.max(1) - 1)).rev());
    }
}

impl<R: Read> Read for Ascii85<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let mut written = 0;
        for place in out {
            while self.ready.is_empty() && !self.ended {
                self.group();
            }
            let Some(byte) = self.ready.pop() else { break };
            *place = byte;
            written += 1;
        }
        Ok(written)
    }
}

struct AsciiHex<R>(Bytes<BufReader<R>>);

impl<R: Read> AsciiHex<R> {
    fn digit(&mut self) -> Option<u8> {
        let character =
            self.0.by_ref().map_while(Result::ok).find(|character| !character.is_ascii_whitespace())?;
        char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
    }
}

impl<R: Read> Read for AsciiHex<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let mut written = 0;
        for place in out {
            let Some(high) = self.digit() else { break };
            *place = high << 4 | self.digit().unwrap_or(0);
            written += 1;
        }
        Ok(written)
    }
}

struct RunLength<R> {
    source: Bytes<BufReader<R>>,
    /// Bytes of the run that are not handed out yet.
    left: usize,
    /// What they all are; `None` where they are copied.
    repeated: Option<u8>,
}

impl<R: Read> RunLength<R> {
    fn next(&mut self) -> Option<u8> {
        if self.left == 0 {
            let length = self.source.next()?.ok()?;
            (self.left, self.repeated) = match length {
                0..128 => (usize::from(length) + 1, None),
                128 => return None,
                _ => (257 - usize::from(length), Some(self.source.next()?.ok()?)),
            };
        }
        self.left -= 1;
        self.repeated.or_else(|| self.source.next()?.ok())
    }
}

impl<R: Read> Read for RunLength<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let mut written = 0;
        for place in out {
            let Some(byte) = self.next() else { break };
            *place = byte;
            written += 1;
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use hayro_interpret::hayro_syntax::Pdf;
    use hayro_interpret::hayro_syntax::object::Stream;
    use std::io::Write;

    fn flate(content: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn lzw(content: &[u8], early: bool) -> Vec<u8> {
        use weezl::encode::Encoder;
        let mut encoder = match early {
            true => Encoder::with_tiff_size_switch(BitOrder::Msb, LZW_BITS),
            false => Encoder::new(BitOrder::Msb, LZW_BITS),
        };
        encoder.encode(content).unwrap()
    }

    fn ascii85(content: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        for group in content.chunks(4) {
            let mut bytes = [0; 4];
            bytes[..group.len()].copy_from_slice(group);
            let value = u32::from_be_bytes(bytes);
            let digits = [85_u32.pow(4), 85_u32.pow(3), 85_u32.pow(2), 85, 1];
            text.extend(digits.iter().take(group.len() + 1).map(|power| (value / power % 85) as u8 + b'!'));
        }
        text.extend(b"~>");
        text
    }

    /// What the parser makes of a page's content with this description.
    fn undone(content: &[u8], description: &str) -> Vec<u8> {
        let before = format!(
            "%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
             3 0 obj<</Type/Page/Parent 2 0 R/Contents 4 0 R>>endobj\n4 0 obj<</Length {}{description}>>stream\n",
            content.len()
        );
        let file = [before.as_bytes(), content, b"\nendstream endobj\ntrailer<</Root 1 0 R>>"].concat();
        let pdf = Pdf::new(file).unwrap();
        let stream: Stream<'_> = pdf.pages()[0].raw().get("Contents").unwrap();
        stream.decoded_data().unwrap().into_owned()
    }

    /// What the parser makes of a stream is as long as is measured.
    fn check(content: Vec<u8>, names: &[&str], length: usize) {
        let list = names.iter().map(|name| format!("/{name}")).collect::<String>();
        assert_eq!(undone(&content, &format!("/Filter[{list}]")).len(), length, "{names:?}");
        assert_eq!(most_expanded(&content, &named(names), 1 << 30), length, "{names:?}");
    }

    fn named(names: &[&str]) -> Vec<Filter> {
        names.iter().flat_map(|name| Filter::named(name.as_bytes())).copied().collect()
    }

    fn all() -> Vec<Filter> {
        named(&["Fl", "LZW", "A85", "AHx", "RL"])
    }

    #[test]
    fn every_filter_and_chain_is_measured_as_the_parser_expands_it() {
        let content = b"some words, and some words more, ".repeat(2000);
        let length = content.len();
        let hex = |content: &[u8]| {
            content.iter().map(|byte| format!("{byte:02x} ")).collect::<String>().into_bytes()
        };
        check(flate(&content), &["FlateDecode"], length);
        check(lzw(&content, true), &["LZWDecode"], length);
        check(ascii85(&flate(&content)), &["ASCII85Decode", "FlateDecode"], length);
        check(flate(&lzw(&content, true)), &["FlateDecode", "LZWDecode"], length);
        check(ascii85(&lzw(&flate(&content), true)), &["A85", "LZW", "Fl"], length);
        check(hex(&flate(&content)), &["ASCIIHexDecode", "FlateDecode"], length);
        check(hex(&[255, b'a', 2, b'b', b'c', b'd', 129, b'e', 128, b'f']), &["AHx", "RL"], 2 + 3 + 128);
        check([129, b'a'].repeat(100).into_iter().chain([128]).collect(), &["RunLengthDecode"], 12_800);
        for odd in 2..9 {
            let text = ascii85(&content[..odd]);
            assert_eq!(undone(&text, "/Filter/ASCII85Decode"), content[..odd]);
            assert_eq!(size(&text, &[Filter::Ascii85], 100), odd);
        }
        let late = lzw(&content, false);
        assert_eq!(undone(&late, "/Filter/LZWDecode/DecodeParms<</EarlyChange 0>>"), content);
        assert_eq!(most_expanded(&late, &named(&["LZW"]), 1 << 30), length);
    }

    #[test]
    fn a_bomb_is_measured_no_further_than_the_limit() {
        let bomb = lzw(&[b' '; 8 << 20], true);
        assert!(bomb.len() < 8 << 10);
        let measured = most_expanded(&bomb, &all(), 1 << 20);
        assert!((1 << 20..2 << 20).contains(&measured), "{measured}");
        let nested = flate(&flate(&flate(&[b' '; 8 << 20])));
        assert!(most_expanded(&nested, &named(&["Fl"]), 1 << 20) > 1 << 20);
    }

    #[test]
    fn bytes_of_other_kinds_end_soon() {
        for content in
            [&b"BT /F1 12 Tf 72 700 Td (Text) Tj ET".repeat(1000)[..], &[0xFF; 4096], b"", b"~>", b"s8W-#"]
        {
            assert!(
                most_expanded(content, &named(&["Fl", "LZW", "A85", "AHx"]), 1 << 20) <= 2 * content.len(),
                "{:?}",
                &content[..content.len().min(9)]
            );
        }
    }
}
