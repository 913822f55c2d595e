//! Lines of scores of tasks, computed from saved predictions and ranks: a model beside a baseline on the same records, each the mean over
//! seeds, with intervals by patient.
//!
//! Beside the lines, [`save`] writes where their predictions lie, so that `tools/interop/task_lines.py` can compute them again.

use std::fmt;
use std::ops::Add;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ptu_metrics::auroc;
use ptu_metrics::text::{BleuCounts, Compared as ComparedTexts, ptb_tokens, rouge_l, rouge_tokens};
use serde_json::{Value, json};

use crate::paired::PairedScore;
use crate::process::json_lines;

/// The file with the lines.
const LINES: &str = "lines.txt";
/// The file with where the predictions of each line are.
const SOURCES: &str = "lines.jsonl";

/// How a task is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Share of right answers.
    Accuracy,
    /// AUROC, the mean over labels, and over folds if there are some. Labels without positives or negatives are left out.
    Auroc,
    /// Mean of R@1, R@5 and R@10 over the queries of both directions.
    MeanRecall,
    /// BLEU-4 of the corpus.
    Bleu4,
    /// ROUGE-L, mean over texts.
    RougeL,
}

impl Metric {
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Auroc => "AUROC",
            Self::MeanRecall => "mean-recall",
            Self::Bleu4 => "BLEU-4",
            Self::RougeL => "ROUGE-L",
        }
    }
}

/// One way to predict the records of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Its name in the lines.
    pub name: String,
    /// For each seed, the files of predictions or ranks; a task by folds has one for each fold.
    pub seeds: Vec<Vec<PathBuf>>,
    /// What is taken from the files.
    pub taken: Taken,
}

/// What is taken from a file of predictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The predictions of the model.
    Own,
    /// Those that were made in another way ("baseline", "probe", "other", ...).
    Other(&'static str),
    /// What a random order of the candidates, or a constant, would score.
    Chance,
}

impl Way {
    /// The own predictions in one file for each seed.
    pub fn own(name: &str, files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { name: name.into(), seeds: files.into_iter().map(|file| vec![file]).collect(), taken: Taken::Own }
    }

    /// What was predicted for the same records in another way.
    pub fn other(&self, name: &'static str) -> Self {
        Self { name: name.into(), taken: Taken::Other(name), ..self.clone() }
    }

    /// Chance on the same records.
    pub fn chance(&self) -> Self {
        Self { name: "chance".into(), taken: Taken::Chance, ..self.clone() }
    }

    /// The first seed alone, for what does not depend on the seed.
    pub fn first_seed(self) -> Self {
        Self { seeds: self.seeds.into_iter().take(1).collect(), ..self }
    }

    fn source(&self, out: &Path) -> Value {
        let path = |file: &PathBuf| file.strip_prefix(out).unwrap_or(file).display().to_string();
        let seeds: Vec<Vec<String>> = self.seeds.iter().map(|files| files.iter().map(path).collect()).collect();
        let taken = match self.taken {
            Taken::Own => "own",
            Taken::Other(name) => name,
            Taken::Chance => "chance",
        };
        json!({ "name": self.name, "seeds": seeds, "taken": taken })
    }
}

/// What is scored for each record by one model or baseline.
#[derive(Clone, Debug)]
enum Scored {
    /// A value of each record, the mean of which is the score.
    Values(Vec<f64>),
    /// Counts of BLEU of each record.
    Bleu(Vec<BleuCounts>),
    /// Labels of each record.
    Labels(Vec<Labelled>),
}

/// The labels of a record.
#[derive(Clone, Debug)]
struct Labelled {
    fold: usize,
    /// The logit of each label, and whether the label applies, if that is known.
    labels: Vec<(f32, Option<bool>)>,
}

impl Scored {
    fn value(&self, records: &[usize]) -> Option<f64> {
        match self {
            Self::Values(values) => mean(records.iter().map(|record| values[*record])),
            Self::Bleu(counts) => {
                let sum = records.iter().map(|record| counts[*record]).reduce(BleuCounts::add)?;
                Some(sum.scores()[3])
            }
            Self::Labels(all) => {
                let folds = all.iter().map(|one| one.fold + 1).max()?;
                let labels = all.first()?.labels.len();
                let each = (0..folds).flat_map(|fold| (0..labels).map(move |label| (fold, label)));
                let areas = each.filter_map(|(fold, label)| {
                    let of_fold = records.iter().map(|record| &all[*record]).filter(|one| one.fold == fold);
                    auroc(of_fold.filter_map(|one| Some((one.labels[label].0, one.labels[label].1?))))
                });
                mean(areas)
            }
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// The records of a way, and what each seed scores.
struct Read {
    /// What tells the records apart: id and question, or direction and id.
    keys: Vec<String>,
    patients: Vec<String>,
    seeds: Vec<Scored>,
}

impl Read {
    /// Reads the predictions of a way; `None` if some record has none of them.
    fn of(metric: Metric, way: &Way) -> Result<Option<Self>, String> {
        let mut all: Option<Self> = None;
        for files in &way.seeds {
            let folds: Vec<Vec<Value>> = files.iter().map(|file| json_lines(file)).collect::<Result<_, _>>()?;
            let lines: Vec<(usize, &Value)> =
                folds.iter().enumerate().flat_map(|(fold, lines)| lines.iter().map(move |line| (fold, line))).collect();
            let keys: Vec<String> = lines.iter().map(|(_, line)| key(line)).collect();
            let Some(scored) = scored(metric, &way.taken, &lines) else { return Ok(None) };
            let patients = lines.iter().map(|(_, line)| text(line, "patient").to_string()).collect();
            let all = all.get_or_insert_with(|| Self { keys: keys.clone(), patients, seeds: vec![] });
            if all.keys != keys {
                return Err(format!("the seeds of `{}` are about other records", way.name));
            }
            all.seeds.push(scored);
        }
        Ok(all.filter(|all| !all.keys.is_empty()))
    }

    /// The mean over seeds.
    fn value(&self, records: &[usize]) -> Option<f64> {
        let values: Vec<f64> = self.seeds.iter().map(|one| one.value(records)).collect::<Option<_>>()?;
        mean(values.into_iter())
    }

    fn score(&self) -> f64 {
        self.value(&(0..self.keys.len()).collect::<Vec<_>>()).unwrap_or(f64::NEG_INFINITY)
    }
}

fn text<'a>(line: &'a Value, key: &str) -> &'a str {
    line[key].as_str().unwrap_or_default()
}

fn key(line: &Value) -> String {
    format!("{} {} {}", text(line, "direction"), text(line, "id"), text(&line["question"], "id"))
}

/// What predictions score; `None` if a record has none.
fn scored(metric: Metric, taken: &Taken, lines: &[(usize, &Value)]) -> Option<Scored> {
    match metric {
        Metric::MeanRecall => Some(Scored::Values(recalls(taken, lines))),
        Metric::Auroc => {
            let labelled = |&(fold, line): &(usize, &Value)| Some(Labelled { fold, labels: labels(taken, line)? });
            lines.iter().map(labelled).collect::<Option<_>>().map(Scored::Labels)
        }
        Metric::Accuracy => {
            let right = |(_, line): &(usize, &Value)| {
                Some(f64::from(u8::from(line["right"].as_str() == Some(predicted(taken, line)?))))
            };
            lines.iter().map(right).collect::<Option<_>>().map(Scored::Values)
        }
        Metric::Bleu4 | Metric::RougeL => {
            let tokens = |text: &str| if metric == Metric::Bleu4 { ptb_tokens(text) } else { rouge_tokens(text, true) };
            let pair = |(_, line): &(usize, &Value)| {
                Some((tokens(predicted(taken, line)?), vec![tokens(text(line, "reference"))]))
            };
            let pairs: Vec<(Vec<String>, Vec<Vec<String>>)> = lines.iter().map(pair).collect::<Option<_>>()?;
            let compared = pairs.iter().map(|(hypothesis, references)| ComparedTexts { hypothesis, references });
            let compared: Vec<_> = compared.collect();
            Some(match metric {
                Metric::Bleu4 => Scored::Bleu(compared.iter().filter_map(BleuCounts::of).collect()),
                _ => Scored::Values(rouge_l(&compared).texts.into_iter().flatten().collect()),
            })
        }
    }
}

/// The class, answer or text.
fn predicted<'a>(taken: &Taken, line: &'a Value) -> Option<&'a str> {
    match taken {
        Taken::Own => line["predicted"].as_str().or(line["text"].as_str()),
        Taken::Other(name) => line["others"][name].as_str(),
        Taken::Chance => None,
    }
}

/// The logit of each label, and whether it applies.
fn labels(taken: &Taken, line: &Value) -> Option<Vec<(f32, Option<bool>)>> {
    let truths = line["labels"].as_array()?;
    let logits: Vec<f32> = match taken {
        Taken::Chance => vec![0.0; truths.len()],
        Taken::Own => numbers(&line["logits"])?,
        Taken::Other(name) => numbers(&line["other_logits"][name])?,
    };
    (logits.len() == truths.len()).then(|| logits.into_iter().zip(truths.iter().map(Value::as_bool)).collect())
}

fn numbers(value: &Value) -> Option<Vec<f32>> {
    value.as_array()?.iter().map(|number| Some(number.as_f64()? as f32)).collect()
}

/// The mean of R@1, R@5 and R@10 of each query.
fn recalls(taken: &Taken, lines: &[(usize, &Value)]) -> Vec<f64> {
    let candidates = lines.len() as u64 / 2;
    let recall = |(_, line): &(usize, &Value)| {
        let within = |k: u64| match taken {
            Taken::Chance => chance(candidates, line["hits"].as_u64().unwrap_or(0), k),
            _ => f64::from(u8::from(line["rank"].as_u64().is_some_and(|rank| rank <= k))),
        };
        [1, 5, 10].map(within).iter().sum::<f64>() / 3.0
    };
    lines.iter().map(recall).collect()
}

/// The probability that at least one of the hits is among the first `k` of a random order of the candidates.
fn chance(candidates: u64, hits: u64, k: u64) -> f64 {
    let missed = (0..k.min(candidates))
        .map(|place| candidates.saturating_sub(hits).saturating_sub(place) as f64 / (candidates - place) as f64);
    1.0 - missed.product::<f64>()
}

/// The score of a model beside a baseline, in one line.
pub struct Line {
    /// What the line says: `task`, `trivial`, `reliance`, ...
    kind: &'static str,
    task: String,
    metric: Metric,
    score: PairedScore,
    model: Way,
    /// The baseline with the best score.
    against: Way,
    /// All baselines that were compared.
    baselines: Vec<Way>,
}

impl Line {
    /// The score of a model beside the best of several baselines. Those that the files do not have are left out.
    ///
    /// # Errors
    /// If a file cannot be read, there is no baseline, or predictions are about other records.
    pub fn of(kind: &'static str, task: &str, metric: Metric, model: &Way, baselines: &[Way]) -> Result<Self, String> {
        let own = Read::of(metric, model)?.ok_or("a record has no prediction")?;
        let (mut found, mut best): (Vec<Way>, Option<(Read, Way)>) = (vec![], None);
        for way in baselines {
            let Some(read) = Read::of(metric, way)? else { continue };
            if read.keys != own.keys {
                return Err(format!("the model and `{}` predicted other records", way.name));
            }
            found.push(way.clone());
            if best.as_ref().is_none_or(|(best, _)| read.score() > best.score()) {
                best = Some((read, way.clone()));
            }
        }
        let (other, against) = best.ok_or("there is no baseline")?;
        let score = PairedScore::of(
            &own.patients,
            |records: &[usize]| own.value(records),
            |records: &[usize]| other.value(records),
        );
        Ok(Self { kind, task: task.into(), metric, score, model: model.clone(), against, baselines: found })
    }

    fn source(&self, out: &Path) -> Value {
        json!({
            "line": self.to_string(), "metric": self.metric.name(), "model": self.model.source(out),
            "against": self.against.source(out),
            "baselines": self.baselines.iter().map(|way| way.source(out)).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, task, metric, score, against, .. } = self;
        write!(out, "{kind} {task} metric {} {score} against {}", metric.name(), against.name)
    }
}

/// The lines of a task, or why it failed.
pub type TaskLines = Result<Vec<Line>, String>;

/// Does each task with this name and prints its lines, and the seconds since the start. With `saves`, the lines are written into two files of a
/// folder.
///
/// # Errors
/// If a task fails, after all were done, or if the files cannot be written.
pub fn run_tasks<'t, T: Copy>(
    (out, saves): (&Path, bool),
    tasks: &[T],
    name: impl Fn(T) -> &'t str,
    lines: impl Fn(T) -> TaskLines,
) -> Result<(), String> {
    let (start, mut found): (_, Vec<(&str, TaskLines)>) = (Instant::now(), vec![]);
    for &task in tasks {
        let (name, lines) = (name(task), lines(task));
        print!("{}", shown(name, &lines));
        found.push((name, lines));
        eprintln!("{name}: {:.0} s since the start", start.elapsed().as_secs_f64());
    }
    if saves {
        save(out, &found)?;
    }
    let failed = found.iter().filter(|(_, lines)| lines.is_err()).count();
    if failed > 0 { Err(format!("{failed} tasks failed")) } else { Ok(()) }
}

/// Writes the lines of all tasks into two files of a folder.
fn save(out: &Path, tasks: &[(&str, TaskLines)]) -> Result<(), String> {
    let (mut lines, mut sources) = (String::new(), String::new());
    for (name, found) in tasks {
        lines += &shown(name, found);
        for line in found.iter().flatten() {
            sources += &format!("{}\n", line.source(out));
        }
    }
    for (name, text) in [(LINES, lines), (SOURCES, sources)] {
        std::fs::write(out.join(name), text).map_err(|error| format!("cannot write `{name}`: {error}"))?;
    }
    Ok(())
}

/// The lines of a task as they are printed.
fn shown(name: &str, found: &TaskLines) -> String {
    match found {
        Ok(lines) => lines.iter().map(|line| format!("{line}\n")).collect(),
        Err(cause) => format!("failed {name} {}\n", cause.replace('\n', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of predictions in a folder of the test's own.
    fn file(name: &str, lines: &[Value]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ptunifier-task-lines-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        path
    }

    fn answered(predicted: &[&str]) -> Vec<Value> {
        let line = |(place, predicted): (usize, &&str)| {
            json!({ "id": place.to_string(), "patient": place.to_string(), "right": "yes", "predicted": predicted,
                    "others": { "baseline": "no", "missing": if place == 0 { "yes" } else { "no" }, "other": "yes" } })
        };
        predicted.iter().enumerate().map(line).collect()
    }

    #[test]
    fn the_line_compares_the_mean_over_seeds_with_the_best_baseline() {
        let model = Way::own(
            "model",
            [file("one", &answered(&["yes", "yes", "yes", "no"])), file("two", &answered(&["yes", "yes", "no", "no"]))],
        );
        let baselines = ["baseline", "missing", "probe"].map(|name| model.other(name).first_seed());
        let line = Line::of("task", "x", Metric::Accuracy, &model, &baselines).unwrap();
        let shown = line.to_string();
        assert!(shown.starts_with("task x metric accuracy n 4 value 0.6250 "), "{shown}");
        assert!(shown.contains(" baseline 0.2500 diff 0.3750 ") && shown.ends_with("against missing"), "{shown}");
        assert_eq!(line.baselines.len(), 2, "there is no probe in the files");
        assert!(Line::of("task", "x", Metric::Accuracy, &model, &[]).is_err());
        let fewer = Way::own("fewer", [file("three", &answered(&["yes"]))]);
        assert!(
            Line::of("task", "x", Metric::Accuracy, &model, &[fewer]).is_err_and(|why| why.contains("other records"))
        );
    }

    #[test]
    fn areas_are_means_over_labels_and_folds() {
        let line = |id: u32, logits: [f32; 2], labels: [Option<bool>; 2]| {
            json!({ "id": id.to_string(), "patient": id.to_string(), "logits": logits, "labels": labels,
                    "other_logits": { "probe": [-logits[0], logits[1]] } })
        };
        let (yes, no) = (Some(true), Some(false));
        let first = [line(0, [2.0, 0.0], [yes, None]), line(1, [1.0, 0.0], [no, no]), line(2, [0.0, 0.0], [no, None])];
        let second = [line(3, [5.0, 1.0], [no, yes]), line(4, [4.0, 0.0], [yes, no])];
        let model = Way { seeds: vec![vec![file("a", &first), file("b", &second)]], ..Way::own("model", []) };
        let all: Vec<usize> = (0..5).collect();
        let value = |way: &Way| Read::of(Metric::Auroc, way).unwrap().unwrap().value(&all).unwrap();
        // Label 0: 1 and 0; label 1 has both states in the second fold only: 1.
        assert!((value(&model) - 2.0 / 3.0).abs() < 1e-9);
        assert!((value(&model.other("probe")) - 2.0 / 3.0).abs() < 1e-9);
        assert!((value(&model.chance()) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn chance_of_a_ranking_is_that_of_a_random_order() {
        assert!((chance(20, 1, 10) - 0.5).abs() < 1e-9 && (chance(4, 2, 1) - 0.5).abs() < 1e-9);
        assert!((chance(4, 2, 2) - (1.0 - 1.0 / 6.0)).abs() < 1e-9);
        assert_eq!((chance(5, 1, 10), chance(5, 0, 3)), (1.0, 0.0));
        let rank = |direction: &str, rank: u64| json!({ "direction": direction, "id": "a", "patient": "p", "rank": rank, "hits": 1 });
        let lines = [rank("image-to-text", 1), rank("text-to-image", 7)];
        let lines: Vec<(usize, &Value)> = lines.iter().map(|line| (0, line)).collect();
        let found = recalls(&Taken::Own, &lines);
        assert!((found[0] - 1.0).abs() < 1e-9 && (found[1] - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn texts_that_are_equal_score_one() {
        let line = json!({ "id": "a", "patient": "p", "reference": "the heart is very large", "text": "the heart is very large" });
        let way = Way::own("model", [file("text", &[line])]);
        for metric in [Metric::Bleu4, Metric::RougeL] {
            let value = Read::of(metric, &way).unwrap().unwrap().score();
            assert!((value - 1.0).abs() < 1e-6, "{value}");
        }
    }
}
