//! The repository for the tasks: its root, its text files, and the cargo program to call.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The repository and the programs that the tasks use. Only this type reads environment variables.
pub struct House {
    /// Root of the repository.
    pub root: PathBuf,
    /// True if tools are installed without asking the user (`CI=true`).
    pub unattended: bool,
    cargo: OsString,
}

/// A file of the repository whose content is text.
pub struct TextFile {
    /// Path from the root, with `/`.
    pub path: String,
    /// Content.
    pub text: String,
}

/// The outcome of a step that did not fail.
pub enum Held {
    /// Everything was checked.
    Whole,
    /// The step could not be done on this machine; the text says what to do.
    Skipped(String),
}

impl House {
    /// The repository this task was started in.
    pub fn find() -> Result<Self, String> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("start it as `cargo xtask`")?;
        let root = PathBuf::from(manifest).parent().map(PathBuf::from).ok_or("the xtask folder has no parent")?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Ok(Self { root, cargo, unattended: std::env::var_os("CI").is_some_and(|value| value == "true") })
    }

    /// A call of cargo in the root.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        self.command(&self.cargo, arguments)
    }

    /// A call of any program in the root.
    pub fn command(&self, program: impl Into<OsString>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program.into());
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// A call of the released command in the root, without its standard output. It must have been built.
    pub fn ptunifier(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(self.root.join("target/release/ptunifier"), arguments);
        command.stdout(Stdio::null());
        command
    }

    /// Every text file that git tracks or would track. Binary files are skipped.
    pub fn text_files(&self) -> Result<Vec<TextFile>, String> {
        let list = output(self.command("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
        let mut files = Vec::new();
        for path in list.split('\0').filter(|path| !path.is_empty()) {
            // A listed file may not exist any more (deleted, but not staged), or be a link to a folder.
            let Ok(bytes) = std::fs::read(self.root.join(path)) else { continue };
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(TextFile { path: path.to_owned(), text });
            }
        }
        Ok(files)
    }
}

/// Runs a command that writes to the terminal itself.
pub fn run(mut command: Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` failed ({status})", shown(&command))),
        Err(error) => Err(format!("cannot start `{}`: {error}", shown(&command))),
    }
}

/// The standard output of a command.
pub fn output(mut command: Command) -> Result<String, String> {
    let done = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start `{}`: {error}", shown(&command)))?;
    if !done.status.success() {
        return Err(format!("`{}` failed ({})", shown(&command), done.status));
    }
    String::from_utf8(done.stdout).map_err(|_| format!("the output of `{}` is not UTF-8", shown(&command)))
}

/// The command as a user would type it.
fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
