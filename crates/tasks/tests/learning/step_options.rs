//! Options that reduce the memory or the time of a step do not change its result.

use std::collections::BTreeSet;

use ptu_data::TrainBatch;
use ptu_input::Images;
use ptu_kernels::{ComputePrecision, Pass, Tiles};
use ptu_model::{Frozen, FrozenEncoders, Model};
use ptu_random::Key;
use ptu_tasks::pretraining::{StepPlan, cached};
use ptu_train::ObjectiveKind;
use ptu_train::forward::StepForward;
use ptu_train::gradients::Gradients;
use ptu_train::loss::{Itc, Itm};
use ptu_train::objective::Objective;
use ptu_train::recipe::{Checkpointing, ItmConfig, MlmConfig, PartnerChoice};
use ptu_train::step::{Outcome, StepConfig};

use crate::fixtures::{batch, config, largest, lively_model, model, pairs, plan, step, with_each_fusion};

const PLAIN: StepConfig = StepConfig {
    dropout: 0.0,
    checkpointing: Checkpointing::None,
    patch_keep: None,
    precision: ComputePrecision::F32,
    written_tokens: 0,
    frozen_image_encoder: Frozen::Nothing,
    progress: 0.0,
    learns_prompts: false,
};
const DROPOUT: StepConfig = StepConfig { dropout: 0.3, ..PLAIN };

#[test]
fn dropout_depends_on_the_step_alone() {
    let (model, batch) = (model(&config()), batch());
    let total =
        |step| plan(&ObjectiveKind::PUBLISHED).gradients(&model, &batch, &DROPOUT, Key::new(3).at(step)).0.total;
    assert_eq!(total(5), total(5));
    assert_ne!(total(5), total(6));
}

#[test]
fn hard_negatives_are_drawn_by_the_similarities() {
    let mut config = config();
    // At so low a temperature, only the most similar of the other images are drawn.
    config.contrast.temperature = 1e-3;
    let (model, batch) = (lively_model(&config), TrainBatch { partners: None, ..pairs(0..6, &[0, 1, 2, 3, 4, 5]) });
    let (off, mut with_negative) = (Pass::off(), BTreeSet::new());
    for key in (0..20).map(|step| Key::new(3).at(step)) {
        let itm = Itm(ItmConfig { partners: PartnerChoice::Hard, ..ItmConfig::default() });
        let step = StepForward::new(&model, &batch, [Itc.pairs(&batch, key), itm.pairs(&batch, key)], &off, key);
        let similarity = Itc::similarity(&step).unwrap().inner().into_data().try_into_vec::<f32>().unwrap();
        let partners = itm.partners(&step);
        for text in (0..6).filter(|text| !partners.matched[*text]) {
            let similarity_to = |image: usize| similarity[image * 6 + text];
            let largest = (0..6).filter(|image| *image != text).map(similarity_to).fold(f32::MIN, f32::max);
            // Similarities are divided by the temperature. An image that is 10 below the largest is drawn once in 20,000 times.
            assert!(similarity_to(partners.image[text]) > largest - 10.0, "text {text}: {similarity:?}");
            with_negative.insert(text);
        }
    }
    assert_eq!(with_negative.len(), 6, "each text gets a negative in some step");
}

#[test]
fn objectives_use_their_share_of_the_texts() {
    let (model, batch) = (model(&config()), batch());
    let (mlm, itm) = (MlmConfig { share: 0.5 }, ItmConfig { share: 0.5, ..ItmConfig::default() });
    let results = |plan: StepPlan| {
        plan.gradients(&model, &batch, &StepConfig::default(), Key::new(3))
            .0
            .objectives
            .into_values()
            .collect::<Vec<_>>()
    };
    // All four pairs and two texts, then the first half of both; each text has one masked token.
    let [all, half] =
        [plan(&ObjectiveKind::PUBLISHED), StepPlan { mlm, itm, ..plan(&ObjectiveKind::PUBLISHED) }].map(results);
    assert_eq!(all.iter().map(|one| one.scored).collect::<Vec<_>>(), [6, 8, 4]);
    assert_eq!(half.iter().map(|one| one.scored).collect::<Vec<_>>(), [3, 8, 2]);
    assert!(half[0].loss != all[0].loss && half[2].loss != all[2].loss);
    assert!((half[1].loss - all[1].loss).abs() < 1e-5, "the contrast uses all pairs");
}

/// The largest difference between two sets of gradients, relative to the largest gradient of each weight. Key biases are
/// ignored: their gradients consist of rounding errors only.
fn difference(one: &Gradients, other: &Gradients) -> f32 {
    assert_eq!(one.iter().count(), other.iter().count());
    let of = |(path, values): (&str, &[f32])| {
        let scale = largest(one, path).unwrap().max(1e-4);
        let other = other.get(path).unwrap();
        values.iter().zip(other).map(|(x, y)| (x - y).abs() / scale).fold(0.0, f32::max)
    };
    one.iter().filter(|(path, _)| !path.ends_with("key.bias")).map(of).fold(0.0, f32::max)
}

#[test]
fn a_cached_contrast_equals_the_contrast_over_the_whole_batch() {
    let mut config = config();
    config.contrast.learned = true;
    let model = lively_model(&config);
    // Images 0 and 2 have the same hash, so they are not negatives of each other, although they are in different micro-batches.
    let whole = pairs(0..6, &[0, 1, 0, 3, 4, 5]);
    let parts = [pairs(0..2, &[0, 1]), pairs(2..4, &[0, 3]), pairs(4..6, &[4, 5])];
    let plan = plan(&ObjectiveKind::PUBLISHED);
    let (outcome, expected) = plan.gradients(&model, &whole, &PLAIN, Key::new(3));
    let (of_parts, found) = cached::gradients(&model, &parts, &plan, &PLAIN, |_| Key::new(3));
    assert!(found.get("heads.itc.log_scale").is_some(), "{:?}", found.iter().map(|(path, _)| path).collect::<Vec<_>>());
    assert!(difference(&expected, &found) < 1e-5, "{}", difference(&expected, &found));
    assert!((outcome.total - of_parts.total).abs() < 1e-5);
    for kind in ObjectiveKind::PUBLISHED {
        let (whole, parts) = (&outcome.objectives[kind.name()], &of_parts.objectives[kind.name()]);
        assert!((whole.loss - parts.loss).abs() < 1e-5, "{kind}");
        assert_eq!((whole.right, whole.scored), (parts.right, parts.scored), "{kind}");
    }
    // Without the cache, the contrast compares only the records of the same micro-batch.
    let alone: f64 = parts.iter().map(|part| step(&model, part, &[ObjectiveKind::Itc]).0.total / 3.0).sum();
    assert!((alone - outcome.objectives["itc"].loss).abs() > 1e-2);
}

#[test]
fn a_micro_batch_is_encoded_twice_with_the_same_dropout() {
    let (model, part) = (lively_model(&config()), pairs(0..4, &[0, 1, 2, 3]));
    let plan = plan(&ObjectiveKind::PUBLISHED);
    let (outcome, expected) = plan.gradients(&model, &part, &DROPOUT, Key::new(3));
    let (cached, found) = cached::gradients(&model, &[part], &plan, &DROPOUT, |_| Key::new(3));
    assert!((outcome.total - cached.total).abs() < 1e-6);
    assert!(difference(&expected, &found) < 1e-5, "{}", difference(&expected, &found));
}

#[test]
fn checkpointed_blocks_give_the_same_gradients() {
    for config in with_each_fusion() {
        checkpointed_blocks_give_the_gradients_of(&lively_model(&config));
    }
}

fn checkpointed_blocks_give_the_gradients_of(model: &Model) {
    let batch = batch();
    let plan = plan(&ObjectiveKind::ALL);
    let checkpointed = StepConfig { checkpointing: Checkpointing::Blocks, ..DROPOUT };
    let (kept, expected) = plan.gradients(model, &batch, &DROPOUT, Key::new(3));
    let (again, found) = plan.gradients(model, &batch, &checkpointed, Key::new(3));
    assert_eq!(kept.total, again.total);
    // A stream that two blocks read gets the sum of their gradients. With checkpointing, the order of the sum is different, so
    // there are rounding differences.
    assert!(difference(&expected, &found) < 1e-5, "{}", difference(&expected, &found));
    // The same holds for the cached contrast.
    let parts = [pairs(0..2, &[0, 1]), pairs(2..4, &[2, 3])];
    let [kept, checkpointed] =
        [DROPOUT, checkpointed].map(|config| cached::gradients(model, &parts, &plan, &config, |_| Key::new(3)).1);
    assert!(difference(&kept, &checkpointed) < 1e-5, "{}", difference(&kept, &checkpointed));
}

#[test]
fn a_frozen_image_encoder_changes_no_other_gradient() {
    frozen_changes_no_other_gradient(Frozen::All);
    frozen_changes_no_other_gradient(Frozen::Layers(1));
}

fn frozen_changes_no_other_gradient(image: Frozen) {
    let (model, batch) = (lively_model(&config()), batch());
    let plan = plan(&ObjectiveKind::PUBLISHED);
    let (whole, mut expected) = plan.gradients(&model, &batch, &DROPOUT, Key::new(3));
    let blocks = image.part();
    let last = ["vision_encoder.visual.ln_post", "vision_encoder.visual.transformer.resblocks.1."];
    let is_last = |published: &str| blocks.is_some() && last.iter().any(|start| published.starts_with(start));
    expected.retain(&|published| is_last(published) || !published.starts_with("vision_encoder."));
    let mut known = batch.clone();
    let outputs = Some(model.image_outputs(&batch.batch.pair_images, blocks, ComputePrecision::F32));
    known.batch.pair_images = Images { outputs, planes: vec![], ..known.batch.pair_images };
    let frozen = model.with_frozen(FrozenEncoders { image, text: Frozen::Nothing });
    for checkpointing in [Checkpointing::None, Checkpointing::Blocks] {
        let config = StepConfig { checkpointing, ..DROPOUT };
        for batch in [&batch, &known] {
            let (outcome, found) = plan.gradients(&frozen, batch, &config, Key::new(3));
            assert!((outcome.total - whole.total).abs() < 1e-5, "{} {}", outcome.total, whole.total);
            assert_eq!(outcome.chosen.text, whole.chosen.text);
            assert!(difference(&expected, &found) < 1e-4, "{}", difference(&expected, &found));
        }
    }
}

#[test]
fn dropped_patches_give_no_gradient() {
    let (model, batch) = (lively_model(&config()), batch());
    let run = |patch_keep: Option<f64>, step| {
        let config = StepConfig { patch_keep, ..PLAIN };
        plan(&ObjectiveKind::PUBLISHED).gradients(&model, &batch, &config, Key::new(3).at(step))
    };
    let (all, few) = (run(None, 1), run(Some(0.25), 1));
    assert_eq!(few.0.total, run(Some(0.25), 1).0.total, "the same step keeps the same patches");
    assert_ne!(few.0.total, run(Some(0.25), 2).0.total);
    assert_ne!(few.0.total, all.0.total);
    // There are four patches and the class token. The positions that have a gradient are exactly those that some image kept.
    let learned = |(_, gradients): &(Outcome, Gradients)| {
        let rows = gradients.get("image.positions").unwrap().chunks_exact(64);
        rows.map(|row| row.iter().any(|x| *x != 0.0)).collect::<Vec<_>>()
    };
    assert_eq!(learned(&all), [true; 5]);
    let images = batch.batch.pair_images.count;
    let kept = StepConfig { patch_keep: Some(0.25), ..PLAIN }.pass(Key::new(3).at(1)).patches(images, 4).unwrap();
    let expected: Vec<bool> =
        (0..5).map(|row: usize| row == 0 || kept.iter().flatten().any(|patch| patch + 1 == row)).collect();
    assert!(expected.contains(&false), "{kept:?}: at least one patch must be dropped in all images");
    assert_eq!(learned(&few), expected);
}

#[test]
fn a_step_in_bf16_stays_near_one_in_f32() {
    let (model, batch) = (lively_model(&config()), batch());
    let run = |precision| {
        plan(&ObjectiveKind::PUBLISHED).gradients(&model, &batch, &StepConfig { precision, ..PLAIN }, Key::new(3))
    };
    let (exact, rounded) = (run(ComputePrecision::F32), run(ComputePrecision::Bf16(Tiles::Portable)));
    for (kind, measured) in &exact.0.objectives {
        let difference = (measured.loss - rounded.0.objectives[kind].loss).abs();
        assert!(difference < 0.02 * measured.loss, "{kind}: {difference}");
    }
    assert_ne!(exact.0.total, rounded.0.total, "bf16 must have been used");
    let squares = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let (mut all, mut differing) = (0.0, 0.0);
    for (path, exact) in exact.1.iter() {
        let rounded = rounded.1.get(path).unwrap();
        let difference: Vec<f32> = exact.iter().zip(rounded).map(|(x, y)| x - y).collect();
        (all, differing) = (all + squares(exact), differing + squares(&difference));
    }
    assert!((differing / all).sqrt() < 0.05, "{}", (differing / all).sqrt());
}
