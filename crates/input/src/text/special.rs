//! The special tokens of a tokenizer, and errors for tokenizers that cannot be used.

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
    /// Replaces a masked token: `<mask>` or `[MASK]`.
    pub mask: u32,
    /// Replaces text that is not in the vocabulary: `<unk>` or `[UNK]`.
    pub unknown: u32,
}

/// Calls a function of the crate `tokenizers` and turns a panic into an error. The crate may panic on an invalid file, which
/// must not end the whole run.
pub(super) fn catch_panic<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("its parts do not fit together".into()))
}

/// The error for a tokenizer that cannot be used; `origin` is its file in backticks, or words for another origin.
pub(super) fn unusable(origin: &str, cause: impl ToString) -> InputError {
    InputError::Tokenizer { origin: origin.into(), cause: cause.to_string() }
}
