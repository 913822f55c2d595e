use std::path::{Path, PathBuf};
use std::time::Duration;

use console::{Term, measure_text_width};
use ptu_model::files::write_bytes;
use ptu_tasks::TaskKind;
use ptu_train::log::{Event, Timing, objectives, read_events, read_timings};
use ptu_train::{Recipe, folder, format_duration};
use ptu_workflow::page;

use super::inspect::{BestModel, best_model};
use crate::output::{print, say};

/// The time left is estimated from so many recent steps.
const RECENT: usize = 50;

/// Follow a run in the terminal: losses as sparklines, speed, time left
///
/// Reads the files of the run, so it can be started and stopped at any time, from any terminal. If the output is not a terminal, it
/// prints one line per update. It ends when the run ends.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier watch runs/own
  ptunifier watch runs/own --page report.html        rewrites the page at each update
  ptunifier watch runs/own --once")]
pub struct Arguments {
    /// A run folder
    run: PathBuf,
    /// Seconds between two updates
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    every: u32,
    /// Write the page of the run at each update: one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Print once and exit
    #[arg(long)]
    once: bool,
}

/// What one update shows.
struct Update {
    lines: Vec<String>,
    summary: String,
    finished: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    super::check_run(&arguments.run)?;
    let recipe_file = arguments.run.join(folder::RECIPE);
    if !recipe_file.exists() {
        anyhow::bail!("`{}` is not a run folder: it has no `{}`", arguments.run.display(), folder::RECIPE);
    }
    super::check_page(arguments.page.as_deref())?;
    let recipe = folder::recipe(&arguments.run)?;
    let term = Term::stdout();
    let mut shown = 0;
    loop {
        let width = usize::from(term.size().1);
        let update = update(&arguments.run, &recipe, width)?;
        if let Some(file) = &arguments.page {
            let mut page = page::of_runs(std::slice::from_ref(&arguments.run))?;
            page.title = format!("Run {}", arguments.run.display());
            write_bytes(file, ptu_report::render(&page).as_bytes())?;
        }
        if term.is_term() && !arguments.once {
            term.clear_last_lines(shown)?;
            update.lines.iter().try_for_each(|line| term.write_line(line))?;
            shown = update.lines.len();
        } else if arguments.once {
            update.lines.iter().try_for_each(|line| print(line))?;
        } else {
            print(&update.summary)?;
        }
        if arguments.once || update.finished {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(arguments.every.into()));
        if !arguments.run.join(folder::RECIPE).exists() {
            say("the run folder does not exist any more");
            return Ok(());
        }
    }
}

fn update(run: &Path, recipe: &Recipe, width: usize) -> anyhow::Result<Update> {
    // A run that has only begun has no log yet.
    let read = |name: &str| run.join(name).exists();
    let events = if read(folder::LOG) { read_events(&run.join(folder::LOG))? } else { vec![] };
    let timings = if read(folder::TIMING) { read_timings(&run.join(folder::TIMING))? } else { vec![] };
    let steps = recipe.train.steps;
    let done = events.iter().rev().find_map(|event| match event {
        Event::Step { step, .. } | Event::Skipped { step, .. } => Some(step + 1),
        _ => None,
    });
    let done = done.unwrap_or(0);
    let speed = speed(&timings, steps.saturating_sub(done), folder::Steps::of(run, recipe, &events).going_on);
    let mut lines = vec![format!("{}  step {done} of {steps}  {speed}", run.display())];
    let mut row = |name: &str, values: Vec<f64>, digits: usize| {
        if let Some(last) = values.last().copied() {
            let line = format!("  {name:22} {last:>9.digits$}  ");
            let chart = sparkline(&values, width.saturating_sub(measure_text_width(&line)).clamp(8, 60));
            lines.push(line + &chart);
        }
    };
    row("loss", events.iter().filter_map(loss).collect(), 3);
    for name in objectives(&events) {
        let of = |event: &Event| match event {
            Event::Step { objectives, .. } => objectives.get(name).copied(),
            _ => None,
        };
        row(&format!("{name} loss"), events.iter().filter_map(of).map(|line| line.loss).collect(), 3);
        row(&format!("{name} accuracy"), events.iter().filter_map(of).filter_map(|line| line.accuracy).collect(), 3);
    }
    let norm = |event: &Event| match event {
        Event::Step { gradient_norm, .. } => Some(*gradient_norm),
        _ => None,
    };
    row("gradient norm", events.iter().filter_map(norm).collect(), 3);
    let task = TaskKind::of(recipe);
    let found = |event: &Event| match event {
        Event::Validation { fields, .. } => {
            task.get().validated(fields).and_then(|found| Some((found.name, found.value?)))
        }
        _ => None,
    };
    let (names, values): (Vec<String>, Vec<f64>) = events.iter().filter_map(found).unzip();
    row(&format!("validation {}", names.last().map_or("", String::as_str)), values, 3);
    let best = best_model(&events).and_then(|BestModel { step, validation, validations, fields }| {
        let value = task.get().validated(fields)?.value?;
        Some(format!(
            "  best validation score {value:.3} after step {step}, in validation {validation} of {validations}"
        ))
    });
    row("records a second", timings.iter().map(|timing| timing.records_per_second).collect(), 1);
    lines.extend(best);
    let skipped = events.iter().filter(|event| matches!(event, Event::Skipped { .. })).count();
    if skipped > 0 {
        lines.push(format!("  {skipped} steps were skipped: their loss or gradient was not finite"));
    }
    let last = events.iter().rev().find_map(loss).map_or("-".into(), |loss| format!("{loss:.3}"));
    let summary = format!("step {done} of {steps} loss {last} {speed}");
    Ok(Update { lines, summary, finished: done >= steps })
}

fn loss(event: &Event) -> Option<f64> {
    match event {
        Event::Step { loss, .. } => Some(*loss),
        _ => None,
    }
}

/// `31.2 records/s, 4 min 10 s left`; of a run on which no process works, that it has stopped.
fn speed(timings: &[Timing], left: u64, going_on: bool) -> String {
    let recent = &timings[timings.len().saturating_sub(RECENT)..];
    if recent.is_empty() {
        return String::new();
    }
    let count = recent.len() as f64;
    let records = recent.iter().map(|timing| timing.records_per_second).sum::<f64>() / count;
    let seconds = recent.iter().map(|timing| timing.seconds).sum::<f64>() / count;
    let left = match left {
        0 => "done".to_string(),
        _ if !going_on => "stopped".to_string(),
        left => format!("{} left", format_duration(seconds * left as f64)),
    };
    format!("{records:.1} records/s, {left}")
}

/// A line of characters of eight heights, each the mean of its share of the values; a mean that is not finite is a gap.
fn sparkline(values: &[f64], columns: usize) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let columns = columns.min(values.len()).max(1);
    let mean = |column: usize| {
        let (from, to) = (column * values.len() / columns, (column + 1) * values.len() / columns);
        let share = &values[from..to.max(from + 1).min(values.len())];
        share.iter().sum::<f64>() / share.len() as f64
    };
    let means: Vec<f64> = (0..columns).map(mean).collect();
    let finite = || means.iter().copied().filter(|mean| mean.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let height = |mean: &f64| match mean.is_finite() {
        false => ' ',
        true if high > low => HEIGHTS[(((mean - low) / (high - low)) * 7.0).round() as usize],
        true => HEIGHTS[0],
    };
    means.iter().map(height).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_has_stopped_has_no_time_left() {
        let timing = [Timing {
            step: 0,
            seconds: 2.0,
            records_per_second: 8.0,
            waiting: 0.0,
            forward: Default::default(),
            backward: 1.0,
            update: 0.1,
        }];
        assert_eq!(speed(&timing, 3, true), "8.0 records/s, 6 s left");
        assert_eq!(speed(&timing, 3, false), "8.0 records/s, stopped");
        assert_eq!(speed(&timing, 0, false), "8.0 records/s, done");
    }

    #[test]
    fn a_sparkline_spans_its_values() {
        assert_eq!(sparkline(&[0.0, 7.0, 3.0], 10), "▁█▄");
        assert_eq!(sparkline(&[2.0, 2.0], 10), "▁▁");
        assert_eq!(sparkline(&[0.0, 0.0, 1.0, 1.0], 2), "▁█");
        assert_eq!(sparkline(&[0.0, f64::NAN, 1.0], 3), "▁ █");
    }
}
