//! Reads the weights of published model files: safetensors, PyTorch checkpoints, ONNX models, and folders of them as `hf
//! download` leaves them; writes PyTorch checkpoints.
//!
//! - **No code is run.** The pickle in a PyTorch file is a program; this reader knows the few operations and names that
//!   weights need, and refuses every other by name. TorchScript archives and the tar format of the first versions are
//!   refused.
//! - **Hardly any memory is taken.** Files are mapped, and a tensor takes memory only when it is read. Every size in a file is
//!   checked before memory is taken for it.
//!
//! ```no_run
//! use std::path::Path;
//!
//! let checkpoint = ptu_checkpoint::Checkpoint::open(Path::new("pytorch_model.bin"))?;
//! for name in checkpoint.names() {
//!     if checkpoint.info(name).is_some_and(|info| info.dtype.is_float()) {
//!         let values: Vec<f32> = checkpoint.read(name)?;
//!         assert!(values.iter().all(|value| value.is_finite()), "{name}");
//!     }
//! }
//! # Ok::<(), ptu_checkpoint::CheckpointError>(())
//! ```

mod checkpoint;
mod contents;
mod dtype;
mod error;
mod file;
mod folder;
mod mapped;
mod node;
mod onnx;
mod safetensors_file;
mod sharded;
mod tensor;
mod torch;
mod unique;
mod value;
mod wire;

pub use checkpoint::Checkpoint;
pub use contents::Format;
pub use dtype::Dtype;
pub use error::CheckpointError;
pub use mapped::map;
pub use node::{Attribute, Node};
pub use tensor::TensorInfo;
pub use torch::{WrittenTensor, write_torch};
pub use value::Value;
