//! Predictions for records that lack an image or a text, with each completion.

use std::path::Path;
use std::sync::Arc;

use ptu_data::{IncompleteSource, MissingShares, Source, TextChoice, ViewedSource};
use ptu_infer::task::{Predicted, ShownImage};
use ptu_infer::{Embedder, EncodedImages};
use ptu_random::Key;

use super::super::missing;
use super::super::neighbour::NeighbourSource;
use super::Evaluator;
use crate::fidelity::{Completion, TrainingMemory};
use crate::scores::{Curve, Removed};
use crate::{EvaluateError, EvaluateOptions};

impl Evaluator<'_> {
    /// The scores with missing images or texts, if they are requested, on the records of a folder. `own` are the predictions for the records
    /// as they are, with the stand-in of the options.
    pub(super) fn missing(
        &self,
        (path, viewed): (&Path, &Arc<ViewedSource>),
        own: &[Predicted],
        encoded: &EncodedImages,
        done: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Curve>, EvaluateError> {
        let Self { options, bundle, task, preparation, .. } = self;
        if !options.missing {
            return Ok(vec![]);
        }
        let (key, count) = (Key::new(options.seed), viewed.len());
        let embedder = Embedder { model: &bundle.model, precision: options.precision };
        let train = self.training(path)?;
        let pairs = train.as_ref().map_or(0, |train| train.len().min(TrainingMemory::MOST));
        let all = |completions: &[Completion]| pairs + missing::predictions(task, completions) * count;
        let memory = match &train {
            Some(train) => {
                let (records, all) =
                    ((train.as_ref(), preparation, TextChoice::All), all(&missing::completions(&task.output, true)));
                TrainingMemory::read(embedder, records, key, None, &mut |read| done(read.min(pairs), all))?
            }
            None => None,
        };
        let completions = missing::completions(&task.output, memory.is_some());
        let mean = memory.as_ref().map(|memory| memory.mean_model(&bundle.model)).transpose()?;
        let (all, mut before) = (all(&completions), pairs);
        missing::curves(task, &completions, key, &mut |completion, removed| {
            let start = before;
            before += count;
            if removed.is_none() && completion == options.stand_in.into() {
                return Ok(own.to_vec());
            }
            let (model, stand_in) = completion.model(&bundle.model, mean.as_ref().unwrap_or(&bundle.model));
            let mut predictor = self.predictor(model, encoded)?;
            predictor.stand_in = stand_in;
            let shares = match removed {
                None => MissingShares::default(),
                Some(Removed::Images) => MissingShares { images: 1.0, texts: 0.0 },
                Some(Removed::Texts) => MissingShares { images: 0.0, texts: 1.0 },
            };
            let source = Arc::new(IncompleteSource::new(Arc::clone(viewed) as Arc<dyn Source>, shares, key));
            let mut done = |records| done(start + records, all);
            Ok(match (completion, &train, &memory) {
                (Completion::Neighbour, Some(train), Some(memory)) => {
                    let source = NeighbourSource::new(source, (train.as_ref(), memory), embedder, preparation)?;
                    predictor.run(&source, preparation, ShownImage::Own, &mut done)?
                }
                _ => predictor.run(source.as_ref(), preparation, ShownImage::Own, &mut done)?,
            })
        })
    }

    /// The training split of a folder as the task reads it, without what was missing in training; `None` if the folder has none, or if the task
    /// writes texts, for which only prompts are asked.
    fn training(&self, path: &Path) -> Result<Option<Arc<dyn Source>>, EvaluateError> {
        let train = if self.task.output.written().is_some() { None } else { self.train_split(path)? };
        let Some(train) = train else { return Ok(None) };
        let viewed: Arc<dyn Source> = Arc::new(ViewedSource::new(train, self.task.view(), &mut |_| true)?);
        let EvaluateOptions { training_missing: (shares, seed), is_own_data, .. } = *self.options;
        let shares = if is_own_data { shares } else { MissingShares::default() };
        Ok(Some(Arc::new(IncompleteSource::new(viewed, shares, Key::new(seed)))))
    }
}
