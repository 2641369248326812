//! A chunk's sentences in spans of about as many characters as one reads at a glance.

use super::Passage;
use super::borders::{CharOffsets, pieces};
use super::units::Unit;
use std::ops::Range;

/// Groups the units of one chunk.
pub(super) fn passages(text: &str, offsets: &CharOffsets<'_>, units: &[Unit], target: usize) -> Vec<Passage> {
    let most = target + target / 2;
    let length = |range: &Range<usize>| offsets.at(range.end) - offsets.at(range.start);
    let mut found = Vec::new();
    let mut open: Option<Range<usize>> = None;
    let mut add = |part: Range<usize>, found: &mut Vec<Range<usize>>| {
        let Some(before) = open.take() else {
            open = Some(part);
            return;
        };
        let joined = before.start..part.end;
        if length(&before) < target && length(&joined) <= most {
            open = Some(joined);
            return;
        }
        found.push(before);
        open = Some(part);
    };
    for unit in units {
        if length(&unit.bytes) <= most {
            add(unit.bytes.clone(), &mut found);
            continue;
        }
        for piece in pieces(text, unit.bytes.clone(), target, |part| part.chars().count()) {
            add(piece, &mut found);
        }
    }
    found.extend(open);
    found.into_iter().map(|bytes| Passage { chars: offsets.range(&bytes), bytes }).collect()
}
