//! The real data: their splits, tables of them, and the published weights that models start from.

mod splits;
mod tables;
mod weights;

pub use splits::Splits;
pub use tables::{covid_pairs, roco_pairs, statements, write_table};
pub use weights::Weights;
