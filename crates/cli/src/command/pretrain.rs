use std::path::PathBuf;

use anyhow::bail;
use clap::CommandFactory;
use clap::error::ErrorKind;
use ptu_train::{Recipe, RunOptions, folder};

use super::{Compute, wall_time};
use crate::interrupt::{Interrupted, stop_flag};
use crate::output::print;
use crate::progress::RunProgress;
use crate::usage::check_sets;

/// Pre-train a model with the settings of a recipe
///
/// Everything goes into one folder: the recipe, log.jsonl, TensorBoard events, state/ (the checkpoint to resume from) and bundle/ (the
/// model to use). The expected duration is printed before the first step. Ctrl-C finishes the current step, saves, and exits with
/// 130; the state is also saved every five minutes (train.save_every_seconds). --resume continues to bit-for-bit the same result as
/// without an interruption. A finished run can be extended (--set train.steps=N): its learning rate schedule starts again, warm-up
/// included, and falls to 0 at the new end.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier prepare phantom data/phantom --pairs 5000
  ptunifier pretrain recipes/pretrain/phantom.toml --out runs/phantom
  ptunifier pretrain recipes/pretrain/phantom.toml --out runs/itc --set 'objectives=[\"itc\"]' --set seed=1
  ptunifier pretrain --resume runs/phantom
  ptunifier pretrain --resume runs/phantom --set train.steps=2000        a finished run of 1000 steps, extended")]
pub struct Arguments {
    /// The recipe, a TOML file; not needed with --resume
    recipe: Option<PathBuf>,
    /// Folder of the run, new or empty
    #[arg(long)]
    out: Option<PathBuf>,
    /// Continue a run from its last saved state; name its folder here or in --out
    #[arg(long, value_name = "RUN", num_args = 0..=1)]
    resume: Option<Option<PathBuf>>,
    /// Override a key of the recipe; the value is TOML
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    #[command(flatten)]
    compute: Compute,
}

/// Which run to start or resume.
struct Request {
    /// `None`: the run's own recipe.
    recipe: Option<PathBuf>,
    out: PathBuf,
    resume: bool,
}

impl Arguments {
    /// The meaning of the arguments, whatever their order.
    fn request(&self) -> Result<Request, clap::Error> {
        let wrong = |kind, message: &str| Err(super::Arguments::command().error(kind, message));
        let (recipe, resume) = match (&self.recipe, &self.resume) {
            // `--out RUN --resume recipe.toml`: the flag before the recipe.
            (None, Some(Some(path))) if self.out.is_some() && path.is_file() => (Some(path), Some(None)),
            (recipe, resume) => (recipe.as_ref(), resume.as_ref().map(Option::as_ref)),
        };
        let out = match (&self.out, resume.flatten()) {
            (Some(out), Some(run)) if out != run => {
                return wrong(ErrorKind::ArgumentConflict, "--resume and --out name two folders; name the run once");
            }
            (out, run) => run.or(out.as_ref()),
        };
        match (recipe, out) {
            (_, None) if resume.is_some() => {
                wrong(ErrorKind::MissingRequiredArgument, "name the run to continue: --resume RUN")
            }
            (_, None) => wrong(ErrorKind::MissingRequiredArgument, "name the folder of the run: --out RUN"),
            (None, Some(_)) if resume.is_none() => wrong(
                ErrorKind::MissingRequiredArgument,
                "name a recipe, for example recipes/pretrain/table.toml, or continue a run: --resume RUN",
            ),
            (recipe, Some(out)) => Ok(Request { recipe: recipe.cloned(), out: out.clone(), resume: resume.is_some() }),
        }
    }
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Request { recipe, out, resume } = arguments.request().unwrap_or_else(|error| error.exit());
    arguments.compute.start()?;
    if resume {
        super::check_run(&out)?;
    }
    let load = |sets: &[String]| match &recipe {
        Some(recipe) => Ok(Recipe::load(recipe, sets)?),
        None => folder::recipe_with(&out, sets),
    };
    check_sets(&arguments.overrides, load)?;
    let recipe = load(&arguments.overrides)?;
    if !recipe.task.is_pretraining() {
        bail!("this recipe has a `[task]`, so it is for fine-tuning: use `ptunifier finetune`");
    }
    let run = out.display().to_string();
    let options = RunOptions { out, resume, device: arguments.compute.device.training(), wall_time };
    let mut progress = RunProgress::new(stop_flag("the current step is finished and saved"));
    let outcome = ptu_tasks::train(&recipe, &options, &mut progress)?;
    progress.finish();
    let (steps, bundle) = (outcome.steps, outcome.bundle.display());
    if !outcome.finished {
        return Err(
            Interrupted(format!("{steps} steps are saved; continue with `ptunifier pretrain --resume {run}`")).into()
        );
    }
    print(&format!("finished: {steps} steps, model in {bundle}"))
}
