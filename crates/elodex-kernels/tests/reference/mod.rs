//! What kernels are compared with.

use elodex_kernels::Attention;

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
