//! Examples that need the trained model: attention of words over images, and the training items that select the most used
//! prompts.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use ptu_data::{ShardFolder, Source, Split};
use ptu_evaluate::{Gallery, GalleryOptions};
use ptu_model::Bundle;
use ptu_report::ExampleGroup;
use ptu_tasks::pretraining::Prompts;
use ptu_train::folder;
use ptu_train::log::read_events;

use super::attention;
use super::prompts::{self, PromptCounts};
use crate::WorkflowError;

/// Number of pairs whose attention is shown.
const PAIRS: usize = 3;

/// Computes, with the last model of a run, the attention of words over images, and the training items that are nearest to
/// the most used prompts. Returns nothing if the data or the weights of the run do not exist any more.
///
/// # Errors
/// If the bundle, the log or the data is damaged.
pub fn inside(run: &Path, device: &Device) -> Result<Vec<ExampleGroup>, WorkflowError> {
    let bundle = run.join(folder::BUNDLE);
    let recipe = folder::recipe(run)?;
    let Some(data) = recipe.data.first().map(|entry| entry.path.as_path()) else { return Ok(vec![]) };
    if !bundle.join(ptu_model::WEIGHTS).exists() || !data.join(ptu_data::manifest::MANIFEST_FILE).exists() {
        return Ok(vec![]);
    }
    let bundle = Bundle::load(&bundle, device)?;
    let preparation = ptu_infer::preparation(&bundle);
    let mut groups = vec![];
    let manifest = ptu_data::Manifest::read(data)?;
    // Only the objectives MLM and ITM train the attention between text and image.
    let fused = bundle.model.heads.mlm.is_some() || bundle.model.heads.itm.is_some();
    if let Some(split) =
        [Split::Test, Split::Train].into_iter().find(|split| fused && manifest.counts(*split).pairs > 0)
    {
        let source: Arc<dyn Source> = Arc::new(ShardFolder::open(data, split)?);
        let text = recipe.evaluate.text.choice(recipe.seed);
        let options = GalleryOptions { text, limit: PAIRS, hits: None, by: None, seed: recipe.seed };
        let gallery = Gallery::read(&source, &preparation, &options)?;
        let all = manifest.counts(split).pairs;
        let selection = match all > PAIRS as u64 {
            true => {
                format!("Shown are {PAIRS} of {all} pairs of split {split}, drawn at random by seed {}.", recipe.seed)
            }
            false => format!("Shown are all pairs of split {split}."),
        };
        groups.push(attention::group(&bundle, &gallery, &selection)?);
    }
    let events = read_events(&run.join(folder::LOG))?;
    let mut counts = events.iter().rev().filter_map(|event| Some((event.step(), Prompts::read(event)?)));
    if let Some((step, Prompts { image, text })) = counts.next() {
        // Each count begins where the one before it ended.
        let counted_steps = counts.next().map_or(0, |(before, _)| before)..step;
        let train = ShardFolder::open(data, Split::Train)?;
        let usage = PromptCounts { image: &image.most_used, text: &text.most_used, counted_steps };
        groups.extend(prompts::groups(&bundle, &preparation, &train, &usage)?);
    }
    Ok(groups)
}
