//! Maximum of a concave likelihood of pairwise outcomes, by Newton's method on the plane where values sum to 0.

use super::Link;
use crate::{Error, ErrorKind, Result};
use rayon::prelude::*;

/// Newton's method on these functions takes about ten steps.
const MOST_STEPS: usize = 200;
/// From here on a step is taken whole: what it promises to gain, by the objective.
const NEAR: f64 = 1e-9;
/// A step that promises less is the last: it is about the square of the distance to the optimum.
const SETTLED: f64 = 1e-26;
/// Share of the residual that is left of a linear system.
const RESIDUAL: f64 = 1e-13;

/// What two items' battles add up to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edge {
    pub(super) first: usize,
    pub(super) second: usize,
    /// What `first` is ahead by before its value counts.
    pub(super) head_start: f64,
    /// Weight of the shares that `first` won, and that `second` won.
    pub(super) wins: [f64; 2],
}

/// −Σ wins·ln F(margin) + prior/2·Σ value².
#[derive(Debug)]
pub(super) struct Likelihood<'a> {
    pub(super) items: usize,
    pub(super) edges: &'a [Edge],
    pub(super) link: Link,
    pub(super) prior: f64,
}

/// Where a likelihood is greatest.
#[derive(Debug)]
pub(super) struct Optimum {
    pub(super) values: Vec<f64>,
    pub(super) steps: usize,
    pub(super) standard_errors: Vec<f64>,
}

/// The second derivatives at some values: a weighted Laplacian of the battles' graph plus the prior on the diagonal.
struct Hessian<'a> {
    edges: &'a [Edge],
    weights: Vec<f64>,
    prior: f64,
    diagonal: Vec<f64>,
}

impl Likelihood<'_> {
    /// The unique optimum whose values sum to 0; there must be one.
    pub(super) fn maximise(&self) -> Result<Optimum> {
        let mut values = vec![0.0; self.items];
        let mut last_gain = f64::INFINITY;
        for steps in 1..=MOST_STEPS {
            let (gradient, hessian) = self.derivatives(&values);
            let direction = hessian.solve(&gradient.iter().map(|slope| -slope).collect::<Vec<_>>());
            let gain = -dot(&gradient, &direction);
            if !gain.is_finite() {
                break;
            }
            let before = self.objective(&values);
            if gain > NEAR * (1.0 + before) {
                match self.search(&values, &direction, before, gain) {
                    Some(moved) => values = moved,
                    None => break,
                }
                continue;
            }
            // So near, rounding hides from the objective what is left to gain, and whole steps converge.
            values = moved(&values, &direction, 1.0);
            if gain <= SETTLED || gain >= last_gain / 4.0 {
                return Ok(self.optimum(values, steps));
            }
            last_gain = gain;
        }
        Err(Error::new(
            ErrorKind::Diverged,
            format!(
                "no scores were found in {MOST_STEPS} steps for {} items; use a larger prior than {}",
                self.items, self.prior
            ),
        ))
    }

    /// −Σ wins·ln F, without the prior.
    pub(super) fn negative_log_likelihood(&self, values: &[f64]) -> f64 {
        let loss = |edge: &Edge| {
            let margin = edge.margin(values);
            let term = |wins: f64, margin: f64| {
                if wins == 0.0 { 0.0 } else { -wins * self.link.log_probability(margin).value }
            };
            term(edge.wins[0], margin) + term(edge.wins[1], -margin)
        };
        self.edges.iter().map(loss).sum()
    }

    fn objective(&self, values: &[f64]) -> f64 {
        let squares: f64 = values.iter().map(|value| value * value).sum();
        self.negative_log_likelihood(values) + self.prior / 2.0 * squares
    }

    /// The longest of 1, ½, ¼, … of a step that lowers the objective as Armijo asks; none where no share of it does.
    fn search(&self, values: &[f64], direction: &[f64], before: f64, gain: f64) -> Option<Vec<f64>> {
        let mut share = 1.0;
        while share > 1e-12 {
            let moved = moved(values, direction, share);
            if self.objective(&moved) <= before - 1e-4 * share * gain {
                return Some(moved);
            }
            share /= 2.0;
        }
        None
    }

    fn derivatives(&self, values: &[f64]) -> (Vec<f64>, Hessian<'_>) {
        let mut gradient: Vec<f64> = values.iter().map(|value| self.prior * value).collect();
        let mut diagonal = vec![self.prior; self.items];
        let mut weights = Vec::with_capacity(self.edges.len());
        for edge in self.edges {
            let margin = edge.margin(values);
            let [ahead, behind] = [margin, -margin].map(|margin| self.link.log_probability(margin));
            let slope = edge.wins[1] * behind.slope - edge.wins[0] * ahead.slope;
            gradient[edge.first] += slope;
            gradient[edge.second] -= slope;
            let weight = edge.wins[0] * ahead.curvature + edge.wins[1] * behind.curvature;
            diagonal[edge.first] += weight;
            diagonal[edge.second] += weight;
            weights.push(weight);
        }
        (gradient, Hessian { edges: self.edges, weights, prior: self.prior, diagonal })
    }

    fn optimum(&self, values: Vec<f64>, steps: usize) -> Optimum {
        let (_, hessian) = self.derivatives(&values);
        let share = 1.0 / self.items as f64;
        let standard_error = |item: usize| {
            // The item's direction on the plane where values sum to 0.
            let mut direction = vec![-share; self.items];
            direction[item] += 1.0;
            hessian.solve(&direction)[item].max(0.0).sqrt()
        };
        let standard_errors = (0..self.items).into_par_iter().map(standard_error).collect();
        Optimum { values, steps, standard_errors }
    }
}

impl Edge {
    fn margin(&self, values: &[f64]) -> f64 {
        self.head_start + values[self.first] - values[self.second]
    }
}

impl Hessian<'_> {
    /// The `x` on the plane Σx = 0 with H·x = `right`, which must lie on that plane: conjugate gradients,
    /// preconditioned by the diagonal. H maps the plane onto itself.
    fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut x = vec![0.0; right.len()];
        let mut residual = right.to_vec();
        centre(&mut residual);
        let goal = RESIDUAL * norm(&residual);
        let mut preconditioned = self.precondition(&residual);
        let mut direction = preconditioned.clone();
        let mut energy = dot(&residual, &preconditioned);
        // Rounding costs some steps more than the one per dimension of exact arithmetic.
        for _ in 0..4 * right.len() + 50 {
            if norm(&residual) <= goal {
                break;
            }
            let image = self.times(&direction);
            let curvature = dot(&direction, &image);
            if curvature <= 0.0 {
                break;
            }
            let length = energy / curvature;
            for item in 0..x.len() {
                x[item] += length * direction[item];
                residual[item] -= length * image[item];
            }
            centre(&mut residual);
            preconditioned = self.precondition(&residual);
            let next = dot(&residual, &preconditioned);
            let kept = next / energy;
            energy = next;
            for (step, fresh) in direction.iter_mut().zip(&preconditioned) {
                *step = fresh + kept * *step;
            }
        }
        centre(&mut x);
        x
    }

    /// Back on the plane: the steps must not leave it.
    fn precondition(&self, residual: &[f64]) -> Vec<f64> {
        let scaled = |(residual, diagonal): (&f64, &f64)| residual / diagonal.max(f64::MIN_POSITIVE);
        let mut scaled: Vec<f64> = residual.iter().zip(&self.diagonal).map(scaled).collect();
        centre(&mut scaled);
        scaled
    }

    fn times(&self, x: &[f64]) -> Vec<f64> {
        let mut image: Vec<f64> = x.iter().map(|value| self.prior * value).collect();
        for (edge, weight) in self.edges.iter().zip(&self.weights) {
            let flow = weight * (x[edge.first] - x[edge.second]);
            image[edge.first] += flow;
            image[edge.second] -= flow;
        }
        image
    }
}

fn moved(values: &[f64], direction: &[f64], share: f64) -> Vec<f64> {
    values.iter().zip(direction).map(|(value, step)| value + share * step).collect()
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn norm(values: &[f64]) -> f64 {
    dot(values, values).sqrt()
}

fn centre(values: &mut [f64]) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter_mut().for_each(|value| *value -= mean);
}
