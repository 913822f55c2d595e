//! What a step needs of memory, so that a run that cannot fit is told before it starts.

use ptu_model::{Model, ModelConfig, ModelError};

use crate::objective::ObjectiveKind;
use crate::plan::StepPlan;
use crate::recipe::Checkpointing;
use crate::{Recipe, TrainError};

/// Bytes of a weight with its gradient and both moments.
const WEIGHT: usize = 16;
/// Bytes of an activation.
const VALUE: usize = 4;
/// Vectors of a token's width that a layer of its own stream keeps for the backward pass: what went in, queries, keys and
/// values, what attention gave, both sides of the activation (four wide each), sums and norms.
const ENCODER: usize = 15;
/// The same for a layer that also attends to the other stream.
const CROSS: usize = 21;

/// Some sequences of one length on their way through layers.
#[derive(Clone, Copy)]
struct Tokens {
    sequences: usize,
    /// Tokens of each.
    length: usize,
    /// Tokens that each attends to, over both streams.
    seen: usize,
}

impl Tokens {
    /// Values that `layers` layers keep; `vectors` a token and layer, and a probability a head and seen token.
    fn kept(self, layers: usize, heads: usize, vectors: usize, blocks: bool) -> usize {
        let inside = self.sequences * self.length * (vectors + heads * self.seen);
        let entry = self.sequences * self.length * vectors / ENCODER; // one vector, or a little more
        if blocks { layers * entry + inside } else { layers * inside }
    }
}

/// Bytes that a step of `b` records takes at its peak, roughly (at `base` within a fifth of what was measured,
/// see the tests); texts are taken to have `length` tokens.
///
/// # Errors
/// Sizes that do not fit each other.
pub fn step_bytes(config: &ModelConfig, plan: &StepPlan, b: usize, length: usize) -> Result<u64, ModelError> {
    let weights = Model::weights(config)?;
    let blocks = plan.checkpointing == Checkpointing::Blocks;
    let has = |kind| usize::from(plan.objectives.contains_key(&kind));
    let [mlm, itm, itc] = [ObjectiveKind::Mlm, ObjectiveKind::Itm, ObjectiveKind::Itc].map(has);
    let patches =
        1 + ((config.image.grid() * config.image.grid()) as f64 * plan.patch_keep.unwrap_or(1.0)).round() as usize;
    let (for_image, for_text) = (1 + config.image_prompts.count(), 2 + config.text_prompts.count());
    let stream = |sequences, length, seen| Tokens { sequences, length, seen };

    let (image, text, fusion) = (&config.image, &config.text, &config.fusion);
    let (image_layers, image_heads) = (image.used_layers(), image.width / 64);
    let mut values = stream(b, patches, patches).kept(image_layers, image_heads, ENCODER * image.width, blocks)
        + stream(itc * b, for_image, for_image).kept(image_layers, image_heads, ENCODER * image.width, blocks);
    for (sequences, length) in [((mlm + itm.max(itc)) * b, length), (itc * b, for_text)] {
        values += stream(sequences, length, length).kept(text.layers, text.heads, ENCODER * text.width, blocks);
    }
    // Pairs for words and for matching, images alone, texts alone; the last layer keeps little.
    for (passes, image, text) in [(mlm + itm, patches, length), (itc, patches, for_text), (itc, for_image, length)] {
        for own in [image, text] {
            let tokens = stream(passes * b, own, image + text);
            values += tokens.kept(fusion.layers - 1, fusion.heads, CROSS * fusion.width, blocks);
        }
    }
    // Masked words: logits and their gradient.
    values += mlm * b * (length * 15).div_ceil(100) * text.vocabulary * 2;
    Ok((weights * WEIGHT + values * VALUE) as u64)
}

/// Memory that this process may still take, in bytes, where the system tells.
pub fn free() -> Option<u64> {
    let system = sysinfo::System::new_with_specifics(
        sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram()),
    );
    let free = system.available_memory();
    // A container may have less than its machine. What of its limit is free is not asked: files kept in memory count as used
    // there, though they would make room.
    let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
    Some(free.min(limit)).filter(|free| *free > 0)
}

/// Refuses a recipe whose step does not fit into the memory that is free.
///
/// # Errors
/// What it needs, what there is, and which key lowers it.
pub fn check(recipe: &Recipe, config: &ModelConfig) -> Result<(), TrainError> {
    match free() {
        Some(free) => fits(recipe, config, free),
        None => Ok(()),
    }
}

fn fits(recipe: &Recipe, config: &ModelConfig, free: u64) -> Result<(), TrainError> {
    let (batch, accumulate) = (recipe.train.batch, recipe.train.accumulate);
    let needed = |accumulate: usize, checkpointing: Checkpointing| {
        let plan = StepPlan { checkpointing, ..StepPlan::of(recipe) };
        step_bytes(config, &plan, batch / accumulate, recipe.text.max_tokens)
    };
    let needs = needed(accumulate, recipe.train.checkpointing)?;
    if needs <= free {
        return Ok(());
    }
    let with_blocks = |accumulate| needed(accumulate, Checkpointing::Blocks).is_ok_and(|bytes| bytes <= free);
    let cure = match (accumulate..=batch).filter(|parts| batch.is_multiple_of(*parts)).find(|parts| with_blocks(*parts))
    {
        Some(parts) if parts == accumulate => "set train.checkpointing = \"blocks\"".to_string(),
        Some(parts) => format!("set train.accumulate = {parts} and train.checkpointing = \"blocks\""),
        None => "choose a smaller model (model.preset), or a machine with more memory".to_string(),
    };
    let [needed, free] = [needs, free].map(gigabytes);
    Err(TrainError::Memory { batch: batch / accumulate, needed, free, cure })
}

/// `8.9 GB`.
pub fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn recipe(sets: &[&str]) -> (Recipe, ModelConfig) {
        let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
        let text = "data = [\"a\"]\n[train]\nsteps = 1\nbatch = 4\n[text]\nmax_tokens = 48\n";
        let recipe = Recipe::parse(text, Path::new("r.toml"), &sets).unwrap();
        let config = recipe.model_config(50_265, [0, 2, 1]).unwrap();
        (recipe, config)
    }

    fn needed(sets: &[&str]) -> f64 {
        let (recipe, config) = recipe(sets);
        step_bytes(&config, &StepPlan::of(&recipe), recipe.train.batch / recipe.train.accumulate, 48).unwrap() as f64
            / (1 << 20) as f64
    }

    /// MiB seen by `ptunifier bench step --preset base`, alone and with `--checkpointing blocks`.
    #[test]
    fn what_was_measured_is_estimated_to_a_fifth() {
        for (sets, measured) in [(&[][..], 8614.0), (&["train.checkpointing=\"blocks\""][..], 6350.0)] {
            let ratio = needed(sets) / measured;
            assert!((0.8..1.2).contains(&ratio), "{sets:?}: {ratio}");
        }
    }

    #[test]
    fn every_lever_lowers_it() {
        let whole = needed(&["train.batch=64"]);
        for set in
            ["train.accumulate=4", "train.checkpointing=\"blocks\"", "train.patch_keep=0.5", "objectives=[\"itc\"]"]
        {
            assert!(needed(&["train.batch=64", set]) < 0.8 * whole, "{set}");
        }
    }

    #[test]
    fn the_message_names_the_key_that_helps() {
        let (recipe, config) = recipe(&["train.batch=256"]);
        let told = |free: u64| fits(&recipe, &config, free << 30).map_err(|error| error.to_string());
        assert_eq!(told(1000), Ok(()));
        let blocks = told(60).unwrap_err();
        assert!(blocks.contains("256 records") && blocks.contains("set train.checkpointing = \"blocks\""), "{blocks}");
        assert!(told(9).unwrap_err().contains("train.accumulate = "), "{:?}", told(9));
        assert!(told(2).unwrap_err().contains("model.preset"), "{:?}", told(2));
    }
}
