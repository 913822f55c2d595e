//! The whole story on the phantom corpus: prepare, pre-train, evaluate, a page.

use std::fs;
use std::path::{Path, PathBuf};

use ptu_data::Split;
use ptu_data::prepare::phantom::{PhantomOptions, prepare_phantom};

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
    /// Pairs to learn from.
    pub pairs: u64,
    /// Everything random follows from it.
    pub seed: u64,
    /// Changes to the recipe, `key=value`.
    pub overrides: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Scores on the held-out pairs.
    pub scores: Scores,
    /// The page.
    pub page: PathBuf,
    /// Whether the run was stopped before its end.
    pub stopped: bool,
}

/// The recipe of the quickstart; `recipes/pretrain/phantom.toml` is the same one with comments.
pub fn recipe(data: &Path, seed: u64, overrides: &[String]) -> Result<Recipe, TrainError> {
    let text = include_str!("quickstart.toml");
    let recipe = Recipe::parse(text, Path::new("quickstart.toml"), overrides)?;
    Ok(Recipe { data: vec![DataEntry { path: data.into(), weight: 1.0 }], seed, ..recipe })
}

/// Makes a corpus, learns from it, scores what was learned on held-out pairs, and writes `report.html`.
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
    observer.note(&format!("drawing {} phantom pairs to learn from and {HELD_OUT} to be asked about", options.pairs));
    let phantom = PhantomOptions {
        validate: VALIDATED,
        test: HELD_OUT,
        ..PhantomOptions::new(options.pairs + VALIDATED + HELD_OUT, options.seed)
    };
    prepare_phantom(&data, &phantom, &|_| {})?;
    let recipe = recipe(&data, options.seed, &options.overrides)?;
    let trained = pretrain(&recipe, run, observer)?;
    observer.note("scoring on the held-out pairs");
    let evaluated = evaluate(
        &EvaluateOptions {
            bundle: trained.bundle,
            data: vec![data],
            split: Split::Test,
            config: EvaluateConfig { gallery: HELD_OUT as usize, text: TextPick::Last, ..recipe.evaluate.clone() },
            seed: options.seed,
            device: run.device.clone().inner(),
        },
        &mut |_, _, _| {},
    )?;
    let scores = evaluated[0].scores;
    let mut page = page::of_run(&run.out, &evaluated)?;
    page.title = "PTUnifier quickstart".into();
    page.subtitle = "One model for images, texts and pairs; soft prompts stand in for what is missing".into();
    page.verdict = verdict(&scores);
    page.next = next(out);
    let path = out.join("report.html");
    files::write_bytes(&path, ptu_report::render(&page).as_bytes())?;
    Ok(Summary { scores, page: path, stopped: !trained.finished })
}

impl Summary {
    /// The line that scripts read: fractions, and 0.050 style chance.
    pub fn line(&self) -> String {
        let retrieval = &self.scores.retrieval;
        let show =
            |value: Option<f64>, digits: usize| value.map_or("undefined".into(), |value| format!("{value:.digits$}"));
        format!(
            "quickstart: R@10 image-to-text {} text-to-image {} chance {} N {}",
            show(retrieval.image_to_text.r10.value, 2),
            show(retrieval.text_to_image.r10.value, 2),
            show(retrieval.image_to_text.r10.chance, 3),
            retrieval.records
        )
    }
}

fn verdict(scores: &Scores) -> String {
    let retrieval = &scores.retrieval;
    match (retrieval.image_to_text.r10.value, retrieval.text_to_image.r10.value, retrieval.image_to_text.r10.chance) {
        (Some(image), Some(text), Some(chance)) => format!(
            "Of {} held-out images, {:.0} % find a right text among the first ten, and {:.0} % of the texts a right image; a guess would find {:.0} %.",
            retrieval.records,
            100.0 * image,
            100.0 * text,
            100.0 * chance
        ),
        _ => "Nothing could be scored.".into(),
    }
}

fn next(out: &Path) -> Vec<ptu_report::Step> {
    let (run, data) = (out.join("run").display().to_string(), out.join("data").display().to_string());
    page::next_steps(&[
        (
            "Score it again",
            &format!("ptunifier evaluate {run} --data {data}"),
            "the same numbers, as a table or with --json",
        ),
        ("Look inside", &format!("ptunifier inspect {run}"), "what the run holds: recipe, states, weights, scores"),
        (
            "Train on your own pairs",
            "ptunifier prepare table pairs.csv data/own && ptunifier pretrain recipes/pretrain/table.toml --out runs/own",
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
    fn the_line_says_undefined_and_not_zero() {
        let summary = Summary { scores: Scores::default(), page: PathBuf::new(), stopped: false };
        assert_eq!(
            summary.line(),
            "quickstart: R@10 image-to-text undefined text-to-image undefined chance undefined N 0"
        );
    }
}
