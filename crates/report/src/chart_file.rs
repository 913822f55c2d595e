//! A line chart as an SVG file that stands alone: with its title, its legend and its colours.

use std::fmt::Write;

use crate::chart::{LegendEntry, parts};
use crate::html::escape;
use crate::palette::Palette;
use crate::types::{Chart, Page};

/// Width of the drawing, and height of a line of the legend.
const WIDTH: f64 = 420.0;
const LINE: f64 = 16.0;
/// Height of the title.
const TITLE: f64 = 24.0;
/// Colours of the lines, those of the light style sheet. Programs that convert SVG know no variables of style sheets.
const COLOURS: [&str; 7] = ["#0b66ad", "#c24a00", "#0a7f60", "#a3407f", "#8a6a00", "#4a45a8", "#5c6670"];
const STYLE: &str = "text{font-family:sans-serif;font-size:11px;fill:#1d2329}.title{font-size:13px;font-weight:bold}.tick,.axis-label{fill:#57606a}\
    .grid{stroke:#ebe8e1}.axis{stroke:#57606a;stroke-opacity:.6}.curve{fill:none;stroke-width:2;stroke-linejoin:round}\
    .raw{fill:none;stroke-opacity:.22}.band{fill-opacity:.16}.dot{stroke:#fff}.probe{fill-opacity:0}";

/// A chart of a page as the content of an SVG file, in the page's colours; `None` if there is nothing to draw.
pub fn chart_file(chart: &Chart, page: &Page) -> Option<String> {
    let (drawing, legend) = parts(chart, &Palette::of(page))?;
    let height = chart_height(&drawing)?;
    let mut style = STYLE.to_string();
    for (index, colour) in COLOURS.iter().enumerate() {
        let _ = write!(
            style,
            ".curve.c{index},.raw.c{index}{{stroke:{colour}}}.band.c{index},.dot.c{index}{{fill:{colour}}}"
        );
    }
    let legend = if legend.len() > 1 { legend } else { vec![] };
    let all = TITLE + height + LINE * legend.len() as f64 + 6.0;
    let mut file = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {all:.0}\" width=\"{:.0}\" height=\"{:.0}\">\n<style>{style}</style>\n\
         <rect width=\"{WIDTH:.0}\" height=\"{all:.0}\" fill=\"#ffffff\"/>\n<text class=\"title\" x=\"4\" y=\"16\">{}</text>\n",
        1.5 * WIDTH,
        1.5 * all,
        escape(&chart.title)
    );
    // The drawing becomes a part of this one at its place.
    let place = format!("<svg x=\"0\" y=\"{TITLE:.0}\" width=\"{WIDTH:.0}\" height=\"{height:.0}\" ");
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

/// The height in the view box of a drawing.
fn chart_height(drawing: &str) -> Option<f64> {
    let (_, rest) = drawing.split_once("viewBox=\"")?;
    rest.split('"').next()?.split(' ').nth(3)?.parse().ok()
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
}
