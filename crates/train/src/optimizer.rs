//! AdamW in the form that was published, and its groups (specification, section 4).

use std::collections::BTreeMap;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use ptu_kernels::vectorised;
use ptu_model::names::{DecayGroups, Name, Role};
use ptu_model::weights::{Array, Arrays};
use ptu_model::{Model, WeightMapper};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::gradients::Gradients;

/// Values updated by one task.
const CHUNK: usize = 1 << 14;

/// Settings of AdamW.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Learning rate of the backbone after warm-up.
    pub learning_rate: f64,
    /// Fusion and prompts learn this many times faster.
    pub fusion: f64,
    /// Heads learn this many times faster.
    pub head: f64,
    /// Decay rates of the moments.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Which weights decay.
    pub decay_groups: DecayGroups,
    /// Gradients longer than this are shortened to it; nothing is when it is left out (published).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-5,
            fusion: 5.0,
            head: 5.0,
            betas: [0.9, 0.98],
            eps: 1e-8,
            weight_decay: 0.01,
            decay_groups: DecayGroups::Default,
            clip: None,
        }
    }
}

impl OptimizerConfig {
    /// What the learning rate of a role is multiplied with.
    pub fn times(&self, role: Role) -> f64 {
        match role {
            Role::Backbone => 1.0,
            Role::Fusion => self.fusion,
            Role::Head => self.head,
        }
    }
}

/// AdamW with a state for each weight that ever had a gradient.
#[derive(Clone, Debug)]
pub struct Optimizer {
    /// Settings.
    pub config: OptimizerConfig,
    moments: BTreeMap<String, Moments>,
}

/// State of one weight, in our layout.
#[derive(Clone, Debug)]
struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
    /// Updates so far.
    updates: u64,
}

impl Optimizer {
    /// An optimizer that has not stepped yet.
    pub fn new(config: OptimizerConfig) -> Self {
        Self { config, moments: BTreeMap::new() }
    }

    /// Moves every weight that has a gradient; `factor` is the schedule's. A weight without gradient stays as it is.
    ///
    /// Adam's step with epsilon before the bias correction, then decay of the moved weight:
    /// `p -= r sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)`, `p -= r w p`.
    pub fn step(&mut self, model: Model, gradients: &Gradients, factor: f64) -> Model {
        model.map_weights(&mut Update { optimizer: self, gradients, factor })
    }

    /// Its state as arrays, for saving: `first.PATH`, `second.PATH`, `updates.PATH` (two halves of the count).
    pub fn to_arrays(&self) -> Arrays {
        let array = |values: &[f32]| Array { shape: vec![values.len()], values: values.to_vec() };
        self.moments
            .iter()
            .flat_map(|(path, moments)| {
                // An f32 holds whole numbers to 2^24 only; the count goes as two halves of 24 bits.
                let updates = [(moments.updates >> 24) as f32, (moments.updates & 0xff_ffff) as f32];
                [
                    (format!("first.{path}"), array(&moments.first)),
                    (format!("second.{path}"), array(&moments.second)),
                    (format!("updates.{path}"), array(&updates)),
                ]
            })
            .collect()
    }

    /// An optimizer with the state that [`Self::to_arrays`] gave; `None` if an array is missing or of another length.
    pub fn from_arrays(config: OptimizerConfig, mut arrays: Arrays) -> Option<Self> {
        let paths: Vec<String> =
            arrays.keys().filter_map(|name| name.strip_prefix("first.").map(String::from)).collect();
        let mut moments = BTreeMap::new();
        for path in paths {
            let mut take = |part: &str| arrays.remove(&format!("{part}.{path}")).map(|array| array.values);
            let (first, second, updates) = (take("first")?, take("second")?, take("updates")?);
            let &[high, low] = updates.as_slice() else { return None };
            if first.len() != second.len() {
                return None;
            }
            moments.insert(path, Moments { first, second, updates: (high as u64) << 24 | low as u64 });
        }
        arrays.is_empty().then_some(Self { config, moments })
    }
}

struct Update<'a> {
    optimizer: &'a mut Optimizer,
    gradients: &'a Gradients,
    factor: f64,
}

impl WeightMapper for Update<'_> {
    fn map<const D: usize>(&mut self, name: Name, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.get(&name.path) else { return param };
        let config = &self.optimizer.config;
        let rate = config.learning_rate * config.times(name.role) * self.factor;
        let decay = if name.kind.decays(config.decay_groups) { rate * config.weight_decay } else { 0.0 };
        let moments = self.optimizer.moments.entry(name.path).or_insert_with(|| Moments {
            first: vec![0.0; gradient.len()],
            second: vec![0.0; gradient.len()],
            updates: 0,
        });
        moments.updates += 1;
        let rule = Rule::new(config, moments.updates, rate, decay);
        let (id, weight, mapper) = param.consume();
        let (device, shape) = (weight.device(), weight.shape());
        // On a CPU both conversions hand the buffer over, so the update is in place.
        let mut values: Vec<f32> = weight.inner().into_data().try_into_vec().expect("the model computes in f32");
        rule.apply(&mut values, gradient, moments);
        let moved = Tensor::from_data(TensorData::new(values, shape), &device).require_grad();
        Param::from_mapped_value(id, moved, mapper)
    }
}

/// The numbers of one update.
struct Rule {
    betas: [f32; 2],
    eps: f32,
    rate: f32,
    decay: f32,
}

impl Rule {
    fn new(config: &OptimizerConfig, updates: u64, rate: f64, decay: f64) -> Self {
        let [first, second] = config.betas;
        let power = |beta: f64| beta.powf(updates as f64);
        let corrected = rate * (1.0 - power(second)).sqrt() / (1.0 - power(first));
        Self {
            betas: [first as f32, second as f32],
            eps: config.eps as f32,
            rate: corrected as f32,
            decay: decay as f32,
        }
    }

    fn apply(&self, weights: &mut [f32], gradient: &[f32], moments: &mut Moments) {
        let [b1, b2] = self.betas;
        weights
            .par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK))
            .zip(moments.first.par_chunks_mut(CHUNK).zip(moments.second.par_chunks_mut(CHUNK)))
            .for_each(|((weights, gradient), (first, second))| {
                vectorised(
                    weights,
                    #[inline(always)]
                    |weights| {
                        for (((p, g), m), v) in
                            weights.iter_mut().zip(gradient).zip(first.iter_mut()).zip(second.iter_mut())
                        {
                            *m = b1 * *m + (1.0 - b1) * g;
                            *v = b2 * *v + (1.0 - b2) * g * g;
                            *p -= self.rate * *m / (v.sqrt() + self.eps);
                            *p -= self.decay * *p;
                        }
                    },
                );
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three steps of one weight, by hand in f64 from the formula of the specification, section 4.
    #[test]
    fn the_update_is_the_published_one() {
        let config = OptimizerConfig { weight_decay: 0.1, ..OptimizerConfig::default() };
        let (mut p, mut m, mut v) = (0.5f64, 0.0f64, 0.0f64);
        let mut weight = [0.5f32];
        let mut moments = Moments { first: vec![0.0], second: vec![0.0], updates: 0 };
        for (t, g) in [(1, 0.3f64), (2, -0.2), (3, 0.05)] {
            (m, v) = (0.9 * m + 0.1 * g, 0.98 * v + 0.02 * g * g);
            p -= 0.01 * (1.0 - 0.98f64.powi(t)).sqrt() / (1.0 - 0.9f64.powi(t)) * m / (v.sqrt() + 1e-8);
            p -= 0.01 * 0.1 * p;
            Rule::new(&config, t as u64, 0.01, 0.01 * 0.1).apply(&mut weight, &[g as f32], &mut moments);
        }
        assert!((f64::from(weight[0]) - p).abs() < 1e-7, "{} {p}", weight[0]);
    }

    #[test]
    fn its_state_survives_saving() {
        let mut optimizer = Optimizer::new(OptimizerConfig::default());
        let moments = Moments { first: vec![1.0, 2.0], second: vec![3.0, 4.0], updates: (5 << 24) + 7 };
        optimizer.moments.insert("text.norm.bias".into(), moments);
        let again = Optimizer::from_arrays(optimizer.config, optimizer.to_arrays()).unwrap();
        let moments = &again.moments["text.norm.bias"];
        assert_eq!(
            (moments.first.as_slice(), moments.second[1], moments.updates),
            (&[1.0, 2.0][..], 4.0, (5 << 24) + 7)
        );
        let mut torn = optimizer.to_arrays();
        torn.remove("second.text.norm.bias");
        assert!(Optimizer::from_arrays(optimizer.config, torn).is_none());
    }
}
