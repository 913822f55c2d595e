use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::CommandFactory;
use clap::error::ErrorKind;
use ptu_train::{Recipe, RunOptions, folder};

use super::{Compute, wall_time};
use crate::interrupt::{Interrupted, stop_flag};
use crate::output::print;
use crate::progress::RunProgress;
use crate::usage::check_sets;

/// Fine-tune a pre-trained model for a task: classification, multi-label classification or question answering
///
/// The recipe names the task, its label and what the model reads of a record. Everything goes into one folder, as in pre-training:
/// the log, the state to resume from, bundle/ (the last model) and best/ (the model with the best validation score, which `classify`,
/// `ask` and `evaluate` use). Ctrl-C saves and exits with 130; --resume continues to bit-for-bit the same result. Without --model, and
/// without `finetune.model` in the recipe, the model starts from random weights.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier finetune recipes/finetune/phantom-finding.toml --model quickstart/run --out runs/finding
  ptunifier finetune recipes/finetune/vqa-rad.toml --model runs/pretrained --out runs/vqa --data 10%
  ptunifier finetune recipes/finetune/vqa-rad.toml --model runs/pretrained --out runs/vqa --seeds 0,1,2
  ptunifier finetune --resume runs/vqa")]
pub struct Arguments {
    /// The recipe, a TOML file; not needed with --resume
    recipe: Option<PathBuf>,
    /// The run or bundle from which training starts
    #[arg(long, value_name = "BUNDLE")]
    model: Option<PathBuf>,
    /// Folder of the run, new or empty
    #[arg(long)]
    out: Option<PathBuf>,
    /// Continue a run from its last saved state; name its folder here or in --out
    #[arg(long, value_name = "RUN", num_args = 0..=1)]
    resume: Option<Option<PathBuf>>,
    /// Share of the training data that is used, for example 10%
    #[arg(long, value_name = "SHARE", value_parser = share)]
    data: Option<f64>,
    /// Train once with each of these seeds, in one folder each, and print mean and standard deviation of the best scores
    #[arg(long, value_name = "SEEDS", value_delimiter = ',', conflicts_with = "resume")]
    seeds: Vec<u64>,
    /// Override a key of the recipe; the value is TOML
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    #[command(flatten)]
    compute: Compute,
}

/// Parses a share: `10%` or `0.1`.
fn share(word: &str) -> Result<f64, String> {
    let (number, divisor) = match word.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (word, 1.0),
    };
    let share = number.trim().parse::<f64>().map(|number| number / divisor).ok();
    share
        .filter(|share| *share > 0.0 && *share <= 1.0)
        .ok_or_else(|| format!("`{word}` is no share: write for example 10% or 0.1, above 0 and at most 100%"))
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let wrong =
        |message: &str| -> ! { super::Arguments::command().error(ErrorKind::MissingRequiredArgument, message).exit() };
    let resumed = arguments.resume.as_ref().map(Option::as_ref);
    let Some(out) = resumed.flatten().or(arguments.out.as_ref()).cloned() else {
        wrong("name the folder of the run: --out RUN");
    };
    if arguments.recipe.is_none() && resumed.is_none() {
        wrong("name a recipe, for example recipes/finetune/phantom-finding.toml, or continue a run: --resume RUN");
    }
    arguments.compute.start()?;
    if resumed.is_some() {
        super::check_run(&out)?;
    }
    let mut overrides = arguments.overrides.clone();
    overrides.extend(arguments.data.map(|share| format!("finetune.share={share}")));
    if let Some(model) = &arguments.model {
        super::check_run(model)?;
        if !folder::bundle_of(model).join(ptu_model::WEIGHTS).exists() {
            bail!("`{}` holds no model; name a run or a bundle with `--model`", model.display());
        }
        let path = model.to_str().with_context(|| format!("path `{}` is not valid Unicode", model.display()))?;
        overrides.push(format!("finetune.model={}", serde_json::to_string(path)?));
    }
    let load = |sets: &[String]| match &arguments.recipe {
        Some(recipe) => Ok(Recipe::load(recipe, sets)?),
        None => folder::recipe_with(&out, sets),
    };
    check_sets(&overrides, load)?;
    let recipe = load(&overrides)?;
    if recipe.task.is_pretraining() {
        bail!("this recipe has no `[task]`, so it is for pre-training: use `ptunifier pretrain`");
    }
    if arguments.seeds.is_empty() {
        train(arguments, &recipe, &out, resumed.is_some())?;
        return Ok(());
    }
    let mut best = vec![];
    for &seed in &arguments.seeds {
        let out = out.join(format!("seed-{seed}"));
        // A call that was interrupted is given again: finished runs are left as they are, the others go on.
        let resume = out.join(folder::RECIPE).exists();
        best.push((seed, train(arguments, &Recipe { seed, ..recipe.clone() }, &out, resume)?));
    }
    summary(&best)
}

/// Trains one run; returns its best validation score, if there is one.
fn train(arguments: &Arguments, recipe: &Recipe, out: &Path, resume: bool) -> anyhow::Result<Option<f64>> {
    let device = arguments.compute.device.training();
    let options = RunOptions { out: out.to_path_buf(), resume, device, wall_time };
    let mut progress = RunProgress::new(stop_flag("the current step is finished and saved"));
    let outcome = ptu_tasks::train(recipe, &options, &mut progress)?;
    progress.finish();
    if !outcome.finished {
        let (steps, run) = (outcome.steps, out.display());
        let text = format!("{steps} steps are saved; continue with `ptunifier finetune --resume {run}`");
        return Err(Interrupted(text).into());
    }
    let model = folder::bundle_of(out);
    let score = outcome.best.map_or(String::new(), |value| format!(", best validation score {value:.3}"));
    print(&format!("finished: {} steps{score}, model in {}", outcome.steps, model.display()))?;
    Ok(outcome.best)
}

/// Prints the best scores of several seeds.
fn summary(best: &[(u64, Option<f64>)]) -> anyhow::Result<()> {
    let values: Vec<f64> = best.iter().filter_map(|(_, value)| *value).collect();
    for (seed, value) in best {
        print(&format!("seed {seed}: {}", value.map_or("undefined".into(), |value| format!("{value:.4}"))))?;
    }
    if values.len() < 2 {
        return Ok(());
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    print(&format!("mean {mean:.4}, standard deviation {deviation:.4} over {} seeds", values.len()))
}
