//! The real binary: what it does, what it says when it cannot.

#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/harness.rs"]
mod harness;
#[path = "cli/resume.rs"]
mod resume;
