//! Outputs of the image encoder, or of its first blocks, that are computed once and used again ([`ImageOutputs`]): for what is not trained.

use std::collections::HashSet;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use ptu_input::{ImageOutputs, Images};
use ptu_kernels::{ComputePrecision, Packed, Pass, in_pool};
use sha2::{Digest, Sha256};

use crate::config::ImageConfig;
use crate::forward::Row;
use crate::names::{IMAGE_ENCODER, Name, before_layer};
use crate::prompt::host;
use crate::{Frozen, ImageEncoder, Model, WeightVisitor};

impl Model {
    /// Runs the image encoder, or its first `blocks` blocks, on images, and computes the queries by which these images select prompts in
    /// place of a missing text. Both depend on this part of the encoder only, and the encoder has no dropout.
    pub fn image_outputs(&self, images: &Images, blocks: Option<usize>, precision: ComputePrecision) -> ImageOutputs {
        let pass = Pass::off().with(precision);
        in_pool(|| {
            let embedded = self.embed_image(images, &pass);
            let queries = self.text_prompts.pooled(&embedded).concat();
            let encoded = match blocks {
                Some(count) => self.image.first_blocks(&embedded, count, &pass),
                None => self.image.merged(self.image.encode(&embedded, &pass), images.count),
            };
            let [rows, width] = encoded.tokens.dims();
            let tokens = rows.checked_div(images.count).unwrap_or(0);
            ImageOutputs { blocks, tokens, width, values: host(encoded.tokens), queries }
        })
    }

    /// A hash of the names and weights of the image encoder, or of its embedding and its first `blocks` blocks.
    pub fn image_encoder_digest(&self, blocks: Option<usize>) -> [u8; 32] {
        let names = blocks.map(|count| before_layer(IMAGE_ENCODER, count).collect());
        let mut weights = EncoderDigest { hash: Sha256::new(), names };
        self.visit_weights(&mut weights);
        weights.hash.finalize().into()
    }

    /// Number of values that the image encoder, or its first `blocks` blocks, computes for each image, and the width of the query by which
    /// an image selects prompts (0 if there is none): the sizes of [`ImageOutputs`].
    pub fn image_output_sizes(&self, blocks: Option<usize>) -> ImageOutputSizes {
        let image = &self.config().image;
        let query = if self.text_prompts.has_queries() { image.width } else { 0 };
        let all = || self.image.special_tokens() + image.registers + image.grid().pow(2);
        let tokens = if blocks.is_some() { all() } else { image.tokens() };
        ImageOutputSizes { tokens, width: image.width, query }
    }

    /// Runs the image encoder on embedded images and stand-ins, and projects its outputs to the width of the fusion. Images whose outputs are
    /// already known come first; they go through the rest of the encoder, if there is any.
    pub(crate) fn encode_images(
        &self,
        known: Option<KnownImages>,
        images: Packed,
        stand_ins: &[Packed],
        pass: &Pass,
    ) -> Packed {
        let count = images.count();
        let embedded = Packed::cat(&[&[images], stand_ins].concat());
        let is_needed = embedded.count() > 0 || known.is_none();
        let encoded = match known {
            Some(KnownImages { tokens, blocks: Some(blocks) }) => {
                let count = count + tokens.count();
                let new = is_needed.then(|| self.image.first_blocks(&embedded, blocks, pass));
                let all = Packed::cat(&std::iter::once(tokens).chain(new).collect::<Vec<_>>());
                self.image.merged(self.image.last_blocks(all, blocks, pass), count)
            }
            whole => {
                let new = is_needed.then(|| self.image.merged(self.image.encode(&embedded, pass), count));
                Packed::cat(&whole.map(|known| known.tokens).into_iter().chain(new).collect::<Vec<_>>())
            }
        };
        self.with_means(self.project(encoded, &self.image_projection, 1, pass))
    }

    /// Images as the fusion reads them: the outputs of the image encoder, known or computed, in the width of the fusion.
    pub fn image_sequences(&self, images: &Images, pass: &Pass) -> Packed {
        let rows = (0..images.count).map(|row| Row { group: 0, row });
        let known = self.known_outputs(&[images], rows);
        let none = Images::default();
        let embedded = self.embed_image(if known.is_none() { images } else { &none }, pass);
        self.encode_images(known, embedded, &[], pass)
    }

    /// The known outputs of these images; `None` if there are none.
    ///
    /// # Panics
    /// If they were computed by different parts of the encoder.
    pub(crate) fn known_outputs(&self, groups: &[&Images], rows: impl IntoIterator<Item = Row>) -> Option<KnownImages> {
        let (mut values, mut lengths, mut width, mut part) = (vec![], vec![], 0, None);
        for Row { group, row } in rows {
            let Some(outputs) = &groups[group].outputs else { continue };
            values.extend_from_slice(outputs.image(row));
            lengths.push(outputs.tokens);
            width = outputs.width;
            assert_eq!(*part.get_or_insert(outputs.blocks), outputs.blocks, "one part of the encoder computed all");
        }
        let rows = lengths.iter().sum::<usize>();
        let tokens = || Tensor::from_data(TensorData::new(values, [rows, width]), &self.device());
        (rows > 0).then(|| KnownImages { tokens: Packed::new(tokens(), lengths), blocks: part.flatten() })
    }
}

/// Images whose outputs are known.
pub(crate) struct KnownImages {
    tokens: Packed,
    /// Number of blocks of the encoder that the images went through; `None` for all of it.
    blocks: Option<usize>,
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
    /// Number of weights in the frozen part of an encoder with these sizes.
    pub fn frozen_weights(config: &ImageConfig, frozen: Frozen) -> usize {
        let encoder = Self::new(config, &Device::flex());
        match frozen {
            Frozen::Nothing => 0,
            Frozen::All => encoder.num_params(),
            Frozen::Layers(count) => {
                let trained = encoder.blocks[count..].iter().map(Module::num_params).sum::<usize>();
                encoder.num_params() - trained - encoder.norm_after.map_or(0, |norm| norm.num_params())
            }
        }
    }
}

/// Hashes the names and weights of the image encoder, or those of them with these published names.
struct EncoderDigest {
    hash: Sha256,
    names: Option<HashSet<String>>,
}

impl WeightVisitor for EncoderDigest {
    fn visit<const D: usize>(&mut self, name: Name, param: &Param<Tensor<D>>) {
        let is_asked = self.names.as_ref().is_none_or(|names| names.contains(&name.published));
        if name.path.starts_with(IMAGE_ENCODER) && is_asked {
            self.hash.update(name.path.as_bytes());
            let values: Vec<f32> = param.val().into_data().try_into_vec().expect("the model computes in f32");
            self.hash.update(bytemuck::cast_slice(&values));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ptu_input::{Batch, Slot, Texts};
    use ptu_kernels::BlockGradients;
    use ptu_random::{Key, Place};

    use super::*;
    use crate::config::{Pooling, PromptsConfig, Similarity};
    use crate::{Frozen, FrozenEncoders, ModelConfig, Preset, Read, StandIn, TextStyle};

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
    fn known(model: &Model, blocks: Option<usize>, pairs: bool, alone: bool) -> Batch {
        let known = |images: Images, is_known: bool| match is_known {
            true => {
                let outputs = Some(model.image_outputs(&images, blocks, ComputePrecision::F32));
                Images { outputs, planes: vec![], ..images }
            }
            false => images,
        };
        let batch = batch();
        Batch { pair_images: known(batch.pair_images, pairs), images: known(batch.images, alone), ..batch }
    }

    #[test]
    fn known_outputs_give_the_states_and_gradients_of_pixels() {
        let mut merged = config();
        (merged.image.merge, merged.image.registers, merged.fusion.add_mean) = (2, 3, true);
        let mut without_class = config();
        without_class.image.class_token = false;
        for config in [config(), merged, without_class] {
            known_outputs_equal_pixels(&config, Frozen::All);
            (1..=config.image.used_layers())
                .for_each(|count| known_outputs_equal_pixels(&config, Frozen::Layers(count)));
        }
    }

    fn known_outputs_equal_pixels(config: &ModelConfig, image: Frozen) {
        let (device, frozen) = (Device::flex().autodiff(), FrozenEncoders { image, text: Frozen::Nothing });
        let model = Model::new(config, Key::new(3), &device).unwrap().with_frozen(frozen);
        let blocks = image.part();
        let run = |batch: &Batch| {
            let read = vec![Read::All; batch.len()];
            let fused = model.forward_pass(batch, &read, StandIn::Prompts, &Pass::new(0.2, Key::new(1)));
            let sum = fused.image.tokens.clone().powf_scalar(2.0).sum() + fused.text.tokens.clone().sum();
            let gradients = sum.backward();
            let tables = [&model.image_prompts, &model.text_prompts].map(|prompts| prompts.table.clone().unwrap());
            let of = |x: &Tensor<2>| host(x.grad(&gradients).expect("it gets a gradient"));
            assert!(model.image.positions.val().grad(&gradients).is_none(), "the encoder is frozen");
            // Each block is frozen or gets a gradient, and so does the layer norm behind them.
            let norms = model.image.blocks.iter().map(|block| &block.norm_2).chain(&model.image.norm_after);
            let norms: Vec<Option<Tensor<1>>> = norms.map(|norm| norm.weight.val().grad(&gradients)).collect();
            let trained = blocks.map_or(0, |count| norms.len() - count);
            assert_eq!(norms.iter().map(Option::is_some).filter(|is_some| *is_some).count(), trained);
            let last = norms.into_iter().flatten().map(|norm| norm.into_data().try_into_vec().unwrap());
            let projection = of(&model.image_projection.weight.val());
            let states = [host(fused.image.tokens), host(fused.text.tokens), projection];
            states.into_iter().chain(tables.map(|table| of(&table.val()))).chain(last).collect::<Vec<Vec<f32>>>()
        };
        let plain = run(&batch());
        for (pairs, alone) in [(true, true), (true, false), (false, true)] {
            for (one, other) in plain.iter().zip(run(&known(&model, blocks, pairs, alone))) {
                assert_eq!(one.len(), other.len());
                let largest = one.iter().zip(&other).map(|(x, y)| (x - y).abs() / (1.0 + x.abs())).fold(0.0, f32::max);
                assert!(largest < 1e-4, "{pairs} {alone}: {largest}");
            }
        }
    }

    #[test]
    fn the_first_trained_block_behind_frozen_ones_gets_gradients_if_it_is_checkpointed() {
        let image = Frozen::Layers(config().image.used_layers() - 1);
        let model = Model::new(&config(), Key::new(3), &Device::flex().autodiff()).unwrap();
        let model = model.with_frozen(FrozenEncoders { image, text: Frozen::Nothing });
        let block = model.image.blocks.last().unwrap();
        let weight = &block.norm_1.weight;
        let gradient = |pass: Pass, blocks: &BlockGradients| {
            let embedded = model.embed_image(&images(2, 1), &pass);
            let mut graph = model.image.encode(&embedded, &pass).tokens.powf_scalar(3.0).sum().backward();
            let plain = weight.val().grad_remove(&mut graph).map(|found| found.into_data().try_into_vec().unwrap());
            plain.or_else(|| blocks.take(weight.id))
        };
        let blocks = BlockGradients::default();
        let plain: Vec<f32> = gradient(Pass::off(), &blocks).unwrap();
        let checkpointed = gradient(Pass::off().checkpointed(blocks.clone()), &blocks).unwrap();
        assert!(plain.iter().any(|value| value.abs() > 1e-3));
        assert!(plain.iter().zip(&checkpointed).all(|(x, y)| (x - y).abs() < 1e-4 * (1.0 + x.abs())));
    }

    #[test]
    fn known_outputs_have_the_sizes_of_the_model() {
        let mut config = config();
        for (prompts, query) in [(config.text_prompts, 64), (PromptsConfig::Fixed { take: 2 }, 0)] {
            config.text_prompts = prompts;
            let model = Model::new(&config, Key::new(3), &Device::flex()).unwrap();
            for blocks in [None, Some(1)] {
                let sizes = model.image_output_sizes(blocks);
                let outputs = model.image_outputs(&images(3, 1), blocks, ComputePrecision::F32);
                assert_eq!(sizes, ImageOutputSizes { tokens: outputs.tokens, width: outputs.width, query });
                assert_eq!((outputs.count(), outputs.queries.len()), (3, 3 * query));
            }
        }
        let weights = |frozen| ImageEncoder::frozen_weights(&config.image, frozen);
        let encoder = Model::new(&config, Key::new(3), &Device::flex()).unwrap().image;
        assert_eq!(weights(Frozen::All), encoder.num_params());
        let last = encoder.blocks.last().unwrap().num_params() + encoder.norm_after.as_ref().unwrap().num_params();
        assert_eq!(weights(Frozen::Layers(encoder.blocks.len() - 1)), encoder.num_params() - last);
    }

    #[test]
    #[should_panic(expected = "have no pixels")]
    fn an_image_without_pixels_is_not_embedded() {
        let model = Model::new(&config(), Key::new(3), &Device::flex()).unwrap();
        model.embed_image(&Images { planes: vec![], ..images(2, 1) }, &Pass::off());
    }
}
