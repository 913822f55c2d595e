//! Texts: tokens with whole words, sentences, and when two texts count as equal.

mod answer;
mod name;
mod published;
mod roles;
mod sentence;
mod settings;
mod shown;
mod special;
mod tokenizer;
mod train;

pub use answer::normal_answer;
pub use name::name_key;
pub use published::Published;
pub use sentence::{normalised, sentences, text_hash};
pub use special::Special;
pub use tokenizer::Tokenizer;
