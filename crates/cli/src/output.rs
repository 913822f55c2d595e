//! Output: results on stdout, everything else on stderr.

use std::borrow::Cow;
use std::io::Write;

use anyhow::Context;

/// A text without control characters, which names and texts of others may hold: they would change what a terminal shows. Each is
/// written as `\u{1b}`; ends of lines and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_printable = |letter: char| !letter.is_control() || letter == '\n' || letter == '\t';
    if text.chars().all(is_printable) {
        return text.into();
    }
    let written = |letter: char| if is_printable(letter) { letter.into() } else { letter.escape_unicode().to_string() };
    text.chars().map(written).collect::<String>().into()
}

/// Prints an error and what caused it, one line each.
pub fn print_error(error: &anyhow::Error) {
    say(&format!("error: {error}"));
    for cause in error.chain().skip(1) {
        if !error.to_string().contains(&cause.to_string()) {
            say(&format!("  because {cause}"));
        }
    }
}

/// Prints a result to stdout. If the reader has closed the pipe (as `head` does), that is success.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(printable(text).as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other.context("cannot write to standard output")?),
    }
}

/// Prints a line to stderr.
pub fn say(text: &str) {
    // If stderr is closed, nothing can be done.
    let _ = writeln!(std::io::stderr(), "{}", printable(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(printable("one\n\ttwo é 左"), "one\n\ttwo é 左");
        assert_eq!(printable("a\u{1b}[2Jb\r\u{9b}c"), "a\\u{1b}[2Jb\\u{d}\\u{9b}c");
    }
}
