//! Evaluates a fine-tuned bundle on folders of shards.

mod incomplete;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use ptu_data::record::label_values;
use ptu_data::{DataError, InputForm, Preparation, ShardFolder, Source, Split, ViewedSource};
use ptu_infer::task::{Predicted, Predictor, ShownImage, Target, TaskDescription, TaskOutput};
use ptu_infer::{EncodedImages, InferError, Vectors};
use ptu_input::Picture;
use ptu_kernels::ComputePrecision;
use ptu_metrics::Resampling;
use ptu_model::{Bundle, Model, StandIn};
use ptu_random::Key;
use sha2::{Digest, Sha256};

use super::TaskMetric;
use super::baseline::baseline;
use super::calibration;
use super::others::OtherPredictions;
use super::probe::{self, ProbedRecords};
use super::reliance::{Reliance, Replacement, other_patients};
use super::report::{
    Baseline, GroupScore, NamedScore, OutputCount, Receipt, ScoredProtocol, SentencesReceipt, TaskReport,
};
use super::scorer::TaskScorer;
use super::survey::{Survey, reads, targets};
use super::zero_shot::ZeroShot;
use crate::leak::{ReadRecord, TrainingHistory, TrainingOverlap};
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
    /// What was predicted in other ways for the same records.
    pub others: OtherPredictions,
    /// The records as the task reads them, at the positions of the predictions.
    pub source: Arc<dyn Source>,
}

impl TaskEvaluated {
    /// The scorer of the predictions.
    pub fn scorer(&self) -> TaskScorer<'_> {
        TaskScorer { output: &self.task.output, predicted: &self.predicted }
    }

    /// The image of a prediction as a small PNG, for a page; `None` if the record has none, or if it cannot be read any more.
    pub fn thumbnail(&self, predicted: &Predicted, side: usize) -> Option<Vec<u8>> {
        let record = self.source.get(predicted.position).ok()?;
        Some(Picture::decode(&record.image?.bytes, &record.id).ok()?.thumbnail_png(side))
    }
}

/// Scores a fine-tuned bundle on each folder. `done` is called with the name of the data set, the number of finished predictions and
/// the number of all predictions.
///
/// # Errors
/// If the bundle is not fine-tuned for classes, labels, answers or texts, files cannot be read, no record of the split has a target, or
/// the model has learned from records of the split.
pub fn evaluate_task(
    options: &EvaluateOptions,
    done: &mut dyn FnMut(&str, usize, usize),
) -> Result<Vec<TaskEvaluated>, EvaluateError> {
    let bundle = Bundle::load(&options.bundle, &options.device)?;
    let mut task = TaskDescription::of(&bundle, &options.bundle)?;
    task.require_outputs(&options.bundle)?;
    if options.missing && !task.input.may_lack_image() {
        return Err(EvaluateError::ReadsOne { input: task.input });
    }
    if let (Some(generation), Some(written)) = (options.generation, task.output.written_mut()) {
        written.generation = generation;
    }
    Evaluator::new(options, &bundle, &task, Protocol::FineTuned)?.all(done)
}

/// Scores the zero-shot classification of a pre-trained bundle on each folder, with everything that a fine-tuned classifier is scored
/// by. `done` is called as by [`evaluate_task`].
///
/// # Errors
/// If the model cannot compare images with texts, a file cannot be read, no record has a class of the file, or the model has learned
/// from records of the split.
pub fn evaluate_zero_shot(
    options: &EvaluateOptions,
    zero_shot: &ZeroShot<'_>,
    done: &mut dyn FnMut(&str, usize, usize),
) -> Result<Vec<TaskEvaluated>, EvaluateError> {
    let bundle = Bundle::load(&options.bundle, &options.device)?;
    let task = zero_shot.task();
    let classes = zero_shot.sentences.vectors_of(&bundle, &options.bundle)?;
    Evaluator::new(options, &bundle, &task, Protocol::ZeroShot { zero_shot, classes })?.all(done)
}

/// How a model predicts the outputs of a task.
enum Protocol<'a> {
    /// By the head of a fine-tuned model.
    FineTuned,
    /// By sentences; `classes` are the vectors of the classes.
    ZeroShot { zero_shot: &'a ZeroShot<'a>, classes: Vectors },
}

/// Predicts with an image that is shown, as the pass of a number.
type Run<'r> = dyn FnMut(ShownImage<'_>, usize) -> Result<Vec<Predicted>, InferError> + 'r;

/// A model and the options of its evaluation.
struct Evaluator<'a> {
    options: &'a EvaluateOptions,
    bundle: &'a Bundle,
    task: &'a TaskDescription,
    protocol: Protocol<'a>,
    preparation: Preparation,
    /// The bundle's fingerprint.
    model: String,
}

impl<'a> Evaluator<'a> {
    /// Prepares an evaluation.
    ///
    /// # Errors
    /// If the bundle cannot be read.
    fn new(
        options: &'a EvaluateOptions,
        bundle: &'a Bundle,
        task: &'a TaskDescription,
        protocol: Protocol<'a>,
    ) -> Result<Self, EvaluateError> {
        let (preparation, model) = (task.preparation(bundle), Bundle::fingerprint(&options.bundle)?);
        Ok(Self { options, bundle, task, protocol, preparation, model })
    }

    /// Scores each folder of the options.
    ///
    /// # Errors
    /// As [`evaluate_task`].
    fn all(&self, done: &mut dyn FnMut(&str, usize, usize)) -> Result<Vec<TaskEvaluated>, EvaluateError> {
        self.options.data.iter().map(|path| self.folder(path, done)).collect()
    }

    /// A predictor of the bundle's model, or of one with other prompts, that keeps the outputs of the image encoder in `encoded`.
    fn predictor<'b>(&self, model: &'b Model, encoded: &'b EncodedImages) -> Result<Predictor<'b>, EvaluateError>
    where
        'a: 'b,
    {
        let task = self.task;
        let mut predictor = match &self.protocol {
            Protocol::FineTuned => Predictor::new(model, task)?,
            Protocol::ZeroShot { classes, .. } => Predictor::by_sentences(model, task, classes)?,
        };
        (predictor.seed, predictor.stand_in) = (self.options.seed, self.options.stand_in);
        Ok(predictor.with_encoded(encoded, self.options.precision))
    }

    /// The records of a folder as the protocol uses them.
    fn records(&self, shards: Arc<ShardFolder>) -> Result<Arc<dyn Source>, EvaluateError> {
        match &self.protocol {
            Protocol::FineTuned => Ok(shards),
            Protocol::ZeroShot { zero_shot, .. } => Ok(zero_shot.records(shards)?),
        }
    }

    /// The inputs of a split that are scored, and what the records hold.
    fn view(&self, path: &Path, shards: &Arc<ShardFolder>) -> Result<(ViewedSource, Survey<'a>), EvaluateError> {
        let task = self.task;
        let (wanted, scores_others) = match &self.protocol {
            Protocol::FineTuned => (format!("{} and {}", reads(task.input), targets(&task.output)), true),
            Protocol::ZeroShot { zero_shot, .. } => (zero_shot.wanted(), false),
        };
        let mut survey = Survey::new(task, wanted, scores_others);
        let records = self.records(Arc::clone(shards))?;
        let viewed = ViewedSource::new(records, task.view(), &mut |record| survey.add(record))?;
        if let Protocol::ZeroShot { zero_shot: ZeroShot { label: Some(label), .. }, .. } = &self.protocol {
            survey.check_label(label, path)?;
        }
        if let Some(by) = &self.options.config.by {
            survey.check_field(by, path)?;
        }
        Ok((viewed, survey))
    }

    fn history(&self) -> TrainingHistory<'_> {
        let Bundle { trained_on, learned, .. } = self.bundle;
        TrainingHistory { trained_on, learned: learned.as_ref(), folders: &self.options.training }
    }

    fn folder(&self, path: &Path, done: &mut dyn FnMut(&str, usize, usize)) -> Result<TaskEvaluated, EvaluateError> {
        let Self { options, task, .. } = self;
        if !options.force {
            self.history().check_split(path, options)?;
        }
        let shards = Arc::new(ShardFolder::open(path, options.split)?);
        let (viewed, survey) = self.view(path, &shards)?;
        let viewed = Arc::new(viewed);
        let (name, count) = (shards.name().to_string(), viewed.len());
        let all = count * (1 + self.replacements().len());
        let encoded = EncodedImages::default();
        let predictor = self.predictor(&self.bundle.model, &encoded)?;
        let mut run = |shown: ShownImage<'_>, passes: usize| {
            let mut done = |records| done(&name, passes * count + records, all);
            predictor.run(viewed.as_ref(), &self.preparation, shown, &mut done)
        };
        let predicted = run(ShownImage::Own, 0)?;
        if predicted.is_empty() {
            return Err(survey.nothing(path, options.split));
        }
        let scorer = TaskScorer { output: &task.output, predicted: &predicted };
        let (key, mut kept) = (Key::new(options.seed), OtherPredictions::default());
        let resampling = Resampling::new(key);
        let (reliance, without_others) = self.reliance(&viewed, &scorer, &mut run, &mut kept)?;
        let (known, mut notes) = self.known(path, &shards, &predicted)?;
        notes.extend(self.notes(&survey, &predicted));
        notes.extend(without_others);
        let baseline = self.baseline(path, &scorer, &resampling)?.map(|(baseline, predicted)| {
            kept.add("baseline", &task.output, &predicted);
            baseline
        });
        let records = ProbedRecords { path, shards: &shards, viewed: &viewed };
        let probe = probe::report(options, &scorer, task, &records, done)?;
        notes.extend(probe.notes);
        kept.add("probe", &task.output, &probe.predicted);
        let missing =
            self.missing((path, &viewed), &predicted, &encoded, &mut |records, all| done(&name, records, all))?;
        let report = TaskReport {
            baseline,
            missing,
            probe: probe.report,
            reliance,
            notes,
            ..self.scored(&shards, &scorer, known, &resampling)
        };
        let (task, source) = ((*task).clone(), viewed);
        Ok(TaskEvaluated { name, task, report, predicted, others: kept, source })
    }

    /// What the scores lose with each replacement of the image, whose predictions are added to `kept`, and a note if one of them is left out.
    fn reliance(
        &self,
        viewed: &ViewedSource,
        scorer: &TaskScorer<'_>,
        run: &mut Run<'_>,
        kept: &mut OtherPredictions,
    ) -> Result<(Vec<Reliance>, Option<String>), EvaluateError> {
        let (replacements, key, mut reliance) = (self.replacements(), Key::new(self.options.seed), vec![]);
        let needs_others = replacements.contains(&Replacement::Other);
        let others = if needs_others { other_patients(viewed, key)? } else { None };
        for (number, replacement) in replacements.into_iter().enumerate() {
            let shown = match (replacement, &others) {
                (Replacement::Blank, _) => ShownImage::Blank,
                (Replacement::Other, Some(others)) => ShownImage::Of(others),
                (Replacement::Other, None) => continue,
                (Replacement::Missing, _) => ShownImage::Missing,
            };
            let replaced = run(shown, 1 + number)?;
            kept.add(replacement.key(), &self.task.output, &replaced);
            reliance.extend(costs(scorer, &replaced, replacement, &Resampling::new(key)));
        }
        let note = "all records are of one patient, so there is no image of another one: this score is left out";
        Ok((reliance, (needs_others && others.is_none()).then(|| note.into())))
    }

    /// The records of the training split of a folder; `None` if it has none.
    fn train_split(&self, path: &Path) -> Result<Option<Arc<dyn Source>>, EvaluateError> {
        match ShardFolder::open(path, Split::Train) {
            Ok(train) => self.records(Arc::new(train)).map(Some),
            Err(DataError::NoRecords { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What the user should know about the predictions.
    fn notes(&self, survey: &Survey<'_>, predicted: &[Predicted]) -> Vec<String> {
        let mut notes = survey.notes(predicted.len());
        let stand_in = self.options.stand_in;
        if stand_in != StandIn::Prompts {
            notes.push(format!("in place of a missing image or text stand {}, not prompts", stand_in.name()));
        }
        notes.extend(written_notes(predicted));
        notes.extend(calibration::note(self.task));
        notes
    }

    /// The report of predictions, without comparisons and notes.
    fn scored(
        &self,
        shards: &ShardFolder,
        scorer: &TaskScorer<'_>,
        known: TrainingOverlap,
        resampling: &Resampling,
    ) -> TaskReport {
        let predicted = scorer.predicted;
        TaskReport {
            receipt: self.receipt(shards, predicted, known),
            records: predicted.len(),
            patients: scorer.patients().into_iter().collect::<BTreeSet<_>>().len(),
            unanswerable: predicted.iter().filter(|one| is_unanswerable(&one.target)).count(),
            cut: predicted.iter().filter(|one| one.cut).count(),
            scores: scores(scorer, resampling),
            baseline: None,
            probe: None,
            reliance: vec![],
            missing: vec![],
            groups: self.groups(predicted, resampling),
            calibration: Some(calibration::report(self.task, predicted)).filter(|report| report.before.is_some()),
            counts: counts(scorer),
            notes: vec![],
        }
    }

    /// The baseline from the training split of a folder, and its predictions; `None` if it has none.
    fn baseline(
        &self,
        path: &Path,
        scorer: &TaskScorer<'_>,
        resampling: &Resampling,
    ) -> Result<Option<(Baseline, Vec<Predicted>)>, EvaluateError> {
        self.train_split(path)?.map_or(Ok(None), |train| baseline(scorer, self.task, train, resampling))
    }

    /// How many images and texts the model has learned from, and notes about them.
    fn known(
        &self,
        path: &Path,
        shards: &ShardFolder,
        predicted: &[Predicted],
    ) -> Result<(TrainingOverlap, Vec<String>), EvaluateError> {
        self.history().check_records(path, shards, &ReadRecord::of(self.task, predicted), self.options.force)
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
            TaskOutput::Report(written) | TaskOutput::Summary(written) => {
                let normalisation = if written.lower_case { "lower case" } else { "none" };
                (format!("texts of the section `{}`", written.target.name()), normalisation)
            }
            TaskOutput::Retrieval { .. } => ("a score".into(), "none"),
        };
        let (protocol, sentences) = match &self.protocol {
            Protocol::FineTuned => (ScoredProtocol::FineTuned, None),
            Protocol::ZeroShot { zero_shot: ZeroShot { sentences, .. }, .. } => (
                ScoredProtocol::ZeroShot,
                Some(SentencesReceipt { hash: sentences.hash(), classes: sentences.classes.clone() }),
            ),
        };
        Receipt {
            model: self.model.clone(),
            task: self.task.output.kind().into(),
            protocol,
            sentences,
            input: self.task.input,
            source: shards.name().into(),
            manifest: shards.manifest().hash(),
            split: self.options.split,
            records: format!("{:x}", ids.finalize()),
            outputs,
            normalisation: normalisation.into(),
            decoding: self.task.output.written().map(|written| written.generation),
            seed: self.options.seed,
            precision: if self.options.precision == ComputePrecision::F32 { "f32".into() } else { "bf16".into() },
            cached_images: self.task.cached_images,
            known,
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// Notes about texts that were stopped, or that are empty.
fn written_notes(predicted: &[Predicted]) -> Vec<String> {
    let texts = || predicted.iter().filter_map(|one| one.text.as_ref());
    let (all, stopped) = (texts().count(), texts().filter(|text| !text.finished).count());
    let empty = texts().filter(|text| text.text.is_empty()).count();
    [(stopped, "did not end by themselves and were stopped at the largest number of tokens"), (empty, "are empty")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} of {all} generated texts {what}"))
        .collect()
}

/// Whether no output of the model can be right.
fn is_unanswerable(target: &Target) -> bool {
    matches!(target, Target::Answer(None) | Target::OtherClass)
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
    TaskMetric::overall(scorer.output)
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
