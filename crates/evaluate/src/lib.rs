//! Scores of a model on records that it has not seen: zero-shot retrieval both ways, matching, masked words, probes of labels, each
//! with a 95 % interval by patient and with what chance would give (specification, section 7).
//!
//! - [`evaluate`]: all of it for a run or a bundle, on folders of shards; [`Saved`]: kept and read again; [`compare`]: runs
//!   against each other.
//! - [`Gallery`]: the pairs that are scored together, which is also what a model is judged by while it is pre-trained
//!   ([`ptu_train::task::Validator`]).
//! - [`leak`]: what the model has learned from is not scored.
//!
//! The rules stand in `docs/specification.md`, section 7 ("specification" in comments).

mod compare;
mod error;
mod features;
mod gallery;
mod judged;
pub mod labels;
pub mod leak;
mod matching;
mod measure;
pub mod missing;
mod named;
mod opened;
mod options;
mod rerank;
mod retrieval;
mod run;
mod save;
mod score;
pub mod scored_on;
mod scores;
pub mod words;

pub use compare::{Difference, Spread, compare, spread};
pub use error::EvaluateError;
pub use features::{GalleryFeatures, Given, TrainFeatures};
pub use gallery::{Gallery, GalleryOptions, Pair, Query};
pub use judged::ValidationScore;
pub use measure::{Kind, Measure};
pub use options::EvaluateOptions;
pub use rerank::rerank;
pub use retrieval::{ALL_FOUND, Ranking, RetrievalResults, retrieval, search};
pub use run::{Evaluated, evaluate, mean_r10};
pub use save::{Kept, Saved};
pub use score::{Scored, score};
pub use scored_on::ScoredOn;
pub use scores::{Direction, LabelScores, MaskedWords, Retrieval, Score, Scores, names};
