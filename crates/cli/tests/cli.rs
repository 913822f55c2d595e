//! The real binary: what it does, what it says when it cannot.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens, and says so")]

#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/harness.rs"]
mod harness;
#[path = "cli/resume.rs"]
mod resume;
