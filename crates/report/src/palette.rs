//! The colour and dash pattern of each run or series, the same on the whole page.

use crate::types::{Page, Series};

/// Number of colours in the style sheet, classes `c0` to `c6`. Colour-blind people can distinguish them; each has a contrast
/// of at least 3 to the background.
const COLOURS: usize = 7;

/// Dash patterns that distinguish lines of the same colour.
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];

/// The runs of a page, in order of appearance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Palette {
    runs: Vec<String>,
}

/// The style of one line.
#[derive(Clone, Debug, PartialEq)]
pub struct LineStyle {
    /// The class that sets the colour.
    pub class: String,
    /// The dash pattern; empty for a solid line.
    pub dash: &'static str,
}

impl Palette {
    /// Collects the runs that a page names.
    pub fn of(page: &Page) -> Self {
        let series = page.losses.iter().chain(page.charts.iter().flat_map(|chart| &chart.series));
        let names = page.scores.iter().map(|row| &row.run).chain(series.map(|series| &series.run));
        let mut runs: Vec<String> = Vec::new();
        for name in names.filter(|name| !name.is_empty()) {
            if !runs.contains(name) {
                runs.push(name.clone());
            }
        }
        Self { runs }
    }

    /// Whether the page compares runs.
    pub fn compares(&self) -> bool {
        self.runs.len() > 1
    }

    /// All runs, in order of appearance.
    pub fn runs(&self) -> &[String] {
        &self.runs
    }

    /// The class of a run's colour; the first colour if the page has only one run.
    pub fn run_class(&self, run: &str) -> String {
        colour(self.runs.iter().position(|name| name == run).unwrap_or(0))
    }

    /// The style of `series` in its chart. If the page compares runs, the colour shows the run and the dash pattern shows
    /// the name; else both show the name.
    pub fn style(&self, series: &Series, all: &[Series]) -> LineStyle {
        let mut names: Vec<&str> = Vec::new();
        for other in all {
            if !names.contains(&other.name.as_str()) {
                names.push(&other.name);
            }
        }
        let index = names.iter().position(|&name| name == series.name).unwrap_or(0);
        if self.compares() && !series.run.is_empty() {
            let run = self.runs.iter().position(|name| *name == series.run).unwrap_or(0);
            LineStyle { class: colour(run), dash: DASHES[(index + run / COLOURS) % DASHES.len()] }
        } else {
            LineStyle { class: colour(index), dash: DASHES[index % DASHES.len()] }
        }
    }
}

fn colour(index: usize) -> String {
    format!("c{}", index % COLOURS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, run: &str) -> Series {
        Series { name: name.into(), run: run.into(), points: vec![] }
    }

    #[test]
    fn a_run_keeps_its_colour() {
        let page = Page { losses: vec![series("mlm", "a"), series("mlm", "b"), series("itm", "b")], ..Page::default() };
        let palette = Palette::of(&page);
        assert_eq!(palette.runs(), ["a", "b"]);
        let chart = [series("lr", "b"), series("norm", "b")];
        assert_eq!(palette.style(&chart[0], &chart).class, "c1");
        assert_eq!(palette.style(&chart[1], &chart).class, "c1");
        assert_ne!(palette.style(&chart[0], &chart).dash, palette.style(&chart[1], &chart).dash);
    }

    #[test]
    fn without_runs_names_have_the_colours() {
        let chart = [series("lr", ""), series("norm", "")];
        let palette = Palette::of(&Page::default());
        assert_eq!([0, 1].map(|index| palette.style(&chart[index], &chart).class), ["c0", "c1"]);
    }
}
