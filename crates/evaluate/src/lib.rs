//! Evaluation of a model on records that were not used in its training: zero-shot retrieval in both directions, image-text
//! matching, masked words, and probes of labels. Each score has a 95 % confidence interval by patient and a chance level
//! (specification, section 7).
//!
//! - [`evaluate`] computes all scores of a run or a bundle on folders of shards. [`Saved`] writes them and reads them again.
//!   [`compare`] compares two runs.
//! - [`Gallery`] holds the pairs that are scored together. It is also the validation of a model during pre-training
//!   ([`ptu_train::task::Validator`]).
//! - [`fidelity()`] says how close pairs without one modality, completed by prompts or otherwise, come to the real pairs.
//! - [`rank_all`] ranks all pairs by a model that was fine-tuned for retrieval; [`trec`] writes rankings as TREC files.
//! - [`leak`] finds records that the model was trained on, so that they are not scored.
//!
//! The rules are in `docs/specification.md`, section 7 ("specification" in comments).

mod compare;
mod error;
mod evaluation_folder;
mod features;
pub mod fidelity;
mod gallery;
mod label_check;
pub mod labels;
pub mod leak;
mod matching;
mod measure;
pub mod missing;
mod options;
mod probe_space;
mod rerank;
mod retrieval;
mod run;
mod save;
mod score;
pub mod scored_on;
mod scores;
pub mod task;
#[cfg(test)]
mod testing;
pub mod trec;
mod validation;
pub mod words;

pub use compare::{Difference, Spread, compare, spread};
pub use error::EvaluateError;
pub use features::{AvailableModalities, GalleryFeatures, TrainFeatures};
pub use gallery::{Gallery, GalleryOptions, Pair, Query};
pub use measure::{Aggregation, Measure};
pub use options::EvaluateOptions;
pub use probe_space::ProbeSpace;
pub use rerank::{rank_all, rerank};
pub use retrieval::{ALL_FOUND, Ranking, RetrievalResults, retrieval, search};
pub use run::{Evaluated, evaluate, fidelity, mean_r10};
pub use save::{SaveOutcome, Saved};
pub use score::{Scored, score};
pub use scored_on::{RetrievalProtocol, ScoredOn};
pub use scores::{Curve, Direction, LabelScores, MaskedWords, Missing, Removed, Retrieval, Score, Scores, names};
pub use validation::ValidationScore;
