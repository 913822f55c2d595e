//! One folder a run: what lies in it, and who may work in it.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use ptu_input::files::{TEMPORARY, remove_unfinished};
use ptu_report::count;

use crate::log::Event;
use crate::state::saved_step;
use crate::{Recipe, TrainError};

/// Files of a run folder.
pub const RECIPE: &str = "recipe.toml";
/// A line a logged step; no clock in it, so a resumed run writes the same bytes.
pub const LOG: &str = "log.jsonl";
/// What the log leaves out: seconds.
pub const TIMING: &str = "timing.jsonl";
/// TensorBoard events.
pub const TENSORBOARD: &str = "tensorboard";
/// Saved states.
pub const STATE: &str = "state";
/// The model as it is now.
pub const BUNDLE: &str = "bundle";
/// The model of the best validation.
pub const BEST: &str = "best";
/// What the last evaluation said.
pub const SCORES: &str = "scores.json";
/// What it found for what.
pub const EXAMPLES: &str = "examples.json";
/// Tokenizer of the run, written before the first step.
pub const TOKENIZER: &str = "tokenizer.json";
const LOCK: &str = "lock";

/// The recipe of a run. Folders that it names are found from any working directory; where a run was moved together with its
/// data, beside it.
///
/// # Errors
/// A recipe that cannot be read.
pub fn recipe(run: &Path) -> Result<Recipe, TrainError> {
    recipe_with(run, &[])
}

/// [`recipe`] with keys changed, `key=value`.
///
/// # Errors
/// As there; a folder without a recipe; a change that does not fit.
pub fn recipe_with(run: &Path, overrides: &[String]) -> Result<Recipe, TrainError> {
    let file = run.join(RECIPE);
    if !file.exists() {
        return Err(TrainError::NoRun { path: run.into() });
    }
    let mut recipe = Recipe::load(&file, overrides)?;
    let paths = recipe.data.iter_mut().map(|entry| &mut entry.path).chain(&mut recipe.text.tokenizer);
    for path in paths.filter(|path| !path.exists()) {
        let absolute = std::path::absolute(run).unwrap_or_else(|_| run.to_path_buf());
        let beside = absolute.parent().zip(path.file_name()).map(|(folder, name)| folder.join(name));
        if let Some(beside) = beside.filter(|beside| beside.exists()) {
            *path = beside;
        }
    }
    Ok(recipe.from_anywhere()?)
}

/// Whether a folder holds files or folders that are not ours.
///
/// # Errors
/// When it cannot be listed.
pub fn holds_others(folder: &Path, ours: impl Fn(&str) -> bool) -> io::Result<bool> {
    Ok(fs::read_dir(folder)?.flatten().any(|entry| !ours(&entry.file_name().to_string_lossy())))
}

/// Locks a file that stands for a folder, for as long as it is held.
///
/// # Errors
/// A folder in which another process works.
pub fn lock(file: &Path, folder: &Path) -> Result<File, TrainError> {
    let error = |source| TrainError::File { action: "lock", path: folder.to_path_buf(), source };
    let lock = File::options().create(true).truncate(false).write(true).open(file).map_err(error)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(TrainError::InUse { path: folder.into() }),
        Err(TryLockError::Error(source)) => Err(error(source)),
    }
}

/// A run folder that only this process works in.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Held as long as the folder is; the system lets go of it when a process ends, however it ends.
    _lock: File,
}

impl RunFolder {
    /// Opens a folder for a run: new or empty, or, with `resume`, one that holds a run.
    ///
    /// # Errors
    /// A folder in use, one that holds a run although `resume` is not given, one that holds something else.
    pub fn open(path: &Path, resume: bool) -> Result<Self, TrainError> {
        let error = |action| move |source| TrainError::File { action, path: path.to_path_buf(), source };
        fs::create_dir_all(path).map_err(error("make"))?;
        let holds = |name: &str| path.join(name).exists();
        // What a run leaves that ended before its first step is no stranger.
        let ours = |name: &str| name == LOCK || name == TOKENIZER || name.starts_with(TEMPORARY);
        if holds_others(path, ours).map_err(error("read"))? && !holds(RECIPE) {
            return Err(TrainError::NotARun { path: path.into() });
        }
        let lock = lock(&path.join(LOCK), path)?;
        if holds(RECIPE) && !resume {
            return Err(TrainError::Exists { path: path.into() });
        }
        for bundle in [BUNDLE, BEST] {
            let bundle = path.join(bundle);
            remove_unfinished(&bundle).map_err(|source| TrainError::File { action: "clear", path: bundle, source })?;
        }
        Ok(Self { path: path.into(), _lock: lock })
    }

    /// The folder, or something in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Steps of a run, for people: `28 of 2,000, stopped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Done.
    pub done: u64,
    /// Of the recipe.
    pub of: u64,
    /// Whether a process works on them.
    pub going_on: bool,
}

impl Steps {
    /// Those of the run in a folder, by its recipe, its log and its last saved state.
    pub fn of(run: &Path, recipe: &Recipe, events: &[Event]) -> Self {
        let logged = events.iter().map(Event::steps_done).max().unwrap_or(0);
        // A run that logs every tenth step may have stopped between two lines.
        let saved = saved_step(&run.join(STATE)).ok().flatten().unwrap_or(0);
        let (done, of) = (logged.max(saved), recipe.train.steps);
        Self { done, of, going_on: done < of && is_in_use(run) }
    }

    /// Whether none is left to do.
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

/// Whether a process works in a run folder.
fn is_in_use(run: &Path) -> bool {
    let lock = File::options().read(true).open(run.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_said_with_what_became_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut recipe = Recipe::default();
        recipe.train.steps = 2000;
        let log = [Event::Skipped { step: 27, ids: vec![] }];
        let said = |events: &[Event]| Steps::of(folder.path(), &recipe, events).to_string();
        assert_eq!(said(&log), "28 of 2,000, stopped");
        assert_eq!(said(&[]), "0 of 2,000, stopped");
        assert_eq!(said(&[Event::Skipped { step: 1999, ids: vec![] }]), "2,000 of 2,000");
        let run = RunFolder::open(folder.path(), false).unwrap();
        assert_eq!(said(&log), "28 of 2,000 so far");
        drop(run);
        assert_eq!(said(&log), "28 of 2,000, stopped");
    }

    #[test]
    fn a_folder_serves_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunFolder::open(folder.path(), false).unwrap();
        let message = RunFolder::open(folder.path(), false).unwrap_err().to_string();
        assert!(message.contains("in use"), "{message}");
        drop(first);
        RunFolder::open(folder.path(), false).unwrap();
    }

    #[test]
    fn weights_that_a_kill_left_half_written_are_removed() {
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
    fn data_that_moved_with_their_run_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        fs::create_dir_all(&run).unwrap();
        assert!(recipe(&run).unwrap_err().to_string().contains("holds no run"));
        let text = "data = [\"/nowhere/data\", \"/nowhere/other\"]\n[train]\nsteps = 1\nbatch = 2\n";
        fs::write(run.join(RECIPE), text).unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        let data = recipe(&run).unwrap().data;
        assert_eq!(data[0].path, folder.path().join("data"));
        assert_eq!(data[1].path, Path::new("/nowhere/other"), "a message will name it");
    }

    #[test]
    fn a_run_is_not_overwritten_and_strangers_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("letter.txt"), "dear").unwrap();
        assert!(matches!(RunFolder::open(folder.path(), true), Err(TrainError::NotARun { .. })));
        fs::write(folder.path().join(RECIPE), "").unwrap();
        assert!(matches!(RunFolder::open(folder.path(), false), Err(TrainError::Exists { .. })));
        RunFolder::open(folder.path(), true).unwrap();
    }
}
