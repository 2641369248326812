//! AdamW: <https://arxiv.org/abs/1711.05101>, with gradients clipped by their norm.

use crate::network::{Gradients, Parameters};
use rayon::prelude::*;

/// Decay of the mean of gradients.
const FIRST_DECAY: f32 = 0.9;
/// Decay of the mean of their squares.
const SECOND_DECAY: f32 = 0.999;
/// Added to the root of that mean.
const EPSILON: f32 = 1e-8;

/// The optimiser and its state.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW {
    /// Share of a matrix that a step takes away, by learning rate.
    weight_decay: f32,
    /// Steps taken.
    steps: u64,
    first: Gradients,
    second: Gradients,
}

impl AdamW {
    /// Before the first step.
    pub fn new(parameters: &Parameters, weight_decay: f32) -> Self {
        Self { weight_decay, steps: 0, first: parameters.zeros(), second: parameters.zeros() }
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Means of gradients and of their squares.
    pub fn moments(&self) -> [&Gradients; 2] {
        [&self.first, &self.second]
    }

    /// The state after `steps` steps, to be filled in by [`Self::moments_mut`].
    pub(super) fn restore(&mut self, steps: u64) -> [&mut Gradients; 2] {
        self.steps = steps;
        [&mut self.first, &mut self.second]
    }

    /// One step down `gradients`, which are scaled by `scale` first.
    pub fn step(
        &mut self,
        parameters: &mut Parameters,
        gradients: &Gradients,
        learning_rate: f32,
        scale: f32,
    ) {
        self.steps += 1;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let first_bias = 1.0 - FIRST_DECAY.powi(steps);
        let second_bias = 1.0 - SECOND_DECAY.powi(steps);
        let moments = self.first.iter_mut().zip(self.second.iter_mut());
        for ((parameter, gradient), (first, second)) in
            parameters.iter_mut().zip(gradients.iter()).zip(moments)
        {
            let decay = if parameter.decays() { 1.0 - learning_rate * self.weight_decay } else { 1.0 };
            let lanes =
                parameter.values.par_iter_mut().with_min_len(1 << 16).zip(gradient).zip(first).zip(second);
            lanes.for_each(|(((value, gradient), first), second)| {
                let gradient = gradient * scale;
                *first = FIRST_DECAY * *first + (1.0 - FIRST_DECAY) * gradient;
                *second = SECOND_DECAY * *second + (1.0 - SECOND_DECAY) * gradient * gradient;
                let step = (*first / first_bias) / ((*second / second_bias).sqrt() + EPSILON);
                *value = *value * decay - learning_rate * step;
            });
        }
    }
}

/// Rises linearly to `peak` over the first `warm_up` of `steps` steps, then falls linearly towards 0.
pub(super) fn learning_rate(peak: f32, step: u64, steps: u64, warm_up: u64) -> f32 {
    if step < warm_up {
        return peak * (step + 1) as f32 / warm_up as f32;
    }
    peak * (steps - step.min(steps)) as f32 / (steps - warm_up).max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Parameter;

    #[test]
    fn steps_are_those_of_the_formula() {
        // By hand, β = (0.9, 0.999): the first step is the sign of the gradient, the decay falls on matrices only.
        let mut parameters = Parameters::default();
        for shape in [vec![1, 2], vec![2]] {
            parameters.add(Parameter { names: vec!["x".into()], shape, values: vec![1.0, -1.0] });
        }
        let mut gradients = parameters.zeros();
        gradients.iter_mut().for_each(|values| values.copy_from_slice(&[0.5, -4.0]));
        let mut optimiser = AdamW::new(&parameters, 0.1);
        optimiser.step(&mut parameters, &gradients, 0.01, 1.0);
        let found: Vec<f32> = parameters.iter().flat_map(|parameter| parameter.values.clone()).collect();
        let expected = [0.999 - 0.01, -0.999 + 0.01, 0.99, -0.99];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
        // Second step with another gradient: m = .9·.05 + .1·1 = .145, v = .999·.00025 + .001 = .00124975.
        gradients.iter_mut().for_each(|values| values.copy_from_slice(&[1.0, 1.0]));
        optimiser.step(&mut parameters, &gradients, 0.01, 1.0);
        let expected: f64 = 0.99 - 0.01 * (0.145 / 0.19) / (0.001_249_75_f64 / 0.001_999).sqrt();
        let found = f64::from(parameters.iter().nth(1).unwrap().values[0]);
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }

    #[test]
    fn the_rate_rises_and_falls() {
        let rates: Vec<f32> = (0..10).map(|step| learning_rate(1.0, step, 10, 4)).collect();
        assert_eq!(&rates[..4], [0.25, 0.5, 0.75, 1.0]);
        assert!((rates[4] - 1.0).abs() < 1e-6 && (rates[9] - 1.0 / 6.0).abs() < 1e-6, "{rates:?}");
    }
}
