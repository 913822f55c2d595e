//! The real data: their splits, tables of them, and the published weights that models start from.

mod splits;
mod tables;
mod weights;

pub use splits::Splits;
pub use tables::{PUBLISHED_SPLIT, covid_pairs, csv_rows, of, questions, roco_pairs, statements, write_table};
pub use weights::{Weights, download};
