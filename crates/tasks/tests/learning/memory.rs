//! The estimated memory of a step, compared with measurements.

use std::path::Path;

use ptu_model::{Frozen, ModelConfig, Outputs, Preset, TextStyle};
use ptu_tasks::pretraining::StepPlan;
use ptu_train::Recipe;
use ptu_train::memory::{fits, step_bytes};
use ptu_train::recipe::Checkpointing;
use ptu_train::step::StepConfig;

fn recipe(sets: &[&str]) -> (Recipe, ModelConfig) {
    recipe_for(50_265, sets)
}

fn recipe_for(vocabulary: usize, sets: &[&str]) -> (Recipe, ModelConfig) {
    let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
    let text = "data = [\"a\"]\n[train]\nsteps = 1\nbatch = 4\n[text]\nmax_tokens = 48\n";
    let recipe = Recipe::parse(text, Path::new("r.toml"), &sets).unwrap();
    let config =
        recipe.model_config(vocabulary, [0, 2, 1], &StepPlan::of(&recipe).heads(), Outputs::default()).unwrap();
    (recipe, config)
}

/// The estimated memory in MiB, with these overrides of the recipe.
fn needed(sets: &[&str]) -> f64 {
    needed_for(50_265, sets)
}

fn needed_for(vocabulary: usize, sets: &[&str]) -> f64 {
    let (recipe, config) = recipe_for(vocabulary, sets);
    let (objectives, step) = (StepPlan::of(&recipe).objectives(), StepConfig::of(&recipe));
    let bytes = step_bytes(&config, &objectives, &step, recipe.train.batch / recipe.train.accumulate, 48);
    bytes.unwrap() as f64 / (1 << 20) as f64
}

/// The measurements are in MiB, from `ptunifier bench step --preset P --batch B`, with and without `--checkpointing blocks`.
#[test]
fn estimates_agree_with_measurements_within_fifteen_per_cent() {
    let (none, blocks) = (Checkpointing::None, Checkpointing::Blocks);
    for (preset, vocabulary, batch, checkpointing, measured) in [
        (Preset::Tiny, 4096, 4, none, 174.0),
        (Preset::Tiny, 4096, 64, none, 995.0),
        (Preset::Tiny, 4096, 64, blocks, 421.0),
        (Preset::Tiny, 4096, 256, blocks, 1425.0),
        (Preset::Small, 30_522, 4, none, 1560.0),
        (Preset::Small, 30_522, 16, none, 3409.0),
        (Preset::Small, 30_522, 8, blocks, 1367.0),
        (Preset::Small, 30_522, 32, blocks, 2602.0),
        (Preset::Base, 50_265, 4, none, 8798.0),
        (Preset::Base, 50_265, 4, blocks, 6350.0),
    ] {
        let config = preset.config(TextStyle::Roberta, vocabulary, [0, 2, 1]);
        let (objectives, step) = (StepPlan::of(&recipe(&[]).0).objectives(), StepConfig::of(&recipe(&[]).0));
        let bytes = step_bytes(&config, &objectives, &StepConfig { checkpointing, ..step }, batch, 48).unwrap();
        let ratio = bytes as f64 / (1 << 20) as f64 / measured;
        assert!((0.85..1.15).contains(&ratio), "{preset:?} {batch} {checkpointing:?}: {ratio}");
    }
}

/// Measured as the peak of `ptunifier pretrain` on the phantom corpus with 256 pairs a step, in MiB: two streams of `tiny` 3,249, one
/// stream of 10 layers 8,609 (BERT) and 7,982 (ViT).
#[test]
fn one_stream_needs_as_much_more_as_was_measured() {
    let tiny = ["model.preset=\"tiny\"", "train.batch=256"];
    let two_streams = needed_for(700, &tiny);
    for (kind, measured) in [("single_stream_bert", 8609.0 / 3249.0), ("single_stream_vit", 7982.0 / 3249.0)] {
        let kind = format!("model.fusion.kind=\"{kind}\"");
        let one_stream = needed_for(700, &[&tiny[..], &[kind.as_str(), "model.fusion.layers=10"]].concat());
        let ratio = one_stream / two_streams / measured;
        assert!((0.85..1.15).contains(&ratio), "{kind}: {ratio}");
    }
}

#[test]
fn every_memory_option_reduces_the_need() {
    let whole = needed(&["train.batch=64"]);
    for set in ["train.accumulate=4", "train.checkpointing=\"blocks\"", "train.patch_keep=0.5", "objectives=[\"itc\"]"]
    {
        assert!(needed(&["train.batch=64", set]) < 0.8 * whole, "{set}");
    }
}

#[test]
fn the_message_names_the_keys_that_help() {
    let (recipe, config) = recipe(&["train.batch=256"]);
    let message = |free: u64| {
        fits(&StepPlan::of(&recipe).objectives(), &recipe, &config, free << 30).map_err(|error| error.to_string())
    };
    assert_eq!(message(1000), Ok(()));
    let blocks = message(60).unwrap_err();
    assert!(blocks.contains("256 records") && blocks.contains("set train.checkpointing = \"blocks\""), "{blocks}");
    assert!(message(9).unwrap_err().contains("train.accumulate = "), "{:?}", message(9));
    assert!(message(2).unwrap_err().contains("model.preset"), "{:?}", message(2));
}

#[test]
fn a_frozen_image_encoder_needs_less() {
    let text = "data = [\"a\"]\n[task]\nkind = \"vqa\"\n[train]\nsteps = 1\nbatch = 16\n[text]\nmax_tokens = 48\n";
    let of = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
        let recipe = Recipe::parse(text, Path::new("r.toml"), &sets).unwrap();
        let config = recipe.model_config(30_522, [0, 2, 1], &[], Outputs::default()).unwrap();
        let objectives = StepPlan::default().objectives();
        // The smallest memory into which the step fits, to a megabyte.
        let fits = |mebibytes: u64| fits(&objectives, &recipe, &config, mebibytes << 20).is_ok();
        let (mut low, mut high) = (0, 1 << 20);
        while high - low > 1 {
            let middle = (low + high) / 2;
            if fits(middle) { high = middle } else { low = middle }
        }
        (high as f64, recipe.frozen_image_encoder(&config))
    };
    let small = "model.preset=\"small\"";
    let (trained, of_trained) = of(&[small]);
    // Gradients of the embedding need a pass through all blocks.
    let (part, of_part) = of(&[small, "train.freeze=[\"vision_encoder.visual.transformer\"]"]);
    assert!(of_trained == Frozen::Nothing && of_part == Frozen::Nothing && part == trained, "{part} {trained}");
    let (frozen, of_frozen) = of(&[small, "train.freeze=[\"vision_encoder\"]"]);
    assert!(of_frozen == Frozen::All && frozen < 0.9 * trained, "{frozen} {trained}");
    let except =
        "train.freeze_except=[\"vision_encoder.visual.transformer.resblocks.5.\", \"vision_encoder.visual.ln_post\"]";
    let (last, of_last) = of(&[small, "train.freeze=[\"vision_encoder\"]", except]);
    assert_eq!(of_last, Frozen::Layers(5));
    assert!(frozen < last && last < 0.95 * trained, "{frozen} {last} {trained}");
}
