//! A bundle scored on shard folders, each a gallery of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use ptu_data::{Preparation, ShardFolder, Source, Split};
use ptu_input::Picture;
use ptu_metrics::{Cell, Resampling, bootstrap_mean_of_means};
use ptu_model::Bundle;
use ptu_random::Key;

use super::{Found, Gallery, GalleryOptions, Query, Score, Scores, score};
use crate::recipe::EvaluateConfig;
use crate::{Recipe, TrainError, folder};

/// What is scored on what.
#[derive(Clone, Debug)]
pub struct EvaluateOptions {
    /// Folder of the bundle.
    pub bundle: PathBuf,
    /// Shard folders.
    pub data: Vec<PathBuf>,
    /// Which of their splits.
    pub split: Split,
    /// Which text, how many pairs at most, which label makes hits.
    pub config: EvaluateConfig,
    /// Draws records, masks, partners, resamples.
    pub seed: u64,
    /// What computes.
    pub device: Device,
}

/// Scores on one gallery, and what they were made of.
pub struct Evaluated {
    /// Name of the source, and of the gallery where it has several.
    pub name: String,
    /// The scores.
    pub scores: Scores,
    /// The pairs.
    pub gallery: Gallery,
    /// Similarities.
    pub found: Found,
    source: Arc<ShardFolder>,
}

impl Evaluated {
    /// The picture of a pair as a small PNG, for a page; `None` where it cannot be read any more.
    pub fn thumbnail(&self, row: usize, side: usize) -> Option<Vec<u8>> {
        let record = self.source.get(self.gallery.records[row].record).ok()?;
        let image = record.image?;
        Some(Picture::decode(&image.bytes, &record.id).ok()?.thumbnail_png(side))
    }
}

impl EvaluateOptions {
    /// The bundle of a run on the data of its recipe, or any bundle on the folders named. `path` is a run folder or a
    /// bundle; `data` replaces the recipe's.
    ///
    /// # Errors
    /// A path that is neither; a bundle without a recipe and without data.
    pub fn of(path: &Path, data: Vec<PathBuf>, split: Split, device: Device) -> Result<Self, TrainError> {
        let recipe = path.join(folder::RECIPE);
        let (bundle, recipe) = if recipe.exists() {
            (path.join(folder::BUNDLE), Some(Recipe::load(&recipe, &[])?))
        } else {
            (path.to_path_buf(), None)
        };
        let data = match (&recipe, data.is_empty()) {
            (Some(recipe), true) => recipe.data.iter().map(|entry| entry.path.clone()).collect(),
            (None, true) => return Err(TrainError::NoData { path: path.into() }),
            (_, false) => data,
        };
        let seed = recipe.as_ref().map_or(0, |recipe| recipe.seed);
        let config = recipe.map_or_else(EvaluateConfig::default, |recipe| recipe.evaluate);
        Ok(Self { bundle, data, split, config, seed, device })
    }
}

/// Scores a bundle on each folder; `done` is told (pairs finished, pairs in all) of the folder at hand.
///
/// # Errors
/// Files that cannot be read, a folder without pairs in the split, a model without contrast head.
pub fn evaluate(
    options: &EvaluateOptions,
    done: &mut dyn FnMut(&str, usize, usize),
) -> Result<Vec<Evaluated>, TrainError> {
    let bundle = Bundle::load(&options.bundle, &options.device)?;
    let preparation = Preparation::new(Arc::new(bundle.tokenizer), bundle.preprocess, bundle.max_tokens);
    let gallery_options = GalleryOptions {
        text: options.config.text.choice(options.seed),
        limit: options.config.gallery,
        hits: options.config.hits.clone(),
        by: options.config.by.clone(),
        seed: options.seed,
    };
    let mut evaluated = vec![];
    for path in &options.data {
        let source = Arc::new(ShardFolder::open(path, options.split)?);
        for (part, gallery) in Gallery::read(source.as_ref(), &preparation, &gallery_options)?.split() {
            let name = if part.is_empty() { source.name().to_string() } else { format!("{} {part}", source.name()) };
            let (all, key) = (3 * gallery.records.len(), Key::new(options.seed));
            let mut told = |count| done(&name, count, all);
            let (scores, found) = score(&bundle.model, &bundle.config, &gallery, key, &mut told)?;
            evaluated.push(Evaluated { name, scores, gallery, found, source: Arc::clone(&source) });
        }
    }
    Ok(evaluated)
}

/// Mean R@10 over galleries and directions, each weighing the same; patients (or images) are resampled for all of them at
/// once.
pub fn mean_r10(evaluated: &[Evaluated], seed: u64) -> Score {
    let parts: Vec<(Vec<Option<f64>>, Vec<&str>)> = evaluated
        .iter()
        .flat_map(|evaluated| {
            [Query::Image, Query::Text].map(|query| {
                (ptu_metrics::found_at(10, &evaluated.found.of(query).ranks), evaluated.gallery.patients())
            })
        })
        .collect();
    let cells: Vec<Cell<'_, &str>> = parts.iter().map(|(values, groups)| Cell { values, groups }).collect();
    let interval = bootstrap_mean_of_means(&cells, &Resampling::new(Key::new(seed)));
    let directions = || {
        evaluated.iter().flat_map(|evaluated| {
            let retrieval = &evaluated.scores.retrieval;
            [retrieval.image_to_text.r10, retrieval.text_to_image.r10]
        })
    };
    let mean = |of: fn(Score) -> Option<f64>| {
        let values: Option<Vec<f64>> = directions().map(of).collect();
        values.filter(|values| !values.is_empty()).map(|values| values.iter().sum::<f64>() / values.len() as f64)
    };
    Score::new(mean(|score| score.value), interval, mean(|score| score.chance))
}
