//! Images: from the bytes of a file to the input planes of the model.
//!
//! [`Picture::decode`] decodes a file, [`transform::apply`] applies the transforms. Resizing gives the same pixels as Pillow
//! (specification, section 5), so a model with published weights gets the same pixels as in its training.

pub mod augment;
mod decode;
mod perceptual_hash;
mod raster;
pub mod resample;
pub mod transform;

pub use perceptual_hash::PerceptualHash;
pub use raster::{Picture, Samples};
pub use transform::{Augment, CLIP_DEVIATION, CLIP_MEAN, Fit, Preprocess, Transform};

/// The largest width and height of a picture that is read, in pixels.
pub const MAX_SIDE: u32 = 32_768;

/// The largest number of pixels of a picture that is read. With 16-bit colour, its samples need 1.2 GB of memory.
pub const MAX_PIXELS: u64 = 100_000_000;
