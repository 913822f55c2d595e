//! Evaluation of fine-tuned models, and of pre-trained ones that classify by sentences: the scores of a task with intervals by
//! patient, the strongest simple baseline, and what the scores
//! lose without the right image (image reliance). Each report has a receipt, which says what determines its scores.

mod baseline;
pub mod calibration;
mod evaluate;
mod metric;
mod missing;
mod neighbour;
mod others;
mod predictions;
mod probe;
mod reliance;
mod report;
mod saved;
mod scorer;
mod survey;
mod texts;
mod zero_shot;

pub use evaluate::{TaskEvaluated, evaluate_task, evaluate_zero_shot};
pub use metric::TaskMetric;
pub use others::OtherPredictions;
pub use probe::{Probe, ProbePredictions};
pub use reliance::{Reliance, Replacement, other_patients};
pub use report::{
    Baseline, CalibrationReport, GroupScore, NamedScore, OutputCount, ProbeReport, ProbeScore, Receipt,
    ReliabilityPoint, ScoredProtocol, SentencesReceipt, TaskReport,
};
pub use saved::SavedTask;
pub use scorer::TaskScorer;
pub use zero_shot::ZeroShot;
