//! A decoder that is not hardened against crafted bytes, held.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `decode` returns; `None` if it panicked.
///
/// The parquet crate asserts what a crafted file can break (fuzz target `shard`). Nothing that it was working on is used
/// afterwards.
pub fn held<T>(decode: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(decode)).ok()
}
