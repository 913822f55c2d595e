//! `evaluate` of fine-tuned models, and of pre-trained ones that classify by sentences.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ptu_data::Split;
use ptu_evaluate::task::{
    ProbeScore, TaskEvaluated, TaskMetric, TaskReport, ZeroShot, evaluate_task, evaluate_zero_shot,
};
use ptu_evaluate::{EvaluateError, EvaluateOptions, Score};
use ptu_infer::task::{ClassSentences, TaskDescription, TaskOutput};
use ptu_kernels::ComputePrecision;
use ptu_metrics::{Resampling, mean_and_deviation};
use ptu_model::files::write_bytes;
use ptu_model::generate::GenerationConfig;
use ptu_random::Key;
use ptu_train::folder;
use ptu_workflow::page;
use serde::Serialize;

use super::super::check_model;
use super::super::generation::in_options;
use super::{Arguments, GenerationOptions, StandInName, interval, line, show, with_bar};
use crate::output::{print, say};
use crate::usage::WrongArguments;

/// File of the predictions of the last evaluation of a fine-tuned run.
const PREDICTIONS: &str = "predictions.jsonl";
/// Files of the scores and predictions of the last zero-shot classification of a pre-trained run.
const ZERO_SHOT_FILES: [&str; 2] = ["zero-shot-scores.json", "zero-shot-predictions.jsonl"];

/// A model and its scores.
#[derive(Serialize)]
struct ModelReport<'a> {
    model: &'a Path,
    /// Scores by data set.
    sources: BTreeMap<&'a str, &'a TaskReport>,
    /// This model minus the one of `--compare`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    compared: Vec<Compared>,
}

/// The paired difference of two models.
#[derive(Serialize)]
struct Compared {
    source: String,
    metric: String,
    difference: Score,
}

/// The outputs of the task that the model at this path is fine-tuned for; `None` if it is not fine-tuned.
fn output_of(model: &Path) -> anyhow::Result<Option<TaskOutput>> {
    let folder = folder::bundle_of(model)?;
    let is_finetuned = folder.join(ptu_model::TASK).exists();
    Ok(if is_finetuned { Some(TaskDescription::read(&folder)?.output) } else { None })
}

/// The kind of the task that the model at this path is fine-tuned for, as in a recipe; `None` if it is not fine-tuned.
pub fn kind(model: &Path) -> anyhow::Result<Option<&'static str>> {
    Ok(output_of(model)?.map(|output| output.kind()))
}

/// Whether the model at this path is fine-tuned for classes, labels, answers or texts. Retrieval is scored as that of pre-trained models.
pub fn is_scored_by_task(model: &Path) -> anyhow::Result<bool> {
    Ok(kind(model)?.is_some_and(|kind| kind != super::RETRIEVAL))
}

/// Scores fine-tuned models, or the zero-shot classification of pre-trained ones.
pub fn run(arguments: &Arguments, precision: ComputePrecision) -> anyhow::Result<()> {
    check_request(arguments)?;
    let sentences = arguments.zero_shot.as_deref().map(ClassSentences::read).transpose()?;
    let label = arguments.label.first().map(String::as_str);
    let zero_shot = sentences.as_ref().map(|sentences| ZeroShot { sentences, label });
    let score = |options: &EvaluateOptions| {
        let scored = with_bar("scoring", |done| match &zero_shot {
            Some(zero_shot) => evaluate_zero_shot(options, zero_shot, done),
            None => evaluate_task(options, done),
        });
        scored.map_err(|error| match error.downcast() {
            Ok(EvaluateError::Infer(error)) => in_options(error),
            Ok(other) => other.into(),
            Err(error) => error,
        })
    };
    let (mut models, mut first_seed) = (vec![], None);
    for path in &arguments.models {
        let mut options = options(arguments, path, precision)?;
        let own_seed = options.seed;
        // All models are scored with the same resamples, whatever seed each was trained with.
        options.seed = *first_seed.get_or_insert(options.seed);
        let evaluated = score(&options)?;
        let compared = match &arguments.compare {
            Some(other) => compare(&evaluated, other, (arguments, &options), &score)?,
            None => vec![],
        };
        if let Some(file) = &arguments.predictions {
            write_bytes(file, &predictions(&evaluated)?)?;
        }
        // Scores with the seed of another run would not be those of this run's recipe.
        if options.seed == own_seed {
            save(path, arguments, &evaluated)?;
        }
        models.push((path, evaluated, compared));
    }
    if let (Some(file), [(path, evaluated, _)]) = (&arguments.page, models.as_slice()) {
        let mut page = page::of_task_run(path, evaluated)?;
        page.title = format!("Run {}", path.display());
        write_bytes(file, ptu_report::render(&page).as_bytes())?;
    }
    if arguments.json {
        let report = |(path, evaluated, compared): Scored<'_>| {
            let sources = evaluated.iter().map(|one| (one.name.as_str(), &one.report)).collect();
            serde_json::to_value(ModelReport { model: path, sources, compared })
        };
        let reports: Vec<_> = models.into_iter().map(report).collect::<Result<_, _>>()?;
        return match reports.as_slice() {
            [report] => print(&report.to_string()),
            reports => print(&serde_json::json!({ "models": reports }).to_string()),
        };
    }
    tables(arguments, &models)
}

/// A model with its scores and what it was compared with.
type Scored<'a> = (&'a PathBuf, Vec<TaskEvaluated>, Vec<Compared>);

/// Prints the scores of all models.
fn tables(arguments: &Arguments, models: &[Scored<'_>]) -> anyhow::Result<()> {
    for (path, evaluated, compared) in models {
        if models.len() > 1 {
            print(&path.display().to_string())?;
        }
        evaluated.iter().try_for_each(table)?;
        if let Some(other) = arguments.compare.as_ref().filter(|_| !compared.is_empty()) {
            print(&format!("first minus {}, on the same records", other.display()))?;
        }
        for Compared { source, metric, difference } in compared {
            print(&format!("  {source:20} {metric:36}{}", interval(*difference)))?;
        }
    }
    if models.len() > 1 { spread(models) } else { Ok(()) }
}

/// Refuses options that are for other scores, and models that cannot be scored together.
fn check_request(arguments: &Arguments) -> anyhow::Result<()> {
    super::check_page_request(arguments)?;
    super::check_different(&arguments.models)?;
    if arguments.predictions.is_some() && arguments.models.len() > 1 {
        return Err(WrongArguments("`--predictions` writes those of one model; name one model".into()).into());
    }
    if arguments.zero_shot.is_none() { check_finetuned(arguments) } else { check_zero_shot(arguments) }
}

/// Refuses options and models that have no place in zero-shot classification.
fn check_zero_shot(arguments: &Arguments) -> anyhow::Result<()> {
    let others = [
        ("--gallery", arguments.gallery.is_some()),
        ("--hits", arguments.hits.is_some()),
        ("--sentence", !arguments.sentence.is_empty()),
        ("--rerank", arguments.rerank.is_some()),
        ("--missing", arguments.missing),
        ("--probe", arguments.probe.is_some()),
        ("--stand-in", arguments.stand_in != StandInName::Prompts),
    ];
    if let Some((option, _)) = others.iter().find(|(_, given)| *given) {
        return Err(WrongArguments(format!("`{option}` has no meaning with `--zero-shot`; remove one of them")).into());
    }
    if arguments.label.len() > 1 {
        let text = "`--zero-shot` classifies by one label; give `--label` once, or leave it out where each class is a label of its own";
        return Err(WrongArguments(text.into()).into());
    }
    for model in arguments.models.iter().chain(&arguments.compare) {
        check_model(model)?;
        if kind(model)?.is_some() {
            let text = format!(
                "`{}` is fine-tuned for a task, and `--zero-shot` scores pre-trained models; remove `--zero-shot`, or name a pre-trained \
                 model",
                model.display()
            );
            return Err(WrongArguments(text).into());
        }
    }
    Ok(())
}

/// Refuses options that are for pre-trained models, and models of another task.
fn check_finetuned(arguments: &Arguments) -> anyhow::Result<()> {
    let pretrained = [
        ("--gallery", arguments.gallery.is_some()),
        ("--hits", arguments.hits.is_some()),
        ("--label", !arguments.label.is_empty()),
        ("--sentence", !arguments.sentence.is_empty()),
        ("--rerank", arguments.rerank.is_some()),
        ("--trec", arguments.trec.is_some()),
    ];
    if let Some((option, _)) = pretrained.iter().find(|(_, given)| *given) {
        let text = format!("`{option}` scores pre-trained models, and this model is fine-tuned for a task; remove it");
        return Err(WrongArguments(text).into());
    }
    for model in arguments.models.iter().chain(&arguments.compare) {
        check_model(model)?;
        let writes = output_of(model)?.is_some_and(|output| output.written().is_some());
        if writes && arguments.stand_in != StandInName::Prompts {
            let text = format!(
                "`{}` writes texts, always with prompts in place of what is missing; omit `--stand-in`",
                model.display()
            );
            return Err(WrongArguments(text).into());
        }
        if !is_scored_by_task(model)? {
            let text = format!(
                "`{}` is pre-trained or fine-tuned for retrieval, and `{}` is fine-tuned for a task: their scores cannot be compared",
                model.display(),
                arguments.models[0].display()
            );
            return Err(WrongArguments(text).into());
        }
    }
    if let Some(probe) = &arguments.probe {
        check_model(probe)?;
    }
    let others = arguments.models.iter().skip(1).chain(&arguments.compare);
    others.into_iter().try_for_each(|other| check_same_task(&arguments.models[0], other))
}

fn options(arguments: &Arguments, model: &Path, precision: ComputePrecision) -> anyhow::Result<EvaluateOptions> {
    let device = arguments.work.compute.device.plain();
    let mut options = EvaluateOptions::of(model, arguments.data.clone(), arguments.split, device)?;
    options.config.by.clone_from(&arguments.by);
    options.seed = arguments.seed.unwrap_or(options.seed);
    (options.precision, options.missing, options.force) = (precision, arguments.missing, arguments.force);
    options.generation = generation(arguments, model)?;
    options.probe = arguments.probe.as_deref().map(folder::bundle_of).transpose()?;
    options.probe_space = arguments.probe_space.space();
    options.stand_in = arguments.stand_in.stand_in();
    Ok(options)
}

/// How a model generates texts, if the options say so.
fn generation(arguments: &Arguments, model: &Path) -> anyhow::Result<Option<GenerationConfig>> {
    match output_of(model)? {
        Some(output) => Ok(arguments.generation.of(&output)?),
        None => Ok(None),
    }
}

/// Refuses to compare models of different tasks.
fn check_same_task(own: &Path, other: &Path) -> anyhow::Result<()> {
    let task = |model: &Path| anyhow::Ok(TaskDescription::read(&folder::bundle_of(model)?)?.output);
    let (mine, others) = (task(own)?, task(other)?);
    // Answer sets may differ, since each model answers the same questions in words of its own.
    let is_same = mine.kind() == others.kind() && (mine.kind() == "vqa" || mine.names() == others.names());
    let described = |output: &TaskOutput| {
        let names = output.names();
        let shown = names.iter().take(4).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        format!(
            "{} with {} outputs ({shown}{})",
            output.kind(),
            names.len(),
            if names.len() > 4 { ", ..." } else { "" }
        )
    };
    match is_same {
        true => Ok(()),
        false => Err(WrongArguments(format!(
            "`{}` is fine-tuned for {}, and `{}` for {}: their scores cannot be compared; name a model of the same task",
            own.display(),
            described(&mine),
            other.display(),
            described(&others)
        ))
        .into()),
    }
}

/// Paired differences to another model. Says in what the receipts differ.
fn compare(
    own: &[TaskEvaluated],
    other: &Path,
    (arguments, options): (&Arguments, &EvaluateOptions),
    score: &dyn Fn(&EvaluateOptions) -> anyhow::Result<Vec<TaskEvaluated>>,
) -> anyhow::Result<Vec<Compared>> {
    let others = EvaluateOptions::of(other, options.data.clone(), options.split, options.device.clone())?;
    let generation = generation(arguments, other)?;
    let others = EvaluateOptions {
        bundle: others.bundle,
        training: others.training,
        is_own_data: false,
        probe: None,
        generation,
        ..options.clone()
    };
    let (others, mut compared) = (score(&others)?, vec![]);
    let resampling = Resampling::new(Key::new(options.seed));
    for (own, other) in own.iter().zip(&others) {
        let differences = own.report.receipt.differences(&other.report.receipt);
        if !differences.is_empty() {
            say(&format!("{}: the two evaluations differ in {}", own.name, differences.join(", ")));
        }
        for metric in TaskMetric::of(&own.task.output) {
            if let Some(difference) = own.scorer().difference(&other.scorer(), metric, &resampling) {
                compared.push(Compared { source: own.name.clone(), metric: metric.name(&own.task.output), difference });
            }
        }
    }
    Ok(compared)
}

/// Saves scores and predictions of the test split of the run's own data in the run's folder, unless texts were generated in another way
/// than its recipe says, or something else than prompts took the place of what is missing; for pages of a fine-tuned run also examples.
fn save(path: &Path, arguments: &Arguments, evaluated: &[TaskEvaluated]) -> anyhow::Result<()> {
    let is_own = path.join(folder::RECIPE).exists() && arguments.data.is_empty() && arguments.split == Split::Test;
    let is_usual = arguments.generation == GenerationOptions::default() && arguments.stand_in == StandInName::Prompts;
    if !is_own || !is_usual {
        return Ok(());
    }
    let saved = page::task_to_save(evaluated);
    let file = if arguments.zero_shot.is_some() {
        let [scores, predictions] = ZERO_SHOT_FILES;
        write_bytes(&path.join(scores), &serde_json::to_vec_pretty(&saved.reports)?)?;
        predictions
    } else {
        saved.keep(path)?;
        PREDICTIONS
    };
    Ok(write_bytes(&path.join(file), &predictions(evaluated)?)?)
}

/// The predictions as JSON lines.
fn predictions(evaluated: &[TaskEvaluated]) -> anyhow::Result<Vec<u8>> {
    let mut lines = vec![];
    evaluated.iter().try_for_each(|one| one.write_predictions(&mut lines))?;
    Ok(lines)
}

/// Prints the scores on one data set.
fn table(evaluated: &TaskEvaluated) -> anyhow::Result<()> {
    let TaskEvaluated { name, report, .. } = evaluated;
    print(&report.title(name))?;
    report.remarks().iter().try_for_each(|note| print(&format!("  note: {note}")))?;
    // A score that is not defined, such as that of open questions where there are none, is not displayed.
    for score in report.scores.iter().filter(|score| score.score.value.is_some()) {
        // What a text scores by chance is not known; the baseline shows what is easy.
        let shown = if score.score.chance.is_some() { line(score.score) } else { interval(score.score) };
        print(&format!("  {:36}{shown}", report.score_name(score)))?;
    }
    comparisons(report)?;
    if let Some(calibration) = &report.calibration {
        let after = calibration.after.map_or(String::new(), |after| {
            format!(", {after:.3} at temperature {:.2} (fitted on validate)", calibration.temperature.unwrap_or(1.0))
        });
        print(&format!("  calibration error {}{after}", show(calibration.before).trim_start()))?;
    }
    for (field, groups) in &report.groups {
        for group in groups {
            let name = format!("{field} = {} ({} records)", group.value, group.records);
            print(&format!("  {name:36}{}", line(group.score)))?;
        }
    }
    Ok(())
}

/// Prints the scores beside those of the baseline, of the linear probe and of replaced images.
fn comparisons(report: &TaskReport) -> anyhow::Result<()> {
    if let Some(baseline) = &report.baseline {
        print(&format!("  baseline: {:26}{}", baseline.name, interval(baseline.score)))?;
        print(&format!(
            "  {:36}{}",
            format!("{} minus baseline", report.scores.first().map_or("score", |score| score.name.as_str())),
            interval(baseline.difference)
        ))?;
    }
    if let Some(probe) = &report.probe {
        print(&format!("  {} with penalty {}", probe.title(), probe.penalty))?;
        for ProbeScore { metric, score, difference } in probe.scores.iter().filter(|one| one.score.value.is_some()) {
            print(&format!("  {:36}{}", format!("{metric}, probe"), interval(*score)))?;
            print(&format!("  {:36}{}", format!("{metric} minus probe"), interval(*difference)))?;
        }
    }
    for one in report.reliance.iter().filter(|one| one.score.value.is_some()) {
        let name = format!("{}, {}", one.metric, one.image.name());
        print(&format!("  {name:52}{}  lost {}", show(one.score.value), interval(one.cost).trim_start()))?;
    }
    report.missing.iter().try_for_each(super::curve)
}

/// In what the evaluations of several models differ, apart from the models and their answer sets.
fn differences(models: &[Scored<'_>]) -> BTreeSet<&'static str> {
    let Some(((_, first, _), others)) = models.split_first() else { return BTreeSet::new() };
    let mut differing = BTreeSet::new();
    for (_, other, _) in others {
        let names = |evaluated: &[TaskEvaluated]| evaluated.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        if names(first) != names(other) {
            differing.insert("data");
        }
        for (one, other) in first.iter().zip(other) {
            differing.extend(one.report.receipt.differences(&other.report.receipt));
        }
    }
    differing.remove("outputs");
    differing
}

/// Prints mean and standard deviation over several models. If they were not scored alike, says so instead.
fn spread(models: &[Scored<'_>]) -> anyhow::Result<()> {
    let differing = differences(models);
    if !differing.is_empty() {
        let differing = differing.into_iter().collect::<Vec<_>>().join(", ");
        say(&format!(
            "the models were not scored alike, so they have no mean: they differ in {differing}; give --data, --split and the options of \
             generation to score all of them alike"
        ));
        return Ok(());
    }
    let mut values: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for one in models.iter().flat_map(|(_, evaluated, _)| evaluated) {
        for score in &one.report.scores {
            values.entry((one.name.clone(), score.name.clone())).or_default().extend(score.score.value);
        }
    }
    print(&format!("mean and standard deviation of {} models", models.len()))?;
    for ((source, metric), values) in values.into_iter().filter(|(_, values)| values.len() == models.len()) {
        let (mean, deviation) = mean_and_deviation(&values);
        print(&format!("  {source:20} {metric:36}{} +- {}", show(mean), show(deviation).trim_start()))?;
    }
    Ok(())
}
