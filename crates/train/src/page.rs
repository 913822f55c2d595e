//! The page of a run: what it learned, how it went, what it found.

use std::path::Path;

use ptu_random::{Key, Place};
use ptu_report::{
    Chart, Example, ExampleGroup, Fact, Found, Item, Page, PoolUsage, ScoreRow, Section, Series, Step, Unit,
};

use crate::evaluate::{Evaluated, Query, Score, Scores};
use crate::folder;
use crate::log::{Event, PoolLine, Timing, read_events, read_timings};
use crate::objective::ObjectiveKind;
use crate::{Recipe, TrainError, files};

/// Side of a picture on a page, in pixels.
const THUMBNAIL: usize = 160;
/// Items shown for a query.
const SHOWN: usize = 5;
/// Queries shown that were answered, and that were not.
const EXAMPLES: [usize; 2] = [3, 2];
/// The largest recipe that is shown, in bytes.
const LARGEST: u64 = 1 << 20;

/// Everything a page says about one run; titles and what to do next are the caller's.
///
/// # Errors
/// A run folder whose log or recipe cannot be read.
pub fn of_run(run: &Path, evaluated: &[Evaluated]) -> Result<Page, TrainError> {
    let events = read_events(&run.join(folder::LOG))?;
    let timings = read_timings(&run.join(folder::TIMING))?;
    let path = run.join(folder::RECIPE);
    let recipe = Recipe::load(&path, &[])?;
    let text = String::from_utf8_lossy(&files::read(&path, LARGEST)?).into_owned();
    Ok(Page {
        facts: facts(&recipe, &events, &timings),
        losses: losses(&events),
        charts: charts(&events, &timings),
        scores: score_rows(evaluated),
        examples: evaluated.iter().flat_map(|evaluated| examples(evaluated, recipe.seed)).collect(),
        pools: pools(&events),
        sections: vec![Section { title: "Recipe, as run".into(), body: text }],
        ..Page::default()
    })
}

fn facts(recipe: &Recipe, events: &[Event], timings: &[Timing]) -> Vec<Fact> {
    let steps = events.iter().filter(|event| matches!(event, Event::Step { .. })).count();
    let seconds: f64 = timings.iter().map(|timing| timing.seconds).sum();
    let rate = timings.iter().map(|timing| timing.records_per_second).sum::<f64>() / timings.len().max(1) as f64;
    let objectives: Vec<&str> = recipe.objectives.iter().map(|kind| kind.name()).collect();
    let data: Vec<String> = recipe.data.iter().map(|entry| entry.path.display().to_string()).collect();
    let fact = |name: &str, value: String| -> Fact { (name.into(), value) };
    vec![
        fact("data", data.join(", ")),
        fact("objectives", objectives.join(", ")),
        fact("steps logged", steps.to_string()),
        fact("batch", recipe.train.batch.to_string()),
        fact("seed", recipe.seed.to_string()),
        fact("time in steps", format!("{seconds:.0} s")),
        fact("records a second", format!("{rate:.1}")),
    ]
}

/// One line for each objective and one for the total, each a chart of its own.
fn losses(events: &[Event]) -> Vec<Series> {
    let mut total = Series { name: "total".into(), ..Series::default() };
    let mut each: Vec<Series> = ObjectiveKind::ALL
        .iter()
        .map(|kind| Series { name: kind.name().to_uppercase(), ..Series::default() })
        .collect();
    for event in events {
        if let Event::Step { step, loss, objectives, .. } = event {
            total.points.push((*step as f64, *loss));
            for (kind, series) in ObjectiveKind::ALL.iter().zip(&mut each) {
                if let Some(line) = objectives.get(kind) {
                    series.points.push((*step as f64, line.loss));
                }
            }
        }
    }
    each.into_iter().chain([total]).filter(|series| !series.points.is_empty()).collect()
}

fn charts(events: &[Event], timings: &[Timing]) -> Vec<Chart> {
    let of_steps = |name: &str, value: &dyn Fn(&Event) -> Option<(u64, f64)>| Series {
        name: name.into(),
        points: events.iter().filter_map(value).map(|(step, y)| (step as f64, y)).collect(),
        ..Series::default()
    };
    let accuracy = |kind: ObjectiveKind| {
        of_steps(&kind.name().to_uppercase(), &move |event| match event {
            Event::Step { step, objectives, .. } => Some((*step, objectives.get(&kind)?.accuracy)),
            _ => None,
        })
    };
    let validation = of_steps("mean R@10", &|event| match event {
        Event::Validation { step, retrieval, .. } => Some((*step, retrieval.mean_r10()?)),
        _ => None,
    });
    let rate = of_steps("backbone", &|event| match event {
        Event::Step { step, learning_rate, .. } => Some((*step, *learning_rate)),
        _ => None,
    });
    let norm = of_steps("all weights", &|event| match event {
        Event::Step { step, gradient_norm, .. } => Some((*step, *gradient_norm)),
        _ => None,
    });
    let speed = Series {
        name: "records a second".into(),
        points: timings.iter().map(|timing| (timing.step as f64, timing.records_per_second)).collect(),
        ..Series::default()
    };
    let chart = |title: &str, y_label: &str, series: Vec<Series>| Chart {
        title: title.into(),
        x_label: "step".into(),
        y_label: y_label.into(),
        series: series.into_iter().filter(|series| !series.points.is_empty()).collect(),
        ..Chart::default()
    };
    [
        chart("Retrieval on the validation split", "mean R@10", vec![validation]),
        Chart {
            smooth: true,
            ..chart("Accuracy in training", "share right", ObjectiveKind::ALL.map(accuracy).to_vec())
        },
        chart("Learning rate", "rate", vec![rate]),
        Chart { smooth: true, log_y: true, ..chart("Gradient norm", "norm", vec![norm]) },
        Chart { smooth: true, ..chart("Throughput", "records a second", vec![speed]) },
    ]
    .into_iter()
    .filter(|chart| !chart.series.is_empty())
    .collect()
}

fn score_rows(evaluated: &[Evaluated]) -> Vec<ScoreRow> {
    let several = evaluated.len() > 1;
    let row = |name: String, score: Score| {
        let rank = name.ends_with("rank");
        ScoreRow {
            name,
            value: score.value,
            low: score.low,
            high: score.high,
            chance: score.chance,
            higher_is_better: !rank,
            unit: if rank { Unit::Rank } else { Unit::Fraction },
            ..ScoreRow::default()
        }
    };
    evaluated
        .iter()
        .flat_map(|evaluated| {
            let prefix = if several { format!("{}: ", evaluated.name) } else { String::new() };
            Scores::rows(&evaluated.scores).into_iter().map(move |(name, score)| (format!("{prefix}{name}"), score))
        })
        .map(|(name, score)| row(name, score))
        .collect()
}

/// Queries of both directions, some answered among the first ten and some not.
fn examples(evaluated: &Evaluated, seed: u64) -> Vec<ExampleGroup> {
    let size = evaluated.gallery.records.len();
    let image = |row: usize, shown: bool| evaluated.thumbnail(row, THUMBNAIL).filter(|_| shown);
    let item = |row: usize, with_image: bool| Item {
        id: evaluated.gallery.records[row].id.clone(),
        image_png: image(row, with_image),
        text: (!with_image).then(|| evaluated.gallery.records[row].words.clone()),
    };
    let group = |title: &str, explanation: &str, asks: Query| {
        let (ranking, query_is_image) = (evaluated.found.of(asks), asks == Query::Image);
        let mut order: Vec<usize> = (0..size).collect();
        Key::new(seed).stream(Place::Sample, 1).shuffle(&mut order);
        let ranked = |query: usize| {
            let scores = &ranking.similarity[query * size..(query + 1) * size];
            let mut items: Vec<usize> = (0..size).collect();
            items.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
            items
        };
        let is_right = |query: &usize| ranking.ranks[*query].is_some_and(|place| place < 10);
        let (right, wrong): (Vec<usize>, Vec<usize>) = order.into_iter().partition(is_right);
        let queries = right.into_iter().take(EXAMPLES[0]).chain(wrong.into_iter().take(EXAMPLES[1]));
        ExampleGroup {
            title: title.into(),
            explanation: explanation.into(),
            examples: queries
                .map(|query| Example {
                    query: item(query, query_is_image),
                    partner: Some(item(query, !query_is_image)),
                    found: ranked(query)
                        .into_iter()
                        .take(SHOWN)
                        .map(|other| Found {
                            item: item(other, !query_is_image),
                            score: f64::from(ranking.similarity[query * size + other]),
                            hit: Some(evaluated.gallery.is_hit(asks, query, other)),
                        })
                        .collect(),
                })
                .collect(),
        }
    };
    vec![
        group(
            &format!("{}: an image looks for its text", evaluated.name),
            "The model saw the image alone, prompts standing in for its text.",
            Query::Image,
        ),
        group(
            &format!("{}: a text looks for its image", evaluated.name),
            "The model saw the text alone, prompts standing in for its image.",
            Query::Text,
        ),
    ]
}

/// The last word of the log about each pool.
fn pools(events: &[Event]) -> Vec<PoolUsage> {
    let Some((image, text)) = events.iter().rev().find_map(|event| match event {
        Event::Prompts { image, text, .. } => Some((image, text)),
        _ => None,
    }) else {
        return vec![];
    };
    let usage = |name: &str, line: &PoolLine| PoolUsage {
        name: name.into(),
        size: line.size,
        coverage: line.share_chosen,
        entropy_bits: line.entropy_bits,
        max_entropy_bits: (line.size > 0).then(|| (line.size as f64).log2()),
        distinct_per_1000: line.sets_per_thousand,
        counts: line.most_used.clone(),
    };
    [("Prompts standing in for images", image), ("Prompts standing in for texts", text)]
        .into_iter()
        .filter(|(_, line)| line.size > 0)
        .map(|(name, line)| usage(name, line))
        .collect()
}

/// What someone who has just seen a run might do next.
pub fn next_steps(steps: &[(&str, &str, &str)]) -> Vec<Step> {
    let own = |text: &str| text.to_string();
    steps.iter().map(|(title, command, why)| Step { title: own(title), command: own(command), why: own(why) }).collect()
}
