//! Gradients of a step, by weight: summed over micro-batches, checked, clipped.

use std::collections::BTreeMap;

use burn::module::Param;
use burn::tensor::{Gradients as Graph, Tensor};
use ptu_kernels::BlockGradients;
use ptu_model::names::{Name, Role, name_of};
use ptu_model::{Model, WeightVisitor};
use rayon::prelude::*;

/// Values summed by one task; fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 1 << 14;

/// One gradient a weight, under its path in our tree and in our layout. A weight that no loss reached is not in it.
#[derive(Clone, Debug, Default)]
pub struct Gradients(BTreeMap<String, Vec<f32>>);

impl Gradients {
    /// Takes the gradients of a backward pass: out of its graph, and those that checkpointed blocks put aside.
    pub fn take(model: &Model, graph: &mut Graph, of_blocks: &BlockGradients) -> Self {
        let mut take = Take { graph, of_blocks, found: BTreeMap::new() };
        model.visit_weights(&mut take);
        Self(take.found)
    }

    /// Adds those of another micro-batch.
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

    /// Multiplies all.
    pub fn scale(&mut self, by: f32) {
        for values in self.0.values_mut() {
            values.par_iter_mut().for_each(|value| *value *= by);
        }
    }

    /// Lengths by the part of the network: encoders, fusion with prompts, heads; infinite or NaN if any value is.
    pub fn norms(&self) -> BTreeMap<Role, f64> {
        let mut sums: BTreeMap<Role, f64> = BTreeMap::new();
        for (path, values) in &self.0 {
            if let Some(name) = name_of(path) {
                *sums.entry(name.role).or_default() += squares(values);
            }
        }
        sums.into_iter().map(|(role, sum)| (role, sum.sqrt())).collect()
    }

    /// The gradient of a weight, in our layout.
    pub fn get(&self, path: &str) -> Option<&[f32]> {
        self.0.get(path).map(Vec::as_slice)
    }

    /// Every weight that has one.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.0.iter().map(|(path, values)| (path.as_str(), values.as_slice()))
    }
}

fn squares(values: &[f32]) -> f64 {
    let sums: Vec<f64> =
        values.par_chunks(CHUNK).map(|chunk| chunk.iter().map(|x| f64::from(*x).powi(2)).sum()).collect();
    sums.iter().sum()
}

struct Take<'a> {
    graph: &'a mut Graph,
    of_blocks: &'a BlockGradients,
    found: BTreeMap<String, Vec<f32>>,
}

impl WeightVisitor for Take<'_> {
    fn visit<const D: usize>(&mut self, name: Name, param: &Param<Tensor<D>>) {
        let values = match param.val().grad_remove(self.graph) {
            Some(gradient) => Some(gradient.into_data().try_into_vec().expect("the model computes in f32")),
            None => self.of_blocks.take(param.id),
        };
        if let Some(values) = values {
            self.found.insert(name.path, values);
        }
    }
}
