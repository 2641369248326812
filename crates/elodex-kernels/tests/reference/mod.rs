//! What kernels are compared with.

use crate::common::noise;
use elodex_kernels::{Attention, Kernels, Parallelism, Precision, RelativeBias};

/// Runs attention with every mask, with and without a bias, on heads of several shapes, and hands each with its output
/// and its name to `check`.
pub(crate) fn every_attention_form(
    kernels: Kernels,
    precision: Precision,
    mut check: impl FnMut(&Attention<'_>, &[f32], &str),
) {
    let offsets: &[usize] = if cfg!(miri) { &[0, 1, 1, 14] } else { &[0, 1, 1, 18, 51, 52, 352] };
    let heads: &[_] =
        if cfg!(miri) { &[(2, 1, 7)] } else { &[(2, 2, 32), (4, 2, 7), (3, 1, 64), (2, 1, 130)] };
    let windows: &[_] =
        if cfg!(miri) { &[Some(5)] } else { &[None, Some(0), Some(5), Some(130), Some(usize::MAX)] };
    let tokens = offsets[offsets.len() - 1];
    for &(heads, kv_heads, head_dim) in heads {
        let qkv: Vec<f32> =
            noise(tokens * (heads + 2 * kv_heads) * head_dim, 14).iter().map(|value| value * 2.0).collect();
        let table = noise(heads * 41, 15);
        let bias = RelativeBias { table: &table, radius: 20 };
        for causal in [false, true] {
            for &window in windows {
                for relative_bias in [None, Some(bias)] {
                    let attention = Attention {
                        qkv: &qkv,
                        offsets,
                        heads,
                        kv_heads,
                        head_dim,
                        scale: 1.0 / (head_dim as f32).sqrt(),
                        precision,
                        causal,
                        window,
                        relative_bias,
                    };
                    let mut out = vec![f32::NAN; tokens * heads * head_dim];
                    kernels.attention(&attention, &mut out, Parallelism::Serial);
                    let what = format!(
                        "{} attention {heads}/{kv_heads}×{head_dim} causal {causal} window {window:?}",
                        kernels.isa()
                    );
                    check(&attention, &out, &what);
                }
            }
        }
    }
}

/// Attention over values up to 60 and scores of ±10⁴: without subtracting the largest, the exponentials would overflow.
pub(crate) fn attention_of_large_scores(kernels: Kernels, precision: Precision) -> Vec<f32> {
    let mut qkv = noise(40 * 3 * 8, 16);
    qkv.iter_mut().for_each(|value| *value *= 60.0);
    let attention = Attention {
        qkv: &qkv,
        offsets: &[0, 40],
        heads: 1,
        kv_heads: 1,
        head_dim: 8,
        scale: 1.0,
        precision,
        causal: false,
        window: None,
        relative_bias: None,
    };
    let mut out = vec![0.0; 40 * 8];
    kernels.attention(&attention, &mut out, Parallelism::Serial);
    out
}

/// Attention in f64.
pub(crate) fn attention_reference(attention: &Attention<'_>) -> Vec<f64> {
    let (heads, kv_heads, width) = (attention.heads, attention.kv_heads, attention.head_dim);
    let row_width = (heads + 2 * kv_heads) * width;
    let mut out = vec![0.0; attention.qkv.len() / row_width * heads * width];
    let value = |token: usize, head: usize, index: usize| {
        f64::from(attention.qkv[token * row_width + head * width + index])
    };
    for pair in attention.offsets.windows(2) {
        for (i, token) in (pair[0]..pair[1]).enumerate() {
            for head in 0..heads {
                let kv_head = head * kv_heads / heads;
                let mut weights = Vec::new();
                for (j, key) in (pair[0]..pair[1]).enumerate() {
                    if attention.causal && j > i
                        || attention.window.is_some_and(|window| i.abs_diff(j) > window)
                    {
                        continue;
                    }
                    let product: f64 =
                        (0..width).map(|d| value(token, head, d) * value(key, heads + kv_head, d)).sum();
                    let mut score = product * f64::from(attention.scale);
                    if let Some(bias) = attention.relative_bias {
                        let radius = bias.radius as isize;
                        let column = (j as isize - i as isize).clamp(-radius, radius) + radius;
                        score += f64::from(bias.table[head * (2 * bias.radius + 1) + column as usize]);
                    }
                    weights.push((key, score.exp()));
                }
                let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
                for d in 0..width {
                    let sum: f64 = weights
                        .iter()
                        .map(|(key, weight)| weight * value(*key, heads + kv_heads + kv_head, d))
                        .sum();
                    out[(token * heads + head) * width + d] = sum / total;
                }
            }
        }
    }
    out
}
