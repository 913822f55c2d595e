//! Tasks that write texts: which weights learn, and that one batch can be overfitted.

use std::path::Path;

use ptu_data::{Record, TrainBatch, TrainRecord};
use ptu_input::{Batch, Images, Slot, Texts};
use ptu_model::Model;
use ptu_model::config::DecoderConfig;
use ptu_random::Key;
use ptu_tasks::supervised::FineTuning;
use ptu_train::Recipe;
use ptu_train::gradients::Gradients;
use ptu_train::step::{Outcome, StepConfig, gradients};
use ptu_train::task::Task;

use crate::fixtures::{config, image, largest, lively_model, text};
use crate::gradients::paths;
use crate::overfit::overfit;

fn task() -> FineTuning {
    let recipe = "data = [\"a\"]\n[train]\nsteps = 1\n[task]\nkind = \"report\"\n";
    FineTuning::of(&Recipe::parse(recipe, Path::new("r.toml"), &[]).unwrap())
}

fn model() -> Model {
    let task = task();
    let config = ptu_model::ModelConfig { heads: task.heads(), decoder: task.decoder(), ..config() };
    assert_eq!(config.decoder, Some(DecoderConfig::default()));
    lively_model(&config)
}

/// Two pairs, an image without a text and a text without an image, each with a target.
fn batch() -> TrainBatch {
    let texts = |range: std::ops::Range<u64>| {
        Texts::collect(range.map(text).collect::<Vec<_>>().iter().map(|text| text.ids.as_slice()))
    };
    let images = |range: std::ops::Range<u64>| Images::collect(&range.map(image).collect::<Vec<_>>());
    let record = |number: u64| TrainRecord {
        source: 0,
        record: Record::default(),
        image_hash: None,
        own_texts: vec![],
        target: Some(text(20 + number).ids),
    };
    TrainBatch {
        batch: Batch {
            pair_images: images(0..2),
            pair_texts: texts(0..2),
            images: images(2..3),
            texts: texts(3..4),
            order: vec![Slot::Text(0), Slot::Pair(0), Slot::Image(0), Slot::Pair(1)],
        },
        records: (0..4).map(record).collect(),
        ..TrainBatch::default()
    }
}

fn step(model: &Model, batch: &TrainBatch) -> (Outcome, Gradients) {
    gradients(model, batch, &task().objectives(), &StepConfig::default(), Key::new(3))
}

#[test]
fn every_weight_of_the_decoder_and_below_gets_a_gradient() {
    let model = model();
    let (outcome, gradients) = step(&model, &batch());
    let result = outcome.objectives["report"];
    // The decoder predicts every token except the first one.
    assert_eq!(result.scored, batch().records.iter().map(|one| one.target.as_ref().unwrap().len() - 1).sum::<usize>());
    for (path, _) in paths(&model) {
        // The decoder reads the states before the poolers. Adding a constant to all keys changes no attention.
        let expected = !["fusion.image_pooler", "fusion.text_pooler"].iter().any(|start| path.starts_with(start))
            && !path.ends_with(".projection")
            && !path.ends_with("key.bias");
        let moved = largest(&gradients, &path).is_some_and(|largest| largest > 1e-7);
        assert_eq!(moved, expected, "{path}: {:?}", largest(&gradients, &path));
    }
}

#[test]
fn written_texts_overfit_one_batch() {
    let batch = batch();
    overfit(model(), |model, _| step(model, &batch));
}

#[test]
fn targets_of_other_records_change_no_loss_of_a_record() {
    let (model, all) = (model(), batch());
    let alone = |batch: &TrainBatch| step(&model, batch).0.total;
    let one = |slot: usize| {
        let arrays = &all.batch;
        let mut batch = Batch { order: vec![arrays.order[slot]], ..Batch::default() };
        match arrays.order[slot] {
            Slot::Text(_) => batch.texts = arrays.texts.clone(),
            Slot::Image(_) => batch.images = arrays.images.clone(),
            Slot::Pair(row) => {
                let (pair, side) = (row as u64, Slot::Pair(0));
                batch.pair_images = Images::collect(&[image(pair)]);
                batch.pair_texts = Texts::collect([text(pair).ids.as_slice()]);
                batch.order = vec![side];
            }
        }
        TrainBatch { batch, records: vec![all.records[slot].clone()], ..TrainBatch::default() }
    };
    // The mean over all tokens is the mean over records, weighted by their tokens.
    let tokens: Vec<f64> = all.records.iter().map(|one| one.target.as_ref().unwrap().len() as f64 - 1.0).collect();
    let sum: f64 = (0..4).map(|slot| alone(&one(slot)) * tokens[slot]).sum();
    let (whole, parts) = (alone(&all), sum / tokens.iter().sum::<f64>());
    assert!((whole - parts).abs() < 1e-4, "{whole} {parts}");
}
