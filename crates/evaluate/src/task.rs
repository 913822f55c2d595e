//! Evaluation of fine-tuned models: scores of a task with intervals by patient, and how much they depend on the image.

mod metric;
mod scorer;

pub use metric::TaskMetric;
pub use scorer::TaskScorer;
