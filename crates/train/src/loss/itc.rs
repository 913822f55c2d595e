//! Image-text contrast: an image alone and a text alone, prompts standing in for the rest, must find each other among all
//! of the batch (specification, section 3).

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
        let [images, texts] = alone(batch);
        [images, texts].concat()
    }

    fn loss(&self, step: &StepForward<'_>) -> Option<Loss> {
        let hidden = same(step.batch.pairs(), |i, j| step.batch.same(i, j));
        contrast(Self::similarity(step)?, hidden)
    }
}

impl Itc {
    /// Vectors of every image alone and every text alone. `None` without pairs or without the head.
    pub fn vectors(step: &StepForward<'_>) -> Option<Vectors> {
        let head = step.model.heads.itc.as_ref().filter(|_| step.batch.pairs() > 0)?;
        let [images, texts] = alone(step.batch).map(|pairs| step.pooled(&pairs)); // [b, 2d]
        Some(Vectors { images: head.image(images), texts: head.text(texts) })
    }

    /// Similarity of every image alone with every text alone, over temperature: `[b, b]`, images in rows. `None` as for
    /// [`Self::vectors`].
    pub fn similarity(step: &StepForward<'_>) -> Option<Tensor<2>> {
        let Vectors { images, texts } = Self::vectors(step)?;
        Some(step.model.heads.itc.as_ref()?.similarity(images, texts))
    }
}

/// The contrast of a part of a batch, where one over all parts was computed before: the part's vectors get their gradient of
/// it, where they had part in it.
pub struct CachedItc {
    /// The gradient of the part's vectors.
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

/// Every image of the pairs with a stand-in for its text, and every text with one for its image.
fn alone(batch: &TrainBatch) -> [Vec<FusedPair>; 2] {
    let rows = || 0..batch.pairs();
    let images = rows().map(|row| FusedPair::image_alone(row, Read::Pooled)).collect();
    let texts = rows().map(|row| FusedPair::text_alone(row, Read::Pooled)).collect();
    [images, texts]
}

/// Unit vectors of each image alone and of each text alone, `[b, d]`.
#[derive(Clone, Debug)]
pub struct Vectors {
    /// Of images.
    pub images: Tensor<2>,
    /// Of texts.
    pub texts: Tensor<2>,
}

impl Vectors {
    /// The sum of products with a gradient: its own gradient with respect to the vectors is that one.
    pub fn dot(&self, gradient: &Self) -> Tensor<1> {
        let sum = |of: &Tensor<2>, gradient: &Tensor<2>| (of.clone() * gradient.clone().autodiff()).sum();
        sum(&self.images, &gradient.images) + sum(&self.texts, &gradient.texts)
    }
}

/// The loss of `[b, b]` logits, images in rows; `hidden` is added to them. `None` for fewer than two pairs.
pub fn contrast(logits: Tensor<2>, hidden: Option<Vec<f32>>) -> Option<Loss> {
    let b = logits.dims()[0];
    if b < 2 {
        return None;
    }
    let logits = match hidden {
        Some(hidden) => {
            let hidden = Tensor::from_data(TensorData::new(hidden, [b, b]), &logits.device());
            logits + hidden
        }
        None => logits,
    };
    let classes: Vec<usize> = (0..b).collect();
    let transposed = logits.clone().transpose();
    let answers = [answers(&logits, &classes), answers(&transposed, &classes)].concat();
    let value = (cross_entropy(logits, &classes) + cross_entropy(transposed, &classes)).div_scalar(2.0);
    Some(Loss::new(value, answers))
}

/// What is added to `[b, b]` logits so that two records with the same image or the same text are no negatives of each
/// other: the most negative number there, 0 elsewhere; `None` when all differ.
pub fn same(b: usize, same: impl Fn(usize, usize) -> bool) -> Option<Vec<f32>> {
    let hidden: Vec<f32> = (0..b * b)
        .map(|cell| (cell / b, cell % b))
        .map(|(i, j)| if i != j && same(i, j) { f32::MIN } else { 0.0 })
        .collect();
    hidden.iter().any(|value| *value != 0.0).then_some(hidden)
}
