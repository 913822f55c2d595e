//! Runs other programs to their end.

use std::process::{Command, Stdio};

/// Runs a command and returns its standard output. Its stderr is shown while it runs.
pub fn run(command: &mut Command) -> Result<String, String> {
    run_with(command, &[])
}

/// As [`run`]; other exit codes that are a success are in `allowed`.
pub fn run_with(command: &mut Command, allowed: &[i32]) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot run {command:?}: {error}"))?;
    match output.status.success() || output.status.code().is_some_and(|code| allowed.contains(&code)) {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{command:?} failed")),
    }
}
