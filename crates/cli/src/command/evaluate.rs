use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::bail;
use ptu_data::Split;
use ptu_evaluate::{
    ALL_FOUND, Difference, EvaluateOptions, Evaluated, Kept, Score, ScoredOn, Scores, Spread, compare, evaluate,
    mean_r10, spread,
};
use ptu_kernels::ComputePrecision;
use ptu_model::files::write_bytes;
use ptu_train::folder;
use ptu_workflow::page;
use serde::Serialize;

use super::{AtWork, check_page, check_run};
use crate::output::{print, say};
use crate::progress::Bar;
use crate::usage::{WrongArguments, at_least_one};

/// Score a model on pairs that it has not seen
///
/// Zero-shot retrieval in both directions (an image alone looks for its text, a text alone for its image), image-text
/// matching and masked words (with the image, with a wrong one, with none); on request retrieval ranked anew by matching, probes
/// and sentences about labels, and scores while halves are taken away. Each with a 95 % interval by patient and with what chance
/// would give; above them stand the set, its split and the number of pairs.
///
/// What a model has learned from is refused (--force scores it): images are compared by their pixels, whatever file or table they
/// come from. Texts that it knows word for word are told with their number, since short reports are often alike.
///
/// Scores as the run's recipe asks for them, on its own data, are kept in the run's folder (scores.json) for its page; others are
/// only printed, or written to --page.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier evaluate runs/phantom
  ptunifier evaluate runs/phantom --label finding --missing --page report.html
  ptunifier evaluate runs/phantom --label finding --sentence \"The image shows {}.\" --sentence \"A picture of {}.\"
  ptunifier evaluate runs/phantom --data data/other --split validate --json
  ptunifier evaluate runs/a --compare runs/b        paired differences: which is better on the same records
  ptunifier evaluate runs/seed0 runs/seed1 runs/seed2        mean and deviation")]
pub struct Arguments {
    /// Run folders, or bundles; several are scored as the first one's recipe says (how many pairs, drawn by which seed), and mean
    /// and deviation are told
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Shard folders (default: those of the run's recipe)
    #[arg(long)]
    data: Vec<PathBuf>,
    /// Which split: train, validate or test
    #[arg(long, default_value = "test")]
    split: Split,
    /// Pairs at most (default: the recipe's, or 200)
    #[arg(long, value_parser = at_least_one)]
    gallery: Option<usize>,
    /// Label whose equality (of all its values, as texts) makes a hit besides equal texts and images (default: the recipe's)
    #[arg(long)]
    hits: Option<String>,
    /// Label whose values are galleries of their own; a pair of several values is in each (default: the recipe's)
    #[arg(long)]
    by: Option<String>,
    /// Label that probes of frozen vectors are asked about; may be given several times (default: the recipe's)
    #[arg(long)]
    label: Vec<String>,
    /// Sentence with {} for a value of the label: classes by the nearest sentence, without probes; given several times, a class has
    /// the mean of its sentences' vectors (default: the recipe's)
    #[arg(long)]
    sentence: Vec<String>,
    /// Rank so many of the nearest anew by matching, besides
    #[arg(long, value_name = "MANY", value_parser = at_least_one)]
    rerank: Option<usize>,
    /// Score again with 25, 50, 75 and 100 % of the images, or of the texts, taken away
    #[arg(long)]
    missing: bool,
    /// Another run folder or bundle: paired differences to it
    #[arg(long, value_name = "MODEL")]
    compare: Option<PathBuf>,
    /// Score even records that the model has learned from
    #[arg(long)]
    force: bool,
    /// Draws records, masks, partners, resamples (default: the recipe's)
    #[arg(long)]
    seed: Option<u64>,
    /// Write the page of the run with these scores, one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    work: AtWork,
}

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

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let products = arguments.work.start()?;
    check_asked(arguments)?;
    let mut models = vec![];
    let mut first: Option<EvaluateOptions> = None;
    for path in &arguments.models {
        let own = options(arguments, path, products)?;
        // Scored alike, whatever seed each was trained with.
        let options = match &first {
            Some(first) => EvaluateOptions { config: first.config.clone(), seed: first.seed, ..own },
            None => first.insert(own).clone(),
        };
        let evaluated = with_bar(&options)?;
        let compared = match &arguments.compare {
            Some(other) => {
                // On the same records, whatever the other's recipe says.
                let other = EvaluateOptions::of(other, options.data.clone(), options.split, options.device.clone())?;
                let other = EvaluateOptions { bundle: other.bundle, training: other.training, ..options.clone() };
                compare(&evaluated, &with_bar(&other)?, options.seed)
            }
            None => vec![],
        };
        keep(path, &options, &evaluated)?;
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

/// Refuses what cannot be done, before anything is scored.
fn check_asked(arguments: &Arguments) -> anyhow::Result<()> {
    check_page(arguments.page.as_deref())?;
    arguments.models.iter().chain(&arguments.compare).try_for_each(|model| check_run(model))?;
    if arguments.page.is_some() && arguments.models.len() > 1 {
        return Err(WrongArguments("a page shows one model; name one, or leave `--page` out".into()).into());
    }
    if let (Some(_), [model]) = (&arguments.page, arguments.models.as_slice())
        && !model.join(folder::RECIPE).exists()
    {
        bail!("`{}` is no run folder, and a page shows a run; name the run, or leave --page out", model.display());
    }
    Ok(())
}

/// Keeps scores as the recipe asks for them in the run's folder; of others it says that they are not kept.
fn keep(path: &Path, options: &EvaluateOptions, evaluated: &[Evaluated]) -> anyhow::Result<()> {
    if !path.join(folder::RECIPE).exists() {
        return Ok(());
    }
    let own = EvaluateOptions::of(path, vec![], Split::Test, options.device.clone())?;
    let scores = path.join(folder::SCORES);
    if !options.chooses_as(&own) {
        if scores.exists() {
            say(&format!(
                "`{}` stays as it is: these scores were asked for otherwise than by the recipe",
                scores.display()
            ));
        }
        return Ok(());
    }
    if page::to_save(evaluated, options.seed).keep(path)? == Kept::NotOtherwise {
        say(&format!(
            "`{}` keeps what it has of the same kind (another number ranked anew, other sentences); delete it to replace that",
            scores.display()
        ));
    }
    Ok(())
}

fn options(arguments: &Arguments, model: &Path, products: ComputePrecision) -> anyhow::Result<EvaluateOptions> {
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
        let told = "`--sentence` names the classes of a label, and none is asked about; name one with `--label`";
        return Err(WrongArguments(told.into()).into());
    }
    options.named = [&arguments.hits, &arguments.by].into_iter().flatten().cloned().collect();
    options.seed = arguments.seed.unwrap_or(options.seed);
    options.products = products;
    (options.rerank, options.missing, options.force) = (arguments.rerank, arguments.missing, arguments.force);
    Ok(options)
}

fn with_bar(options: &EvaluateOptions) -> anyhow::Result<Vec<Evaluated>> {
    let mut bar = None;
    let evaluated = evaluate(options, &mut |name, done, all| {
        bar.get_or_insert_with(|| Bar::new("scoring", all as u64)).set(done as u64, || name.to_string());
    })?;
    if let Some(bar) = &bar {
        bar.finish();
    }
    Ok(evaluated)
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
        for (name, score) in scores.rows() {
            print(&format!("  {name:36}{}", line(score)))?;
        }
        for curve in &scores.missing {
            let points: Vec<String> = curve
                .points
                .iter()
                .map(|(share, score)| format!("{:.0} % {}", share * 100.0, show(score.value).trim()))
                .collect();
            let name = format!("{}, {} away, {}", curve.score, curve.away.name(), curve.stand_in);
            print(&format!("  {name:52} {}", points.join("  ")))?;
        }
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

/// From this chance on, a share of hits tells next to nothing.
const NEARLY_ALL: f64 = 0.8;

/// Why R@10 says little about the model, where it does.
pub fn says_little(scores: &Scores) -> Option<String> {
    let retrieval = scores.retrieval?;
    let cure = "judge by R@1, or score more pairs";
    let chance = [retrieval.image_to_text.r10.chance, retrieval.text_to_image.r10.chance];
    let chance = chance.into_iter().flatten().reduce(f64::max);
    match (scores.pairs, chance) {
        (pairs @ ..=ALL_FOUND, _) => {
            let noun = if pairs == 1 { "pair was" } else { "pairs were" };
            Some(format!(
                "R@10 says nothing here: only {pairs} {noun} scored, so any model finds all among ten; {cure}"
            ))
        }
        (_, Some(chance @ NEARLY_ALL..)) => {
            Some(format!("R@10 says little here: a guess among so few pairs reaches {chance:.2} already; {cure}"))
        }
        _ => None,
    }
}

/// Mean and deviation of several models.
fn together(models: Vec<Model<'_>>) -> anyhow::Result<()> {
    print(&format!("mean and deviation of {} models", models.len()))?;
    let evaluated: Vec<Vec<Evaluated>> = models.into_iter().map(|model| model.evaluated).collect();
    let spreads = spread(&evaluated);
    for gallery in spreads.iter().filter(|one| !one.same_pairs).map(|one| &one.gallery).collect::<BTreeSet<_>>() {
        say(&format!(
            "the models were not scored on the same pairs of `{gallery}`, so they have no mean; give --data, --gallery, --hits and \
             --seed, and each is scored alike"
        ));
    }
    for Spread { gallery, score, mean, deviation, .. } in spreads {
        print(&format!("  {gallery:20} {score:36}{} +- {}", show(mean), show(deviation).trim_start()))?;
    }
    Ok(())
}

/// `0.620 [0.550, 0.690]  chance 0.050`; what is undefined is a dash.
fn line(score: Score) -> String {
    format!("{}  chance {}", interval(score), show(score.chance).trim_start())
}

fn interval(score: Score) -> String {
    format!("{} [{}, {}]", show(score.value), show(score.low).trim_start(), show(score.high).trim_start())
}

fn show(value: Option<f64>) -> String {
    format!("{:>8}", value.map_or("-".into(), |value| format!("{value:.3}")))
}
