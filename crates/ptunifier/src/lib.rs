//! Learn from medical images together with the text that belongs to them: one model for images, texts and pairs, where soft
//! prompts stand in for a half that is missing.
//!
//! This crate is the door to the project's crates, each under the name of what it holds:
//!
//! | module | holds |
//! |---|---|
//! | [`data`] | records, shards, tables, the phantom corpus, loaders, files of vectors |
//! | [`input`] | tokenizer, image decoding, transforms, batches |
//! | [`model`] | the network, its weights, bundles |
//! | [`infer`] | a model at work: vectors, search, matching, probes |
//! | [`train`] | recipes, objectives, the loop, resume, evaluation |
//! | [`index`] | nearest neighbours |
//! | [`metrics`] | scores with intervals, beside chance |
//! | [`report`] | pages |
//! | [`random`] | numbers that can be replayed |
//!
//! Its examples can be run as they stand, on a corpus that they draw themselves: `embed_folder`, `train_on_own_pairs`,
//! `use_a_bundle`, `custom_objective` (`cargo run --release --example NAME`).
//!
//! ```
//! use ptunifier::data::prepare::phantom::{PhantomOptions, prepare_phantom};
//! use ptunifier::data::{ShardFolder, Source, Split};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let here = tempfile::tempdir()?;
//! # let folder = here.path().join("phantom");
//! prepare_phantom(&folder, &PhantomOptions::new(40, 1), &|_| {})?;
//! let records = ShardFolder::open(&folder, Split::Train)?;
//! let record = records.get(0)?;
//! assert!(record.image.is_some() && !record.texts.is_empty());
//! # Ok(())
//! # }
//! ```

pub use ptu_data as data;
pub use ptu_index as index;
pub use ptu_infer as infer;
pub use ptu_input as input;
pub use ptu_metrics as metrics;
pub use ptu_model as model;
pub use ptu_random as random;
pub use ptu_report as report;
pub use ptu_train as train;
