//! Fine-tuning for image-text retrieval: its objective reaches every weight and overfits one batch.

use ptu_data::TrainBatch;
use ptu_model::config::HeadKind;
use ptu_model::{Model, ModelConfig};
use ptu_random::Key;
use ptu_tasks::retrieval::Ranking;
use ptu_train::gradients::Gradients;
use ptu_train::objective::Weighted;
use ptu_train::step::{self, Outcome, StepConfig};

use crate::fixtures::{batch, config, largest, lively_model, pairs};
use crate::gradients::paths;
use crate::overfit::overfit;

fn ranking_model() -> Model {
    lively_model(&ModelConfig { heads: vec![HeadKind::Retrieval], ..config() })
}

fn step(model: &Model, batch: &TrainBatch, negatives: usize, key: Key) -> (Outcome, Gradients) {
    let objective = Weighted { name: "retrieval".into(), weight: 1.0, objective: Box::new(Ranking { negatives }) };
    step::gradients(model, batch, &[objective], &StepConfig::default(), key)
}

#[test]
fn every_weight_but_the_prompts_gets_a_gradient() {
    let model = ranking_model();
    let (outcome, gradients) = step(&model, &batch(), 2, Key::new(3));
    let measured = outcome.objectives["retrieval"];
    assert!(measured.scored == 4 && measured.loss > 0.01, "{measured:?}");
    let mut reached = vec![];
    for (path, _) in paths(&model) {
        let value = largest(&gradients, &path);
        if path.starts_with("image_prompts") || path.starts_with("text_prompts") {
            assert_eq!(value, None, "pairs need no prompts, so {path} stays as it is");
        } else if path.ends_with("key.bias") {
            assert!(value.is_some_and(|value| value < 1e-6), "{path}: key biases cancel in exact arithmetic");
        } else if path == "heads.retrieval.bias" {
            assert!(value.is_some_and(|value| value < 1e-6), "a shift of all scores changes no ranking: {value:?}");
        } else {
            assert!(value.is_some_and(|value| value > 1e-7), "{path} gets a gradient of at most {value:?}");
        }
        reached.push(path);
    }
    assert!(reached.iter().any(|path| path == "heads.retrieval.weight"), "{reached:?}");
}

#[test]
fn the_number_of_false_texts_and_the_key_change_the_loss() {
    let (model, batch) = (ranking_model(), batch());
    let loss = |negatives, key: u64| step(&model, &batch, negatives, Key::new(key)).0.total;
    assert_eq!(loss(2, 3), loss(2, 3));
    assert_ne!(loss(1, 3), loss(2, 3));
    assert_eq!(loss(3, 3), loss(15, 3), "there are three false texts");
    assert!((0..5).any(|key| loss(1, key) != loss(1, 3)));
    // Four pairs of the same image: no false text.
    let (outcome, _) = step(&model, &pairs(0..4, &[7; 4]), 3, Key::new(3));
    assert!(outcome.objectives.is_empty());
    // The third image is alone with the first two, which are equal.
    let (outcome, _) = step(&model, &pairs(0..3, &[7, 7, 8]), 3, Key::new(3));
    assert_eq!((outcome.objectives["retrieval"].scored, outcome.counts.get("without_negative")), (3, Some(&0)));
}

#[test]
fn ranking_overfits_one_batch() {
    let batch = batch();
    let last = overfit(ranking_model(), |model, number| step(model, &batch, 3, Key::new(3).at(number)));
    assert_eq!(last.objectives["retrieval"].right, 4);
}
