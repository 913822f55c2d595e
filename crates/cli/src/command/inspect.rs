mod contents;
mod vectors;

use std::path::PathBuf;

use anyhow::bail;
use ptu_data::manifest::MANIFEST_FILE;
use ptu_model::files::write_bytes;
use ptu_report::Page;
use ptu_train::folder;
use ptu_workflow::page;
use serde::Serialize;

use super::Compute;
use crate::output::{print, say};
use contents::Contents;
pub use contents::{BestModel, best_model};

/// Show the contents of runs, bundles, folders of shards or files of vectors
///
/// The page of a folder of shards shows samples, labels, text lengths, duplicates and leakage between splits. The page of a run shows
/// its training curves, the scores that `evaluate` saved, attention maps and which records select which prompts. The page of several
/// runs compares them.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier inspect data/phantom --page data.html
  ptunifier inspect runs/phantom --page report.html
  ptunifier inspect runs/a runs/b --page both.html
  ptunifier inspect runs/phantom/bundle
  ptunifier inspect scans.parquet --json              vectors that embed wrote")]
pub struct Arguments {
    /// Run folders, bundles, folders of shards, .parquet files of `embed`
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Write the page of the runs, or of a folder of shards: one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// One JSON object on stdout; for several paths a list under `inspected`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Serialize)]
struct Inspected {
    inspected: Vec<Contents>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    arguments.compute.start()?;
    super::check_page(arguments.page.as_deref())?;
    arguments.paths.iter().try_for_each(|path| super::check_run(path))?;
    let mut contents = arguments.paths.iter().map(|path| Contents::of(path)).collect::<anyhow::Result<Vec<_>>>()?;
    if arguments.json {
        let json = match contents.len() {
            1 => serde_json::to_string(&contents.remove(0))?,
            _ => serde_json::to_string(&Inspected { inspected: contents })?,
        };
        print(&json)?;
    } else {
        contents.iter().flat_map(Contents::lines).try_for_each(|line| print(&line))?;
    }
    let Some(file) = &arguments.page else { return Ok(()) };
    let page = match arguments.paths.as_slice() {
        [shards] if shards.join(MANIFEST_FILE).exists() => page::of_shards(shards)?,
        runs => of_runs(runs, arguments)?,
    };
    write_bytes(file, ptu_report::render(&page).as_bytes())?;
    let told = format!("page {}", file.display());
    if arguments.json {
        say(&told);
        return Ok(());
    }
    print(&told)
}

fn of_runs(runs: &[PathBuf], arguments: &Arguments) -> anyhow::Result<Page> {
    if let Some(other) = runs.iter().find(|path| !path.join(folder::RECIPE).exists()) {
        bail!("`{}` is not a run folder; a page shows runs, or one folder of shards", other.display());
    }
    let mut page = page::of_runs(runs)?;
    page.title = match runs {
        [run] => format!("Run {}", run.display()),
        runs => format!("{} runs side by side", runs.len()),
    };
    if let [run] = runs {
        page.examples.extend(page::inside(run, &arguments.compute.device.plain())?);
    }
    Ok(page)
}
