//! Prompts beyond the paper: each kind learns, and what it gives does not depend on the rest of the batch.

use std::collections::BTreeSet;

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use ptu_input::{Batch, Input};
use ptu_kernels::ComputePrecision;
use ptu_model::config::{CodebookConfig, Pooling, PromptsConfig};
use ptu_model::names::Name;
use ptu_model::{Model, ModelConfig, WeightVisitor};
use ptu_random::Key;
use ptu_train::ObjectiveKind;
use ptu_train::gradients::Gradients;
use ptu_train::step::{Outcome, StepConfig};

use crate::fixtures::{batch, config, image, largest, lively_model, model, plan, text};
use crate::overfit::overfit;

const CODES: CodebookConfig = CodebookConfig {
    codes: 16,
    width: 8,
    take: 3,
    levels: 2,
    layers: 1,
    weight: 1.0,
    commitment: 0.25,
    decay: 0.9,
    restart: 0.01,
};

/// The kinds that go beyond the paper.
fn kinds() -> [PromptsConfig; 4] {
    [
        PromptsConfig::Soft { size: 12, take: 3, pooling: Pooling::Mean, temperature: 0.2, first_temperature: 1.0 },
        PromptsConfig::Keyed { size: 12, take: 3, pooling: Pooling::Mean, pull: 1.0, balance: 0.01 },
        PromptsConfig::Token,
        PromptsConfig::Codebook(CODES),
    ]
}

fn with(prompts: PromptsConfig) -> ModelConfig {
    ModelConfig { image_prompts: prompts, text_prompts: prompts, ..config() }
}

/// A step of the contrast in which prompts are trained.
fn step(model: &Model, key: u64) -> (Outcome, Gradients) {
    let config = StepConfig { learns_prompts: true, progress: 0.5, ..StepConfig::default() };
    plan(&[ObjectiveKind::Itc]).gradients(model, &batch(), &config, Key::new(3).at(key))
}

#[derive(Default)]
struct Trained(Vec<String>);

impl WeightVisitor for Trained {
    fn visit<const D: usize>(&mut self, name: Name, _: &Param<Tensor<D>>) {
        if name.kind.has_gradient() && (name.path.contains("_prompts.")) {
            self.0.push(name.path);
        }
    }
}

#[test]
fn every_weight_of_prompts_gets_a_gradient() {
    for kind in kinds() {
        let model = lively_model(&with(kind));
        let (_, gradients) = step(&model, 0);
        let mut trained = Trained::default();
        model.visit_weights(&mut trained);
        assert!(!trained.0.is_empty());
        for path in trained.0.iter().filter(|path| !path.ends_with("key.bias")) {
            let value = largest(&gradients, path).unwrap_or_default();
            assert!(value > 1e-7, "{kind:?} gives {path} a gradient of at most {value}");
        }
    }
}

#[test]
fn prompts_that_are_not_trained_have_no_loss_of_their_own() {
    for kind in kinds() {
        let model = model(&with(kind));
        let (trained, _) = step(&model, 0);
        let (fixed, _) = plan(&[ObjectiveKind::Itc]).gradients(&model, &batch(), &StepConfig::default(), Key::new(3));
        let has_loss = matches!(kind, PromptsConfig::Keyed { .. } | PromptsConfig::Codebook(_));
        assert_eq!(trained.objectives.contains_key("prompts"), has_loss, "{kind:?}");
        assert!(!fixed.objectives.contains_key("prompts"), "{kind:?}");
    }
}

#[test]
fn the_contrast_overfits_one_batch_with_each_kind() {
    for kind in kinds() {
        let model = lively_model(&with(kind));
        // What prompts cost by themselves has other limits than 0.
        let outcome = overfit(model, |model, number| {
            let (mut outcome, gradients) = step(model, number);
            outcome.total = outcome.objectives["itc"].loss;
            (outcome, gradients)
        });
        assert!(outcome.objectives["itc"].loss < 0.1, "{kind:?}");
    }
}

#[test]
fn each_record_of_a_mixed_batch_has_the_same_vector_as_alone() {
    for kind in kinds() {
        let model = Model::new(&with(kind), Key::new(7), &Device::flex()).unwrap();
        let inputs = [
            Input::Text(text(0)),
            Input::Pair { image: image(1), text: text(1) },
            Input::Image(image(2)),
            Input::Text(text(4)),
            Input::Image(image(5)),
        ];
        let features = |inputs: &[Input]| -> Vec<f32> {
            let found = model.features(&Batch::collect(inputs), ComputePrecision::F32).unwrap();
            found.into_data().try_into_vec().unwrap()
        };
        let together = features(&inputs);
        for (input, together) in inputs.iter().zip(together.chunks_exact(64)) {
            let alone = features(std::slice::from_ref(input));
            let difference = alone.iter().zip(together).fold(0.0f32, |largest, (x, y)| largest.max((x - y).abs()));
            assert!(difference < 1e-5, "{kind:?}: {difference}");
        }
    }
}

#[test]
fn a_composed_sequence_approaches_the_one_that_is_missing_and_uses_its_codes() {
    let mut model = lively_model(&with(PromptsConfig::Codebook(CODES)));
    let mut optimizer = ptu_train::Optimizer::new(ptu_train::OptimizerConfig {
        learning_rate: 1e-3,
        fusion: 1.0,
        head: 1.0,
        ..ptu_train::OptimizerConfig::default()
    });
    let first = step(&model, 0).0.objectives["prompts"].loss;
    let mut used = BTreeSet::new();
    for number in 0..200 {
        let (outcome, gradients) = step(&model, number);
        model = optimizer.step(model, &gradients, 1.0).with_learned_codes(&outcome.used_codes, Key::new(3).at(number));
        if number >= 150 {
            used.extend(outcome.chosen.text.into_iter().flatten());
        }
    }
    let last = step(&model, 200).0.objectives["prompts"].loss;
    // Two modalities, each at most 1 from the mean of its targets.
    assert!(last < 0.3 * first, "{first} {last}");
    // Four images with three latents each, in two levels of sixteen codes.
    assert!(used.len() >= 12, "{used:?}");
}
