//! One record in, arrays out: decoding, transforms and tokens, before any model. The rules stand in `docs/specification.md`,
//! sections 5 and 6 ("specification" in comments).
//!
//! - [`image`]: [`Picture::decode`] reads PNG, JPEG, TIFF and WebP within limits; [`image::transform::apply`] takes a
//!   [`Preprocess`] list, which is stored with the weights, to the model's planes.
//! - [`text`]: [`Tokenizer`] (RoBERTa, BERT, or a small one learned from the corpus) gives ids and whole words;
//!   [`text::sentences`] splits report prose.
//! - [`batch`]: [`Input`]s of any variant, collected into a [`Batch`] of arrays.
//! - [`FileForm`]: what a file is by its first bytes, for messages about those that are not read.
//! - [`files`]: writing all or nothing, for every crate above.
//!
//! ```
//! use ptu_input::image::resample::Size;
//! use ptu_input::{Batch, Input, Picture, Preprocess, Tokenizer, image};
//!
//! # fn main() -> Result<(), ptu_input::InputError> {
//! let tokenizer = Tokenizer::train(["the heart is enlarged", "the heart is of normal size"], 280)?;
//! let text = tokenizer.encode("the heart is enlarged", 48)?;
//!
//! let png = Picture::new(Size { width: 4, height: 3 }, 1, (0..12).collect()).thumbnail_png(64);
//! let picture = Picture::decode(&png, "study/1.png")?;
//! let image = image::transform::apply(&Preprocess::clip(32).evaluate, picture, None)?;
//!
//! let batch = Batch::collect(&[Input::Pair { image, text: text.clone() }, Input::Text(text)]);
//! assert_eq!((batch.len(), batch.pair_images.side, batch.texts.count()), (2, 32, 1));
//! # Ok(())
//! # }
//! ```

pub mod batch;
mod error;
pub mod files;
mod form;
pub mod image;
pub mod text;

pub use batch::{Batch, Image, Images, Input, Slot, Text, Texts};
pub use error::InputError;
pub use form::{FileForm, Packing};
pub use image::{Augment, Fit, Picture, Preprocess, Transform};
pub use text::{Published, Special, Tokenizer};
