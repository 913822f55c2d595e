//! Turns the image and the text of a record into arrays for a model: decoding, transforms and tokenisation. The rules are written
//! in `docs/specification.md`, sections 5 and 6 (called "specification" in comments).
//!
//! - [`image`]: [`Picture::decode`] reads PNG, JPEG, TIFF and WebP files with limits on their size; [`image::transform::apply`]
//!   applies the transforms of a [`Preprocess`], which is stored with the weights, and returns the model's input planes.
//! - [`text`]: a [`Tokenizer`] (RoBERTa, BERT, or a small one trained on the corpus) gives token ids and the word of each token;
//!   [`text::sentences`] splits reports into sentences.
//! - [`batch`]: [`Input`]s of any variant, collected into a [`Batch`] of arrays; [`ImageOutputs`]: what an image encoder made of
//!   images earlier, in place of their pixels.
//! - [`Processor`]: turns the bytes of an image, a text or both into an [`Input`], always by the same steps (as a processor of
//!   `transformers`).
//! - [`FileForm`]: the format of a file by its first bytes, for messages about files that cannot be read.
//! - [`files`]: atomic writing of files, for all other crates.
//!
//! ```
//! use std::sync::Arc;
//!
//! use ptu_input::image::resample::Size;
//! use ptu_input::{Batch, ImageFile, Picture, Preprocess, Processor, Tokenizer};
//!
//! # fn main() -> Result<(), ptu_input::InputError> {
//! let tokenizer = Tokenizer::train(["the heart is enlarged", "the heart is of normal size"], 280)?;
//! let processor = Processor::new(Arc::new(tokenizer), &Preprocess::clip(32), 48);
//!
//! let png = Picture::new(Size { width: 4, height: 3 }, 1, (0..12).collect()).thumbnail_png(64);
//! let image = ImageFile { bytes: &png, name: "study/1.png" };
//! let pair = processor.input(Some(image), Some("the heart is enlarged"))?.unwrap().input;
//! let text = processor.input(None, Some("the heart is enlarged"))?.unwrap().input;
//!
//! let batch = Batch::collect(&[pair, text]);
//! assert_eq!((batch.len(), batch.pair_images.side, batch.texts.count()), (2, 32, 1));
//! # Ok(())
//! # }
//! ```

pub mod batch;
mod error;
pub mod files;
mod form;
pub mod image;
mod outputs;
mod processor;
pub mod text;

pub use batch::{Batch, Image, Images, Input, Slot, Text, Texts};
pub use error::InputError;
pub use form::{FileForm, Packing};
pub use image::{Augment, Fit, Picture, Preprocess, Transform};
pub use outputs::ImageOutputs;
pub use processor::{ImageFile, Processed, Processor};
pub use text::{Published, Special, Tokenizer};
