//! The contents of a path, as lines for people and as JSON for programs.

use std::path::{Path, PathBuf};

use anyhow::bail;
use ptu_data::manifest::{MANIFEST_FILE, describe_overlap};
use ptu_data::{Manifest, Split};
use ptu_model::weights::read_arrays;
use ptu_tasks::TaskKind;
use ptu_train::folder;
use ptu_train::log::{Event, Fields, read_events};
use serde::Serialize;

use super::vectors::Vectors;

/// The contents of a path.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Contents {
    /// A run.
    Run(Box<Run>),
    /// A bundle alone.
    Bundle(Bundle),
    /// A folder of shards.
    Shards(Box<Shards>),
    /// A file of vectors.
    Vectors(Box<Vectors>),
}

/// A run and its progress.
#[derive(Serialize)]
pub struct Run {
    path: PathBuf,
    data: Vec<Data>,
    /// The task of a fine-tuned run.
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'static str>,
    /// The objectives of pre-training.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    objectives: Vec<&'static str>,
    /// Finished steps; `all_steps`: the recipe's number of steps.
    steps: u64,
    /// The same as text, with the state of the run.
    #[serde(skip)]
    progress: String,
    all_steps: u64,
    last_loss: Option<f64>,
    best: Option<Best>,
    bundle: Option<Bundle>,
}

#[derive(Serialize)]
struct Data {
    path: PathBuf,
    weight: f64,
}

/// The best model so far.
#[derive(Serialize)]
struct Best {
    step: u64,
    /// Number of this validation, from 1, and of all so far: with `train.epochs` these are epochs.
    validation: usize,
    validations: usize,
    score: String,
    value: f64,
    /// Score of a random guess.
    chance: Option<f64>,
}

/// Weights of a bundle.
#[derive(Serialize)]
pub struct Bundle {
    path: PathBuf,
    arrays: usize,
    weights: usize,
}

/// The table of contents of a folder of shards.
#[derive(Serialize)]
pub struct Shards {
    path: PathBuf,
    hash: String,
    manifest: Manifest,
}

impl Contents {
    /// Reads a path.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        if path.join(folder::RECIPE).exists() {
            return Ok(Self::Run(Box::new(Run::of(path)?)));
        }
        if path.join(ptu_model::WEIGHTS).exists() {
            return Ok(Self::Bundle(Bundle::of(path)?));
        }
        if path.join(MANIFEST_FILE).exists() {
            let manifest = Manifest::read(path)?;
            return Ok(Self::Shards(Box::new(Shards { path: path.into(), hash: manifest.hash(), manifest })));
        }
        if path.is_file() {
            return Ok(Self::Vectors(Box::new(Vectors::of(path)?)));
        }
        bail!("`{}` is neither a run, nor a bundle, nor a folder of shards, nor a file of vectors", path.display())
    }

    /// Lines for people.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Run(run) => run.lines(),
            Self::Bundle(bundle) => vec![bundle.line()],
            Self::Shards(shards) => shards.lines(),
            Self::Vectors(vectors) => vectors.lines(),
        }
    }
}

impl Run {
    fn of(path: &Path) -> anyhow::Result<Self> {
        let recipe = folder::recipe(path)?;
        let events = read_events(&path.join(folder::LOG))?;
        let last = events.iter().rev().find_map(|event| match event {
            Event::Step { loss, .. } => Some(*loss),
            _ => None,
        });
        let task = TaskKind::of(&recipe);
        let best = best_model(&events).and_then(|BestModel { step, validation, validations, fields }| {
            let found = task.get().validated(fields)?;
            let (score, value, chance) = (found.name, found.value?, found.chance);
            Some(Best { step, validation, validations, score, value, chance })
        });
        // Of a fine-tuned run the best model is used, not the last one.
        let (bundle, steps) = (folder::bundle_of(path)?, folder::Steps::of(path, &recipe, &events));
        Ok(Self {
            path: path.into(),
            progress: steps.to_string(),
            data: recipe.data.iter().map(|entry| Data { path: entry.path.clone(), weight: entry.weight }).collect(),
            task: (!recipe.task.is_pretraining()).then(|| recipe.task.name()),
            objectives: match recipe.task.is_pretraining() {
                true => recipe.objectives.iter().map(|kind| kind.name()).collect(),
                false => vec![],
            },
            steps: steps.done,
            all_steps: recipe.train.steps,
            last_loss: last,
            best,
            bundle: bundle.join(ptu_model::WEIGHTS).exists().then(|| Bundle::of(&bundle)).transpose()?,
        })
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("run {}", self.path.display())];
        let data = |data: &Data| format!("  data        {} (weight {})", data.path.display(), data.weight);
        lines.extend(self.data.iter().map(data));
        lines.push(match self.task {
            Some(task) => format!("  task        {task}"),
            None => format!("  objectives  {}", self.objectives.join(", ")),
        });
        lines.push(match self.last_loss {
            Some(loss) => format!("  steps       {}; last loss {loss:.3}", self.progress),
            None => format!("  steps       {}", self.progress),
        });
        lines.extend(self.best.as_ref().map(|Best { step, validation, validations, score, value, chance }| {
            let chance = chance.map_or(String::new(), |chance| format!(" (chance level {chance:.3})"));
            let place = format!("after step {step}, in validation {validation} of {validations}");
            format!("  best        {score} {value:.3}{chance} on the validation split, {place}")
        }));
        lines.extend(self.bundle.as_ref().map(Bundle::line));
        lines
    }
}

/// The validation that chose the best model so far.
pub struct BestModel<'a> {
    /// Number of finished steps.
    pub step: u64,
    /// Number of this validation, from 1.
    pub validation: usize,
    /// Number of all validations so far.
    pub validations: usize,
    /// Its scores.
    pub fields: &'a Fields,
}

/// The validation that chose the best model, in the events of a run; `None` before the first.
pub fn best_model(events: &[Event]) -> Option<BestModel<'_>> {
    let (mut found, mut validations) = (None, 0);
    for event in events {
        if let Event::Validation { step, fields, best } = event {
            validations += 1;
            if *best {
                found = Some(BestModel { step: *step, validation: validations, validations, fields });
            }
        }
    }
    found.map(|best| BestModel { validations, ..best })
}

impl Bundle {
    fn of(path: &Path) -> anyhow::Result<Self> {
        let arrays = read_arrays(&path.join(ptu_model::WEIGHTS))?;
        let weights = arrays.values().map(|array| array.values.len()).sum();
        Ok(Self { path: path.into(), arrays: arrays.len(), weights })
    }

    fn line(&self) -> String {
        format!("bundle {}: {} arrays, {} weights", self.path.display(), self.arrays, self.weights)
    }
}

impl Shards {
    fn lines(&self) -> Vec<String> {
        let Self { path, hash, manifest } = self;
        let mut lines = vec![format!("shards {} ({}), hash {hash}", path.display(), manifest.source)];
        for split in Split::ALL {
            let counts = manifest.counts(split);
            if counts.records > 0 {
                lines.push(format!(
                    "  {split:10}{} records of {} patients: {} pairs, {} images without text, {} texts without image",
                    counts.records, counts.patients, counts.pairs, counts.images_only, counts.texts_only
                ));
            }
        }
        for (what, count) in &manifest.noted {
            lines.push(format!("  {what}: {count}"));
            let told = manifest.details.get(what).into_iter().flatten();
            lines.extend(told.map(|one| format!("    {}: {}", one.place, one.cause)));
        }
        lines.extend(manifest.remarks.iter().map(|sentence| format!("  {sentence}")));
        lines.extend(manifest.overlaps.iter().map(|overlap| format!("  {}", describe_overlap(overlap))));
        if !manifest.skipped.is_empty() {
            lines.push(format!("  skipped   {} records:", manifest.skipped.len()));
            lines.extend(manifest.skipped.iter().map(|one| format!("    {}: {}", one.place, one.cause)));
        }
        lines
    }
}
