//! Statistics of the training data by which the projections into the fusion are initialised (`model.init.standardise`).

use burn::module::Module;
use ptu_data::collate::{Origin, TextChoice};
use ptu_data::{Preparation, Source};
use ptu_input::{Batch, Input};
use ptu_model::{EncoderMoments, Model};
use rayon::prelude::*;

use super::Observer;
use crate::step::StepConfig;
use crate::task::TrainingData;
use crate::{Recipe, TrainError};

/// Largest number of records that are read, evenly from all data.
const RECORDS: usize = 128;
/// Number of records that the encoders process at a time.
const BATCH: usize = 16;

/// The model with its projections initialised by some of the training data, if the recipe says so.
///
/// # Errors
/// When a record cannot be read.
pub(super) fn standardised(
    model: Model,
    data: &[TrainingData],
    preparation: &Preparation,
    recipe: &Recipe,
    observer: &mut dyn Observer,
) -> Result<Model, TrainError> {
    if !recipe.model.init.standardises() {
        return Ok(model);
    }
    let sources: Vec<&dyn Source> = data.iter().map(|one| one.source.source.as_ref()).collect();
    let all: usize = sources.iter().map(|source| source.len()).sum();
    let read = RECORDS.min(all);
    let places: Vec<usize> = (0..read).map(|number| number * all / read).collect();
    let (mut moments, precision) = (EncoderMoments::new(model.config()), StepConfig::of(recipe).precision);
    // Without a graph for gradients, which would keep the outputs of all layers.
    let encoders = model.valid();
    for (number, places) in places.chunks(BATCH).enumerate() {
        observer.working("outputs of the encoders", (number * BATCH) as u64, read as u64);
        let inputs: Vec<Result<_, TrainError>> =
            places.par_iter().map(|place| input(&sources, *place, preparation)).collect();
        let inputs: Vec<Option<Input>> = inputs.into_iter().collect::<Result<_, _>>()?;
        moments.add(&encoders, &Batch::collect(&inputs.into_iter().flatten().collect::<Vec<_>>()), precision);
    }
    observer.working("outputs of the encoders", read as u64, read as u64);
    Ok(model.standardised(&moments))
}

/// The input of the record at a place among the records of all sources; `None` if it has neither an image nor a text.
fn input(sources: &[&dyn Source], mut place: usize, preparation: &Preparation) -> Result<Option<Input>, TrainError> {
    for (number, source) in sources.iter().enumerate() {
        if place < source.len() {
            let origin = Origin { source: number, name: source.name(), position: place };
            let example = preparation.evaluate(source.get(place)?, origin, TextChoice::First, None)?;
            return Ok(example.map(|example| example.input));
        }
        place -= source.len();
    }
    Ok(None)
}
