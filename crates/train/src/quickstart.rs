//! The whole story by one call, on the phantom corpus or on a table of one's own: prepare, pre-train, evaluate, a page.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ptu_data::prepare::phantom::{PhantomOptions, prepare_phantom};
use ptu_data::prepare::table::{self, TableOptions};
use ptu_data::{Inputs, Manifest, Shares, Split};
use ptu_infer::embed::{EmbedJob, EmbedOptions};
use ptu_model::Bundle;

use crate::evaluate::{EvaluateOptions, Scores, evaluate};
use crate::recipe::{DataEntry, EvaluateConfig, TextPick};
use crate::trainer::{Observer, RunOptions, pretrain};
use crate::{Recipe, TrainError, files, page};

/// Held-out pairs that are scored.
pub const HELD_OUT: u64 = 200;
/// Pairs for choosing the best model.
const VALIDATED: u64 = 100;

/// What a quickstart may be asked to do otherwise.
#[derive(Clone, Debug)]
pub struct QuickstartOptions {
    /// A new or empty folder.
    pub out: PathBuf,
    /// What is learned from.
    pub corpus: Corpus,
    /// Everything random follows from it.
    pub seed: u64,
    /// Changes to the recipe, `key=value`.
    pub overrides: Vec<String>,
}

/// What a quickstart learns from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Corpus {
    /// So many drawn pairs.
    Phantom(u64),
    /// A CSV or JSONL of image paths and texts.
    Table(PathBuf),
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
    /// Whether the run was stopped before its end.
    pub stopped: bool,
}

/// The recipe of the quickstart; `recipes/pretrain/phantom.toml` is the same one with comments.
///
/// # Errors
/// An override that does not fit.
pub fn recipe(data: &Path, seed: u64, overrides: &[String]) -> Result<Recipe, TrainError> {
    let text = include_str!("quickstart.toml");
    let recipe = Recipe::parse(text, Path::new("quickstart.toml"), overrides)?;
    Ok(Recipe { data: vec![DataEntry { path: data.into(), weight: 1.0 }], seed, ..recipe })
}

/// The recipe for a table of one's own: that of `recipes/pretrain/table.toml`, its steps and batch by the number of pairs.
///
/// # Errors
/// An override that does not fit.
pub fn table_recipe(data: &Path, pairs: u64, seed: u64, overrides: &[String]) -> Result<Recipe, TrainError> {
    let steps = (4 * pairs).clamp(*STEPS.start(), *STEPS.end());
    let batch = (pairs / 2).next_power_of_two().clamp(2, 32);
    let saved = (steps / 4).max(1);
    let sized = [
        format!("train.steps={steps}"),
        format!("train.batch={batch}"),
        format!("train.save_every={saved}"),
        format!("train.validate_every={saved}"),
    ];
    let text = include_str!("quickstart-table.toml");
    let recipe = Recipe::parse(text, Path::new("quickstart-table.toml"), &[&sized, overrides].concat())?;
    Ok(Recipe { data: vec![DataEntry { path: data.into(), weight: 1.0 }], seed, ..recipe })
}

/// Steps of a table of any size.
const STEPS: std::ops::RangeInclusive<u64> = 100..=2000;

/// Makes or reads a corpus, learns from it, scores what was learned on held-out pairs, and writes `report.html`; of a table of
/// one's own also `vectors.parquet`, to be searched.
///
/// # Errors
/// A folder that is not empty; whatever preparing, training or evaluating says.
pub fn quickstart(
    options: &QuickstartOptions,
    run: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<Summary, TrainError> {
    let out = &options.out;
    let error = |source| TrainError::File { action: "open", path: out.clone(), source };
    fs::create_dir_all(out).map_err(error)?;
    if fs::read_dir(out).map_err(error)?.next().is_some() {
        return Err(TrainError::NotEmpty { path: out.clone() });
    }
    let data = out.join("data");
    let (recipe, gallery) = match &options.corpus {
        Corpus::Phantom(pairs) => {
            observer.note(&format!("drawing {pairs} phantom pairs to learn from and {HELD_OUT} to be asked about"));
            let phantom = PhantomOptions {
                validate: VALIDATED,
                test: HELD_OUT,
                ..PhantomOptions::new(pairs + VALIDATED + HELD_OUT, options.seed)
            };
            prepare_phantom(&data, &phantom, &|_| {})?;
            (recipe(&data, options.seed, &options.overrides)?, HELD_OUT as usize)
        }
        Corpus::Table(path) => {
            observer.note(&format!("reading {}", path.display()));
            let shares = Shares { seed: options.seed, ..TABLE_SHARES };
            let table = TableOptions { shares, allow_missing: true, ..TableOptions::default() };
            let prepared = table::prepare(path, &data, &table, &|_| {})?;
            let manifest = prepared.manifest();
            manifest.iter().for_each(|manifest| observer.note(&split_sizes(manifest)));
            let pairs = manifest.map_or(0, |manifest| manifest.counts(Split::Train).pairs);
            (table_recipe(&data, pairs, options.seed, &options.overrides)?, TABLE_GALLERY)
        }
    };
    let trained = pretrain(&recipe, run, observer)?;
    observer.note("scoring on the held-out pairs");
    let device = run.device.clone().inner();
    let config = EvaluateConfig { gallery, text: TextPick::Last, ..recipe.evaluate.clone() };
    let asked = EvaluateOptions::of(&run.out, vec![], Split::Test, device.clone())?;
    let evaluated = evaluate(&EvaluateOptions { config, ..asked }, &mut |_, _, _| {})?;
    let scores = evaluated[0].scores.clone();
    let vectors = match options.corpus {
        Corpus::Phantom(_) => None,
        Corpus::Table(_) => {
            observer.note("embedding all images and texts");
            Some(embed(&trained.bundle, &data, out, &device)?)
        }
    };
    page::to_save(&evaluated, options.seed).write(&run.out)?;
    let mut page = page::of_run(&run.out, &evaluated)?;
    page.examples.extend(page::inside(&run.out, &device)?);
    page.title = match &options.corpus {
        Corpus::Phantom(_) => "PTUnifier quickstart".into(),
        Corpus::Table(path) => format!("PTUnifier on {}", path.display()),
    };
    page.subtitle = "One model for images, texts and pairs; soft prompts stand in for what is missing".into();
    page.verdict = verdict(&scores);
    page.next = next(out, vectors.is_some());
    let path = out.join("report.html");
    files::write_bytes(&path, ptu_report::render(&page).as_bytes())?;
    Ok(Summary { scores, page: path, vectors, stopped: !trained.finished })
}

/// Held-out pairs of a table that are scored, at most.
const TABLE_GALLERY: usize = 1000;

/// Of few pairs a fifth is needed to say anything.
const TABLE_SHARES: Shares = Shares { validate: 0.1, test: 0.2, seed: 0 };

fn split_sizes(manifest: &Manifest) -> String {
    let [train, validate, test] = Split::ALL.map(|split| manifest.counts(split).records);
    format!("{train} records to learn from, {validate} to choose by, {test} to be asked about")
}

/// Embeds every record of a folder of shards.
fn embed(bundle: &Path, data: &Path, out: &Path, device: &Device) -> Result<PathBuf, TrainError> {
    let (model, loaded) = (Bundle::fingerprint(bundle)?, Bundle::load(bundle, device)?);
    let vectors = out.join("vectors.parquet");
    let inputs = Inputs::find(&[data.to_path_buf()], &[])?;
    let job = EmbedJob::new(&loaded, model, EmbedOptions::default());
    job.run(&inputs, &vectors, &mut |_| ControlFlow::Continue(()))?;
    Ok(vectors)
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

fn next(out: &Path, own: bool) -> Vec<ptu_report::Step> {
    let [run, data, vectors] = ["run", "data", "vectors.parquet"].map(|name| out.join(name).display().to_string());
    let search = format!("ptunifier search {vectors} --model {run} --text \"effusion on the left\"");
    let embed = match own {
        true => search,
        false => format!("ptunifier embed {run} {data} --out {vectors} && {search}"),
    };
    let missing = format!("ptunifier evaluate {run} --label finding --missing --page missing.html");
    page::next_steps(&[
        ("Search by a sentence", &embed, "the nearest images; or by an image, or both"),
        ("Take halves away", &missing, "how scores fall while images or texts go missing, and what prompts save"),
        (
            "Score it again",
            &format!("ptunifier evaluate {run} --data {data}"),
            "the same numbers, as a table or with --json",
        ),
        ("Look inside", &format!("ptunifier inspect {run}"), "what the run holds: recipe, states, weights, scores"),
        (
            "Train on your own pairs",
            "ptunifier quickstart --table pairs.csv --out own",
            "a CSV with a column of image paths and a column of texts is enough",
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_file_is_the_quickstarts() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/pretrain/phantom.toml");
        let written = Recipe::load(&file, &[]).unwrap();
        let data = written.data[0].path.clone();
        assert_eq!(recipe(&data, written.seed, &[]).unwrap(), written);
    }

    #[test]
    fn the_table_recipe_file_is_the_quickstarts_but_for_its_size() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/pretrain/table.toml");
        let written = Recipe::load(&file, &[]).unwrap();
        let own = table_recipe(&written.data[0].path, 600, written.seed, &[]).unwrap();
        assert_eq!((own.train.steps, own.train.batch), (2000, 32));
        assert_eq!(Recipe { train: written.train.clone(), ..own }, written);
        let few = table_recipe(Path::new("data"), 35, 0, &["train.steps=7".into()]).unwrap();
        assert_eq!((few.train.steps, few.train.batch), (7, 32));
        assert_eq!(table_recipe(Path::new("data"), 3, 0, &[]).unwrap().train.batch, 2);
    }

    #[test]
    fn the_line_says_undefined_and_not_zero() {
        let summary = Summary { scores: Scores::default(), page: PathBuf::new(), vectors: None, stopped: false };
        assert_eq!(
            summary.line(),
            "quickstart: R@10 image-to-text undefined text-to-image undefined chance undefined N 0"
        );
    }
}
