//! Output: results on stdout, everything else on stderr.

use std::io::Write;

use anyhow::Context;

/// Prints an error and what caused it, one line each.
pub fn print_error(error: &anyhow::Error) {
    // If stderr is closed, nothing can be done.
    let _ = writeln!(std::io::stderr(), "error: {error}");
    for cause in error.chain().skip(1) {
        if !error.to_string().contains(&cause.to_string()) {
            let _ = writeln!(std::io::stderr(), "  because {cause}");
        }
    }
}

/// Prints a result to stdout. If the reader has closed the pipe (as `head` does), that is success.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other.context("cannot write to standard output")?),
    }
}

/// Prints a line to stderr.
pub fn say(text: &str) {
    // If stderr is closed, nothing can be done.
    let _ = writeln!(std::io::stderr(), "{text}");
}
