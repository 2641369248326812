//! Token vectors to one vector, as sentence-transformers' `Pooling` module does it.

use crate::exec::Rows;
use crate::files::{Pooling, PoolingMode};

/// Which rows the pooling reads, so that the executor can leave out the others.
pub fn rows_needed(pooling: &Pooling) -> Rows {
    match pooling.modes.as_slice() {
        // With the prompt masked out, the first pooled token is not the first row.
        [PoolingMode::Cls] if pooling.include_prompt => Rows::First,
        [PoolingMode::LastToken] => Rows::Last,
        _ => Rows::All,
    }
}

/// Those rows of all of a sequence's, `[length, width]`.
pub(crate) fn needed<'a>(pooling: &Pooling, hidden: &'a [f32], width: usize) -> &'a [f32] {
    match rows_needed(pooling) {
        Rows::All => hidden,
        Rows::First => &hidden[..width],
        Rows::Last => &hidden[hidden.len() - width..],
    }
}

/// Pools `hidden` `[length, width]`, leaving out the first `from` tokens, into `[modes · width]`.
///
/// `hidden` is what [`rows_needed`] asked for. A text that is all prompt pools to zeros where the reference divides a
/// zero sum by its clamped count.
pub fn pool(pooling: &Pooling, hidden: &[f32], width: usize, from: usize) -> Vec<f32> {
    let rows: Vec<&[f32]> = hidden.chunks_exact(width).collect();
    let from = if rows_needed(pooling) == Rows::All { from.min(rows.len()) } else { 0 };
    let rows = &rows[from..];
    let mut pooled = Vec::with_capacity(pooling.modes.len() * width);
    for mode in &pooling.modes {
        match mode {
            PoolingMode::Cls => pooled.extend(rows.first().map_or(vec![0.0; width], |row| row.to_vec())),
            PoolingMode::LastToken => pooled.extend(rows.last().map_or(vec![0.0; width], |row| row.to_vec())),
            PoolingMode::Max => pooled.extend(maximum(rows, width)),
            PoolingMode::Mean => pooled.extend(weighted_sum(rows, width, |_| 1.0, |weights| weights)),
            PoolingMode::MeanSqrt => pooled.extend(weighted_sum(rows, width, |_| 1.0, f32::sqrt)),
            PoolingMode::WeightedMean => {
                // Weights count from the first token of the sequence, masked ones included.
                pooled.extend(weighted_sum(
                    rows,
                    width,
                    |place| (from + place + 1) as f32,
                    |weights| weights,
                ));
            }
        }
    }
    pooled
}

fn maximum(rows: &[&[f32]], width: usize) -> Vec<f32> {
    let mut best = vec![f32::NEG_INFINITY; width];
    for row in rows {
        for (best, value) in best.iter_mut().zip(*row) {
            *best = best.max(*value);
        }
    }
    best
}

/// Σ w·row / divisor(Σ w), the divisor at least 1e-9.
fn weighted_sum(
    rows: &[&[f32]],
    width: usize,
    weight: impl Fn(usize) -> f32,
    divisor: impl Fn(f32) -> f32,
) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    let mut weights = 0.0;
    for (place, row) in rows.iter().enumerate() {
        let weight = weight(place);
        weights += weight;
        for (sum, value) in sum.iter_mut().zip(*row) {
            *sum += weight * value;
        }
    }
    let divisor = divisor(weights.max(1e-9));
    for value in &mut sum {
        *value /= divisor;
    }
    sum
}
