//! How far the filters of a stream expand it. Nothing of what comes out is kept.

use flate2::read::DeflateDecoder;
use pdf_extract::{Object, Stream};
use std::io::{BufReader, Bytes, Read};
use weezl::BitOrder;
use weezl::decode::Decoder;

/// Filters in a row that a stream may have; writers use two at most.
pub(super) const CHAINED: usize = 3;

/// A filter that the parser undoes. It leaves a stream as it is that has any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Flate,
    Lzw {
        /// Codes grow one code early.
        early: bool,
    },
    Ascii85,
}

impl Filter {
    pub(super) const ALL: [Self; 4] =
        [Self::Flate, Self::Lzw { early: true }, Self::Lzw { early: false }, Self::Ascii85];

    /// The filter of a name in a stream's description.
    pub(super) fn named(name: &[u8], early: bool) -> Option<Self> {
        match name {
            b"FlateDecode" => Some(Self::Flate),
            b"LZWDecode" => Some(Self::Lzw { early }),
            b"ASCII85Decode" => Some(Self::Ascii85),
            _ => None,
        }
    }
}

/// The most bytes that a stream takes between or behind its filters, counted up to a little over `limit`; `None` where
/// it has more filters than [`CHAINED`].
pub(super) fn expanded(stream: &Stream, limit: usize) -> Option<usize> {
    let parameters = stream.dict.get(b"DecodeParms").and_then(Object::as_dict).ok();
    let early =
        parameters.and_then(|found| found.get(b"EarlyChange").and_then(Object::as_i64).ok()) != Some(0);
    let names = stream.filters().unwrap_or_default();
    let filters: Vec<Filter> = names.iter().map_while(|name| Filter::named(name, early)).collect();
    if filters.len() > CHAINED {
        return None;
    }
    let sizes = (1..=filters.len()).map(|undone| size(&stream.content, &filters[..undone], limit));
    Some(sizes.fold(stream.content.len(), usize::max))
}

/// The most bytes that content may expand to whatever filters it has, counted up to a little over `limit`; 0 where none
/// makes anything of it.
pub(super) fn most_expanded(content: &[u8], limit: usize) -> usize {
    most_behind(content, &mut Vec::with_capacity(CHAINED), limit)
}

fn most_behind(content: &[u8], undone: &mut Vec<Filter>, limit: usize) -> usize {
    let mut most = 0;
    for filter in Filter::ALL {
        undone.push(filter);
        let size = size(content, undone, limit);
        most = most.max(size);
        if size > 0 && undone.len() < CHAINED && most <= limit {
            most = most.max(most_behind(content, undone, limit));
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

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use pdf_extract::dictionary;
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

    fn stream(content: Vec<u8>, filters: &[&str]) -> Stream {
        let names: Vec<Object> = filters.iter().map(|name| Object::from(*name)).collect();
        Stream::new(dictionary! { "Filter" => names }, content)
    }

    /// What the parser makes of a stream is as long as is measured.
    fn check(content: Vec<u8>, filters: &[&str], length: usize) {
        let stream = stream(content, filters);
        assert_eq!(stream.decompressed_content().unwrap().len(), length, "{filters:?}");
        assert_eq!(expanded(&stream, 1 << 30), Some(length), "{filters:?}");
        assert_eq!(most_expanded(&stream.content, 1 << 30), length, "{filters:?}");
    }

    #[test]
    fn every_filter_and_chain_is_measured_as_the_parser_expands_it() {
        let content = b"some words, and some words more, ".repeat(2000);
        let length = content.len();
        check(flate(&content), &["FlateDecode"], length);
        check(lzw(&content, true), &["LZWDecode"], length);
        check(ascii85(&flate(&content)), &["ASCII85Decode", "FlateDecode"], length);
        check(flate(&lzw(&content, true)), &["FlateDecode", "LZWDecode"], length);
        check(ascii85(&lzw(&flate(&content), true)), &["ASCII85Decode", "LZWDecode", "FlateDecode"], length);
        for odd in 1..9 {
            let stream = stream(ascii85(&content[..odd]), &["ASCII85Decode"]);
            assert_eq!(stream.decompressed_content().unwrap(), content[..odd]);
            assert_eq!(size(&stream.content, &[Filter::Ascii85], 100), odd);
        }
        let late = Stream::new(
            dictionary! {
                "Filter" => "LZWDecode", "DecodeParms" => dictionary! { "EarlyChange" => 0 },
            },
            lzw(&content, false),
        );
        assert_eq!(late.decompressed_content().unwrap(), content);
        assert_eq!(expanded(&late, 1 << 30), Some(length));
    }

    #[test]
    fn a_bomb_is_measured_no_further_than_the_limit() {
        let bomb = lzw(&[b' '; 8 << 20], true);
        assert!(bomb.len() < 8 << 10);
        let measured = most_expanded(&bomb, 1 << 20);
        assert!((1 << 20..2 << 20).contains(&measured), "{measured}");
        let nested = flate(&flate(&flate(&[b' '; 8 << 20])));
        assert!(most_expanded(&nested, 1 << 20) > 1 << 20);
    }

    #[test]
    fn filters_the_parser_leaves_alone_expand_nothing() {
        let runs = [129_u8, b'a'].repeat(100);
        let stream = stream(runs.clone(), &["RunLengthDecode"]);
        assert!(stream.decompressed_content().is_err());
        assert_eq!(expanded(&stream, 1 << 20), Some(runs.len()));
        let four = super::tests::stream(Vec::new(), &["FlateDecode"; 4]);
        assert_eq!(expanded(&four, 1 << 20), None);
    }

    #[test]
    fn bytes_of_other_kinds_end_soon() {
        for content in
            [&b"BT /F1 12 Tf 72 700 Td (Text) Tj ET".repeat(1000)[..], &[0xFF; 4096], b"", b"~>", b"s8W-#"]
        {
            assert!(
                most_expanded(content, 1 << 20) <= 2 * content.len(),
                "{:?}",
                &content[..content.len().min(9)]
            );
        }
    }
}
