//! Prepares data, pre-trains a model, evaluates it and writes a page, in one call, on the phantom corpus or on a table of
//! the user. On the phantom corpus the model is also fine-tuned to answer questions.
//!
//! Each stage writes its result to the output folder completely or not at all, and continues from what is there. After the
//! process was killed in any stage, the same call therefore gives the same result.

mod ask;
mod next;
mod output;
mod start_weights;
mod time;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use ptu_data::manifest::MANIFEST_FILE;
use ptu_data::{Manifest, Split};
use ptu_evaluate::task::{SavedTask, TaskReport};
use ptu_evaluate::{EvaluateOptions, Saved, Scores, evaluate};
use ptu_infer::embed::{EmbedJob, EmbedOptions};
use ptu_model::{Bundle, files};
use ptu_prepare::phantom::{PhantomOptions, prepare_phantom};
use ptu_prepare::table::{ColumnNames, FILES_LEFT, PairsBySplit, Table, TableCommand, TableOptions};
use ptu_prepare::{InputFiles, Shares};
use ptu_tasks::train_planned;
use ptu_train::recipe::DataEntry;
use ptu_train::trainer::{Observer, Opened, RunOptions};
use ptu_train::{Recipe, Start, folder, state};

use crate::WorkflowError;
use crate::page;
use output::OutputFolder;
pub use start_weights::StartWeights;
use time::{Budget, Cost, DEFAULT_MINUTES, RemainingWork};

/// Number of held-out pairs of the phantom corpus, on which the model is scored.
pub const HELD_OUT: u64 = 200;
/// Number of validation pairs of the phantom corpus, which select the best model.
const VALIDATION_PAIRS: u64 = 100;

/// The options of a quickstart.
#[derive(Clone, Debug)]
pub struct QuickstartOptions {
    /// The output folder: new, empty, or of a quickstart that was started with the same options.
    pub out: PathBuf,
    /// The data to train on.
    pub corpus: Corpus,
    /// The published encoders from which training on a table starts; `None` for random weights.
    pub init: Option<StartWeights>,
    /// The random seed.
    pub seed: u64,
    /// Total minutes, which set the number of steps; `None` for the recipe's steps, but at most 15 minutes.
    pub minutes: Option<u32>,
    /// Overrides of recipe keys, as `key=value`.
    pub overrides: Vec<String>,
}

/// The data that a quickstart trains on.
#[derive(Clone, Debug, PartialEq)]
pub enum Corpus {
    /// The synthetic phantom corpus, with this number of training pairs.
    Phantom(u64),
    /// A table of image paths and texts.
    Table(Box<OwnTable>),
}

/// A table of the user.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnTable {
    /// The file or folder.
    pub path: PathBuf,
    /// The names of the columns.
    pub columns: ColumnNames,
    /// Share of the patients in the validation split, if the table has no splits.
    pub validate: f64,
    /// Share of the patients in the test split, if the table has no splits.
    pub test: f64,
    /// Skip rows that cannot be used, instead of stopping at the first one.
    pub skip_bad: bool,
}

impl OwnTable {
    /// A table whose columns have the usual names. A fifth of the patients is for testing, because a small table needs that
    /// many for useful scores.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), columns: ColumnNames::default(), validate: 0.1, test: 0.2, skip_bad: false }
    }

    fn options(&self, seed: u64) -> TableOptions {
        let shares = Shares { validate: self.validate, test: self.test, seed };
        TableOptions {
            shares,
            allow_missing: true,
            columns: self.columns.clone(),
            skip_bad: self.skip_bad,
            command: TableCommand::Quickstart,
            ..TableOptions::default()
        }
    }

    /// Returns an error if the table cannot be read, or if it has too few training pairs or no test pair.
    fn check(&self, seed: u64) -> Result<(), WorkflowError> {
        let table = Table::open(&self.path, &self.options(seed))?;
        let enough = |found: &PairsBySplit| found.of(Split::Train) >= 2 && found.of(Split::Test) >= 1;
        let found = table.pairs_by_split(&enough)?;
        // For a table without any pair, the later check of its columns or its rows gives a better message.
        if enough(&found) || found.pairs.is_empty() {
            return Ok(());
        }
        let each = Split::ALL.map(|split| match found.of(split) {
            0 => format!("none in `{split}`"),
            1 => format!("1 pair in `{split}`"),
            pairs => format!("{pairs} pairs in `{split}`"),
        });
        let cure = match (&found.column, found.by_files) {
            (Some(column), _) => format!(
                "write `train` into column `{column}` of some rows and `test` into others, or remove the column: then patients are split"
            ),
            (None, true) => {
                "give the files names for `train` and for `test`, or name only one file with `--table`".into()
            }
            (None, false) => "add pairs, or give the test split a larger share with `--test`".into(),
        };
        Err(WorkflowError::NotEnoughPairs { table: format!("`{}`", self.path.display()), cause: each.join(", "), cure })
    }
}

/// The results of a quickstart.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Scores on the held-out pairs.
    pub scores: Scores,
    /// The HTML page.
    pub page: PathBuf,
    /// The file with the vectors of all images and texts, for a table of the user.
    pub vectors: Option<PathBuf>,
    /// Scores of the answers to questions about held-out images, for the phantom corpus.
    pub questions: Option<TaskReport>,
    /// Number of skipped rows and files.
    pub skipped: u64,
}

/// Number of skipped rows that are listed in the messages.
const ROWS_LISTED: usize = 5;

/// The smallest and the largest number of steps for a table.
const TABLE_STEPS: std::ops::RangeInclusive<u64> = 100..=2000;
/// Number of steps for the phantom corpus.
const PHANTOM_STEPS: u64 = 1000;
/// The folder of the run, in the output folder.
const RUN: &str = "run";
const PHANTOM_RECIPE: &str = include_str!("quickstart.toml");
const TABLE_RECIPE: &str = include_str!("quickstart-table.toml");
const WEIGHTS_RECIPE: &str = include_str!("quickstart-weights.toml");

/// Prepares the data, trains a model on it, scores the model on held-out pairs, and writes `report.html`. For a table of the
/// user it also writes `vectors.parquet`, for `search`. Called again in the same folder, it continues where it stopped.
/// Returns `None` if the observer asked to stop. Of `run`, only the device and the clock are used.
///
/// # Errors
/// If the arguments are wrong (before any work), if the folder is not empty, or if preparing, training or evaluating fails.
pub fn quickstart(
    options: &QuickstartOptions,
    run: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<Option<Summary>, WorkflowError> {
    let start = Instant::now();
    options.check()?;
    let output = OutputFolder::open(options)?;
    let run = RunOptions { out: output.run.clone(), resume: true, ..run.clone() };
    let quickstart = Quickstart { options, output, run, start };
    if let Some(summary) = quickstart.finished()? {
        observer.note("this quickstart has finished already; these are its results");
        return Ok(Some(summary));
    }
    quickstart.announce_duration(observer)?;
    let manifest = quickstart.prepare(observer)?;
    if observer.stop() || !quickstart.train(&manifest, observer)? {
        return Ok(None);
    }
    if observer.stop() || !quickstart.learn_questions(observer)? {
        return Ok(None);
    }
    quickstart.finish(observer).map(Some)
}

/// A quickstart in progress.
struct Quickstart<'a> {
    options: &'a QuickstartOptions,
    output: OutputFolder,
    run: RunOptions,
    start: Instant,
}

impl QuickstartOptions {
    /// The recipe for a number of training pairs: the recipe `recipes/pretrain/phantom.toml`, or `table.toml` in the same folder
    /// (`weights.toml` with published weights) with a batch size that suits the number of pairs. The run is saved and validated four
    /// times. `changes` are overrides by the quickstart; the user's overrides come after them.
    fn recipe(&self, data: &Path, pairs: u64, steps: u64, changes: &[String]) -> Result<Recipe, WorkflowError> {
        let half = (pairs / 2).next_power_of_two();
        let (text, batch) = match (&self.corpus, &self.init) {
            (Corpus::Phantom(_), _) => (PHANTOM_RECIPE, 32),
            (Corpus::Table(_), None) => (TABLE_RECIPE, half.clamp(2, 32)),
            (Corpus::Table(_), Some(_)) => (WEIGHTS_RECIPE, half.clamp(2, 64)),
        };
        let weights: Vec<String> = self.init.iter().flat_map(StartWeights::changes).collect();
        let quarter = (steps / 4).max(1);
        let sized = [
            format!("train.steps={steps}"),
            format!("train.batch={batch}"),
            format!("train.save_every={quarter}"),
            format!("train.validate_every={quarter}"),
        ];
        let recipe = Recipe::parse(
            text,
            Path::new("quickstart.toml"),
            &[sized.as_slice(), &weights, changes, &self.overrides].concat(),
        )?;
        Ok(Recipe { data: vec![DataEntry { path: data.into(), weight: 1.0 }], seed: self.seed, ..recipe })
    }

    /// The default number of steps for a number of training pairs.
    fn usual_steps(&self, pairs: u64) -> u64 {
        match self.corpus {
            Corpus::Phantom(_) => PHANTOM_STEPS,
            Corpus::Table(_) => (4 * pairs).clamp(*TABLE_STEPS.start(), *TABLE_STEPS.end()),
        }
    }

    /// Whether the quickstart sets the number of steps, because no override of the user sets it.
    fn steps_are_adjustable(&self) -> Result<bool, WorkflowError> {
        let steps = |steps| Ok::<_, WorkflowError>(self.recipe(Path::new("data"), 100, steps, &[])?.train.steps);
        Ok(steps(100)? != steps(101)?)
    }

    /// Checks that the overrides give a valid recipe.
    ///
    /// # Errors
    /// If they do not.
    pub fn check_recipe(&self) -> Result<(), WorkflowError> {
        self.steps_are_adjustable().map(drop)
    }

    /// Checks the options before any file is written.
    fn check(&self) -> Result<(), WorkflowError> {
        if !self.steps_are_adjustable()? && self.minutes.is_some() {
            return Err(WorkflowError::ConflictingSteps);
        }
        if self.init.is_some() && !self.out.join(RUN).join(folder::RECIPE).exists() {
            Start::check_encoders(&self.recipe(Path::new("data"), 100, *TABLE_STEPS.start(), &[])?)?;
        }
        match &self.corpus {
            Corpus::Table(own) => own.check(self.seed),
            Corpus::Phantom(_) => Ok(()),
        }
    }
}

impl Quickstart<'_> {
    /// The results, if the quickstart in this folder has finished.
    fn finished(&self) -> Result<Option<Summary>, WorkflowError> {
        let OutputFolder { run, page, .. } = &self.output;
        if !page.exists() || !run.join(folder::RECIPE).exists() {
            return Ok(None);
        }
        let steps = folder::recipe(run)?.train.steps;
        let finished = state::saved_step(&run.join(folder::STATE))? == Some(steps);
        let scores = Saved::read(run)?.scores.into_values().next().filter(|_| finished);
        scores.map(|scores| self.summary(scores)).transpose()
    }

    fn summary(&self, scores: Scores) -> Result<Summary, WorkflowError> {
        let vectors = matches!(self.options.corpus, Corpus::Table(_)).then(|| self.output.vectors.clone());
        let data = &self.output.data;
        // A finished quickstart still reports its results if the user has removed the shards.
        let manifest = data.join(MANIFEST_FILE).exists().then(|| Manifest::read(data)).transpose()?;
        let skipped = manifest.map_or(0, |manifest| {
            manifest.unusable() as u64 + manifest.noted.get(FILES_LEFT).copied().unwrap_or_default()
        });
        let questions = SavedTask::read(&self.output.ask)?.reports.into_values().next();
        Ok(Summary { scores, page: self.output.page.clone(), vectors, questions, skipped })
    }

    fn announce_duration(&self, observer: &mut dyn Observer) -> Result<(), WorkflowError> {
        if self.output.run.join(folder::RECIPE).exists() {
            observer.note("continuing the quickstart in this folder");
        } else if self.options.steps_are_adjustable()? {
            let minutes = self.options.minutes.unwrap_or(DEFAULT_MINUTES);
            let plural = if minutes == 1 { "" } else { "s" };
            observer.note(&format!(
                "this takes {minutes} minute{plural} at most (set with --minutes); a better estimate follows after a few timed steps"
            ));
        } else {
            observer.note(
                "the number of steps is set by the user; an estimate of the time follows after a few timed steps",
            );
        }
        Ok(())
    }

    /// Prepares the shards, or reads the manifest of shards that exist.
    fn prepare(&self, observer: &mut dyn Observer) -> Result<Manifest, WorkflowError> {
        let (data, seed) = (&self.output.data, self.options.seed);
        if data.join(MANIFEST_FILE).exists() {
            return Ok(Manifest::read(data)?);
        }
        match &self.options.corpus {
            Corpus::Phantom(pairs) => {
                observer.note(&format!("generating {pairs} phantom pairs for training and {HELD_OUT} for testing"));
                let phantom = PhantomOptions {
                    validate: VALIDATION_PAIRS,
                    test: HELD_OUT,
                    ..PhantomOptions::new(pairs + VALIDATION_PAIRS + HELD_OUT, seed)
                };
                prepare_phantom(data, &phantom, &|_| {})?;
            }
            Corpus::Table(own) => {
                observer.note(&format!("reading {}", own.path.display()));
                let table = Table::open(&own.path, &own.options(seed))?;
                table.lines().iter().for_each(|line| observer.note(line));
                table.prepare(data, &|_| {})?;
            }
        }
        let manifest = Manifest::read(data)?;
        manifest.remarks.iter().for_each(|line| observer.note(line));
        skipped_rows(&manifest).iter().for_each(|line| observer.note(line));
        observer.note(&split_sizes(&manifest));
        let checked = check_splits(&self.options.corpus, &manifest);
        if checked.is_err() {
            // The same command can then start again after the user has corrected the table.
            let error = |source| WorkflowError::File { action: "remove", path: data.clone(), source };
            std::fs::remove_dir_all(data).map_err(error)?;
        }
        checked.map(|()| manifest)
    }

    /// Trains on the pairs. Returns whether training has finished.
    fn train(&self, manifest: &Manifest, observer: &mut dyn Observer) -> Result<bool, WorkflowError> {
        let (options, pairs) = (self.options, manifest.counts(Split::Train).pairs);
        check_splits(&options.corpus, manifest)?;
        let usual = options.usual_steps(pairs);
        let mut changes = vec![];
        if manifest.counts(Split::Validate).pairs == 0 {
            let reason = skipped_reason(manifest);
            observer.note(&format!(
                "there is no validation pair to select the best model, so the last model is used{reason}"
            ));
            changes.push("train.validate_every=0".to_string());
        }
        let data = self.output.data.clone();
        let sized = |steps| options.recipe(&data, pairs, steps, &changes);
        let started = self.run.out.join(folder::RECIPE).exists();
        let recipe = if started { folder::recipe(&self.run.out)? } else { sized(usual)? };
        let work = RemainingWork::of(manifest, recipe.evaluate.gallery, matches!(options.corpus, Corpus::Table(_)));
        let mut plan = |run: &Opened<'_>| {
            let after = work.seconds(&Cost::measure(run)?);
            let followed_by = if let Corpus::Phantom(_) = options.corpus { ask::TIME } else { 0.0 };
            let spent = self.start.elapsed().as_secs_f64();
            let budget = Budget { minutes: options.minutes, spent, pairs, followed_by };
            Ok(budget.plan(&run.pace, after, usual, &sized)?)
        };
        observer.saves(true);
        let trained = train_planned(&recipe, &self.run, &mut plan, observer)?;
        observer.saves(false);
        Ok(trained.finished)
    }

    /// Scores the model, writes the vectors and the page.
    fn finish(&self, observer: &mut dyn Observer) -> Result<Summary, WorkflowError> {
        let (OutputFolder { data, run, .. }, options) = (&self.output, self.options);
        observer.note("scoring on the held-out pairs");
        let device = self.run.device.clone().inner();
        // With the options of the recipe, so that `evaluate RUN` gives the same scores.
        let evaluate_options = EvaluateOptions::of(run, vec![], Split::Test, device.clone())?;
        let evaluated = evaluate(&evaluate_options, &mut |_, _, _| {})?;
        let questions = self.score_questions()?;
        let summary = self.summary(evaluated[0].scores.clone())?;
        if let Some(vectors) = &summary.vectors {
            observer.note("embedding all images and texts");
            embed(&run.join(folder::BUNDLE), data, vectors, &device)?;
        }
        page::to_save(&evaluated, options.seed).write(run)?;
        let mut page = page::of_run(run, &evaluated)?;
        page.examples.extend(page::inside(run, &device)?);
        page.examples.extend(page::task_examples(&questions, options.seed));
        page.scores.extend(page::task_score_rows(&questions));
        page.title = match &options.corpus {
            Corpus::Phantom(_) => "PTUnifier quickstart".into(),
            Corpus::Table(own) => format!("PTUnifier on {}", own.path.display()),
        };
        page.subtitle =
            "One model for images, texts and image-text pairs, with soft prompts in place of a missing image or text"
                .into();
        page.verdict = verdict(&summary);
        page.next = next::next(&self.output, summary.vectors.is_some(), &evaluated[0])?;
        files::write_bytes(&summary.page, ptu_report::render(&page).as_bytes())?;
        Ok(summary)
    }
}

fn split_sizes(manifest: &Manifest) -> String {
    let [train, validate, test] = Split::ALL.map(|split| manifest.counts(split).records);
    format!("{train} records for training, {validate} for validation, {test} for testing")
}

/// Messages about the skipped rows.
fn skipped_rows(manifest: &Manifest) -> Vec<String> {
    let skipped = &manifest.skipped;
    let head = (!skipped.is_empty()).then(|| format!("{} skipped, listed in data/manifest.json:", rows(skipped.len())));
    let each = skipped.iter().take(ROWS_LISTED).map(|one| format!("  {}: {}", one.place, one.cause));
    let more = (skipped.len() > ROWS_LISTED).then(|| format!("  and {} more", skipped.len() - ROWS_LISTED));
    head.into_iter().chain(each).chain(more).collect()
}

/// `1 row was`, `2 rows were`.
fn rows(count: usize) -> String {
    if count == 1 { "1 row was".into() } else { format!("{count} rows were") }
}

/// The number of skipped rows and the first cause, to explain why there are too few pairs; empty if no row was skipped.
fn skipped_reason(manifest: &Manifest) -> String {
    manifest.skipped.first().map_or(String::new(), |first| {
        let rows = rows(manifest.skipped.len());
        format!("; {rows} skipped, the first {}: {}", first.place, first.cause)
    })
}

/// Returns an error if the usable rows of a table give too few training pairs or no test pair.
fn check_splits(corpus: &Corpus, manifest: &Manifest) -> Result<(), WorkflowError> {
    let Corpus::Table(own) = corpus else { return Ok(()) };
    let [train, validate, test] = Split::ALL.map(|split| manifest.counts(split).pairs);
    if train >= 2 && test >= 1 {
        return Ok(());
    }
    Err(WorkflowError::NotEnoughPairs {
        table: format!("`{}`", own.path.display()),
        cause: format!(
            "{train} usable pairs in `train`, {validate} in `validate`, {test} in `test`{}",
            skipped_reason(manifest)
        ),
        cure: match manifest.skipped.is_empty() {
            true => "add pairs, or give the test split a larger share with `--test`".into(),
            false => "correct these rows, or add pairs".into(),
        },
    })
}

/// Embeds every record of a folder of shards.
fn embed(bundle: &Path, data: &Path, vectors: &Path, device: &Device) -> Result<(), WorkflowError> {
    let (model, loaded) = (Bundle::fingerprint(bundle)?, Bundle::load(bundle, device)?);
    let inputs = InputFiles::find(&[data.to_path_buf()], &[])?;
    let job = EmbedJob::new(&loaded, model, EmbedOptions { resume: true, ..EmbedOptions::default() });
    job.run(&inputs, vectors, &mut |_| ControlFlow::Continue(()))?;
    Ok(())
}

impl Summary {
    /// A line about the answers to questions; `None` if there were no questions.
    pub fn answers(&self) -> Option<String> {
        let report = self.questions.as_ref()?;
        let accuracy = report.scores.first()?.score.value?;
        let baseline = report.baseline.as_ref().and_then(|baseline| baseline.score.value);
        let baseline = baseline
            .map_or(String::new(), |value| format!("; the most frequent answers are right for {:.0} %", 100.0 * value));
        Some(format!("Answers to {} questions: {:.0} % are right{baseline}", report.records, 100.0 * accuracy))
    }

    /// The last line of the output, which scripts read: R@10 as fractions with two digits, the chance level with three.
    pub fn line(&self) -> String {
        let retrieval = self.scores.retrieval.unwrap_or_default();
        let show =
            |value: Option<f64>, digits: usize| value.map_or("undefined".into(), |value| format!("{value:.digits$}"));
        format!(
            "quickstart: R@10 image-to-text {} text-to-image {} chance {} N {}",
            show(retrieval.image_to_text.r10.value, 2),
            show(retrieval.text_to_image.r10.value, 2),
            show(retrieval.image_to_text.r10.chance, 3),
            self.scores.pairs
        )
    }
}

fn verdict(summary: &Summary) -> String {
    let scores = &summary.scores;
    let answers = summary.answers().map_or(String::new(), |answers| format!(" {answers}."));
    retrieval_verdict(scores) + &answers
}

fn retrieval_verdict(scores: &Scores) -> String {
    let Some(retrieval) = scores.retrieval else {
        return "The model was not trained to compare images with texts: the objective `itc` was not used.".into();
    };
    match (retrieval.image_to_text.r10.value, retrieval.text_to_image.r10.value, retrieval.image_to_text.r10.chance) {
        (Some(image), Some(text), Some(chance)) => format!(
            "Retrieval on {} held-out pairs: for {:.0} % of the images, one of the first 10 retrieved texts is correct; for {:.0} % of the \
             texts, one of the first 10 retrieved images is correct. The chance level is {:.0} %.",
            scores.pairs,
            100.0 * image,
            100.0 * text,
            100.0 * chance
        ),
        _ => "No score could be computed.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe_file(name: &str) -> Recipe {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/pretrain").join(name);
        Recipe::load(&file, &[]).unwrap()
    }

    fn options(corpus: Corpus, sets: &[&str]) -> QuickstartOptions {
        let overrides = sets.iter().map(|set| set.to_string()).collect();
        QuickstartOptions { out: "out".into(), corpus, init: None, seed: 0, minutes: None, overrides }
    }

    #[test]
    fn the_recipe_file_equals_the_recipe_of_the_quickstart() {
        let (written, options) = (recipe_file("phantom.toml"), options(Corpus::Phantom(8000), &[]));
        assert_eq!(options.recipe(&written.data[0].path, 8000, options.usual_steps(8000), &[]).unwrap(), written);
    }

    #[test]
    fn the_table_recipe_file_equals_the_recipe_of_the_quickstart_except_for_its_size() {
        let written = recipe_file("table.toml");
        let of = |pairs, sets: &[&str]| {
            let options = options(Corpus::Table(Box::new(OwnTable::new("pairs.csv"))), sets);
            options.recipe(&written.data[0].path, pairs, options.usual_steps(pairs), &[]).unwrap()
        };
        let own = of(600, &[]);
        assert_eq!((own.train.steps, own.train.batch), (2000, 32));
        assert_eq!(Recipe { train: written.train.clone(), ..own }, written);
        let few = of(35, &["train.steps=7"]);
        assert_eq!((few.train.steps, few.train.batch), (7, 32));
        assert_eq!(of(3, &[]).train.batch, 2);
    }

    #[test]
    fn the_recipe_file_for_weights_equals_the_recipe_of_the_quickstart_except_for_its_size() {
        let written = recipe_file("weights.toml");
        let weights = StartWeights { image: "weights/image".into(), text: "weights/text".into() };
        let table = Corpus::Table(Box::new(OwnTable::new("pairs.csv")));
        let options = QuickstartOptions { init: Some(weights), ..options(table, &[]) };
        let own = options.recipe(&written.data[0].path, 4000, 2000, &[]).unwrap();
        assert_eq!(own.train.batch, 64);
        assert_eq!(Recipe { train: written.train.clone(), ..own }, written);
    }

    #[test]
    fn wrong_options_are_found_before_any_work() {
        let here = tempfile::tempdir().unwrap();
        let run = RunOptions {
            out: here.path().join("out/run"),
            resume: false,
            device: Device::flex().autodiff(),
            wall_time: || 0.0,
        };
        let refused = |options: QuickstartOptions| {
            let options = QuickstartOptions { out: here.path().join("out"), ..options };
            let error = quickstart(&options, &run, &mut ptu_train::Silent).unwrap_err().to_string();
            assert!(!options.out.exists(), "a folder was created");
            error
        };
        let error = refused(options(Corpus::Phantom(100), &["train.stepz=3"]));
        assert!(error.contains("train.stepz") && error.contains("train.steps"), "{error}");
        let twice = QuickstartOptions { minutes: Some(3), ..options(Corpus::Phantom(100), &["train.steps=3"]) };
        assert!(refused(twice).contains("--minutes"));
        let error = refused(options(Corpus::Table(Box::new(OwnTable::new(here.path().join("no.csv")))), &[]));
        assert!(error.contains("no.csv"), "{error}");
    }

    #[test]
    fn the_line_for_scripts_shows_undefined_scores_as_undefined() {
        let summary =
            Summary { scores: Scores::default(), page: PathBuf::new(), vectors: None, questions: None, skipped: 0 };
        assert_eq!(
            summary.line(),
            "quickstart: R@10 image-to-text undefined text-to-image undefined chance undefined N 0"
        );
    }
}
