//! States inside the network, for studies of what a completed input carries from layer to layer.

use burn::tensor::Tensor;
use ptu_input::Batch;
use ptu_kernels::{ComputePrecision, Packed, Pass, in_pool};

use crate::config::PromptsConfig;
use crate::forward::{ForwardPlan, Inputs};
use crate::names::is_prompt;
use crate::prompt::host;
use crate::weights::Array;
use crate::{Fused, Model, ModelError, Read, StandIn};

/// Sums of embedded tokens, before the encoders, without class tokens.
#[derive(Clone, Debug)]
pub struct EmbeddingSums {
    /// Sum of the patches, as wide as the image encoder.
    pub patches: Vec<f64>,
    /// Number of patches.
    pub patch_count: usize,
    /// Sum of the words, as wide as the text encoder.
    pub words: Vec<f64>,
    /// Number of words.
    pub word_count: usize,
}

impl Model {
    /// The states of the first tokens of text and image after each layer of the fusion, from the first layer to the last, and the pooled
    /// features: `[records, 2d]` each, text first. `stand_in` says what takes the place of a missing modality.
    ///
    /// # Errors
    /// When the batch does not fit the model: see [`Self::check_batch`].
    pub fn states_by_layer(
        &self,
        batch: &Batch,
        stand_in: StandIn,
        precision: ComputePrecision,
    ) -> Result<(Vec<Tensor<2>>, Tensor<2>), ModelError> {
        self.check_batch(batch)?;
        let (read, pass) = (vec![Read::Pooled; batch.len()], Pass::off().with(precision));
        let plan = ForwardPlan::of_batch(batch, &read);
        Ok(in_pool(|| {
            let encoded = self.encode(&Inputs::of(batch), &plan, stand_in, &pass);
            let after = |layers: usize| self.fuse_to(&encoded, plan.pairs(), layers, &pass);
            let first_tokens = |fused: &Fused| {
                let first = |x: &Packed| x.first_tokens(0..x.count());
                Tensor::cat(vec![first(&fused.text), first(&fused.image)], 1)
            };
            let last = after(self.config().fusion.layers);
            let before = (1..self.config().fusion.layers).map(|layers| first_tokens(&after(layers)));
            (before.chain([first_tokens(&last)]).collect(), self.pool(&last, 0..batch.len()))
        }))
    }

    /// Adds the embedded patches and words of a batch of pairs to sums.
    ///
    /// # Errors
    /// When the batch does not fit the model: see [`Self::check_batch`].
    pub fn add_embeddings(&self, batch: &Batch, sums: &mut EmbeddingSums) -> Result<(), ModelError> {
        self.check_batch(batch)?;
        let off = Pass::off();
        let (images, texts) =
            in_pool(|| (self.embed_image(&batch.pair_images, &off), self.embed_text(&batch.pair_texts, &off)));
        let special = self.image.special_tokens();
        sums.patch_count += add(&images, special, &mut sums.patches);
        sums.word_count += add(&texts, 1, &mut sums.words);
        Ok(())
    }

    /// Sums of no embeddings.
    pub fn no_embeddings(&self) -> EmbeddingSums {
        let (patches, words) = (vec![0.0; self.config().image.width], vec![0.0; self.config().text.width]);
        EmbeddingSums { patches, patch_count: 0, words, word_count: 0 }
    }

    /// The same model with one fixed prompt in place of each missing modality: the mean of these embeddings.
    ///
    /// # Errors
    /// When the configuration is not valid.
    pub fn with_mean_prompts(&self, sums: &EmbeddingSums) -> Result<Self, ModelError> {
        let mut config = self.config().clone();
        config.image_prompts = PromptsConfig::Fixed { take: 1 };
        config.text_prompts = PromptsConfig::Fixed { take: 1 };
        let mut arrays = self.to_arrays();
        arrays.retain(|name, _| !is_prompt(name));
        for (name, sum, count) in [
            ("pseudo_vision_token_pool", &sums.patches, sums.patch_count),
            ("pseudo_language_token_pool", &sums.words, sums.word_count),
        ] {
            let values: Vec<f32> = sum.iter().map(|sum| (sum / count.max(1) as f64) as f32).collect();
            arrays.insert(name.into(), Array { shape: vec![1, values.len()], values });
        }
        Ok(Self::from_arrays(&config, arrays, &self.device(), std::path::Path::new("memory"))?.0)
    }
}

/// Adds the tokens of each sequence behind its first `skipped` ones to a sum; the number of these tokens.
fn add(x: &Packed, skipped: usize, sum: &mut [f64]) -> usize {
    let (values, d) = (host(x.tokens.clone()), sum.len());
    let mut count = 0;
    for (start, length) in x.starts().into_iter().zip(x.lengths.iter()) {
        for token in values[(start + skipped.min(*length)) * d..(start + length) * d].chunks_exact(d) {
            sum.iter_mut().zip(token).for_each(|(sum, value)| *sum += f64::from(*value));
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ptu_input::{Image, Input, Text};
    use ptu_random::{Key, Place};

    use super::*;
    use crate::{Preset, TextStyle};

    fn batch(side: usize) -> Batch {
        let mut stream = Key::new(1).stream(Place::Sample, 0);
        let mut pair = |ids: Vec<u32>| {
            let image = Image::new(side, (0..3 * side * side).map(|_| stream.normal() as f32).collect());
            Input::Pair { image, text: Text { words: vec![None; ids.len()], ids } }
        };
        Batch::collect(&[pair(vec![0, 5, 6, 2]), pair(vec![0, 7, 2])])
    }

    #[test]
    fn the_last_layer_is_what_the_poolers_read() {
        let config = Preset::Tiny.config(TextStyle::Roberta, 50, [0, 2, 1]);
        let model = Model::new(&config, Key::new(3), &Device::flex()).unwrap();
        let batch = batch(config.image.size);
        let (layers, features) = model.states_by_layer(&batch, StandIn::Prompts, ComputePrecision::F32).unwrap();
        assert_eq!((layers.len(), layers[0].dims()), (config.fusion.layers, [2, 2 * config.fusion.width]));
        let d = config.fusion.width;
        let last = layers[layers.len() - 1].clone();
        let pooled = [(0, &model.fusion.text_pooler), (d, &model.fusion.image_pooler)]
            .map(|(from, pooler)| pooler.forward(last.clone().narrow(1, from, d), &Pass::off()).tanh());
        let expected = host(model.features(&batch, ComputePrecision::F32).unwrap());
        let found = host(Tensor::cat(pooled.to_vec(), 1));
        assert!(found.iter().zip(&expected).all(|(x, y)| (x - y).abs() < 1e-5));
        assert_eq!(host(features), expected);
    }

    #[test]
    fn a_mean_prompt_is_the_mean_of_the_embeddings() {
        let config = Preset::Tiny.config(TextStyle::Roberta, 50, [0, 2, 1]);
        let model = Model::new(&config, Key::new(3), &Device::flex()).unwrap();
        let mut sums = model.no_embeddings();
        model.add_embeddings(&batch(config.image.size), &mut sums).unwrap();
        assert_eq!((sums.patch_count, sums.word_count), (2 * 64, 3 + 2));
        let with = model.with_mean_prompts(&sums).unwrap();
        let table = host(with.text_prompts.table.as_ref().unwrap().val());
        assert!((f64::from(table[0]) - sums.words[0] / 5.0).abs() < 1e-6);
        assert_eq!(with.config().image_prompts, PromptsConfig::Fixed { take: 1 });
    }
}
