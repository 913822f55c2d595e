//! Progress of long work: a bar on a terminal, plain lines elsewhere. Both go to stderr; stdout is for results.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ptu_train::log::{Event, Timing};
use ptu_train::task::Validated;
use ptu_train::{Observer, Pace, format_duration};

use crate::output::{printable, say};

/// Seconds between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Work of a known length.
pub struct Bar {
    bar: ProgressBar,
    plain: bool,
    last: Option<Instant>,
    what: String,
    length: u64,
    percent: bool,
}

impl Bar {
    /// A bar of `length` items.
    pub fn new(what: &str, length: u64) -> Self {
        Self::with(what, length, "{prefix:>12} {wide_bar:.cyan/blue} {pos}/{len} {per_sec:>10} eta {eta} {msg}")
    }

    /// A bar of work for which only the finished share is known: 100 per cent in all.
    pub fn of_percent(what: &str) -> Self {
        let bar = Self::with(what, 100, "{prefix:>12} {wide_bar:.cyan/blue} {pos} % eta {eta} {msg}");
        Self { percent: true, ..bar }
    }

    /// A bar of the steps of a run. The run itself says how long the rest takes, because a resumed run does not begin at step 0.
    fn of_steps(steps: u64) -> Self {
        Self::with("step", steps, "{prefix:>12} {wide_bar:.cyan/blue} {pos}/{len} {msg}")
    }

    fn with(what: &str, length: u64, template: &str) -> Self {
        let plain = !std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(
            Some(length),
            if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() },
        );
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_string());
        Self { bar, plain, last: None, what: what.into(), length, percent: false }
    }

    /// Sets how many items are done, with a message beside the bar.
    pub fn set(&mut self, done: u64, message: impl FnOnce() -> String) {
        if !self.plain {
            self.bar.set_message(printable(&message()).into_owned());
            self.bar.set_position(done);
        } else if self.last.is_none_or(|last| last.elapsed() >= PLAIN_EVERY) || done == self.length {
            self.last = Some(Instant::now());
            let done = if self.percent { format!("{done} %") } else { format!("{done}/{}", self.length) };
            say(&format!("{} {done} {}", self.what, message()));
        }
    }

    /// A line above the bar.
    pub fn line(&self, text: &str) {
        if self.plain { say(text) } else { self.bar.println(printable(text)) }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// After so many steps of this process, their own time is a better estimate than the time measured before the first step.
const SETTLED: u64 = 5;

/// Shows the progress of a run.
pub struct RunProgress {
    stop: Arc<AtomicBool>,
    /// The bar of the steps.
    bar: Option<Bar>,
    /// The bar of work before the first step.
    work: Option<Bar>,
    start: Instant,
    /// The first step of this process.
    first: Option<u64>,
    /// Seconds per step, as measured before the first step.
    timed: Option<f64>,
}

impl RunProgress {
    /// A run that finishes its current step and saves when `stop` becomes true.
    pub fn new(stop: Arc<AtomicBool>) -> Self {
        Self { stop, bar: None, work: None, start: Instant::now(), first: None, timed: None }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }

    /// Seconds until the last of `steps` is done; `None` while there is no estimate.
    fn left(&self, step: u64, steps: u64) -> Option<f64> {
        let done = step - self.first?;
        let own = || (done > 0).then(|| self.start.elapsed().as_secs_f64() / done as f64);
        let seconds = if done >= SETTLED { own() } else { self.timed.or_else(own) }?;
        Some((steps - step - 1) as f64 * seconds)
    }
}

impl Observer for RunProgress {
    fn note(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.line(text),
            None => say(text),
        }
    }

    fn working(&mut self, what: &str, done: u64, all: u64) {
        let is_another = self.work.as_ref().is_none_or(|work| work.what != what);
        if is_another {
            self.work = Some(Bar::new(what, all));
        }
        if let Some(work) = &mut self.work {
            work.set(done, String::new);
            if done == all {
                work.finish();
                self.work = None;
            }
        }
    }

    /// One process may train several runs, one after another: what was known about the one before does not hold for this one.
    fn begins(&mut self, pace: Option<&Pace>) {
        if let Some(before) = self.bar.take() {
            before.finish();
        }
        self.first = None;
        self.timed = pace.map(|pace| pace.step);
    }

    fn saves(&mut self, saves: bool) {
        crate::interrupt::saving(saves);
    }

    fn step(&mut self, event: &Event, timing: &Timing, steps: u64) {
        let Event::Step { step, loss, objectives, .. } = event else { return };
        if self.first.is_none() {
            (self.first, self.start) = (Some(*step), Instant::now());
        }
        let left = self.left(*step, steps);
        let bar = self.bar.get_or_insert_with(|| Bar::of_steps(steps));
        bar.set(step + 1, || {
            let each: Vec<String> = objectives.iter().map(|(kind, line)| format!("{kind} {:.3}", line.loss)).collect();
            let text = format!("loss {loss:.3} ({}) {:.0} records/s", each.join(", "), timing.records_per_second);
            match left {
                Some(left) => format!("{text}, {} left", format_duration(left)),
                None => text,
            }
        });
    }

    fn validated(&mut self, step: u64, found: &Validated) {
        self.note(&format!("step {step}: validation {}", found.line));
    }

    fn stop(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_time_left_is_estimated_from_this_process() {
        let mut progress = RunProgress::new(Arc::default());
        assert_eq!(progress.left(500, 1000), None);
        progress.begins(None);
        progress.first = Some(500);
        assert_eq!(progress.left(500, 1000), None, "one step gives no estimate");
        progress.begins(Some(&Pace { step: 2.0, ..Pace::default() }));
        progress.first = Some(500);
        assert_eq!(progress.left(500, 1000), Some(499.0 * 2.0));
        progress.start = Instant::now() - Duration::from_secs(100);
        let left = progress.left(600, 1000).unwrap();
        assert!((399.0..410.0).contains(&left), "{left}");
        assert!(progress.left(999, 1000).unwrap() < 1e-9);
    }

    #[test]
    fn a_short_run_after_a_longer_one_is_counted_from_its_own_first_step() {
        let mut progress = RunProgress::new(Arc::default());
        let step = |progress: &mut RunProgress, step: u64, steps| {
            let event = json!({
                "event": "step", "step": step, "loss": 1.0, "gradient_norm": 1.0, "learning_rate": 1e-3, "objectives": {}, "sources": {},
            });
            let timing = json!({
                "step": step, "seconds": 0.1, "records_per_second": 10.0, "waiting": 0.0, "forward": {}, "backward": 0.1, "update": 0.1,
            });
            progress.step(&serde_json::from_value(event).unwrap(), &serde_json::from_value(timing).unwrap(), steps);
        };
        progress.begins(None);
        step(&mut progress, 40, 50);
        progress.begins(None);
        step(&mut progress, 2, 8);
        assert_eq!((progress.first, progress.bar.unwrap().length), (Some(2), 8));
    }
}
