//! The arguments of the commands that train: which run is started or resumed.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap::error::ErrorKind;
use ptu_train::trainer::Outcome;
use ptu_train::{Recipe, RunOptions, folder};

use super::{Compute, wall_time};
use crate::interrupt::{Interrupted, stop_flag};
use crate::output::say;
use crate::progress::RunProgress;
use crate::usage::check_sets;

/// Arguments of the commands that train.
#[derive(clap::Args)]
pub struct RunArguments {
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
pub struct Request {
    /// `None`: the run's own recipe.
    recipe: Option<PathBuf>,
    pub out: PathBuf,
    pub resume: bool,
}

impl RunArguments {
    /// The meaning of the arguments, whatever their order; ends the process if they have none. `example` is a recipe of the command.
    pub fn start(&self, example: &str) -> anyhow::Result<Request> {
        let request = self.request(example).unwrap_or_else(|error| error.exit());
        self.compute.start()?;
        if request.resume {
            super::check_run(&request.out)?;
        }
        Ok(request)
    }

    fn request(&self, example: &str) -> Result<Request, clap::Error> {
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
                &format!("name a recipe, for example {example}, or continue a run: --resume RUN"),
            ),
            (recipe, Some(out)) => Ok(Request { recipe: recipe.cloned(), out: out.clone(), resume: resume.is_some() }),
        }
    }

    /// The recipe of a request with the overrides of the user and of the command.
    pub fn recipe(&self, request: &Request, command: Vec<String>) -> anyhow::Result<Recipe> {
        let overrides = [self.overrides.clone(), command].concat();
        let load = |sets: &[String]| match &request.recipe {
            Some(recipe) => Ok(Recipe::load(recipe, sets)?),
            None => folder::recipe_with(&request.out, sets),
        };
        check_sets(&overrides, load)?;
        let recipe = load(&overrides)?;
        if let (None, Ok(Some(epochs))) = (recipe.train.epochs, load(&[]).map(|written| written.train.epochs)) {
            let steps = recipe.train.steps;
            let validated = match (recipe.train.validate_every, recipe.train.validates_by_epoch) {
                (0, _) => "not validated".to_string(),
                (1, true) => "validated after each epoch, and at the end".into(),
                (every, true) => format!("validated after every {every} epochs, and at the end"),
                (every, false) => format!("validated every {every} steps (`train.validate_every`)"),
            };
            say(&format!(
                "training for {steps} steps, as `--set train.steps` says, and not for the {epochs} epochs of the recipe; the model is \
                 {validated}"
            ));
        }
        Ok(recipe)
    }

    /// Trains a run to its end. `how_to_continue` is for the message of an interrupted run.
    pub fn train(&self, recipe: &Recipe, out: &Path, resume: bool, how_to_continue: &str) -> anyhow::Result<Outcome> {
        let device = self.compute.device.training();
        let options = RunOptions { out: out.to_path_buf(), resume, device, wall_time };
        let mut progress = RunProgress::new(stop_flag("the current step is finished and saved"));
        let outcome = ptu_tasks::train(recipe, &options, &mut progress)?;
        progress.finish();
        if !outcome.finished {
            let steps = outcome.steps;
            return Err(Interrupted(format!("{steps} steps are saved; {how_to_continue}")).into());
        }
        Ok(outcome)
    }
}
