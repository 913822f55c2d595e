//! `cargo xtask real-tasks DATA OUT [--only NAME] [--compare | --dev]`: tasks on real data, from the model of `real-pairs` (whose OUT this is too) and from the
//! published encoders alone.
//!
//! Each task is fine-tuned and scored with the commands of a user, and compared with the strongest of its baselines on the same records:
//! what is simple, what comes from the text alone, and a linear probe of the frozen encoders. Called again, it continues where it
//! stopped. `tools/interop/task_lines.py OUT/tasks` computes every line again.

mod notes;
mod tables;
mod task;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::house::House;
use crate::process::{run, run_with};
use crate::real::{Splits, Weights, write_table};
use crate::task_lines::{Line, Metric, TaskLines, Way, run_tasks};
use task::{Protocol, RealTask, Start};

/// The exit code of a command that is done, but skipped some inputs.
const SKIPPED: i32 = 3;
/// The recipe of the model of `real-pairs`, whose network the other starts have too.
const PRETRAINING: &str = "recipes/pretrain/real.toml";
/// The recipe of the classifier of body parts that carries the linear probe beside the zero-shot classification.
const CARRIER: &str = "recipes/finetune/real-modality.toml";
/// Classes and sentences of `vqa-organ`.
const SENTENCES: &str = "recipes/zero-shot/vqa-organ.toml";

/// What is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'o> {
    /// One task only.
    pub only: Option<&'o str>,
    /// Whether random weights, and zeros in place of what is missing, are compared too.
    pub compare: bool,
    /// Whether each task is only fine-tuned once, anew, to see its score on `validate`; nothing is scored on `test`.
    pub dev: bool,
}

/// Runs all tasks, or one, and prints a line for each comparison.
///
/// # Errors
/// If a step fails; the other tasks are done all the same.
pub fn real_tasks(house: &House, data: &Path, out: &Path, options: Options<'_>) -> Result<(), String> {
    let tasks: Vec<RealTask> = match options.only {
        None => RealTask::ALL.to_vec(),
        Some(name) => vec![RealTask::of(name)?],
    };
    let absolute = |path: &Path| fs::canonicalize(path).map_err(|error| format!("`{}`: {error}", path.display()));
    let (data, pairs) = (absolute(data)?, absolute(out)?);
    for needed in ["pretrained/best", "encoders"] {
        if !pairs.join(needed).exists() {
            return Err(format!("`{}` has no `{needed}`: run `cargo xtask real-pairs` first", pairs.display()));
        }
    }
    run(&mut house.cargo(&["build", "--release", "--quiet", "--package", "ptunifier-cli"]))?;
    let out = pairs.join("tasks");
    fs::create_dir_all(out.join("data")).map_err(|error| format!("cannot create `{}`: {error}", out.display()))?;
    let weights = Weights::get(&house.root, &pairs.join("weights"))?;
    let splits = Splits::read(&house.root)?;
    let runner = Runner { house, data, pairs, out, weights, splits, compare: options.compare };
    if options.dev {
        return tasks.into_iter().try_for_each(|task| runner.dev(task));
    }
    run_tasks((&runner.out, options.only.is_none()), &tasks, RealTask::name, |task| runner.task(task))
}

/// The folders of the tasks.
struct Runner<'a> {
    house: &'a House,
    data: PathBuf,
    /// OUT of `real-pairs`.
    pairs: PathBuf,
    /// Its folder of the tasks.
    out: PathBuf,
    weights: Weights,
    splits: Splits,
    compare: bool,
}

/// One fine-tuning.
struct Finetuning<'r> {
    recipe: &'r str,
    start: Start,
    seed: u64,
    shards: PathBuf,
    /// Further changes to the recipe.
    sets: Vec<String>,
    /// Whether a linear probe of the encoders is scored too.
    is_probed: bool,
}

impl Runner<'_> {
    fn task(&self, task: RealTask) -> TaskLines {
        match (task, task.protocol()) {
            (RealTask::CovidNotes, _) => notes::lines(self),
            (RealTask::VqaOrgan, _) => self.organs(),
            (_, Protocol::Finetune(recipe)) => self.finetuned(task, recipe),
            (_, Protocol::ZeroShot) => Err("there is no such protocol".into()),
        }
    }

    /// Fine-tunes a task once and prints its best score on `validate`, by which values of its recipe are chosen.
    fn dev(&self, task: RealTask) -> Result<(), String> {
        let Protocol::Finetune(recipe) = task.protocol() else { return Ok(()) };
        let (mut sets, folder) = (vec![], self.out.join("dev").join(task.name()));
        let shards = self.shards(task, 0, &mut sets)?;
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
        }
        let one = Finetuning { recipe, start: task.start(), seed: 0, shards, sets, is_probed: false };
        let said = run(self.finetuning(&one, &folder)?.stdout(Stdio::piped()))?;
        println!("{}: {}", task.name(), said.trim());
        Ok(())
    }

    /// Fine-tunes a task from each start, and compares.
    fn finetuned(&self, task: RealTask, recipe: &str) -> TaskLines {
        let mut sets = vec![];
        let shards = (0..task.folds()).map(|fold| self.shards(task, fold, &mut sets)).collect::<Result<Vec<_>, _>>()?;
        let way = |name: &str, start: Start, seeds: u64, shards: &[PathBuf]| -> Result<Way, String> {
            let mut files = vec![];
            for seed in 0..seeds {
                let mut folds = vec![];
                for (fold, shards) in shards.iter().enumerate() {
                    let folder = self.out.join(task.name()).join(match task.folds() {
                        1 => format!("{name}-{seed}"),
                        _ => format!("{name}-{seed}-{fold}"),
                    });
                    let is_probed = task.reads_images_alone() && seed == 0 && start == task.start();
                    let shards = shards.clone();
                    let one = Finetuning { recipe, start, seed, shards, sets: sets.clone(), is_probed };
                    folds.push(self.finetune_and_score(&one, &folder)?);
                }
                files.push(folds);
            }
            Ok(Way { name: name.into(), seeds: files, ..Way::own(name, []) })
        };
        let model = way(task.start().name(), task.start(), task.seeds(), &shards)?;
        let trivial = if task.metric() == Metric::Auroc { model.chance() } else { model.other("baseline") };
        let mut baselines = vec![trivial.clone(), model.other("missing"), model.other("probe").first_seed()];
        if matches!(task, RealTask::VqaRadDisjoint | RealTask::VqaRad) {
            let texts = self.vqa_shards(task, false)?;
            baselines.push(way("text-alone", task.start(), task.seeds(), &[texts])?);
        }
        let line = |kind, baselines: &[Way]| Line::of(kind, task.name(), task.metric(), &model, baselines);
        let mut lines = vec![line("task", &baselines)?, line("trivial", &[trivial])?];
        if task != RealTask::OpeniImpression {
            lines.push(line("reliance", &[model.other("other")])?);
        }
        if task.start() == Start::Pretrained {
            lines.push(line("start", &[way(Start::Encoders.name(), Start::Encoders, 1, &shards)?])?);
        }
        if self.compare {
            lines.push(line("compare", &[way(Start::Random.name(), Start::Random, 1, &shards)?])?);
            if task != RealTask::OpeniImpression {
                lines.push(line("compare", &[self.with_zeros(&model)?])?);
            }
        }
        Ok(lines)
    }

    /// The predictions of fine-tuned runs with zeros in place of what is missing.
    fn with_zeros(&self, model: &Way) -> Result<Way, String> {
        let predict = |file: &PathBuf| -> Result<PathBuf, String> {
            let zeros = file.with_file_name("zeros.jsonl");
            if !zeros.exists() {
                let run_folder = file.parent().ok_or("a file of predictions has no folder")?;
                let mut evaluate = self.house.ptunifier(&["evaluate", "--stand-in", "zeros", "--predictions"]);
                run(evaluate.arg(&zeros).arg(run_folder))?;
            }
            Ok(zeros)
        };
        let seeds = model.seeds.iter().map(|folds| folds.iter().map(predict).collect()).collect::<Result<_, _>>()?;
        Ok(Way { name: "zeros".into(), seeds, ..model.clone() })
    }

    /// Body parts by sentences, beside a linear probe.
    fn organs(&self) -> TaskLines {
        let task = RealTask::VqaOrgan;
        let shards =
            self.table(task.name(), &tables::organs(&self.data.join("vqa-rad"), &self.splits)?, &["--label", "organ"])?;
        let folder = self.out.join(task.name());
        let carrier = Finetuning {
            recipe: CARRIER,
            start: Start::Pretrained,
            seed: 0,
            shards: shards.clone(),
            sets: vec!["task.label=\"organ\"".into()],
            is_probed: true,
        };
        let finetuned = self.finetune_and_score(&carrier, &folder.join("finetuned"))?;
        let file = folder.join("zero-shot.jsonl");
        let mut evaluate =
            self.house.ptunifier(&["evaluate", "--zero-shot", SENTENCES, "--label", "organ", "--predictions"]);
        run(evaluate.arg(&file).arg("--data").arg(&shards).arg(self.pretrained()))?;
        let (model, carrier) = (Way::own("zero-shot", [file]), Way::own("finetuned", [finetuned]));
        let (trivial, probe) = (carrier.other("baseline"), carrier.other("probe"));
        let line = |kind, baselines: &[Way]| Line::of(kind, task.name(), task.metric(), &model, baselines);
        Ok(vec![
            line("task", &[trivial.clone(), probe])?,
            line("trivial", &[trivial])?,
            line("reliance", &[model.other("other")])?,
        ])
    }

    fn pretrained(&self) -> PathBuf {
        self.pairs.join("pretrained")
    }

    /// The shards of a task, or of one of its folds; adds what the recipe must know of them.
    fn shards(&self, task: RealTask, fold: usize, sets: &mut Vec<String>) -> Result<PathBuf, String> {
        let (name, splits) = (task.name(), &self.splits);
        let folder = |name: &str| self.data.join(name);
        match task {
            RealTask::VqaRadDisjoint | RealTask::VqaRad => self.vqa_shards(task, true),
            RealTask::Kermany => {
                self.table(name, &tables::kermany(&folder("kermany-cxr"), splits)?, &["--label", "class"])
            }
            RealTask::Nih => {
                let (rows, labels) = tables::nih(&folder("nih-cxr-1000"), splits)?;
                sets.push(format!("task.labels={}", json!(labels)));
                let options: Vec<&str> = labels.iter().flat_map(|label| ["--label", label.as_str()]).collect();
                self.table(name, &rows, &options)
            }
            RealTask::Covid => {
                let rows = tables::covid(&folder("covid-cxr"), splits, fold, task.folds())?;
                self.table(&format!("{name}-{fold}"), &rows, &["--label", "COVID-19"])
            }
            RealTask::RocoModality => {
                self.table(name, &tables::modalities(&folder("roco-cc"), splits)?, &["--label", "modality"])
            }
            RealTask::OpeniImpression => self.reports(name),
            RealTask::CovidNotes | RealTask::VqaOrgan => Err("this task is not fine-tuned".into()),
        }
    }

    /// Questions of VQA-RAD, with their images or without.
    fn vqa_shards(&self, task: RealTask, with_images: bool) -> Result<PathBuf, String> {
        let splits = (task == RealTask::VqaRadDisjoint).then_some(&self.splits);
        let rows = tables::vqa_questions(&self.data.join("vqa-rad"), splits, with_images)?;
        let name = if with_images { task.name().into() } else { format!("{}-texts", task.name()) };
        // In the published split, questions of both parts are about the same images.
        self.table(&name, &rows, if splits.is_some() { &[] } else { &["--keep-duplicates"] })
    }

    /// The model that was pre-trained on the pairs of `real-pairs` without those of VQA-RAD; trained once.
    fn without_vqa_rad(&self) -> Result<PathBuf, String> {
        let folder = self.out.join(Start::WithoutVqaRad.name());
        let sources = ["roco-cc", "covid-cxr"].map(|source| self.pairs.join("data").join(source));
        let mut sets = vec![format!("data={}", json!(sources))];
        sets.extend(self.init());
        let mut pretrain = self.house.ptunifier(&["pretrain"]);
        if folder.join("recipe.toml").exists() {
            pretrain.arg("--resume").arg(&folder);
        } else {
            pretrain.arg(PRETRAINING).args(sets.iter().flat_map(|set| ["--set", set])).arg("--out").arg(&folder);
        }
        run(&mut pretrain)?;
        Ok(folder)
    }

    /// The published weights, as changes to a recipe.
    fn init(&self) -> [String; 2] {
        let Weights { image, text } = &self.weights;
        [format!("model.init.image={}", json!(image)), format!("model.init.text={}", json!(text))]
    }

    /// Shards of a table, prepared with these options; made once.
    fn table(&self, name: &str, rows: &[Value], options: &[&str]) -> Result<PathBuf, String> {
        let (table, shards) = (self.out.join(format!("data/{name}.jsonl")), self.out.join("data").join(name));
        if !shards.join("manifest.json").exists() {
            write_table(&table, rows)?;
            let mut prepare = self.house.ptunifier(&["prepare", "table", "--side", "256"]);
            run(prepare.args(options).arg(&table).arg(&shards))?;
        }
        Ok(shards)
    }

    /// Shards of the reports of Open-i, without their images.
    fn reports(&self, name: &str) -> Result<PathBuf, String> {
        let shards = self.out.join("data").join(name);
        if !shards.join("manifest.json").exists() {
            let raw = tables::openi_reports(&self.house.root, &self.out.join("data"))?;
            let mut prepare = self.house.ptunifier(&["prepare", "openi"]);
            // Reports without findings and impression are skipped.
            run_with(prepare.arg(&raw).arg(&shards), &[SKIPPED])?;
        }
        Ok(shards)
    }

    /// Fine-tunes and scores a run; its file of predictions.
    fn finetune_and_score(&self, one: &Finetuning<'_>, folder: &Path) -> Result<PathBuf, String> {
        let predictions = folder.join("predictions.jsonl");
        if predictions.exists() {
            return Ok(predictions);
        }
        run(&mut self.finetuning(one, folder)?)?;
        let mut evaluate = self.house.ptunifier(&["evaluate"]);
        if one.is_probed {
            evaluate.args(["--probe-space", "encoder", "--probe"]).arg(self.pairs.join("encoders"));
        }
        run(evaluate.arg(folder))?;
        Ok(predictions)
    }

    /// The command that fine-tunes a run, or goes on with it.
    fn finetuning(&self, one: &Finetuning<'_>, folder: &Path) -> Result<Command, String> {
        let mut finetune = self.house.ptunifier(&["finetune", one.recipe]);
        let mut sets = vec![format!("seed={}", one.seed), format!("data=[{}]", json!(one.shards))];
        match one.start {
            Start::Pretrained => {
                finetune.arg("--model").arg(self.pretrained());
            }
            Start::WithoutVqaRad => {
                finetune.arg("--model").arg(self.without_vqa_rad()?);
            }
            Start::Encoders => {
                sets.extend(self.network()?);
                sets.extend(self.init());
            }
            Start::Random => {
                sets.extend(self.network()?.into_iter().filter(|set| !set.starts_with("model.init.")));
                sets.push("finetune.from_scratch=true".into());
            }
        }
        for set in sets.iter().chain(&one.sets) {
            finetune.args(["--set", set]);
        }
        // A run that was interrupted goes on, and one that has finished is left as it is.
        if folder.join("recipe.toml").exists() {
            finetune.arg("--resume");
        }
        finetune.arg("--out").arg(folder);
        Ok(finetune)
    }

    /// The network of the model of `real-pairs`, as changes to a recipe.
    fn network(&self) -> Result<Vec<String>, String> {
        let path = self.house.root.join(PRETRAINING);
        let failed = |cause: String| format!("`{}`: {cause}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        let recipe: toml::Table = text.parse().map_err(|error: toml::de::Error| failed(error.to_string()))?;
        let mut sets = vec![];
        let model = recipe.get("model").ok_or_else(|| failed("it has no [model]".into()))?;
        flatten("model", model, &mut sets);
        // The recipe of the task says how strongly its training is regularised.
        sets.retain(|set| !set.starts_with("model.dropout"));
        Ok(sets)
    }
}

/// Adds `key=value` for each value below a key.
fn flatten(key: &str, value: &toml::Value, sets: &mut Vec<String>) {
    match value {
        toml::Value::Table(table) => {
            table.iter().for_each(|(name, value)| flatten(&format!("{key}.{name}"), value, sets));
        }
        value => sets.push(format!("{key}={value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::flatten;

    #[test]
    fn a_section_becomes_changes_to_a_recipe() {
        let table: toml::Table = "[a]\nb = \"x\"\n[a.c]\nd = [1, 2]\ne = true".parse().unwrap();
        let mut sets = vec![];
        flatten("model", &table["a"], &mut sets);
        assert_eq!(sets, ["model.b=\"x\"", "model.c.d=[1, 2]", "model.c.e=true"]);
    }
}
