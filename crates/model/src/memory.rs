//! What the decoder attends to, for a mixed batch (specification, section 1.7): the states after the fusion of all image tokens
//! and text tokens, without padding or, for comparison with the published program, with it.
//!
//! Sequences are packed, so padding tokens do not exist. In the published program they attend to the tokens of their text and
//! image, nothing but the decoder attends to them. Their states are therefore computed beside the others.

use burn::tensor::Tensor;
use ptu_input::{Batch, Images, Slot};
use ptu_kernels::{Packed, Pass};

use crate::config::{MemoryMask, TextStyle};
use crate::forward::Row;
use crate::two_stream::run_if_any;
use crate::{Decoder, Fused, Model, ModelError, Read, StandIn};

/// States after the fusion, with those of padding behind each text.
struct Padded {
    fused: Fused,
    padding: Packed,
}

impl Model {
    /// The decoder.
    ///
    /// # Errors
    /// [`ModelError::NoHead`] when the model has none.
    pub fn decoder(&self) -> Result<&Decoder, ModelError> {
        self.decoder.as_ref().ok_or(ModelError::NoHead { head: "decoder" })
    }

    /// What the decoder attends to for each record of a mixed batch, in the order of the records: `[rows, d]`. Prompts take the
    /// place of missing modalities. With [`MemoryMask::Published`], texts are padded to `padded` tokens, the largest length of
    /// a text in training; otherwise `padded` has no effect.
    ///
    /// # Errors
    /// When the model has no decoder or the batch does not fit the model: see [`Self::check_batch`].
    pub fn decoder_memory(&self, batch: &Batch, padded: usize, pass: &Pass) -> Result<Packed, ModelError> {
        let decoder = self.decoder()?;
        self.check_batch(batch)?;
        let mask = self.config().decoder.map(|decoder| decoder.memory_mask).unwrap_or_default();
        if batch.is_empty() {
            let d = self.config().text.width;
            return Ok(Packed::new(Tensor::zeros([0, d], &self.device()), vec![]));
        }
        match mask {
            MemoryMask::Valid => {
                let read = vec![Read::All; batch.len()];
                let fused = self.forward_pass(batch, &read, StandIn::Prompts, pass);
                Ok(decoder.memory(&[&fused.image, &fused.text], pass))
            }
            MemoryMask::Published => Ok(self.published_memory(decoder, batch, padded, pass)),
        }
    }

    /// The memory with padding behind each text. A record without text has none: prompts are never padded.
    fn published_memory(&self, decoder: &Decoder, batch: &Batch, padded: usize, pass: &Pass) -> Packed {
        let mut parts = vec![];
        let texts = batch.pair_texts.count() + batch.texts.count();
        if texts > 0 {
            let Padded { fused, padding } = self.padded(batch, padded, pass);
            parts.push(decoder.memory(&[&fused.image, &fused.text, &padding], pass));
        }
        if batch.images.count > 0 {
            let order = (0..batch.images.count).map(Slot::Image).collect();
            let images = Batch { images: batch.images.clone(), order, ..Batch::default() };
            let fused = self.forward_pass(&images, &vec![Read::All; images.len()], StandIn::Prompts, pass);
            parts.push(decoder.memory(&[&fused.image, &fused.text], pass));
        }
        let pairs = batch.pair_texts.count();
        Packed::cat(&parts).select(batch.order.iter().map(|slot| match *slot {
            Slot::Pair(row) => row,
            Slot::Text(row) => pairs + row,
            Slot::Image(row) => texts + row,
        }))
    }

    /// Runs the pairs and the texts without image of a batch, in this order, with padding behind each text.
    fn padded(&self, batch: &Batch, padded: usize, pass: &Pass) -> Padded {
        let texts = ptu_input::Texts::cat([&batch.pair_texts, &batch.texts]);
        let embedded = self.embed_text(&texts, pass);
        let known = self.known_outputs(&[&batch.pair_images], (0..batch.pair_images.count).map(Row::from));
        let none = Images::default();
        let images = self.embed_image(if known.is_none() { &batch.pair_images } else { &none }, pass);
        let alone = batch.pair_texts.count()..texts.count();
        let stand_ins = self.image_stand_ins(&embedded.select(alone), StandIn::Prompts, pass).0;
        let image = self.encode_images(known, images, &[stand_ins], pass);
        let counts: Vec<usize> = texts.lengths.iter().map(|length| padded.saturating_sub(*length)).collect();
        let mut padding = self.embed_padding(&texts.lengths, counts, pass);
        let mut text = embedded;
        for layer in &self.text.layers {
            let run = |padding: &Packed| {
                pass.block(layer, &[padding, &text], |layer, x, pass| layer.forward_some(x[0], x[1], pass))
            };
            padding = run_if_any(&padding, run);
            text = pass.block(layer, &[&text], |layer, x, pass| layer.forward(x[0], pass));
        }
        let [text, padding] = [text, padding].map(|x| self.project(x, &self.text_projection, 0, pass));
        let text = self.with_means(text);
        let (fused, padding) = self.fusion.forward_padded(image, text, padding, pass);
        Padded { fused, padding }
    }

    /// Embeds `counts[i]` padding tokens behind a text of `lengths[i]` tokens. RoBERTa gives all of them the position of padding.
    fn embed_padding(&self, lengths: &[usize], counts: Vec<usize>, pass: &Pass) -> Packed {
        let config = &self.config().text;
        let position = |length: usize, place: usize| match config.style {
            TextStyle::Roberta => config.padding as usize,
            // The published program cannot pad beyond the position embeddings either.
            TextStyle::Bert => (length + place).min(config.positions - 1),
        };
        let positions =
            lengths.iter().zip(&counts).flat_map(|(&length, &count)| (0..count).map(move |place| (length, place)));
        let positions: Vec<usize> = positions.map(|(length, place)| position(length, place)).collect();
        let ids = vec![config.padding; positions.len()];
        match ids.is_empty() {
            true => Packed::new(Tensor::zeros([0, config.width], &self.device()), counts),
            false => Packed::new(self.text.tables().embed(&ids, positions, pass), counts),
        }
    }
}
