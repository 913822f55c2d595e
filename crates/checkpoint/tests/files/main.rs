//! Files that the tests write byte by byte, and files that PyTorch wrote.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod build;
mod damage;
mod hostile_onnx;
mod hostile_torch;
mod safetensors;
mod state_dict;
mod written;
