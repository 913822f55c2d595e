use std::path::{Path, PathBuf};

use anyhow::bail;
use ptu_data::manifest::{MANIFEST_FILE, told};
use ptu_data::{Manifest, Split};
use ptu_model::files::write_bytes;
use ptu_model::weights::read_arrays;
use ptu_report::Page;
use ptu_train::log::{Event, read_events};
use ptu_train::{Recipe, folder, page};

use super::Compute;
use crate::progress::print;

/// Say what runs, bundles or folders of shards hold
///
/// The page of a folder of shards shows samples, labels, lengths, duplicates and leaks. That of a run shows how it went, the scores that `evaluate` left in it, what its words look at and what its prompts stand
/// for; that of several runs shows them side by side.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier inspect data/phantom --page data.html
  ptunifier inspect runs/phantom --page report.html
  ptunifier inspect runs/a runs/b --page both.html
  ptunifier inspect runs/phantom/bundle")]
pub struct Arguments {
    /// Run folders, bundles or folders of shards
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Write the page of the runs, or of a folder of shards: one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    #[command(flatten)]
    compute: Compute,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    arguments.compute.start()?;
    arguments.paths.iter().try_for_each(|path| inspect(path))?;
    let Some(file) = &arguments.page else { return Ok(()) };
    let page = match arguments.paths.as_slice() {
        [shards] if shards.join(MANIFEST_FILE).exists() => page::of_shards(shards)?,
        runs => of_runs(runs, arguments)?,
    };
    write_bytes(file, ptu_report::render(&page).as_bytes())?;
    print(&format!("page {}", file.display()))
}

fn of_runs(runs: &[PathBuf], arguments: &Arguments) -> anyhow::Result<Page> {
    if let Some(other) = runs.iter().find(|path| !path.join(folder::RECIPE).exists()) {
        bail!("`{}` is no run folder; runs have a page together, a folder of shards has one alone", other.display());
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

fn inspect(path: &Path) -> anyhow::Result<()> {
    if path.join(folder::RECIPE).exists() {
        return inspect_run(path);
    }
    if path.join(ptu_model::WEIGHTS).exists() {
        return inspect_bundle(path);
    }
    if path.join(MANIFEST_FILE).exists() {
        return inspect_shards(path);
    }
    bail!("`{}` is neither a run, nor a bundle, nor a folder of shards", path.display())
}

fn inspect_run(path: &Path) -> anyhow::Result<()> {
    let recipe = Recipe::load(&path.join(folder::RECIPE), &[])?;
    let events = read_events(&path.join(folder::LOG))?;
    print(&format!("run {}", path.display()))?;
    for entry in &recipe.data {
        print(&format!("  data        {} (weight {})", entry.path.display(), entry.weight))?;
    }
    let objectives: Vec<&str> = recipe.objectives.iter().map(|kind| kind.name()).collect();
    print(&format!("  objectives  {}", objectives.join(", ")))?;
    let last = events.iter().rev().find_map(|event| match event {
        Event::Step { step, loss, .. } => Some((step + 1, *loss)),
        _ => None,
    });
    match last {
        Some((steps, loss)) => print(&format!("  steps       {steps} of {}, last loss {loss:.3}", recipe.train.steps))?,
        None => print(&format!("  steps       none of {}", recipe.train.steps))?,
    }
    let best = events.iter().rev().find_map(|event| match event {
        Event::Validation { step, judged, best: true } => Some((*step, judged.name(), judged.value()?)),
        _ => None,
    });
    if let Some((step, name, score)) = best {
        print(&format!("  best        {name} {score:.3} on the validation split, after step {step}"))?;
    }
    if path.join(folder::BUNDLE).join(ptu_model::WEIGHTS).exists() {
        inspect_bundle(&path.join(folder::BUNDLE))?;
    }
    Ok(())
}

fn inspect_bundle(path: &Path) -> anyhow::Result<()> {
    let arrays = read_arrays(&path.join(ptu_model::WEIGHTS))?;
    let weights: usize = arrays.values().map(|array| array.values.len()).sum();
    print(&format!("bundle {}: {} arrays, {weights} weights", path.display(), arrays.len()))
}

fn inspect_shards(path: &Path) -> anyhow::Result<()> {
    let manifest = Manifest::read(path)?;
    print(&format!("shards {} ({}), hash {}", path.display(), manifest.source, manifest.hash()))?;
    for split in Split::ALL {
        let counts = manifest.counts(split);
        if counts.records > 0 {
            print(&format!(
                "  {split:10}{} records of {} patients: {} pairs, {} images alone, {} texts alone",
                counts.records, counts.patients, counts.pairs, counts.images_only, counts.texts_only
            ))?;
        }
    }
    for (what, count) in &manifest.noted {
        print(&format!("  {what}: {count}"))?;
    }
    for overlap in &manifest.overlaps {
        print(&format!("  {}", told(overlap)))?;
    }
    if !manifest.skipped.is_empty() {
        print(&format!("  skipped   {} records:", manifest.skipped.len()))?;
        for skipped in &manifest.skipped {
            print(&format!("    {}: {}", skipped.place, skipped.cause))?;
        }
    }
    Ok(())
}
