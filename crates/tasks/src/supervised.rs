//! Fine-tuning on labels, answers and texts: single-label and multi-label classification, visual question answering, report
//! generation and summarisation (specification, section 4). A head reads the pooled features of each record, or the decoder reads
//! all states after the fusion; prompts take the place of a missing image or text.

mod generation;
mod learnable;
mod loss;
mod outputs;
mod share;
mod validation;

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;

use ptu_data::{IncompleteSource, InputForm, Manifest, Preparation, Record, Source, Split, TextUnit, ViewedSource};
use ptu_evaluate::task::calibration;
use ptu_infer::EncodedImages;
use ptu_infer::task::{Target, TaskDescription, TaskOutput};
use ptu_model::config::DecoderConfig;
use ptu_model::{Bundle, HeadKind, Model, Outputs};
use ptu_random::Key;
use ptu_train::TrainError;
use ptu_train::folder;
use ptu_train::objective::{Objective, Weighted};
use ptu_train::recipe::{Recipe, TaskRecipe};
use ptu_train::task::{Task, TrainingData, Validator};

use generation::Generation;
use loss::Supervised;
use validation::{HeldOut, train_error};

/// Fine-tuning on labels, answers or texts.
pub struct FineTuning {
    task: TaskDescription,
    /// For single-label classification with `balanced`, the weight of each class in the loss.
    class_weights: Option<Vec<f64>>,
    held_out: Option<HeldOut>,
}

impl FineTuning {
    /// The task of a recipe. Its outputs are read from the data by [`Task::open`].
    pub fn of(recipe: &Recipe) -> Self {
        let output = TaskOutput::Classification { label: String::new(), classes: vec![] };
        let output = outputs::written(&recipe.task).unwrap_or(output);
        let view = recipe.task.view();
        Self::described(TaskDescription { section: view.section, ..TaskDescription::new(view.form, output) })
    }

    /// The task of a description, whose outputs are known.
    pub fn described(task: TaskDescription) -> Self {
        Self { task, class_weights: None, held_out: None }
    }

    /// What the model reads and what its outputs mean.
    pub fn task(&self) -> &TaskDescription {
        &self.task
    }

    /// Fits the temperature of the bundles of a finished run to the validation records, and stores it, or the reason why there is none, in
    /// their `task.json`. Bundles that have one of both are left as they are, and so are all if there was no validation. `note` gets the
    /// reasons.
    ///
    /// # Errors
    /// When a bundle or a record cannot be read, or a file cannot be written.
    pub fn calibrate(&self, run: &Path, device: &Device, note: &mut dyn FnMut(&str)) -> Result<(), TrainError> {
        let Some(held_out) = self.held_out.as_ref().filter(|_| self.task.output.written().is_none()) else {
            return Ok(());
        };
        for name in [folder::BUNDLE, folder::BEST] {
            let folder = run.join(name);
            if !folder.join(ptu_model::WEIGHTS).exists() {
                continue;
            }
            let bundle = Bundle::load(&folder, device)?;
            let task = TaskDescription::of(&bundle, &folder).map_err(train_error)?;
            if task.calibration.is_some() || task.uncalibrated.is_some() {
                continue;
            }
            let fitted = calibration::fit(&task, &held_out.predict(&bundle.model)?);
            let task = TaskDescription { calibration: fitted.ok(), uncalibrated: fitted.err(), ..task };
            if let Some(text) = calibration::note(&task) {
                note(&format!("{name}/: {text}"));
            }
            let json = serde_json::to_value(task).expect("a description of a task can be written as JSON");
            Bundle::save_task(&folder, &json)?;
        }
        Ok(())
    }

    /// The weight of each class in the loss with which all classes count the same: the inverse of its frequency.
    fn balanced(&self, data: &[TrainingData]) -> Result<Vec<f64>, TrainError> {
        let mut counts = vec![0usize; self.task.output.names().len()];
        for one in data {
            one.source.source.each_without_image(&mut |record| {
                if let Some(Target::Class(class)) = self.task.output.target(&record) {
                    counts[class] += 1;
                }
            })?;
        }
        let (all, classes) = (counts.iter().sum::<usize>() as f64, counts.len() as f64);
        Ok(counts.into_iter().map(|count| all / (classes * count.max(1) as f64)).collect())
    }

    /// A view of a source with the records that have a target, and the number of questions without an answer, which have none.
    fn view(&self, source: Arc<dyn Source>) -> Result<(ViewedSource, usize), TrainError> {
        let mut unanswered = 0;
        let mut has_target = |record: &Record| {
            let has_target = self.task.output.target(record).is_some();
            unanswered += usize::from(self.task.input == InputForm::Question && !has_target);
            has_target
        };
        let viewed = ViewedSource::new(source, self.task.view(), &mut has_target)?;
        Ok((viewed, unanswered))
    }
}

impl Task for FineTuning {
    fn objectives(&self) -> Vec<Weighted<'_>> {
        let (output, class_weights) = (&self.task.output, self.class_weights.as_deref());
        let objective: Box<dyn Objective> = match self.task.head() {
            None => Box::new(Generation),
            Some(head) => Box::new(Supervised { output, head, class_weights }),
        };
        vec![Weighted { name: output.kind().into(), weight: 1.0, objective }]
    }

    fn heads(&self) -> Vec<HeadKind> {
        self.task.head().into_iter().collect()
    }

    fn decoder(&self) -> Option<DecoderConfig> {
        self.task.decoder()
    }

    fn outputs(&self) -> Outputs {
        self.task.outputs()
    }

    fn open(
        &mut self,
        recipe: &Recipe,
        data: &mut [TrainingData],
        note: &mut dyn FnMut(&str),
    ) -> Result<(), TrainError> {
        self.task.output = outputs::output(recipe, data)?;
        for one in data.iter_mut() {
            let all = one.source.source.len();
            let (mut viewed, unanswered) = self.view(Arc::clone(&one.source.source))?;
            if recipe.finetune.share < 1.0 {
                viewed = share::share(viewed, &self.task.output, recipe.finetune.share, recipe.seed)?;
            }
            let unused = match unanswered {
                0 => String::new(),
                count => format!("; {count} questions without an answer are not used"),
            };
            note(&format!("{}: {} examples from {all} records{unused}", viewed.name(), viewed.len()));
            one.source.source = incomplete(Arc::new(viewed), recipe);
        }
        note(&describe(&self.task.output));
        if let TaskRecipe::Classification(classification) = &recipe.task
            && classification.balanced
        {
            self.class_weights = Some(self.balanced(data)?);
        }
        Ok(())
    }

    fn check(&self, recipe: &Recipe, data: &[TrainingData], note: &mut dyn FnMut(&str)) -> Result<(), TrainError> {
        outputs::check(recipe, data, &self.task.output, note)?;
        let sources: Vec<&dyn Source> = data.iter().map(|one| one.source.source.as_ref()).collect();
        learnable::check(&self.task.output, recipe, &sources, note)
    }

    fn preparation(&self, preparation: Preparation) -> Preparation {
        // The view of a record has one text, which is used completely.
        let sentence_pairs = self.task.input == InputForm::Sentences;
        let target_tokens = self.task.output.written().map(|written| written.generation.max_length);
        Preparation { unit: TextUnit::Text, sentence_pairs, target_tokens, ..preparation }
    }

    fn prepare(&mut self, recipe: &Recipe, _model: &Model, preparation: &Preparation) -> Result<(), TrainError> {
        if recipe.train.validate_every == 0 {
            return Ok(());
        }
        let mut sources: Vec<Arc<dyn Source>> = vec![];
        for entry in &recipe.data {
            if Manifest::read(&entry.path)?.counts(Split::Validate).records > 0 {
                let shards = ptu_data::ShardFolder::open(&entry.path, Split::Validate)?;
                sources.push(incomplete(Arc::new(self.view(Arc::new(shards))?.0), recipe));
            }
        }
        self.held_out = Some(HeldOut {
            sources,
            preparation: preparation.clone(),
            task: self.task.clone(),
            encoded: EncodedImages::default(),
        });
        Ok(())
    }

    fn validator(&self) -> Option<&dyn Validator> {
        self.held_out.as_ref().map(|held_out| held_out as &dyn Validator)
    }

    fn description(&self, started_from: Option<&str>) -> Option<serde_json::Value> {
        let task = TaskDescription { started_from: started_from.map(String::from), ..self.task.clone() };
        Some(serde_json::to_value(task).expect("a description of a task can be written as JSON"))
    }
}

/// The records of a source without the images and the texts that the recipe removes.
fn incomplete(source: Arc<dyn Source>, recipe: &Recipe) -> Arc<dyn Source> {
    match recipe.finetune.missing {
        missing if missing.is_none() => source,
        missing => Arc::new(IncompleteSource::new(source, missing, Key::new(recipe.seed))),
    }
}

/// A sentence about the outputs.
fn describe(output: &TaskOutput) -> String {
    let names = output.names();
    let shown = names.iter().take(8).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let more = if names.len() > 8 { ", ..." } else { "" };
    match output {
        TaskOutput::Classification { label, .. } => {
            format!("label `{label}` has {} classes: {shown}{more}", names.len())
        }
        TaskOutput::Multilabel { .. } => format!("{} labels: {shown}{more}", names.len()),
        TaskOutput::Vqa { collected_from, .. } => {
            format!("{} answers, collected from {collected_from}: {shown}{more}", names.len())
        }
        TaskOutput::Report(written) | TaskOutput::Summary(written) => {
            let (target, tokens) = (written.target.name(), written.generation.max_length);
            format!("section `{target}` is written, in at most {tokens} tokens")
        }
        TaskOutput::Retrieval { .. } => "a score for an image and a text".into(),
    }
}
