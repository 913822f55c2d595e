//! Charts of values over training steps, and of scores over the share of missing images or texts. Each run has one colour.

use ptu_evaluate::{Curve, Score};
use ptu_model::names::Role;
use ptu_report::{Band, Chart, Series};
use ptu_tasks::TaskKind;
use ptu_tasks::pretraining::{HeldOutScore, PoolLine, Prompts};
use ptu_train::log::{Event, ObjectiveLine, objectives};

use super::sets::validated_on;
use super::{Run, sets};

/// The loss of each objective and the total loss; each gets a chart.
pub fn losses(run: &Run) -> Vec<Series> {
    let line = |name: String, of: &dyn Fn(&Event) -> Option<f64>| of_steps(run, name, of);
    let total = line("total".into(), &|event| match event {
        Event::Step { loss, .. } => Some(*loss),
        _ => None,
    });
    let held_out = line("total, validation split".into(), &|event| match event {
        Event::Validation { fields, .. } => fields.get::<HeldOutScore>()?.losses.get("total").copied(),
        _ => None,
    });
    let each = of_objectives(run, |line| Some(line.loss));
    each.into_iter().chain([total, held_out]).filter(|series| !series.points.is_empty()).collect()
}

/// A logged value of each objective over the steps.
fn of_objectives(run: &Run, value: fn(&ObjectiveLine) -> Option<f64>) -> Vec<Series> {
    let of = |name: &String| {
        of_steps(run, name.to_uppercase(), &|event| match event {
            Event::Step { objectives, .. } => value(objectives.get(name)?),
            _ => None,
        })
    };
    objectives(&run.events).into_iter().map(of).collect()
}

/// A logged value over the steps.
fn of_steps(run: &Run, name: String, value: &dyn Fn(&Event) -> Option<f64>) -> Series {
    let points = run.events.iter().filter_map(|event| Some((event.step() as f64, value(event)?))).collect();
    Series { name, run: run.name.clone(), points }
}

/// The score on the validation split. Each set of validation pairs gets a chart, because scores on galleries of different
/// sizes cannot be compared.
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
        let explanation = match run.recipe.task.is_pretraining() {
            true => format!(
                "Computed on {}. Retrieval is harder among more pairs, so this score cannot be compared with a score on another set.",
                validated_on(run)
            ),
            false => "Computed on all records of the validation split.".into(),
        };
        match charts.iter_mut().find(|chart| chart.explanation == explanation) {
            Some(chart) => chart.series.push(series),
            None => charts.push(Chart {
                title: "Score on the validation split".into(),
                explanation,
                x_label: "step".into(),
                y_label: "score".into(),
                series: vec![series],
                ..Chart::default()
            }),
        }
    }
    charts
}

/// All other values over the steps; a chart shows all runs together.
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
        Chart { smooth: true, ..chart("Training accuracy", "share of correct answers", &accuracy) },
        chart("Learning rate", "rate", &rate),
        Chart { smooth: true, log_y: true, ..chart("Gradient norm", "norm", &norms) },
        chart("Prompts that were selected at least once", "share of the pool", &|run| {
            pool_lines(run, &|line| line.share_chosen)
        }),
        chart("Entropy of prompt selection", "bits", &|run| pool_lines(run, &|line| line.entropy_bits)),
        Chart { smooth: true, ..chart("Throughput", "records per second", &throughput) },
    ];
    charts.into_iter().filter(|chart| !chart.series.is_empty()).collect()
}

/// Gradient norms of each part of the network if the log holds them, else of all weights.
fn norms(run: &Run) -> Vec<Series> {
    let roles = [(Role::Backbone, "encoders"), (Role::Fusion, "fusion and prompts"), (Role::Head, "heads")];
    let norm_of = |role: Role| {
        move |event: &Event| match event {
            Event::Step { gradient_norms, .. } => gradient_norms.get(&role).copied(),
            _ => None,
        }
    };
    let mut series: Vec<Series> = roles.map(|(role, name)| of_steps(run, name.into(), &norm_of(role))).to_vec();
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
    vec![of_steps(run, "in place of images".into(), &image), of_steps(run, "in place of texts".into(), &text)]
}

fn throughput(run: &Run) -> Vec<Series> {
    let points = run.timings.iter().map(|timing| (timing.step as f64, timing.records_per_second)).collect();
    vec![Series { name: "records per second".into(), run: run.name.clone(), points }]
}

/// One chart for each score that was computed with missing images or texts. It has a line with its interval for each
/// replacement of the missing modality.
pub fn missing_modalities(runs: &[Run]) -> Vec<Chart> {
    let mut charts: Vec<Chart> = vec![];
    for run in runs {
        for (gallery, scores) in &run.saved.scores {
            add_missing(&mut charts, run, (gallery, &sets::title(gallery, scores)), &scores.missing);
        }
        for (data, report) in &run.task.reports {
            add_missing(&mut charts, run, (data, &report.title(data)), &report.missing);
        }
    }
    charts
}

/// Adds the curves of a data set of this name and title.
fn add_missing(charts: &mut Vec<Chart>, run: &Run, (data, set): (&str, &str), curves: &[Curve]) {
    for curve in curves {
        let title = format!("{data}: {} with missing {}", curve.score, curve.missing.name());
        let explanation = format!(
            "Computed on {set}. One line for each replacement of the missing modality, with its 95 % interval."
        );
        let is_same = |chart: &Chart| (&chart.title, &chart.explanation) == (&title, &explanation);
        let index = charts.iter().position(is_same).unwrap_or_else(|| {
            charts.push(Chart {
                title,
                explanation,
                x_label: format!("share of records with missing {}", curve.missing.name()),
                y_label: curve.score.clone(),
                ..Chart::default()
            });
            charts.len() - 1
        });
        let (name, run) = (curve.stand_in.clone(), run.name.clone());
        let y = |score: &Score| score.value.unwrap_or(f64::NAN);
        let points = curve.points.iter().map(|(share, score)| (*share, y(score))).collect();
        let band = curve.points.iter().filter_map(|(share, score)| Some((*share, score.low?, score.high?))).collect();
        charts[index].bands.push(Band { name: name.clone(), run: run.clone(), points: band });
        charts[index].series.push(Series { name, run, points });
    }
}
