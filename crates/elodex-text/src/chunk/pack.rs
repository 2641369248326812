//! Sentences to chunks: greedy, each sentence counted once and each chunk checked once.

use super::borders::pieces;
use super::units::{Border, Unit, units};
use super::{ChunkSpec, with_headings};
use crate::{Error, ErrorKind, Extracted, Result};
use std::collections::HashMap;
use std::ops::Range;

/// Bytes per token beyond which a sentence is cut before anything counts it: tokenizers are slow on a megabyte
/// without a pause, and a chunk should not be one because it is all white space.
const BYTES_PER_TOKEN: usize = 16;
const SHORTEST_LIMIT: usize = 256;
/// Longest sentence where tokens do not matter.
const WHOLE_LIMIT: usize = 4096;
/// Part of a chunk's tokens that its headings may take.
const HEADING_SHARE: usize = 4;
/// A chunk below this part of the budget takes the next section in.
const SMALL_SHARE: usize = 4;

/// The sentences of a chunk and the headings above it.
pub(super) struct Draft {
    pub(super) units: Vec<Unit>,
    pub(super) headings: Vec<usize>,
}

/// A sentence with its tokens, the white space behind it included.
struct Measured {
    unit: Unit,
    tokens: usize,
}

/// Sentences `first..end` are a chunk; those before `fresh` stand in the one before as well.
#[derive(Clone)]
struct Span {
    first: usize,
    end: usize,
    headings: Vec<usize>,
}

pub(super) struct Packer<'a> {
    extracted: &'a Extracted,
    spec: &'a ChunkSpec,
    count: &'a (dyn Fn(&str) -> usize + Sync),
    /// Tokens of an empty text.
    overhead: usize,
    /// The heading that each heading stands under.
    parents: Vec<Option<usize>>,
    /// Tokens of each heading's line, counted when first needed.
    heading_tokens: HashMap<usize, usize>,
}

impl<'a> Packer<'a> {
    pub(super) fn new(
        extracted: &'a Extracted,
        spec: &'a ChunkSpec,
        count: &'a (dyn Fn(&str) -> usize + Sync),
    ) -> Result<Self> {
        let overhead = if spec.whole { 0 } else { count("") };
        if overhead >= spec.tokens && !spec.whole {
            let message = format!(
                "chunks of {} tokens have no room beside the {overhead} that an empty text takes; use larger ones",
                spec.tokens
            );
            return Err(Error::new(ErrorKind::Spec, message));
        }
        let parents = parents(extracted);
        Ok(Self { extracted, spec, count, overhead, parents, heading_tokens: HashMap::new() })
    }

    /// The chunks of one region.
    pub(super) fn pack(&mut self, region: Range<usize>) -> Result<Vec<Draft>> {
        let limit = match self.spec.whole {
            true => WHOLE_LIMIT,
            false => self.spec.tokens.saturating_mul(BYTES_PER_TOKEN).max(SHORTEST_LIMIT),
        };
        let mut found = Vec::new();
        units(self.extracted, region, limit, &mut found);
        if found.is_empty() {
            return Ok(Vec::new());
        }
        if self.spec.whole {
            return Ok(vec![Draft { units: found, headings: Vec::new() }]);
        }
        let mut measured = self.measure(found)?;
        let spans = self.spans(&mut measured)?;
        let draft = |span: Span| Draft {
            units: measured[span.first..span.end].iter().map(|part| part.unit.clone()).collect(),
            headings: span.headings,
        };
        Ok(spans.into_iter().map(draft).collect())
    }

    /// Tokens that text and headings of a chunk share.
    fn budget(&self) -> usize {
        self.spec.tokens - self.overhead
    }

    /// Counts every unit and cuts those over the budget.
    fn measure(&self, found: Vec<Unit>) -> Result<Vec<Measured>> {
        let most = match self.extracted.headings.is_empty() {
            true => self.budget(),
            false => (self.budget() - self.budget() / HEADING_SHARE).max(1),
        };
        let mut measured = Vec::with_capacity(found.len());
        let mut starts =
            found.iter().skip(1).map(|next| (next.border, next.bytes.start)).collect::<Vec<_>>().into_iter();
        for unit in found {
            let end = match starts.next() {
                Some((border, start)) if border < Border::Apart => start,
                _ => unit.bytes.end,
            };
            let mut open = vec![(unit, end)];
            while let Some((unit, end)) = open.pop() {
                let tokens = self.tokens(&self.extracted.text[unit.bytes.start..end]);
                if tokens <= most {
                    measured.push(Measured { unit, tokens });
                    continue;
                }
                let parts = self.halves(&unit, tokens, most)?;
                let mut end = end;
                for part in parts.into_iter().rev() {
                    let start = part.bytes.start;
                    open.push((part, end));
                    end = start;
                }
            }
        }
        Ok(measured)
    }

    fn tokens(&self, text: &str) -> usize {
        (self.count)(text).saturating_sub(self.overhead)
    }

    /// Two or more parts of a unit of `tokens` tokens that has to shrink to `most`.
    fn halves(&self, unit: &Unit, tokens: usize, most: usize) -> Result<Vec<Unit>> {
        let text = &self.extracted.text;
        let length = unit.bytes.len();
        // A tenth of slack: a part of the text rarely takes exactly its part of the tokens.
        let parts = (tokens * 10).div_ceil(most * 9).max(2);
        let mut found = pieces(text, unit.bytes.clone(), length.div_ceil(parts).max(1), str::len);
        if found.len() < 2 {
            // One cluster alone is over the budget: its code points are all that is left to cut.
            found = code_points(text, unit.bytes.clone(), parts);
        }
        if found.len() < 2 {
            let content = &text[unit.bytes.clone()];
            let message = format!(
                "the character {content:?} at byte {} takes {tokens} tokens, chunks have room for {most}; use larger chunks",
                unit.bytes.start
            );
            return Err(Error::new(ErrorKind::Spec, message));
        }
        let part = |(position, bytes): (usize, Range<usize>)| Unit {
            bytes,
            border: if position == 0 { unit.border } else { Border::Word },
            section: unit.section,
        };
        Ok(found.into_iter().enumerate().map(part).collect())
    }

    fn spans(&mut self, units: &mut Vec<Measured>) -> Result<Vec<Span>> {
        let mut spans: Vec<Span> = Vec::new();
        let mut fresh = 0;
        while fresh < units.len() {
            let first = match spans.last() {
                Some(last) => self.overlap(units, last.first, fresh),
                None => fresh,
            };
            let span = self.fitting(units, first, fresh)?;
            fresh = span.end;
            match spans.last_mut() {
                Some(last) if span.first == last.end => match self.joined(units, last, &span) {
                    Some(joined) => *last = joined,
                    None => spans.push(span),
                },
                _ => spans.push(span),
            }
        }
        Ok(spans)
    }

    /// Where a chunk begins whose first new unit is `fresh`, behind one that begins at `last`.
    fn overlap(&mut self, units: &[Measured], last: usize, fresh: usize) -> usize {
        let mut first = fresh;
        let mut shared = 0;
        let mut start = fresh;
        while start > last + 1 && units[start].unit.border < Border::Heading {
            start -= 1;
            shared += units[start].tokens;
            if shared > self.spec.overlap {
                break;
            }
            let whole = units[start].unit.border > Border::Word;
            if whole && shared + units[fresh].tokens <= self.room(&units[start].unit) {
                first = start;
            }
        }
        first
    }

    /// The longest chunk that begins at `first`, holds `fresh` and fits, ending at the best border of its second half.
    fn fitting(&mut self, units: &mut Vec<Measured>, first: usize, fresh: usize) -> Result<Span> {
        let room = self.room(&units[first].unit);
        let level = self.level(&units[first].unit);
        let mut used = 0;
        let mut end = first;
        let mut half = fresh + 1;
        while end < units.len() {
            let next = &units[end];
            if end > fresh && self.must_end(&next.unit, level, used) {
                break;
            }
            if end > fresh && used + next.tokens > room {
                let best = (half.min(end)..=end).rev().max_by_key(|&cut| (units[cut].unit.border, cut));
                end = best.unwrap_or(end);
                break;
            }
            used += next.tokens;
            end += 1;
            if used * 2 <= room {
                half = half.max(end + 1);
            }
        }
        self.checked(units, first, fresh, end)
    }

    /// Whether a chunk with `used` tokens that began at `level` ends before `next` whatever room it has.
    fn must_end(&self, next: &Unit, level: u8, used: usize) -> bool {
        match next.border {
            Border::Apart => true,
            Border::Heading => used * SMALL_SHARE >= self.budget() || self.level(next) < level,
            _ => false,
        }
    }

    /// Counts a chunk as a whole and shortens it until it fits: tokens of parts need not add up.
    fn checked(
        &mut self,
        units: &mut Vec<Measured>,
        mut first: usize,
        fresh: usize,
        mut end: usize,
    ) -> Result<Span> {
        let mut headings = self.above(&units[first].unit);
        loop {
            let tokens = self.count_span(units, first, end, &headings);
            let Some(over) = tokens.checked_sub(self.spec.tokens).filter(|over| *over > 0) else {
                return Ok(Span { first, end, headings });
            };
            if first < fresh {
                first += 1;
                headings = self.above(&units[first].unit);
                continue;
            }
            if end - first > 1 {
                let mut dropped = 0;
                while end - first > 1 && dropped < over {
                    end -= 1;
                    dropped += units[end].tokens.max(1);
                }
                continue;
            }
            if !headings.is_empty() {
                headings.remove(0);
                continue;
            }
            let parts = self.halves(&units[first].unit, tokens, self.budget())?;
            let tokens: Vec<usize> =
                parts.iter().map(|part| self.tokens(&self.extracted.text[part.bytes.clone()])).collect();
            let parts = parts.into_iter().zip(tokens).map(|(unit, tokens)| Measured { unit, tokens });
            units.splice(first..=first, parts);
        }
    }

    fn count_span(&self, units: &[Measured], first: usize, end: usize, headings: &[usize]) -> usize {
        let content = &self.extracted.text[units[first].unit.bytes.start..units[end - 1].unit.bytes.end];
        if headings.is_empty() {
            return (self.count)(content);
        }
        let lines = headings.iter().map(|&at| self.extracted.headings[at].text.as_str());
        (self.count)(&with_headings(lines, content))
    }

    /// One chunk of two neighbours, where the second is a small section that belongs under what the first is under.
    fn joined(&mut self, units: &[Measured], before: &Span, after: &Span) -> Option<Span> {
        let start = &units[after.first].unit;
        let used = |span: &Span| units[span.first..span.end].iter().map(|part| part.tokens).sum::<usize>();
        let small = used(after) * SMALL_SHARE < self.budget();
        let under = self.level(start) >= self.level(&units[before.first].unit);
        if start.border != Border::Heading || !small || !under {
            return None;
        }
        if used(before) + used(after) > self.room(&units[before.first].unit) {
            return None;
        }
        let joined = Span { first: before.first, end: after.end, headings: before.headings.clone() };
        let tokens = self.count_span(units, joined.first, joined.end, &joined.headings);
        (tokens <= self.spec.tokens).then_some(joined)
    }

    /// Tokens for the text of a chunk that begins with `unit`.
    fn room(&mut self, unit: &Unit) -> usize {
        let headings = self.above(unit);
        let taken: usize = headings.iter().map(|&at| self.heading_tokens(at)).sum();
        self.budget().saturating_sub(taken)
    }

    /// Depth of the section that `unit` begins or stands in; 0 before any heading.
    fn level(&self, unit: &Unit) -> u8 {
        unit.section.map_or(0, |at| self.extracted.headings[at].level)
    }

    /// The headings above a chunk that begins with `unit`, outermost first, as many inner ones as its share of the
    /// tokens holds.
    fn above(&mut self, unit: &Unit) -> Vec<usize> {
        let begins = |at: usize| {
            let between = self.extracted.text.get(self.extracted.headings[at].at..unit.bytes.start);
            between.is_some_and(|between| between.trim().is_empty())
        };
        let innermost = match unit.section {
            Some(at) if begins(at) => self.parents[at],
            section => section,
        };
        let share = self.budget() / HEADING_SHARE;
        let mut path = Vec::new();
        let mut taken = 0;
        let mut next = innermost;
        while let Some(at) = next {
            taken += self.heading_tokens(at);
            if taken > share {
                break;
            }
            if !self.extracted.headings[at].text.trim().is_empty() {
                path.push(at);
            }
            next = self.parents[at];
        }
        path.reverse();
        path
    }

    fn heading_tokens(&mut self, at: usize) -> usize {
        if let Some(tokens) = self.heading_tokens.get(&at) {
            return *tokens;
        }
        let text = &self.extracted.headings[at].text;
        // A heading of a megabyte is left out without a count.
        let tokens = match text.len() > self.budget().saturating_mul(BYTES_PER_TOKEN) {
            true => usize::MAX / 2,
            false => self.tokens(&format!("{text}\n")),
        };
        self.heading_tokens.insert(at, tokens);
        tokens
    }
}

/// Cuts a range between code points into about `parts` parts, into two at least where it holds two.
fn code_points(text: &str, range: Range<usize>, parts: usize) -> Vec<Range<usize>> {
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

/// The heading that each heading stands under: the last one before it of a lower level.
fn parents(extracted: &Extracted) -> Vec<Option<usize>> {
    let mut open: Vec<usize> = Vec::new();
    let mut parents = Vec::with_capacity(extracted.headings.len());
    for (position, heading) in extracted.headings.iter().enumerate() {
        while open.last().is_some_and(|&last| extracted.headings[last].level >= heading.level) {
            open.pop();
        }
        parents.push(open.last().copied());
        open.push(position);
    }
    parents
}
