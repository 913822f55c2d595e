//! The folder of a run: the names of its files, and the lock that lets only one process use it.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use ptu_input::files::{TEMPORARY, remove_unfinished};
use ptu_report::count;

use crate::log::{Event, read_events};
use crate::state::saved_step;
use crate::{Recipe, TrainError};

/// The recipe of the run, with every default written out.
pub const RECIPE: &str = "recipe.toml";
/// The log, with one line per logged step. It contains no times, so that a resumed run writes the same bytes.
pub const LOG: &str = "log.jsonl";
/// The times of the logged steps, in seconds.
pub const TIMING: &str = "timing.jsonl";
/// The folder of TensorBoard events.
pub const TENSORBOARD: &str = "tensorboard";
/// The folder of saved states.
pub const STATE: &str = "state";
/// The bundle of the current model.
pub const BUNDLE: &str = "bundle";
/// The bundle of the model with the best validation score.
pub const BEST: &str = "best";
/// The scores of the last evaluation.
pub const SCORES: &str = "scores.json";
/// The retrieval results of the last evaluation, as examples.
pub const EXAMPLES: &str = "examples.json";
/// The scores of the last evaluation of a fine-tuned run on its task.
pub const TASK_SCORES: &str = "task-scores.json";
/// Predictions of this evaluation as examples.
pub const TASK_EXAMPLES: &str = "task-examples.json";
/// The tokenizer of the run. It is written before the first step.
pub const TOKENIZER: &str = "tokenizer.json";
/// What is known of the model from which fine-tuning started. It is written before the first step.
pub const START: &str = "start.json";
/// The outputs of a frozen image encoder for the training images. If it is deleted, a resumed run computes it again.
pub const IMAGE_CACHE: &str = "image-outputs.f16";
const LOCK: &str = "lock";

/// Reads the recipe of a run. Its paths are made absolute. If a path does not exist, because the run was moved together with
/// its data, the file or folder of the same name next to the run folder is used.
///
/// # Errors
/// When the recipe cannot be read.
pub fn recipe(run: &Path) -> Result<Recipe, TrainError> {
    recipe_with(run, &[])
}

/// Reads the recipe of a run like [`recipe`], with overrides of the form `key=value`.
///
/// # Errors
/// When there is no recipe, it cannot be read, or an override is not valid.
pub fn recipe_with(run: &Path, overrides: &[String]) -> Result<Recipe, TrainError> {
    let file = run.join(RECIPE);
    if !file.exists() {
        return Err(TrainError::NoRun { path: run.into() });
    }
    let mut recipe = Recipe::load(&file, overrides)?;
    for path in recipe.paths().filter(|path| !path.exists()) {
        let absolute = std::path::absolute(run).unwrap_or_else(|_| run.to_path_buf());
        let beside = absolute.parent().zip(path.file_name()).map(|(folder, name)| folder.join(name));
        if let Some(beside) = beside.filter(|beside| beside.exists()) {
            *path = beside;
        }
    }
    Ok(recipe.from_anywhere()?)
}

/// The bundle at a path: that of a run, or the path itself. Of a fine-tuned run it is the model with the best validation score,
/// if there is one; of a pre-trained run, the last model.
///
/// # Errors
/// When a file of the best model of a fine-tuned run is missing: the last model is another one and does not take its place unnoticed.
pub fn bundle_of(model: &Path) -> Result<PathBuf, TrainError> {
    if !model.join(RECIPE).exists() {
        return Ok(model.to_path_buf());
    }
    let (best, last) = (model.join(BEST), model.join(BUNDLE));
    let is_finetuned = |bundle: &Path| bundle.join(ptu_model::TASK).exists();
    if !best.exists() || !(is_finetuned(&best) || is_finetuned(&last)) {
        return Ok(last);
    }
    match ptu_model::FILES.into_iter().chain([ptu_model::TASK]).find(|name| !best.join(name).exists()) {
        Some(missing) => Err(TrainError::Incomplete { file: best.join(missing), last }),
        None => Ok(best),
    }
}

/// Whether the best model of a fine-tuned run was deleted: its log names one, and the folder of it does not exist.
pub fn has_lost_best(run: &Path) -> bool {
    let is_finetuned = run.join(BUNDLE).join(ptu_model::TASK).exists();
    let is_best = |event: &Event| matches!(event, Event::Validation { best: true, .. });
    is_finetuned
        && !run.join(BEST).exists()
        && read_events(&run.join(LOG)).is_ok_and(|events| events.iter().any(is_best))
}

/// Whether a folder contains files or folders for whose names `ours` returns `false`.
///
/// # Errors
/// When the folder cannot be listed.
pub fn holds_others(folder: &Path, ours: impl Fn(&str) -> bool) -> io::Result<bool> {
    Ok(fs::read_dir(folder)?.flatten().any(|entry| !ours(&entry.file_name().to_string_lossy())))
}

/// Locks a folder by means of a lock file. The lock lasts until the returned file is dropped.
///
/// # Errors
/// When another process uses the folder.
pub fn lock(file: &Path, folder: &Path) -> Result<File, TrainError> {
    let error = |source| TrainError::File { action: "lock", path: folder.to_path_buf(), source };
    let lock = File::options().create(true).truncate(false).write(true).open(file).map_err(error)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(TrainError::InUse { path: folder.into() }),
        Err(TryLockError::Error(source)) => Err(error(source)),
    }
}

/// A run folder that this process has locked.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// The lock. The operating system releases it when the process ends, even if the process is killed.
    _lock: File,
}

impl RunFolder {
    /// Opens a folder for a run. The folder must be new or empty; with `resume`, it may contain a run.
    ///
    /// # Errors
    /// When another process uses the folder, when it contains a run and `resume` is false, or when it contains other files.
    pub fn open(path: &Path, resume: bool) -> Result<Self, TrainError> {
        let error = |action| move |source| TrainError::File { action, path: path.to_path_buf(), source };
        fs::create_dir_all(path).map_err(error("create"))?;
        let contains = |name: &str| path.join(name).exists();
        // Files that a run has left which ended before its first step.
        let ours = |name: &str| [LOCK, TOKENIZER, START, IMAGE_CACHE].contains(&name) || name.starts_with(TEMPORARY);
        if holds_others(path, ours).map_err(error("read"))? && !contains(RECIPE) {
            return Err(TrainError::NotARun { path: path.into() });
        }
        let lock = lock(&path.join(LOCK), path)?;
        if contains(RECIPE) && !resume {
            return Err(TrainError::Exists { path: path.into() });
        }
        for folder in [path.to_path_buf(), path.join(BUNDLE), path.join(BEST)] {
            remove_unfinished(&folder).map_err(|source| TrainError::File { action: "clear", path: folder, source })?;
        }
        Ok(Self { path: path.into(), _lock: lock })
    }

    /// The path of a file in the folder.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The progress of a run, displayed as `28 of 2,000, stopped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Steps that are done.
    pub done: u64,
    /// Steps of the recipe.
    pub of: u64,
    /// Whether a process is working on the run.
    pub going_on: bool,
}

impl Steps {
    /// The progress of the run in a folder, from its recipe, its log and its last saved state.
    pub fn of(run: &Path, recipe: &Recipe, events: &[Event]) -> Self {
        let logged = events.iter().map(Event::steps_done).max().unwrap_or(0);
        // A run that logs only every tenth step may have stopped between two lines of the log.
        let saved = saved_step(&run.join(STATE)).ok().flatten().unwrap_or(0);
        let (done, of) = (logged.max(saved), recipe.train.steps);
        Self { done, of, going_on: done < of && is_in_use(run) }
    }

    /// Whether all steps are done.
    pub fn are_all(self) -> bool {
        self.done >= self.of
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} of {}", count(self.done), count(self.of))?;
        match (self.are_all(), self.going_on) {
            (true, _) => Ok(()),
            (false, true) => write!(out, " so far"),
            (false, false) => write!(out, ", stopped"),
        }
    }
}

/// Whether a process is using a run folder.
fn is_in_use(run: &Path) -> bool {
    let lock = File::options().read(true).open(run.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_displayed_with_its_status() {
        let folder = tempfile::tempdir().unwrap();
        let mut recipe = Recipe::default();
        recipe.train.steps = 2000;
        let log = [Event::Skipped { step: 27, ids: vec![] }];
        let progress = |events: &[Event]| Steps::of(folder.path(), &recipe, events).to_string();
        assert_eq!(progress(&log), "28 of 2,000, stopped");
        assert_eq!(progress(&[]), "0 of 2,000, stopped");
        assert_eq!(progress(&[Event::Skipped { step: 1999, ids: vec![] }]), "2,000 of 2,000");
        let run = RunFolder::open(folder.path(), false).unwrap();
        assert_eq!(progress(&log), "28 of 2,000 so far");
        drop(run);
        assert_eq!(progress(&log), "28 of 2,000, stopped");
    }

    #[test]
    fn only_one_process_at_a_time_can_use_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunFolder::open(folder.path(), false).unwrap();
        let message = RunFolder::open(folder.path(), false).unwrap_err().to_string();
        assert!(message.contains("in use"), "{message}");
        drop(first);
        RunFolder::open(folder.path(), false).unwrap();
    }

    #[test]
    fn incomplete_files_of_a_killed_run_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        drop(RunFolder::open(folder.path(), false).unwrap());
        let left = folder.path().join(BUNDLE).join(".writing-a");
        fs::create_dir(folder.path().join(BUNDLE)).unwrap();
        fs::write(folder.path().join(RECIPE), "").unwrap();
        fs::write(&left, "half").unwrap();
        RunFolder::open(folder.path(), true).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn a_damaged_best_model_is_not_replaced_by_the_last_one() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path();
        assert_eq!(bundle_of(run).unwrap(), run, "a bundle");
        fs::write(run.join(RECIPE), "").unwrap();
        assert_eq!(bundle_of(run).unwrap(), run.join(BUNDLE), "no best model");
        for bundle in [BUNDLE, BEST] {
            fs::create_dir(run.join(bundle)).unwrap();
            ptu_model::FILES.into_iter().for_each(|name| fs::write(run.join(bundle).join(name), "").unwrap());
        }
        assert_eq!(bundle_of(run).unwrap(), run.join(BUNDLE), "a pre-trained run");
        for bundle in [BUNDLE, BEST] {
            fs::write(run.join(bundle).join(ptu_model::TASK), "").unwrap();
        }
        assert_eq!(bundle_of(run).unwrap(), run.join(BEST));
        for name in ptu_model::FILES.into_iter().chain([ptu_model::TASK]) {
            fs::rename(run.join(BEST).join(name), run.join("away")).unwrap();
            let message = bundle_of(run).unwrap_err().to_string();
            assert!(message.contains(&format!("best/{name}")) && message.contains("bundle`"), "{message}");
            fs::rename(run.join("away"), run.join(BEST).join(name)).unwrap();
        }
    }

    #[test]
    fn data_that_were_moved_with_their_run_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        fs::create_dir_all(&run).unwrap();
        assert!(recipe(&run).unwrap_err().to_string().contains("contains no run"));
        let text = "data = [\"/nowhere/data\", \"/nowhere/other\"]\n[train]\nsteps = 1\nbatch = 2\n";
        fs::write(run.join(RECIPE), text).unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        let data = recipe(&run).unwrap().data;
        assert_eq!(data[0].path, folder.path().join("data"));
        assert_eq!(data[1].path, Path::new("/nowhere/other"), "the path stays, so that an error message can name it");
    }

    #[test]
    fn runs_and_other_files_are_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("letter.txt"), "dear").unwrap();
        assert!(matches!(RunFolder::open(folder.path(), true), Err(TrainError::NotARun { .. })));
        fs::write(folder.path().join(RECIPE), "").unwrap();
        assert!(matches!(RunFolder::open(folder.path(), false), Err(TrainError::Exists { .. })));
        RunFolder::open(folder.path(), true).unwrap();
    }
}
