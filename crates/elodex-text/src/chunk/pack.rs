//! Sentences to chunks: greedy, each sentence counted once and each chunk checked once.

use super::borders::{code_points, pieces};
use super::units::{Border, Unit, Units};
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

/// Sentences `first..end` of those at hand are a chunk.
struct Span {
    first: usize,
    end: usize,
    headings: Vec<usize>,
}

impl Span {
    fn draft(self, units: &[Measured]) -> Draft {
        let units = units[self.first..self.end].iter().map(|part| part.unit.clone()).collect();
        Draft { units, headings: self.headings }
    }
}

/// The units at hand: those of the last chunk and those that the next one may hold.
struct Window<'a> {
    source: Units<'a>,
    /// Found and not measured yet.
    found: Vec<Unit>,
    units: Vec<Measured>,
    ended: bool,
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

    /// Hands the chunks of one region to `emit`.
    pub(super) fn pack(&mut self, region: Range<usize>, emit: &mut dyn FnMut(Draft)) -> Result<()> {
        if self.spec.whole {
            let mut source = Units::new(self.extracted, region, WHOLE_LIMIT);
            let mut units = Vec::new();
            while source.read(&mut units) {}
            emit(Draft { units, headings: Vec::new() });
            return Ok(());
        }
        let longest = self.spec.tokens.saturating_mul(BYTES_PER_TOKEN).max(SHORTEST_LIMIT);
        let mut window = Window {
            source: Units::new(self.extracted, region, longest),
            found: Vec::new(),
            units: Vec::new(),
            ended: false,
        };
        let mut last: Option<Span> = None;
        let mut fresh = 0;
        loop {
            if let Some(span) = &mut last
                && span.first > window.units.len() / 2
            {
                let dropped = span.first;
                window.units.drain(..dropped);
                *span =
                    Span { first: 0, end: span.end - dropped, headings: std::mem::take(&mut span.headings) };
                fresh -= dropped;
            }
            self.fill(&mut window, fresh)?;
            if fresh == window.units.len() {
                break;
            }
            let units = &mut window.units;
            let first = last.as_ref().map_or(fresh, |last| self.overlap(units, last.first, fresh));
            let span = self.fitting(units, first, fresh)?;
            fresh = span.end;
            let before = last.take();
            let joined = before.as_ref().and_then(|before| self.joined(units, before, &span));
            last = match joined {
                Some(joined) => Some(joined),
                None => {
                    if let Some(before) = before {
                        emit(before.draft(units));
                    }
                    Some(span)
                }
            };
        }
        if let Some(last) = last {
            emit(last.draft(&window.units));
        }
        Ok(())
    }

    /// Measures as many units behind `fresh` as a chunk that begins there may hold, and one more.
    fn fill(&self, window: &mut Window<'_>, fresh: usize) -> Result<()> {
        let ahead = self.spec.tokens.saturating_mul(BYTES_PER_TOKEN).saturating_mul(2);
        while !window.ended {
            let measured = window.units.get(fresh).zip(window.units.last());
            if measured.is_some_and(|(first, last)| last.unit.bytes.end - first.unit.bytes.start > ahead) {
                return Ok(());
            }
            window.ended = !window.source.read(&mut window.found);
            // The last one waits until what follows it is known.
            let known = if window.ended { window.found.len() } else { window.found.len().saturating_sub(1) };
            let next = window.found.get(known).map(|next| (next.border, next.bytes.start));
            self.measure(window.found.drain(..known), next, &mut window.units)?;
        }
        Ok(())
    }

    /// Tokens that text and headings of a chunk share.
    fn budget(&self) -> usize {
        self.spec.tokens - self.overhead
    }

    /// Counts units, which `next` follows, and cuts those over the budget.
    fn measure(
        &self,
        found: impl Iterator<Item = Unit>,
        next: Option<(Border, usize)>,
        measured: &mut Vec<Measured>,
    ) -> Result<()> {
        let most = match self.extracted.headings.is_empty() {
            true => self.budget(),
            false => (self.budget() - self.budget() / HEADING_SHARE).max(1),
        };
        let mut found = found.peekable();
        while let Some(unit) = found.next() {
            let behind = found.peek().map(|unit| (unit.border, unit.bytes.start)).or(next);
            let end = match behind {
                Some((border, start)) if border < Border::Apart => start,
                _ => unit.bytes.end,
            };
            let mut open = vec![(unit, end)];
            while let Some((unit, end)) = open.pop() {
                let text = &self.extracted.text;
                let tokens = self.tokens(&text[unit.bytes.start..end]);
                // White space behind it only counts where the chunk goes on.
                if tokens <= most || end > unit.bytes.end && self.tokens(&text[unit.bytes.clone()]) <= most {
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
        Ok(())
    }

    /// Tokens of a part of the text; one at least for every [`BYTES_PER_TOKEN`], so that no chunk grows without end where
    /// the tokenizer sees little in a text.
    fn tokens(&self, text: &str) -> usize {
        (self.count)(text).saturating_sub(self.overhead).max(text.len().div_ceil(BYTES_PER_TOKEN))
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
        if after.first != before.end {
            return None;
        }
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
