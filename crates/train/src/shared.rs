//! Unimodal encodings of one step: each computed once, when the first objective asks, and shared by all (ARCHITECTURE).

use std::cell::{OnceCell, RefCell};

use burn::tensor::{Int, Tensor, TensorData};
use ptu_model::{Chosen, Dropout, ImageEmbedded, ImageTokens, Model, TextEmbedded, TextTokens};
use ptu_random::Key;

use crate::batch::{Partners, StepBatch};
use crate::recipe::PartnerChoice;

/// What the objectives of a step see: the model, the batch, and encodings that are computed on demand.
pub struct Shared<'a> {
    /// The network.
    pub model: &'a Model,
    /// The arrays.
    pub batch: &'a StepBatch,
    /// Dropout of this step.
    pub dropout: &'a Dropout,
    key: Key,
    choice: PartnerChoice,
    image_embedded: OnceCell<ImageEmbedded>,
    image_tokens: OnceCell<ImageTokens>,
    text_embedded: OnceCell<TextEmbedded>,
    text_tokens: OnceCell<TextTokens>,
    similarity: OnceCell<Option<Tensor<2>>>,
    partners: OnceCell<Partners>,
    chosen: RefCell<ChosenRows>,
}

/// Rows of the prompt tables that a step chose, one list an input.
#[derive(Clone, Debug, Default)]
pub struct ChosenRows {
    /// Stand-ins for images.
    pub image: Vec<Vec<usize>>,
    /// Stand-ins for texts.
    pub text: Vec<Vec<usize>>,
}

impl<'a> Shared<'a> {
    /// Nothing is computed yet. `key` names the step (partners are drawn from it).
    pub fn new(model: &'a Model, batch: &'a StepBatch, dropout: &'a Dropout, key: Key, choice: PartnerChoice) -> Self {
        Self {
            model,
            batch,
            dropout,
            key,
            choice,
            image_embedded: OnceCell::new(),
            image_tokens: OnceCell::new(),
            text_embedded: OnceCell::new(),
            text_tokens: OnceCell::new(),
            similarity: OnceCell::new(),
            partners: OnceCell::new(),
            chosen: RefCell::default(),
        }
    }

    /// All images, false partners of the batch included, embedded: `[rows, n, d_image]`.
    fn images_embedded(&self) -> &ImageEmbedded {
        self.image_embedded.get_or_init(|| self.model.embed_image(&self.batch.images))
    }

    /// All images, encoded: `[rows, n, d]`.
    fn images(&self) -> &ImageTokens {
        self.image_tokens.get_or_init(|| self.model.encode_image(self.images_embedded().clone()))
    }

    /// Images of the pairs, `[b, n, d]`.
    pub fn pair_images(&self) -> ImageTokens {
        ImageTokens(first(&self.images().0, self.batch.pairs()))
    }

    /// Images by row, `[rows.len(), n, d]`.
    pub fn images_at(&self, rows: &[usize]) -> ImageTokens {
        let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let rows: Tensor<1, Int> = Tensor::from_data(TensorData::new(rows.clone(), [rows.len()]), &self.model.device());
        ImageTokens(self.images().0.clone().select(0, rows))
    }

    fn texts_embedded(&self) -> &TextEmbedded {
        self.text_embedded.get_or_init(|| self.model.embed_text(&self.batch.texts, self.dropout))
    }

    /// Unmasked texts of the pairs, encoded.
    pub fn texts(&self) -> TextTokens {
        self.text_tokens.get_or_init(|| self.model.encode_text(self.texts_embedded().clone(), self.dropout)).clone()
    }

    /// Similarity of every image alone with every text alone, over temperature: `[b, b]`, images in rows. `None` without
    /// pairs or without the head.
    pub fn similarity(&self) -> Option<Tensor<2>> {
        self.similarity
            .get_or_init(|| {
                let head = self.model.heads.itc.as_ref().filter(|_| self.batch.pairs() > 0)?;
                let embedded = ImageEmbedded(first(&self.images_embedded().0, self.batch.pairs()));
                let (text, chosen) = self.model.complete_text(&embedded, self.dropout);
                self.chosen.borrow_mut().text.extend(chosen.rows);
                let text = self.model.encode_text(text, self.dropout);
                let image_alone = self.model.fuse_pooled(self.pair_images(), text, self.dropout); // [b, 2d]
                let (image, chosen) = self.model.complete_image(self.texts_embedded());
                self.note_image_prompts(&chosen);
                let image = self.model.encode_image(image);
                let text_alone = self.model.fuse_pooled(image, self.texts(), self.dropout); //       [b, 2d]
                Some(head.similarity(head.image(image_alone), head.text(text_alone)))
            })
            .clone()
    }

    /// Who is matched with whom: as given, or drawn from the step's key.
    pub fn partners(&self) -> &Partners {
        self.partners.get_or_init(|| {
            self.batch.partners.clone().unwrap_or_else(|| match self.choice {
                PartnerChoice::Random => self.batch.draw_partners(self.key, None),
                PartnerChoice::Hard => self.batch.draw_partners(self.key, self.hardness().as_deref()),
            })
        })
    }

    /// For text i and image j how hard they are to tell apart, exp(similarity / temperature), without gradient.
    fn hardness(&self) -> Option<Vec<f64>> {
        let similarity = self.similarity()?.transpose(); // [b, b], texts in rows
        let b = similarity.dims()[0];
        let values: Vec<f32> = similarity.inner().into_data().try_into_vec().expect("the model computes in f32");
        let weights = values.chunks_exact(b).flat_map(|row| {
            // Over the row's largest, so that no exponential overflows; a common factor does not change a draw.
            let largest = row.iter().copied().fold(f32::MIN, f32::max);
            row.iter().map(move |value| f64::from(value - largest).exp()).collect::<Vec<_>>()
        });
        Some(weights.collect())
    }

    /// Notes which prompts stood in for images.
    pub fn note_image_prompts(&self, chosen: &Chosen) {
        self.chosen.borrow_mut().image.extend(chosen.rows.iter().cloned());
    }

    /// Every choice of prompts in this step.
    pub fn into_chosen(self) -> ChosenRows {
        self.chosen.into_inner()
    }
}

/// The first `rows` of `x`.
fn first(x: &Tensor<3>, rows: usize) -> Tensor<3> {
    if x.dims()[0] == rows { x.clone() } else { x.clone().narrow(0, 0, rows) }
}
