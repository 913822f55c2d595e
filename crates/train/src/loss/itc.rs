//! Image-text contrast (contrastive learning). Each image is encoded without its text and each text without its image, with
//! prompts in place of the missing modality. Image and text of a pair must be the most similar in the batch (specification,
//! section 3).

use burn::tensor::{Tensor, TensorData};
use ptu_data::TrainBatch;
use ptu_kernels::cross_entropy;
use ptu_model::Read;
use ptu_model::forward::FusedPair;
use ptu_random::Key;

use super::answers;
use crate::forward::StepForward;
use crate::objective::{Loss, Objective};

/// Image-text contrast.
pub struct Itc;

impl Objective for Itc {
    fn pairs(&self, batch: &TrainBatch, _key: Key) -> Vec<FusedPair> {
        let [images, texts] = unpaired(batch);
        [images, texts].concat()
    }

    fn loss(&self, step: &StepForward<'_>) -> Option<Loss> {
        let mask = duplicate_mask(step.batch.pairs(), |i, j| step.batch.same(i, j));
        contrastive_loss(Self::similarity(step)?, mask)
    }
}

impl Itc {
    /// The vectors of every image without its text, and of every text without its image. `None` if there are no pairs or no head.
    pub fn vectors(step: &StepForward<'_>) -> Option<Vectors> {
        let head = step.model.heads.itc.as_ref().filter(|_| step.batch.pairs() > 0)?;
        let [images, texts] = unpaired(step.batch).map(|pairs| step.pooled(&pairs)); // [b, 2d]
        Some(Vectors { images: head.image(images), texts: head.text(texts) })
    }

    /// Similarities of every image with every text, divided by the temperature: `[b, b]`, images in rows. `None` if there are
    /// no pairs or no head.
    pub fn similarity(step: &StepForward<'_>) -> Option<Tensor<2>> {
        let Vectors { images, texts } = Self::vectors(step)?;
        Some(step.model.heads.itc.as_ref()?.similarity(images, texts))
    }
}

/// The contrast of one micro-batch when the contrast over the whole batch was already computed: the vectors of the micro-batch
/// receive their gradient from it.
pub struct CachedItc {
    /// The gradient of the vectors of this micro-batch; `None` if there is none, for example without pairs.
    pub gradient: Option<Vectors>,
}

impl Objective for CachedItc {
    fn pairs(&self, batch: &TrainBatch, key: Key) -> Vec<FusedPair> {
        Itc.pairs(batch, key)
    }

    fn loss(&self, step: &StepForward<'_>) -> Option<Loss> {
        let gradient = self.gradient.as_ref()?;
        Some(Loss::new(Itc::vectors(step)?.dot(gradient), vec![]))
    }

    fn is_measured(&self) -> bool {
        false
    }
}

/// Every image of the pairs with prompts in place of its text, and every text with prompts in place of its image.
fn unpaired(batch: &TrainBatch) -> [Vec<FusedPair>; 2] {
    let rows = || 0..batch.pairs();
    let images = rows().map(|row| FusedPair::image_alone(row, Read::Pooled)).collect();
    let texts = rows().map(|row| FusedPair::text_alone(row, Read::Pooled)).collect();
    [images, texts]
}

/// Vectors of length 1 of the images and of the texts of a batch, `[b, d]`, each encoded without the other modality.
#[derive(Clone, Debug)]
pub struct Vectors {
    /// Vectors of the images.
    pub images: Tensor<2>,
    /// Vectors of the texts.
    pub texts: Tensor<2>,
}

impl Vectors {
    /// The dot product of the vectors with a given gradient. The derivative of this number by the vectors is the given gradient.
    pub fn dot(&self, gradient: &Self) -> Tensor<1> {
        let sum = |vectors: &Tensor<2>, gradient: &Tensor<2>| (vectors.clone() * gradient.clone().autodiff()).sum();
        sum(&self.images, &gradient.images) + sum(&self.texts, &gradient.texts)
    }
}

/// The contrastive loss of `[b, b]` logits, images in rows; `mask` is added to the logits. `None` for fewer than two pairs.
pub fn contrastive_loss(logits: Tensor<2>, mask: Option<Vec<f32>>) -> Option<Loss> {
    let b = logits.dims()[0];
    if b < 2 {
        return None;
    }
    let logits = match mask {
        Some(mask) => {
            let mask = Tensor::from_data(TensorData::new(mask, [b, b]), &logits.device());
            logits + mask
        }
        None => logits,
    };
    let classes: Vec<usize> = (0..b).collect();
    let transposed = logits.clone().transpose();
    let answers = [answers(&logits, &classes), answers(&transposed, &classes)].concat();
    let value = (cross_entropy(logits, &classes) + cross_entropy(transposed, &classes)).div_scalar(2.0);
    Some(Loss::new(value, answers))
}

/// The mask for `[b, b]` logits that prevents two records with the same image or the same text from being negatives of each
/// other. It is the most negative number for such records, as `same` says, and 0 elsewhere; `None` when all records differ.
pub fn duplicate_mask(b: usize, same: impl Fn(usize, usize) -> bool) -> Option<Vec<f32>> {
    let mask: Vec<f32> = (0..b * b)
        .map(|cell| (cell / b, cell % b))
        .map(|(i, j)| if i != j && same(i, j) { f32::MIN } else { 0.0 })
        .collect();
    mask.iter().any(|value| *value != 0.0).then_some(mask)
}
