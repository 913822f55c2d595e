//! Each objective can overfit one batch.

use ptu_data::TrainBatch;
use ptu_train::ObjectiveKind;
use ptu_train::optimizer::{Optimizer, OptimizerConfig};

use crate::fixtures::{batch, config, lively_model, step};

fn overfit(kind: ObjectiveKind, batch: &TrainBatch) {
    let mut model = lively_model(&config());
    let config = OptimizerConfig {
        learning_rate: 1e-3,
        fusion: 1.0,
        head: 1.0,
        weight_decay: 0.0,
        ..OptimizerConfig::default()
    };
    let mut optimizer = Optimizer::new(config);
    let first = step(&model, batch, &[kind]).0.total;
    let mut last = first;
    for _ in 0..600 {
        let (outcome, gradients) = step(&model, batch, &[kind]);
        last = outcome.total;
        if last < 0.04 * first {
            return;
        }
        model = optimizer.step(model, &gradients, 1.0);
    }
    panic!("{kind} fell from {first} to {last} only");
}

#[test]
fn masked_words_overfit_one_batch() {
    overfit(ObjectiveKind::Mlm, &batch());
}

#[test]
fn matching_overfits_one_batch() {
    overfit(ObjectiveKind::Itm, &batch());
}

#[test]
fn contrast_overfits_one_batch() {
    overfit(ObjectiveKind::Itc, &batch());
}

#[test]
fn masked_words_of_texts_without_an_image_overfit_one_batch() {
    let all = batch();
    overfit(ObjectiveKind::Mlm, &TrainBatch { masked_texts: all.masked_texts, ..TrainBatch::default() });
}
