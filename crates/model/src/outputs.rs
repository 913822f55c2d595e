//! Outputs of the image encoder that are computed once and used again ([`ImageOutputs`]), for an encoder that is not trained.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use ptu_input::{ImageOutputs, Images};
use ptu_kernels::{ComputePrecision, Packed, Pass, in_pool};
use sha2::{Digest, Sha256};

use crate::forward::Row;
use crate::names::{IMAGE_ENCODER, Name};
use crate::prompt::host;
use crate::{ImageEncoder, Model, WeightVisitor};

impl Model {
    /// Runs the image encoder on images, and computes the queries by which these images select prompts in place of a missing
    /// text. Both depend on the image encoder only, and the encoder has no dropout.
    pub fn image_outputs(&self, images: &Images, precision: ComputePrecision) -> ImageOutputs {
        let pass = Pass::off().with(precision);
        in_pool(|| {
            let embedded = self.embed_image(images, &pass);
            let queries = self.text_prompts.pooled(&embedded).concat();
            let encoded = self.image.merged(self.image.encode(&embedded, &pass), images.count);
            let [rows, width] = encoded.tokens.dims();
            let tokens = rows.checked_div(images.count).unwrap_or(0);
            ImageOutputs { tokens, width, values: host(encoded.tokens), queries }
        })
    }

    /// A hash of the names and weights of the image encoder.
    pub fn image_encoder_digest(&self) -> [u8; 32] {
        let mut weights = EncoderDigest(Sha256::new());
        self.visit_weights(&mut weights);
        weights.0.finalize().into()
    }

    /// Number of values that the image encoder computes for each image, and the width of the query by which an image selects
    /// prompts (0 if there is none): the sizes of [`ImageOutputs`].
    pub fn image_output_sizes(&self) -> ImageOutputSizes {
        let image = &self.config().image;
        let query = if self.text_prompts.has_queries() { image.width } else { 0 };
        ImageOutputSizes { tokens: image.tokens(), width: image.width, query }
    }

    /// Runs the image encoder on embedded images and stand-ins, and projects its outputs to the width of the fusion. Outputs that are
    /// already known are only projected, and come first.
    pub(crate) fn encode_images(
        &self,
        known: Option<Packed>,
        images: Packed,
        stand_ins: &[Packed],
        pass: &Pass,
    ) -> Packed {
        let count = images.count();
        let embedded = Packed::cat(&[&[images], stand_ins].concat());
        let mut parts: Vec<Packed> = known.into_iter().collect();
        if embedded.count() > 0 || parts.is_empty() {
            parts.push(self.image.merged(self.image.encode(&embedded, pass), count));
        }
        self.with_means(self.project(Packed::cat(&parts), &self.image_projection, 1, pass))
    }

    /// Images as the fusion reads them: the outputs of the image encoder, known or computed, in the width of the fusion.
    pub fn image_sequences(&self, images: &Images, pass: &Pass) -> Packed {
        let rows = (0..images.count).map(|row| Row { group: 0, row });
        match self.known_outputs(&[images], rows) {
            Some(known) => self.with_means(self.project(known, &self.image_projection, 1, pass)),
            None => self.encode_image(&self.embed_image(images, pass), pass),
        }
    }

    /// The known outputs of these images; `None` if there are none.
    pub(crate) fn known_outputs(&self, groups: &[&Images], rows: impl IntoIterator<Item = Row>) -> Option<Packed> {
        let (mut values, mut lengths, mut width) = (vec![], vec![], 0);
        for Row { group, row } in rows {
            let Some(outputs) = &groups[group].outputs else { continue };
            values.extend_from_slice(outputs.image(row));
            lengths.push(outputs.tokens);
            width = outputs.width;
        }
        let rows = lengths.iter().sum::<usize>();
        let tokens = || Tensor::from_data(TensorData::new(values, [rows, width]), &self.device());
        (rows > 0).then(|| Packed::new(tokens(), lengths))
    }
}

/// The sizes of the outputs of an image encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageOutputSizes {
    /// Number of tokens of an image.
    pub tokens: usize,
    /// Width of a token.
    pub width: usize,
    /// Width of a query; 0 without queries.
    pub query: usize,
}

impl ImageEncoder {
    /// Number of weights of an encoder with these sizes.
    pub fn weights(config: &crate::config::ImageConfig) -> usize {
        Self::new(config, &burn::tensor::Device::flex()).num_params()
    }
}

/// Hashes the names and weights of the image encoder.
struct EncoderDigest(Sha256);

impl WeightVisitor for EncoderDigest {
    fn visit<const D: usize>(&mut self, name: Name, param: &Param<Tensor<D>>) {
        if name.path.starts_with(IMAGE_ENCODER) {
            self.0.update(name.path.as_bytes());
            let values: Vec<f32> = param.val().into_data().try_into_vec().expect("the model computes in f32");
            self.0.update(bytemuck::cast_slice(&values));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ptu_input::{Batch, Slot, Texts};
    use ptu_random::{Key, Place};

    use super::*;
    use crate::config::{Pooling, PromptsConfig, Similarity};
    use crate::{FrozenEncoders, ModelConfig, Preset, Read, StandIn, TextStyle};

    /// A small model whose image and text encoder differ in width.
    fn config() -> ModelConfig {
        let mut config = Preset::Tiny.config(TextStyle::Roberta, 50, [0, 2, 1]);
        (config.image.size, config.image.width, config.image.layers, config.deviation) = (16, 64, 3, 0.2);
        config.text_prompts =
            PromptsConfig::Pool { size: 30, take: 3, pooling: Pooling::Mean, similarity: Similarity::Cosine };
        config
    }

    fn images(count: usize, seed: u64) -> Images {
        let mut stream = Key::new(seed).stream(Place::Sample, 0);
        Images { count, side: 16, planes: (0..count * 768).map(|_| stream.normal() as f32).collect(), outputs: None }
    }

    /// Two pairs, three images without text and a text without image, in mixed order.
    fn batch() -> Batch {
        let texts =
            |lengths: Vec<usize>| Texts { ids: (4..4 + lengths.iter().sum::<usize>() as u32).collect(), lengths };
        let order = vec![Slot::Image(0), Slot::Pair(0), Slot::Text(0), Slot::Image(1), Slot::Pair(1), Slot::Image(2)];
        Batch {
            pair_images: images(2, 1),
            pair_texts: texts(vec![5, 3]),
            images: images(3, 2),
            texts: texts(vec![4]),
            order,
        }
    }

    /// The batch with outputs of the encoder in place of the pixels of some groups.
    fn known(model: &Model, pairs: bool, alone: bool) -> Batch {
        let known = |images: Images, is_known: bool| match is_known {
            true => {
                Images { outputs: Some(model.image_outputs(&images, ComputePrecision::F32)), planes: vec![], ..images }
            }
            false => images,
        };
        let batch = batch();
        Batch { pair_images: known(batch.pair_images, pairs), images: known(batch.images, alone), ..batch }
    }

    #[test]
    fn known_outputs_give_the_states_and_gradients_of_pixels() {
        known_outputs_equal_pixels(&config());
        let mut config = config();
        (config.image.merge, config.fusion.add_mean) = (2, true);
        known_outputs_equal_pixels(&config);
    }

    fn known_outputs_equal_pixels(config: &ModelConfig) {
        let device = Device::flex().autodiff();
        let model =
            Model::new(config, Key::new(3), &device).unwrap().with_frozen(FrozenEncoders { image: true, text: false });
        let run = |batch: &Batch| {
            let read = vec![Read::All; batch.len()];
            let fused = model.forward_pass(batch, &read, StandIn::Prompts, &Pass::new(0.2, Key::new(1)));
            let sum = fused.image.tokens.clone().powf_scalar(2.0).sum() + fused.text.tokens.clone().sum();
            let gradients = sum.backward();
            let tables = [&model.image_prompts, &model.text_prompts].map(|prompts| prompts.table.clone().unwrap());
            let of = |x: &Tensor<2>| host(x.grad(&gradients).expect("it gets a gradient"));
            assert!(model.image.positions.val().grad(&gradients).is_none(), "the encoder is frozen");
            let projection = of(&model.image_projection.weight.val());
            [host(fused.image.tokens), host(fused.text.tokens), projection, of(&tables[0].val()), of(&tables[1].val())]
        };
        let plain = run(&batch());
        for (pairs, alone) in [(true, true), (true, false), (false, true)] {
            for (one, other) in plain.iter().zip(run(&known(&model, pairs, alone))) {
                assert_eq!(one.len(), other.len());
                let largest = one.iter().zip(&other).map(|(x, y)| (x - y).abs() / (1.0 + x.abs())).fold(0.0, f32::max);
                assert!(largest < 1e-4, "{pairs} {alone}: {largest}");
            }
        }
    }

    #[test]
    fn known_outputs_have_the_sizes_of_the_model() {
        let mut config = config();
        for (prompts, query) in [(config.text_prompts, 64), (PromptsConfig::Fixed { take: 2 }, 0)] {
            config.text_prompts = prompts;
            let model = Model::new(&config, Key::new(3), &Device::flex()).unwrap();
            let (sizes, outputs) =
                (model.image_output_sizes(), model.image_outputs(&images(3, 1), ComputePrecision::F32));
            assert_eq!(sizes, ImageOutputSizes { tokens: outputs.tokens, width: outputs.width, query });
            assert_eq!((outputs.count(), outputs.queries.len()), (3, 3 * query));
        }
        let weights = ImageEncoder::weights(&config.image);
        assert_eq!(weights, Model::new(&config, Key::new(3), &Device::flex()).unwrap().image.num_params());
    }

    #[test]
    #[should_panic(expected = "have no pixels")]
    fn an_image_without_pixels_is_not_embedded() {
        let model = Model::new(&config(), Key::new(3), &Device::flex()).unwrap();
        model.embed_image(&Images { planes: vec![], ..images(2, 1) }, &Pass::off());
    }
}
