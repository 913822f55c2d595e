//! The network of PTUnifier: one model for image, text and pairs, where soft prompts stand in for what is missing.
//!
//! | file | holds |
//! |---|---|
//! | `config.rs` | every size and choice |
//! | `model.rs` | the network as a whole; `image.rs`, `text.rs`, `fusion.rs`, `two_stream.rs`, `pairs.rs`, `prompt.rs`, `head.rs` its parts |
//! | `forward.rs` | a forward pass: described as data, computed by one function |
//! | `layer/` | what the parts are made of, of the operations of `ptu-kernels` |
//! | `names.rs`, `walk.rs` | what each weight is called, how fast it learns, whether it decays; the one way through all of them |
//! | `init.rs`, `array.rs`, `weights.rs`, `bundle.rs` | how weights start, and how they are stored |
//!
//! What it computes stands in `docs/specification.md`, sections 1, 2 and 8 ("specification" in comments); the parity tests
//! compare it with an independent implementation.

mod array;
mod bundle;
pub mod config;
mod error;
pub mod files;
pub mod forward;
mod fusion;
mod head;
mod image;
mod init;
pub mod layer;
mod learned;
mod mapped;
mod model;
pub mod names;
mod pairs;
mod positions;
mod prompt;
mod text;
mod two_stream;
mod walk;
pub mod weights;

pub use bundle::{Bundle, TrainedOn, WEIGHTS};
pub use config::{HeadKind, ModelConfig, Preset, TextStyle};
pub use error::ModelError;
pub use fusion::Fusion;
pub use head::{Heads, ItcHead, MlmHead};
pub use image::ImageEncoder;
pub use learned::{LEARNED, Learned};
pub use model::Model;
pub use pairs::{Fused, Pairs, Read};
pub use positions::fit as fit_positions;
pub use prompt::{Chosen, Prompts, StandIn};
pub use text::TextEncoder;
pub use walk::{WeightMapper, WeightVisitor};
