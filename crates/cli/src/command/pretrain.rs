use std::path::PathBuf;

use ptu_train::{Recipe, RunOptions};

use super::{Compute, wall_time};
use crate::interrupt::{Interrupted, stop_flag};
use crate::progress::{RunProgress, print};

/// Pre-train a model as a recipe says
///
/// Everything goes into one folder: the recipe as run, log.jsonl, TensorBoard events, state/ to go on from, bundle/ to use.
/// Ctrl-C ends the step, saves, and exits; --resume goes on to the same bits as if nothing had happened.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier prepare phantom data/phantom --pairs 5000
  ptunifier pretrain recipes/pretrain/phantom.toml --out runs/phantom
  ptunifier pretrain recipes/pretrain/phantom.toml --out runs/itc --set 'objectives=[\"itc\"]' --set seed=1
  ptunifier pretrain recipes/pretrain/phantom.toml --out runs/phantom --resume")]
pub struct Arguments {
    /// The recipe, a TOML file
    recipe: PathBuf,
    /// Folder of the run
    #[arg(long)]
    out: PathBuf,
    /// Go on with the run in the folder, from its last saved state
    #[arg(long)]
    resume: bool,
    /// Override a key of the recipe; the value in TOML
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    #[command(flatten)]
    compute: Compute,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    arguments.compute.start()?;
    let recipe = Recipe::load(&arguments.recipe, &arguments.overrides)?;
    let options = RunOptions {
        out: arguments.out.clone(),
        resume: arguments.resume,
        device: arguments.compute.device.training(),
        wall_time,
    };
    let mut progress = RunProgress::new(stop_flag("the step at hand is ended and saved"));
    let outcome = ptu_train::pretrain(&recipe, &options, &mut progress)?;
    progress.finish();
    let (steps, bundle) = (outcome.steps, outcome.bundle.display());
    if !outcome.finished {
        return Err(Interrupted(format!("{steps} steps are saved, the same command goes on with `--resume`")).into());
    }
    print(&format!("finished: {steps} steps, model in {bundle}"))
}
