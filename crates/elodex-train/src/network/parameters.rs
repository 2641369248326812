//! What training changes, and the gradients by it.

use rayon::prelude::*;
use std::ops::{Index, IndexMut};

/// A tensor that training changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Names of the file's tensors that lie in it, one over the other, in equal parts.
    pub names: Vec<String>,
    /// `[width]` or `[rows, columns]`.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

impl Parameter {
    /// Whether weight decay applies: to matrices, not to biases and norms.
    pub fn decays(&self) -> bool {
        self.shape.len() > 1
    }
}

/// Which of the [`Parameters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(usize);

/// All tensors of a network.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters(Vec<Parameter>);

impl Parameters {
    /// Takes one more.
    pub fn add(&mut self, parameter: Parameter) -> Key {
        self.0.push(parameter);
        Key(self.0.len() - 1)
    }

    /// One of them.
    #[cfg(any(test, feature = "cuda"))]
    pub(super) fn parameter(&self, key: Key) -> &Parameter {
        &self.0[key.0]
    }

    /// In the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.0.iter()
    }

    /// In the order they were added, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        self.0.iter_mut()
    }

    /// Zeros of their shapes.
    pub fn zeros(&self) -> Gradients {
        Gradients(self.0.iter().map(|parameter| vec![0.0; parameter.values.len()]).collect())
    }
}

impl Index<Key> for Parameters {
    type Output = [f32];

    fn index(&self, key: Key) -> &[f32] {
        &self.0[key.0].values
    }
}

/// One value for every value of [`Parameters`], in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients(Vec<Vec<f32>>);

impl Gradients {
    /// In the order of the parameters.
    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// In the order of the parameters, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.0.iter_mut().map(Vec::as_mut_slice)
    }

    /// Sets all to zero.
    pub fn clear(&mut self) {
        self.0.par_iter_mut().for_each(|values| values.fill(0.0));
    }

    /// √Σ g², summed in f64.
    pub fn norm(&self) -> f64 {
        let squares = |values: &Vec<f32>| values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
        // Collected first, so that the tensors' sums are added in their own order.
        self.0.par_iter().map(squares).collect::<Vec<f64>>().into_iter().sum::<f64>().sqrt()
    }

    /// Those of two parameters at once.
    pub(super) fn pair(&mut self, first: Key, second: Key) -> [&mut [f32]; 2] {
        #[expect(clippy::expect_used, reason = "a network never uses one parameter twice in a layer")]
        let pair = self.0.get_disjoint_mut([first.0, second.0]).expect("two parameters");
        pair.map(Vec::as_mut_slice)
    }
}

impl Index<Key> for Gradients {
    type Output = [f32];

    fn index(&self, key: Key) -> &[f32] {
        &self.0[key.0]
    }
}

impl IndexMut<Key> for Gradients {
    fn index_mut(&mut self, key: Key) -> &mut [f32] {
        &mut self.0[key.0]
    }
}
