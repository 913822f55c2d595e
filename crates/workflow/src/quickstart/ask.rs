//! The last part of a quickstart on the phantom corpus: the model is fine-tuned to answer questions about images.

use std::path::Path;

use ptu_data::{ShardFolder, Source, Split};
use ptu_evaluate::EvaluateOptions;
use ptu_evaluate::task::{TaskEvaluated, evaluate_task};
use ptu_model::files;
use ptu_train::recipe::DataEntry;
use ptu_train::trainer::{Observer, RunOptions};
use ptu_train::{Recipe, folder};

use super::{Corpus, Quickstart};
use crate::WorkflowError;
use crate::page;

const RECIPE: &str = include_str!("../quickstart-ask.toml");
/// Number of steps for each step of pre-training.
const STEPS: f64 = 0.6;
/// Expected time of these steps and their validations, as a share of the time of pre-training.
pub(super) const TIME: f64 = 0.6;

/// The recipe of fine-tuning after a number of steps of pre-training. The paths are those of the quickstart's folder.
pub(super) fn recipe(data: &Path, model: &Path, steps: u64, seed: u64) -> Result<Recipe, WorkflowError> {
    let steps = ((STEPS * steps as f64).round() as u64).max(1);
    let quarter = (steps / 4).max(1);
    let sized = [
        format!("train.steps={steps}"),
        format!("train.save_every={quarter}"),
        format!("train.validate_every={quarter}"),
    ];
    let mut recipe = Recipe::parse(RECIPE, Path::new("quickstart-ask.toml"), &sized)?;
    recipe.finetune.model = Some(model.into());
    Ok(Recipe { data: vec![DataEntry { path: data.into(), weight: 1.0 }], seed, ..recipe })
}

impl Quickstart<'_> {
    /// Fine-tunes the trained model. Returns whether training has finished; it has, if the corpus has no questions.
    pub(super) fn learn_questions(&self, observer: &mut dyn Observer) -> Result<bool, WorkflowError> {
        let (output, options) = (&self.output, self.options);
        if let Corpus::Table(_) = options.corpus {
            return Ok(true);
        }
        observer.note("fine-tuning the model to answer questions about images");
        let steps = folder::recipe(&output.run)?.train.steps;
        let recipe = recipe(&output.data, &output.run, steps, options.seed)?;
        let run = RunOptions { out: output.ask.clone(), ..self.run.clone() };
        observer.saves(true);
        let trained = ptu_tasks::train(&recipe, &run, observer)?;
        observer.saves(false);
        Ok(trained.finished)
    }

    /// Scores the answers to the questions about held-out images, saves the scores in the run, and writes one of these images, to be
    /// asked about. Empty if the corpus has no questions.
    pub(super) fn score_questions(&self) -> Result<Vec<TaskEvaluated>, WorkflowError> {
        if let Corpus::Table(_) = self.options.corpus {
            return Ok(vec![]);
        }
        let device = self.run.device.clone().inner();
        let options = EvaluateOptions::of(&self.output.ask, vec![], Split::Test, device)?;
        let evaluated = evaluate_task(&options, &mut |_, _, _| {})?;
        page::task_to_save(&evaluated).write(&self.output.ask)?;
        let held_out = ShardFolder::open(&self.output.data, Split::Test)?;
        if let Some(image) = held_out.get(0)?.image {
            files::write_bytes(&self.output.example, &image.bytes)?;
        }
        Ok(evaluated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_file_equals_the_recipe_of_the_quickstart() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/finetune/phantom-questions.toml");
        let mut written = Recipe::load(&file, &[]).unwrap();
        let data = written.data[0].path.clone();
        written.finetune.model = Some("quickstart/run".into());
        assert_eq!(recipe(&data, Path::new("quickstart/run"), 1000, 0).unwrap(), written);
        assert_eq!(recipe(&data, Path::new("run"), 1, 0).unwrap().train.steps, 1);
    }
}
