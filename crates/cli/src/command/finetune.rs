use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ptu_train::{Recipe, folder};

use super::training::RunArguments;
use crate::output::print;
use crate::usage::{WrongArguments, check_seeds};

/// Beginning of the names of the folders of `--seeds`, before the seed.
const SEED_FOLDER: &str = "seed-";

/// Fine-tune a pre-trained model for a task: classification, multi-label classification, question answering or retrieval
///
/// The recipe names the task, its label and what the model reads of a record. Everything goes into one folder, as in pre-training:
/// the log, the state to resume from, bundle/ (the last model) and best/ (the model with the best validation score, which `classify`,
/// `ask`, `match` and `evaluate` use). Ctrl-C saves and exits with 130; --resume continues to bit-for-bit the same result. A recipe with
/// `from_scratch = true` below `[finetune]` trains a model with random weights, and needs no --model.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier finetune recipes/finetune/phantom-finding.toml --model quickstart/run --out runs/finding
  ptunifier finetune recipes/finetune/vqa-rad.toml --model runs/pretrained --out runs/vqa --data 10%
  ptunifier finetune recipes/finetune/vqa-rad.toml --model runs/pretrained --out runs/vqa --seeds 0,1,2
  ptunifier finetune --resume runs/vqa")]
pub struct Arguments {
    #[command(flatten)]
    run: RunArguments,
    /// The pre-trained run or bundle from which training starts
    #[arg(long, value_name = "BUNDLE")]
    model: Option<PathBuf>,
    /// Share of the training data that is used, for example 10%
    #[arg(long, value_name = "SHARE", value_parser = share)]
    data: Option<f64>,
    /// Train once with each of these seeds, in one folder each, and print mean and standard deviation of the best scores
    #[arg(long, value_name = "SEEDS", value_delimiter = ',', value_parser = seed, conflicts_with = "resume")]
    seeds: Vec<u64>,
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

/// Parses one of several seeds.
fn seed(word: &str) -> Result<u64, String> {
    let written = "write whole numbers with commas between them, for example --seeds 0,1,2";
    // Recipes are TOML, whose numbers have 63 bits.
    let seed = word.trim().parse().ok().filter(|seed| i64::try_from(*seed).is_ok());
    seed.ok_or_else(|| format!("`{word}` is no seed: {written}; the largest one is {}", i64::MAX))
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    check_seeds(&arguments.seeds)?;
    let request = arguments.run.start("recipes/finetune/phantom-finding.toml")?;
    let recipe = arguments.run.recipe(&request, arguments.overrides()?)?;
    if recipe.task.is_pretraining() {
        bail!("this recipe has no `[task]`, so it is for pre-training: use `ptunifier pretrain`");
    }
    if !request.resume {
        check_start(&recipe)?;
    }
    if arguments.seeds.is_empty() {
        let how_to_continue = format!("continue with `ptunifier finetune --resume {}`", request.out.display());
        train(&arguments.run, &recipe, (&request.out, request.resume), &how_to_continue)?;
        return Ok(());
    }
    check_seed_folder(&request.out)?;
    let how_to_continue = "give the same command again: it continues this seed, then trains the others, and leaves finished ones as they are";
    let mut best = vec![];
    for &seed in &arguments.seeds {
        let out = request.out.join(format!("{SEED_FOLDER}{seed}"));
        // A call that was interrupted is given again: finished runs are left as they are, the others go on.
        let resume = out.join(folder::RECIPE).exists();
        let recipe = Recipe { seed, ..recipe.clone() };
        best.push((seed, train(&arguments.run, &recipe, (&out, resume), how_to_continue)?));
    }
    summary(&best)
}

/// Refuses a recipe that neither names a model to start from nor asks for random weights.
fn check_start(recipe: &Recipe) -> Result<(), WrongArguments> {
    let finetune = &recipe.finetune;
    let has_start = finetune.model.is_some() || !recipe.model.init.is_random();
    match has_start || finetune.from_scratch {
        true => Ok(()),
        false => Err(WrongArguments(
            "there is no model to start from: name a pre-trained run or bundle with `--model`; to train a model with random weights, set \
             `finetune.from_scratch = true` and choose its size (`model.preset`)"
                .into(),
        )),
    }
}

impl Arguments {
    /// The keys of the recipe that `--model` and `--data` set.
    fn overrides(&self) -> anyhow::Result<Vec<String>> {
        let mut overrides: Vec<String> = self.data.map(|share| format!("finetune.share={share}")).into_iter().collect();
        if let Some(model) = &self.model {
            super::check_model(model)?;
            let path = model.to_str().with_context(|| format!("path `{}` is not valid Unicode", model.display()))?;
            overrides.push(format!("finetune.model={}", serde_json::to_string(path)?));
        }
        Ok(overrides)
    }
}

/// Refuses a folder for the runs of several seeds that holds something else.
fn check_seed_folder(out: &Path) -> anyhow::Result<()> {
    let is_ours = |name: &str| name.strip_prefix(SEED_FOLDER).is_some_and(|seed| seed.parse::<u64>().is_ok());
    if out.exists() && folder::holds_others(out, is_ours)? {
        let text = format!(
            "`{}` holds other files than the runs of `--seeds`; name a new or empty folder with `--out`",
            out.display()
        );
        return Err(WrongArguments(text).into());
    }
    Ok(())
}

/// Trains the run of a folder, which may be resumed; returns its best validation score, if there is one.
fn train(
    run: &RunArguments,
    recipe: &Recipe,
    (out, resume): (&Path, bool),
    how_to_continue: &str,
) -> anyhow::Result<Option<f64>> {
    let outcome = run.train(recipe, out, resume, how_to_continue)?;
    let score = outcome.best.map_or(String::new(), |value| format!(", best validation score {value:.3}"));
    let model = folder::bundle_of(out)?;
    print(&format!("finished: {} steps{score}, model in {}", outcome.steps, model.display()))?;
    Ok(outcome.best)
}

/// Prints the best scores of several seeds.
fn summary(best: &[(u64, Option<f64>)]) -> anyhow::Result<()> {
    let values: Vec<f64> = best.iter().filter_map(|(_, value)| *value).collect();
    for (seed, value) in best {
        print(&format!("seed {seed}: {}", value.map_or("undefined".into(), |value| format!("{value:.4}"))))?;
    }
    let (Some(mean), Some(deviation)) = ptu_metrics::mean_and_deviation(&values) else { return Ok(()) };
    print(&format!("mean {mean:.4}, standard deviation {deviation:.4} over {} seeds", values.len()))
}
