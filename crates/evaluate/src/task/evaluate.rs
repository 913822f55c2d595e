//! Evaluates a fine-tuned bundle on folders of shards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use ptu_data::record::label_values;
use ptu_data::{DataError, InputForm, Manifest, Preparation, ShardFolder, Source, Split, ViewedSource};
use ptu_infer::task::{Predicted, Predictor, ShownImage, Target, TaskDescription, TaskOutput};
use ptu_kernels::ComputePrecision;
use ptu_metrics::Resampling;
use ptu_model::Bundle;
use ptu_random::Key;
use sha2::{Digest, Sha256};

use super::TaskMetric;
use super::baseline::baseline;
use super::calibration;
use super::reliance::{Reliance, Replacement, other_patients};
use super::report::{Baseline, GroupScore, NamedScore, OutputCount, Receipt, TaskReport};
use super::scorer::TaskScorer;
use crate::leak::{TrainingHistory, TrainingOverlap};
use crate::{EvaluateError, EvaluateOptions};

/// The scores of a fine-tuned model on a folder of shards, and the predictions that they were computed from.
pub struct TaskEvaluated {
    /// Name of the data set.
    pub name: String,
    /// The task.
    pub task: TaskDescription,
    /// The scores.
    pub report: TaskReport,
    /// The predictions with the records' own images.
    pub predicted: Vec<Predicted>,
}

impl TaskEvaluated {
    /// The scorer of the predictions.
    pub fn scorer(&self) -> TaskScorer<'_> {
        TaskScorer { output: &self.task.output, predicted: &self.predicted }
    }
}

/// Scores a fine-tuned bundle on each folder. `done` is called with the name of the data set, the number of finished predictions and
/// the number of all predictions.
///
/// # Errors
/// If the bundle is not fine-tuned for classes, labels or answers, files cannot be read, no record of the split has a target, or the model has learned from records
/// of the split.
pub fn evaluate_task(
    options: &EvaluateOptions,
    done: &mut dyn FnMut(&str, usize, usize),
) -> Result<Vec<TaskEvaluated>, EvaluateError> {
    let bundle = Bundle::load(&options.bundle, &options.device)?;
    let task = TaskDescription::of(&bundle, &options.bundle)?;
    task.require_classes(&options.bundle)?;
    let evaluator = Evaluator {
        options,
        preparation: task.preparation(&bundle),
        model: Bundle::fingerprint(&options.bundle)?,
        bundle: &bundle,
        task: &task,
    };
    options.data.iter().map(|path| evaluator.folder(path, done)).collect()
}

struct Evaluator<'a> {
    options: &'a EvaluateOptions,
    bundle: &'a Bundle,
    task: &'a TaskDescription,
    preparation: Preparation,
    /// The bundle's fingerprint.
    model: String,
}

impl Evaluator<'_> {
    fn history(&self) -> TrainingHistory<'_> {
        let Bundle { trained_on, learned, .. } = self.bundle;
        TrainingHistory { trained_on, learned: learned.as_ref(), folders: &self.options.training }
    }

    fn folder(&self, path: &Path, done: &mut dyn FnMut(&str, usize, usize)) -> Result<TaskEvaluated, EvaluateError> {
        let Self { options, task, .. } = self;
        if !options.force {
            self.history().check_split(path, &Manifest::read(path)?, options.split)?;
        }
        let shards = Arc::new(ShardFolder::open(path, options.split)?);
        let source: Arc<dyn Source> = Arc::clone(&shards) as _;
        let mut inputs = 0;
        let viewed = ViewedSource::new(source, task.input, &mut |record| {
            inputs += 1;
            task.output.target(record).is_some()
        })?;
        let (name, count) = (shards.name().to_string(), viewed.len());
        let replacements = self.replacements();
        let all = count * (1 + replacements.len());
        let mut predictor = Predictor::new(&self.bundle.model, task)?;
        predictor.precision = options.precision;
        let others = if replacements.contains(&Replacement::Other) {
            other_patients(&viewed, Key::new(options.seed))?
        } else {
            vec![]
        };
        let run = |shown, passes: usize, done: &mut dyn FnMut(&str, usize, usize)| {
            predictor.run(&viewed, &self.preparation, shown, &mut |records| done(&name, passes * count + records, all))
        };
        let predicted = run(ShownImage::Own, 0, done)?;
        if predicted.is_empty() {
            return Err(nothing(path, options.split, task));
        }
        let (known, mut notes) = self.known(path, &shards, &predicted)?;
        notes.extend(not_scored(inputs, predicted.len(), task));
        let scorer = TaskScorer { output: &task.output, predicted: &predicted };
        let key = Key::new(options.seed);
        let resampling = Resampling::new(key);
        let mut reliance = vec![];
        for (number, replacement) in replacements.into_iter().enumerate() {
            let shown = match replacement {
                Replacement::Blank => ShownImage::Blank,
                Replacement::Other => ShownImage::Of(&others),
                Replacement::Missing => ShownImage::Missing,
            };
            let replaced = run(shown, 1 + number, done)?;
            reliance.extend(costs(&scorer, &replaced, replacement, &resampling));
        }
        let baseline = self.baseline(path, &scorer, &resampling)?;
        let report = TaskReport {
            receipt: self.receipt(&shards, &predicted, known),
            records: predicted.len(),
            patients: scorer.patients().into_iter().collect::<BTreeSet<_>>().len(),
            unanswerable: predicted.iter().filter(|one| one.target == Target::Answer(None)).count(),
            cut: predicted.iter().filter(|one| one.cut).count(),
            scores: scores(&scorer, &resampling),
            baseline,
            reliance,
            groups: self.groups(&predicted, &resampling),
            calibration: Some(calibration::report(task, &predicted)).filter(|report| report.before.is_some()),
            counts: counts(&scorer),
            notes,
        };
        Ok(TaskEvaluated { name, task: (*task).clone(), report, predicted })
    }

    /// The baseline from the training split of a folder; `None` if it has none.
    fn baseline(
        &self,
        path: &Path,
        scorer: &TaskScorer<'_>,
        resampling: &Resampling,
    ) -> Result<Option<Baseline>, EvaluateError> {
        match ShardFolder::open(path, Split::Train) {
            Ok(train) => baseline(scorer, self.task.input, Arc::new(train), resampling),
            Err(DataError::NoRecords { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// How many images the model has learned from, and notes about them.
    fn known(
        &self,
        path: &Path,
        shards: &ShardFolder,
        predicted: &[Predicted],
    ) -> Result<(TrainingOverlap, Vec<String>), EvaluateError> {
        let images = predicted.iter().filter_map(|one| Some((one.record.id.as_str(), one.image_hash?)));
        self.history().check_images(path, shards, &images.collect::<Vec<_>>(), self.options.force)
    }

    /// What the model sees instead of the right image, as far as the input of the task has an image, and a text beside it.
    fn replacements(&self) -> Vec<Replacement> {
        match self.task.input {
            InputForm::Text | InputForm::Sentences => vec![],
            InputForm::Image => vec![Replacement::Blank, Replacement::Other],
            InputForm::Available | InputForm::Pair | InputForm::Question => {
                vec![Replacement::Blank, Replacement::Other, Replacement::Missing]
            }
        }
    }

    /// The first score of the task for the groups of records of the field or label that the options name.
    fn groups(&self, predicted: &[Predicted], resampling: &Resampling) -> BTreeMap<String, Vec<GroupScore>> {
        let Some(by) = &self.options.config.by else { return BTreeMap::new() };
        let mut groups: BTreeMap<String, Vec<Predicted>> = BTreeMap::new();
        for one in predicted {
            let named = label_values(&one.record.fields, by).into_iter().chain(label_values(&one.record.labels, by));
            let mut named: Vec<String> = named.collect();
            if named.is_empty() {
                named.push("(none)".into());
            }
            named.into_iter().for_each(|value| groups.entry(value).or_default().push(one.clone()));
        }
        let metric = TaskMetric::of(&self.task.output)[0];
        let score = |(value, predicted): (String, Vec<Predicted>)| {
            let scorer = TaskScorer { output: &self.task.output, predicted: &predicted };
            GroupScore { value, records: predicted.len(), score: scorer.score(metric, resampling) }
        };
        BTreeMap::from([(by.clone(), groups.into_iter().map(score).collect())])
    }

    fn receipt(&self, shards: &ShardFolder, predicted: &[Predicted], known: TrainingOverlap) -> Receipt {
        let mut ids = Sha256::new();
        for one in predicted {
            let question = one.record.questions.first().map_or("", |question| question.id.as_str());
            ids.update(format!("{}\0{question}\n", one.record.id));
        }
        let (outputs, normalisation) = match &self.task.output {
            TaskOutput::Vqa { answers, collected_from } => {
                (format!("{} answers of {collected_from}", answers.len()), "VQA challenge")
            }
            TaskOutput::Classification { classes, .. } => (format!("{} classes", classes.len()), "none"),
            TaskOutput::Multilabel { labels, .. } => (format!("{} labels", labels.len()), "none"),
            TaskOutput::Retrieval { .. } => ("a score".into(), "none"),
        };
        Receipt {
            model: self.model.clone(),
            task: self.task.output.kind().into(),
            input: self.task.input,
            source: shards.name().into(),
            manifest: shards.manifest().hash(),
            split: self.options.split,
            records: format!("{:x}", ids.finalize()),
            outputs,
            normalisation: normalisation.into(),
            seed: self.options.seed,
            precision: if self.options.precision == ComputePrecision::F32 { "f32".into() } else { "bf16".into() },
            known,
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// A note about inputs that cannot be scored, if there are any.
fn not_scored(inputs: usize, scored: usize, task: &TaskDescription) -> Option<String> {
    let skipped = inputs.saturating_sub(scored);
    let wanted = format!("{} and {}", reads(task.input), targets(&task.output));
    (skipped > 0).then(|| format!("{skipped} of {inputs} records are not scored, because they do not have {wanted}"))
}

/// The error for a split without any record that can be scored.
fn nothing(path: &Path, split: Split, task: &TaskDescription) -> EvaluateError {
    let (wanted, path) = (format!("{} and {}", reads(task.input), targets(&task.output)), path.display());
    EvaluateError::NoTarget { split: split.to_string(), cause: format!("`{path}` has no record with {wanted}") }
}

/// What records must have to be an input of this form.
fn reads(input: InputForm) -> &'static str {
    match input {
        InputForm::Available => "an image or a text",
        InputForm::Image => "an image",
        InputForm::Text => "a text",
        InputForm::Pair => "an image and a text",
        InputForm::Question => "a question",
        InputForm::Sentences => "a pair of sentences",
    }
}

/// What records must have to be scored.
fn targets(output: &TaskOutput) -> String {
    match output {
        TaskOutput::Classification { label, .. } => format!("one known value of the label `{label}`"),
        TaskOutput::Multilabel { labels, .. } => format!("the labels of the model, such as `{}`", labels[0].label),
        TaskOutput::Vqa { .. } => "an answer".into(),
        TaskOutput::Retrieval { .. } => "a text".into(),
    }
}

fn scores(scorer: &TaskScorer<'_>, resampling: &Resampling) -> Vec<NamedScore> {
    let metrics = TaskMetric::of(scorer.output).into_iter();
    metrics
        .map(|metric| NamedScore { name: metric.name(scorer.output), score: scorer.score(metric, resampling) })
        .collect()
}

/// What the replacement of the image costs, for each score of the task except those of single labels. Records that give no input
/// without their image are not compared.
fn costs(
    scorer: &TaskScorer<'_>,
    replaced: &[Predicted],
    image: Replacement,
    resampling: &Resampling,
) -> Vec<Reliance> {
    let compared: BTreeSet<usize> = replaced.iter().map(|one| one.position).collect();
    let own: Vec<Predicted> = scorer.predicted.iter().filter(|one| compared.contains(&one.position)).cloned().collect();
    let scorer = TaskScorer { output: scorer.output, predicted: &own };
    let replaced = TaskScorer { output: scorer.output, predicted: replaced };
    let metrics = TaskMetric::of(scorer.output).into_iter();
    let metrics = metrics.filter(|metric| !matches!(metric, TaskMetric::Auroc(_)));
    metrics
        .filter_map(|metric| {
            let cost = scorer.difference(&replaced, metric, resampling)?;
            Some(Reliance {
                image,
                metric: metric.name(scorer.output),
                score: replaced.score(metric, resampling),
                cost,
            })
        })
        .collect()
}

fn counts(scorer: &TaskScorer<'_>) -> Vec<OutputCount> {
    let names = scorer.output.names().into_iter().zip(scorer.counts());
    names.map(|(name, [with, without])| OutputCount { name: name.into(), with, without }).collect()
}
