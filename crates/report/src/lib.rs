//! Pages one wants to look at: what a run learned, as one HTML file.
//!
//! [`render`] turns a [`Page`], plain data, into the text of a page. It is a pure function: equal pages give equal
//! bytes, nothing is read, written or fetched. The page holds everything it shows (pictures as data URIs, charts as
//! inline SVG, one style sheet) and no script at all; its content security policy forbids the rest, so a report text
//! that carries markup is shown as text and could not act even if it were not.
//!
//! Several runs side by side need no other page: give [`Series`] and [`ScoreRow`]s with different [`Series::run`]s, and
//! each run keeps its colour through the whole page.
//!
//! ```
//! use ptu_report::{Page, ScoreRow, Unit, render};
//!
//! let score = ScoreRow { name: "R@10".into(), value: Some(0.62), low: Some(0.55), high: Some(0.69),
//!     chance: Some(0.05), higher_is_better: true, unit: Unit::Fraction, ..ScoreRow::default() };
//! let page = Page { title: "Quickstart".into(), scores: vec![score], ..Page::default() };
//! assert!(render(&page).contains("0.620"));
//! ```

mod bars;
mod chart;
mod examples;
mod forest;
mod format;
mod html;
mod page;
mod palette;
mod picture;
mod pool;
mod reduce;
mod scale;
mod scores;
mod svg;
mod types;

pub use format::count;
pub use page::{HEAD_BYTES, is_page, render};
pub use types::{
    Band, Bars, Chart, Example, ExampleGroup, Fact, Item, Page, PoolUsage, Retrieved, SampleGroup, ScoreRow, Section,
    Series, Step, Table, Unit,
};
