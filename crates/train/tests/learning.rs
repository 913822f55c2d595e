//! Proof that the model learns: gradients reach every weight, each objective can be driven down, batches change nothing.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens, and says so")]

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use ptu_input::{Batch, Image, Images, Input, Text, Texts};
use ptu_model::config::{
    ContrastConfig, FusionConfig, HeadKind, ImageConfig, Pooling, PromptsConfig, Similarity, TextConfig,
};
use ptu_model::kernel::{Products, Tiles};
use ptu_model::names::{DecayGroups, Kind, name_of};
use ptu_model::weights::{Array, Arrays};
use ptu_model::{Model, ModelConfig, TextStyle};
use ptu_random::{Key, Place};
use ptu_train::ObjectiveKind;
use ptu_train::batch::{MaskedTexts, Partners, StepBatch};
use ptu_train::cached;
use ptu_train::gradients::Gradients;
use ptu_train::optimizer::{Optimizer, OptimizerConfig};
use ptu_train::recipe::{Checkpointing, PartnerChoice};
use ptu_train::step::{Outcome, StepPlan, gradients};

const SIDE: usize = 16;
const WORDS: u32 = 40;

fn config() -> ModelConfig {
    let pool = |take| PromptsConfig::Pool { size: 12, take, pooling: Pooling::Mean, similarity: Similarity::Dot };
    ModelConfig {
        image: ImageConfig { size: SIDE, patch: 8, width: 64, layers: 2, drop_last: 1, eps: 1e-5 },
        text: TextConfig {
            style: TextStyle::Roberta,
            vocabulary: WORDS as usize,
            width: 32,
            layers: 1,
            heads: 2,
            positions: 16,
            eps: 1e-5,
            start: 0,
            end: 2,
            padding: 1,
        },
        fusion: FusionConfig { width: 32, layers: 2, heads: 2, eps: 1e-5 },
        image_prompts: pool(4),
        text_prompts: pool(3),
        heads: vec![HeadKind::Mlm, HeadKind::Itm, HeadKind::Itc],
        contrast: ContrastConfig::default(),
        dropout: 0.0,
        deviation: 0.02,
    }
}

fn model(config: &ModelConfig) -> Model {
    Model::new(config, Key::new(7), &Device::flex().autodiff()).unwrap()
}

/// A model whose weights are ten times as large: at so small a size attention would else be nearly even, and gradients
/// through it too small to tell from none.
fn lively_model(config: &ModelConfig) -> Model {
    let device = Device::flex().autodiff();
    let mut arrays = model(config).to_arrays();
    for array in arrays.values_mut().filter(|array| array.shape.len() > 1) {
        array.values.iter_mut().for_each(|value| *value *= 10.0);
    }
    Model::from_arrays(config, arrays, &device, std::path::Path::new("lively")).unwrap().0
}

fn image(index: u64) -> Image {
    let mut stream = Key::new(1).stream(Place::Sample, index);
    Image { side: SIDE, planes: (0..3 * SIDE * SIDE).map(|_| stream.normal() as f32).collect() }
}

fn text(index: u64) -> Text {
    let mut stream = Key::new(2).stream(Place::Sample, index);
    let inner: Vec<u32> = (0..3 + stream.below(6)).map(|_| 4 + stream.below(WORDS as usize - 4) as u32).collect();
    let ids: Vec<u32> = [0].into_iter().chain(inner).chain([2]).collect();
    Text { words: vec![None; ids.len()], ids }
}

fn masked(texts: &Texts) -> MaskedTexts {
    // The second token of every text is hidden.
    let mut masked = MaskedTexts { labels: vec![None; texts.ids.len()], texts: texts.clone() };
    for place in texts.starts().map(|start| start + 1) {
        (masked.labels[place], masked.texts.ids[place]) = (Some(texts.ids[place]), 3);
    }
    masked
}

/// Four pairs and two texts alone, everything fixed.
fn batch() -> StepBatch {
    let texts = |range: std::ops::Range<u64>| {
        let texts: Vec<Text> = range.map(text).collect();
        Texts::collect(texts.iter().map(|text| text.ids.as_slice()))
    };
    let pairs = texts(0..4);
    StepBatch {
        images: Images::collect(&(0..4).map(image).collect::<Vec<_>>()),
        masked_pairs: masked(&pairs),
        masked_texts: masked(&texts(4..6)),
        texts: pairs,
        image_hashes: (0..4).collect(),
        text_hashes: (0..4).collect(),
        partners: Some(Partners {
            image: vec![0, 2, 2, 1],
            matched: vec![true, false, true, false],
            without_partner: 0,
        }),
    }
}

/// Some pairs, the second of every two shown with the image of the first.
fn pairs(range: std::ops::Range<u64>, image_hashes: &[u64]) -> StepBatch {
    let texts: Vec<Text> = range.clone().map(text).collect();
    let texts = Texts::collect(texts.iter().map(|text| text.ids.as_slice()));
    let b = image_hashes.len();
    StepBatch {
        images: Images::collect(&range.clone().map(image).collect::<Vec<_>>()),
        masked_pairs: masked(&texts),
        texts,
        image_hashes: image_hashes.to_vec(),
        text_hashes: range.collect(),
        partners: Some(Partners {
            image: (0..b).map(|row| row / 2 * 2).collect(),
            matched: (0..b).map(|row| row % 2 == 0).collect(),
            without_partner: 0,
        }),
        ..StepBatch::default()
    }
}

fn plan(objectives: &[ObjectiveKind]) -> StepPlan {
    StepPlan { objectives: objectives.iter().map(|kind| (*kind, 1.0)).collect(), ..StepPlan::default() }
}

fn step(model: &Model, batch: &StepBatch, objectives: &[ObjectiveKind]) -> (Outcome, Gradients) {
    gradients(model, batch, &plan(objectives), Key::new(3))
}

fn largest(gradients: &Gradients, path: &str) -> Option<f32> {
    gradients.get(path).map(|values| values.iter().fold(0.0f32, |largest, x| largest.max(x.abs())))
}

#[derive(Default)]
struct Paths {
    path: ptu_model::Path,
    found: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Paths {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push((self.path.to_string(), param.val().dims().to_vec()));
    }
}

fn paths(model: &Model) -> Vec<(String, Vec<usize>)> {
    let mut paths = Paths::default();
    model.visit(&mut paths);
    paths.found
}

/// Parts of the tree that an objective can never reach.
fn out_of_reach(kind: ObjectiveKind, path: &str) -> bool {
    let other_heads: &[&str] = match kind {
        // The last layer of the image stream and both poolers are read by nobody.
        ObjectiveKind::Mlm => {
            &["heads.itm", "heads.itc", "fusion.image.1.", "fusion.image_pooler", "fusion.text_pooler", "text_prompts"]
        }
        ObjectiveKind::Itm => &["heads.mlm", "heads.itc", "image_prompts", "text_prompts"],
        ObjectiveKind::Itc => &["heads.mlm", "heads.itm"],
    };
    path.ends_with(".projection") || other_heads.iter().any(|part| path.starts_with(part))
}

#[test]
fn every_weight_on_the_path_of_a_loss_gets_a_gradient() {
    let (model, batch) = (lively_model(&config()), batch());
    let mut reached = BTreeSet::new();
    for kind in ObjectiveKind::ALL {
        let (_, gradients) = step(&model, &batch, &[kind]);
        for (path, _) in paths(&model) {
            match (largest(&gradients, &path), out_of_reach(kind, &path)) {
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
    let silent: Vec<String> = paths(&model)
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| !reached.contains(path) && !path.ends_with("key.bias") && !path.ends_with(".projection"))
        .collect();
    assert!(silent.is_empty(), "never trained: {silent:?}");
}

#[test]
fn of_a_pool_exactly_the_chosen_rows_get_a_gradient() {
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
    assert!(all.objectives.len() == 3 && all.objectives.values().all(|measured| measured.loss > 0.01));
}

fn overfit(kind: ObjectiveKind, batch: &StepBatch) {
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
fn masked_words_of_texts_alone_overfit() {
    let all = batch();
    overfit(ObjectiveKind::Mlm, &StepBatch { masked_texts: all.masked_texts, ..StepBatch::default() });
}

fn rows(features: Tensor<2>) -> Vec<Vec<f32>> {
    let d = features.dims()[1];
    let values: Vec<f32> = features.into_data().try_into_vec().unwrap();
    values.chunks_exact(d).map(<[f32]>::to_vec).collect()
}

#[test]
fn in_a_mixed_batch_each_record_has_the_vector_that_it_has_alone() {
    let config = config();
    let model = Model::new(&config, Key::new(7), &Device::flex()).unwrap();
    let inputs = [
        Input::Text(text(0)),
        Input::Pair { image: image(1), text: text(1) },
        Input::Image(image(2)),
        Input::Pair { image: image(3), text: text(3) },
        Input::Text(text(4)),
        Input::Image(image(5)),
    ];
    let together = rows(model.features(&Batch::collect(&inputs), &config, Products::F32).unwrap());
    for (input, together) in inputs.iter().zip(&together) {
        let alone = rows(model.features(&Batch::collect(std::slice::from_ref(input)), &config, Products::F32).unwrap());
        let off = alone[0].iter().zip(together).fold(0.0f32, |off, (x, y)| off.max((x - y).abs()));
        assert!(off < 1e-5, "{off}");
    }
    assert_ne!(together[0], together[4]);
}

#[test]
fn an_empty_batch_has_no_features() {
    let config = config();
    let model = Model::new(&config, Key::new(7), &Device::flex()).unwrap();
    assert_eq!(model.features(&Batch::default(), &config, Products::F32).unwrap().dims(), [0, 64]);
}

#[test]
fn what_does_not_fit_the_model_is_an_error() {
    let config = config();
    let model = Model::new(&config, Key::new(7), &Device::flex()).unwrap();
    let message =
        |input: Input| model.features(&Batch::collect(&[input]), &config, Products::F32).unwrap_err().to_string();
    assert!(message(Input::Image(Image { side: 8, planes: vec![0.0; 192] })).contains("8 px"));
    assert!(message(Input::Text(Text { ids: vec![0, 99, 2], words: vec![None; 3] })).contains("99"));
    assert!(message(Input::Text(Text { ids: vec![5; 100], words: vec![None; 100] })).contains("100 tokens"));
}

#[test]
fn every_weight_is_in_exactly_one_group() {
    let config = ModelConfig { contrast: ContrastConfig { learned: true, ..ContrastConfig::default() }, ..config() };
    let mut groups: BTreeMap<_, usize> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (path, _) in paths(&model(&config)) {
        let name = name_of(&path).unwrap_or_else(|| panic!("{path} has no row in names.rs"));
        assert!(names.insert(name.published.clone()), "{} is named twice", name.published);
        if name.kind != Kind::Projection {
            *groups.entry((name.role, name.kind.decays(DecayGroups::Published))).or_default() += 1;
        }
    }
    assert_eq!(groups.len(), 6, "backbone, fusion and heads, each with and without decay: {groups:?}");
}

#[test]
fn a_learned_temperature_is_learned() {
    let config = ModelConfig { contrast: ContrastConfig { temperature: 0.1, learned: true }, ..config() };
    let model = model(&config);
    let (_, gradients) = step(&model, &batch(), &[ObjectiveKind::Itc]);
    assert!(largest(&gradients, "heads.itc.log_scale").unwrap() > 1e-7);
}

#[test]
fn weights_survive_saving_and_loading_to_the_bit() {
    let (config, device) = (config(), Device::flex().autodiff());
    let arrays = model(&config).to_arrays();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    ptu_model::weights::write_arrays(&file, &arrays).unwrap();
    let read = ptu_model::weights::read_arrays(&file).unwrap();
    assert_eq!(read, arrays);
    let (again, unused) = Model::from_arrays(&config, read, &device, &file).unwrap();
    assert!(unused.is_empty());
    assert_eq!(again.to_arrays(), arrays);
}

#[test]
fn a_file_of_another_model_is_refused_by_name() {
    let (config, device) = (config(), Device::flex());
    let refused = |change: &dyn Fn(&mut Arrays)| {
        let mut arrays = model(&config).to_arrays();
        change(&mut arrays);
        Model::from_arrays(&config, arrays, &device, std::path::Path::new("w.safetensors")).unwrap_err().to_string()
    };
    let missing = refused(&|arrays| drop(arrays.remove("itm_head.fc.bias")));
    assert!(missing.contains("itm_head.fc.bias") && missing.contains("w.safetensors"), "{missing}");
    let unknown = refused(&|arrays| drop(arrays.insert("extra".into(), arrays["itm_head.fc.bias"].clone())));
    assert!(unknown.contains("extra"), "{unknown}");
    let longer = Array { shape: vec![41], values: vec![0.0; 41] };
    let shape = refused(&|arrays| drop(arrays.insert("mlm_head.bias".into(), longer.clone())));
    assert!(shape.contains("[41]") && shape.contains("[40]"), "{shape}");
}

#[test]
fn dropout_depends_on_the_step_alone() {
    let (model, batch) = (model(&config()), batch());
    let plan = StepPlan { dropout: 0.3, ..plan(&ObjectiveKind::ALL) };
    let total = |step| gradients(&model, &batch, &plan, Key::new(3).at(step)).0.total;
    assert_eq!(total(5), total(5));
    assert_ne!(total(5), total(6));
}

#[test]
fn hard_partners_come_from_the_similarities() {
    let (model, mut batch) = (model(&config()), batch());
    batch.partners = None;
    let plan = StepPlan { partners: PartnerChoice::Hard, ..plan(&ObjectiveKind::ALL) };
    let (outcome, _) = gradients(&model, &batch, &plan, Key::new(3));
    assert_eq!(outcome.objectives[&ObjectiveKind::Itm].scored, 4);
}

/// Largest difference of two sets of gradients, over the largest gradient of each weight; of key biases it is rounding only.
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
fn a_contrast_in_parts_equals_one_over_the_whole_batch() {
    let mut config = config();
    config.contrast.learned = true;
    let model = lively_model(&config);
    // Images 0 and 2 count as equal: no negatives of each other, although in different parts.
    let whole = pairs(0..6, &[0, 1, 0, 3, 4, 5]);
    let parts = [pairs(0..2, &[0, 1]), pairs(2..4, &[0, 3]), pairs(4..6, &[4, 5])];
    let plan = plan(&ObjectiveKind::ALL);
    let (outcome, expected) = gradients(&model, &whole, &plan, Key::new(3));
    let (of_parts, found) = cached::gradients(&model, &parts, &plan, |_| Key::new(3));
    assert!(found.get("heads.itc.log_scale").is_some(), "{:?}", found.iter().map(|(path, _)| path).collect::<Vec<_>>());
    assert!(difference(&expected, &found) < 1e-5, "{}", difference(&expected, &found));
    assert!((outcome.total - of_parts.total).abs() < 1e-5);
    for kind in ObjectiveKind::ALL {
        let (whole, parts) = (&outcome.objectives[&kind], &of_parts.objectives[&kind]);
        assert!((whole.loss - parts.loss).abs() < 1e-5, "{kind}");
        assert_eq!((whole.right, whole.scored), (parts.right, parts.scored), "{kind}");
    }
    // Without the cache each part is a contrast of its own.
    let alone: f64 = parts.iter().map(|part| step(&model, part, &[ObjectiveKind::Itc]).0.total / 3.0).sum();
    assert!((alone - outcome.objectives[&ObjectiveKind::Itc].loss).abs() > 1e-2);
}

#[test]
fn a_part_is_embedded_twice_with_the_same_dropout() {
    let (model, part) = (lively_model(&config()), pairs(0..4, &[0, 1, 2, 3]));
    let plan = StepPlan { dropout: 0.3, ..plan(&ObjectiveKind::ALL) };
    let (outcome, expected) = gradients(&model, &part, &plan, Key::new(3));
    let (cached, found) = cached::gradients(&model, &[part], &plan, |_| Key::new(3));
    assert!((outcome.total - cached.total).abs() < 1e-6);
    assert!(difference(&expected, &found) < 1e-5, "{}", difference(&expected, &found));
}

#[test]
fn blocks_that_are_replayed_give_the_same_gradients() {
    let (model, batch) = (lively_model(&config()), batch());
    let plan = StepPlan { dropout: 0.3, ..plan(&ObjectiveKind::ALL) };
    let replayed = StepPlan { checkpointing: Checkpointing::Blocks, ..plan.clone() };
    let (kept, expected) = gradients(&model, &batch, &plan, Key::new(3));
    let (again, found) = gradients(&model, &batch, &replayed, Key::new(3));
    assert_eq!(kept.total, again.total);
    // A stream that two blocks read gets the sum of their gradients, here in another order: rounding.
    assert!(difference(&expected, &found) < 1e-5, "{}", difference(&expected, &found));
    // With a contrast in parts too.
    let parts = [pairs(0..2, &[0, 1]), pairs(2..4, &[2, 3])];
    let [kept, replayed] = [plan, replayed].map(|plan| cached::gradients(&model, &parts, &plan, |_| Key::new(3)).1);
    assert!(difference(&kept, &replayed) < 1e-5, "{}", difference(&kept, &replayed));
}

#[test]
fn of_dropped_patches_nothing_is_learned() {
    let (model, batch) = (lively_model(&config()), batch());
    let run = |patch_keep: Option<f64>, step| {
        gradients(&model, &batch, &StepPlan { patch_keep, ..plan(&ObjectiveKind::ALL) }, Key::new(3).at(step))
    };
    let (all, few) = (run(None, 1), run(Some(0.25), 1));
    assert_eq!(few.0.total, run(Some(0.25), 1).0.total, "the same step keeps the same patches");
    assert_ne!(few.0.total, run(Some(0.25), 2).0.total);
    assert_ne!(few.0.total, all.0.total);
    // Four patches and the class token: of the positions exactly those that some image kept have a gradient.
    let learned = |(_, gradients): &(Outcome, Gradients)| {
        let rows = gradients.get("image.positions").unwrap().chunks_exact(64);
        rows.map(|row| row.iter().any(|x| *x != 0.0)).collect::<Vec<_>>()
    };
    assert_eq!(learned(&all), [true; 5]);
    let images = batch.images.count;
    let kept =
        StepPlan { patch_keep: Some(0.25), ..StepPlan::default() }.pass(Key::new(3).at(1)).patches(images, 4).unwrap();
    let expected: Vec<bool> =
        (0..5).map(|row: usize| row == 0 || kept.iter().flatten().any(|patch| patch + 1 == row)).collect();
    assert!(expected.contains(&false), "{kept:?}: the draw must leave one out");
    assert_eq!(learned(&few), expected);
}

#[test]
fn a_step_in_bf16_stays_near_one_in_f32() {
    let (model, batch) = (lively_model(&config()), batch());
    let run = |products| gradients(&model, &batch, &StepPlan { products, ..plan(&ObjectiveKind::ALL) }, Key::new(3));
    let (exact, rounded) = (run(Products::F32), run(Products::Bf16(Tiles::Twin)));
    for (kind, measured) in &exact.0.objectives {
        let difference = (measured.loss - rounded.0.objectives[kind].loss).abs();
        assert!(difference < 0.02 * measured.loss, "{kind}: {difference}");
    }
    assert_ne!(exact.0.total, rounded.0.total, "bf16 must have been used");
    let squares = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let (mut all, mut apart) = (0.0, 0.0);
    for (path, exact) in exact.1.iter() {
        let rounded = rounded.1.get(path).unwrap();
        let difference: Vec<f32> = exact.iter().zip(rounded).map(|(x, y)| x - y).collect();
        (all, apart) = (all + squares(exact), apart + squares(&difference));
    }
    assert!((apart / all).sqrt() < 0.05, "{}", (apart / all).sqrt());
}
