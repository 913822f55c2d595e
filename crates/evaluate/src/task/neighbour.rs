//! A source whose incomplete records get what they lack from the training record that is most similar in what is there.

use std::sync::Arc;

use ptu_data::collate::Origin;
use ptu_data::{DataError, Preparation, Record, Source, TextChoice};
use ptu_infer::Embedder;
use ptu_input::Input;
use rayon::prelude::*;

use crate::EvaluateError;
use crate::fidelity::TrainingMemory;
use crate::gallery::BATCH;
use crate::scores::Removed;

/// A source whose records have the image or the texts of their neighbour where they have none of their own.
pub struct NeighbourSource<'a> {
    source: Arc<dyn Source>,
    train: &'a dyn Source,
    /// For each record the training record that completes it; `None` for complete records and those with nothing to compare.
    neighbours: Vec<Option<usize>>,
}

impl<'a> NeighbourSource<'a> {
    /// Finds the neighbours of all records of a source. The memory is one of `train`.
    ///
    /// # Errors
    /// If a record cannot be read, or inputs do not fit the model.
    pub fn new(
        source: Arc<dyn Source>,
        (train, memory): (&'a dyn Source, &TrainingMemory<'_>),
        embedder: Embedder<'_>,
        preparation: &Preparation,
    ) -> Result<Self, EvaluateError> {
        let input = |position: &usize| -> Result<Option<Input>, EvaluateError> {
            let origin = Origin { source: 0, name: source.name(), position: *position };
            let example = preparation.evaluate(source.get(*position)?, origin, TextChoice::All, None)?;
            Ok(example.map(|example| example.input))
        };
        let (mut neighbours, positions) = (vec![None; source.len()], (0..source.len()).collect::<Vec<_>>());
        for chunk in positions.chunks(BATCH) {
            let read: Vec<Result<_, EvaluateError>> = chunk.par_iter().map(input).collect();
            let read: Vec<Option<Input>> = read.into_iter().collect::<Result<_, _>>()?;
            for removed in [Removed::Texts, Removed::Images] {
                let lacks = |input: &Input| match removed {
                    Removed::Texts => matches!(input, Input::Image(_)),
                    Removed::Images => matches!(input, Input::Text(_)),
                };
                let (places, inputs): (Vec<usize>, Vec<Input>) = (chunk.iter().copied().zip(&read))
                    .filter_map(|(position, input)| {
                        Some((position, input.as_ref().filter(|input| lacks(input))?.clone()))
                    })
                    .unzip();
                if !inputs.is_empty() {
                    let found = memory.positions_of_nearest(embedder, removed, &inputs)?;
                    places.into_iter().zip(found).for_each(|(place, found)| neighbours[place] = Some(found));
                }
            }
        }
        Ok(Self { source, train, neighbours })
    }
}

impl Source for NeighbourSource<'_> {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn len(&self) -> usize {
        self.source.len()
    }

    fn get(&self, index: usize) -> Result<Record, DataError> {
        let mut record = self.source.get(index)?;
        if let Some(neighbour) = self.neighbours[index] {
            let neighbour = self.train.get(neighbour)?;
            if record.image.is_none() {
                record.image = neighbour.image;
            } else {
                (record.texts, record.sections) = (neighbour.texts, neighbour.sections);
            }
        }
        Ok(record)
    }

    /// The records come with what they have of their own.
    fn each_without_image(&self, each: &mut dyn FnMut(Record)) -> Result<(), DataError> {
        self.source.each_without_image(each)
    }
}
