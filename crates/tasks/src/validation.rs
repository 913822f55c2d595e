//! The pairs of the validation splits, on which models are validated by retrieval.

use std::sync::Arc;

use ptu_data::{DataError, Preparation, ShardFolder, Source, Split};
use ptu_evaluate::{EvaluateError, Gallery, GalleryOptions};
use ptu_train::task::TrainingData;
use ptu_train::{Recipe, TrainError};

/// Number of pairs of the validation splits; `None` if the recipe requests no validation. A validation without pairs is refused.
pub fn pairs(recipe: &Recipe, data: &[TrainingData]) -> Result<Option<u64>, TrainError> {
    let every = recipe.train.validate_every;
    if every == 0 {
        return Ok(None);
    }
    match data.iter().map(|one| one.manifest.counts(Split::Validate).pairs).sum::<u64>() {
        0 => Err(TrainError::NoValidation { every, data: recipe.folders() }),
        pairs => Ok(Some(pairs)),
    }
}

/// Reads at most `limit` pairs of each validation split; `None` if there are none, or the recipe requests no validation.
pub fn gallery(recipe: &Recipe, preparation: &Preparation, limit: usize) -> Result<Option<Gallery>, TrainError> {
    if recipe.train.validate_every == 0 {
        return Ok(None);
    }
    let mut all: Option<Gallery> = None;
    for entry in &recipe.data {
        let shards: Arc<dyn Source> = match ShardFolder::open(&entry.path, Split::Validate) {
            Err(DataError::NoRecords { .. }) => continue,
            opened => Arc::new(opened?),
        };
        let options = GalleryOptions {
            text: recipe.evaluate.text.choice(recipe.seed),
            limit,
            hits: recipe.evaluate.hits.clone(),
            by: None,
            seed: recipe.seed,
        };
        match Gallery::read(&shards, preparation, &options) {
            Ok(gallery) => match &mut all {
                Some(all) => all.records.extend(gallery.records),
                None => all = Some(gallery),
            },
            Err(EvaluateError::NoPairs { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}
