//! Scores as pure functions over slices: retrieval, classification, calibration, confidence intervals and paired tests,
//! usage of a prompt pool.
//!
//! Three rules hold for all functions. An undefined score is `None`, because 0 or 0.5 would look like a result. Beside
//! a score stands its chance level or baseline for the same records: a function, a field, or a sentence of its
//! documentation. Ties and NaN always count against the model, and the documentation says how.
//!
//! Example: retrieval with a chance level and a confidence interval by patient:
//!
//! ```
//! use ptu_metrics::{Resampling, bootstrap_mean, chance_recall_at, found_at, hits_per_query, ranks, recall_at};
//! use ptu_random::Key;
//!
//! // Three images are the queries, four texts are the gallery. Texts 1 and 3 are equal, so both are right for image 1.
//! let similarity = [
//!     0.9, 0.1, 0.2, 0.1, // image 0
//!     0.3, 0.2, 0.8, 0.7, // image 1
//!     0.1, 0.4, 0.6, 0.4, // image 2
//! ];
//! let right = |image: usize, text: usize| text == image || (image == 1 && text == 3);
//!
//! let found_ranks = ranks(&similarity, 4, right);
//! assert_eq!(found_ranks, [Some(0), Some(1), Some(0)]);
//! assert_eq!(recall_at(1, &found_ranks), Some(2.0 / 3.0));
//!
//! let chance = chance_recall_at(1, 4, &hits_per_query(3, 4, right));
//! assert_eq!(chance, Some((0.25 + 0.5 + 0.25) / 3.0));
//!
//! let patients = ["anna", "ben", "ben"]; // all records of a patient are resampled together
//! let interval = bootstrap_mean(&found_at(1, &found_ranks), &patients, &Resampling::new(Key::new(42)));
//! assert_eq!(interval.map(|it| it.value), Some(2.0 / 3.0));
//! ```

mod bootstrap;
mod calibration;
mod chance;
mod classify;
mod components;
mod confusion;
mod correlation;
mod f1;
mod interval;
mod labels;
mod mean;
mod ndcg;
mod paired;
mod rank;
mod share;
mod temperature;
pub mod text;
mod threshold;
mod usage;
mod vqa;

pub use bootstrap::{Cell, bootstrap_mean, bootstrap_mean_difference, bootstrap_mean_of_means};
pub use calibration::{
    CALIBRATION_BINS, ReliabilityBin, brier, brier_of_classes, chance_brier, chance_brier_of_classes,
    expected_calibration_error, reliability_curve, top_label,
};
pub use chance::{chance_mean_reciprocal_rank, chance_median_rank, chance_recall_at};
pub use classify::{
    Answer, ClassScores, accuracy, argmax, auroc, balanced_accuracy, correct, majority_share, per_class,
};
pub use components::PrincipalComponents;
pub use confusion::ConfusionMatrix;
pub use correlation::spearman;
pub use f1::{F1Averages, always_positive_f1, f1, f1_by_class, f1_by_label};
pub use interval::{Interval, Resampling, bootstrap, bootstrap_difference};
pub use labels::{
    BinaryScore, LabelAverages, LabelScore, MacroAverage, macro_average, scores_by_label, scores_one_versus_rest,
};
pub use mean::{mean, mean_and_deviation, student_half_width};
pub use ndcg::{chance_ndcg_at, ndcg, ndcg_at};
pub use paired::{PairedResult, PairedTest, Permutations, mcnemar, permutation_test};
pub use rank::{found_at, hits_per_query, mean_reciprocal_rank, median_rank, ranks, recall_at, reciprocal_ranks};
pub use temperature::{HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, Temperature, TemperatureFit};
pub use threshold::{
    OperatingPoint, PredictiveValues, average_precision, predictive_values, sensitivity_at_specificity,
    specificity_at_sensitivity,
};
pub use usage::Usage;
pub use vqa::{
    AnswerType, AnsweredQuestion, VqaScore, VqaScores, chance_vqa_scores, token_f1, token_recall, vqa_scores,
};
