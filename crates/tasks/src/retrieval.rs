//! Image-text retrieval: the model scores how well an image and a text fit, and ranks texts for an image, and images for a text, by it
//! (specification, section 4). The retrieval head reads the pooled features of the fused pair. It starts as a copy of the matching
//! head's row for true pairs.

mod pairs;
mod ranking;

use std::sync::Arc;

use ptu_data::{InputForm, Preparation, Source, Split, TextUnit};
use ptu_evaluate::{Gallery, ValidationScore};
use ptu_infer::task::{TaskDescription, TaskOutput};
use ptu_input::Slot;
use ptu_model::{HeadKind, Model};
use ptu_train::TrainError;
use ptu_train::log::Fields;
use ptu_train::objective::Weighted;
use ptu_train::recipe::Recipe;
use ptu_train::recipe::task::RetrievalRecipe;
use ptu_train::task::{Task, TrainingData, Validated, Validator};

use crate::TaskError;
use crate::validation;
use pairs::PairSource;

pub use ranking::Ranking;

/// The name of the objective in the log.
const NAME: &str = "retrieval";

/// Fine-tuning for image-text retrieval.
pub struct ImageTextRetrieval {
    recipe: RetrievalRecipe,
    /// Whether the training pairs have different texts.
    has_false_texts: bool,
    gallery: Option<Gallery>,
}

impl ImageTextRetrieval {
    /// The task with the settings of a recipe.
    pub fn of(recipe: RetrievalRecipe) -> Self {
        Self { recipe, has_false_texts: false, gallery: None }
    }

    /// Refuses a run in which no image has a false text. Notes when there are fewer than the recipe asks for.
    fn check_false_texts(&self, recipe: &Recipe, pairs: u64, note: &mut dyn FnMut(&str)) -> Result<(), TrainError> {
        let (train, negatives) = (&recipe.train, self.recipe.negatives);
        let part = (train.batch / train.accumulate) as u64;
        let none = |cause: String, cure| Err(TaskError::NoFalseText { cause, cure }.into());
        match (part, train.accumulate) {
            (1, 1) => return none("`train.batch` is 1".into(), "raise `train.batch` to 2 or more"),
            (1, parts) => {
                let cause = format!("`train.batch` ({}) divided by `train.accumulate` ({parts}) is 1", train.batch);
                return none(cause, "lower `train.accumulate`");
            }
            _ if pairs < 2 => return none("there is only one training pair".into(), "add data to `data`"),
            _ if !self.has_false_texts => {
                return none("all training pairs have the same text".into(), "add data with other texts to `data`");
            }
            _ => {}
        }
        let most = part.min(pairs) - 1;
        if most < negatives as u64 {
            note(&format!(
                "each image is compared with at most {most} false texts, not {negatives} (`task.negatives`), because they come from the \
                 {} pairs that are computed together",
                most + 1
            ));
        }
        Ok(())
    }
}

impl Task for ImageTextRetrieval {
    fn objectives(&self) -> Vec<Weighted<'_>> {
        let objective = Box::new(Ranking { negatives: self.recipe.negatives });
        vec![Weighted { name: NAME.into(), weight: 1.0, objective }]
    }

    fn heads(&self) -> Vec<HeadKind> {
        vec![HeadKind::Retrieval]
    }

    fn open(
        &mut self,
        recipe: &Recipe,
        data: &mut [TrainingData],
        note: &mut dyn FnMut(&str),
    ) -> Result<(), TrainError> {
        // Texts of several data sets differ, whatever each of them holds.
        self.has_false_texts = data.len() > 1;
        for one in data.iter_mut() {
            let (all, texts_only) = (one.source.source.len(), one.manifest.counts(Split::Train).texts_only);
            let mut pairs = PairSource::new(Arc::clone(&one.source.source))?;
            self.has_false_texts |= pairs.is_varied();
            if recipe.finetune.share < 1.0 {
                pairs = pairs.share(recipe.finetune.share, recipe.seed);
            }
            let unused = match texts_only {
                0 => String::new(),
                count => format!("; {count} texts without an image are not used"),
            };
            note(&format!("{}: {} examples from {all} records{unused}", pairs.name(), pairs.len()));
            one.source.source = Arc::new(pairs);
        }
        Ok(())
    }

    fn learns_from(&self, slot: Slot) -> bool {
        matches!(slot, Slot::Pair(_))
    }

    fn check(&self, recipe: &Recipe, data: &[TrainingData], note: &mut dyn FnMut(&str)) -> Result<(), TrainError> {
        let pairs: u64 = data.iter().map(|one| one.manifest.counts(Split::Train).pairs).sum();
        if pairs == 0 {
            let cure = "prepare the data with a column of images and a column of texts";
            return Err(
                TaskError::NothingToRead { data: recipe.folders(), wanted: "an image with a text", cure }.into()
            );
        }
        self.check_false_texts(recipe, pairs, note)?;
        validation::pairs(recipe, data)?;
        Ok(())
    }

    fn preparation(&self, preparation: Preparation) -> Preparation {
        // One complete text of the record, drawn anew each time; single sentences are for pre-training.
        Preparation { unit: TextUnit::Text, ..preparation }
    }

    fn prepare(&mut self, recipe: &Recipe, _model: &Model, preparation: &Preparation) -> Result<(), TrainError> {
        self.gallery = validation::gallery(recipe, preparation, self.recipe.validation_pairs)?;
        Ok(())
    }

    fn validator(&self) -> Option<&dyn Validator> {
        self.gallery.as_ref().map(|gallery| gallery as &dyn Validator)
    }

    fn validated(&self, fields: &Fields) -> Option<Validated> {
        Some(fields.get::<ValidationScore>()?.validated())
    }

    fn description(&self, started_from: Option<&str>) -> Option<serde_json::Value> {
        let output = TaskOutput::Retrieval { negatives: self.recipe.negatives };
        let started_from = started_from.map(String::from);
        let task = TaskDescription { started_from, ..TaskDescription::new(InputForm::Pair, output) };
        Some(serde_json::to_value(task).expect("a description of a task can be written as JSON"))
    }
}
