//! Published weights become models of this project: image encoders (CLIP, ViT, DINOv2, SigLIP), text encoders (BERT, RoBERTa), and
//! whole PTUnifier and METER checkpoints.
//!
//! Layouts are recognised by the names of the tensors. Every weight is accounted for: a report says which tensors it comes from, and
//! why a tensor is not used. What nothing explains is an error, because the result would differ from that of the encoder's own
//! program.
//!
//! ```no_run
//! use std::path::Path;
//!
//! let encoder = ptu_import::read_image_encoder(Path::new("dinov2-small"), &ptu_import::ImageOptions::default())?;
//! println!("{} weights, width {}", encoder.arrays.len(), encoder.config.width);
//! # Ok::<(), ptu_import::ImportError>(())
//! ```

mod assemble;
mod bert;
mod carried;
mod checkpoint;
mod collect;
mod error;
mod image;
mod licence;
mod onnx;
mod parts;
mod place;
mod report;
mod settings;
mod shapes;
mod signs;
mod source;
mod text;
mod unsupported;

pub use assemble::{AssembleOptions, Imported, assemble};
pub use carried::Carried;
pub use checkpoint::{CheckpointOptions, CheckpointWeights, read_checkpoint};
pub use error::{ImportError, Part};
pub use image::{ImageOptions, ImageWeights, read_image_encoder};
pub use parts::parts;
pub use report::{Assumed, ImportedWeight, Origin, Report, UnusedReason, UnusedTensor};
pub use text::{TextOptions, TextWeights, read_text_encoder};
pub use unsupported::Unsupported;
