//! Benchmarks on this machine: a training step, a fine-tuning step, embedding, generation, explanations, retrieval, data preparation and
//! loading. Steps and embedding can also be compared with PyTorch.
//!
//! | file | contents |
//! |---|---|
//! | `measure.rs` | times and their range, memory, the peak rate of matrix products on this machine |
//! | `step.rs`, `finetune.rs`, `embed.rs`, `generate.rs`, `explain.rs`, `cold.rs`, `rank.rs`, `data.rs`, `scale.rs` | the benchmarks |
//! | `python.rs` | the PyTorch side: the scripts of `tools/reference/`, which are part of the binary |
//! | `against.rs`, `against/` | comparison with PyTorch: both sides alternate, one process at a time, after a check that their losses agree |

pub mod against;
pub mod cold;
pub mod data;
pub mod embed;
mod error;
pub mod explain;
pub mod finetune;
pub mod generate;
pub mod measure;
mod python;
pub mod rank;
pub mod scale;
pub mod step;

pub use error::BenchError;
pub use python::Python;
