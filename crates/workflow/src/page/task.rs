//! What a page shows of the scores of a task: rows of scores, what the scores lose without the right image, baselines, groups of records,
//! calibration, and the receipt.

use ptu_evaluate::Score;
use ptu_evaluate::task::{ReliabilityPoint, Replacement, ScoredProtocol, TaskMetric, TaskReport};
use ptu_model::generate::{GenerationConfig, Strategy};
use ptu_report::{Chart, Fact, ScoreRow, Series, Table, Unit};

use super::Run;

/// Number of characters of a hash that are shown.
const HASH: usize = 16;

/// A report on one data set, as a page shows it.
struct Shown<'a> {
    run: &'a str,
    name: &'a str,
    report: &'a TaskReport,
    /// Whether the run has reports on other data sets too.
    is_one_of_several: bool,
}

impl<'a> Shown<'a> {
    fn all(run: &'a Run) -> Vec<Self> {
        let (reports, is_one_of_several) = (&run.task.reports, run.task.reports.len() > 1);
        let shown =
            |(name, report): (&'a String, &'a TaskReport)| Shown { run: &run.name, name, report, is_one_of_several };
        reports.iter().map(shown).collect()
    }

    /// A title, with the names of the data set and of the run where there are several.
    fn titled(&self, title: &str) -> String {
        let name = if self.is_one_of_several { self.name } else { "" };
        [title, name, self.run].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

/// The rows of all scores of a report, with those of its baseline and its linear probe. `run` is empty if the page shows only one run.
pub fn score_rows(run: &str, data: &str, report: &TaskReport) -> Vec<ScoreRow> {
    let set = report.title(data);
    let row = |metric: &str, name: String, score: Score| ScoreRow {
        name,
        run: run.into(),
        set: set.clone(),
        value: score.value,
        low: score.low,
        high: score.high,
        chance: score.chance,
        higher_is_better: true,
        unit: unit(metric),
    };
    // A baseline stands below the score that it is compared with.
    let mut rows = vec![];
    for (number, one) in report.scores.iter().enumerate() {
        rows.push(row(&one.name, report.score_name(one), one.score));
        let baseline = report.baseline.as_ref().filter(|_| number == 0);
        rows.extend(baseline.map(|baseline| row(&one.name, format!("baseline: {}", baseline.name), baseline.score)));
        let probed = report.probe.iter().flat_map(|probe| &probe.scores).filter(|probed| probed.metric == one.name);
        rows.extend(probed.map(|probed| row(&one.name, format!("{}, linear probe", one.name), probed.score)));
    }
    rows
}

/// The unit of a metric. CIDEr is no share, its values go to 10.
fn unit(metric: &str) -> Unit {
    if metric == TaskMetric::Cider.to_string() { Unit::Named(metric.into()) } else { Unit::Fraction }
}

/// Name of the first score, which is compared with the baseline.
fn headline(report: &TaskReport) -> &str {
    report.scores.first().map_or("score", |score| score.name.as_str())
}

/// The tables of a run's reports: image reliance, baselines, groups of records.
pub fn tables(run: &Run) -> Vec<Table> {
    let tables = Shown::all(run).into_iter().flat_map(|shown| {
        let groups = shown.report.groups.keys().map(|field| groups(&shown, field));
        [reliance(&shown), baselines(&shown)].into_iter().chain(groups).collect::<Vec<_>>()
    });
    tables.filter(|table| !table.rows.is_empty()).collect()
}

/// What each score loses without the right image.
fn reliance(shown: &Shown<'_>) -> Table {
    let report = shown.report;
    let mut images: Vec<Replacement> = vec![];
    for one in &report.reliance {
        if !images.contains(&one.image) {
            images.push(one.image);
        }
    }
    let cell = |metric: &str, image: &Replacement| {
        let found = report.reliance.iter().find(|one| one.metric == metric && one.image == *image);
        found.map_or(value(None), |one| format!("{} (lost {})", value(one.score.value), interval(one.cost)))
    };
    let scores = report.scores.iter().filter(|score| report.reliance.iter().any(|one| one.metric == score.name));
    let row = |score: &ptu_evaluate::task::NamedScore| {
        let own = [score.name.clone(), value(score.score.value)];
        own.into_iter().chain(images.iter().map(|image| cell(&score.name, image))).collect()
    };
    let columns = ["score", "right image"].into_iter().chain(images.iter().map(|image| image.name()));
    Table {
        title: shown.titled("Image reliance"),
        explanation: "Each score again with another image in place of the right one, and how much of the score is lost, with the 95 % \
                      interval by patient. A model that scores as well without the right image has not learned to look at it."
            .into(),
        columns: columns.map(String::from).collect(),
        rows: scores.filter(|score| score.score.value.is_some()).map(row).collect(),
    }
}

/// The model minus the baseline and minus the linear probe.
fn baselines(shown: &Shown<'_>) -> Table {
    let report = shown.report;
    let own =
        |metric: &str| report.scores.iter().find(|score| score.name == metric).and_then(|score| score.score.value);
    let row = |metric: &str, name: String, score: Score, difference: Score| {
        vec![metric.to_string(), name, value(score.value), value(own(metric)), interval(difference)]
    };
    let baseline = report.baseline.iter().map(|one| row(headline(report), one.name.clone(), one.score, one.difference));
    let probed = report.probe.iter().flat_map(|probe| {
        let name = probe.title();
        probe.scores.iter().filter(|one| one.score.value.is_some()).map(move |one| (name.clone(), one))
    });
    let probed = probed.map(|(name, one)| row(&one.metric, name, one.score, one.difference));
    Table {
        title: shown.titled("Comparison with baselines"),
        explanation:
            "The difference has its 95 % interval by patient on the same records; above 0 the model is better.".into(),
        columns: ["score", "baseline", "of the baseline", "of the model", "difference"].map(String::from).to_vec(),
        rows: baseline.chain(probed).collect(),
    }
}

/// The first score for each group of records.
fn groups(shown: &Shown<'_>, field: &str) -> Table {
    let row = |group: &ptu_evaluate::task::GroupScore| {
        let Score { value: score, low, high, chance } = group.score;
        let bounds = if low.is_some() { format!("[{}, {}]", value(low), value(high)) } else { value(None) };
        vec![group.value.clone(), group.records.to_string(), value(score), bounds, value(chance)]
    };
    let headline = headline(shown.report);
    Table {
        title: shown.titled(&format!("{headline} by {field}")),
        explanation: String::new(),
        columns: [field, "records", headline, "95 % interval", "chance level"].map(String::from).to_vec(),
        rows: shown.report.groups.get(field).into_iter().flatten().map(row).collect(),
    }
}

fn value(value: Option<f64>) -> String {
    value.map_or("–".into(), |value| format!("{value:.3}"))
}

/// `0.154 [0.121, 0.188]`
fn interval(score: Score) -> String {
    format!("{} [{}, {}]", value(score.value), value(score.low), value(score.high))
}

/// The reliability curves of a run's reports, where there are probabilities.
pub fn charts(run: &Run) -> Vec<Chart> {
    Shown::all(run).iter().filter_map(reliability).collect()
}

fn reliability(shown: &Shown<'_>) -> Option<Chart> {
    let calibration = shown.report.calibration.as_ref()?;
    let line = |name: String, points: &[ReliabilityPoint]| Series {
        name,
        run: shown.run.into(),
        points: points.iter().map(|point| (point.probability, point.share)).collect(),
    };
    let mut series = vec![
        line("perfect calibration".into(), &[]),
        line("without temperature".into(), &calibration.reliability_before),
    ];
    series[0].points = vec![(0.0, 0.0), (1.0, 1.0)];
    let mut errors = format!("Expected calibration error: {}", value(calibration.before));
    if let Some(temperature) = calibration.temperature.filter(|_| !calibration.reliability_after.is_empty()) {
        series.push(line(format!("with temperature {temperature:.2}"), &calibration.reliability_after));
        errors += &format!(", with the temperature {} (fitted on the validation split)", value(calibration.after));
    }
    let (of, y_label) = match shown.report.receipt.task.as_str() {
        "multilabel" => ("all labels", "share of records with the label"),
        _ => ("the most probable output", "share of right predictions"),
    };
    let has_points = !calibration.reliability_before.is_empty();
    has_points.then(|| Chart {
        title: shown.titled("Reliability of probabilities"),
        explanation: format!(
            "Probabilities of {of} in 15 bins of equal width, and how often they come true; bins with few records vary. {errors}."
        ),
        x_label: "predicted probability".into(),
        y_label: y_label.into(),
        series,
        from_zero: true,
        ..Chart::default()
    })
}

/// What the user should know before reading the scores.
pub fn warnings(run: &Run) -> Vec<String> {
    let shown = Shown::all(run);
    let remarks = shown.iter().flat_map(|shown| {
        let name = if shown.is_one_of_several { format!("{}: ", shown.name) } else { String::new() };
        shown.report.remarks().into_iter().map(move |remark| format!("{name}{remark}"))
    });
    remarks.collect()
}

/// What determines the scores of a run: the receipts of its reports.
pub fn facts(run: &Run) -> Vec<Fact> {
    let short = |hash: &str| hash.chars().take(HASH).collect::<String>();
    let facts = Shown::all(run).into_iter().flat_map(|shown| {
        let (receipt, records) = (&shown.report.receipt, shown.report.records);
        let protocol = match receipt.protocol {
            ScoredProtocol::FineTuned => "fine-tuned",
            ScoredProtocol::ZeroShot => "zero-shot, by sentences",
        };
        let facts = [
            ("protocol", Some(protocol.to_string())),
            ("input", Some(receipt.input.to_string())),
            ("outputs", Some(receipt.outputs.clone())),
            ("decoding", receipt.decoding.as_ref().map(decoding)),
            ("scored records", Some(format!("{records} of split {}", receipt.split))),
            ("hash of their ids", Some(short(&receipt.records))),
            ("data hash", Some(short(&receipt.manifest))),
            ("images known from training", Some(receipt.known.images.to_string())),
        ];
        let facts = facts.map(|(name, value)| Some((shown.titled(name), value?)));
        facts.into_iter().flatten()
    });
    facts.collect()
}

/// How texts were generated, in words.
fn decoding(config: &GenerationConfig) -> String {
    let how = match config.strategy {
        Strategy::Greedy => "greedy".into(),
        Strategy::Sample { .. } => "sampling".into(),
        Strategy::Beam { num_beams, length_penalty, sampling, .. } => {
            let sampled = if sampling.is_some() { ", sampled" } else { "" };
            format!("beam search with {num_beams} beams, length penalty {length_penalty}{sampled}")
        }
    };
    format!("{how}, at most {} tokens", config.max_length)
}

/// A warning for compared runs whose tasks were not scored alike.
pub fn differences(runs: &[Run]) -> Vec<String> {
    let scored: Vec<&Run> = runs.iter().filter(|run| !run.task.reports.is_empty()).collect();
    let Some((first, others)) = scored.split_first() else { return vec![] };
    let differ = |other: &&Run| {
        let mut fields: Vec<&str> = vec![];
        if !first.task.reports.keys().eq(other.task.reports.keys()) {
            fields.push("data sets");
        }
        for (name, report) in &first.task.reports {
            let same = other.task.reports.get(name);
            fields.extend(same.map_or(vec![], |same| report.receipt.differences(&same.receipt)));
        }
        fields.dedup();
        (!fields.is_empty()).then(|| format!("{} and {} in {}", first.name, other.name, fields.join(", ")))
    };
    let differing: Vec<String> = others.iter().filter_map(differ).collect();
    if differing.is_empty() {
        return vec![];
    }
    vec![format!(
        "The tasks of these runs were not scored alike, so their scores cannot be compared: they differ, {}",
        differing.join("; ")
    )]
}

#[cfg(test)]
pub mod tests {
    use std::path::Path;

    use ptu_evaluate::task::SavedTask;
    use serde_json::{Value, json};

    use super::*;

    fn score(value: f64) -> Value {
        json!({ "value": value, "low": value - 0.1, "high": value + 0.1, "chance": 0.25 })
    }

    fn named(name: &str, value: f64) -> Value {
        let mut named = score(value);
        named["name"] = name.into();
        named
    }

    /// A report about questions.
    pub fn report() -> TaskReport {
        let reliance = |image: &str, value: f64| {
            let (score, cost) = (score(value), score(0.5 - value));
            json!({ "image": image, "metric": "accuracy", "score": score, "cost": cost })
        };
        let point = |probability: f64| json!([{ "probability": probability, "share": 0.5, "records": 20 }]);
        let report = json!({
            "receipt": {
                "model": "m", "task": "vqa", "input": "question", "source": "phantom",
                "manifest": "0123456789abcdef0123",
                "split": "test", "records": "fedcba98765432100000", "outputs": "3 answers of train", "normalisation": "none",
                "decoding": { "strategy": { "kind": "beam", "num_beams": 4 }, "max_length": 60 },
                "seed": 1, "precision": "f32", "known": { "by": "hashes", "images": 2, "texts": 0 }, "version": "0"
            },
            "records": 20, "patients": 10, "unanswerable": 3, "cut": 1,
            "scores": [named("accuracy", 0.5), named("CIDEr", 2.5), named("AUROC mass", 0.75)],
            "baseline": { "name": "most frequent answer", "score": score(0.3), "difference": score(0.2) },
            "probe": { "model": "s", "fitted": 80, "penalty": 1.0,
                       "scores": [{ "metric": "accuracy", "score": score(0.4), "difference": score(0.1) }] },
            "reliance": [reliance("blank", 0.35), reliance("missing", 0.3)],
            "groups": { "side": [{ "value": "left", "records": 12, "score": score(0.6) }] },
            "calibration": { "before": 0.2, "after": 0.1, "temperature": 1.5,
                             "reliability_before": point(0.9), "reliability_after": point(0.7) },
            "counts": [{ "name": "mass", "with": 5, "without": 15 }],
            "notes": ["a note"]
        });
        serde_json::from_value(report).unwrap()
    }

    fn run(name: &str, reports: &[(&str, TaskReport)]) -> Run {
        let reports = reports.iter().map(|(name, report)| (name.to_string(), report.clone())).collect();
        Run {
            path: Path::new("run").into(),
            name: name.into(),
            recipe: ptu_train::Recipe::default(),
            text: String::new(),
            events: vec![],
            timings: vec![],
            saved: ptu_evaluate::Saved::default(),
            task: SavedTask { reports, examples: vec![] },
            outdated: vec![],
        }
    }

    #[test]
    fn every_score_has_a_row_and_baselines_have_rows_of_their_own() {
        let rows = score_rows("", "phantom", &report());
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let expected =
            ["accuracy", "baseline: most frequent answer", "accuracy, linear probe", "CIDEr", "AUROC mass (5 of 20)"];
        assert_eq!(names, expected);
        assert_eq!(rows[0].set, "phantom, split test: 20 records of 10 patients, vqa with 3 answers of train");
        assert_eq!((rows[0].value, rows[0].low, rows[0].chance), (Some(0.5), Some(0.4), Some(0.25)));
        assert_eq!([rows[1].value, rows[2].value], [Some(0.3), Some(0.4)]);
        assert_eq!([&rows[1].unit, &rows[3].unit], [&Unit::Fraction, &Unit::Named("CIDEr".into())]);
        assert!(rows.iter().all(|row| row.higher_is_better));
    }

    #[test]
    fn the_tables_show_losses_baselines_and_groups() {
        let tables = tables(&run("", &[("phantom", report())]));
        let titles: Vec<&str> = tables.iter().map(|table| table.title.as_str()).collect();
        assert_eq!(titles, ["Image reliance", "Comparison with baselines", "accuracy by side"]);
        assert_eq!(tables[0].columns, ["score", "right image", "blank image", "text alone"]);
        let cells = ["accuracy", "0.500", "0.350 (lost 0.150 [0.050, 0.250])", "0.300 (lost 0.200 [0.100, 0.300])"];
        assert_eq!(tables[0].rows, [cells], "scores without a replaced image have no row");
        assert_eq!(tables[1].rows[0], ["accuracy", "most frequent answer", "0.300", "0.500", "0.200 [0.100, 0.300]"]);
        assert!(tables[1].rows[1][1].contains("fitted to 80 records"));
        assert_eq!(tables[2].rows, [["left", "12", "0.600", "[0.500, 0.700]", "0.250"]]);
        let several = super::tables(&run("b", &[("one", report()), ("two", report())]));
        assert_eq!(several[3].title, "Image reliance, two, b");
        let without = TaskReport { reliance: vec![], baseline: None, probe: None, ..report() };
        assert_eq!(super::tables(&run("", &[("phantom", without)])).len(), 1, "empty tables are not shown");
    }

    #[test]
    fn the_reliability_chart_needs_probabilities() {
        let [chart] = charts(&run("", &[("phantom", report())])).try_into().unwrap();
        let points: Vec<_> = chart.series.iter().map(|series| series.points.clone()).collect();
        assert_eq!(points, [vec![(0.0, 0.0), (1.0, 1.0)], vec![(0.9, 0.5)], vec![(0.7, 0.5)]]);
        assert!(chart.explanation.contains("0.200, with the temperature 0.100"), "{}", chart.explanation);
        let of_texts = TaskReport { calibration: None, ..report() };
        assert!(charts(&run("", &[("phantom", of_texts)])).is_empty());
    }

    #[test]
    fn facts_and_warnings_say_what_determines_the_scores() {
        let run = run("", &[("phantom", report())]);
        let facts = facts(&run);
        let fact = |name: &str| facts.iter().find(|(one, _)| one == name).unwrap().1.as_str();
        assert_eq!(fact("hash of their ids"), "fedcba9876543210");
        assert_eq!(fact("decoding"), "beam search with 4 beams, length penalty 1, at most 60 tokens");
        assert_eq!(fact("images known from training"), "2");
        let warnings = warnings(&run).join("\n");
        assert!(warnings.contains("a note") && warnings.contains("3 of 20 questions"), "{warnings}");
        assert!(warnings.contains("1 texts are longer"), "{warnings}");
    }

    #[test]
    fn runs_that_were_not_scored_alike_are_named() {
        let mut other = report();
        other.receipt.records = "other".into();
        let of = |report: &TaskReport| run("b", &[("phantom", report.clone())]);
        assert!(differences(&[run("a", &[("phantom", report())]), of(&report())]).is_empty());
        let told = differences(&[run("a", &[("phantom", report())]), of(&other)]).join("");
        assert!(told.contains("a and b in records"), "{told}");
    }
}
