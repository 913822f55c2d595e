//! The network of PTUnifier: one model for images, texts and image-text pairs. Soft prompts take the place of a missing modality.
//!
//! | file | content |
//! |---|---|
//! | `config.rs` | all sizes and options of a model |
//! | `model.rs` | the whole network; its parts are in `image.rs`, `text.rs`, `fusion.rs`, `two_stream.rs`, `pairs.rs`, `prompt.rs`, `head.rs` |
//! | `decoder.rs`, `memory.rs` | the decoder for reports and summaries, and what it attends to |
//! | `generate/` | generation of texts: greedy, beam search, sampling |
//! | `forward.rs` | a forward pass: a plan of all pairs to compute, and the functions that compute it |
//! | `layer/` | the layers of these parts, built from the operations of `ptu-kernels` |
//! | `names.rs`, `walk.rs` | name, learning rate group and weight decay of each weight; iteration over all weights |
//! | `init.rs`, `array.rs`, `weights.rs`, `bundle.rs` | initialisation and storage of weights |
//! | `start.rs` | starting a model for fine-tuning from a pre-trained one |
//!
//! The file `docs/specification.md`, sections 1, 2 and 8, defines what the network computes (comments call it
//! "specification"). The parity tests compare the network with an independent implementation.

mod array;
mod bundle;
mod bundle_config;
pub mod config;
mod decoder;
mod error;
pub mod files;
pub mod forward;
mod frozen;
mod fusion;
pub mod generate;
mod head;
mod image;
mod init;
pub mod layer;
mod layer_states;
mod learned;
mod means;
mod memory;
mod model;
mod moved_layers;
pub mod names;
mod outputs;
mod pairs;
mod positions;
mod prompt;
mod single_stream;
mod standardise;
mod start;
mod text;
mod traced;
mod two_stream;
mod unimodal;
mod walk;
pub mod weights;

pub use bundle::{Bundle, FILES, TASK, WEIGHTS};
pub use bundle_config::{
    BundleConfig, CARRIED_CONFIG, CARRIED_PREPROCESSING, CARRIED_TASK, MODEL_TYPE, TrainedOn, WeightSource,
    preprocessing,
};
pub use config::{HeadKind, ModelConfig, Outputs, Preset, TextStyle};
pub use decoder::Decoder;
pub use error::ModelError;
pub use frozen::{Frozen, FrozenEncoders};
pub use fusion::{Fusion, FusionLayers};
pub use head::{Heads, ItcHead, MlmHead, TaskHead};
pub use image::ImageEncoder;
pub use layer_states::EmbeddingSums;
pub use learned::{ABOUT_LEARNED, LEARNED, Learned};
pub use model::Model;
pub use moved_layers::into_single_stream;
pub use outputs::ImageOutputSizes;
pub use pairs::{Fused, Pairs, Read};
pub use positions::fit as fit_positions;
pub use prompt::{Chosen, CodeUse, Codebook, PromptSizes, Prompts, StandIn};
pub use standardise::EncoderMoments;
pub use start::Started;
pub use text::TextEncoder;
pub use walk::{WeightMapper, WeightVisitor};
