//! Lines over steps, and over shares of halves taken away; one run a colour.

use ptu_evaluate::{Score, Scores};
use ptu_model::names::Role;
use ptu_report::{Band, Chart, Series};
use ptu_tasks::TaskKind;
use ptu_tasks::pretraining::{PoolLine, Prompts};
use ptu_train::log::{Event, ObjectiveLine, objectives};

use super::sets::validated_on;
use super::{Run, sets};

/// Losses of each objective and the total, each a chart of its own.
pub fn losses(run: &Run) -> Vec<Series> {
    let line = |name: String, of: &dyn Fn(&Event) -> Option<f64>| of_steps(run, name, of);
    let total = line("total".into(), &|event| match event {
        Event::Step { loss, .. } => Some(*loss),
        _ => None,
    });
    let each = of_objectives(run, |line| Some(line.loss));
    each.into_iter().chain([total]).filter(|series| !series.points.is_empty()).collect()
}

/// A value of each objective of the log over steps.
fn of_objectives(run: &Run, value: fn(&ObjectiveLine) -> Option<f64>) -> Vec<Series> {
    let of = |name: &String| {
        of_steps(run, name.to_uppercase(), &|event| match event {
            Event::Step { objectives, .. } => value(objectives.get(name)?),
            _ => None,
        })
    };
    objectives(&run.events).into_iter().map(of).collect()
}

/// A value of the log over steps.
fn of_steps(run: &Run, name: String, value: &dyn Fn(&Event) -> Option<f64>) -> Series {
    let points = run.events.iter().filter_map(|event| Some((event.step() as f64, value(event)?))).collect();
    Series { name, run: run.name.clone(), points }
}

/// The score on the validation split: a chart for each set of pairs, since a gallery of another size gives other numbers.
pub fn validation(runs: &[Run]) -> Vec<Chart> {
    let mut charts: Vec<Chart> = vec![];
    for run in runs {
        let task = TaskKind::of(&run.recipe);
        let found = |event: &Event| match event {
            Event::Validation { fields, .. } => task.get().validated(fields),
            _ => None,
        };
        let name = run.events.iter().find_map(|event| Some(found(event)?.name));
        let series = of_steps(run, name.unwrap_or_default(), &|event| found(event)?.value);
        if series.points.is_empty() {
            continue;
        }
        let explanation = format!(
            "On {}. Among more pairs a right one is harder to find: it cannot be compared with scores of another set.",
            validated_on(run)
        );
        match charts.iter_mut().find(|chart| chart.explanation == explanation) {
            Some(chart) => chart.series.push(series),
            None => charts.push(Chart {
                title: "Score on the validation split".into(),
                explanation,
                x_label: "step".into(),
                y_label: "share".into(),
                series: vec![series],
                ..Chart::default()
            }),
        }
    }
    charts
}

/// Everything else that goes over steps, of all runs together.
pub fn charts(runs: &[Run]) -> Vec<Chart> {
    let accuracy = |run: &Run| of_objectives(run, |line| line.accuracy);
    let rate = |run: &Run| {
        let rate = |event: &Event| match event {
            Event::Step { learning_rate, .. } => Some(*learning_rate),
            _ => None,
        };
        vec![of_steps(run, "backbone".into(), &rate)]
    };
    let chart = |title: &str, y_label: &str, of: &dyn Fn(&Run) -> Vec<Series>| Chart {
        title: title.into(),
        x_label: "step".into(),
        y_label: y_label.into(),
        series: runs.iter().flat_map(of).filter(|series| !series.points.is_empty()).collect(),
        ..Chart::default()
    };
    let charts = [
        Chart { smooth: true, ..chart("Accuracy in training", "share right", &accuracy) },
        chart("Learning rate", "rate", &rate),
        Chart { smooth: true, log_y: true, ..chart("Gradient norm", "norm", &norms) },
        chart("Rows of the prompt pools that were ever chosen", "share", &|run| {
            pool_lines(run, &|line| line.share_chosen)
        }),
        chart("How evenly prompts are chosen", "entropy, bits", &|run| pool_lines(run, &|line| line.entropy_bits)),
        Chart { smooth: true, ..chart("Throughput", "records a second", &throughput) },
    ];
    charts.into_iter().filter(|chart| !chart.series.is_empty()).collect()
}

/// By part of the network where the log says so, else of all.
fn norms(run: &Run) -> Vec<Series> {
    let roles = [(Role::Backbone, "encoders"), (Role::Fusion, "fusion and prompts"), (Role::Head, "heads")];
    let of = |role: Role| {
        move |event: &Event| match event {
            Event::Step { gradient_norms, .. } => gradient_norms.get(&role).copied(),
            _ => None,
        }
    };
    let mut series: Vec<Series> = roles.map(|(role, name)| of_steps(run, name.into(), &of(role))).to_vec();
    if series.iter().all(|series| series.points.is_empty()) {
        let all = |event: &Event| match event {
            Event::Step { gradient_norm, .. } => Some(*gradient_norm),
            _ => None,
        };
        series.push(of_steps(run, "all weights".into(), &all));
    }
    series
}

fn pool_lines(run: &Run, of: &dyn Fn(&PoolLine) -> Option<f64>) -> Vec<Series> {
    let image = |event: &Event| of(&Prompts::read(event)?.image);
    let text = |event: &Event| of(&Prompts::read(event)?.text);
    vec![of_steps(run, "for images".into(), &image), of_steps(run, "for texts".into(), &text)]
}

fn throughput(run: &Run) -> Vec<Series> {
    let points = run.timings.iter().map(|timing| (timing.step as f64, timing.records_per_second)).collect();
    vec![Series { name: "records a second".into(), run: run.name.clone(), points }]
}

/// One chart for each score from which halves were taken away: a line for each stand-in, with its interval.
pub fn missing_modalities(runs: &[Run]) -> Vec<Chart> {
    let mut charts: Vec<Chart> = vec![];
    for run in runs {
        for (gallery, scores) in &run.saved.scores {
            add_missing(&mut charts, run, gallery, scores);
        }
    }
    charts
}

fn add_missing(charts: &mut Vec<Chart>, run: &Run, gallery: &str, scores: &Scores) {
    for curve in &scores.missing {
        let title = format!("{gallery}: {} while {} are taken away", curve.score, curve.away.name());
        let explanation = format!(
            "On {}. A line for each thing that stands in place of the missing half, with its 95 % interval.",
            sets::title(gallery, scores)
        );
        let is_it = |chart: &Chart| (&chart.title, &chart.explanation) == (&title, &explanation);
        let place = charts.iter().position(is_it).unwrap_or_else(|| {
            charts.push(Chart {
                title,
                explanation,
                x_label: format!("share of {} taken away", curve.away.name()),
                y_label: "share right".into(),
                ..Chart::default()
            });
            charts.len() - 1
        });
        let (name, run) = (curve.stand_in.clone(), run.name.clone());
        let y = |score: &Score| score.value.unwrap_or(f64::NAN);
        let points = curve.points.iter().map(|(share, score)| (*share, y(score))).collect();
        let band = curve.points.iter().filter_map(|(share, score)| Some((*share, score.low?, score.high?))).collect();
        charts[place].bands.push(Band { name: name.clone(), run: run.clone(), points: band });
        charts[place].series.push(Series { name, run, points });
    }
}
