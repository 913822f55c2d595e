//! AdamW in the form of the published code, and its parameter groups (specification, section 4).

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

/// Number of values that one thread updates at a time.
const CHUNK: usize = 1 << 14;

/// Settings of AdamW.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Learning rate of the backbone after warm-up.
    pub learning_rate: f64,
    /// Factor of the learning rate for fusion and prompts.
    pub fusion: f64,
    /// Factor of the learning rate for the heads.
    pub head: f64,
    /// Decay rates of the first and second moment.
    pub betas: [f64; 2],
    /// Epsilon, added to the square root of the second moment.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Which weights are subject to weight decay.
    pub decay_groups: DecayGroups,
    /// Maximal L2 norm of the gradient: a larger gradient is scaled to this norm. Without this key there is no clipping, as
    /// published.
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
    /// Factor of the learning rate for the weights of this role.
    pub fn times(&self, role: Role) -> f64 {
        match role {
            Role::Backbone => 1.0,
            Role::Fusion => self.fusion,
            Role::Head => self.head,
        }
    }
}

/// AdamW, with a state for each weight that had a gradient at least once.
#[derive(Clone, Debug)]
pub struct Optimizer {
    /// The settings.
    pub config: OptimizerConfig,
    moments: BTreeMap<String, Moments>,
}

/// The state of one weight, in our memory layout.
#[derive(Clone, Debug)]
struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
    /// Number of updates so far.
    updates: u64,
}

impl Optimizer {
    /// An optimizer without any state yet.
    pub fn new(config: OptimizerConfig) -> Self {
        Self { config, moments: BTreeMap::new() }
    }

    /// Updates every weight that has a gradient; `factor` is the factor of the learning-rate schedule. A weight without a
    /// gradient is not changed.
    ///
    /// This is Adam's update, with epsilon added before the bias correction, and then weight decay of the updated weight:
    /// `p -= r sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)`, `p -= r w p`.
    pub fn step(&mut self, model: Model, gradients: &Gradients, factor: f64) -> Model {
        model.map_weights(&mut WeightUpdater { optimizer: self, gradients, factor })
    }

    /// The state as arrays, for saving: `first.PATH`, `second.PATH` and `updates.PATH` (the count as two numbers).
    pub fn to_arrays(&self) -> Arrays {
        let array = |values: &[f32]| Array { shape: vec![values.len()], values: values.to_vec() };
        self.moments
            .iter()
            .flat_map(|(path, moments)| {
                // An f32 is exact for whole numbers up to 2^24 only, so the count is stored as two numbers of 24 bits each.
                let updates = [(moments.updates >> 24) as f32, (moments.updates & 0xff_ffff) as f32];
                [
                    (format!("first.{path}"), array(&moments.first)),
                    (format!("second.{path}"), array(&moments.second)),
                    (format!("updates.{path}"), array(&updates)),
                ]
            })
            .collect()
    }

    /// An optimizer with a state from [`Self::to_arrays`]; `None` if an array is missing or has another length.
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

/// Updates the weights of a model, one after another.
struct WeightUpdater<'a> {
    optimizer: &'a mut Optimizer,
    gradients: &'a Gradients,
    factor: f64,
}

impl WeightMapper for WeightUpdater<'_> {
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
        let update = AdamWUpdate::new(config, moments.updates, rate, decay);
        let (id, weight, mapper) = param.consume();
        let (device, shape) = (weight.device(), weight.shape());
        // On a CPU, both conversions pass the buffer on without a copy, so the update is in place.
        let mut values: Vec<f32> = weight.inner().into_data().try_into_vec().expect("the model computes in f32");
        update.apply(&mut values, gradient, moments);
        let updated = Tensor::from_data(TensorData::new(values, shape), &device).require_grad();
        Param::from_mapped_value(id, updated, mapper)
    }
}

/// The constants of one update of one weight.
struct AdamWUpdate {
    betas: [f32; 2],
    eps: f32,
    rate: f32,
    decay: f32,
}

impl AdamWUpdate {
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

    /// Three steps of one weight, computed here in f64 from the formula of the specification, section 4.
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
            AdamWUpdate::new(&config, t as u64, 0.01, 0.01 * 0.1).apply(&mut weight, &[g as f32], &mut moments);
        }
        assert!((f64::from(weight[0]) - p).abs() < 1e-7, "{} {p}", weight[0]);
    }

    #[test]
    fn the_state_survives_saving() {
        let mut optimizer = Optimizer::new(OptimizerConfig::default());
        let moments = Moments { first: vec![1.0, 2.0], second: vec![3.0, 4.0], updates: (5 << 24) + 7 };
        optimizer.moments.insert("text.norm.bias".into(), moments);
        let again = Optimizer::from_arrays(optimizer.config, optimizer.to_arrays()).unwrap();
        let moments = &again.moments["text.norm.bias"];
        assert_eq!(
            (moments.first.as_slice(), moments.second[1], moments.updates),
            (&[1.0, 2.0][..], 4.0, (5 << 24) + 7)
        );
        let mut incomplete = optimizer.to_arrays();
        incomplete.remove("second.text.norm.bias");
        assert!(Optimizer::from_arrays(optimizer.config, incomplete).is_none());
    }
}
