//! The usage of the prompts of a pool.

use crate::format::{count, number};
use crate::html::{escape, undefined};
use crate::scale::Scale;
use crate::svg::{Anchor, Drawing, LETTER};
use crate::types::{PoolMap, PoolUsage};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 170.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 34.0;
const RIGHT: f64 = 8.0;
const MAP_HEIGHT: f64 = 260.0;
const MAP_EDGE: f64 = 12.0;
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
         <div><dt>different sets per 1,000 inputs</dt><dd>{distinct}</dd></div>\n</dl>\n{}{}</figure>\n",
        escape(&usage.name),
        count(size),
        meter(usage.coverage),
        meter(evenness),
        bars(usage),
        usage.map.as_ref().map_or(String::new(), |map| self::map(&usage.name, map)),
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

/// A dot for each prompt, the larger the more often it was selected.
fn map(name: &str, map: &PoolMap) -> String {
    let shown = || map.points.iter().filter(|(x, y, _)| x.is_finite() && y.is_finite());
    let extent = |of: fn(&(f64, f64, u64)) -> f64| {
        shown().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    };
    let (across, up) = (extent(|point| point.0), extent(|point| point.1));
    if !(across.0 < across.1 && up.0 < up.1) {
        return String::new();
    }
    let x = Scale::new(across, (MAP_EDGE, WIDTH - MAP_EDGE), 2, false);
    let y = Scale::new(up, (MAP_HEIGHT - BOTTOM, TOP + MAP_EDGE), 2, false);
    let most = shown().map(|point| point.2).max().unwrap_or(0).max(1);
    let mut drawing = Drawing::new(WIDTH, MAP_HEIGHT);
    let mut points: Vec<(usize, &(f64, f64, u64))> = map.points.iter().enumerate().collect();
    points.sort_by_key(|(_, point)| point.2);
    for (prompt, &(across, up, times)) in
        points.into_iter().filter(|(_, point)| point.0.is_finite() && point.1.is_finite())
    {
        let at = (x.position(across), y.position(up));
        let (class, radius) = match times {
            0 => ("rare", 1.6),
            times => ("dot", 2.5 + 4.5 * (times as f64 / most as f64).sqrt()),
        };
        let tip = if times == 0 { String::new() } else { format!("prompt {prompt}: selected {} times", count(times)) };
        drawing.dot(class, at, radius, &tip);
    }
    let share = |which: usize| format!("{} %", number(map.shares[which] * 100.0));
    drawing.text("axis-label", Anchor::Start, (2.0, 11.0), "map of all prompts; the most used ones are large");
    let axes = format!("principal components with {} and {} of the variance", share(0), share(1));
    drawing.text("axis-label", Anchor::End, (WIDTH - RIGHT, MAP_HEIGHT - 3.0), &axes);
    drawing.finish(&format!("{name}: {} prompts by two principal components", map.points.len()))
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
    fn the_map_has_a_dot_for_each_prompt() {
        let points = vec![(0.0, 1.0, 0), (2.0, -1.0, 7), (f64::NAN, 0.0, 3), (1.0, 0.5, 0)];
        let usage = |points| PoolUsage { map: Some(PoolMap { points, shares: [0.5, 0.25] }), ..PoolUsage::default() };
        let html = pool(&usage(points));
        assert_eq!(html.matches("<circle").count(), 3, "{html}");
        assert!(html.contains("prompt 1: selected 7 times") && html.contains("25.0 %"), "{html}");
        assert!(!pool(&usage(vec![(1.0, 1.0, 0); 3])).contains("<circle"));
    }

    #[test]
    fn largest_counts_do_not_break_the_chart() {
        let html = pool(&PoolUsage { counts: vec![(usize::MAX, u64::MAX), (0, 1)], ..PoolUsage::default() });
        assert!(html.contains("18,446,744,073,709,551,615") && !html.contains("NaN"), "{html}");
    }
}
