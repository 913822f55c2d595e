//! Tests that the model learns: every weight gets a gradient, each objective can overfit a batch, and the result of a record
//! does not depend on the other records of its batch.
#![expect(clippy::unwrap_used, reason = "a test should fail when something unexpected happens")]

mod files;
mod fixtures;
mod gradients;
mod memory;
mod mixed;
mod overfit;
mod prompts;
mod retrieval;
mod step_options;
mod written;
