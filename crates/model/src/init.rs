//! Initialisation of all new weights (specification, section 1).
//!
//! | kind | initial value |
//! |---|---|
//! | matrix, patch, table, codes | N(0, s), where the standard deviation s is 0.02 unless the configuration sets another value |
//! | bias, uses of codes | 0 |
//! | norm | 1 |
//! | projection of a prompt query | N(0, 1 / sqrt(in)), fixed |

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use ptu_random::{Key, Place, Stream, index_of};
use rayon::prelude::*;

use crate::names::{Kind, Name};
use crate::{Model, ModelConfig, ModelError, WeightMapper, WeightVisitor};

/// Number of values that one task generates.
const CHUNK: usize = 1 << 14;

impl Model {
    /// A network with random weights. Each weight is a pure function of the key's seed and the name of the weight.
    ///
    /// # Errors
    /// [`ModelError::Config`] when the configuration is not valid.
    pub fn new(config: &ModelConfig, key: Key, device: &Device) -> Result<Self, ModelError> {
        Ok(fill(Self::empty(config, device)?, key, config.deviation))
    }

    /// Number of weights of a model with this configuration. No weights are created.
    ///
    /// # Errors
    /// [`ModelError::Config`] when the configuration is not valid.
    pub fn weights(config: &ModelConfig) -> Result<usize, ModelError> {
        let mut count = Count(0);
        Self::empty(config, &Device::flex())?.visit_weights(&mut count);
        Ok(count.0)
    }
}

/// Initialises a network of zeros. A weight depends only on the seed and its published name, so adding a head or a layer does not
/// change the other weights.
fn fill(model: Model, key: Key, deviation: f64) -> Model {
    model.map_weights(&mut Fill { key, deviation })
}

/// Gives each weight its initial value.
pub(crate) struct Fill {
    /// The seed.
    pub(crate) key: Key,
    /// Standard deviation of matrices and tables.
    pub(crate) deviation: f64,
}

impl WeightMapper for Fill {
    fn map<const D: usize>(&mut self, name: Name, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let index = index_of(&name.published);
        let (place, deviation) = match name.kind {
            Kind::Matrix | Kind::Patch | Kind::Table | Kind::Codes => (Place::Weights, self.deviation),
            Kind::Projection => (Place::Projection, (param.lazy_shape()[0] as f64).powf(-0.5)),
            Kind::Bias | Kind::Norm { .. } | Kind::Uses => return param, // already have their initial values
        };
        let (shape, id) = (param.lazy_shape(), param.id);
        let values = normal(&self.key.stream(place, index), shape.num_elements(), deviation);
        let fresh = Tensor::from_data(TensorData::new(values, shape), &param.lazy_device());
        param.transform_for_load(fresh, id)
    }
}

/// Normal values by the Box-Muller transform, four from each block of the generator, so that chunks can be filled in parallel.
fn normal(stream: &Stream, count: usize, deviation: f64) -> Vec<f32> {
    let mut values = vec![0f32; count];
    values.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, values)| {
        for (block, values) in values.chunks_mut(4).enumerate() {
            let words = stream.block_at((chunk * CHUNK / 4 + block) as u64);
            let unit = |word: u32| (f64::from(word) + 0.5) / 4_294_967_296.0;
            for (pair, values) in values.chunks_mut(2).enumerate() {
                let radius = deviation * (-2.0 * unit(words[2 * pair]).ln()).sqrt();
                let (sine, cosine) = (std::f64::consts::TAU * unit(words[2 * pair + 1])).sin_cos();
                values.iter_mut().zip([cosine, sine]).for_each(|(value, part)| *value = (radius * part) as f32);
            }
        }
    });
    values
}

struct Count(usize);

impl WeightVisitor for Count {
    fn visit<const D: usize>(&mut self, _name: Name, param: &Param<Tensor<D>>) {
        self.0 += param.lazy_shape().num_elements();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_normally_distributed() {
        let values = normal(&Key::new(5).stream(Place::Weights, 1), 300_001, 0.02);
        let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / values.len() as f64;
        let deviation =
            (values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        let beyond_two = values.iter().filter(|x| x.abs() > 0.04).count() as f64 / values.len() as f64;
        assert!(mean.abs() < 2e-4 && (deviation - 0.02).abs() < 2e-4, "{mean} {deviation}");
        assert!((beyond_two - 0.0455).abs() < 0.002, "{beyond_two}");
    }
}
