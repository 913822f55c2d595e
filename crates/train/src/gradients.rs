//! The gradients of a step: summed over micro-batches, measured and scaled.

use std::collections::BTreeMap;

use burn::module::Param;
use burn::tensor::{Gradients as Graph, Tensor};
use ptu_kernels::BlockGradients;
use ptu_model::names::{Name, Role, name_of};
use ptu_model::{Model, WeightVisitor};
use rayon::prelude::*;

/// Number of values that one thread sums at a time. It is fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 1 << 14;

/// The gradient of each weight, by its path in our model and in our memory layout. Weights that no loss depends on are not
/// included.
#[derive(Clone, Debug, Default)]
pub struct Gradients(BTreeMap<String, Vec<f32>>);

impl Gradients {
    /// Takes the gradients of a backward pass: from the graph, and from `block_gradients` those of checkpointed blocks.
    pub fn take(model: &Model, graph: &mut Graph, block_gradients: &BlockGradients) -> Self {
        let mut collector = GradientCollector { graph, block_gradients, gradients: BTreeMap::new() };
        model.visit_weights(&mut collector);
        Self(collector.gradients)
    }

    /// Adds the gradients of another micro-batch.
    pub fn add(&mut self, other: Self) {
        for (path, values) in other.0 {
            match self.0.get_mut(&path) {
                Some(sum) => sum.par_iter_mut().zip(&values).for_each(|(sum, value)| *sum += value),
                None => {
                    self.0.insert(path, values);
                }
            }
        }
    }

    /// Removes the gradients of all weights whose published name does not satisfy `is_trained`. The optimizer does not change a
    /// weight without a gradient.
    pub fn retain(&mut self, is_trained: &dyn Fn(&str) -> bool) {
        self.0.retain(|path, _| name_of(path).is_none_or(|name| is_trained(&name.published)));
    }

    /// Multiplies all gradients by a factor.
    pub fn scale(&mut self, factor: f32) {
        for values in self.0.values_mut() {
            values.par_iter_mut().for_each(|value| *value *= factor);
        }
    }

    /// L2 norms for each part of the network: encoders, fusion with prompts, heads. A norm is infinite or NaN if any of its
    /// values is.
    pub fn norms(&self) -> BTreeMap<Role, f64> {
        let mut sums: BTreeMap<Role, f64> = BTreeMap::new();
        for (path, values) in &self.0 {
            if let Some(name) = name_of(path) {
                *sums.entry(name.role).or_default() += squared_norm(values);
            }
        }
        sums.into_iter().map(|(role, sum)| (role, sum.sqrt())).collect()
    }

    /// The gradient of a weight, in our memory layout; `None` if it has none.
    pub fn get(&self, path: &str) -> Option<&[f32]> {
        self.0.get(path).map(Vec::as_slice)
    }

    /// All gradients, with the paths of their weights.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.0.iter().map(|(path, values)| (path.as_str(), values.as_slice()))
    }
}

/// The sum of squares, in f64.
fn squared_norm(values: &[f32]) -> f64 {
    let sums: Vec<f64> =
        values.par_chunks(CHUNK).map(|chunk| chunk.iter().map(|x| f64::from(*x).powi(2)).sum()).collect();
    sums.iter().sum()
}

/// Collects the gradients of all weights of a model.
struct GradientCollector<'a> {
    graph: &'a mut Graph,
    block_gradients: &'a BlockGradients,
    gradients: BTreeMap<String, Vec<f32>>,
}

impl WeightVisitor for GradientCollector<'_> {
    fn visit<const D: usize>(&mut self, name: Name, param: &Param<Tensor<D>>) {
        let values = match param.val().grad_remove(self.graph) {
            Some(gradient) => Some(gradient.into_data().try_into_vec().expect("the model computes in f32")),
            None => self.block_gradients.take(param.id),
        };
        if let Some(values) = values {
            self.gradients.insert(name.path, values);
        }
    }
}
