//! Studies: a grid of runs, each pre-trained, fine-tuned and scored, with several seeds; tables, plots and a page of what was found.
//!
//! A study may be stopped at any moment and goes on where it was; several processes may work in its folder. Runs are found by their
//! recipes: cells that differ only in what comes later share what comes before, and a study that gets further cells trains only these.

mod error;
mod fidelity;
mod grid;
mod measure;
mod page;
mod recipe;
mod result;
mod stage;
mod statistics;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use burn::tensor::Device;
use ptu_data::manifest::MANIFEST_FILE;
use ptu_model::files;
use ptu_prepare::phantom::{PhantomOptions, prepare_phantom};
use ptu_train::TrainError;
use ptu_train::folder::{holds_others, lock};
use ptu_train::trainer::Observer;

pub use error::StudyError;
pub use grid::Cell;
pub use recipe::StudyRecipe;
pub use result::{CellResult, Measured};
pub use statistics::Estimate;
pub use table::{Column, StudyTable};

/// The file that says which study a folder holds.
const NAME: &str = "study.txt";
/// The folder of a corpus, that of the runs, and that of the locks of processes.
const DATA: &str = "data";
const RUNS: &str = "runs";
const LOCKS: &str = "locks";
/// The largest file with the name of a study, in bytes.
const LARGEST_NAME: u64 = 1 << 12;
/// How long to wait for cells that other processes work on.
const WAIT: Duration = Duration::from_secs(2);

/// How a study is done.
#[derive(Clone, Debug)]
pub struct StudyOptions {
    /// The folder of the study: new, empty, or of an earlier call.
    pub out: PathBuf,
    /// Changes to pre-training of all cells, as `key=value`.
    pub sets: Vec<String>,
    /// Only cells with one of these names; all if it is empty.
    pub cells: Vec<String>,
    /// Whether only what was found so far is collected, and nothing is trained.
    pub collect: bool,
    /// Whether the weights of a run are removed once each cell that uses it has its result. A later study that needs them trains anew.
    pub drop_models: bool,
    /// The device that trains.
    pub device: Device,
    /// Returns the time in seconds since 1970, for TensorBoard.
    pub wall_time: fn() -> f64,
}

/// What a study found.
#[derive(Clone, Debug)]
pub struct StudySummary {
    /// The table of all cells.
    pub table: StudyTable,
    /// Cells that failed, each with its seed and the cause.
    pub failed: Vec<(String, u64, String)>,
    /// Number of results that there are, and that there will be.
    pub done: [usize; 2],
    /// The files that were written.
    pub files: Vec<PathBuf>,
}

/// How work on a cell ended.
enum Worked {
    Done,
    /// Another process works on it.
    Busy,
    /// The observer stopped it.
    Stopped,
}

/// Does a study, or what is left of it, and writes `study.md`, `study.csv`, `study.tex`, plots and `study.html` into its folder. Returns `None` if
/// the observer asked to stop.
///
/// # Errors
/// When the study or the recipes of a cell are not valid (before any work), when the folder holds something else, or when a file of the
/// study cannot be read or written. Errors of a cell are part of what is returned.
pub fn study(
    recipe: &StudyRecipe,
    options: &StudyOptions,
    observer: &mut dyn Observer,
) -> Result<Option<StudySummary>, StudyError> {
    let cells = Cell::all(recipe)?;
    let asked = options.cells.iter().map(|name| (name, "there is no such cell"));
    let reference = recipe.reference.iter().map(|name| (name, "`reference` names it, and there is no such cell"));
    if let Some((name, cause)) =
        asked.chain(reference).find(|(name, _)| !cells.iter().any(|cell| cell.name() == **name))
    {
        let known = cells.iter().map(|cell| format!("`{}`", cell.name())).collect::<Vec<_>>().join(", ");
        return Err(StudyError::Cell { cell: name.clone(), cause: format!("{cause}; there are {known}") });
    }
    let data = recipe.corpus.map(|_| options.out.join(DATA));
    let mut work = vec![];
    for cell in &cells {
        for &seed in &recipe.seeds {
            work.push(Work { cell, seed, recipes: cell.recipes(recipe, seed, data.as_deref(), &options.sets)? });
        }
    }
    check_different(&work)?;
    let study = Study { recipe, options, cells: &cells };
    study.open_folder()?;
    let mut failed = BTreeMap::new();
    if !options.collect {
        study.prepare(observer)?;
        if !study.work_on(&work, &mut failed, observer)? {
            return Ok(None);
        }
    }
    study.summary(&work, failed).map(Some)
}

/// Refuses two cells of which all recipes are the same.
fn check_different(work: &[Work<'_>]) -> Result<(), StudyError> {
    for (index, one) in work.iter().enumerate() {
        if let Some(other) = work[..index].iter().find(|other| other.seed == one.seed && other.runs() == one.runs()) {
            return Err(StudyError::SameCell { cells: [other.cell.name(), one.cell.name()] });
        }
    }
    Ok(())
}

/// A study in progress.
struct Study<'s> {
    recipe: &'s StudyRecipe,
    options: &'s StudyOptions,
    cells: &'s [Cell],
}

/// A cell with a seed.
struct Work<'s> {
    cell: &'s Cell,
    seed: u64,
    recipes: grid::CellRecipes,
}

impl Work<'_> {
    /// The folders of its runs.
    fn runs(&self) -> Vec<String> {
        let grid::CellRecipes { pretrain, finetune } = &self.recipes;
        std::iter::once(pretrain).chain(finetune).map(|stage| stage.folder.clone()).collect()
    }
}

impl Study<'_> {
    fn out(&self) -> &Path {
        &self.options.out
    }

    /// The file of the result of a cell.
    fn result_file(&self, work: &Work<'_>) -> PathBuf {
        CellResult::path(self.out(), work.cell, work.seed, self.recipe.split)
    }

    /// The result of a cell; `None` if there is none yet.
    fn result(&self, work: &Work<'_>) -> Result<Option<CellResult>, StudyError> {
        CellResult::read(&self.result_file(work), &work.runs(), &Measured::of(self.recipe))
    }

    /// The results that there are.
    fn results(&self, work: &[Work<'_>]) -> Result<Vec<CellResult>, StudyError> {
        work.iter().filter_map(|one| self.result(one).transpose()).collect()
    }

    fn stages(&self) -> stage::Stages<'_> {
        stage::Stages { study: self.recipe, options: self.options }
    }

    /// What the folder of the study holds, as it stands in its file: the name, and the corpus.
    fn identity(&self) -> String {
        let corpus = self.recipe.corpus.map(|recipe::Corpus { train, validate, test, seed, side }| {
            format!(" with {train} + {validate} + {test} phantom pairs of {side} pixels, seed {seed}")
        });
        format!("{}{}", self.recipe.name, corpus.unwrap_or_default())
    }

    /// Opens the folder, which must be new, empty, or of this study.
    fn open_folder(&self) -> Result<(), StudyError> {
        let (out, name) = (self.out(), self.identity());
        let error = |source| TrainError::File { action: "create", path: out.into(), source };
        let file = out.join(NAME);
        let is_ours = |name: &str| {
            [NAME, LOCKS, RUNS, result::RESULTS].contains(&name) || name.starts_with(ptu_input::files::TEMPORARY)
        };
        if out.exists() && !file.exists() && holds_others(out, is_ours).map_err(error)? {
            return Err(StudyError::NotEmpty { path: out.into() });
        }
        for folder in [LOCKS, RUNS, result::RESULTS] {
            std::fs::create_dir_all(out.join(folder)).map_err(error)?;
        }
        let _lock = self.locked(NAME)?;
        if !file.exists() {
            return Ok(files::write_bytes(&file, format!("{name}\n").as_bytes())?);
        }
        let found = String::from_utf8_lossy(&files::read(&file, LARGEST_NAME)?).trim().to_string();
        match found == name {
            true => Ok(()),
            false => Err(StudyError::OtherStudy { path: out.into(), found, asked: name }),
        }
    }

    /// Waits for a lock of this name.
    fn locked(&self, name: &str) -> Result<std::fs::File, StudyError> {
        loop {
            match lock(&self.out().join(LOCKS).join(name), self.out()) {
                Err(TrainError::InUse { .. }) => std::thread::sleep(WAIT),
                locked => return Ok(locked?),
            }
        }
    }

    /// Prepares the corpus of the study.
    fn prepare(&self, observer: &mut dyn Observer) -> Result<(), StudyError> {
        let Some(corpus) = self.recipe.corpus else { return Ok(()) };
        let data = self.out().join(DATA);
        let _lock = self.locked(DATA)?;
        if data.join(MANIFEST_FILE).exists() {
            return Ok(());
        }
        let recipe::Corpus { train, validate, test, seed, side } = corpus;
        observer.note(&format!(
            "generating {train} phantom pairs for training, {validate} for validation and {test} held out"
        ));
        let options = PhantomOptions { validate, test, side, ..PhantomOptions::new(train + validate + test, seed) };
        prepare_phantom(&data, &options, &|_| {}).map_err(crate::WorkflowError::from)?;
        Ok(())
    }

    /// Works on all cells until each is done or has failed; `false` if the observer stopped it.
    fn work_on(
        &self,
        work: &[Work<'_>],
        failed: &mut BTreeMap<usize, String>,
        observer: &mut dyn Observer,
    ) -> Result<bool, StudyError> {
        let is_asked =
            |work: &Work<'_>| self.options.cells.is_empty() || self.options.cells.contains(&work.cell.name());
        let mut left: Vec<usize> = (0..work.len()).filter(|index| is_asked(&work[*index])).collect();
        // A wrong name of a score is told with the first result, long before the tables are written.
        let mut told = false;
        while !left.is_empty() {
            let (before, mut busy) = (left.len(), vec![]);
            for index in left {
                let one = &work[index];
                // An error of a cell, a panic too, ends this cell only.
                let ended = catch_unwind(AssertUnwindSafe(|| self.cell(one, observer)));
                match ended.unwrap_or_else(|panic| Err(StudyError::Panic(message(&*panic)))) {
                    Ok(Worked::Done) => {
                        if self.options.drop_models {
                            self.drop_models(one, work)?;
                        }
                        // A result that cannot be read is an error of its own cell.
                        if !told
                            && let Ok(results) = self.results(work)
                            && let Err(error) = self.check_scores(&results)
                        {
                            observer.note(&error.to_string());
                            told = true;
                        }
                    }
                    Ok(Worked::Busy) => busy.push(index),
                    Ok(Worked::Stopped) => return Ok(false),
                    Err(error) => {
                        observer.note(&format!("cell `{}`, seed {}: {error}", one.cell.name(), one.seed));
                        failed.insert(index, error.to_string());
                    }
                }
            }
            left = busy;
            if left.len() == before {
                if observer.stop() {
                    return Ok(false);
                }
                std::thread::sleep(WAIT);
            }
        }
        Ok(true)
    }

    /// Trains and measures a cell with a seed, or what is left of it.
    fn cell(&self, work: &Work<'_>, observer: &mut dyn Observer) -> Result<Worked, StudyError> {
        if self.result(work)?.is_some() {
            return Ok(Worked::Done);
        }
        observer.note(&format!("cell `{}`, seed {}", work.cell.name(), work.seed));
        let stages = self.stages();
        let grid::CellRecipes { pretrain, finetune } = &work.recipes;
        let model = self.out().join(RUNS).join(&pretrain.folder);
        let ended = match stages.pretrain(pretrain, &model, observer)? {
            stage::Trained::Finished => None,
            stage::Trained::Ended(cause) => Some(cause),
            stage::Trained::Busy => return Ok(Worked::Busy),
            stage::Trained::Stopped => return Ok(Worked::Stopped),
        };
        let tasks = if ended.is_some() { &[] } else { finetune.as_slice() };
        for task in tasks {
            let run = self.out().join(RUNS).join(&task.folder);
            match stages.finetune(task, (&model, &run), observer)? {
                stage::Trained::Finished | stage::Trained::Ended(_) => {}
                stage::Trained::Busy => return Ok(Worked::Busy),
                stage::Trained::Stopped => return Ok(Worked::Stopped),
            }
        }
        let found = measure::CellRuns { study: self.recipe, runs: &self.out().join(RUNS), recipes: &work.recipes };
        found.result(work.cell, work.seed, ended)?.write(&self.result_file(work))?;
        Ok(Worked::Done)
    }

    /// Removes the weights of those runs of a cell that no cell without a result uses.
    fn drop_models(&self, done: &Work<'_>, work: &[Work<'_>]) -> Result<(), StudyError> {
        let mut needed = BTreeSet::new();
        for one in work {
            // A result that cannot be read is an error of its own cell.
            if !matches!(self.result(one), Ok(Some(_))) {
                needed.extend(one.runs());
            }
        }
        let stages = self.stages();
        done.runs().iter().filter(|run| !needed.contains(*run)).try_for_each(|run| stages.drop_models(run))
    }

    /// Refuses a measure whose scores no cell has: its names are wrong. A model may lack scores of heads that it does not have.
    fn check_scores(&self, results: &[CellResult]) -> Result<(), StudyError> {
        let complete: Vec<&CellResult> = results.iter().filter(|one| one.ended.is_none()).collect();
        for measure in self.recipe.measure.iter().filter(|_| !complete.is_empty()) {
            let known: BTreeSet<&String> =
                complete.iter().filter_map(|one| one.scores.get(&measure.of)).flat_map(BTreeMap::keys).collect();
            if let Some(missing) = measure.scores().find(|name| !known.contains(name)) {
                let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let (measure, of) = (measure.name.clone(), measure.of.clone());
                return Err(StudyError::NoScore { measure, scores: format!("`{missing}`"), of, known });
            }
        }
        Ok(())
    }

    /// Collects all results and writes tables, plots and the page.
    fn summary(&self, work: &[Work<'_>], failed: BTreeMap<usize, String>) -> Result<StudySummary, StudyError> {
        let results = self.results(work)?;
        self.check_scores(&results)?;
        let table = StudyTable::of(self.recipe, self.cells, &results);
        let failed: Vec<(String, u64, String)> =
            failed.into_iter().map(|(index, cause)| (work[index].cell.name(), work[index].seed, cause)).collect();
        let done = [results.len(), work.len()];
        let mut written = vec![];
        let mut write = |name: &str, text: &str| -> Result<(), StudyError> {
            let path = self.out().join(name);
            files::write_bytes(&path, text.as_bytes())?;
            written.push(path);
            Ok(())
        };
        write("study.md", &table.markdown())?;
        write("study.csv", &table.csv())?;
        write("study.tex", &table.latex())?;
        let seconds = stage::seconds(&self.out().join(RUNS), &results)?;
        let page = page::page(self.recipe, (&table, &results), (&failed, done), seconds);
        for (name, svg) in page::plots(&page) {
            write(&name, &svg)?;
        }
        write("study.html", &ptu_report::render(&page))?;
        Ok(StudySummary { table, failed, done, files: written })
    }
}

/// The message of a panic.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_study_of_the_repository_has_valid_recipes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/study");
        let mut found = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let study = StudyRecipe::load(&path, Some(Path::new("data"))).unwrap();
            let cells = Cell::all(&study).unwrap();
            let recipes = |cell: &Cell| cell.recipes(&study, 0, None, &[]).unwrap();
            assert!(
                cells.iter().map(recipes).all(|one| one.finetune.len() == study.finetune.len()),
                "{}",
                path.display()
            );
            let reference = study.reference.as_ref();
            assert!(reference.is_none_or(|name| cells.iter().any(|cell| cell.name() == *name)), "{}", path.display());
            found += 1;
        }
        assert!(found >= 3);
    }
}
