use anyhow::bail;

use super::training::RunArguments;
use crate::output::print;

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
    #[command(flatten)]
    run: RunArguments,
}

pub fn run(Arguments { run }: &Arguments) -> anyhow::Result<()> {
    let request = run.start("recipes/pretrain/table.toml")?;
    let recipe = run.recipe(&request, vec![])?;
    if !recipe.task.is_pretraining() {
        bail!("this recipe has a `[task]`, so it is for fine-tuning: use `ptunifier finetune`");
    }
    let how_to_continue = format!("continue with `ptunifier pretrain --resume {}`", request.out.display());
    let outcome = run.train(&recipe, &request.out, request.resume, &how_to_continue)?;
    print(&format!("finished: {} steps, model in {}", outcome.steps, outcome.bundle.display()))
}
