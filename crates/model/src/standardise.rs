//! Initialisation of the projections into the fusion by data (Krähenbühl et al., "Data-dependent Initializations of Convolutional Neural
//! Networks", 2016): outputs of a published encoder have a large mean that all inputs share, and scales that differ by orders of magnitude
//! between dimensions. A random projection passes this on, and the fusion first has to learn to ignore it.

use burn::tensor::{Tensor, TensorData};
use ptu_input::Batch;
use ptu_kernels::{ComputePrecision, Pass, in_pool};

use crate::layer::Linear;
use crate::prompt::host;
use crate::{Model, ModelConfig};

/// Deviations below this one are those of a dimension that does not vary: it keeps its scale.
const SMALLEST: f64 = 1e-6;

/// Means and variances of the output dimensions of both encoders, over the tokens of some inputs.
#[derive(Clone, Debug)]
pub struct EncoderMoments {
    image: Moments,
    text: Moments,
}

#[derive(Clone, Debug)]
struct Moments {
    tokens: usize,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl EncoderMoments {
    /// Moments of no inputs.
    pub fn new(config: &ModelConfig) -> Self {
        Self { image: Moments::new(config.image.width), text: Moments::new(config.text.width) }
    }

    /// Adds the outputs of the encoders for all images and texts of a batch.
    ///
    /// # Panics
    /// If the batch does not fit the model ([`Model::check_batch`]).
    pub fn add(&mut self, model: &Model, batch: &Batch, precision: ComputePrecision) {
        let pass = Pass::off().with(precision);
        for images in [&batch.pair_images, &batch.images].into_iter().filter(|images| images.count > 0) {
            self.image.add(&model.image_outputs(images, None, precision).values);
        }
        for texts in [&batch.pair_texts, &batch.texts].into_iter().filter(|texts| texts.count() > 0) {
            self.text.add(&in_pool(|| host(model.text.encode(model.embed_text(texts, &pass), &pass).tokens)));
        }
    }
}

impl Moments {
    fn new(width: usize) -> Self {
        Self { tokens: 0, sums: vec![0.0; width], squares: vec![0.0; width] }
    }

    fn add(&mut self, values: &[f32]) {
        for token in values.chunks_exact(self.sums.len()) {
            self.tokens += 1;
            for ((sum, square), value) in self.sums.iter_mut().zip(&mut self.squares).zip(token) {
                *sum += f64::from(*value);
                *square += f64::from(*value).powi(2);
            }
        }
    }

    /// Mean and factor to a deviation of 1, of each dimension.
    fn mean_and_scale(&self) -> impl Iterator<Item = (f64, f64)> {
        let count = self.tokens as f64;
        self.sums.iter().zip(&self.squares).map(move |(sum, square)| {
            let mean = sum / count;
            let deviation = (square / count - mean * mean).max(0.0).sqrt();
            (mean, if deviation < SMALLEST { 1.0 } else { deviation.recip() })
        })
    }
}

impl Model {
    /// The model whose projections into the fusion take standardised outputs of the encoders: those with these moments, less their mean,
    /// divided by their deviation. An encoder without moments keeps its projection, and so does one whose layers are in the fusion: these take
    /// the embeddings as they are.
    pub fn standardised(mut self, moments: &EncoderMoments) -> Self {
        if !self.config().image_blocks_are_in_fusion() {
            self.image_projection = standardised(self.image_projection, &moments.image);
        }
        if !self.config().text_layers_are_in_fusion() {
            self.text_projection = standardised(self.text_projection, &moments.text);
        }
        self
    }
}

/// W x + b -> W (x - mean) scale + b.
fn standardised(projection: Linear, moments: &Moments) -> Linear {
    if moments.tokens == 0 {
        return projection;
    }
    let (weight, bias) = projection.parts();
    let ([outputs, inputs], device) = (weight.dims(), weight.device());
    let (mut weight, mut bias) = (host(weight), host(bias));
    for (row, bias) in weight.chunks_exact_mut(inputs).zip(&mut bias) {
        let mut shift = 0.0;
        for (weight, (mean, scale)) in row.iter_mut().zip(moments.mean_and_scale()) {
            let scaled = f64::from(*weight) * scale;
            shift += scaled * mean;
            *weight = scaled as f32;
        }
        *bias = (f64::from(*bias) - shift) as f32;
    }
    let weight = Tensor::from_data(TensorData::new(weight, [outputs, inputs]), &device);
    let bias = Tensor::from_data(TensorData::new(bias, [outputs]), &device);
    let Linear { weight: old_weight, bias: old_bias } = projection;
    let (weight_id, bias_id) = (old_weight.id, old_bias.as_ref().map(|bias| bias.id));
    Linear {
        weight: old_weight.transform_for_load(weight, weight_id),
        bias: old_bias.zip(bias_id).map(|(old, id)| old.transform_for_load(bias, id)),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ptu_input::{Image, Images, Texts};
    use ptu_random::{Key, Place};

    use super::*;
    use crate::{Preset, TextStyle};

    fn moments(values: &[f32]) -> (Vec<f64>, Vec<f64>) {
        let mut found = Moments::new(48);
        found.add(values);
        found.mean_and_scale().unzip()
    }

    #[test]
    fn projected_outputs_are_those_of_standardised_ones() {
        let config = ModelConfig { ..Preset::Tiny.config(TextStyle::Bert, 50, [0, 2, 1]) };
        let model = Model::new(&config, Key::new(1), &Device::flex()).unwrap();
        let side = config.image.size;
        let mut stream = Key::new(2).stream(Place::Sample, 0);
        let images = (0..4).map(|_| Image::new(side, (0..3 * side * side).map(|_| stream.normal() as f32).collect()));
        let texts = Texts { ids: (0..24).map(|id| id % 50).collect(), lengths: vec![10, 14] };
        let batch = Batch { images: Images::collect(&images.collect::<Vec<_>>()), texts, ..Batch::default() };
        let mut found = EncoderMoments::new(&config);
        found.add(&model, &batch, ComputePrecision::F32);
        let before = model.image_projection.weight.val().into_data().try_into_vec::<f32>().unwrap();
        let model = model.standardised(&found);
        // The projection of the outputs has a mean of 0 in each dimension.
        let pass = Pass::off();
        let image = model.encode_image(&model.embed_image(&batch.images, &pass), &pass);
        let text = model.encode_text(model.embed_text(&batch.texts, &pass), &pass);
        for (tokens, modality) in [(image.tokens, 1), (text.tokens, 0)] {
            let centred = tokens - model.modality.row(modality);
            let means = centred.mean_dim(0).into_data().try_into_vec::<f32>().unwrap();
            assert!(means.iter().all(|mean| mean.abs() < 1e-4), "{means:?}");
        }
        let after = model.image_projection.weight.val().into_data().try_into_vec::<f32>().unwrap();
        assert_ne!(before, after);
    }

    #[test]
    fn a_dimension_that_does_not_vary_keeps_its_scale() {
        let values: Vec<f32> =
            (0..96).map(|place| if place % 48 == 5 { 7.0 } else { (place * place) as f32 }).collect();
        let (mean, scale) = moments(&values);
        assert_eq!((mean[5], scale[5]), (7.0, 1.0));
        assert!((mean[0] - 1152.0).abs() < 1e-9 && (scale[0] - 1.0 / 1152.0).abs() < 1e-9);
    }

    #[test]
    fn an_encoder_without_inputs_keeps_its_projection() {
        let config = Preset::Tiny.config(TextStyle::Bert, 50, [0, 2, 1]);
        let model = Model::new(&config, Key::new(1), &Device::flex()).unwrap();
        let values = |model: &Model| model.text_projection.weight.val().into_data().try_into_vec::<f32>().unwrap();
        let before = values(&model);
        assert_eq!(values(&model.standardised(&EncoderMoments::new(&config))), before);
    }
}
