//! What a page shows, as plain data. Every field may be left empty; what is empty is left out of the page.

use serde::{Deserialize, Serialize};

/// One page about one run, or about several side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The heading and the name of the browser's tab.
    pub title: String,
    /// One line above the heading: what kind of page this is, of when.
    pub subtitle: String,
    /// The main result in one plain sentence.
    pub verdict: String,
    /// What a reader must know before believing the page, one sentence each.
    pub warnings: Vec<String>,
    /// Records, weights, time, commit, machine: name and value.
    pub facts: Vec<Fact>,
    /// Scores with their intervals, drawn against chance and tabled.
    pub scores: Vec<ScoreRow>,
    /// Records as they are.
    pub samples: Vec<SampleGroup>,
    /// How often what occurs.
    pub bars: Vec<Bars>,
    /// What was found for what, right and wrong.
    pub examples: Vec<ExampleGroup>,
    /// Losses over steps: one chart a name, one line a run, smoothed over the faint raw values.
    pub losses: Vec<Series>,
    /// Further charts: learning rates, gradient norms, throughput, curves.
    pub charts: Vec<Chart>,
    /// How the prompts of each pool were used.
    pub pools: Vec<PoolUsage>,
    /// Further tables: nearest training items of a prompt, runs side by side.
    pub tables: Vec<Table>,
    /// What to run next.
    pub next: Vec<Step>,
    /// Preformatted text at the end: recipe, manifest.
    pub sections: Vec<Section>,
}

/// A name and its value, in two strings.
pub type Fact = (String, String);

/// One line of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What is measured.
    pub name: String,
    /// Which run it is of; empty where the page has one run.
    pub run: String,
    /// (x, y) in rising x. A y that is not finite is a gap.
    pub points: Vec<(f64, f64)>,
}

/// An interval around the [`Series`] of the same name and run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Band {
    /// The series' name.
    pub name: String,
    /// The series' run.
    pub run: String,
    /// (x, low, high) in rising x.
    pub points: Vec<(f64, f64, f64)>,
}

/// A chart of lines over one pair of axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// What the chart shows.
    pub title: String,
    /// How to read it, in a sentence; may be empty.
    pub explanation: String,
    /// The horizontal axis, with its unit.
    pub x_label: String,
    /// The vertical axis, with its unit.
    pub y_label: String,
    /// The lines.
    pub series: Vec<Series>,
    /// Intervals around lines.
    pub bands: Vec<Band>,
    /// A logarithmic horizontal axis; points that are not positive are gaps then.
    pub log_x: bool,
    /// A logarithmic vertical axis; values that are not positive are gaps then.
    pub log_y: bool,
    /// A vertical axis that begins at zero however far above it the lines lie: for sizes and times, whose growth a cut axis
    /// would exaggerate.
    pub from_zero: bool,
    /// Draw each line smoothed, with its raw values faint behind it (noisy values, one a step).
    pub smooth: bool,
}

/// How a score's values are written, and which scores share an axis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// A share in 0..=1.
    #[default]
    Fraction,
    /// A place in an order, 1 for the best; halves happen.
    Rank,
    /// A number in the named unit, such as `nats` or `perplexity`.
    Named(String),
}

/// One score of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreRow {
    /// What is measured: `R@10 image to text`.
    pub name: String,
    /// Which run it is of; empty where the page has one run.
    pub run: String,
    /// On what it was scored: set, split, number. Only scores of one set stand in one table; those of others have their own.
    pub set: String,
    /// The score; `None` where it is undefined.
    pub value: Option<f64>,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval.
    pub high: Option<f64>,
    /// What guessing would give.
    pub chance: Option<f64>,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// The unit of all four numbers.
    pub unit: Unit,
}

/// Examples that answer one question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExampleGroup {
    /// The question: `Which text belongs to this picture?`
    pub title: String,
    /// How the examples were chosen and what counts as right.
    pub explanation: String,
    /// The examples.
    pub examples: Vec<Example>,
}

/// One query and what was found for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// What was asked with: only this was given to the model.
    pub query: Item,
    /// The query's own other half, shown for comparison.
    pub partner: Option<Item>,
    /// What was found, best first.
    pub found: Vec<Retrieved>,
}

/// One retrieved item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Retrieved {
    /// The item.
    pub item: Item,
    /// The model's score for it, higher is nearer.
    pub score: f64,
    /// Whether it is right; `None` where nobody knows.
    pub hit: Option<bool>,
}

/// A picture, a text, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The record's name.
    pub id: String,
    /// The bytes of a PNG file.
    #[serde(with = "crate::picture::in_base64")]
    pub image_png: Option<Vec<u8>>,
    /// The text; shown up to a length, always as text.
    pub text: Option<String>,
}

/// Records side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampleGroup {
    /// What they are of: `train`.
    pub title: String,
    /// How they were chosen.
    pub explanation: String,
    /// The records.
    pub items: Vec<Item>,
}

/// Counts as bars, one below the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// What is counted.
    pub title: String,
    /// How to read it; may be empty.
    pub explanation: String,
    /// (name, count), in the order in which they are drawn.
    pub counts: Vec<(String, u64)>,
}

/// How often the prompts of one pool were chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolUsage {
    /// Which pool, and of which run where there are several.
    pub name: String,
    /// Prompts in the pool.
    pub size: usize,
    /// Share of the prompts that were ever chosen, 0..=1.
    pub coverage: Option<f64>,
    /// Entropy of the choices in bits.
    pub entropy_bits: Option<f64>,
    /// The entropy if all prompts were chosen equally often, in bits.
    pub max_entropy_bits: Option<f64>,
    /// Different sets of prompts per 1,000 inputs.
    pub distinct_per_1000: Option<f64>,
    /// (prompt, times chosen) of the most used prompts, most used first.
    pub counts: Vec<(usize, u64)>,
}

/// A table of text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What it lists.
    pub title: String,
    /// How to read it; may be empty.
    pub explanation: String,
    /// Heads of the columns.
    pub columns: Vec<String>,
    /// Rows of cells; the first cell names the row. Cells that look like numbers are aligned right.
    pub rows: Vec<Vec<String>>,
}

/// Something to run next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// What it does.
    pub title: String,
    /// The command, to be copied.
    pub command: String,
    /// Why one would.
    pub why: String,
}

/// Text shown as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// What it is: `Recipe as run`.
    pub title: String,
    /// Its text; line breaks and spaces are kept.
    pub body: String,
}
