//! Texts: tokens with whole words, sentences, and when two texts count as equal.

mod sentence;
mod tokenizer;
mod train;

pub use sentence::{normalised, sentences, text_hash};
pub use tokenizer::{Special, Tokenizer};
