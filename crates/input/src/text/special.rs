//! What a tokenizer needs besides its words, and what is said where it cannot be used.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::InputError;

/// Ids of the special tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    /// First token: `<s>` or `[CLS]`.
    pub start: u32,
    /// Last token: `</s>` or `[SEP]`.
    pub end: u32,
    /// Padding: `<pad>` or `[PAD]`.
    pub pad: u32,
    /// Stands for a masked token: `<mask>` or `[MASK]`.
    pub mask: u32,
    /// Stands for what the vocabulary lacks: `<unk>` or `[UNK]`.
    pub unknown: u32,
}

/// Work of the tokenizers' crate, which is other people's and meets any file: a panic there is a bad file, not the end of a run.
pub(super) fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("its parts do not fit each other".into()))
}

pub(super) fn unusable(origin: &str, cause: impl ToString) -> InputError {
    InputError::Tokenizer { origin: origin.into(), cause: cause.to_string() }
}
