//! Each objective can overfit one batch.

use ptu_data::TrainBatch;
use ptu_input::Batch;
use ptu_model::Model;
use ptu_train::ObjectiveKind;
use ptu_train::gradients::Gradients;
use ptu_train::optimizer::{Optimizer, OptimizerConfig};
use ptu_train::step::Outcome;

use crate::fixtures::{batch, lively_model, step, with_each_fusion};

/// Trains on one batch until the loss is below 4 % of the first one; `step` gives the outcome and the gradients of the step with this
/// number. Returns the last outcome.
pub fn overfit(mut model: Model, step: impl Fn(&Model, u64) -> (Outcome, Gradients)) -> Outcome {
    let rates = OptimizerConfig {
        learning_rate: 1e-3,
        fusion: 1.0,
        head: 1.0,
        weight_decay: 0.0,
        ..OptimizerConfig::default()
    };
    let mut optimizer = Optimizer::new(rates);
    let first = step(&model, 0).0.total;
    let mut last = first;
    for number in 0..600 {
        let (outcome, gradients) = step(&model, number);
        last = outcome.total;
        if last < 0.04 * first {
            return outcome;
        }
        model = optimizer.step(model, &gradients, 1.0);
    }
    panic!("the loss fell from {first} to {last} only");
}

fn overfit_objective(kind: ObjectiveKind, batch: &TrainBatch) {
    for config in with_each_fusion() {
        overfit(lively_model(&config), |model, _| step(model, batch, &[kind]));
    }
}

#[test]
fn masked_words_overfit_one_batch() {
    overfit_objective(ObjectiveKind::Mlm, &batch());
}

#[test]
fn matching_overfits_one_batch() {
    overfit_objective(ObjectiveKind::Itm, &batch());
}

#[test]
fn contrast_overfits_one_batch() {
    overfit_objective(ObjectiveKind::Itc, &batch());
}

#[test]
fn masked_words_of_texts_without_an_image_overfit_one_batch() {
    let all = batch();
    overfit_objective(ObjectiveKind::Mlm, &TrainBatch { masked_texts: all.masked_texts, ..TrainBatch::default() });
}

#[test]
fn masked_words_of_pairs_without_their_images_overfit_one_batch() {
    overfit_objective(ObjectiveKind::MlmTextOnly, &batch());
}

#[test]
fn removed_patches_overfit_one_batch() {
    overfit_objective(ObjectiveKind::Mim, &batch());
}

#[test]
fn removed_patches_of_images_without_a_text_overfit_one_batch() {
    overfit_objective(ObjectiveKind::MimImageOnly, &batch());
    // Records without a text take part in masked image modelling itself.
    let images = Batch { images: batch().batch.pair_images, ..Batch::default() };
    overfit_objective(ObjectiveKind::Mim, &TrainBatch { batch: images, ..TrainBatch::default() });
}
