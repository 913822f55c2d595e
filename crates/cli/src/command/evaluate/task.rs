//! `evaluate` of fine-tuned models.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ptu_data::Split;
use ptu_evaluate::task::{TaskEvaluated, TaskMetric, TaskReport, evaluate_task};
use ptu_evaluate::{EvaluateOptions, Score};
use ptu_kernels::ComputePrecision;
use ptu_metrics::{Resampling, mean_and_deviation};
use ptu_model::files::{read, write_bytes};
use ptu_random::Key;
use ptu_train::folder;
use serde::Serialize;

use super::{Arguments, interval, line, show, with_bar};
use crate::output::{print, say};
use crate::usage::WrongArguments;

/// Scores of the last evaluation of a fine-tuned run.
const SCORES: &str = "task-scores.json";
/// Predictions of the last evaluation of a fine-tuned run.
const PREDICTIONS: &str = "predictions.jsonl";

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

/// The largest description of a task, in bytes.
const LARGEST: u64 = 256 << 20;

/// The kind of the task that the model at this path is fine-tuned for, as in a recipe; `None` if it is not fine-tuned. A description that
/// cannot be read gives an empty kind, and an error when the model is loaded.
pub fn kind(model: &Path) -> Option<String> {
    let path = folder::bundle_of(model).join(ptu_model::TASK);
    path.exists().then(|| {
        let task = read(&path, LARGEST).ok().and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
        task.and_then(|task| Some(task["output"]["kind"].as_str()?.to_string())).unwrap_or_default()
    })
}

/// Whether the model at this path is fine-tuned for classes, labels or answers. Retrieval is scored as that of pre-trained models.
pub fn is_scored_by_task(model: &Path) -> bool {
    kind(model).is_some_and(|kind| kind != super::RETRIEVAL)
}

/// Scores fine-tuned models.
pub fn run(arguments: &Arguments, precision: ComputePrecision) -> anyhow::Result<()> {
    check_request(arguments)?;
    let (mut models, mut first_seed) = (vec![], None);
    for path in &arguments.models {
        let mut options = options(arguments, path, precision)?;
        // All models are scored with the same resamples, whatever seed each was trained with.
        options.seed = *first_seed.get_or_insert(options.seed);
        let evaluated = with_bar(|done| evaluate_task(&options, done))?;
        let compared = match &arguments.compare {
            Some(other) => compare(&evaluated, other, &options)?,
            None => vec![],
        };
        save(path, arguments, &evaluated)?;
        models.push((path, evaluated, compared));
    }
    if arguments.json {
        let report = |(path, evaluated, compared): (&PathBuf, Vec<TaskEvaluated>, Vec<Compared>)| {
            let sources = evaluated.iter().map(|one| (one.name.as_str(), &one.report)).collect();
            serde_json::to_value(ModelReport { model: path, sources, compared })
        };
        let reports: Vec<_> = models.into_iter().map(report).collect::<Result<_, _>>()?;
        return match reports.as_slice() {
            [report] => print(&report.to_string()),
            reports => print(&serde_json::json!({ "models": reports }).to_string()),
        };
    }
    for (path, evaluated, compared) in &models {
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
    if models.len() > 1 { spread(&models) } else { Ok(()) }
}

/// Refuses options that are for pre-trained models.
fn check_request(arguments: &Arguments) -> anyhow::Result<()> {
    let pretrained = [
        ("--gallery", arguments.gallery.is_some()),
        ("--hits", arguments.hits.is_some()),
        ("--label", !arguments.label.is_empty()),
        ("--sentence", !arguments.sentence.is_empty()),
        ("--rerank", arguments.rerank.is_some()),
        ("--missing", arguments.missing),
        ("--trec", arguments.trec.is_some()),
        ("--page", arguments.page.is_some()),
    ];
    if let Some((option, _)) = pretrained.iter().find(|(_, given)| *given) {
        let text = format!("`{option}` scores pre-trained models, and this model is fine-tuned for a task; remove it");
        return Err(WrongArguments(text).into());
    }
    for model in arguments.models.iter().chain(&arguments.compare) {
        super::check_run(model)?;
        if !is_scored_by_task(model) {
            let text = format!(
                "`{}` is pre-trained or fine-tuned for retrieval, and `{}` is fine-tuned for a task: their scores cannot be compared",
                model.display(),
                arguments.models[0].display()
            );
            return Err(WrongArguments(text).into());
        }
    }
    Ok(())
}

fn options(arguments: &Arguments, model: &Path, precision: ComputePrecision) -> anyhow::Result<EvaluateOptions> {
    let device = arguments.work.compute.device.plain();
    let mut options = EvaluateOptions::of(model, arguments.data.clone(), arguments.split, device)?;
    options.config.by.clone_from(&arguments.by);
    options.seed = arguments.seed.unwrap_or(options.seed);
    (options.precision, options.force) = (precision, arguments.force);
    Ok(options)
}

/// Paired differences to another model. Says in what the receipts differ.
fn compare(own: &[TaskEvaluated], other: &Path, options: &EvaluateOptions) -> anyhow::Result<Vec<Compared>> {
    let others = EvaluateOptions::of(other, options.data.clone(), options.split, options.device.clone())?;
    let others = EvaluateOptions { bundle: others.bundle, training: others.training, ..options.clone() };
    let (others, mut compared) = (with_bar(|done| evaluate_task(&others, done))?, vec![]);
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

/// Saves scores and predictions of the test split of the run's own data in the run's folder.
fn save(path: &Path, arguments: &Arguments, evaluated: &[TaskEvaluated]) -> anyhow::Result<()> {
    if !path.join(folder::RECIPE).exists() || !arguments.data.is_empty() || arguments.split != Split::Test {
        return Ok(());
    }
    let reports: BTreeMap<&str, &TaskReport> = evaluated.iter().map(|one| (one.name.as_str(), &one.report)).collect();
    write_bytes(&path.join(SCORES), &serde_json::to_vec_pretty(&reports)?)?;
    let mut lines = vec![];
    evaluated.iter().try_for_each(|one| one.write_predictions(&mut lines))?;
    Ok(write_bytes(&path.join(PREDICTIONS), &lines)?)
}

/// Prints the scores on one data set.
fn table(evaluated: &TaskEvaluated) -> anyhow::Result<()> {
    let TaskEvaluated { name, report, .. } = evaluated;
    let (receipt, outputs) = (&report.receipt, &report.receipt.outputs);
    print(&format!(
        "{name}, split {}: {} records of {} patients, {} with {outputs}",
        receipt.split, report.records, report.patients, receipt.task
    ))?;
    report.notes.iter().try_for_each(|note| print(&format!("  note: {note}")))?;
    if report.unanswerable > 0 {
        let (count, all) = (report.unanswerable, report.records);
        print(&format!(
            "  note: the right answer of {count} of {all} questions is not in the answer set; they count as wrong"
        ))?;
    }
    if report.cut > 0 {
        print(&format!("  note: {} texts are longer than the model reads; only the beginning was read", report.cut))?;
    }
    let undefined = report.counts.iter().filter(|count| count.with == 0 || count.without == 0).count();
    if undefined > 0 && receipt.task == "multilabel" {
        print(&format!("  note: {undefined} labels have no positives or no negatives and are not in the means"))?;
    }
    // A score that is not defined, such as that of open questions where there are none, is not displayed.
    for score in report.scores.iter().filter(|score| score.score.value.is_some()) {
        print(&format!("  {:36}{}", score.name, line(score.score)))?;
    }
    if let Some(baseline) = &report.baseline {
        print(&format!("  baseline: {:26}{}", baseline.name, interval(baseline.score)))?;
        print(&format!("  {:36}{}", "accuracy minus baseline", interval(baseline.difference)))?;
    }
    for one in report.reliance.iter().filter(|one| one.score.value.is_some()) {
        let name = format!("{}, {}", one.metric, one.image.name());
        print(&format!("  {name:52}{}  lost {}", show(one.score.value), interval(one.cost).trim_start()))?;
    }
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

/// Prints mean and standard deviation over several models.
fn spread(models: &[(&PathBuf, Vec<TaskEvaluated>, Vec<Compared>)]) -> anyhow::Result<()> {
    let mut values: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for one in models.iter().flat_map(|(_, evaluated, _)| evaluated) {
        for score in &one.report.scores {
            values.entry((one.name.clone(), score.name.clone())).or_default().extend(score.score.value);
        }
    }
    print(&format!("mean and standard deviation of {} models", models.len()))?;
    for ((source, metric), values) in values.into_iter().filter(|(_, values)| values.len() > 1) {
        let (mean, deviation) = mean_and_deviation(&values);
        print(&format!("  {source:20} {metric:36}{} +- {}", show(mean), show(deviation).trim_start()))?;
    }
    Ok(())
}
