//! Scores as pure functions over slices: retrieval, classification, confidence intervals, usage of a prompt pool.
//!
//! Three rules hold for all functions. An undefined score is `None`, because 0 or 0.5 would look like a result. For each
//! score there is a function for its chance level, computed for the same queries. Ties and NaN always count against the
//! model, and the documentation says how.
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
mod chance;
mod classify;
mod interval;
mod mean;
mod rank;
mod share;
pub mod text;
mod usage;

pub use bootstrap::{Cell, bootstrap_mean, bootstrap_mean_difference, bootstrap_mean_of_means};
pub use chance::{chance_median_rank, chance_recall_at};
pub use classify::{Answer, ClassScores, accuracy, auroc, balanced_accuracy, correct, majority_share, per_class};
pub use interval::{Interval, Resampling, bootstrap, bootstrap_difference};
pub use rank::{found_at, hits_per_query, mean_reciprocal_rank, median_rank, ranks, recall_at};
pub use usage::Usage;
