//! `cargo xtask phantom-tasks OUT [--only NAME]`: the tasks on the phantom corpus, from quickstart's model to a line of scores each.
//!
//! OUT/quickstart is made first, unless it is there; `ln -s` brings one from elsewhere. Each task is fine-tuned with the commands of a
//! user, for some tasks with several seeds, and compared with the strongest of its baselines on the same records. Called again, it
//! continues where it stopped. `tools/interop/phantom_tasks.py OUT` computes every line again.

mod score;
mod task;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::house::House;
use crate::process::run;
use score::{Compared, Line};
use task::PhantomTask;

/// The file with the lines.
const LINES: &str = "lines.txt";

/// Runs all tasks, or one, and prints a line for each.
///
/// # Errors
/// If a step fails; the other tasks are done all the same.
pub fn phantom_tasks(house: &House, out: &Path, only: Option<&str>) -> Result<(), String> {
    let start = Instant::now();
    let tasks: Vec<PhantomTask> = match only {
        None => PhantomTask::ALL.to_vec(),
        Some(name) => vec![PhantomTask::of(name)?],
    };
    fs::create_dir_all(out).map_err(|error| format!("cannot create `{}`: {error}", out.display()))?;
    let out = fs::canonicalize(out).map_err(|error| error.to_string())?;
    run(&mut house.cargo(&["build", "--release", "--quiet", "--package", "ptunifier-cli"]))?;
    let runner = Runner { house, quickstart: out.join("quickstart"), out };
    run(house.ptunifier(&["quickstart", "--out"]).arg(&runner.quickstart))?;
    eprintln!("quickstart: {:.0} s", start.elapsed().as_secs_f64());
    let (start, mut lines, mut failed) = (Instant::now(), vec![], 0);
    for task in tasks {
        let line = match runner.task(task) {
            Ok(found) => found,
            Err(cause) => {
                failed += 1;
                vec![format!("failed {} {}", task.name(), cause.replace('\n', " "))]
            }
        };
        line.iter().for_each(|line| println!("{line}"));
        lines.extend(line);
        eprintln!("{}: {:.0} s since the start", task.name(), start.elapsed().as_secs_f64());
    }
    if only.is_none() {
        let text = lines.join("\n") + "\n";
        fs::write(runner.out.join(LINES), text).map_err(|error| format!("cannot write `{LINES}`: {error}"))?;
    }
    if failed > 0 { Err(format!("{failed} tasks failed")) } else { Ok(()) }
}

/// The folders of the tasks.
struct Runner<'a> {
    house: &'a House,
    out: PathBuf,
    quickstart: PathBuf,
}

impl Runner<'_> {
    /// Fine-tunes and scores a task; its line, and for questions a second one about other images.
    fn task(&self, task: PhantomTask) -> Result<Vec<String>, String> {
        let folder = self.out.join(task.name());
        fs::create_dir_all(&folder).map_err(|error| format!("cannot create `{}`: {error}", folder.display()))?;
        let start = self.quickstart.join("run");
        let mut runs = vec![];
        for seed in 0..task.seeds() {
            let run = folder.join(format!("seed-{seed}"));
            self.finetune(task, seed, &run)?;
            let probed = (task.has_probe() && seed == 0).then_some(start.as_path());
            self.evaluate(&run, probed)?;
            runs.push(run);
        }
        let compared = match task {
            PhantomTask::Retrieval => {
                let zero_shot = folder.join("zero-shot");
                crate::process::run(self.house.ptunifier(&["evaluate", "--trec"]).arg(&zero_shot).arg(&start))?;
                vec![Compared::of_ranks(&runs, &zero_shot)?]
            }
            _ => Compared::of_predictions(task, &runs)?,
        };
        let line = Line::of(task.metric(), &compared)?;
        let mut lines = vec![format!("task {} {line}", task.name())];
        if task == PhantomTask::QuestionAnswering {
            let other: Vec<Compared> = compared.into_iter().filter(|one| one.name == "other").collect();
            lines.push(format!("reliance {} {}", task.name(), Line::of(task.metric(), &other)?));
        }
        Ok(lines)
    }

    fn finetune(&self, task: PhantomTask, seed: u64, out: &Path) -> Result<(), String> {
        let sets = [format!("seed={seed}"), format!("data=[{}]", serde_json::json!(self.quickstart.join("data")))];
        let mut command = self.house.ptunifier(&["finetune", task.recipe(), "--model"]);
        command.arg(self.quickstart.join("run")).arg("--out").arg(out);
        for set in sets.iter().map(String::as_str).chain(task.sets().iter().copied()) {
            command.args(["--set", set]);
        }
        // A run that was interrupted goes on, and one that has finished is left as it is.
        if out.join("recipe.toml").exists() {
            command.arg("--resume");
        }
        run(&mut command).map(drop)
    }

    /// Scores a run, beside a probe of the model `probed`.
    fn evaluate(&self, run: &Path, probed: Option<&Path>) -> Result<(), String> {
        let mut command = self.house.ptunifier(&["evaluate"]);
        command.arg(run);
        if let Some(probed) = probed {
            command.arg("--probe").arg(probed);
        }
        crate::process::run(&mut command).map(drop)
    }
}
