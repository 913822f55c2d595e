//! Line charts: axes with ticks at round numbers, smoothed lines over raw values, confidence bands, tooltips and a legend.

use crate::format::number;
use crate::html::{element, escape};
use crate::palette::{LineStyle, Palette};
use crate::reduce::{Piece, pieces, smooth, thin};
use crate::scale::{Scale, drawable, extent};
use crate::svg::{Anchor, Drawing, LETTER};
use crate::types::{Band, Chart, Series};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 250.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 36.0;
const RIGHT: f64 = 12.0;
/// The largest number of points that are drawn for one line.
const POINTS: usize = 400;
/// The number of places along the horizontal axis that have a tooltip.
const TOOLTIPS: usize = 32;
/// Lines with fewer points than this get a dot at each point.
const MIN_POINTS_WITHOUT_DOTS: usize = 16;

/// One line with the values that are drawn.
struct Line<'a> {
    series: &'a Series,
    style: LineStyle,
    raw: Vec<Piece>,
    smoothed: Vec<Piece>,
}

impl Line<'_> {
    /// The points of the main line: smoothed if the chart smooths, else raw.
    fn points(&self) -> impl DoubleEndedIterator<Item = (f64, f64)> {
        self.smoothed.iter().flatten().copied()
    }
}

/// The chart as a `figure`.
pub fn chart(chart: &Chart, palette: &Palette) -> String {
    let lines: Vec<Line> = chart.series.iter().map(|series| prepare(chart, series, palette)).collect();
    let drawing = match axes(chart, &lines) {
        Some((x, y)) => draw(chart, &lines, &x, &y, palette),
        None => "<p class=\"nothing\">nothing to draw: no value was recorded</p>\n".into(),
    };
    format!(
        "<figure class=\"chart\">\n<figcaption><h3>{}</h3>{}</figcaption>\n{}{drawing}{}</figure>\n",
        escape(&chart.title),
        first_and_last(&lines),
        element("p", "explanation", &chart.explanation),
        legend(&lines),
    )
}

/// One chart for each name among `losses`, with one line for each run.
pub fn losses(losses: &[Series], palette: &Palette) -> String {
    let mut charts: Vec<Chart> = Vec::new();
    for series in losses {
        match charts.iter_mut().find(|chart| chart.title == series.name) {
            Some(chart) => chart.series.push(series.clone()),
            None => charts.push(Chart {
                title: series.name.clone(),
                x_label: "step".into(),
                y_label: "loss".into(),
                series: vec![series.clone()],
                smooth: true,
                ..Chart::default()
            }),
        }
    }
    charts.iter().map(|each| chart(each, palette)).collect()
}

fn prepare<'a>(chart: &Chart, series: &'a Series, palette: &Palette) -> Line<'a> {
    let raw = pieces(&series.points, |x, y| drawable(x, chart.log_x) && drawable(y, chart.log_y));
    let smoothed = if chart.smooth { raw.iter().map(|piece| smooth(piece)).collect() } else { raw.clone() };
    Line { series, style: palette.style(series, &chart.series), raw, smoothed }
}

/// Both scales, or `None` if there is nothing to draw.
fn axes(chart: &Chart, lines: &[Line]) -> Option<(Scale, Scale)> {
    let points = || lines.iter().flat_map(Line::points);
    let banded = || chart.bands.iter().flat_map(|band| &band.points);
    let (first, last) = extent(points().map(|(x, _)| x).chain(banded().map(|&(x, ..)| x)), chart.log_x)?;
    // Steps are counted from 1, but the axis begins at 0.
    let xs = if !chart.log_x && first > 0.0 && first < 0.05 * last { (0.0, last) } else { (first, last) };
    let spread = lines.iter().filter(|_| chart.smooth).flat_map(|line| middle_range(&line.raw));
    let ys = points().map(|(_, y)| y).chain(banded().flat_map(|&(_, low, high)| [low, high])).chain(spread);
    let (low, high) = extent(ys, chart.log_y)?;
    // If all values are far above zero, the axis does not begin at zero, to avoid empty space below the line.
    let low = if !chart.log_y && low > 0.0 && (chart.from_zero || low < 0.4 * high) { 0.0 } else { low };
    let y = Scale::rounded((low, high), (HEIGHT - BOTTOM, TOP), 4, chart.log_y);
    let longest = y.ticks.iter().map(|tick| tick.label.chars().count()).max().unwrap_or(1);
    let left = 12.0 + LETTER * longest as f64;
    Some((Scale::new(xs, (left, WIDTH - RIGHT), 5, chart.log_x), y))
}

/// The limits of the middle 98 % of the raw values, so that single spikes do not flatten the chart.
fn middle_range(raw: &[Piece]) -> Vec<f64> {
    let mut values: Vec<f64> = raw.iter().flatten().map(|&(_, y)| y).collect();
    values.sort_by(f64::total_cmp);
    let cut = values.len() / 100;
    if values.is_empty() { values } else { vec![values[cut], values[values.len() - 1 - cut]] }
}

fn draw(chart: &Chart, lines: &[Line], x: &Scale, y: &Scale, palette: &Palette) -> String {
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    draw_axes(&mut drawing, chart, x, y);
    for band in &chart.bands {
        draw_band(&mut drawing, chart, band, (x, y), palette);
    }
    let place = |piece: &Piece| -> Piece {
        thin(piece, POINTS).into_iter().map(|(at, value)| (x.position(at), y.position(value))).collect()
    };
    for line in lines.iter().filter(|_| chart.smooth) {
        for piece in line.raw.iter().filter(|piece| piece.len() >= 25) {
            drawing.path(&format!("raw {}", line.style.class), &place(piece), "");
        }
    }
    for line in lines {
        let dots = line.points().count() < MIN_POINTS_WITHOUT_DOTS;
        for piece in &line.smoothed {
            drawing.path(&format!("curve {}", line.style.class), &place(piece), line.style.dash);
            for (at, value) in place(piece).into_iter().filter(|_| dots || piece.len() == 1) {
                drawing.dot(&format!("dot {}", line.style.class), (at, value), 3.0, "");
            }
        }
    }
    draw_tooltips(&mut drawing, chart, lines, x);
    drawing.finish(&description(chart, lines))
}

fn draw_axes(drawing: &mut Drawing, chart: &Chart, x: &Scale, y: &Scale) {
    let (left, right) = x.pixels();
    for tick in &y.ticks {
        let at = y.position(tick.value);
        drawing.line("grid", (left, at), (right, at));
        drawing.text("tick", Anchor::End, (left - 6.0, at + 4.0), &tick.label);
    }
    let floor = HEIGHT - BOTTOM;
    drawing.line("axis", (left, floor), (right, floor));
    for tick in &x.ticks {
        let at = x.position(tick.value);
        drawing.line("axis", (at, floor), (at, floor + 4.0));
        let half = LETTER * tick.label.chars().count() as f64 / 2.0;
        drawing.text("tick", Anchor::Middle, (at.min(WIDTH - half - 1.0), floor + 17.0), &tick.label);
    }
    let label = |label: &str, log: bool| format!("{label}{}", if log { " (log scale)" } else { "" });
    drawing.text("axis-label", Anchor::Start, (2.0, 11.0), &label(&chart.y_label, chart.log_y));
    drawing.text("axis-label", Anchor::End, (right, HEIGHT - 3.0), &label(&chart.x_label, chart.log_x));
}

fn draw_band(drawing: &mut Drawing, chart: &Chart, band: &Band, (x, y): (&Scale, &Scale), palette: &Palette) {
    let owner = chart.series.iter().find(|series| series.name == band.name && series.run == band.run);
    let class = owner.map_or_else(|| palette.run_class(&band.run), |series| palette.style(series, &chart.series).class);
    let is_drawable = |&&(at, low, high): &&(f64, f64, f64)| {
        drawable(at, chart.log_x) && drawable(low, chart.log_y) && drawable(high, chart.log_y)
    };
    let points: Vec<_> = band.points.iter().filter(is_drawable).collect();
    let upper = points.iter().map(|&&(at, _, high)| (x.position(at), y.position(high)));
    let lower = points.iter().rev().map(|&&(at, low, _)| (x.position(at), y.position(low)));
    let outline: Vec<_> = upper.chain(lower).collect();
    if !outline.is_empty() {
        drawing.area(&format!("band {class}"), &outline);
    }
}

/// Invisible strips over the chart, whose tooltips show the values at that place.
fn draw_tooltips(drawing: &mut Drawing, chart: &Chart, lines: &[Line], x: &Scale) {
    let (left, right) = x.pixels();
    let mut xs: Vec<f64> = lines.iter().flat_map(Line::points).map(|(at, _)| at).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let count = xs.len().min(TOOLTIPS);
    let chosen: Vec<f64> = (0..count).map(|index| xs[(index * 2 + 1) * xs.len() / (2 * count)]).collect();
    for (index, &at) in chosen.iter().enumerate() {
        let middle = |other: f64| (x.position(at) + x.position(other)) / 2.0;
        let from = if index == 0 { left } else { middle(chosen[index - 1]) };
        let to = chosen.get(index + 1).map_or(right, |&next| middle(next));
        drawing.block("probe", (from, TOP), (to - from, HEIGHT - BOTTOM - TOP), &tooltip(chart, lines, at));
    }
}

/// The text of the tooltip at `at`: the value of each line there.
fn tooltip(chart: &Chart, lines: &[Line], at: f64) -> String {
    let mut text = format!("{} {}", chart.x_label, number(at));
    for line in lines {
        if let Some((_, value)) = line.points().min_by(|a, b| (a.0 - at).abs().total_cmp(&(b.0 - at).abs())) {
            text.push_str(&format!("\n{}: {}", name(line.series), number(value)));
        }
    }
    text
}

/// `name`, or `name · run` if the series has a run.
fn name(series: &Series) -> String {
    match (series.name.as_str(), series.run.as_str()) {
        (name, "") => name.into(),
        ("", run) => run.into(),
        (name, run) => format!("{name} · {run}"),
    }
}

/// The first and the last value, beside the title of a chart with a single line.
fn first_and_last(lines: &[Line]) -> String {
    let [line] = lines else { return String::new() };
    match (line.points().next(), line.points().next_back()) {
        (Some((_, first)), Some((_, last))) => format!(
            "<span class=\"course\" title=\"first and last value of the line\">{} → <strong>{}</strong></span>",
            number(first),
            number(last)
        ),
        _ => String::new(),
    }
}

/// The description of the chart for screen readers.
fn description(chart: &Chart, lines: &[Line]) -> String {
    let mut text = format!("{}, {} over {}", chart.title, chart.y_label, chart.x_label);
    for line in lines {
        if let (Some((_, first)), Some((_, last))) = (line.points().next(), line.points().next_back()) {
            text.push_str(&format!("; {} from {} to {}", name(line.series), number(first), number(last)));
        }
    }
    text
}

/// A line of a legend.
pub struct LegendEntry {
    /// The class of its colour.
    pub class: String,
    /// Its dash pattern; empty for a solid line.
    pub dash: &'static str,
    /// What it shows.
    pub text: String,
}

/// The drawing of a chart and its legend, for a file of its own; `None` if there is nothing to draw.
pub fn parts(chart: &Chart, palette: &Palette) -> Option<(String, Vec<LegendEntry>)> {
    let lines: Vec<Line> = chart.series.iter().map(|series| prepare(chart, series, palette)).collect();
    let (x, y) = axes(chart, &lines)?;
    Some((draw(chart, &lines, &x, &y, palette), entries(&lines)))
}

fn entries(lines: &[Line]) -> Vec<LegendEntry> {
    let same_name = lines.iter().all(|line| line.series.name == lines[0].series.name && !line.series.run.is_empty());
    let entry = |Line { series, style, smoothed, .. }: &Line| {
        let text = if same_name { series.run.clone() } else { name(series) };
        let no_value = if smoothed.is_empty() { " (no value)" } else { "" };
        LegendEntry { class: style.class.clone(), dash: style.dash, text: format!("{text}{no_value}") }
    };
    lines.iter().map(entry).collect()
}

/// The legend; empty for a single line.
fn legend(lines: &[Line]) -> String {
    if lines.len() < 2 {
        return String::new();
    }
    let shown = |LegendEntry { class, dash, text }: LegendEntry| {
        format!(
            "<li><svg class=\"key\" viewBox=\"0 0 24 8\" aria-hidden=\"true\"><path class=\"curve {class}\" d=\"M1 4L23 4\" \
             stroke-dasharray=\"{}\"/></svg>{}</li>\n",
            if dash.is_empty() { "none" } else { dash },
            escape(&text),
        )
    };
    let entries: String = entries(lines).into_iter().map(shown).collect();
    format!("<ul class=\"legend\">\n{entries}</ul>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: Vec<(f64, f64)>) -> Series {
        Series { name: "mlm".into(), run: String::new(), points }
    }

    fn html(chart_of: &Chart) -> String {
        chart(chart_of, &Palette::default())
    }

    #[test]
    fn a_gap_stays_a_gap() {
        let points = vec![(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 2.0), (4.0, 1.0)];
        let html = html(&Chart { series: vec![series(points)], ..Chart::default() });
        assert_eq!(html.matches("class=\"curve").count(), 2, "{html}");
        assert!(!html.contains("NaN"), "{html}");
    }

    #[test]
    fn a_chart_without_values_says_so() {
        for points in [vec![], vec![(0.0, f64::NAN)], vec![(f64::INFINITY, 1.0)]] {
            assert!(html(&Chart { series: vec![series(points)], ..Chart::default() }).contains("nothing to draw"));
        }
        let zero = Chart { series: vec![series(vec![(0.0, 0.0)])], log_y: true, ..Chart::default() };
        assert!(html(&zero).contains("nothing to draw"));
    }

    #[test]
    fn an_axis_begins_at_zero_if_requested() {
        let far =
            |from_zero| Chart { series: vec![series(vec![(5.0, 90.0), (6.0, 91.0)])], from_zero, ..Chart::default() };
        assert!(html(&far(true)).contains(">0</text>"));
        assert!(!html(&far(false)).contains(">0</text>"));
    }

    #[test]
    fn one_long_series_makes_a_small_chart() {
        let points = (0..200_000).map(|step| (f64::from(step), 1.0 + f64::from(step % 7))).collect();
        let html = html(&Chart { series: vec![series(points)], smooth: true, ..Chart::default() });
        assert!(html.len() < 30_000, "{}", html.len());
        assert!(html.contains("class=\"raw c0\""));
    }

    #[test]
    fn losses_of_two_runs_share_a_chart() {
        let of =
            |name: &str, run: &str| Series { name: name.into(), run: run.into(), points: vec![(0.0, 1.0), (9.0, 0.5)] };
        let all = [of("mlm", "a"), of("mlm", "b"), of("itm", "a")];
        let html = losses(&all, &Palette::default());
        assert_eq!(html.matches("<figure").count(), 2);
        assert_eq!(html.matches("<li>").count(), 2);
    }
}
