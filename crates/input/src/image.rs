//! Pictures: from the bytes of a file to the model's planes.
//!
//! [`Picture::decode`] reads, [`transform::apply`] prepares. Resizing is Pillow's (specification, section 5), so published
//! weights see the pixels that they were trained on.

pub mod augment;
mod decode;
mod looks;
mod raster;
pub mod resample;
pub mod transform;

pub use looks::Looks;
pub use raster::{Picture, Samples};
pub use transform::{Augment, Fit, Preprocess, Transform};

/// The widest and highest picture that is read, in pixels a side.
pub const MAX_SIDE: u32 = 32_768;

/// The most pixels of a picture that is read: at 16 bits in colour its samples take 1.2 GB.
pub const MAX_PIXELS: u64 = 100_000_000;
