//! Scores of a task, computed from its saved predictions: the mean over seeds, beside a baseline on the same records, with intervals by
//! patient.

use std::fmt;
use std::ops::Add;
use std::path::{Path, PathBuf};

use ptu_metrics::text::{BleuCounts, Compared as ComparedTexts, ptb_tokens, rouge_l, rouge_tokens};
use serde_json::Value;

use super::task::{Metric, PROBE, PhantomTask};
use crate::paired::PairedScore;
use crate::process::json_lines;

/// What is scored for each record by one model or baseline.
#[derive(Clone, Debug)]
enum Scored {
    /// A value of each record, the mean of which is the score.
    Values(Vec<f64>),
    /// Counts of BLEU of each record.
    Bleu(Vec<BleuCounts>),
}

/// The runs of a task, one for each seed, beside another way to predict the same records.
pub struct Compared {
    /// The name of the other way.
    pub name: String,
    patients: Vec<String>,
    /// For each seed, what the model scores.
    runs: Vec<Scored>,
    /// For each seed, what the other way scores.
    others: Vec<Scored>,
}

impl Scored {
    fn value(&self, records: &[usize]) -> Option<f64> {
        match self {
            Self::Values(values) => {
                let sum: f64 = records.iter().map(|record| values[*record]).sum();
                (!records.is_empty()).then(|| sum / records.len() as f64)
            }
            Self::Bleu(counts) => {
                let sum = records.iter().map(|record| counts[*record]).reduce(BleuCounts::add)?;
                Some(sum.scores()[3])
            }
        }
    }
}

/// The mean over seeds.
fn mean(scored: &[Scored], records: &[usize]) -> Option<f64> {
    let values: Vec<f64> = scored.iter().map(|one| one.value(records)).collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn text<'a>(line: &'a Value, key: &str) -> &'a str {
    line[key].as_str().unwrap_or_default()
}

/// What predictions score; `prediction` gives that of a line.
fn scored(metric: Metric, lines: &[Value], prediction: &dyn Fn(&Value) -> Option<String>) -> Option<Scored> {
    let predictions: Vec<String> = lines.iter().map(prediction).collect::<Option<_>>()?;
    let compared = |tokens: &dyn Fn(&str) -> Vec<String>| -> Vec<(Vec<String>, Vec<Vec<String>>)> {
        let each = lines.iter().zip(&predictions);
        each.map(|(line, predicted)| (tokens(predicted), vec![tokens(text(line, "reference"))])).collect()
    };
    let texts = |tokens: &[(Vec<String>, Vec<Vec<String>>)]| -> Scored {
        let compared = tokens.iter().map(|(hypothesis, references)| ComparedTexts { hypothesis, references });
        let compared: Vec<_> = compared.collect();
        match metric {
            Metric::Bleu4 => Scored::Bleu(compared.iter().filter_map(BleuCounts::of).collect()),
            _ => Scored::Values(rouge_l(&compared).texts.into_iter().flatten().collect()),
        }
    };
    Some(match metric {
        Metric::Bleu4 => texts(&compared(&ptb_tokens)),
        Metric::RougeL => texts(&compared(&|text: &str| rouge_tokens(text, true))),
        Metric::Accuracy | Metric::MeanRecall => {
            let right = |(line, predicted): (&Value, &String)| line["right"].as_str() == Some(predicted.as_str());
            Scored::Values(lines.iter().zip(&predictions).map(|pair| f64::from(u8::from(right(pair)))).collect())
        }
    })
}

impl Compared {
    /// Compares the predictions of the runs with each other way that their files have for all records.
    pub fn of_predictions(task: PhantomTask, runs: &[PathBuf]) -> Result<Vec<Self>, String> {
        let all: Vec<Vec<Value>> =
            runs.iter().map(|run| json_lines(&run.join("predictions.jsonl"))).collect::<Result<_, _>>()?;
        let first = all.first().filter(|lines| !lines.is_empty()).ok_or("there are no predictions")?;
        let patients: Vec<String> = first.iter().map(|line| text(line, "patient").to_string()).collect();
        let metric = task.metric();
        let own = |line: &Value| Some(line["predicted"].as_str().or(line["text"].as_str())?.to_string());
        let scores = |prediction: &dyn Fn(&Value) -> Option<String>| -> Option<Vec<Scored>> {
            all.iter().map(|lines| scored(metric, lines, prediction)).collect()
        };
        let runs = scores(&own).ok_or("a record has no prediction")?;
        let names = task.baselines().iter().copied().chain(["other"]);
        let compared = names.filter_map(|name| {
            let other = |line: &Value| Some(line["others"][name].as_str()?.to_string());
            // A probe of the starting model does not depend on the seed, so only the first run has it.
            let others = match name {
                PROBE => vec![scored(metric, first, &other)?; all.len()],
                _ => scores(&other)?,
            };
            Some(Self { name: name.into(), patients: patients.clone(), runs: runs.clone(), others })
        });
        Ok(compared.collect())
    }

    /// Compares the ranks of runs that are fine-tuned for retrieval with those of the starting model.
    pub fn of_ranks(runs: &[PathBuf], zero_shot: &Path) -> Result<Self, String> {
        let read = |folder: &Path| json_lines(&folder.join("ranks.jsonl"));
        let start = read(zero_shot)?;
        let queries = |lines: &[Value]| -> Vec<String> {
            lines.iter().map(|line| format!("{} {}", text(line, "direction"), text(line, "id"))).collect()
        };
        let recalls = |lines: &[Value]| {
            let within =
                |line: &Value, k: u64| f64::from(u8::from(line["rank"].as_u64().is_some_and(|rank| rank <= k)));
            Scored::Values(
                lines.iter().map(|line| [1, 5, 10].map(|k| within(line, k)).iter().sum::<f64>() / 3.0).collect(),
            )
        };
        let mut scored = vec![];
        for run in runs {
            let ranks = read(&run.join("rankings"))?;
            if queries(&ranks) != queries(&start) {
                return Err("the fine-tuned and the starting model were asked other queries".into());
            }
            scored.push(recalls(&ranks));
        }
        let patients = start.iter().map(|line| text(line, "patient").to_string()).collect();
        Ok(Self { name: "zero-shot".into(), patients, others: vec![recalls(&start); scored.len()], runs: scored })
    }

    fn all(&self) -> Vec<usize> {
        (0..self.patients.len()).collect()
    }
}

/// The scores of a task in one line.
pub struct Line {
    metric: Metric,
    score: PairedScore,
    /// The name of the baseline.
    against: String,
}

impl Line {
    /// The scores of the runs beside the best of the baselines. `other` images are a baseline only if there is no other one.
    pub fn of(metric: Metric, compared: &[Compared]) -> Result<Self, String> {
        let baselines = compared.iter().filter(|one| one.name != "other" || compared.len() == 1);
        let value = |one: &&Compared| mean(&one.others, &one.all()).unwrap_or(f64::NEG_INFINITY);
        let best = baselines.reduce(|best, other| if value(&other) > value(&best) { other } else { best });
        let best = best.ok_or("there is no baseline")?;
        let score = PairedScore::of(
            &best.patients,
            |records: &[usize]| mean(&best.runs, records),
            |records: &[usize]| mean(&best.others, records),
        );
        Ok(Self { metric, score, against: best.name.clone() })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "metric {} {} against {}", self.metric.name(), self.score, self.against)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(name: &str, runs: &[&[f64]], other: &[f64]) -> Compared {
        let scored = |values: &&[f64]| Scored::Values(values.to_vec());
        Compared {
            name: name.into(),
            patients: (0..other.len()).map(|patient| patient.to_string()).collect(),
            runs: runs.iter().map(scored).collect(),
            others: vec![Scored::Values(other.to_vec()); runs.len()],
        }
    }

    #[test]
    fn the_line_compares_the_mean_over_seeds_with_the_best_baseline() {
        let runs: &[&[f64]] = &[&[1.0, 1.0, 1.0, 0.0], &[1.0, 1.0, 0.0, 0.0]];
        let both = [
            compared("baseline", runs, &[0.0, 0.0, 0.0, 0.0]),
            compared("missing", runs, &[1.0, 0.0, 0.0, 0.0]),
            compared("other", runs, &[1.0, 1.0, 1.0, 1.0]),
        ];
        let line = Line::of(Metric::Accuracy, &both).unwrap().to_string();
        assert!(line.starts_with("metric accuracy n 4 value 0.6250 "), "{line}");
        assert!(line.contains(" baseline 0.2500 diff 0.3750 ") && line.ends_with("against missing"), "{line}");
        assert!(Line::of(Metric::Accuracy, &[]).is_err());
    }

    #[test]
    fn predictions_are_scored_by_what_is_right() {
        let line = |right: &str, predicted: &str| serde_json::json!({ "right": right, "predicted": predicted });
        let lines = [line("left", "left"), line("right", "left")];
        let own = |line: &Value| Some(line["predicted"].as_str()?.to_string());
        assert_eq!(scored(Metric::Accuracy, &lines, &own).unwrap().value(&[0, 1]), Some(0.5));
        assert!(scored(Metric::Accuracy, &lines, &|_| None).is_none());
        let text = serde_json::json!({ "reference": "the heart is very large", "text": "the heart is very large" });
        let own = |line: &Value| Some(line["text"].as_str()?.to_string());
        for metric in [Metric::Bleu4, Metric::RougeL] {
            let value = scored(metric, std::slice::from_ref(&text), &own).unwrap().value(&[0]).unwrap();
            assert!((value - 1.0).abs() < 1e-6, "{value}");
        }
    }
}
