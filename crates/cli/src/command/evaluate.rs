mod task;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::ValueEnum;
use ptu_data::Split;
use ptu_evaluate::trec::{check_folder, write_rankings};
use ptu_evaluate::{
    ALL_FOUND, Curve, Difference, EvaluateOptions, Evaluated, ProbeSpace, SaveOutcome, Score, ScoredOn, Scores, Spread,
    compare, evaluate, mean_r10, spread,
};
use ptu_kernels::ComputePrecision;
use ptu_model::StandIn;
use ptu_model::files::write_bytes;
use ptu_train::folder;
use ptu_workflow::page;
use serde::Serialize;

use super::generation::GenerationOptions;
use super::{AtWork, bundle_folder, check_page};
use crate::output::{print, say};
use crate::progress::Bar;
use crate::usage::{WrongArguments, at_least_one};

/// Score a model on records that it has not been trained on
///
/// Scores: zero-shot retrieval in both directions (image to text and text to image), image-text matching, and masked language
/// modelling (with the image, with a wrong image, without an image). On request: retrieval re-ranked by matching, probes and zero-shot
/// classification of labels, and scores with missing images or texts. Each score has a 95 % confidence interval (resampled by
/// patient) and its chance level; the data set, its split and the number of pairs stand above.
///
/// A fine-tuned model is scored on its task: accuracy, F1, AUROC, or accuracy of answers, beside the most frequent class or answer; each
/// score again with a blank image, with the image of another patient and from the text alone, and what that costs (image reliance).
/// Scores, predictions and examples are saved in the run's folder (task-scores.json, predictions.jsonl, task-examples.json) and shown on
/// its page.
///
/// A model that is fine-tuned for retrieval ranks every image with every text by its own score, as published; the rankings are saved in
/// the run's folder (rankings/). `--compare` with the model from which it started, and `--rerank` for that one, say what fine-tuning gained.
///
/// Records that the model was trained on are refused (--force scores them): images are compared by their pixels, whatever file or
/// table they come from. Texts that occur word for word in the training data are only counted and reported, since short reports are
/// often alike.
///
/// Scores with the settings and data of the run's recipe are saved in the run's folder (scores.json) and shown on its page. Scores
/// with other settings are only printed, or written to --page.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier evaluate runs/phantom
  ptunifier evaluate runs/phantom --label finding --missing --page report.html
  ptunifier evaluate runs/phantom --label finding --sentence \"The image shows {}.\" --sentence \"A picture of {}.\"
  ptunifier evaluate runs/phantom --data data/other --split validate --json
  ptunifier evaluate quickstart/run --zero-shot recipes/zero-shot/phantom-finding.toml --label finding
  ptunifier evaluate runs/finding --probe quickstart/run        what fine-tuning adds to a linear probe
  ptunifier evaluate runs/retrieval --compare runs/pretrained --rerank 200
  ptunifier evaluate runs/report --greedy        texts without beams: another score, several times faster
  ptunifier evaluate runs/a --compare runs/b        paired differences on the same records
  ptunifier evaluate runs/seed0 runs/seed1 runs/seed2        mean and standard deviation")]
pub struct Arguments {
    /// Run folders, or bundles; several are scored with the settings of the first one's recipe (number of pairs, seed), and their
    /// mean and standard deviation are printed
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Shard folders (default: those of the run's recipe)
    #[arg(long)]
    data: Vec<PathBuf>,
    /// Which split: train, validate or test
    #[arg(long, default_value = "test")]
    split: Split,
    /// Number of pairs at most (default: the recipe's, or 200)
    #[arg(long, help_heading = PRE_TRAINED, value_parser = at_least_one)]
    gallery: Option<usize>,
    /// Pairs with equal values of this label also count as hits, besides those with equal texts or images (default: the recipe's)
    #[arg(long, help_heading = PRE_TRAINED)]
    hits: Option<String>,
    /// Score one gallery per value of this label (a fine-tuned model: the records of each value of this field or label); a pair
    /// with several values is in each (default: the recipe's)
    #[arg(long)]
    by: Option<String>,
    /// Label for probes on frozen features; may be given several times (default: the recipe's)
    #[arg(long, help_heading = PRE_TRAINED)]
    label: Vec<String>,
    /// Zero-shot classification of the labels by this sentence, with {} for the class name; given several times, the sentence vectors
    /// of a class are averaged (default: the recipe's)
    #[arg(long, help_heading = PRE_TRAINED)]
    sentence: Vec<String>,
    /// Score the zero-shot classification of images by the classes and sentences of this TOML file. --label names the label whose values
    /// are the classes; without it each class is a label of its own, and records with exactly one positive are scored
    #[arg(long, help_heading = PRE_TRAINED, value_name = "FILE")]
    zero_shot: Option<PathBuf>,
    /// In addition, re-rank so many of the nearest candidates by matching
    #[arg(long, help_heading = PRE_TRAINED, value_name = "MANY", value_parser = at_least_one)]
    rerank: Option<usize>,
    /// In addition, score with 25, 50, 75 and 100 % of the images, or of the texts, removed; a fine-tuned model also from 70 % of
    /// the records, and one that reads both with one of both removed; questions are always there. In place of what is removed stand prompts, zeros or
    /// nothing, and in a fine-tuned model the mean of the training records or the most similar one
    #[arg(long)]
    missing: bool,
    /// Write the rankings of retrieval into this folder: TREC run files and relevance judgements (qrels), and the rank of each query
    /// (ranks.jsonl)
    #[arg(long, value_name = "FOLDER")]
    trec: Option<PathBuf>,
    /// Another run folder or bundle; prints paired differences to it
    #[arg(long, value_name = "MODEL")]
    compare: Option<PathBuf>,
    /// In addition, compare a fine-tuned model with a linear probe on the frozen features of this pre-trained model (a run or a
    /// bundle), fitted to the training split; name the model from which fine-tuning started
    #[arg(long, help_heading = FINE_TUNED, value_name = "START_MODEL")]
    probe: Option<PathBuf>,
    /// What the linear probe reads: features (after the fusion) or encoder (the encoders alone, before the fusion; for a bundle of published
    /// encoders, whose fusion is not trained)
    #[arg(long, help_heading = FINE_TUNED, default_value = "features", requires = "probe", hide_default_value = true)]
    probe_space: ProbeSpaceName,
    /// What takes the place of a missing image or text: prompts, zeros or nothing (tasks that write texts: prompts)
    #[arg(long, help_heading = FINE_TUNED, default_value = "prompts", hide_default_value = true)]
    stand_in: StandInName,
    /// In addition, write each prediction into this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
    /// Score records even if the model was trained on them
    #[arg(long)]
    force: bool,
    /// Seed of the sampled records, masks, negatives, texts and bootstrap resamples (default: the recipe's)
    #[arg(long)]
    seed: Option<u64>,
    /// Write a page of the run with these scores: one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    work: AtWork,
    #[command(flatten)]
    generation: GenerationOptions,
}

/// Headings in the help.
const PRE_TRAINED: &str = "Options for pre-trained models only";
const FINE_TUNED: &str = "Options for fine-tuned models only";

/// The name of the task of models whose retrieval is scored by the ranking of all pairs.
const RETRIEVAL: &str = "retrieval";

/// Folder of the rankings of a run that is fine-tuned for retrieval.
const RANKINGS: &str = "rankings";

#[derive(Serialize)]
struct Report<'a> {
    model: &'a Path,
    split: Split,
    /// Scores by source, or by source and gallery.
    sources: BTreeMap<&'a str, &'a Scores>,
    /// Mean R@10 over galleries and directions.
    mean_r10: Score,
    /// First minus second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    compared: Vec<Difference>,
}

#[derive(Serialize)]
struct Reports<'a> {
    models: Vec<Report<'a>>,
    spread: Vec<Spread>,
}

/// One model and its scores.
struct Model<'a> {
    path: &'a Path,
    seed: u64,
    evaluated: Vec<Evaluated>,
    compared: Vec<Difference>,
}

/// What takes the place of a missing image or text.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StandInName {
    Prompts,
    Zeros,
    Nothing,
}

impl StandInName {
    fn stand_in(self) -> StandIn {
        match self {
            Self::Prompts => StandIn::Prompts,
            Self::Zeros => StandIn::Zeros,
            Self::Nothing => StandIn::Nothing,
        }
    }
}

/// What a linear probe reads.
#[derive(Clone, Copy, ValueEnum)]
enum ProbeSpaceName {
    Features,
    Encoder,
}

impl ProbeSpaceName {
    fn space(self) -> ProbeSpace {
        match self {
            Self::Features => ProbeSpace::Features,
            Self::Encoder => ProbeSpace::Encoder,
        }
    }
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let precision = arguments.work.start()?;
    let is_scored_by_task = match arguments.models.first() {
        Some(model) => task::is_scored_by_task(model)?,
        None => false,
    };
    if !is_scored_by_task && arguments.generation != GenerationOptions::default() {
        let text = "this model writes no texts; remove the options of generation";
        return Err(WrongArguments(text.into()).into());
    }
    if arguments.zero_shot.is_some() || is_scored_by_task {
        return task::run(arguments, precision);
    }
    check_request(arguments)?;
    let mut models = vec![];
    let mut first: Option<EvaluateOptions> = None;
    for path in &arguments.models {
        let own = options(arguments, path, precision)?;
        // All models are scored with the same settings, whatever seed each was trained with.
        let options = match &first {
            Some(first) => EvaluateOptions { config: first.config.clone(), seed: first.seed, ..own },
            None => first.insert(own).clone(),
        };
        let evaluated = with_bar("scoring", |done| evaluate(&options, done))?;
        let compared = match &arguments.compare {
            Some(compared) => {
                // On the same records, whatever the other's recipe says.
                let other = EvaluateOptions::of(compared, options.data.clone(), options.split, options.device.clone())?;
                let (bundle, training) = (other.bundle, other.training);
                let other = EvaluateOptions { bundle, training, is_own_data: false, ..options.clone() };
                let other =
                    EvaluateOptions { rerank: arguments.rerank.filter(|_| !ranks_all_pairs(compared)), ..other };
                compare(&evaluated, &with_bar("scoring", |done| evaluate(&other, done))?, options.seed)
            }
            None => vec![],
        };
        keep(path, &options, &evaluated)?;
        if let Some(folder) = &arguments.trec {
            write_rankings(&evaluated, folder)?;
        }
        models.push(Model { path, seed: options.seed, evaluated, compared });
    }
    if let (Some(file), [model]) = (&arguments.page, models.as_slice()) {
        let mut page = page::of_run(model.path, &model.evaluated)?;
        page.examples.extend(page::inside(model.path, &arguments.work.compute.device.plain())?);
        page.title = format!("Run {}", model.path.display());
        write_bytes(file, ptu_report::render(&page).as_bytes())?;
    }
    if arguments.json {
        return print(&json(arguments.split, models)?);
    }
    models.iter().try_for_each(|model| table(model, arguments))?;
    if models.len() > 1 { together(models) } else { Ok(()) }
}

/// Refuses impossible requests before anything is scored.
fn check_request(arguments: &Arguments) -> anyhow::Result<()> {
    check_page_request(arguments)?;
    if arguments.predictions.is_some() {
        let text = "`--predictions` writes those of a fine-tuned model or of `--zero-shot`; for rankings use `--trec`";
        return Err(WrongArguments(text.into()).into());
    }
    if arguments.trec.is_some() && arguments.models.len() > 1 {
        return Err(WrongArguments("`--trec` writes the rankings of one model; name one model".into()).into());
    }
    check_different(&arguments.models)?;
    arguments.models.iter().chain(&arguments.compare).try_for_each(|model| bundle_folder(model).map(drop))?;
    if arguments.stand_in != StandInName::Prompts {
        let text = "`--stand-in` is for fine-tuned models; `--missing` compares stand-ins of a pre-trained one";
        return Err(WrongArguments(text.into()).into());
    }
    if arguments.probe.is_some() {
        let text = "`--probe` compares a fine-tuned model with a linear probe, and this model is pre-trained; for probes of its own \
                    features use `--label`";
        return Err(WrongArguments(text.into()).into());
    }
    for model in arguments.models.iter().chain(&arguments.compare) {
        if task::is_scored_by_task(model)? {
            let text = format!(
                "`{}` is fine-tuned for another task than `{}`: their scores cannot be compared",
                model.display(),
                arguments.models[0].display()
            );
            return Err(WrongArguments(text).into());
        }
    }
    check_retrieval(arguments)?;
    if let Some(folder) = &arguments.trec {
        check_folder(folder)?;
    }
    Ok(())
}

/// Refuses a page that cannot be written, and one of several models or of a bundle.
fn check_page_request(arguments: &Arguments) -> anyhow::Result<()> {
    let Some(page) = &arguments.page else { return Ok(()) };
    check_page(Some(page))?;
    match arguments.models.as_slice() {
        [model] if model.exists() && !model.join(folder::RECIPE).exists() => {
            bail!("`{}` is not a run folder, and a page shows a run; name the run, or remove --page", model.display())
        }
        [_] => Ok(()),
        _ => Err(WrongArguments("a page shows one model; name one model, or remove `--page`".into()).into()),
    }
}

/// Refuses models that are the same one: their mean would be that of fewer models than are named.
fn check_different(models: &[PathBuf]) -> anyhow::Result<()> {
    let mut seen: BTreeMap<PathBuf, &PathBuf> = BTreeMap::new();
    for model in models {
        let bundle = folder::bundle_of(model)?;
        let bundle = bundle.canonicalize().unwrap_or(bundle);
        if let Some(other) = seen.insert(bundle, model) {
            let text =
                format!("`{}` and `{}` are the same model; name each model once", other.display(), model.display());
            return Err(WrongArguments(text).into());
        }
    }
    Ok(())
}

/// Refuses requests that a model cannot fulfil that is fine-tuned for retrieval, or not together with other models.
fn check_retrieval(arguments: &Arguments) -> Result<(), WrongArguments> {
    let Some(ranking) = arguments.models.iter().find(|model| ranks_all_pairs(model)) else { return Ok(()) };
    if let Some(other) = arguments.models.iter().find(|model| !ranks_all_pairs(model)) {
        return Err(WrongArguments(format!(
            "`{}` is fine-tuned for retrieval and `{}` is not, so they have no common mean; compare them with `--compare`",
            ranking.display(),
            other.display()
        )));
    }
    let reranks_other = arguments.compare.as_ref().is_some_and(|model| !ranks_all_pairs(model));
    if arguments.rerank.is_some() && !reranks_other {
        let told = "`--rerank` is for pre-trained models; a model that is fine-tuned for retrieval ranks all pairs: remove it, or name the \
                    pre-trained model with `--compare`";
        return Err(WrongArguments(told.into()));
    }
    Ok(())
}

/// Whether a model is fine-tuned for retrieval, so that all pairs are ranked by its score. A description that cannot be read was refused
/// before.
fn ranks_all_pairs(model: &Path) -> bool {
    matches!(task::kind(model), Ok(Some(RETRIEVAL)))
}

/// Saves scores with the recipe's settings in the run's folder, and the rankings of a model that is fine-tuned for retrieval;
/// reports that scores with other settings are not saved.
fn keep(path: &Path, options: &EvaluateOptions, evaluated: &[Evaluated]) -> anyhow::Result<()> {
    if !path.join(folder::RECIPE).exists() {
        return Ok(());
    }
    let own = EvaluateOptions::of(path, vec![], Split::Test, options.device.clone())?;
    let scores = path.join(folder::SCORES);
    if !options.is_comparable_to(&own) {
        if scores.exists() {
            say(&format!("`{}` was not changed: these scores have other settings than the recipe", scores.display()));
        }
        return Ok(());
    }
    if ranks_all_pairs(path) {
        write_rankings(evaluated, &path.join(RANKINGS))?;
    }
    if page::to_save(evaluated, options.seed).keep(path)? == SaveOutcome::EarlierKept {
        say(&format!(
            "`{}` already has scores of this kind with other settings (--rerank, --sentence) and was not changed; delete it to replace them",
            scores.display()
        ));
    }
    Ok(())
}

fn options(arguments: &Arguments, model: &Path, precision: ComputePrecision) -> anyhow::Result<EvaluateOptions> {
    let device = arguments.work.compute.device.plain();
    let mut options = EvaluateOptions::of(model, arguments.data.clone(), arguments.split, device)?;
    let config = &mut options.config;
    config.gallery = arguments.gallery.unwrap_or(config.gallery);
    config.hits = arguments.hits.clone().or(config.hits.take());
    config.by = arguments.by.clone().or(config.by.take());
    if !arguments.sentence.is_empty() {
        config.sentence.clone_from(&arguments.sentence);
    }
    if !arguments.label.is_empty() {
        config.labels.clone_from(&arguments.label);
    }
    if !arguments.sentence.is_empty() && config.labels.is_empty() {
        let told = "`--sentence` classifies a label, and none is named; name one with `--label`";
        return Err(WrongArguments(told.into()).into());
    }
    options.requested_labels = [&arguments.hits, &arguments.by].into_iter().flatten().cloned().collect();
    options.seed = arguments.seed.unwrap_or(options.seed);
    options.precision = precision;
    options.rerank = arguments.rerank.filter(|_| !ranks_all_pairs(model));
    (options.missing, options.force) = (arguments.missing, arguments.force);
    Ok(options)
}

/// Calls `score` with a callback that shows its progress: name, finished and all predictions. `title` stands before the bar.
pub fn with_bar<T, E: Into<anyhow::Error>>(
    title: &'static str,
    score: impl FnOnce(&mut dyn FnMut(&str, usize, usize)) -> Result<T, E>,
) -> anyhow::Result<T> {
    // A bar for each part of the work, since parts have other lengths.
    let mut bar: Option<(usize, Bar)> = None;
    let scored = score(&mut |name, done, all| {
        if let Some((_, before)) = bar.take_if(|(length, _)| *length != all) {
            before.finish();
        }
        let (_, bar) = bar.get_or_insert_with(|| (all, Bar::new(title, all as u64)));
        bar.set(done as u64, || name.to_string());
    })
    .map_err(Into::into)?;
    if let Some((_, bar)) = &bar {
        bar.finish();
    }
    Ok(scored)
}

fn json(split: Split, models: Vec<Model<'_>>) -> anyhow::Result<String> {
    let reports: Vec<Report<'_>> = models
        .iter()
        .map(|model| Report {
            model: model.path,
            split,
            sources: model.evaluated.iter().map(|evaluated| (evaluated.name.as_str(), &evaluated.scores)).collect(),
            mean_r10: mean_r10(&model.evaluated, model.seed),
            compared: model.compared.clone(),
        })
        .collect();
    if let [report] = reports.as_slice() {
        return Ok(serde_json::to_string(report)?);
    }
    let mut whole = serde_json::to_value(Reports { models: reports, spread: vec![] })?;
    let evaluated: Vec<Vec<Evaluated>> = models.into_iter().map(|model| model.evaluated).collect();
    whole["spread"] = serde_json::to_value(spread(&evaluated))?;
    Ok(whole.to_string())
}

fn table(model: &Model<'_>, arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.models.len() > 1 {
        print(&format!("{}", model.path.display()))?;
    }
    for evaluated in &model.evaluated {
        let scores = &evaluated.scores;
        let set = scores.scored_on.as_ref();
        print(&set.map_or(evaluated.name.clone(), ScoredOn::title))?;
        set.iter().flat_map(|set| &set.notes).try_for_each(|note| print(&format!("  note: {note}")))?;
        says_little(scores).iter().try_for_each(|warning| print(&format!("  note: {warning}")))?;
        if scores.rows().iter().any(|(_, score)| score.value.is_some() && score.low.is_none()) {
            print(
                "  note: an interval that is shown as [-, -] is not defined: there are too few patients to resample",
            )?;
        }
        for (name, score) in scores.rows() {
            print(&format!("  {name:36}{}", line(score)))?;
        }
        scores.missing.iter().try_for_each(curve)?;
    }
    if model.evaluated.len() > 1 {
        let mean = line(mean_r10(&model.evaluated, model.seed));
        print(&format!("mean over galleries and directions\n  {:36}{mean}", "R@10"))?;
    }
    if let Some(other) = &arguments.compare {
        print(&format!("first minus {}, on the same pairs", other.display()))?;
        for Difference { gallery, score, difference, lower_is_better } in &model.compared {
            let better = if *lower_is_better { "  (below 0 is better)" } else { "" };
            print(&format!("  {gallery:20} {score:36}{}{better}", interval(*difference)))?;
        }
    }
    Ok(())
}

/// Prints a score with missing images or texts.
fn curve(curve: &Curve) -> anyhow::Result<()> {
    let point = |(share, score): &(f64, Score)| format!("{:.0} % {}", share * 100.0, show(score.value).trim());
    let points: Vec<String> = curve.points.iter().map(point).collect();
    let name = format!("{}, {} removed, {}", curve.score, curve.missing.name(), curve.stand_in);
    print(&format!("  {name:52} {}", points.join("  ")))
}

/// From this chance level on, a share of hits says almost nothing.
const NEARLY_ALL: f64 = 0.8;

/// A warning where R@10 says little about the model.
pub fn says_little(scores: &Scores) -> Option<String> {
    let retrieval = scores.retrieval?;
    let cure = "judge by R@1, or score more pairs";
    let chance = [retrieval.image_to_text.r10.chance, retrieval.text_to_image.r10.chance];
    let chance = chance.into_iter().flatten().reduce(f64::max);
    match (scores.pairs, chance) {
        (pairs @ ..=ALL_FOUND, _) => {
            let noun = if pairs == 1 { "pair was" } else { "pairs were" };
            Some(format!(
                "R@10 says nothing here: only {pairs} {noun} scored, so every candidate is among the first ten; {cure}"
            ))
        }
        (_, Some(chance @ NEARLY_ALL..)) => Some(format!(
            "R@10 says little here: a random guess among so few pairs already reaches {chance:.2}; {cure}"
        )),
        _ => None,
    }
}

/// Mean and standard deviation of several models.
fn together(models: Vec<Model<'_>>) -> anyhow::Result<()> {
    let count = models.len();
    let evaluated: Vec<Vec<Evaluated>> = models.into_iter().map(|model| model.evaluated).collect();
    let spreads = spread(&evaluated);
    for gallery in spreads.iter().filter(|one| !one.same_pairs).map(|one| &one.gallery).collect::<BTreeSet<_>>() {
        say(&format!(
            "the models were not scored on the same pairs of `{gallery}`, so they have no mean; give --data, --gallery, --hits and \
             --seed to score all of them alike"
        ));
    }
    let alike: Vec<Spread> = spreads.into_iter().filter(|one| one.same_pairs).collect();
    if !alike.is_empty() {
        print(&format!("mean and standard deviation of {count} models"))?;
    }
    for Spread { gallery, score, mean, deviation, .. } in alike {
        print(&format!("  {gallery:20} {score:36}{} +- {}", show(mean), show(deviation).trim_start()))?;
    }
    Ok(())
}

/// `0.620 [0.550, 0.690]  chance 0.050`; what is undefined is a dash.
fn line(score: Score) -> String {
    format!("{}  chance level {}", interval(score), show(score.chance).trim_start())
}

/// `0.620 [0.550, 0.690]`; what is undefined is a dash.
pub fn interval(score: Score) -> String {
    format!("{} [{}, {}]", show(score.value), show(score.low).trim_start(), show(score.high).trim_start())
}

fn show(value: Option<f64>) -> String {
    format!("{:>8}", value.map_or("-".into(), |value| format!("{value:.3}")))
}
