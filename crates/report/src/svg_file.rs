//! Drawings as SVG files that stand alone: with their title, their legend and their colours.

use std::fmt::Write;

use crate::chart::{LegendEntry, parts};
use crate::forest::drawing;
use crate::html::escape;
use crate::palette::Palette;
use crate::types::{Chart, Forest, Page, ScoreRow};

/// Height of a line of the legend.
const LINE: f64 = 16.0;
/// Height of the title.
const TITLE: f64 = 24.0;
/// Colours of the lines, those of the light style sheet. Programs that convert SVG know no variables of style sheets.
const COLOURS: [&str; 7] = ["#0b66ad", "#c24a00", "#0a7f60", "#a3407f", "#8a6a00", "#4a45a8", "#5c6670"];
const STYLE: &str = "text{font-family:sans-serif;font-size:11px;fill:#1d2329}.title{font-size:13px;font-weight:bold}.tick,.axis-label{fill:#57606a}\
    .grid{stroke:#ebe8e1}.axis{stroke:#57606a;stroke-opacity:.6}.curve{fill:none;stroke-width:2;stroke-linejoin:round}\
    .raw{fill:none;stroke-opacity:.22}.band{fill-opacity:.16}.dot,.score{stroke:#fff}.probe{fill-opacity:0}.lane{stroke:#ebe8e1}\
    .interval{fill-opacity:.4}.chance{stroke:#1d2329;stroke-width:2}.value{font-weight:bold}";

/// A chart of a page as the content of an SVG file, in the page's colours; `None` if there is nothing to draw.
pub fn chart_file(chart: &Chart, page: &Page) -> Option<String> {
    let (drawing, legend) = parts(chart, &Palette::of(page))?;
    file(&chart.title, &drawing, if legend.len() > 1 { &legend } else { &[] })
}

/// A forest plot as the content of an SVG file; `None` if no row is defined.
pub fn forest_file(forest: &Forest) -> Option<String> {
    let rows: Vec<&ScoreRow> = forest.rows.iter().collect();
    file(&forest.title, &drawing(&rows, &Palette::default())?, &[])
}

/// A drawing with its title above and its legend below.
fn file(title: &str, drawing: &str, legend: &[LegendEntry]) -> Option<String> {
    let [width, height] = size(drawing)?;
    let mut style = STYLE.to_string();
    for (index, colour) in COLOURS.iter().enumerate() {
        let _ = write!(
            style,
            ".curve.c{index},.raw.c{index}{{stroke:{colour}}}.interval.c{index},.score.c{index},.band.c{index},.dot.c{index}{{fill:{colour}}}"
        );
    }
    let all = TITLE + height + LINE * legend.len() as f64 + 6.0;
    let mut file = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {all:.0}\" width=\"{:.0}\" height=\"{:.0}\">\n<style>{style}</style>\n\
         <rect width=\"{width:.0}\" height=\"{all:.0}\" fill=\"#ffffff\"/>\n<text class=\"title\" x=\"4\" y=\"16\">{}</text>\n",
        1.5 * width,
        1.5 * all,
        escape(title)
    );
    // The drawing becomes a part of this one at its place.
    let place = format!("<svg x=\"0\" y=\"{TITLE:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" ");
    file.push_str(&drawing.replacen("<svg ", &place, 1));
    for (number, LegendEntry { class, dash, text }) in legend.iter().enumerate() {
        let y = TITLE + height + LINE * (number as f64 + 0.6);
        let dash = if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dash}\"") };
        let _ = write!(
            file,
            "<path class=\"curve {class}\"{dash} d=\"M12 {y:.1}L40 {y:.1}\"/>\n<text x=\"48\" y=\"{:.1}\">{}</text>\n",
            y + 4.0,
            escape(text)
        );
    }
    file.push_str("</svg>\n");
    Some(file)
}

/// Width and height in the view box of a drawing.
fn size(drawing: &str) -> Option<[f64; 2]> {
    let (_, rest) = drawing.split_once("viewBox=\"")?;
    let mut numbers = rest.split('"').next()?.split(' ').skip(2).map(|number| number.parse().ok());
    Some([numbers.next()??, numbers.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Series;

    #[test]
    fn a_file_has_title_lines_and_legend() {
        let series =
            |run: &str, y: f64| Series { name: "loss".into(), run: run.into(), points: vec![(0.0, y), (9.0, 1.0)] };
        let chart =
            Chart { title: "a < b".into(), series: vec![series("one", 2.0), series("two", 3.0)], ..Chart::default() };
        let page = Page { charts: vec![chart.clone()], ..Page::default() };
        let file = chart_file(&chart, &page).unwrap();
        for part in ["a &lt; b", "class=\"curve c0\"", "class=\"curve c1\"", ">two</text>", ".dot.c1{fill:#c24a00}"] {
            assert!(file.contains(part), "{part} is missing in {file}");
        }
        assert_eq!(file.matches("<svg").count(), file.matches("</svg>").count());
        assert_eq!(chart_file(&Chart::default(), &page), None);
    }

    #[test]
    fn a_forest_plot_has_a_file_if_a_row_is_defined() {
        let row = |name: &str, value: Option<f64>| ScoreRow {
            name: name.into(),
            value,
            low: value.map(|value| value - 0.1),
            high: value.map(|value| value + 0.1),
            chance: Some(0.0),
            ..ScoreRow::default()
        };
        let rows = vec![row("soft", Some(-0.05)), row("keyed", None)];
        let file = forest_file(&Forest { title: "to `token`".into(), rows, ..Forest::default() }).unwrap();
        for part in ["to `token`", ">soft</text>", "−0.050 [−0.150, 0.050]", "not defined", ".score.c0,"] {
            assert!(file.contains(part), "{part} is missing in {file}");
        }
        assert_eq!(forest_file(&Forest { rows: vec![row("a", None)], ..Forest::default() }), None);
    }
}
