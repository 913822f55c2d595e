//! Texts: tokenizers that know whole words, splitting into sentences, and normal forms for the comparison of texts, answers and
//! names.

mod answer;
mod name;
mod published;
mod roles;
mod sentence;
mod settings;
mod special;
mod tokenizer;
mod train;
mod vocabulary;

pub use answer::normal_answer;
pub use name::name_key;
pub use published::Published;
pub use sentence::{normalised, sentences, text_hash};
pub use special::Special;
pub use tokenizer::Tokenizer;
