//! Attention of one tile of queries at a time, its keys in blocks, with a running softmax: in f32 ([`exact`]) or by
//! 8-bit integers ([`quantised`]).
//!
//! Everything is transposed: lanes are queries. Scores are `[keys][queries]`, so that the softmax over keys needs no
//! reduction across lanes, keys and values are read row by row by the GEMM tile, and a query's operations do not depend
//! on which lane it is in. Tiles of queries and blocks of keys are counted from the sequence's start, so a row's bits
//! depend on its own sequence alone. Scores never leave a thread's nearest cache.
//!
//! Running softmax: <https://arxiv.org/abs/1805.02867>; tiling: <https://arxiv.org/abs/2205.14135>.

mod exact;
mod head;
mod quantised;

use std::ops::Range;

use self::exact::ExactTask;
use self::head::HeadTask;
use self::quantised::QuantisedTask;
use crate::isa::Kernels;
use crate::memory::with_scratch;
use crate::parallel::{Parallelism, SharedOutput, for_each_task};
use crate::precision::Precision;

/// Keys at a time: their scores against a tile of queries stay in the first-level cache.
const KEY_BLOCK: usize = 128;

/// Queries of one task among several threads: enough to share what is done once for a head's keys and values, few
/// enough to spread over threads.
const QUERIES_PER_TASK: usize = 128;

/// Multiply-adds from which waking a second thread pays.
const PAYS_FROM: usize = 1 << 19;

/// Attention over a packed batch of sequences.
///
/// `qkv` is `[tokens, (heads + 2·kv_heads)·head_dim]`: each row holds all query heads, then all key heads, then all
/// value heads.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// See above.
    pub qkv: &'a [f32],
    /// `[sequences + 1]` cumulative token offsets, from 0 to `tokens`.
    pub offsets: &'a [usize],
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Factor on q·k, usually head_dim^-½.
    pub scale: f32,
    /// Token i sees only tokens j ≤ i.
    pub causal: bool,
    /// Token i sees only tokens with |i − j| ≤ window.
    pub window: Option<usize>,
    /// Numbers in which q·k and the weighted sum of values are computed; the softmax between them is f32.
    pub precision: Precision,
    /// Added to the scaled score of (i, j): `[heads, 2·radius + 1]`, column clamp(j − i, −radius, radius) + radius.
    pub relative_bias: Option<RelativeBias<'a>>,
}

/// See [`Attention::relative_bias`].
#[derive(Debug, Clone, Copy)]
pub struct RelativeBias<'a> {
    /// `[heads, 2·radius + 1]`
    pub table: &'a [f32],
    /// Largest distance with a column of its own.
    pub radius: usize,
}

impl Attention<'_> {
    fn row_width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }

    /// # Panics
    /// If a slice's length is not that of its shape or the offsets do not cover the tokens in order.
    fn check(&self, out: &[f32]) {
        assert!(self.head_dim > 0 && self.kv_heads > 0, "no heads");
        assert!(self.heads.is_multiple_of(self.kv_heads), "{} heads on {}", self.heads, self.kv_heads);
        let tokens = self.offsets.last().copied().unwrap_or(0);
        assert!(self.offsets.first().is_none_or(|&first| first == 0), "offsets do not start at 0");
        assert!(self.offsets.is_sorted(), "offsets are not in order");
        assert_eq!(self.qkv.len(), tokens * self.row_width(), "qkv is not [tokens, row width]");
        assert_eq!(out.len(), tokens * self.heads * self.head_dim, "out is not [tokens, heads·head_dim]");
        if let Some(bias) = self.relative_bias {
            let length = self.heads * (2 * bias.radius + 1);
            assert_eq!(bias.table.len(), length, "relative bias is not [heads, 2·radius + 1]");
        }
    }

    /// The keys that some query of `queries` sees.
    fn visible_keys(&self, queries: &Range<usize>, length: usize) -> Range<usize> {
        let mut keys = 0..length;
        if let Some(window) = self.window {
            keys.start = queries.start.saturating_sub(window);
            keys.end = keys.end.min((queries.end - 1).saturating_add(window).saturating_add(1));
        }
        if self.causal {
            keys.end = keys.end.min(queries.end);
        }
        keys
    }

    /// Whether some query of `queries` does not see some key of `keys`.
    fn needs_mask(&self, queries: &Range<usize>, keys: &Range<usize>) -> bool {
        if self.causal && keys.end - 1 > queries.start {
            return true;
        }
        let Some(window) = self.window else {
            return false;
        };
        let behind = (queries.end - 1).saturating_sub(keys.start);
        let ahead = (keys.end - 1).saturating_sub(queries.start);
        behind.max(ahead) > window
    }
}

impl Kernels {
    /// `out[tokens, heads·head_dim]` = softmax(scale·q·kᵀ + bias, masked)·v per sequence and head.
    ///
    /// # Panics
    /// If a slice's length is not that of its shape, `kv_heads` does not divide `heads`, or `offsets` do not rise from
    /// 0 to the number of tokens.
    pub fn attention(self, attention: &Attention<'_>, out: &mut [f32], parallelism: Parallelism) {
        attention.check(out);
        let queries_per_task = match parallelism {
            Parallelism::Serial => usize::MAX,
            Parallelism::Pool => QUERIES_PER_TASK,
        };
        let mut pieces = Vec::new();
        let mut cost = 0;
        for pair in attention.offsets.windows(2) {
            let length = pair[1] - pair[0];
            cost += length * length * 2 * attention.heads * attention.head_dim;
            for first_query in (0..length).step_by(queries_per_task) {
                let queries = first_query..length.min(first_query + queries_per_task);
                pieces.push((pair[0], length, queries));
            }
        }
        let threads = parallelism.threads(cost, PAYS_FROM);
        let out = SharedOutput::new(out);
        for_each_task(threads, pieces.len() * attention.heads, |task| {
            let (first_token, length, queries) = pieces[task / attention.heads].clone();
            let head = task % attention.heads;
            let head_task = HeadTask { attention, out, head, first_token, length, queries };
            let columns = self.tile_columns();
            match attention.precision {
                Precision::F32 => with_scratch(ExactTask::scratch_length(&head_task, columns), |scratch| {
                    self.dispatch(ExactTask { head_task, scratch });
                }),
                Precision::Int8 => {
                    with_scratch(QuantisedTask::scratch_length(&head_task, columns), |scratch| {
                        self.dispatch(QuantisedTask { head_task, scratch });
                    })
                }
            }
        });
    }
}
