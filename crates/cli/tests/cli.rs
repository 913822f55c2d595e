//! The real binary: what it does, what it says when it cannot.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens, and says so")]

#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/downloads.rs"]
mod downloads;
#[path = "cli/evaluate.rs"]
mod evaluate;
#[path = "cli/explain.rs"]
mod explain;
#[path = "cli/export.rs"]
mod export;
#[path = "cli/faults.rs"]
mod faults;
#[path = "cli/filters.rs"]
mod filters;
#[path = "cli/finetune.rs"]
mod finetune;
#[path = "cli/finetune_faults.rs"]
mod finetune_faults;
#[path = "cli/harness.rs"]
mod harness;
#[path = "cli/image_cache.rs"]
mod image_cache;
#[path = "cli/import.rs"]
mod import;
#[path = "cli/inputs.rs"]
mod inputs;
#[path = "cli/interrupt.rs"]
mod interrupt;
#[path = "cli/missing.rs"]
mod missing;
#[path = "cli/objectives.rs"]
mod objectives;
#[path = "cli/pages.rs"]
mod pages;
#[path = "cli/prepare.rs"]
mod prepare;
#[path = "cli/published_weights.rs"]
mod published_weights;
#[path = "cli/question_faults.rs"]
mod question_faults;
#[path = "cli/quickstart.rs"]
mod quickstart;
#[path = "cli/quickstart_rows.rs"]
mod quickstart_rows;
#[path = "cli/readme.rs"]
mod readme;
#[path = "cli/recipes.rs"]
mod recipes;
#[path = "cli/resume.rs"]
mod resume;
#[path = "cli/retrieval_task.rs"]
mod retrieval_task;
#[path = "cli/runs.rs"]
mod runs;
#[path = "cli/score_faults.rs"]
mod score_faults;
#[path = "cli/study.rs"]
mod study;
#[path = "cli/tables.rs"]
mod tables;
#[path = "cli/task_faults.rs"]
mod task_faults;
#[path = "cli/training_faults.rs"]
mod training_faults;
#[path = "cli/usage.rs"]
mod usage;
#[path = "cli/vectors.rs"]
mod vectors;
#[path = "cli/written.rs"]
mod written;
#[path = "cli/zero_shot.rs"]
mod zero_shot;
