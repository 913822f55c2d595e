use std::path::PathBuf;
use std::process::ExitCode;

use ptu_data::Split;
use ptu_workflow::study::{StudyOptions, StudyRecipe, StudySummary, StudyTable, study};
use serde_json::{Value, json};

use super::{Compute, wall_time};
use crate::interrupt::{Interrupted, go_on, saving, stop_flag};
use crate::output::{print, say};
use crate::progress::RunProgress;
use crate::usage::check_seeds;

/// Train, fine-tune and score a grid of models with several seeds, and compare them
///
/// A study is a TOML file: the recipe of pre-training, axes whose values change keys of it, tasks for which each model is fine-tuned, and
/// measures. Cells that differ only in what comes later share what comes before. Writes study.md, study.csv, study.tex, plots (.svg) and
/// study.html.
///
/// It may be interrupted at any moment: the same command goes on, and several processes may work in one folder. A cell that fails is named,
/// and the others go on; the same command tries it again.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier study recipes/study/objectives.toml --out studies/objectives
  ptunifier study recipes/study/pool-size.toml --out studies/pool-size --set train.steps=200 --seeds 0
  ptunifier study recipes/study/pool-size.toml --out studies/pool-size --collect        tables of what is there so far")]
pub struct Arguments {
    /// The file of the study
    recipe: PathBuf,
    /// Folder of the study: new, empty, or of an earlier call
    #[arg(long)]
    out: PathBuf,
    /// Folder that `{data}` stands for in the study
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Seeds in place of those of the study
    #[arg(long, value_delimiter = ',', value_name = "SEED,...")]
    seeds: Vec<u64>,
    /// Split that is scored in place of that of the study: train, validate or test
    #[arg(long)]
    split: Option<Split>,
    /// Cell to which differences are computed, in place of that of the study
    #[arg(long, value_name = "NAME")]
    reference: Option<String>,
    /// Only this cell; may be repeated
    #[arg(long, value_name = "NAME")]
    cell: Vec<String>,
    /// Override a key of the recipe of pre-training of all cells; the value is TOML
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Train nothing, collect what is there
    #[arg(long)]
    collect: bool,
    /// Remove the weights of a run once all cells that use it have their results; logs and scores stay
    #[arg(long)]
    drop_models: bool,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    compute: Compute,
}

/// The exit code if cells failed.
const SOME_FAILED: u8 = 1;

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    arguments.compute.start()?;
    let mut recipe = StudyRecipe::load(&arguments.recipe, arguments.data.as_deref())?;
    check_seeds(&arguments.seeds)?;
    if !arguments.seeds.is_empty() {
        recipe.seeds.clone_from(&arguments.seeds);
    }
    recipe.split = arguments.split.unwrap_or(recipe.split);
    recipe.reference = arguments.reference.clone().or(recipe.reference);
    let options = StudyOptions {
        out: arguments.out.clone(),
        sets: arguments.overrides.clone(),
        cells: arguments.cell.clone(),
        collect: arguments.collect,
        drop_models: arguments.drop_models,
        device: arguments.compute.device.training(),
        wall_time,
    };
    go_on("continue with the same command");
    saving(false);
    let mut progress = RunProgress::new(stop_flag("the current step is finished and saved"));
    let summary = study(&recipe, &options, &mut progress)?;
    progress.finish();
    let Some(summary) = summary else { return Err(Interrupted("continue with the same command".into()).into()) };
    if arguments.json {
        print(&json_of(&summary).to_string())?;
    } else {
        show(&summary)?;
    }
    Ok(if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}

fn show(summary: &StudySummary) -> anyhow::Result<()> {
    let StudySummary { table, failed, done: [done, all], files } = summary;
    print(table.markdown().trim_end())?;
    for (cell, seed, cause) in failed {
        say(&format!("failed: cell `{cell}`, seed {seed}: {cause}"));
    }
    if done < all {
        print(&format!(
            "{done} of {all} cells with their seeds are measured; the same command (without --collect and --cell) goes on"
        ))?;
    }
    let page = files.iter().find(|file| file.extension().is_some_and(|end| end == "html"));
    page.map_or(Ok(()), |page| print(&format!("page: {}", page.display())))
}

fn json_of(summary: &StudySummary) -> Value {
    let StudySummary { table, failed, done: [done, all], files } = summary;
    let StudyTable { title, columns, rows, reference, values, .. } = table;
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let measures: serde_json::Map<String, Value> = columns
                .iter()
                .zip(row.means.iter().zip(&row.differences))
                .map(|(column, (mean, difference))| {
                    let estimate = |one: &ptu_workflow::study::Estimate| json!({"mean": one.mean, "half": one.half, "seeds": one.seeds});
                    let both = json!({
                        "mean": mean.as_ref().map(estimate),
                        "difference": difference.as_ref().map(estimate),
                    });
                    (column.name.clone(), both)
                })
                .collect();
            json!({"cell": row.cell, "weights": row.weights, "prompt_share": row.prompt_share, "ended": row.ended, "measures": measures})
        })
        .collect();
    let failed: Vec<Value> =
        failed.iter().map(|(cell, seed, cause)| json!({"cell": cell, "seed": seed, "cause": cause})).collect();
    let values: Vec<Value> = values
        .iter()
        .map(|(cell, seed, measure, value)| json!({"cell": cell, "seed": seed, "measure": measure, "value": value}))
        .collect();
    json!({
        "study": title, "reference": reference, "rows": rows, "values": values, "failed": failed, "done": done, "of": all, "files": files,
    })
}
