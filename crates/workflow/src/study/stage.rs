//! The runs of a study: each is trained in a folder of its own, under a lock, and scored.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

use ptu_evaluate::task::{SavedTask, evaluate_task};
use ptu_evaluate::{EvaluateOptions, Saved, ScoredOn, evaluate};
use ptu_model::files;
use ptu_train::folder::{self, lock};
use ptu_train::log::{Event, Timing, read_events};
use ptu_train::task::Validated;
use ptu_train::trainer::{Observer, RunOptions};
use ptu_train::{Pace, Recipe, TrainError};

use super::grid::Stage;
use super::recipe::{StopRule, StudyRecipe};
use super::result::CellResult;
use super::{LOCKS, RUNS, StudyError, StudyOptions, fidelity};
use crate::page;

/// The file with the seconds for which a run was trained and scored.
const SECONDS: &str = "study-seconds.txt";
/// The largest file of seconds, in bytes.
const LARGEST_SECONDS: u64 = 1 << 8;

/// How the training of a run ended.
pub(super) enum Trained {
    Finished,
    /// By a rule of the study; which.
    Ended(String),
    /// Another process trains it.
    Busy,
    /// By the observer.
    Stopped,
}

/// Trains and scores the runs of cells.
pub(super) struct Stages<'s> {
    pub study: &'s StudyRecipe,
    pub options: &'s StudyOptions,
}

impl Stages<'_> {
    /// Pre-trains and scores a run, or what is left of it.
    pub fn pretrain(&self, stage: &Stage, run: &Path, observer: &mut dyn Observer) -> Result<Trained, StudyError> {
        self.stage(stage, run, |stages| {
            if let Some(cause) = ended(&self.study.stop, run)? {
                return Ok(Trained::Ended(cause));
            }
            let mut watching =
                Watching { observer, rules: &self.study.stop, every: stage.recipe.train.log_every, ended: None };
            let finished = stages.train(&stage.recipe, run, &mut watching)?;
            if let Some(cause) = watching.ended {
                return Ok(Trained::Ended(cause));
            }
            if !finished {
                return Ok(Trained::Stopped);
            }
            let options = EvaluateOptions::of(run, vec![], self.study.split, self.options.device.clone().inner())?;
            let saved = Saved::read(run)?.scores;
            let is_of_split = |scored: Option<&ScoredOn>| scored.is_some_and(|one| one.split == self.study.split);
            if saved.is_empty() || !saved.values().all(|one| is_of_split(one.scored_on.as_ref())) {
                page::to_save(&evaluate(&options, &mut |_, _, _| {})?, options.seed).write(run)?;
            }
            if self.study.measures_fidelity() {
                fidelity::compute(run, &self.study.fidelity_labels, &options)?;
            }
            Ok(Trained::Finished)
        })
    }

    /// Fine-tunes a model and scores it, or what is left of it; `folders` are those of the model and of the run.
    pub fn finetune(
        &self,
        stage: &Stage,
        (model, run): (&Path, &Path),
        observer: &mut dyn Observer,
    ) -> Result<Trained, StudyError> {
        self.stage(stage, run, |stages| {
            let mut recipe = stage.recipe.clone();
            if !recipe.finetune.from_scratch {
                recipe.finetune.model = Some(model.into());
            }
            let recipe = recipe.from_anywhere().map_err(TrainError::from)?;
            if !stages.train(&recipe, run, observer)? {
                return Ok(Trained::Stopped);
            }
            let saved = SavedTask::read(run)?.reports;
            if saved.is_empty() || saved.values().any(|report| report.receipt.split != self.study.split) {
                let options = EvaluateOptions::of(run, vec![], self.study.split, self.options.device.clone().inner())?;
                let options = EvaluateOptions { missing: stage.missing, ..options };
                page::task_to_save(&evaluate_task(&options, &mut |_, _, _| {})?).write(run)?;
            }
            Ok(Trained::Finished)
        })
    }

    /// Removes the weights of a run, if no process works on it. Its log and its scores stay.
    pub fn drop_models(&self, name: &str) -> Result<(), StudyError> {
        let run = self.options.out.join(RUNS).join(name);
        let Some(_lock) = self.lock(name, &run)? else { return Ok(()) };
        for path in [folder::STATE, folder::BEST, folder::BUNDLE].map(|name| run.join(name)) {
            match std::fs::remove_dir_all(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(TrainError::File { action: "remove", path, source: error }.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The lock of a run of this name; `None` if another process works on it.
    fn lock(&self, name: &str, run: &Path) -> Result<Option<File>, StudyError> {
        match lock(&self.options.out.join(LOCKS).join(name), run) {
            Err(TrainError::InUse { .. }) => Ok(None),
            locked => Ok(Some(locked?)),
        }
    }

    /// Works on a run under its lock, and counts the seconds.
    fn stage(
        &self,
        stage: &Stage,
        run: &Path,
        work: impl FnOnce(&Self) -> Result<Trained, StudyError>,
    ) -> Result<Trained, StudyError> {
        let Some(_lock) = self.lock(&stage.folder, run)? else { return Ok(Trained::Busy) };
        let start = Instant::now();
        let worked = work(self);
        if run.exists() {
            let seconds = read_seconds(run) + start.elapsed().as_secs_f64();
            files::write_bytes(&run.join(SECONDS), format!("{seconds:.1}\n").as_bytes())?;
        }
        worked
    }

    /// Trains a run; whether it has finished.
    fn train(&self, recipe: &Recipe, run: &Path, observer: &mut dyn Observer) -> Result<bool, StudyError> {
        let StudyOptions { device, wall_time, .. } = self.options;
        let options = RunOptions { out: run.into(), resume: true, device: device.clone(), wall_time: *wall_time };
        observer.saves(true);
        let trained = ptu_tasks::train(recipe, &options, observer);
        observer.saves(false);
        Ok(trained?.finished)
    }
}

/// Seconds for which all runs of a study were trained and scored: those whose folders are there, and those of its results.
pub(super) fn seconds(runs: &Path, results: &[CellResult]) -> Result<f64, StudyError> {
    let error = |source| TrainError::File { action: "read", path: runs.into(), source };
    let mut all: Vec<(String, f64)> = results.iter().flat_map(|one| one.seconds.clone()).collect();
    for entry in std::fs::read_dir(runs).map_err(error)? {
        let entry = entry.map_err(error)?;
        all.push((entry.file_name().to_string_lossy().into_owned(), read_seconds(&entry.path())));
    }
    // Cells share runs, and a run may have gone on after the result of a cell.
    let mut of_run: BTreeMap<String, f64> = BTreeMap::new();
    for (run, seconds) in all {
        let most = of_run.entry(run).or_default();
        *most = most.max(seconds);
    }
    Ok(of_run.values().sum())
}

/// The seconds of a run; 0 if its file is not there or is damaged.
pub(super) fn read_seconds(run: &Path) -> f64 {
    let text = files::read(&run.join(SECONDS), LARGEST_SECONDS).unwrap_or_default();
    String::from_utf8_lossy(&text).trim().parse().ok().filter(|seconds: &f64| seconds.is_finite()).unwrap_or(0.0)
}

/// The rule that ended a run, by its log.
fn ended(rules: &[StopRule], run: &Path) -> Result<Option<String>, StudyError> {
    let log = run.join(folder::LOG);
    if rules.is_empty() || !log.exists() {
        return Ok(None);
    }
    Ok(read_events(&log)?.iter().find_map(|event| broken(rules, event)))
}

/// The rule that a step of the log breaks, in words.
fn broken(rules: &[StopRule], event: &Event) -> Option<String> {
    let Event::Step { step, loss, .. } = event else { return None };
    let rule = rules.iter().find(|rule| step + 1 >= rule.after && *loss > rule.loss_above)?;
    Some(format!("loss {loss:.3} after step {} is above {}", step + 1, rule.loss_above))
}

/// Passes everything on to the user's observer, and stops a run that breaks a rule of the study.
struct Watching<'o> {
    observer: &'o mut dyn Observer,
    rules: &'o [StopRule],
    /// Only steps that are in the log count, so that a resumed run ends at the same step.
    every: u64,
    ended: Option<String>,
}

impl Observer for Watching<'_> {
    fn note(&mut self, text: &str) {
        self.observer.note(text);
    }

    fn working(&mut self, what: &str, done: u64, all: u64) {
        self.observer.working(what, done, all);
    }

    fn begins(&mut self, pace: Option<&Pace>) {
        self.observer.begins(pace);
    }

    fn step(&mut self, event: &Event, timing: &Timing, steps: u64) {
        if event.step().is_multiple_of(self.every) && self.ended.is_none() {
            self.ended = broken(self.rules, event);
        }
        self.observer.step(event, timing, steps);
    }

    fn validated(&mut self, step: u64, found: &Validated) {
        self.observer.validated(step, found);
    }

    fn saves(&mut self, saves: bool) {
        self.observer.saves(saves);
    }

    fn stop(&self) -> bool {
        self.ended.is_some() || self.observer.stop()
    }
}
