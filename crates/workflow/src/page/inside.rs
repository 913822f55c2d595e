//! What only the model itself can show: what its words look at, what its prompts stand for.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use ptu_data::{Preparation, ShardFolder, Split};
use ptu_evaluate::{Gallery, GalleryOptions};
use ptu_model::Bundle;
use ptu_report::ExampleGroup;
use ptu_tasks::pretraining::Prompts;
use ptu_train::folder;
use ptu_train::log::read_events;

use super::{attention, prompts};
use crate::WorkflowError;

/// Pairs of which the attention is shown.
const PAIRS: usize = 3;

/// Attention of words over images, and the training items that are nearest to the most used prompts, of the last model of a
/// run; nothing where its data is not there any more.
///
/// # Errors
/// A bundle, a log or data that are damaged.
pub fn inside(run: &Path, device: &Device) -> Result<Vec<ExampleGroup>, WorkflowError> {
    let bundle = run.join(folder::BUNDLE);
    let recipe = folder::recipe(run)?;
    let Some(data) = recipe.data.first().map(|entry| entry.path.as_path()) else { return Ok(vec![]) };
    if !bundle.join(ptu_model::WEIGHTS).exists() || !data.join(ptu_data::manifest::MANIFEST_FILE).exists() {
        return Ok(vec![]);
    }
    let bundle = Bundle::load(&bundle, device)?;
    let preparation = Preparation::new(Arc::clone(&bundle.tokenizer), bundle.preprocess.clone(), bundle.max_tokens);
    let mut groups = vec![];
    let manifest = ptu_data::Manifest::read(data)?;
    // Only what looks at both halves at once learns where to look.
    let fused = bundle.model.heads.mlm.is_some() || bundle.model.heads.itm.is_some();
    if let Some(split) =
        [Split::Test, Split::Train].into_iter().find(|split| fused && manifest.counts(*split).pairs > 0)
    {
        let source = ShardFolder::open(data, split)?;
        let text = recipe.evaluate.text.choice(recipe.seed);
        let options = GalleryOptions { text, limit: PAIRS, hits: None, by: None, seed: recipe.seed };
        let gallery = Gallery::read(&source, &preparation, &options)?;
        let all = manifest.counts(split).pairs;
        let picked = match all > PAIRS as u64 {
            true => {
                format!("Shown are {PAIRS} of {all} pairs of split {split}, drawn at random by seed {}.", recipe.seed)
            }
            false => format!("Shown are all pairs of split {split}."),
        };
        groups.push(attention::group(&bundle, &gallery, &picked));
    }
    let events = read_events(&run.join(folder::LOG))?;
    if let Some(Prompts { image, text }) = events.iter().rev().find_map(Prompts::read) {
        let train = ShardFolder::open(data, Split::Train)?;
        groups.extend(prompts::groups(&bundle, &preparation, &train, [&image.most_used, &text.most_used])?);
    }
    Ok(groups)
}
