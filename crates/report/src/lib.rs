//! HTML pages about training runs: each page is one self-contained file.
//!
//! [`render`] converts a [`Page`], which is plain data, to HTML. It is a pure function: equal pages give equal bytes, and
//! nothing is read, written or downloaded. The HTML contains everything it shows (images as data URIs, charts as inline SVG,
//! one style sheet) and no script. Text that contains markup is escaped and shown as text. In addition, the content security
//! policy of the page forbids scripts and connections.
//!
//! To compare several runs on one page, give [`Series`] and [`ScoreRow`]s with different [`Series::run`]s. Each run has the
//! same colour on the whole page.
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
mod heat_map;
mod html;
mod page;
mod palette;
mod picture;
mod pool;
mod reduce;
mod scale;
mod scores;
mod svg;
mod svg_file;
mod types;

pub use format::count;
pub use heat_map::HeatMap;
pub use page::{HEAD_BYTES, is_page, render};
pub use svg_file::{chart_file, forest_file};
pub use types::{
    Band, Bars, Chart, Example, ExampleGroup, ExampleKind, Fact, Forest, Item, Page, PoolMap, PoolUsage, Retrieved,
    SampleGroup, ScoreRow, Section, Series, Step, Table, Unit,
};
