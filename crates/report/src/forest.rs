//! Forest plots: scores as dots with their intervals and a tick at the chance level, one drawing for each unit.

use crate::format::{fraction, number, rank};
use crate::html::{element, escape};
use crate::palette::Palette;
use crate::scale::{Scale, drawable, extent};
use crate::svg::{Anchor, Drawing, LETTER};
use crate::types::{Forest, ScoreRow, Unit};

const WIDTH: f64 = 460.0;
const LEFT: f64 = 10.0;
const RIGHT: f64 = 14.0;
/// Height of a score's name.
const NAME: f64 = 18.0;
/// Height of one dot with its interval.
const LANE: f64 = 16.0;
/// Space between two scores.
const GAP: f64 = 9.0;
/// Space for the axis below the scores.
const FOOT: f64 = 24.0;

/// Formats a score according to its unit.
pub fn written(value: f64, unit: &Unit) -> String {
    match unit {
        Unit::Fraction => fraction(value),
        Unit::Rank => rank(value),
        Unit::Named(_) => number(value),
    }
}

/// The rows of each unit, in order of appearance.
pub fn by_unit(rows: &[ScoreRow]) -> Vec<Vec<&ScoreRow>> {
    grouped(rows, |a, b| a.unit == b.unit)
}

/// The rows of each name, in order of appearance.
pub fn by_name<'a>(rows: &[&'a ScoreRow]) -> Vec<Vec<&'a ScoreRow>> {
    grouped(rows.iter().copied(), |a, b| a.name == b.name)
}

fn grouped<'a>(
    rows: impl IntoIterator<Item = &'a ScoreRow>,
    same: impl Fn(&ScoreRow, &ScoreRow) -> bool,
) -> Vec<Vec<&'a ScoreRow>> {
    let mut groups: Vec<Vec<&ScoreRow>> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|group| same(group[0], row)) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

/// A forest plot as a `figure`.
pub fn figure(plot: &Forest, palette: &Palette) -> String {
    format!(
        "<figure class=\"chart\">\n<figcaption><h3>{}</h3></figcaption>\n{}{}</figure>\n",
        escape(&plot.title),
        element("p", "explanation", &plot.explanation),
        forest(&plot.rows.iter().collect::<Vec<_>>(), palette),
    )
}

/// The drawing of the rows of one unit, or a sentence if none is defined.
pub fn forest(rows: &[&ScoreRow], palette: &Palette) -> String {
    drawing(rows, palette)
        .unwrap_or_else(|| "<p class=\"nothing\">nothing to draw: none of these scores is defined</p>\n".into())
}

/// The drawing of the rows of one unit; `None` if none is defined.
pub fn drawing(rows: &[&ScoreRow], palette: &Palette) -> Option<String> {
    let groups = by_name(rows);
    let height: f64 = groups.iter().map(|group| NAME + LANE * group.len() as f64 + GAP).sum::<f64>() + FOOT;
    let axis = axis(rows).filter(|_| rows.iter().any(|row| row.value.is_some()))?;
    let mut drawing = Drawing::new(WIDTH, height);
    let floor = height - FOOT;
    for tick in &axis.ticks {
        let at = axis.position(tick.value);
        drawing.line("grid", (at, 2.0), (at, floor));
        let half_width = LETTER * tick.label.chars().count() as f64 / 2.0;
        drawing.text("tick", Anchor::Middle, (at.clamp(half_width, WIDTH - half_width), floor + 16.0), &tick.label);
    }
    drawing.line("axis", (LEFT, floor), (WIDTH - RIGHT, floor));
    let mut top = 0.0;
    for group in groups {
        draw_group(&mut drawing, &group, &axis, top, palette);
        top += NAME + LANE * group.len() as f64 + GAP;
    }
    let descriptions: Vec<String> = rows.iter().map(|row| described(row)).collect();
    Some(drawing.finish(&format!("scores with 95 % intervals: {}", descriptions.join("; "))))
}

/// An axis that covers all defined values. It includes 0, or is logarithmic if the values are not fractions and differ by
/// more than a factor of 100.
fn axis(rows: &[&ScoreRow]) -> Option<Scale> {
    let values = || rows.iter().flat_map(|row| [row.value, row.low, row.high, row.chance]).flatten();
    let (low, high) = extent(values(), false)?;
    let pixels = (LEFT, WIDTH - RIGHT);
    let log = rows[0].unit != Unit::Fraction && low > 0.0 && high / low > 100.0;
    let low = if log { low } else { low.min(0.0) };
    Some(match rows[0].unit {
        Unit::Fraction if low >= 0.0 && high > 0.5 && high <= 1.0 => Scale::new((0.0, 1.0), pixels, 5, false),
        _ => Scale::rounded((low, high), pixels, 5, log),
    })
}

fn draw_group(drawing: &mut Drawing, group: &[&ScoreRow], axis: &Scale, top: f64, palette: &Palette) {
    let mut letters = ((WIDTH - LEFT - RIGHT) / LETTER) as usize;
    if let [row] = group {
        let figures = figures(row);
        drawing.text("value", Anchor::End, (WIDTH - RIGHT, top + 14.0), &figures);
        letters = letters.saturating_sub(figures.chars().count() + 1);
    }
    drawing.text("name", Anchor::Start, (LEFT, top + 14.0), &short(&group[0].name, letters));
    for (lane, row) in group.iter().enumerate() {
        let y = top + NAME + LANE * (lane as f64 + 0.5);
        draw_row(drawing, row, axis, y, &palette.run_class(&row.run));
    }
}

/// A name, shortened to the available space; the table shows the full name.
fn short(name: &str, letters: usize) -> String {
    match name.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", name[..end].trim_end()),
        None => name.into(),
    }
}

fn draw_row(drawing: &mut Drawing, row: &ScoreRow, axis: &Scale, y: f64, class: &str) {
    let finite = |value: Option<f64>| value.filter(|&value| drawable(value, false));
    drawing.line("lane", (LEFT, y), (WIDTH - RIGHT, y));
    if let Some(chance) = finite(row.chance) {
        let at = axis.position(chance);
        drawing.line("chance", (at, y - LANE / 2.0), (at, y + LANE / 2.0));
    }
    if let (Some(low), Some(high)) = (finite(row.low), finite(row.high)) {
        let (from, to) = (axis.position(low), axis.position(high));
        drawing.block(&format!("interval {class}"), (from, y - 2.5), ((to - from).max(1.0), 5.0), "");
    }
    match finite(row.value) {
        Some(value) => drawing.dot(&format!("score {class}"), (axis.position(value), y), 5.0, &described(row)),
        None => drawing.text("tick", Anchor::Start, (LEFT, y + 4.0), "– not defined"),
    }
}

/// `0.620 [0.550, 0.690]`.
fn figures(row: &ScoreRow) -> String {
    let Some(value) = row.value else { return "–".into() };
    let value = written(value, &row.unit);
    match (row.low, row.high) {
        (Some(low), Some(high)) => format!("{value} [{}, {}]", written(low, &row.unit), written(high, &row.unit)),
        _ => value,
    }
}

/// The row as text, for the tooltip and for screen readers.
fn described(row: &ScoreRow) -> String {
    let run = if row.run.is_empty() { String::new() } else { format!(" ({})", row.run) };
    let figures = if row.value.is_none() { "not defined".into() } else { figures(row) };
    let chance = row.chance.map_or_else(String::new, |chance| format!(", chance level {}", written(chance, &row.unit)));
    format!("{}{run}: {figures}{chance}", row.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, value: Option<f64>) -> ScoreRow {
        ScoreRow {
            name: name.into(),
            value,
            low: value.map(|value| value - 0.1),
            high: value.map(|value| value + 0.1),
            chance: Some(0.05),
            higher_is_better: true,
            ..ScoreRow::default()
        }
    }

    #[test]
    fn each_defined_score_has_dot_interval_and_chance() {
        let rows = [row("a", Some(0.5)), row("b", Some(0.6))];
        let svg = forest(&rows.iter().collect::<Vec<_>>(), &Palette::default());
        for mark in ["<circle", "class=\"interval", "class=\"chance\""] {
            assert_eq!(svg.matches(mark).count(), 2, "{mark}: {svg}");
        }
        assert!(svg.contains("0.500 [0.400, 0.600]"));
    }

    #[test]
    fn an_undefined_score_has_no_dot_and_is_not_zero() {
        let rows = [row("a", Some(0.5)), row("b", None)];
        let svg = forest(&rows.iter().collect::<Vec<_>>(), &Palette::default());
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(svg.contains("– not defined") && svg.contains("b: not defined, chance level 0.050"), "{svg}");
    }

    #[test]
    fn values_that_are_not_finite_are_not_drawn() {
        let odd = ScoreRow {
            value: Some(f64::NAN),
            low: Some(f64::NEG_INFINITY),
            high: Some(f64::INFINITY),
            ..row("a", None)
        };
        let svg = forest(&[&odd], &Palette::default());
        assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{svg}");
    }

    #[test]
    fn long_names_are_cut_between_letters() {
        assert_eq!(short("R@10", 36), "R@10");
        assert_eq!(short(&"ä".repeat(50), 36), "ä".repeat(36) + "…");
    }

    #[test]
    fn each_unit_has_a_drawing_of_its_own() {
        let rows =
            [row("a", Some(0.5)), ScoreRow { unit: Unit::Named("rank".into()), ..row("b", Some(7.0)) }, row("c", None)];
        let sizes: Vec<usize> = by_unit(&rows).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1]);
    }
}
