//! Runs other programs to their end, and reads what they wrote.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

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

/// The lines of a file, as JSON.
pub fn json_lines(path: &Path) -> Result<Vec<Value>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let parse = |line: &str| serde_json::from_str(line).map_err(|error| format!("`{}`: {error}", path.display()));
    text.lines().map(parse).collect()
}
