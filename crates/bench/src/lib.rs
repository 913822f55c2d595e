//! How fast this machine is: a training step, embedding, ranking and the way of the data; steps and
//! embedding alone or beside PyTorch.
//!
//! | file | holds |
//! |---|---|
//! | `measure.rs` | times, their spread, memory, the machine's peak of matrix products |
//! | `step.rs`, `embed.rs`, `cold.rs`, `rank.rs`, `data.rs`, `scale.rs` | what is timed |
//! | `python.rs` | PyTorch's side: the scripts of `tools/reference/`, carried in the binary |
//! | `against.rs`, `against/` | both in turn, one process at a time, after their losses were seen to agree |

pub mod against;
pub mod cold;
pub mod data;
pub mod embed;
mod error;
pub mod measure;
mod python;
pub mod rank;
pub mod scale;
pub mod step;

pub use error::BenchError;
pub use python::Python;
