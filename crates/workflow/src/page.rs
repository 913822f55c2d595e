//! HTML pages about one run or several runs: scores, training curves, retrieval examples, prompt usage. Also the page of a
//! folder of shards.

mod attention;
mod curves;
mod inside;
mod pool_map;
mod predictions;
mod prompts;
mod retrieval;
mod sets;
mod shards;
mod task;

use std::path::{Path, PathBuf};

use ptu_data::Manifest;
use ptu_evaluate::task::{SavedTask, TaskEvaluated};
use ptu_evaluate::{Evaluated, Saved, Score, names};
use ptu_model::{Bundle, files};
use ptu_report::{ExampleGroup, Fact, Page, PoolUsage, ScoreRow, Section, Step, Table, Unit};
use ptu_tasks::pretraining::{PoolLine, Prompts};
use ptu_train::log::{Event, Timing, read_events, read_timings};
use ptu_train::{Recipe, folder};

use crate::WorkflowError;

pub use inside::inside;
pub use prompts::{PromptItems, prompt_items, stand_in_group};
pub use shards::of_shards;

/// Longest side of an image on a page, in pixels.
const THUMBNAIL: usize = 160;
/// The largest recipe that is read for the page, in bytes.
const MAX_RECIPE_BYTES: u64 = 1 << 20;

/// The contents of a run folder that a page or a card shows.
pub(crate) struct Run {
    pub(crate) path: PathBuf,
    /// Empty if the page shows only one run.
    name: String,
    pub(crate) recipe: Recipe,
    /// The recipe file as text.
    text: String,
    events: Vec<Event>,
    timings: Vec<Timing>,
    pub(crate) saved: Saved,
    /// The scores of a fine-tuned model on its task.
    pub(crate) task: SavedTask,
    /// Names of files with scores of an earlier model of the run, which are not shown.
    outdated: Vec<&'static str>,
}

/// Collects the results of an evaluation: the scores and the retrieval examples. They are saved in the run folder
/// ([`Saved::write`]) and shown on its page.
pub fn to_save(evaluated: &[Evaluated], seed: u64) -> Saved {
    Saved {
        scores: evaluated.iter().map(|evaluated| (evaluated.name.clone(), evaluated.scores.clone())).collect(),
        examples: evaluated.iter().flat_map(|evaluated| retrieval::examples(evaluated, seed)).collect(),
    }
}

/// The page of one run that was just evaluated. The caller sets the title, the subtitle, the verdict and the next steps.
///
/// # Errors
/// If the log or the recipe of the run folder cannot be read.
pub fn of_run(run: &Path, evaluated: &[Evaluated]) -> Result<Page, WorkflowError> {
    let mut one = Run::open(run, String::new())?;
    one.saved = to_save(evaluated, one.recipe.seed);
    one.outdated.retain(|file| *file != folder::SCORES);
    Ok(page(&[one]))
}

/// Collects the results of an evaluation of a task: the scores, and examples drawn by the seed of the evaluation. They are saved in the run
/// folder ([`SavedTask::write`]) and shown on its page.
pub fn task_to_save(evaluated: &[TaskEvaluated]) -> SavedTask {
    let seed = evaluated.first().map_or(0, |evaluated| evaluated.report.receipt.seed);
    SavedTask {
        reports: evaluated.iter().map(|evaluated| (evaluated.name.clone(), evaluated.report.clone())).collect(),
        examples: task_examples(evaluated, seed),
    }
}

/// Examples of predictions, drawn by `seed`: of classes and answers right and wrong ones with the most probable outputs, of labels and
/// generated texts any.
pub fn task_examples(evaluated: &[TaskEvaluated], seed: u64) -> Vec<ExampleGroup> {
    evaluated.iter().flat_map(|evaluated| predictions::examples(evaluated, seed)).collect()
}

/// The scores of a task as rows of a page, with those of the baseline and of the linear probe.
pub fn task_score_rows(evaluated: &[TaskEvaluated]) -> Vec<ScoreRow> {
    evaluated.iter().flat_map(|evaluated| task::score_rows("", &evaluated.name, &evaluated.report)).collect()
}

/// The page of one run whose task was just evaluated: of a fine-tuned run, or of a pre-trained one that classified by sentences. The caller
/// sets the title, the subtitle, the verdict and the next steps.
///
/// # Errors
/// As for [`of_run`].
pub fn of_task_run(run: &Path, evaluated: &[TaskEvaluated]) -> Result<Page, WorkflowError> {
    let mut one = Run::open(run, String::new())?;
    one.task = task_to_save(evaluated);
    one.outdated.retain(|file| *file != folder::TASK_SCORES);
    Ok(page(&[one]))
}

/// The page of one or several runs, with the scores that `evaluate` saved in their folders.
///
/// # Errors
/// As for [`of_run`].
pub fn of_runs(runs: &[PathBuf]) -> Result<Page, WorkflowError> {
    let several = runs.len() > 1;
    let name = |path: &PathBuf| if several { path.display().to_string() } else { String::new() };
    let runs: Vec<Run> = runs.iter().map(|path| Run::open(path, name(path))).collect::<Result<_, _>>()?;
    let mut page = page(&runs);
    page.warnings.extend([sets::differences(&runs), task::differences(&runs)].concat());
    let has_none = |run: &&Run| run.saved.scores.is_empty() && run.task.reports.is_empty() && run.outdated.is_empty();
    for run in runs.iter().filter(has_none) {
        let path = crate::shell::quoted(&run.path);
        let told = format!("`{}` has no scores yet: run `ptunifier evaluate {path}`", run.path.display());
        page.warnings.push(told);
    }
    Ok(page)
}

impl Run {
    /// Reads a run folder. Scores of an earlier model are left out: the run was continued after they were saved.
    pub(crate) fn open(run: &Path, name: String) -> Result<Self, WorkflowError> {
        let (mut saved, mut task, mut outdated) = (Saved::read(run)?, SavedTask::read(run)?, vec![]);
        if !(saved.scores.is_empty() && task.reports.is_empty())
            && let Some(model) = model_of(run)?
        {
            let sets = saved.scores.values().filter_map(|scores| scores.scored_on.as_ref());
            if sets.into_iter().any(|set| set.model != model) {
                saved = Saved::default();
                outdated.push(folder::SCORES);
            }
            if task.reports.values().any(|report| report.receipt.model != model) {
                task = SavedTask::default();
                outdated.push(folder::TASK_SCORES);
            }
        }
        let path = run.join(folder::RECIPE);
        let exists = |name: &str| run.join(name).exists();
        Ok(Self {
            path: run.into(),
            name,
            recipe: folder::recipe(run)?,
            text: String::from_utf8_lossy(&files::read(&path, MAX_RECIPE_BYTES)?).into_owned(),
            // A run that has just started has no log yet.
            events: if exists(folder::LOG) { read_events(&run.join(folder::LOG))? } else { vec![] },
            timings: if exists(folder::TIMING) { read_timings(&run.join(folder::TIMING))? } else { vec![] },
            saved,
            task,
            outdated,
        })
    }

    pub(crate) fn steps(&self) -> folder::Steps {
        folder::Steps::of(&self.path, &self.recipe, &self.events)
    }
}

/// The fingerprint of the model that `evaluate` scores for a run; `None` if the run has no model any more.
fn model_of(run: &Path) -> Result<Option<String>, WorkflowError> {
    let bundle = folder::bundle_of(run)?;
    let has_model = bundle.join(ptu_model::WEIGHTS).exists();
    Ok(if has_model { Some(Bundle::fingerprint(&bundle)?) } else { None })
}

fn page(runs: &[Run]) -> Page {
    let one = if let [run] = runs { [facts(run), task::facts(run)].concat() } else { vec![] };
    let of_tasks = runs.iter().flat_map(task::charts).collect();
    Page {
        facts: one,
        warnings: runs.iter().flat_map(warnings).collect(),
        losses: runs.iter().flat_map(curves::losses).collect(),
        charts: [of_tasks, curves::missing_modalities(runs), curves::validation(runs), curves::charts(runs)].concat(),
        scores: runs.iter().flat_map(score_rows).collect(),
        score_tables: runs.iter().flat_map(task::tables).collect(),
        examples: if let [run] = runs { [&run.saved.examples[..], &run.task.examples].concat() } else { vec![] },
        pools: runs.iter().flat_map(pools).collect(),
        tables: if runs.len() > 1 { vec![side_by_side(runs)] } else { vec![] },
        sections: runs.iter().flat_map(sections).collect(),
        ..Page::default()
    }
}

/// Warnings that a reader must see before the scores: an unfinished run, and the notes of the evaluation.
fn warnings(run: &Run) -> Vec<String> {
    let of = |text: String| if run.name.is_empty() { text } else { format!("{}: {text}", run.name) };
    let steps = run.steps();
    let unfinished = (!steps.are_all()).then(|| format!("the run is not finished: {steps} steps"));
    let notes = run.saved.scores.values().filter_map(|scores| scores.scored_on.as_ref()).flat_map(|set| {
        let several = run.saved.scores.len() > 1;
        set.notes
            .iter()
            .map(move |note| if several { format!("{} {}: {note}", set.source, set.gallery) } else { note.clone() })
    });
    let outdated = run.outdated.iter().map(|file| {
        format!(
            "the scores in {file} are those of an earlier model of this run, which was continued since, and are not shown: run `ptunifier \
             evaluate {}` again",
            crate::shell::quoted(&run.path)
        )
    });
    unfinished.into_iter().chain(outdated).chain(notes).chain(task::warnings(run)).map(of).collect()
}

/// The recipe, and the manifests of its data folders that still exist.
fn sections(run: &Run) -> Vec<Section> {
    let of = |what: &str| if run.name.is_empty() { what.to_string() } else { format!("{what}: {}", run.name) };
    let mut sections = vec![Section { title: of("Recipe of this run"), body: run.text.clone() }];
    for entry in &run.recipe.data {
        if let Ok(manifest) = Manifest::read(&entry.path) {
            // The first 20 shards and the first 20 skipped records are enough for the page.
            let shown = Manifest {
                shards: manifest.shards.into_iter().take(20).collect(),
                skipped: manifest.skipped.into_iter().take(20).collect(),
                ..manifest
            };
            let body = serde_json::to_string_pretty(&shown).unwrap_or_default();
            sections.push(Section { title: of(&format!("Manifest of {}", entry.path.display())), body });
        }
    }
    sections
}

fn facts(run: &Run) -> Vec<Fact> {
    let Run { recipe, timings, .. } = run;
    let seconds: f64 = timings.iter().map(|timing| timing.seconds).sum();
    let rate = timings.iter().map(|timing| timing.records_per_second).sum::<f64>() / timings.len().max(1) as f64;
    let data: Vec<String> = recipe.data.iter().map(|entry| entry.path.display().to_string()).collect();
    let fact = |name: &str, value: String| -> Fact { (name.into(), value) };
    let objectives: Vec<&str> = recipe.objectives.iter().map(|kind| kind.name()).collect();
    let learned = match recipe.task.is_pretraining() {
        true => fact("objectives", objectives.join(", ")),
        false => fact("task", recipe.task.name().into()),
    };
    vec![
        fact("data", data.join(", ")),
        learned,
        fact("starts from", started_from(recipe)),
        fact("steps", run.steps().to_string()),
        fact("batch size", recipe.train.batch.to_string()),
        fact("seed", recipe.seed.to_string()),
        fact("time in training steps", format!("{seconds:.0} s")),
        fact("records per second", format!("{rate:.1}")),
    ]
}

/// The models or files of weights from which training started.
fn started_from(recipe: &Recipe) -> String {
    let init = &recipe.model.init;
    let paths = [&recipe.finetune.model, &init.model, &init.image, &init.text].into_iter().flatten();
    let paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
    if paths.is_empty() { "random weights".into() } else { paths.join(", ") }
}

/// The facts of several runs in one table, one column for each run.
fn side_by_side(runs: &[Run]) -> Table {
    let facts: Vec<Vec<Fact>> = runs.iter().map(facts).collect();
    let rows = facts[0].iter().enumerate().map(|(index, (name, _))| {
        std::iter::once(name.clone()).chain(facts.iter().map(|facts| facts[index].1.clone())).collect()
    });
    Table {
        title: "Comparison of the runs".into(),
        columns: std::iter::once(String::new()).chain(runs.iter().map(|run| run.name.clone())).collect(),
        rows: rows.collect(),
        ..Table::default()
    }
}

fn score_rows(run: &Run) -> Vec<ScoreRow> {
    let row = |set: String, name: String, score: Score| {
        let unit = match &name {
            name if name.contains(names::MEDIAN_RANK) => Unit::Rank,
            name if name.contains(names::PERPLEXITY) => Unit::Named("perplexity".into()),
            _ => Unit::Fraction,
        };
        ScoreRow {
            higher_is_better: unit == Unit::Fraction,
            unit,
            name,
            run: run.name.clone(),
            set,
            value: score.value,
            low: score.low,
            high: score.high,
            chance: score.chance,
        }
    };
    let rows = run.saved.scores.iter().flat_map(|(gallery, scores)| {
        let set = sets::title(gallery, scores);
        scores.rows().into_iter().map(move |(name, score)| (set.clone(), name, score))
    });
    let of_task = run.task.reports.iter().flat_map(|(data, report)| task::score_rows(&run.name, data, report));
    rows.map(|(set, name, score)| row(set, name, score)).chain(of_task).collect()
}

/// The title of a pool, and the names that its vectors may have: rows of a pool, or codes.
type PoolNames = (&'static str, &'static [&'static str]);

const IMAGE_POOL: PoolNames =
    ("Prompts in place of missing images", &["pseudo_vision_token_pool", "image_prompt_codebook.codes"]);
const TEXT_POOL: PoolNames =
    ("Prompts in place of missing texts", &["pseudo_language_token_pool", "text_prompt_codebook.codes"]);

/// The newest usage counts of each prompt pool in the log.
fn pools(run: &Run) -> Vec<PoolUsage> {
    let Some(Prompts { image, text }) = run.events.iter().rev().find_map(Prompts::read) else { return vec![] };
    let usage = |(name, weights): (&str, &[&str]), line: &PoolLine| PoolUsage {
        name: if run.name.is_empty() { name.into() } else { format!("{name}, {}", run.name) },
        size: line.size,
        coverage: line.share_chosen,
        entropy_bits: line.entropy_bits,
        max_entropy_bits: (line.size > 0).then(|| (line.size as f64).log2()),
        distinct_per_1000: line.sets_per_thousand,
        counts: line.most_used.clone(),
        map: pool_map::pool_map(&run.path, weights, &line.most_used),
    };
    [(IMAGE_POOL, image), (TEXT_POOL, text)]
        .into_iter()
        .filter(|(_, line)| line.size > 0)
        .map(|(pool, line)| usage(pool, &line))
        .collect()
}

/// Builds the list of next steps for a page. Each entry holds a title, a command and a reason.
pub fn next_steps(steps: &[(&str, &str, &str)]) -> Vec<Step> {
    let own = |text: &str| text.to_string();
    steps.iter().map(|(title, command, why)| Step { title: own(title), command: own(command), why: own(why) }).collect()
}
