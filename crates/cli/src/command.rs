//! Subcommands, one file each.

mod ask;
mod bench;
mod chunks;
mod classify;
mod doctor;
mod embed;
mod evaluate;
mod explain;
mod export;
mod fidelity;
mod fields;
mod finetune;
mod generation;
mod import;
mod inspect;
mod matching;
mod page;
mod predict;
mod prepare;
mod pretrain;
mod quickstart;
mod report;
mod search;
mod shell;
mod study;
mod summarise;
mod training;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Parser, Subcommand};
use ptu_data::manifest::MANIFEST_FILE;
use ptu_kernels::ComputePrecision;
use ptu_train::folder;
use ptu_train::recipe::Precision;

use crate::device::DeviceName;
use crate::output::say;
use crate::usage::WrongArguments;
pub use fields::Fields;
use page::check_page;

/// Learn from medical images together with the text that belongs to them.
///
/// One model for images, texts and pairs: where one modality is missing, learned soft prompts take its place.
#[derive(Parser)]
#[command(name = "ptunifier", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  ptunifier quickstart --out quickstart          train and evaluate a small model
  ptunifier prepare table pairs.csv data/own     your own images and texts
  ptunifier pretrain recipes/pretrain/table.toml --out runs/own
  ptunifier evaluate runs/own                    scores with confidence intervals
  ptunifier embed runs/own scans/ --out scans.parquet
  ptunifier search scans.parquet --model runs/own --text \"effusion on the left\"

Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 done but some inputs were skipped, 130 interrupted (Ctrl-C, SIGTERM):
the same command with `--resume` continues from what was saved; `prepare` continues with the same command alone";

/// Exit code of work that is done, except for inputs that were skipped because they could not be used.
const SOME_SKIPPED: u8 = 3;

#[derive(Subcommand)]
enum Command {
    Quickstart(quickstart::Arguments),
    Prepare(prepare::Arguments),
    Pretrain(pretrain::Arguments),
    Finetune(finetune::Arguments),
    Evaluate(evaluate::Arguments),
    Fidelity(fidelity::Arguments),
    Classify(classify::Arguments),
    Ask(ask::Arguments),
    Report(report::Arguments),
    Summarise(summarise::Arguments),
    Match(matching::Arguments),
    Embed(embed::Arguments),
    Search(search::Arguments),
    Import(import::Arguments),
    Study(study::Arguments),
    Export(export::Arguments),
    Explain(explain::Arguments),
    Inspect(inspect::Arguments),
    Watch(watch::Arguments),
    Doctor(doctor::Arguments),
    #[command(subcommand)]
    Bench(bench::Benchmark),
    Completions(shell::Completions),
    Man(shell::Man),
}

/// Options of every command that computes.
#[derive(clap::Args, Clone, Debug)]
pub struct Compute {
    /// Device that computes: cpu; cuda:0 or wgpu in builds with these features
    #[arg(long, default_value = "cpu")]
    pub device: DeviceName,
    /// Number of threads (default: one per core); a run is bit-for-bit repeatable only with the same number
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// Options of every command that uses a model without training it.
#[derive(clap::Args, Clone, Debug)]
pub struct AtWork {
    #[command(flatten)]
    pub compute: Compute,
    /// Number format of matrix products: f32; bf16, on processors with Intel's AMX; auto for the faster one
    #[arg(long, default_value = "f32")]
    pub precision: Precision,
}

impl AtWork {
    /// As [`Compute::start`]; returns the compute precision, and prints a line where it is not the requested one.
    pub fn start(&self) -> anyhow::Result<ComputePrecision> {
        self.compute.start()?;
        let precision = self.precision.compute_precision();
        if (self.precision, precision) == (Precision::Bf16, ComputePrecision::F32) {
            say("computing in f32: this processor has no bf16 matrix unit (AMX)");
        }
        Ok(precision)
    }
}

impl Compute {
    /// Sets the number of threads, once, before anything computes, and makes sure that the device can.
    pub fn start(&self) -> anyhow::Result<()> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
        }
        self.device.check()
    }
}

/// The exit code of work that is done; `skipped`: some inputs were not used.
fn done(skipped: bool) -> ExitCode {
    if skipped { ExitCode::from(SOME_SKIPPED) } else { ExitCode::SUCCESS }
}

/// Runs the command that the user wrote.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Quickstart(arguments) => return quickstart::run(&arguments),
        Command::Prepare(arguments) => return prepare::run(&arguments),
        Command::Pretrain(arguments) => pretrain::run(&arguments)?,
        Command::Finetune(arguments) => finetune::run(&arguments)?,
        Command::Evaluate(arguments) => evaluate::run(&arguments)?,
        Command::Fidelity(arguments) => fidelity::run(&arguments)?,
        Command::Classify(arguments) => return classify::run(&arguments),
        Command::Ask(arguments) => return ask::run(&arguments),
        Command::Report(arguments) => return report::run(&arguments),
        Command::Summarise(arguments) => return summarise::run(&arguments),
        Command::Match(arguments) => return matching::run(&arguments),
        Command::Embed(arguments) => return embed::run(&arguments),
        Command::Search(arguments) => search::run(&arguments)?,
        Command::Import(arguments) => import::run(&arguments)?,
        Command::Study(arguments) => return study::run(&arguments),
        Command::Export(arguments) => export::run(&arguments)?,
        Command::Explain(arguments) => explain::run(&arguments)?,
        Command::Inspect(arguments) => inspect::run(&arguments)?,
        Command::Watch(arguments) => watch::run(&arguments)?,
        Command::Doctor(arguments) => doctor::run(&arguments)?,
        Command::Bench(benchmark) => bench::run(&benchmark)?,
        Command::Completions(arguments) => shell::completions(&arguments)?,
        Command::Man(arguments) => shell::man(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The bundle at a path ([`folder::bundle_of`]).
fn bundle_folder(model: &Path) -> anyhow::Result<PathBuf> {
    check_model(model)?;
    let bundle = folder::bundle_of(model)?;
    import::say_if_untrained(&bundle)?;
    Ok(bundle)
}

/// Refuses a path that holds no model, and reports a best model that was deleted.
fn check_model(model: &Path) -> anyhow::Result<()> {
    check_run(model)?;
    let path = model.display();
    let text = match (model.exists(), model.join(MANIFEST_FILE).exists()) {
        _ if folder::bundle_of(model)?.join(ptu_model::WEIGHTS).exists() => {
            say_if_best_is_lost(model);
            return Ok(());
        }
        (false, _) => format!("`{path}` does not exist; name a run folder or a bundle"),
        (true, true) => format!("`{path}` holds no model but shards; name a run folder or a bundle in its place"),
        (true, false) => format!("`{path}` holds no model; name the folder of a run that has saved one, or a bundle"),
    };
    Err(WrongArguments(text).into())
}

/// Reports that the best model of a run was deleted, so that the last one is used.
fn say_if_best_is_lost(model: &Path) {
    // The log of a run without validation may be long, and names no best model.
    let is_validated = folder::recipe(model).is_ok_and(|recipe| recipe.train.validate_every > 0);
    if is_validated && folder::has_lost_best(model) {
        let (run, best, last) = (model.display(), folder::BEST, folder::BUNDLE);
        say(&format!(
            "note: the best model of this run, `{run}/{best}`, does not exist any more; the last one, `{run}/{last}`, is used"
        ));
    }
}

/// At most so many entries of a folder are searched for runs, and at most so many runs are named in a message.
const ENTRIES: usize = 1000;
const RUNS: usize = 3;

/// Refuses a folder that is neither a run nor a bundle and holds runs, such as that of a quickstart; says which to name.
fn check_run(path: &Path) -> anyhow::Result<()> {
    let is_run = |path: &Path| path.join(folder::RECIPE).exists();
    if is_run(path) || path.join(ptu_model::WEIGHTS).exists() || path.join(MANIFEST_FILE).exists() {
        return Ok(());
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().take(ENTRIES).flatten();
    let mut runs: Vec<PathBuf> =
        entries.map(|entry| path.join(entry.file_name())).filter(|path| is_run(path)).collect();
    runs.sort();
    let named: Vec<String> = runs.iter().take(RUNS).map(|run| format!("`{}`", run.display())).collect();
    let named = named.join(" or ");
    match runs.as_slice() {
        [] => Ok(()),
        [_] => bail!("`{}` is neither a run nor a bundle, but holds a run; name {named}", path.display()),
        _ => bail!("`{}` is neither a run nor a bundle, but holds runs; name one, such as {named}", path.display()),
    }
}

/// Seconds since 1970, for files that want the time.
pub fn wall_time() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}
