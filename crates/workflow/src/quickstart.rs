//! The whole story by one call, on the phantom corpus or on a table of one's own: prepare, pre-train, evaluate, a page.
//!
//! Each stage leaves its result in the folder, whole or not at all, and goes on where it was: so the same call after a kill, in
//! whatever stage, comes to the same end.

mod next;
mod place;
mod time;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use ptu_data::manifest::MANIFEST_FILE;
use ptu_data::{Manifest, Split};
use ptu_evaluate::{EvaluateOptions, Saved, Scores, evaluate};
use ptu_infer::embed::{EmbedJob, EmbedOptions};
use ptu_model::{Bundle, files};
use ptu_prepare::phantom::{PhantomOptions, prepare_phantom};
use ptu_prepare::table::{ColumnNames, FILES_LEFT, PairsBySplit, Table, TableCommand, TableOptions};
use ptu_prepare::{InputFiles, Shares};
use ptu_tasks::pretrain_planned;
use ptu_train::recipe::DataEntry;
use ptu_train::trainer::{Observer, Opened, RunOptions};
use ptu_train::{Recipe, folder, state};

use crate::WorkflowError;
use crate::page;
use place::Place;
use time::{Budget, Cost, MINUTES, Work};

/// Held-out pairs that are scored.
pub const HELD_OUT: u64 = 200;
/// Pairs for choosing the best model.
const VALIDATED: u64 = 100;

/// What a quickstart may be asked to do otherwise.
#[derive(Clone, Debug)]
pub struct QuickstartOptions {
    /// A new or empty folder, or one that a quickstart was begun in.
    pub out: PathBuf,
    /// What is learned from.
    pub corpus: Corpus,
    /// Everything random follows from it.
    pub seed: u64,
    /// Minutes in all, for which steps are chosen; `None` for the recipe's steps, and 15 minutes at most.
    pub minutes: Option<u32>,
    /// Changes to the recipe, `key=value`.
    pub overrides: Vec<String>,
}

/// What a quickstart learns from.
#[derive(Clone, Debug, PartialEq)]
pub enum Corpus {
    /// So many drawn pairs.
    Phantom(u64),
    /// A table of image paths and texts.
    Table(Box<OwnTable>),
}

/// A table of one's own.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnTable {
    /// The file or folder.
    pub path: PathBuf,
    /// Which columns mean what.
    pub columns: ColumnNames,
    /// Share of the patients for validation, where the table has no splits.
    pub validate: f64,
    /// Share of the patients in the test split.
    pub test: f64,
    /// Leaves rows out that cannot be used, instead of stopping at the first.
    pub skip_bad: bool,
}

impl OwnTable {
    /// A table whose columns have usual names; of few pairs a fifth is needed to say anything.
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

    /// Refuses a table that cannot be read, or whose pairs are not held out so that something can be learned and asked.
    fn check(&self, seed: u64) -> Result<(), WorkflowError> {
        let table = Table::open(&self.path, &self.options(seed))?;
        let enough = |held: &PairsBySplit| held.of(Split::Train) >= 2 && held.of(Split::Test) >= 1;
        let held = table.pairs_by_split(&enough)?;
        // A table without any pair is told of by its columns, or by its rows.
        if enough(&held) || held.pairs.is_empty() {
            return Ok(());
        }
        let each = Split::ALL.map(|split| match held.of(split) {
            0 => format!("none in `{split}`"),
            1 => format!("1 pair in `{split}`"),
            pairs => format!("{pairs} pairs in `{split}`"),
        });
        let cure = match (&held.column, held.by_files) {
            (Some(column), _) => format!(
                "write `train` and `test` into column `{column}` of some rows each, or take the column out: patients are split then"
            ),
            (None, true) => {
                "give files names of `train` and of `test`, or name one of them alone with `--table`".into()
            }
            (None, false) => "add pairs, or give the test split a larger share with `--test`".into(),
        };
        Err(WorkflowError::NothingAsked { table: format!("`{}`", self.path.display()), cause: each.join(", "), cure })
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Scores on the held-out pairs.
    pub scores: Scores,
    /// The page.
    pub page: PathBuf,
    /// Vectors of all images and texts, where the corpus is one's own.
    pub vectors: Option<PathBuf>,
    /// Rows that could not be used, and files that were passed over.
    pub left_out: u64,
}

/// Rows that were left out which are told.
const SHOWN: usize = 5;

/// Steps of a table of any size.
const STEPS: std::ops::RangeInclusive<u64> = 100..=2000;
/// Steps of the phantom corpus.
const PHANTOM_STEPS: u64 = 1000;
const PHANTOM: &str = include_str!("quickstart.toml");
const TABLE: &str = include_str!("quickstart-table.toml");

/// Makes or reads a corpus, learns from it, scores what was learned on held-out pairs, and writes `report.html`; of a table of
/// one's own also `vectors.parquet`, to be searched. Called again in the same folder, it goes on where it was. `None` where the
/// observer wanted to stop. Of `run`, device and clock are used.
///
/// # Errors
/// What is wrong with the arguments, before any work; a folder that is not empty; whatever preparing, training or evaluating
/// says.
pub fn quickstart(
    options: &QuickstartOptions,
    run: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<Option<Summary>, WorkflowError> {
    let start = Instant::now();
    options.check()?;
    let place = Place::take(options)?;
    let run = RunOptions { out: place.run.clone(), resume: true, ..run.clone() };
    let quickstart = Quickstart { options, place, run, start };
    if let Some(summary) = quickstart.finished()? {
        observer.note("it is finished already; this is what came of it");
        return Ok(Some(summary));
    }
    quickstart.say_how_long(observer)?;
    let manifest = quickstart.prepare(observer)?;
    if observer.stop() || !quickstart.train(&manifest, observer)? {
        return Ok(None);
    }
    quickstart.end(observer).map(Some)
}

/// One that is going on.
struct Quickstart<'a> {
    options: &'a QuickstartOptions,
    place: Place,
    run: RunOptions,
    start: Instant,
}

impl QuickstartOptions {
    /// The recipe for so many training pairs: that of `recipes/pretrain/phantom.toml`, or of `table.toml` there with a batch
    /// for the number of pairs; saved and validated four times. `changes` are ours.
    fn recipe(&self, data: &Path, pairs: u64, steps: u64, changes: &[String]) -> Result<Recipe, WorkflowError> {
        let (text, batch) = match self.corpus {
            Corpus::Phantom(_) => (PHANTOM, 32),
            Corpus::Table(_) => (TABLE, (pairs / 2).next_power_of_two().clamp(2, 32)),
        };
        let quarter = (steps / 4).max(1);
        let sized = [
            format!("train.steps={steps}"),
            format!("train.batch={batch}"),
            format!("train.save_every={quarter}"),
            format!("train.validate_every={quarter}"),
        ];
        let recipe = Recipe::parse(text, Path::new("quickstart.toml"), &[&sized, changes, &self.overrides].concat())?;
        Ok(Recipe { data: vec![DataEntry { path: data.into(), weight: 1.0 }], seed: self.seed, ..recipe })
    }

    /// Steps of its recipe, for so many training pairs.
    fn usual_steps(&self, pairs: u64) -> u64 {
        match self.corpus {
            Corpus::Phantom(_) => PHANTOM_STEPS,
            Corpus::Table(_) => (4 * pairs).clamp(*STEPS.start(), *STEPS.end()),
        }
    }

    /// Whether the steps are ours to choose: no override sets them.
    fn steps_are_open(&self) -> Result<bool, WorkflowError> {
        let steps = |steps| Ok::<_, WorkflowError>(self.recipe(Path::new("data"), 100, steps, &[])?.train.steps);
        Ok(steps(100)? != steps(101)?)
    }

    /// Makes sure that a recipe comes of the overrides.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check_recipe(&self) -> Result<(), WorkflowError> {
        self.steps_are_open().map(drop)
    }

    /// Refuses what cannot work before anything is made.
    fn check(&self) -> Result<(), WorkflowError> {
        if !self.steps_are_open()? && self.minutes.is_some() {
            return Err(WorkflowError::StepsTwice);
        }
        match &self.corpus {
            Corpus::Table(own) => own.check(self.seed),
            Corpus::Phantom(_) => Ok(()),
        }
    }
}

impl Quickstart<'_> {
    /// What came of one that has ended.
    fn finished(&self) -> Result<Option<Summary>, WorkflowError> {
        let Place { run, page, .. } = &self.place;
        if !page.exists() || !run.join(folder::RECIPE).exists() {
            return Ok(None);
        }
        let steps = folder::recipe(run)?.train.steps;
        let done = state::saved_step(&run.join(folder::STATE))? == Some(steps);
        let scores = Saved::read(run)?.scores.into_values().next().filter(|_| done);
        scores.map(|scores| self.summary(scores)).transpose()
    }

    fn summary(&self, scores: Scores) -> Result<Summary, WorkflowError> {
        let vectors = matches!(self.options.corpus, Corpus::Table(_)).then(|| self.place.vectors.clone());
        let data = &self.place.data;
        // What has ended is still told where its shards were taken away.
        let manifest = data.join(MANIFEST_FILE).exists().then(|| Manifest::read(data)).transpose()?;
        let left_out = manifest.map_or(0, |manifest| {
            manifest.unusable() as u64 + manifest.noted.get(FILES_LEFT).copied().unwrap_or_default()
        });
        Ok(Summary { scores, page: self.place.page.clone(), vectors, left_out })
    }

    fn say_how_long(&self, observer: &mut dyn Observer) -> Result<(), WorkflowError> {
        if self.place.run.join(folder::RECIPE).exists() {
            observer.note("going on with what was begun in this folder");
        } else if self.options.steps_are_open()? {
            let minutes = self.options.minutes.unwrap_or(MINUTES);
            let plural = if minutes == 1 { "" } else { "s" };
            observer.note(&format!(
                "this takes {minutes} minute{plural} at most (--minutes); how long it takes is known once a few steps are timed"
            ));
        } else {
            observer.note("steps are as set; how long they take is known once a few are timed");
        }
        Ok(())
    }

    /// Shards, made now or before.
    fn prepare(&self, observer: &mut dyn Observer) -> Result<Manifest, WorkflowError> {
        let (data, seed) = (&self.place.data, self.options.seed);
        if data.join(MANIFEST_FILE).exists() {
            return Ok(Manifest::read(data)?);
        }
        match &self.options.corpus {
            Corpus::Phantom(pairs) => {
                observer.note(&format!("drawing {pairs} phantom pairs for training and {HELD_OUT} for testing"));
                let phantom = PhantomOptions {
                    validate: VALIDATED,
                    test: HELD_OUT,
                    ..PhantomOptions::new(pairs + VALIDATED + HELD_OUT, seed)
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
        manifest.told.iter().for_each(|line| observer.note(line));
        left_out(&manifest).iter().for_each(|line| observer.note(line));
        observer.note(&split_sizes(&manifest));
        let checked = check_asked(&self.options.corpus, &manifest);
        if checked.is_err() {
            // So that the same command begins anew once the table is mended.
            let error = |source| WorkflowError::File { action: "remove", path: data.clone(), source };
            std::fs::remove_dir_all(data).map_err(error)?;
        }
        checked.map(|()| manifest)
    }

    /// Learns from the pairs; whether it came to the end.
    fn train(&self, manifest: &Manifest, observer: &mut dyn Observer) -> Result<bool, WorkflowError> {
        let (options, pairs) = (self.options, manifest.counts(Split::Train).pairs);
        check_asked(&options.corpus, manifest)?;
        let usual = options.usual_steps(pairs);
        let mut changes = vec![];
        if manifest.counts(Split::Validate).pairs == 0 {
            let why = because(manifest);
            observer.note(&format!("no pair is there to choose a model by, so the last one is taken{why}"));
            changes.push("train.validate_every=0".to_string());
        }
        let data = self.place.data.clone();
        let sized = |steps| options.recipe(&data, pairs, steps, &changes);
        let begun = self.run.out.join(folder::RECIPE).exists();
        let recipe = if begun { folder::recipe(&self.run.out)? } else { sized(usual)? };
        let work = Work::of(manifest, recipe.evaluate.gallery, matches!(options.corpus, Corpus::Table(_)));
        let mut plan = |run: &Opened<'_>| {
            let after = work.after(&Cost::of(run)?);
            let budget = Budget { minutes: options.minutes, spent: self.start.elapsed().as_secs_f64(), pairs };
            Ok(budget.plan(&run.pace, after, usual, &sized)?)
        };
        observer.saves(true);
        let trained = pretrain_planned(&recipe, &self.run, &mut plan, observer)?;
        observer.saves(false);
        Ok(trained.finished)
    }

    /// Scores, vectors and the page.
    fn end(&self, observer: &mut dyn Observer) -> Result<Summary, WorkflowError> {
        let (Place { data, run, .. }, options) = (&self.place, self.options);
        observer.note("scoring on the held-out pairs");
        let device = self.run.device.clone().inner();
        // As the recipe says, so that `evaluate RUN` gives the same numbers.
        let asked = EvaluateOptions::of(run, vec![], Split::Test, device.clone())?;
        let evaluated = evaluate(&asked, &mut |_, _, _| {})?;
        let summary = self.summary(evaluated[0].scores.clone())?;
        if let Some(vectors) = &summary.vectors {
            observer.note("embedding all images and texts");
            embed(&run.join(folder::BUNDLE), data, vectors, &device)?;
        }
        page::to_save(&evaluated, options.seed).write(run)?;
        let mut page = page::of_run(run, &evaluated)?;
        page.examples.extend(page::inside(run, &device)?);
        page.title = match &options.corpus {
            Corpus::Phantom(_) => "PTUnifier quickstart".into(),
            Corpus::Table(own) => format!("PTUnifier on {}", own.path.display()),
        };
        page.subtitle = "One model for images, texts and pairs; soft prompts stand in for what is missing".into();
        page.verdict = verdict(&summary.scores);
        page.next = next::next(&self.place, summary.vectors.is_some(), &evaluated[0])?;
        files::write_bytes(&summary.page, ptu_report::render(&page).as_bytes())?;
        Ok(summary)
    }
}

fn split_sizes(manifest: &Manifest) -> String {
    let [train, validate, test] = Split::ALL.map(|split| manifest.counts(split).records);
    format!("{train} records for training, {validate} for validation, {test} for testing")
}

/// Rows that were left out, in lines for people.
fn left_out(manifest: &Manifest) -> Vec<String> {
    let skipped = &manifest.skipped;
    let head =
        (!skipped.is_empty()).then(|| format!("{} left out, listed in data/manifest.json:", rows(skipped.len())));
    let each = skipped.iter().take(SHOWN).map(|one| format!("  {}: {}", one.place, one.cause));
    let more = (skipped.len() > SHOWN).then(|| format!("  and {} more", skipped.len() - SHOWN));
    head.into_iter().chain(each).chain(more).collect()
}

/// `1 row was`, `2 rows were`.
fn rows(count: usize) -> String {
    if count == 1 { "1 row was".into() } else { format!("{count} rows were") }
}

/// That rows were left out and why, as a cause of there being too few; nothing where none was.
fn because(manifest: &Manifest) -> String {
    manifest.skipped.first().map_or(String::new(), |first| {
        let rows = rows(manifest.skipped.len());
        format!("; {rows} left out, the first {}: {}", first.place, first.cause)
    })
}

/// Refuses a table whose usable pairs are not held out so that something can be learned and asked.
fn check_asked(corpus: &Corpus, manifest: &Manifest) -> Result<(), WorkflowError> {
    let Corpus::Table(own) = corpus else { return Ok(()) };
    let [train, validate, test] = Split::ALL.map(|split| manifest.counts(split).pairs);
    if train >= 2 && test >= 1 {
        return Ok(());
    }
    Err(WorkflowError::NothingAsked {
        table: format!("`{}`", own.path.display()),
        cause: format!(
            "{train} usable pairs in `train`, {validate} in `validate`, {test} in `test`{}",
            because(manifest)
        ),
        cure: match manifest.skipped.is_empty() {
            true => "add pairs, or hold out more of them with `--test`".into(),
            false => "mend these rows, or add pairs".into(),
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
    /// The line that scripts read: fractions, and 0.050 style chance.
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

fn verdict(scores: &Scores) -> String {
    let Some(retrieval) = scores.retrieval else {
        return "It has not learned to compare images with texts: the objective itc was left out.".into();
    };
    match (retrieval.image_to_text.r10.value, retrieval.text_to_image.r10.value, retrieval.image_to_text.r10.chance) {
        (Some(image), Some(text), Some(chance)) => format!(
            "Of {} held-out images, {:.0} % find a right text among the first ten, and {:.0} % of the texts a right image; a guess would find {:.0} %.",
            scores.pairs,
            100.0 * image,
            100.0 * text,
            100.0 * chance
        ),
        _ => "Nothing could be scored.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str) -> Recipe {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/pretrain").join(name);
        Recipe::load(&file, &[]).unwrap()
    }

    fn options(corpus: Corpus, sets: &[&str]) -> QuickstartOptions {
        let overrides = sets.iter().map(|set| set.to_string()).collect();
        QuickstartOptions { out: "out".into(), corpus, seed: 0, minutes: None, overrides }
    }

    #[test]
    fn the_recipe_file_is_the_quickstarts() {
        let (written, options) = (written("phantom.toml"), options(Corpus::Phantom(8000), &[]));
        assert_eq!(options.recipe(&written.data[0].path, 8000, options.usual_steps(8000), &[]).unwrap(), written);
    }

    #[test]
    fn the_table_recipe_file_is_the_quickstarts_but_for_its_size() {
        let written = written("table.toml");
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
    fn what_is_wrong_is_found_before_any_work() {
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
            assert!(!options.out.exists(), "a folder is left behind");
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
    fn the_line_says_undefined_and_not_zero() {
        let summary = Summary { scores: Scores::default(), page: PathBuf::new(), vectors: None, left_out: 0 };
        assert_eq!(
            summary.line(),
            "quickstart: R@10 image-to-text undefined text-to-image undefined chance undefined N 0"
        );
    }
}
