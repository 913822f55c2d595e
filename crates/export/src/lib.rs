//! Models of this project leave it: for Hugging Face `transformers`, as ONNX graphs, and as a checkpoint with the published names.
//!
//! ```no_run
//! use std::path::Path;
//!
//! let exported = ptu_export::export(Path::new("run/bundle"), ptu_export::ExportFormat::Onnx, Path::new("out"), None)?;
//! println!("{}", exported.files.join(", "));
//! # Ok::<(), ptu_export::ExportError>(())
//! ```

mod checkpoint;
mod error;
mod export;
mod files;
mod hf;
mod onnx;

pub use error::ExportError;
pub use export::{ExportFormat, Exported, export};
pub use onnx::OnnxGraph;
