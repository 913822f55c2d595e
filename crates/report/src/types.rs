//! The content of a page, as plain data. Every field may be empty; empty fields do not appear on the page.

use serde::{Deserialize, Serialize};

/// One page about one run, or a comparison of several runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The heading and the title of the browser tab.
    pub title: String,
    /// One line above the heading, for example the kind of the page.
    pub subtitle: String,
    /// The main result in one sentence.
    pub verdict: String,
    /// Warnings that the reader must see first, one sentence each.
    pub warnings: Vec<String>,
    /// Names and values, such as records, weights, time, commit, machine.
    pub facts: Vec<Fact>,
    /// Scores with their intervals, drawn beside the chance level and listed in a table.
    pub scores: Vec<ScoreRow>,
    /// Tables about the scores, below them.
    pub score_tables: Vec<Table>,
    /// Differences and other values with their intervals, each drawing under a title of its own.
    pub forests: Vec<Forest>,
    /// Samples of the records.
    pub samples: Vec<SampleGroup>,
    /// Bar charts of counts.
    pub bars: Vec<Bars>,
    /// Queries with their results, correct and wrong.
    pub examples: Vec<ExampleGroup>,
    /// Losses over steps: one chart for each name and one line for each run, smoothed, with the raw values behind it.
    pub losses: Vec<Series>,
    /// Further charts: learning rates, gradient norms, throughput, curves.
    pub charts: Vec<Chart>,
    /// Usage of the prompts of each pool.
    pub pools: Vec<PoolUsage>,
    /// Further tables, for example the compared runs.
    pub tables: Vec<Table>,
    /// Suggested next commands.
    pub next: Vec<Step>,
    /// Preformatted text at the end, such as recipe and manifest.
    pub sections: Vec<Section>,
}

/// A name and its value.
pub type Fact = (String, String);

/// One line of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What is measured.
    pub name: String,
    /// The name of the run; empty if the page shows only one run.
    pub run: String,
    /// Points (x, y), sorted by x. A y that is not finite gives a gap in the line.
    pub points: Vec<(f64, f64)>,
}

/// A confidence band around the [`Series`] of the same name and run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Band {
    /// The name of the series.
    pub name: String,
    /// The run of the series.
    pub run: String,
    /// Points (x, low, high), sorted by x.
    pub points: Vec<(f64, f64, f64)>,
}

/// A line chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// The title.
    pub title: String,
    /// How to read it, in a sentence; may be empty.
    pub explanation: String,
    /// Label of the horizontal axis, with its unit.
    pub x_label: String,
    /// Label of the vertical axis, with its unit.
    pub y_label: String,
    /// The lines.
    pub series: Vec<Series>,
    /// Confidence bands around lines.
    pub bands: Vec<Band>,
    /// Whether the horizontal axis is logarithmic; points that are not positive are then gaps.
    pub log_x: bool,
    /// Whether the vertical axis is logarithmic; values that are not positive are then gaps.
    pub log_y: bool,
    /// Whether the vertical axis always begins at zero. Use it for sizes and times: an axis that begins higher would exaggerate
    /// their growth.
    pub from_zero: bool,
    /// Whether each line is drawn smoothed, with its raw values behind it. Use it for noisy values, one for each step.
    pub smooth: bool,
}

/// The unit of a score: how its values are written. Scores with the same unit share an axis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// A fraction from 0 to 1.
    #[default]
    Fraction,
    /// A rank, 1 is the best; a median can be a half, such as 1.5.
    Rank,
    /// A number in the named unit, such as `nats` or `perplexity`.
    Named(String),
}

/// One score of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreRow {
    /// The name of the score, such as `R@10 image to text`.
    pub name: String,
    /// The name of the run; empty if the page shows only one run.
    pub run: String,
    /// The data that was scored: data set, split, number of pairs. Each set has a table of its own.
    pub set: String,
    /// The score; `None` if it is not defined.
    pub value: Option<f64>,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval.
    pub high: Option<f64>,
    /// The chance level: the score of a guess.
    pub chance: Option<f64>,
    /// Whether a higher value is better.
    pub higher_is_better: bool,
    /// The unit of all four numbers.
    pub unit: Unit,
}

/// A forest plot: each row with its name, its value and its interval, beside the chance level.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forest {
    /// The title.
    pub title: String,
    /// How to read it, in a sentence; may be empty.
    pub explanation: String,
    /// The rows, all of one unit.
    pub rows: Vec<ScoreRow>,
}

/// A group of examples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExampleGroup {
    /// The title, such as `image-to-text retrieval`.
    pub title: String,
    /// How the examples were selected, and which results count as correct.
    pub explanation: String,
    /// What the examples show.
    #[serde(default)]
    pub kind: ExampleKind,
    /// The examples.
    pub examples: Vec<Example>,
}

/// What examples show. It determines the words beside the items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExampleKind {
    /// Queries and the items that were found.
    #[default]
    Retrieval,
    /// Inputs and the most probable classes, labels or answers.
    Prediction,
    /// Inputs and the texts that were generated.
    Generation,
}

/// One query and its results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The query: the model got only this.
    pub query: Item,
    /// The ground truth, shown for comparison: the other modality of the query's record, the right answer, the reference text.
    pub partner: Option<Item>,
    /// The results, best first.
    pub found: Vec<Retrieved>,
}

/// One result: a retrieved item, a predicted output or a generated text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Retrieved {
    /// The item.
    pub item: Item,
    /// The model's score of the item, higher for a better result: a similarity or a probability. `None` if it has none.
    pub score: Option<f64>,
    /// Whether the item is correct; `None` if this is not known.
    pub hit: Option<bool>,
}

/// An image, a text, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The id of the record.
    pub id: String,
    /// The bytes of a PNG file.
    #[serde(with = "crate::picture::in_base64")]
    pub image_png: Option<Vec<u8>>,
    /// The text. Long texts are cut; markup is shown as text.
    pub text: Option<String>,
}

/// A group of sample records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampleGroup {
    /// The title, such as the name of the split.
    pub title: String,
    /// How the records were selected.
    pub explanation: String,
    /// The records.
    pub items: Vec<Item>,
}

/// Counts, drawn as horizontal bars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// What is counted.
    pub title: String,
    /// How to read it; may be empty.
    pub explanation: String,
    /// (name, count), in the order of the bars.
    pub counts: Vec<(String, u64)>,
}

/// How often the prompts of one pool were selected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolUsage {
    /// The name of the pool, and of the run if there are several.
    pub name: String,
    /// Number of prompts in the pool.
    pub size: usize,
    /// Share of the prompts that were selected at least once, 0 to 1.
    pub coverage: Option<f64>,
    /// Entropy of the selection, in bits.
    pub entropy_bits: Option<f64>,
    /// The largest possible entropy, in bits: all prompts selected equally often.
    pub max_entropy_bits: Option<f64>,
    /// Number of different sets of selected prompts per 1,000 inputs.
    pub distinct_per_1000: Option<f64>,
    /// (prompt, number of selections) of the most used prompts, most used first.
    pub counts: Vec<(usize, u64)>,
    /// The vectors of the prompts in two dimensions.
    pub map: Option<PoolMap>,
}

/// The vectors of a pool by their two leading principal components.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolMap {
    /// For each prompt both components, and how often it was selected (0 for prompts that are not among the most used ones).
    pub points: Vec<(f64, f64, u64)>,
    /// Share of the variance of the vectors in each of both components, 0 to 1.
    pub shares: [f64; 2],
}

/// A table of texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The title.
    pub title: String,
    /// How to read it; may be empty.
    pub explanation: String,
    /// Headings of the columns.
    pub columns: Vec<String>,
    /// Rows of cells; the first cell names the row. Columns of numbers are aligned right.
    pub rows: Vec<Vec<String>>,
}

/// A suggested next command.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// What the command does.
    pub title: String,
    /// The command, to be copied.
    pub command: String,
    /// Why the user might run it.
    pub why: String,
}

/// Preformatted text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// The title.
    pub title: String,
    /// The text; line breaks and spaces are kept.
    pub body: String,
}
