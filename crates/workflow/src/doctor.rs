//! Checks whether this machine can train and use models: processor, memory and disk are compared with the needs of a recipe,
//! and a self-test runs.

use std::io::Write;
use std::path::{Path, PathBuf};

use ptu_model::{ModelConfig, Outputs};
use ptu_tasks::TaskKind;
use ptu_train::Recipe;
use ptu_train::memory::{free, gigabytes, step_bytes};
use ptu_train::step::StepConfig;
use serde::Serialize;
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use crate::WorkflowError;
use crate::parity;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No problem.
    Good,
    /// It works, but it could be better.
    Note,
    /// It does not work.
    Bad,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// What was found, and what to do if it is not good.
    pub found: String,
    /// The result.
    pub verdict: Verdict,
}

fn check(name: &'static str, verdict: Verdict, found: String) -> Check {
    Check { name, found, verdict }
}

/// Checks the machine and, if a recipe is given, whether the machine is sufficient for it. `out` is the folder in which
/// files would be written.
///
/// # Errors
/// If sizes of the recipe do not fit each other.
pub fn examine(recipe: Option<&Recipe>, out: &Path) -> Result<Vec<Check>, WorkflowError> {
    let mut checks = vec![processor(), vectors()];
    checks.extend(memory(recipe)?);
    checks.extend(disk(recipe, out)?);
    checks.push(self_test());
    Ok(checks)
}

fn processor() -> Check {
    let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let brand = system.cpus().first().map_or("unknown", |cpu| cpu.brand()).trim().to_string();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    check("processor", Verdict::Good, format!("{brand}, {threads} threads"))
}

fn vectors() -> Check {
    let units = ptu_kernels::vector_units();
    match units.as_slice() {
        [] => check("vector units", Verdict::Note, "none that this program can use: computing will be slow".into()),
        units => check("vector units", Verdict::Good, units.join(", ")),
    }
}

/// The assumed size of the vocabulary if the recipe names a tokenizer file, which is not read here.
const VOCABULARY: usize = 50_265;

fn memory(recipe: Option<&Recipe>) -> Result<Vec<Check>, WorkflowError> {
    let Some(free) = free() else {
        return Ok(vec![check("memory", Verdict::Note, "this system does not report how much memory is free".into())]);
    };
    let mut checks = vec![check("memory", Verdict::Good, format!("{} free", gigabytes(free)))];
    if let Some(recipe) = recipe {
        let needed = needed(recipe)?;
        let (verdict, cure) = match needed {
            needed if needed <= free / 10 * 9 => (Verdict::Good, ""),
            needed if needed <= free => (Verdict::Note, ", which is nearly all of it"),
            _ => (Verdict::Bad, ": raise train.accumulate, or set train.checkpointing = \"blocks\""),
        };
        let found = format!("a step needs about {} of {} free{cure}", gigabytes(needed), gigabytes(free));
        checks.push(check("memory of the recipe", verdict, found));
    }
    Ok(checks)
}

fn needed(recipe: &Recipe) -> Result<u64, WorkflowError> {
    let task = TaskKind::of(recipe);
    let config = config(recipe)?;
    let b = recipe.train.batch / recipe.train.accumulate;
    Ok(step_bytes(&config, &task.get().objectives(), &StepConfig::of(recipe), b, recipe.text.max_tokens)?)
}

/// The model of a recipe. The number of outputs of a task head is known only once the data is read; without it such a head is not
/// counted, which changes little, because it is small beside the rest.
fn config(recipe: &Recipe) -> Result<ModelConfig, WorkflowError> {
    let task = TaskKind::of(recipe);
    let heads = if recipe.task.is_pretraining() { task.get().heads() } else { vec![] };
    Ok(recipe.model_config(vocabulary(recipe), [0, 2, 1], &heads, Outputs::default())?)
}

fn vocabulary(recipe: &Recipe) -> usize {
    if recipe.text.tokenizer.is_some() { VOCABULARY } else { recipe.text.vocabulary }
}

/// The number of copies of the weights on disk: the last and the best bundle, and two states, each of which holds the
/// weights and the two moments of the optimizer.
const COPIES: u64 = 2 + 2 * 3;

/// The number of bytes that are written to test whether a folder is writable.
const TEST_BYTES: usize = 1 << 20;

fn disk(recipe: Option<&Recipe>, out: &Path) -> Result<Vec<Check>, WorkflowError> {
    let Some(folder) = nearest_folder(out) else {
        let found = format!("`{}` is a file; choose a folder with --out", out.display());
        return Ok(vec![check("disk", Verdict::Bad, found)]);
    };
    // The file system of the folder is asked, because the system's list of disks is incomplete and uses other names for some
    // of them.
    let space = match fs4::available_space(&folder) {
        Ok(free) => space(recipe, out, free)?,
        Err(error) => {
            check("disk", Verdict::Note, format!("cannot read the free space of `{}`: {error}", folder.display()))
        }
    };
    Ok(vec![space, writing(&folder)])
}

/// The folder, or its nearest parent that exists; `None` if a file is in its place.
fn nearest_folder(out: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(out).unwrap_or_else(|_| out.to_path_buf());
    let found = path.ancestors().find(|path| path.exists())?;
    found.is_dir().then(|| found.to_path_buf())
}

fn space(recipe: Option<&Recipe>, out: &Path, free: u64) -> Result<Check, WorkflowError> {
    let Some(recipe) = recipe else {
        return Ok(check("disk", Verdict::Good, format!("{} free in `{}`", gigabytes(free), out.display())));
    };
    let config = config(recipe)?;
    let needed = ptu_model::Model::weights(&config)? as u64 * 4 * COPIES;
    let verdict = if needed <= free { Verdict::Good } else { Verdict::Bad };
    let cure = if needed <= free { "" } else { ": write to another disk with --out, or free some space" };
    let found =
        format!("a run writes about {} of {} free in `{}`{cure}", gigabytes(needed), gigabytes(free), out.display());
    Ok(check("disk", verdict, found))
}

/// Writes a file and removes it again.
fn writing(folder: &Path) -> Check {
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(&vec![0; TEST_BYTES])?;
        file.as_file().sync_all()
    });
    match written {
        Ok(()) => check("writing", Verdict::Good, format!("a file of 1 MiB was written in `{}`", folder.display())),
        Err(error) => {
            let found = format!("cannot write in `{}`: {error}; choose another folder with --out", folder.display());
            check("writing", Verdict::Bad, found)
        }
    }
}

fn self_test() -> Check {
    match parity::self_test() {
        Ok(found) if found.failures.is_empty() => {
            let (count, worst) = (found.count, found.worst);
            let found = format!("{count} quantities agree with PyTorch, largest error {worst:.1e} (limit 1e-4)");
            check("self-test", Verdict::Good, found)
        }
        Ok(found) => {
            let first = found.failures.first().cloned().unwrap_or_default();
            let text = format!(
                "{} of {} quantities do not agree with PyTorch: {first}; please report this with the type of your machine",
                found.failures.len(),
                found.count
            );
            check("self-test", Verdict::Bad, text)
        }
        Err(cause) => check("self-test", Verdict::Bad, cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_that_cannot_fit_is_bad() {
        let recipe = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
            Recipe::parse("data = [\"a\"]\n[train]\nsteps = 1\nbatch = 4\n", Path::new("r.toml"), &sets).unwrap()
        };
        let verdicts = |sets: &[&str]| {
            let checks = examine(Some(&recipe(sets)), Path::new(".")).unwrap();
            checks.into_iter().map(|check| (check.name, check.verdict)).collect::<std::collections::BTreeMap<_, _>>()
        };
        let small = verdicts(&["model.preset=\"tiny\""]);
        assert!(small.values().all(|verdict| *verdict != Verdict::Bad), "{small:?}");
        assert_eq!(small["self-test"], Verdict::Good);
        let large = verdicts(&["train.batch=65536"]);
        assert_eq!(large["memory of the recipe"], Verdict::Bad);
    }

    #[test]
    fn the_file_system_of_the_folder_is_asked_and_written_to() {
        let here = tempfile::tempdir().unwrap();
        let verdicts = |out: &Path| disk(None, out).unwrap().into_iter().map(|check| check.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(&here.path().join("not/there/yet")), [Verdict::Good, Verdict::Good]);
        assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0, "the test file is removed");
        let file = here.path().join("file");
        std::fs::write(&file, "").unwrap();
        for out in [file.clone(), file.join("run")] {
            assert_eq!(verdicts(&out), [Verdict::Bad]);
        }
    }
}
