//! The linear probe of a starting model: the baseline that shows what fine-tuning adds to the frozen features of the model that it
//! started from.

use std::path::Path;
use std::sync::Arc;

use ptu_data::collate::Origin;
use ptu_data::{DataError, Example, Preparation, ShardFolder, Source, Split, TextChoice, ViewedSource};
use ptu_infer::probe::LinearProbe;
use ptu_infer::task::{Predicted, Target, TaskDescription, TaskOutput};
use ptu_infer::{Embedder, Vectors};
use ptu_input::Input;
use ptu_metrics::Resampling;
use ptu_model::Bundle;
use ptu_random::{Key, Place};
use rayon::prelude::*;

use super::TaskMetric;
use super::report::{ProbeReport, ProbeScore};
use super::scorer::TaskScorer;
use crate::leak::{ReadRecord, TrainingHistory};
use crate::probe_space::ProbeSpace;
use crate::{EvaluateError, EvaluateOptions};

/// Largest number of training records that a probe is fitted to.
const MAX_FITTED: usize = 20_000;
/// Batch size of the model.
const BATCH: usize = 16;
/// Factors of the L2 penalty from which one is chosen by the validation split, the strongest first: the inverse of scikit-learn's C.
const PENALTIES: [f64; 8] = [1e5, 1e4, 1000.0, 100.0, 10.0, 1.0, 0.1, 0.01];

/// The predictions of a linear probe, and how it was fitted.
#[derive(Clone, Debug)]
pub struct ProbePredictions {
    /// One prediction for each record, in the same order.
    pub predicted: Vec<Predicted>,
    /// Number of training records.
    pub fitted: usize,
    /// The factor of the L2 penalty.
    pub penalty: f64,
    /// Whether the penalty was chosen by a validation split; without one it is 1.
    pub validated: bool,
}

/// Records with their features and right outputs.
struct Features {
    predicted: Vec<Predicted>,
    vectors: Vectors,
}

/// The linear probe of a frozen model.
pub struct Probe<'a> {
    /// The task whose outputs are predicted.
    pub task: &'a TaskDescription,
    /// The frozen model.
    pub bundle: &'a Bundle,
    /// Which of its features are read.
    pub space: ProbeSpace,
    /// Draws the training records, if there are more than 20,000.
    pub key: Key,
}

/// Receives the progress of a probe: what is done, how many of how many.
pub type ProbeProgress<'a> = &'a mut dyn FnMut(&str, usize, usize);

impl Probe<'_> {
    /// Predicts the outputs of the task for the records of `scored`, as the task reads them, by logistic regression on the model's
    /// features of the same inputs (image, text or both). It is fitted to at most 20,000 records of `train`. The L2 penalty is the one with
    /// the best first score of the task on `validate`. For classes it is one multinomial regression, for labels one regression for each
    /// label, fitted to the records for which it is known. `done` receives the progress.
    ///
    /// `None` if the training records do not have two classes, or if the task is about answers to questions, whose sets are too
    /// large, or writes texts.
    ///
    /// # Errors
    /// If records cannot be read, or inputs do not fit the model.
    pub fn predictions(
        &self,
        train: Arc<dyn Source>,
        validate: Option<Arc<dyn Source>>,
        scored: &ViewedSource,
        done: ProbeProgress<'_>,
    ) -> Result<Option<ProbePredictions>, EvaluateError> {
        if !matches!(self.task.output, TaskOutput::Classification { .. } | TaskOutput::Multilabel { .. }) {
            return Ok(None);
        }
        let train = self.view(train)?;
        let mut order: Vec<usize> = (0..train.len()).collect();
        self.key.stream(Place::Sample, 5).shuffle(&mut order);
        order.truncate(MAX_FITTED);
        order.sort_unstable();
        let train = self.features(&train.select(&order), done)?;
        let validate = validate.map(|source| self.features(&self.view(source)?, done)).transpose()?;
        let validate = validate.filter(|features| !features.predicted.is_empty());
        let Some(start) = self.fit(&train, 1.0) else { return Ok(None) };
        let mut best = (start, 1.0, None::<f64>);
        for (number, penalty) in PENALTIES.into_iter().enumerate() {
            done("linear probe: penalties", number, PENALTIES.len());
            let (Some(validate), Some(fitted)) = (&validate, self.fit(&train, penalty)) else { continue };
            let score = self.score(&fitted.predictions(validate));
            // Of equal scores the stronger penalty is kept.
            if score.is_some() && best.2.is_none_or(|best| score > Some(best)) {
                best = (fitted, penalty, score);
            }
        }
        let (fitted, penalty, score) = best;
        let predicted = fitted.predictions(&self.features(scored, done)?);
        Ok(Some(ProbePredictions { predicted, fitted: train.predicted.len(), penalty, validated: score.is_some() }))
    }

    /// The records of a source that have a right output, as the task reads them.
    fn view(&self, source: Arc<dyn Source>) -> Result<ViewedSource, EvaluateError> {
        let mut is_used = |record: &ptu_data::Record| {
            self.task.output.target(record).is_some_and(|target| target != Target::OtherClass)
        };
        Ok(ViewedSource::new(source, self.task.view(), &mut is_used)?)
    }

    /// The features of the records of a source; records that give no input are left out.
    fn features(&self, source: &ViewedSource, done: ProbeProgress<'_>) -> Result<Features, EvaluateError> {
        let (preparation, embedder) = (self.task.preparation(self.bundle), Embedder::new(&self.bundle.model));
        let mut features = Features { predicted: vec![], vectors: Vectors::default() };
        let mut modality = None;
        let positions: Vec<usize> = (0..source.len()).collect();
        for chunk in positions.chunks(BATCH) {
            let read: Vec<Result<_, EvaluateError>> =
                chunk.par_iter().map(|&position| self.read(source, position, &preparation)).collect();
            let read: Vec<Option<(Input, Predicted)>> = read.into_iter().collect::<Result<_, _>>()?;
            let (inputs, predicted): (Vec<Input>, Vec<Predicted>) = read.into_iter().flatten().unzip();
            features.vectors.append(match self.space {
                ProbeSpace::Features => embedder.features(&inputs, BATCH, &mut |_| {})?,
                ProbeSpace::Encoder => {
                    let first = modality.get_or_insert_with(|| inputs.first().map(std::mem::discriminant));
                    if inputs.iter().any(|input| Some(std::mem::discriminant(input)) != *first) {
                        return Err(EvaluateError::ProbeModalities);
                    }
                    embedder.encoder_features(&inputs, BATCH)?
                }
            });
            features.predicted.extend(predicted);
            done("linear probe: features", chunk.last().map_or(0, |last| last + 1), source.len());
        }
        Ok(features)
    }

    fn read(
        &self,
        source: &ViewedSource,
        position: usize,
        preparation: &Preparation,
    ) -> Result<Option<(Input, Predicted)>, EvaluateError> {
        let record = source.get(position)?;
        let Some(target) = self.task.output.target(&record) else { return Ok(None) };
        let origin = Origin { source: 0, name: source.name(), position };
        let example = preparation.evaluate(record, origin, TextChoice::All, None)?;
        Ok(example.map(|Example { input, record, image_hash, text_hash, cut, .. }| {
            (input, Predicted { position, record, target, logits: vec![], text: None, image_hash, text_hash, cut })
        }))
    }

    /// The first score of the task.
    fn score(&self, predicted: &[Predicted]) -> Option<f64> {
        let scorer = TaskScorer { output: &self.task.output, predicted };
        scorer.value(TaskMetric::of(&self.task.output)[0]).value
    }

    /// The classifiers with this penalty; `None` if no output has two classes.
    fn fit(&self, train: &Features, penalty: f64) -> Option<Classifiers> {
        let outputs = self.task.output.names().len();
        if self.task.output.is_exclusive() {
            let class = |one: &Predicted| if let Target::Class(class) = one.target { Some(class) } else { None };
            let (vectors, truths) = train.known(&class);
            let varied = truths.iter().any(|truth| *truth != truths[0]);
            let linear = varied.then(|| LinearProbe::fit_classes(&vectors, &truths, outputs, penalty))?;
            return Some(Classifiers::Classes(linear));
        }
        let label = |label: usize| {
            let truth = |one: &Predicted| match &one.target {
                Target::Labels(states) => states[label].truth().map(usize::from),
                _ => None,
            };
            let (vectors, truths) = train.known(&truth);
            let varied = truths.iter().any(|truth| *truth != truths[0]);
            varied.then(|| LinearProbe::fit_classes(&vectors, &truths, 2, penalty))
        };
        let labels: Vec<Option<LinearProbe>> = (0..outputs).map(label).collect();
        labels.iter().any(Option::is_some).then_some(Classifiers::Labels(labels))
    }
}

impl Features {
    /// The vectors of the records for which something is known, with what is known.
    fn known(&self, of: &dyn Fn(&Predicted) -> Option<usize>) -> (Vectors, Vec<usize>) {
        let (mut known, mut truths) = (Vectors { width: self.vectors.width, values: vec![] }, vec![]);
        for (row, one) in self.vectors.rows().zip(&self.predicted) {
            if let Some(truth) = of(one) {
                known.values.extend_from_slice(row);
                truths.push(truth);
            }
        }
        (known, truths)
    }
}

/// Fitted classifiers.
enum Classifiers {
    /// One for all classes.
    Classes(LinearProbe),
    /// One for each label; `None` for a label without positives or without negatives.
    Labels(Vec<Option<LinearProbe>>),
}

impl Classifiers {
    fn predictions(&self, features: &Features) -> Vec<Predicted> {
        let logits = |row: &[f32]| match self {
            Self::Classes(probe) => probe.logits(row),
            Self::Labels(probes) => {
                let logit = |probe: &LinearProbe| probe.logits(row).windows(2).map(|pair| pair[1] - pair[0]).sum();
                probes.iter().map(|probe| probe.as_ref().map_or(0.0, logit)).collect()
            }
        };
        let rows = features.vectors.rows().zip(&features.predicted);
        rows.map(|(row, one)| Predicted { logits: logits(row), ..one.clone() }).collect()
    }
}

/// The records that a probe is scored on.
pub(super) struct ProbedRecords<'a> {
    /// The folder of shards.
    pub path: &'a Path,
    /// Its split that is scored.
    pub shards: &'a ShardFolder,
    /// The records of this split as the task reads them.
    pub viewed: &'a ViewedSource,
}

/// The scores and predictions of a linear probe.
#[derive(Default)]
pub(super) struct ScoredProbe {
    /// The scores; `None` if no probe was requested or can be fitted.
    pub report: Option<ProbeReport>,
    /// The predictions for the scored records.
    pub predicted: Vec<Predicted>,
    /// Messages for the user.
    pub notes: Vec<String>,
}

/// The scores of the linear probe of the model in `options.probe` on the records of `own`, how much better `own` is, and the predictions of
/// the probe; `None` if no probe was requested, and with a note instead if none can be fitted.
///
/// # Errors
/// If the model or records cannot be read, inputs do not fit the model, or the model has learned from the scored records.
pub(super) fn report(
    options: &EvaluateOptions,
    own: &TaskScorer<'_>,
    task: &TaskDescription,
    records: &ProbedRecords<'_>,
    done: ProbeProgress<'_>,
) -> Result<ScoredProbe, EvaluateError> {
    let without = |notes| Ok(ScoredProbe { notes, ..ScoredProbe::default() });
    let Some(folder) = &options.probe else { return without(vec![]) };
    let (bundle, path) = (Bundle::load(folder, &options.device)?, records.path);
    let space = options.probe_space;
    let probe = Probe { task, bundle: &bundle, space, key: Key::new(options.seed) };
    let open = |split| match ShardFolder::open(path, split) {
        Ok(shards) => Ok(Some(Arc::new(shards) as Arc<dyn Source>)),
        Err(DataError::NoRecords { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    let Some(train) = open(Split::Train)? else {
        let note = format!("`{}` has no training split, so no linear probe was fitted", path.display());
        return without(vec![note]);
    };
    let Some(found) = probe.predictions(train, open(Split::Validate)?, records.viewed, done)? else {
        return without(vec!["no linear probe can be fitted to this task or to these training records".into()]);
    };
    let history = TrainingHistory {
        trained_on: &bundle.trained_on,
        learned: bundle.learned.as_ref(),
        folders: &options.training,
    };
    let read = ReadRecord::of(task, &found.predicted);
    let (_, notes) = history.check_records(path, records.shards, &read, options.force)?;
    let mut notes: Vec<String> = notes.into_iter().map(|note| format!("linear probe: {note}")).collect();
    let fingerprint = Bundle::fingerprint(folder)?;
    let is_other_model = task.started_from.as_ref().is_some_and(|start| *start != fingerprint);
    if is_other_model {
        notes.push("the model of the linear probe is not the one from which fine-tuning started".into());
    }
    if !found.validated {
        notes.push("the penalty of the linear probe was not chosen: the validation split has no record for it".into());
    }
    let other = TaskScorer { output: own.output, predicted: &found.predicted };
    let resampling = Resampling::new(Key::new(options.seed));
    let scores = TaskMetric::overall(own.output).filter_map(|metric| {
        let difference = own.difference(&other, metric, &resampling)?;
        Some(ProbeScore { metric: metric.name(own.output), score: other.score(metric, &resampling), difference })
    });
    let scores = scores.collect();
    let report =
        ProbeReport { model: fingerprint, space, is_other_model, fitted: found.fitted, penalty: found.penalty, scores };
    Ok(ScoredProbe { report: Some(report), predicted: found.predicted, notes })
}
