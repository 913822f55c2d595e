//! Proof that the model learns: gradients reach every weight, each objective can be driven down, batches change nothing.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens, and says so")]

mod files;
mod given;
mod gradients;
mod levers;
mod memory;
mod mixed;
mod overfit;
