//! The usage of the prompts of a pool.

use crate::format::{count, number};
use crate::html::{escape, undefined};
use crate::scale::Scale;
use crate::svg::{Anchor, Drawing, LETTER};
use crate::types::PoolUsage;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 170.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 34.0;
const RIGHT: f64 = 8.0;
/// The largest number of bars.
const MAX_BARS: usize = 40;

/// The numbers of a pool, and a bar for each of its most used prompts.
pub fn pool(usage: &PoolUsage) -> String {
    let entropy = match (usage.entropy_bits, usage.max_entropy_bits) {
        (Some(bits), Some(most)) => format!("{} <small>of {} bits</small>", number(bits), number(most)),
        (Some(bits), None) => format!("{} <small>bits</small>", number(bits)),
        _ => undefined().into(),
    };
    let evenness = match (usage.entropy_bits, usage.max_entropy_bits) {
        (Some(bits), Some(most)) if most > 0.0 => Some(bits / most),
        _ => None,
    };
    let coverage = usage
        .coverage
        .map_or_else(|| undefined().into(), |share| format!("{} <small>%</small>", number(share * 100.0)));
    let distinct = usage.distinct_per_1000.map_or_else(|| undefined().into(), number);
    let size = u64::try_from(usage.size).unwrap_or(u64::MAX);
    format!(
        "<figure class=\"chart pool\">\n<figcaption><h3>{}</h3><span class=\"course\">{} prompts</span></figcaption>\n\
         <dl class=\"meters\">\n<div><dt>selected at least once</dt><dd>{coverage}{}</dd></div>\n\
         <div><dt title=\"has its maximum if all prompts are selected equally often\">entropy</dt><dd>{entropy}{}</dd></div>\n\
         <div><dt>different sets per 1,000 inputs</dt><dd>{distinct}</dd></div>\n</dl>\n{}</figure>\n",
        escape(&usage.name),
        count(size),
        meter(usage.coverage),
        meter(evenness),
        bars(usage),
    )
}

/// A thin horizontal bar that is full for a share of 1.
fn meter(share: Option<f64>) -> String {
    let Some(share) = share.filter(|share| share.is_finite()) else { return String::new() };
    let filled = 100.0 * share.clamp(0.0, 1.0);
    format!(
        "<svg class=\"meter\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"empty\" width=\"100\" height=\"4\"/><rect class=\"bar\" width=\"{filled:.1}\" height=\"4\"/></svg>"
    )
}

fn bars(usage: &PoolUsage) -> String {
    let shown = &usage.counts[..usage.counts.len().min(MAX_BARS)];
    let most = shown.iter().map(|&(_, times)| times).max().unwrap_or(0);
    if most == 0 {
        return "<p class=\"nothing\">no prompt was selected</p>\n".into();
    }
    let y = Scale::rounded((0.0, most as f64), (HEIGHT - BOTTOM, TOP), 3, false);
    let longest = y.ticks.iter().map(|tick| tick.label.chars().count()).max().unwrap_or(1);
    let left = 12.0 + LETTER * longest as f64;
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    for tick in &y.ticks {
        let at = y.position(tick.value);
        drawing.line("grid", (left, at), (WIDTH - RIGHT, at));
        drawing.text("tick", Anchor::End, (left - 6.0, at + 4.0), &tick.label);
    }
    // Limits the width of a bar if there are only a few.
    let step = ((WIDTH - RIGHT - left) / shown.len() as f64).min(36.0);
    let each = (LETTER * 4.5 / step).ceil().max(1.0) as usize;
    for (index, &(prompt, times)) in shown.iter().enumerate() {
        let from = left + step * index as f64;
        let top = y.position(times as f64);
        let tip = format!("prompt {prompt}: selected {} times", count(times));
        drawing.block("bar", (from + step * 0.12, top), (step * 0.76, HEIGHT - BOTTOM - top), &tip);
        if index % each == 0 {
            drawing.text("tick", Anchor::Middle, (from + step / 2.0, HEIGHT - BOTTOM + 14.0), &prompt.to_string());
        }
    }
    drawing.line("axis", (left, HEIGHT - BOTTOM), (WIDTH - RIGHT, HEIGHT - BOTTOM));
    drawing.text("axis-label", Anchor::Start, (2.0, 11.0), "number of selections");
    drawing.text(
        "axis-label",
        Anchor::End,
        (WIDTH - RIGHT, HEIGHT - 3.0),
        &format!("the {} most used prompts", shown.len()),
    );
    let first = shown[0];
    drawing.finish(&format!("{}: the most used prompt, {}, was selected {} times", usage.name, first.0, count(first.1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unused_or_empty_pool_is_reported() {
        for counts in [vec![], vec![(3, 0)]] {
            let html = pool(&PoolUsage { counts, ..PoolUsage::default() });
            assert!(html.contains("no prompt was selected") && html.contains(undefined()), "{html}");
        }
    }

    #[test]
    fn the_number_of_bars_is_limited_and_each_has_a_tooltip() {
        let counts = (0..5000).map(|prompt| (prompt, 6000 - prompt as u64)).collect();
        let html = pool(&PoolUsage { size: 5000, coverage: Some(1.0), counts, ..PoolUsage::default() });
        assert_eq!(html.matches("<title>prompt").count(), MAX_BARS);
        assert!(html.contains("prompt 0: selected 6,000 times"));
    }

    #[test]
    fn largest_counts_do_not_break_the_chart() {
        let html = pool(&PoolUsage { counts: vec![(usize::MAX, u64::MAX), (0, 1)], ..PoolUsage::default() });
        assert!(html.contains("18,446,744,073,709,551,615") && !html.contains("NaN"), "{html}");
    }
}
