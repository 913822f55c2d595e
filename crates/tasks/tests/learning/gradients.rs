//! Which weights get a gradient from which objective, and in which parameter group each weight is.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Param;
use burn::tensor::Tensor;
use ptu_model::config::ContrastConfig;
use ptu_model::names::{DecayGroups, Name, name_of};
use ptu_model::{HeadKind, Model, ModelConfig, WeightVisitor};
use ptu_train::ObjectiveKind;

use crate::fixtures::{batch, config, largest, lively_model, model, step, with_each_fusion};

#[derive(Default)]
struct PathCollector {
    paths: Vec<(String, Vec<usize>)>,
}

impl WeightVisitor for PathCollector {
    fn visit<const D: usize>(&mut self, name: Name, param: &Param<Tensor<D>>) {
        self.paths.push((name.path, param.val().dims().to_vec()));
    }
}

pub fn paths(model: &Model) -> Vec<(String, Vec<usize>)> {
    let mut collector = PathCollector::default();
    model.visit_weights(&mut collector);
    collector.paths
}

/// Whether the loss of an objective does not depend on this weight.
fn is_unreachable(kind: ObjectiveKind, path: &str) -> bool {
    // The last layer of a stream is reached only by what reads this stream.
    let (poolers, last_image, last_text) =
        (["fusion.image_pooler", "fusion.text_pooler"], "fusion.layers.image.1.", "fusion.layers.text.1.");
    let others: &[&str] = match kind {
        ObjectiveKind::Mlm => &[last_image, "text_prompts"],
        // Prompts take the place of patches.
        ObjectiveKind::MlmTextOnly => &[last_image, "text_prompts", "image.patch"],
        ObjectiveKind::Itm => &["image_prompts", "text_prompts"],
        ObjectiveKind::Itc => &[],
        ObjectiveKind::Mim => &[last_text, "image_prompts", "text_prompts"],
        ObjectiveKind::MimImageOnly => &[last_text, "image_prompts"],
    };
    let reads_first_tokens = matches!(kind, ObjectiveKind::Itm | ObjectiveKind::Itc);
    let of_poolers = poolers.iter().any(|pooler| path.starts_with(pooler)) && !reads_first_tokens;
    let own_head = match kind.head() {
        HeadKind::Mlm => "heads.mlm.",
        HeadKind::Itm => "heads.itm.",
        HeadKind::Itc => "heads.itc.",
        _ => "heads.mim.",
    };
    let of_other_heads = path.starts_with("heads.") && !path.starts_with(own_head);
    let of_others = others.iter().any(|prefix| path.starts_with(prefix));
    path.ends_with(".projection") || of_poolers || of_other_heads || of_others
}

#[test]
fn every_weight_that_a_loss_depends_on_gets_a_gradient() {
    for config in with_each_fusion() {
        every_weight_gets_a_gradient(&lively_model(&config));
    }
}

fn every_weight_gets_a_gradient(model: &Model) {
    let batch = batch();
    let mut reached = BTreeSet::new();
    for kind in ObjectiveKind::ALL {
        let (_, gradients) = step(model, &batch, &[kind]);
        for (path, _) in paths(model) {
            match (largest(&gradients, &path), is_unreachable(kind, &path)) {
                (None, expected) => assert!(expected, "{kind} gives {path} no gradient"),
                (Some(value), expected) if path.ends_with("key.bias") => {
                    assert!(
                        !expected && value < 1e-6,
                        "{kind} moves {path} by {value}: key biases cancel in exact arithmetic"
                    );
                }
                (Some(value), expected) => {
                    assert!(!expected && value > 1e-7, "{kind} gives {path} a gradient of at most {value}");
                    reached.insert(path);
                }
            }
        }
    }
    let never_reached: Vec<String> = paths(model)
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| !reached.contains(path) && !path.ends_with("key.bias") && !path.ends_with(".projection"))
        .collect();
    assert!(never_reached.is_empty(), "no objective trains {never_reached:?}");
}

#[test]
fn only_the_chosen_rows_of_a_prompt_pool_get_a_gradient() {
    let (model, batch) = (model(&config()), batch());
    let (outcome, gradients) = step(&model, &batch, &[ObjectiveKind::Itc]);
    for (path, width, chosen) in
        [("image_prompts.table", 64, &outcome.chosen.image), ("text_prompts.table", 32, &outcome.chosen.text)]
    {
        let chosen: BTreeSet<usize> = chosen.iter().flatten().copied().collect();
        assert!(!chosen.is_empty() && chosen.len() < 12, "{path}: some rows are chosen, some are not");
        for (row, values) in gradients.get(path).unwrap().chunks_exact(width).enumerate() {
            let moved = values.iter().any(|x| x.abs() > 1e-7);
            assert_eq!(moved, chosen.contains(&row), "row {row} of {path}");
        }
    }
}

#[test]
fn each_objective_changes_the_total() {
    let (model, batch) = (model(&config()), batch());
    let (all, _) = step(&model, &batch, &ObjectiveKind::ALL);
    let sum: f64 = ObjectiveKind::ALL.iter().map(|kind| step(&model, &batch, &[*kind]).0.total).sum();
    assert!((all.total - sum).abs() < 1e-5, "{} {sum}", all.total);
    assert!(all.objectives.len() == 6 && all.objectives.values().all(|measured| measured.loss > 0.01));
}

#[test]
fn every_weight_is_in_exactly_one_group() {
    for config in with_each_fusion() {
        let contrast = ContrastConfig { learned: true, ..ContrastConfig::default() };
        let mut groups: BTreeMap<_, usize> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for (path, _) in paths(&model(&ModelConfig { contrast, ..config })) {
            let name = name_of(&path).unwrap_or_else(|| panic!("{path} is missing in names.rs"));
            assert!(names.insert(name.published.clone()), "{} is the name of two weights", name.published);
            if name.kind.has_gradient() {
                *groups.entry((name.role, name.kind.decays(DecayGroups::Published))).or_default() += 1;
            }
        }
        assert_eq!(groups.len(), 6, "backbone, fusion and heads, each with and without decay: {groups:?}");
    }
}

#[test]
fn a_learned_temperature_gets_a_gradient() {
    let config = ModelConfig { contrast: ContrastConfig { temperature: 0.1, learned: true }, ..config() };
    let model = model(&config);
    let (_, gradients) = step(&model, &batch(), &[ObjectiveKind::Itc]);
    assert!(largest(&gradients, "heads.itc.log_scale").unwrap() > 1e-7);
}
