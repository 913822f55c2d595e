//! Which run or series has which colour and dash, the same through the whole page.

use crate::types::{Page, Series};

/// Colours in the style sheet: classes `c0` to `c6`, told apart by colour-blind eyes, each with contrast 3 or more.
const COLOURS: usize = 7;

/// Patterns that tell lines apart where colour does not.
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];

/// The runs of a page, in order of appearance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Palette {
    runs: Vec<String>,
}

/// How one line is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// The class that sets the colour.
    pub class: String,
    /// The dash pattern; empty for a full line.
    pub dash: &'static str,
}

impl Palette {
    /// Gathers the runs that a page names.
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

    /// The class of a run's colour; the first colour where the page has one run.
    pub fn run_class(&self, run: &str) -> String {
        colour(self.runs.iter().position(|name| name == run).unwrap_or(0))
    }

    /// The look of `series` within its chart: by run where runs are compared (then names differ by dash), else by name.
    pub fn look(&self, series: &Series, all: &[Series]) -> Look {
        let mut names: Vec<&str> = Vec::new();
        for other in all {
            if !names.contains(&other.name.as_str()) {
                names.push(&other.name);
            }
        }
        let place = names.iter().position(|&name| name == series.name).unwrap_or(0);
        if self.compares() && !series.run.is_empty() {
            let run = self.runs.iter().position(|name| *name == series.run).unwrap_or(0);
            Look { class: colour(run), dash: DASHES[(place + run / COLOURS) % DASHES.len()] }
        } else {
            Look { class: colour(place), dash: DASHES[place % DASHES.len()] }
        }
    }
}

fn colour(place: usize) -> String {
    format!("c{}", place % COLOURS)
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
        assert_eq!(palette.look(&chart[0], &chart).class, "c1");
        assert_eq!(palette.look(&chart[1], &chart).class, "c1");
        assert_ne!(palette.look(&chart[0], &chart).dash, palette.look(&chart[1], &chart).dash);
    }

    #[test]
    fn without_runs_names_have_the_colours() {
        let chart = [series("lr", ""), series("norm", "")];
        let palette = Palette::of(&Page::default());
        assert_eq!([0, 1].map(|index| palette.look(&chart[index], &chart).class), ["c0", "c1"]);
    }
}
