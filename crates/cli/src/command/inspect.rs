use std::path::{Path, PathBuf};

use anyhow::bail;
use ptu_data::{Manifest, Split};
use ptu_model::weights::read_arrays;
use ptu_train::log::{Event, read_events};
use ptu_train::{Recipe, folder, page};

use crate::progress::print;

/// Say what a run, a bundle or a folder of shards holds
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier inspect data/phantom
  ptunifier inspect runs/phantom --page runs/phantom/report.html
  ptunifier inspect runs/phantom/bundle")]
pub struct Arguments {
    /// A run folder, a bundle or a folder of shards
    path: PathBuf,
    /// Write the page of a run, one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let path = &arguments.path;
    if path.join(folder::RECIPE).exists() {
        return inspect_run(path, arguments.page.as_deref());
    }
    if arguments.page.is_some() {
        bail!("`{}` is no run folder; only runs have a page so far", path.display());
    }
    if path.join(ptu_model::WEIGHTS).exists() {
        return inspect_bundle(path);
    }
    if path.join(ptu_data::manifest::MANIFEST_FILE).exists() {
        return inspect_shards(path);
    }
    bail!("`{}` is neither a run, nor a bundle, nor a folder of shards", path.display())
}

fn inspect_run(path: &Path, file: Option<&Path>) -> anyhow::Result<()> {
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
        Event::Validation { step, retrieval, best: true } => Some((*step, retrieval.mean_r10())),
        _ => None,
    });
    if let Some((step, Some(score))) = best {
        print(&format!("  best        R@10 {score:.3} on the validation split, after step {step}"))?;
    }
    if path.join(folder::BUNDLE).join(ptu_model::WEIGHTS).exists() {
        inspect_bundle(&path.join(folder::BUNDLE))?;
    }
    if let Some(file) = file {
        let mut page = page::of_run(path, &[])?;
        page.title = format!("Run {}", path.display());
        ptu_model::files::write_bytes(file, ptu_report::render(&page).as_bytes())?;
        print(&format!("  page        {}", file.display()))?;
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
    if !manifest.skipped.is_empty() {
        print(&format!("  skipped   {} records:", manifest.skipped.len()))?;
        for skipped in &manifest.skipped {
            print(&format!("    {}: {}", skipped.place, skipped.cause))?;
        }
    }
    Ok(())
}
