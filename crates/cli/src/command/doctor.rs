use std::path::PathBuf;

use ptu_train::Recipe;
use ptu_workflow::doctor::{Check, Verdict, examine};
use serde::Serialize;

use super::Compute;
use crate::output::print;
use crate::usage::check_sets;

/// Check whether this machine can train and use models
///
/// Checks processor, vector units, memory and disk (against the needs of a recipe, if one is named) and GPU support, and runs a self-test:
/// features, losses, gradients and a short training are compared with the results of PyTorch.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier doctor
  ptunifier doctor recipes/pretrain/paper.toml --out /data/runs --set train.batch=64")]
pub struct Arguments {
    /// A recipe to check the machine against
    recipe: Option<PathBuf>,
    /// Folder where its files would be written
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Override a key of the recipe; the value is TOML
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Serialize)]
struct Report {
    ready: bool,
    checks: Vec<Check>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    arguments.compute.start()?;
    if let Some(recipe) = &arguments.recipe {
        check_sets(&arguments.sets, |sets| Ok(Recipe::load(recipe, sets)?))?;
    }
    let recipe = arguments.recipe.as_deref().map(|recipe| Recipe::load(recipe, &arguments.sets)).transpose()?;
    let mut checks = examine(recipe.as_ref(), &arguments.out)?;
    let built_in = [("cuda", cfg!(feature = "cuda")), ("wgpu", cfg!(feature = "wgpu"))];
    let built_in: Vec<&str> = built_in.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect();
    let found = match built_in.as_slice() {
        [] => "no GPU support in this build: the processor computes everything".to_string(),
        names => format!("{} built in, computing on {:?}", names.join(" and "), arguments.compute.device),
    };
    checks.insert(checks.len() - 1, Check { name: "GPU", found, verdict: Verdict::Good });
    let ready = checks.iter().all(|check| check.verdict != Verdict::Bad);
    if arguments.json {
        print(&serde_json::to_string(&Report { ready, checks })?)?;
    } else {
        for Check { name, found, verdict } in &checks {
            let sign = match verdict {
                Verdict::Good => "ok  ",
                Verdict::Note => "note",
                Verdict::Bad => "BAD ",
            };
            print(&format!("{sign}  {name:22} {found}"))?;
        }
        print(if ready { "this machine is ready" } else { "this machine is not ready" })?;
    }
    if ready { Ok(()) } else { anyhow::bail!("not ready: see above") }
}
