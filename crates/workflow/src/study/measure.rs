//! The scores of one cell, read from its runs.

use std::collections::BTreeMap;
use std::path::Path;

use ptu_evaluate::task::{SavedTask, TaskReport};
use ptu_evaluate::{Curve, Saved};
use ptu_model::{BundleConfig, Model, names};
use ptu_tasks::pretraining::HeldOutScore;
use ptu_train::folder;
use ptu_train::log::{Event, read_events};

use super::grid::{Cell, CellRecipes};
use super::recipe::{FIDELITY, LOSSES, PRETRAIN, StudyRecipe};
use super::result::{CellResult, Measured};
use super::stage::read_seconds;
use super::{StudyError, fidelity};

/// The largest configuration of a model that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The runs of a cell.
pub(super) struct CellRuns<'s> {
    pub study: &'s StudyRecipe,
    /// The folder of all runs.
    pub runs: &'s Path,
    pub recipes: &'s CellRecipes,
}

impl CellRuns<'_> {
    /// What was found of a cell with a seed; `ended` says why it was ended early.
    pub fn result(&self, cell: &Cell, seed: u64, ended: Option<String>) -> Result<CellResult, StudyError> {
        let CellRecipes { pretrain, finetune } = self.recipes;
        let run = self.runs.join(&pretrain.folder);
        let curves = curves(&run)?;
        let mut scores = BTreeMap::from([(LOSSES.to_string(), last_of(&curves))]);
        if ended.is_none() {
            let saved = Saved::read(&run)?.scores;
            let (count, rows) = (saved.len(), saved.into_values().map(|one| one.rows()));
            let rows = one_set(PRETRAIN, count, rows)?.into_iter().map(|(name, score)| (name, score.value));
            scores.insert(PRETRAIN.into(), rows.collect());
            scores.insert(FIDELITY.into(), fidelity::read(&run, &Measured::of(self.study))?);
            for (task, stage) in self.study.finetune.iter().zip(finetune) {
                let reports = SavedTask::read(&self.runs.join(&stage.folder))?.reports;
                let rows = one_set(&task.name, reports.len(), reports.into_values().map(rows_of))?;
                scores.insert(task.name.clone(), rows.into_iter().collect());
            }
        }
        let [weights, prompt_weights] = weights(&run)?;
        let runs: Vec<String> = std::iter::once(pretrain).chain(finetune).map(|stage| stage.folder.clone()).collect();
        let seconds = runs.iter().map(|run| (run.clone(), read_seconds(&self.runs.join(run)))).collect();
        let measured = Measured::of(self.study);
        Ok(CellResult {
            cell: cell.values.clone(),
            seed,
            scores,
            curves,
            weights,
            prompt_weights,
            ended,
            runs,
            seconds,
            measured,
        })
    }
}

/// The scores of a task by name, those with missing images or texts too.
fn rows_of(report: TaskReport) -> Vec<(String, Option<f64>)> {
    let own = report.scores.into_iter().map(|one| (one.name, one.score.value));
    let missing = report.missing.into_iter().flat_map(|curve| {
        let Curve { score, missing, stand_in, points } = curve;
        let name =
            move |share: f64| format!("{score}, {:.0} % of {} missing, {stand_in}", share * 100.0, missing.name());
        points.into_iter().map(move |(share, score)| (name(share), score.value))
    });
    own.chain(missing).collect()
}

/// The rows of the only one of several sets of scores; none if there is no set.
fn one_set<T>(of: &str, count: usize, sets: impl Iterator<Item = Vec<T>>) -> Result<Vec<T>, StudyError> {
    match count {
        0 | 1 => Ok(sets.flatten().collect()),
        _ => Err(StudyError::SeveralSets { of: of.into(), count }),
    }
}

/// Losses on the validation split over the steps, by objective.
fn curves(run: &Path) -> Result<BTreeMap<String, Vec<(u64, f64)>>, StudyError> {
    let mut curves: BTreeMap<String, Vec<(u64, f64)>> = BTreeMap::new();
    for event in read_events(&run.join(folder::LOG))? {
        let Event::Validation { step, fields, .. } = event else { continue };
        for (name, loss) in fields.get::<HeldOutScore>().map(|found| found.losses).unwrap_or_default() {
            curves.entry(name).or_default().push((step, loss));
        }
    }
    Ok(curves)
}

fn last_of(curves: &BTreeMap<String, Vec<(u64, f64)>>) -> BTreeMap<String, Option<f64>> {
    curves.iter().map(|(name, points)| (name.clone(), points.last().map(|(_, loss)| *loss))).collect()
}

/// Number of weights of the model of a run, and of its prompts.
fn weights(run: &Path) -> Result<[usize; 2], StudyError> {
    let path = folder::bundle_of(run)?.join("config.json");
    let config = BundleConfig::from_json(&ptu_model::files::read(&path, LARGEST)?).map_err(|cause| {
        ptu_model::ModelError::Format { path: path.clone(), expected: "a model configuration", cause }
    })?;
    let (mut all, mut prompts) = (0, 0);
    for (name, shape) in Model::shapes(&config.model)? {
        let count: usize = shape.iter().product();
        all += count;
        if names::is_prompt(&name) {
            prompts += count;
        }
    }
    Ok([all, prompts])
}
