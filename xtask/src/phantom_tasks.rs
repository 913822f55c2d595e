//! `cargo xtask phantom-tasks OUT [--only NAME]`: the tasks on the phantom corpus, from quickstart's model to a line of scores each.
//!
//! OUT/quickstart is made first, unless it is there; `ln -s` brings one from elsewhere. Each task is fine-tuned with the commands of a
//! user, for some tasks with several seeds, and compared with the strongest of its baselines on the same records. Called again, it
//! continues where it stopped. `tools/interop/task_lines.py OUT` computes every line again.

mod task;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::house::House;
use crate::process::run;
use crate::task_lines::{Line, TaskLines, Way, run_tasks};
use task::PhantomTask;

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
    run_tasks((&runner.out, only.is_none()), &tasks, PhantomTask::name, |task| runner.task(task))
}

/// The folders of the tasks.
struct Runner<'a> {
    house: &'a House,
    out: PathBuf,
    quickstart: PathBuf,
}

impl Runner<'_> {
    /// Fine-tunes and scores a task; its line, and for questions a second one about other images.
    fn task(&self, task: PhantomTask) -> TaskLines {
        let folder = self.out.join(task.name());
        fs::create_dir_all(&folder).map_err(|error| format!("cannot create `{}`: {error}", folder.display()))?;
        let start = self.quickstart.join("run");
        let mut runs = vec![];
        for seed in 0..task.seeds() {
            let out = folder.join(format!("seed-{seed}"));
            self.finetune(task, seed, &out)?;
            let probed = (task.has_probe() && seed == 0).then_some(start.as_path());
            self.evaluate(&out, probed)?;
            runs.push(out);
        }
        let files = |name: &str| runs.iter().map(|run| run.join(name)).collect::<Vec<_>>();
        if task == PhantomTask::Retrieval {
            let zero_shot = folder.join("zero-shot");
            run(self.house.ptunifier(&["evaluate", "--trec"]).arg(&zero_shot).arg(&start))?;
            let model = Way::own("model", files("rankings/ranks.jsonl"));
            let zero_shot = Way::own("zero-shot", [zero_shot.join("ranks.jsonl")]);
            return Ok(vec![Line::of("task", task.name(), task.metric(), &model, &[zero_shot])?]);
        }
        let model = Way::own("model", files("predictions.jsonl"));
        // A probe of the starting model does not depend on the seed, so only the first run has it.
        let baseline = |name: &&'static str| match *name {
            "probe" => model.other("probe").first_seed(),
            name => model.other(name),
        };
        let baselines: Vec<Way> = task.baselines().iter().map(baseline).collect();
        let mut lines = vec![Line::of("task", task.name(), task.metric(), &model, &baselines)?];
        if task == PhantomTask::QuestionAnswering {
            lines.push(Line::of("reliance", task.name(), task.metric(), &model, &[model.other("other")])?);
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

    /// Scores the run of a folder, beside a probe of the model `probed`.
    fn evaluate(&self, folder: &Path, probed: Option<&Path>) -> Result<(), String> {
        let mut command = self.house.ptunifier(&["evaluate"]);
        command.arg(folder);
        if let Some(probed) = probed {
            command.arg("--probe").arg(probed);
        }
        run(&mut command).map(drop)
    }
}
