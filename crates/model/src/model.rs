//! The network: two encoders, soft prompts in place of a missing modality, fusion, heads (specification, sections 1 and 2).
//!
//! Shapes: d is the width of the fusion; sequences are packed, see [`Packed`].

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ptu_input::{Batch, Images, Texts};
use ptu_kernels::{Packed, Pass, linear, rows};
use ptu_random::Key;

use crate::config::{ModelConfig, TextConfig};
use crate::layer::{Embedding, Linear};
use crate::means;
use crate::{
    Chosen, CodeUse, Decoder, Fusion, Heads, ImageEncoder, ModelError, PromptSizes, Prompts, StandIn, TextEncoder,
};

/// One network for image-text pairs, images without text and texts without image.
#[derive(Module, Debug)]
pub struct Model {
    /// Image encoder.
    pub image: ImageEncoder,
    /// Text encoder.
    pub text: TextEncoder,
    /// Projection from the width of the image encoder to the width of the fusion.
    pub image_projection: Linear,
    /// Projection from the width of the text encoder to the width of the fusion.
    pub text_projection: Linear,
    /// Modality embeddings: row 0 is added to text tokens, row 1 to image tokens.
    pub modality: Embedding,
    /// Soft prompts in place of a missing image.
    pub image_prompts: Prompts,
    /// Soft prompts in place of a missing text.
    pub text_prompts: Prompts,
    /// Fusion of images and texts.
    pub fusion: Fusion,
    /// Heads.
    pub heads: Heads,
    /// Decoder for reports and summaries.
    pub decoder: Option<Decoder>,
    #[module(skip)]
    config: ModelConfig,
}

impl Model {
    /// A network of zeros, before weights are loaded or initialised.
    pub(crate) fn empty(config: &ModelConfig, device: &Device) -> Result<Self, ModelError> {
        config.check()?;
        let (image, text, d) = (config.image.width, config.text.width, config.fusion.width);
        let fusion = &config.fusion;
        let of_images = PromptSizes { width: image, query: text, special_tokens: 1, fusion };
        let special_tokens = usize::from(config.image.class_token);
        let of_texts = PromptSizes { width: text, query: image, special_tokens, fusion };
        Ok(Self {
            image: ImageEncoder::new(&config.image, device),
            text: TextEncoder::new(&config.text, device),
            image_projection: Linear::new(image, d, device),
            text_projection: Linear::new(text, d, device),
            modality: Embedding::new(2, d, device),
            image_prompts: Prompts::new(config.image_prompts, of_images, device),
            text_prompts: Prompts::new(config.text_prompts, of_texts, device),
            fusion: Fusion::new(config, device),
            heads: Heads::new(config, device),
            decoder: config.decoder.is_some().then(|| Decoder::new(config, device)),
            config: config.clone(),
        })
    }

    /// The codes of both codebooks after a step, see [`crate::Codebook`]; `used` are those of images and of texts.
    #[must_use]
    pub fn with_learned_codes(mut self, used: &[CodeUse; 2], key: Key) -> Self {
        let prompts = [&mut self.image_prompts, &mut self.text_prompts];
        for (index, (prompts, used)) in prompts.into_iter().zip(used).enumerate() {
            prompts.codebook = prompts.codebook.take().map(|codes| codes.learned(used, key, index as u64));
        }
        self
    }

    /// Sizes and options of the network.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The device of the weights.
    pub fn device(&self) -> Device {
        self.modality.weight.val().device()
    }

    /// Embeds images: patch and position embeddings, the input of the image encoder.
    ///
    /// # Panics
    /// If the size of the images is not the configured size; [`Self::check_batch`] checks this.
    pub fn embed_image(&self, images: &Images, pass: &Pass) -> Packed {
        self.image.embed(images, None, pass)
    }

    /// Embeds texts: word, position and token type embeddings, the input of the text encoder.
    pub fn embed_text(&self, texts: &Texts, pass: &Pass) -> Packed {
        self.text.embed(texts, pass)
    }

    /// The start and end tokens around the prompts in place of `count` missing texts, each as a text of one token, to be embedded
    /// together with other texts: first all start tokens, then all end tokens. Without prompts there are no end tokens.
    pub fn edges(&self, count: usize) -> Texts {
        let one = |id: u32| std::iter::repeat_n(id, count);
        let ends = if self.config.text_prompts.count() > 0 { count } else { 0 };
        let ids: Vec<u32> = one(self.config.text.start).chain(one(self.config.text.end).take(ends)).collect();
        Texts { lengths: vec![1; ids.len()], ids }
    }

    /// The input of the image encoder in place of missing images: the class token (if the encoder has one) and the prompts selected by
    /// the texts that are present.
    pub fn image_stand_ins(&self, texts: &Packed, stand_in: StandIn, pass: &Pass) -> (Packed, Chosen) {
        let chosen = self.image_prompts.choose(texts, pass);
        let (table, prompts) = self.image_prompts.vectors(&chosen, &self.device());
        // The class token is the first row, the prompt table follows.
        let special = self.image.special_tokens();
        let lengths = prompts.iter().map(|rows| special + rows.len()).collect();
        let index = prompts.iter().flat_map(|rows| (0..special).chain(rows.iter().map(|row| special + row)));
        let tables: Vec<Tensor<2>> = self.image.class_token().into_iter().chain(table).collect();
        let prompts = match tables.is_empty() {
            true => Tensor::zeros([0, self.config.image.width], &self.device()),
            false => rows(tables, Arc::new(index.collect())),
        };
        (without_prompts(Packed::new(prompts, lengths), [special, 0], stand_in), chosen)
    }

    /// The input of the text encoder in place of missing texts: start token, prompts selected by the images that are present,
    /// end token. The prompts get neither position embeddings nor the layer norm of the embeddings; the start and end tokens
    /// get both: `edges` are the tokens of [`Self::edges`] after embedding.
    pub fn text_stand_ins(&self, images: &Packed, edges: &Packed, stand_in: StandIn, pass: &Pass) -> (Packed, Chosen) {
        self.chosen_text_stand_ins(self.text_prompts.choose(images, pass), edges, stand_in)
    }

    /// The same as [`Self::text_stand_ins`] with prompts that are already selected.
    pub(crate) fn chosen_text_stand_ins(&self, chosen: Chosen, edges: &Packed, stand_in: StandIn) -> (Packed, Chosen) {
        let b = chosen.rows.len();
        let (table, prompts) = self.text_prompts.vectors(&chosen, &self.device());
        let Some(table) = table else { return (edges.clone(), chosen) };
        let sequence = |(text, rows): (usize, &Vec<usize>)| -> Vec<usize> {
            std::iter::once(text).chain(rows.iter().map(|row| 2 * b + row)).chain([b + text]).collect()
        };
        let index: Vec<Vec<usize>> = prompts.iter().enumerate().map(sequence).collect();
        let lengths = index.iter().map(Vec::len).collect();
        let tokens = rows(vec![edges.tokens.clone(), table], Arc::new(index.concat()));
        // The sequence has one special token at each end, so one token at the end is kept.
        (without_prompts(Packed::new(tokens, lengths), [1, 1], stand_in), chosen)
    }

    /// Runs the image encoder and projects its output to the width of the fusion.
    pub fn encode_image(&self, images: &Packed, pass: &Pass) -> Packed {
        let encoded = self.image.merged(self.image.encode(images, pass), images.count());
        self.with_means(self.project(encoded, &self.image_projection, 1, pass))
    }

    /// Runs the text encoder and projects its output to the width of the fusion.
    pub fn encode_text(&self, texts: Packed, pass: &Pass) -> Packed {
        self.with_means(self.project(self.text.encode(texts, pass), &self.text_projection, 0, pass))
    }

    /// Adds the mean of each sequence to its first token, if the fusion is configured so (`fusion.add_mean`).
    pub(crate) fn with_means(&self, x: Packed) -> Packed {
        if self.config.fusion.add_mean { means::added_to_first(&x) } else { x }
    }

    /// Projects every token and adds the modality embedding.
    pub(crate) fn project(&self, x: Packed, projection: &Linear, modality: usize, pass: &Pass) -> Packed {
        let (weight, bias) = projection.parts();
        let bias = bias + self.modality.row(modality).squeeze_dim::<1>(0);
        x.with(linear(x.tokens.clone(), weight, Some(bias), pass.precision))
    }

    /// Checks that the model can process a batch: image size, text length, token ids.
    ///
    /// # Errors
    /// [`ModelError::ImageSize`], [`ModelError::TextTooLong`], [`ModelError::UnknownToken`].
    pub fn check_batch(&self, batch: &Batch) -> Result<(), ModelError> {
        let (image, text) = (&self.config.image, &self.config.text);
        for images in [&batch.pair_images, &batch.images] {
            if images.count > 0 && images.side != image.size {
                return Err(ModelError::ImageSize { found: images.side, expected: image.size });
            }
        }
        for texts in [&batch.pair_texts, &batch.texts] {
            text.check_texts(texts)?;
        }
        Ok(())
    }
}

impl TextConfig {
    /// Checks the length and the ids of texts.
    pub(crate) fn check_texts(&self, texts: &Texts) -> Result<(), ModelError> {
        let tokens = texts.lengths.iter().copied().max().unwrap_or(0);
        if tokens > self.longest() {
            return Err(ModelError::TextTooLong { tokens, longest: self.longest() });
        }
        match texts.ids.iter().find(|&&id| id as usize >= self.vocabulary) {
            Some(&id) => Err(ModelError::UnknownToken { id, vocabulary: self.vocabulary }),
            None => Ok(()),
        }
    }
}

/// Replaces the prompts in these sequences as `stand_in` says. The prompts are all tokens except the first `before` and the last `after`
/// ones; without prompts, those before them are left.
fn without_prompts(stand_ins: Packed, [before, after]: [usize; 2], stand_in: StandIn) -> Packed {
    let (d, device) = (stand_ins.tokens.dims()[1], stand_ins.tokens.device());
    let starts = stand_ins.starts().into_iter().zip(stand_ins.lengths.iter());
    match stand_in {
        StandIn::Prompts => stand_ins,
        StandIn::Nothing => {
            let first = starts.flat_map(|(start, _)| start..start + before).collect();
            stand_ins.pick(first, vec![before; stand_ins.count()])
        }
        StandIn::Zeros => {
            let zeros = stand_ins.tokens.dims()[0];
            let kept = starts.flat_map(|(start, length)| {
                let is_kept = move |position: usize| position < before || position >= length - after;
                (0..*length).map(move |position| if is_kept(position) { start + position } else { zeros })
            });
            let index = Arc::new(kept.collect());
            let tokens = rows(vec![stand_ins.tokens.clone(), Tensor::zeros([1, d], &device)], index);
            Packed::new(tokens, stand_ins.lengths.to_vec())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_replaced_between_the_first_and_the_last_token() {
        let tokens = Tensor::<2>::from_floats([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0]], &Device::flex());
        let of = |after, stand_in| {
            let left = without_prompts(Packed::new(tokens.clone(), vec![4, 3]), [1, after], stand_in);
            (left.tokens.into_data().try_into_vec::<f32>().unwrap(), left.lengths.to_vec())
        };
        assert_eq!(of(1, StandIn::Zeros), (vec![1.0, 0.0, 0.0, 4.0, 5.0, 0.0, 7.0], vec![4, 3]));
        assert_eq!(of(0, StandIn::Zeros), (vec![1.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0], vec![4, 3]));
        assert_eq!(of(1, StandIn::Nothing), (vec![1.0, 5.0], vec![1, 1]));
        assert_eq!(of(1, StandIn::Prompts).1, [4, 3]);
    }
}
