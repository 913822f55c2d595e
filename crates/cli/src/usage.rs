//! The command line as a whole: how it is read, the exit codes in every help text, and which errors are wrong arguments.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory, FromArgMatches};
use ptu_data::DataError;
use ptu_evaluate::EvaluateError;
use ptu_infer::InferError;
use ptu_prepare::Shares;
use ptu_train::{RecipeError, TrainError};
use ptu_workflow::WorkflowError;
use ptu_workflow::study::StudyError;

/// Exit code of wrong arguments, wherever the mistake is found.
pub const WRONG_ARGUMENTS: u8 = 2;

/// Wrong arguments that are only found after parsing; the message names the cause and the cure.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongArguments(pub String);

/// Refuses a seed that `--seeds` names twice.
pub fn check_seeds(seeds: &[u64]) -> Result<(), WrongArguments> {
    let mut seen = BTreeSet::new();
    match seeds.iter().find(|seed| !seen.insert(**seed)) {
        Some(seed) => Err(WrongArguments(format!("`--seeds` has the seed {seed} twice; give each seed once"))),
        None => Ok(()),
    }
}

/// Reads the command line; where it cannot be read, or asks for help, the process ends.
pub fn read<A: CommandFactory + FromArgMatches>() -> A {
    let mut command = command::<A>();
    let mut matches = command.clone().get_matches();
    A::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.format(&mut command).exit())
}

/// The command with its subcommands, each completed.
pub fn command<A: CommandFactory>() -> Command {
    completed(A::command(), &[])
}

/// Lets options take negative numbers, so that each one's own check refuses them by its name, and adds the exit codes.
fn completed(command: Command, within: &[String]) -> Command {
    let command =
        command.mut_args(|argument| match argument.get_action().takes_values() && !argument.is_positional() {
            true => argument.allow_negative_numbers(true),
            false => argument,
        });
    let path: Vec<String> = match within {
        [] => vec![String::new()],
        within => [within, &[command.get_name().to_string()]].concat(),
    };
    let written = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let command = match written.contains("Exit codes:") {
        true => command,
        false => {
            let space = if written.is_empty() { "" } else { "\n\n" };
            command.after_help(format!("{written}{space}{}", exit_codes(&path)))
        }
    };
    command.mut_subcommands(|below| completed(below, &path))
}

/// The exit codes in the help of a command; `path` holds its name and those of the commands above it.
fn exit_codes(path: &[String]) -> &'static str {
    let path: Vec<&str> = path.iter().skip(1).map(String::as_str).collect();
    match path.as_slice() {
        ["prepare"] | ["prepare", _] => {
            "Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 done but some rows or files were skipped (manifest.json lists them),
130 interrupted (continue with the same command)"
        }
        ["quickstart"] => {
            "Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 done but some rows of the table were skipped, 130 interrupted
(continue with the same command)"
        }
        ["study"] => "Exit codes: 0 done, 1 cells failed, 2 wrong arguments, 130 interrupted (continue with the same command)",
        ["pretrain"] | ["finetune"] => "Exit codes: 0 done, 1 failed, 2 wrong arguments, 130 interrupted (`--resume` continues)",
        ["classify" | "ask" | "report" | "summarise" | "match"] => {
            "Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 done but some inputs were skipped, 130 interrupted"
        }
        ["doctor"] => "Exit codes: 0 ready, 1 not ready or failed, 2 wrong arguments, 130 interrupted",
        _ => "Exit codes: 0 done, 1 failed, 2 wrong arguments, 130 interrupted",
    }
}

/// Whether the arguments are wrong in themselves, independent of the contents of the files that they name.
pub fn is_usage(error: &anyhow::Error) -> bool {
    error.is::<WrongArguments>()
        || error.downcast_ref().is_some_and(DataError::is_usage)
        || error.downcast_ref().is_some_and(InferError::is_usage)
        || error.downcast_ref().is_some_and(TrainError::is_usage)
        || error.downcast_ref().is_some_and(EvaluateError::is_usage)
        || error.downcast_ref().is_some_and(WorkflowError::is_usage)
        || error.downcast_ref().is_some_and(StudyError::is_usage)
}

/// Parses a share, 0 to 1.
pub fn share(text: &str) -> Result<f64, String> {
    match text.trim().parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("it is not a share; write a number from 0 to 1, for example 0.1".into()),
    }
}

/// Parses a whole number of at least 1.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("write a whole number of at least 1".into()),
    }
}

/// Refuses shares that leave nothing for training.
pub fn check_shares(Shares { validate, test, .. }: Shares) -> Result<(), WrongArguments> {
    match validate + test <= 1.0 {
        true => Ok(()),
        false => Err(WrongArguments(format!(
            "`--validate {validate}` and `--test {test}` add up to more than 1; make one of them smaller, so that together \
             they are at most 1"
        ))),
    }
}

/// Refuses `--set` values that cannot be applied, naming the first; `apply` applies the given ones.
pub fn check_sets<T>(sets: &[String], apply: impl Fn(&[String]) -> Result<T, TrainError>) -> anyhow::Result<()> {
    if sets.is_empty() || apply(sets).is_ok() || apply(&[]).is_err() {
        return Ok(());
    }
    for count in 1..=sets.len() {
        match apply(&sets[..count]) {
            Ok(_) => {}
            Err(error @ TrainError::Recipe(RecipeError::Override { .. })) => return Err(error.into()),
            Err(error) => {
                let told = format!("cannot apply `--set {}`: {error}", sets[count - 1]);
                return Err(WrongArguments(told).into());
            }
        }
    }
    Ok(())
}
