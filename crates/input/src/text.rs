//! Texts: tokens with whole words, sentences, and when two texts count as equal.

mod answer;
mod sentence;
mod tokenizer;
mod train;

pub use answer::normal_answer;
pub use sentence::{normalised, sentences, text_hash};
pub use tokenizer::{Special, Tokenizer};
