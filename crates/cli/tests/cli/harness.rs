//! A folder of its own for each test, and the binary to run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A temporary folder with helpers to run the binary in it.
pub struct Place {
    folder: tempfile::TempDir,
}

/// What a run of the binary printed, and whether it succeeded.
pub struct Ran {
    pub success: bool,
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The binary, to be run in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ptunifier"));
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert!(!stderr.contains("panicked"), "a panic reached the user:\n{stderr}");
        Ran { success: status.success(), code: status.code(), stdout, stderr }
    }

    /// Runs and must succeed.
    pub fn good(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert!(ran.success, "{arguments:?} failed:\n{}", ran.stderr);
        ran
    }

    /// What a shell says to a command line, which must succeed.
    pub fn shell(&self, command: &str) -> String {
        let binary = Path::new(env!("CARGO_BIN_EXE_ptunifier")).parent().unwrap();
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", command]).current_dir(self.folder.path()).env("PATH", path).output().unwrap();
        assert!(output.status.success(), "`{command}`: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs and must fail, with a message that holds all of `words`.
    pub fn bad(&self, arguments: &[&str], words: &[&str]) {
        let ran = self.run(arguments);
        assert!(!ran.success, "{arguments:?} succeeded:\n{}", ran.stdout);
        for word in words {
            assert!(ran.stderr.contains(word), "{arguments:?} does not say `{word}`:\n{}", ran.stderr);
        }
    }

    /// Runs and must end with an exit code, with a message on stderr that holds all of `words`.
    pub fn exits(&self, arguments: &[&str], code: i32, words: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}:\n{}{}", ran.stdout, ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "{arguments:?} does not say `{word}`:\n{}", ran.stderr);
        }
        ran
    }

    /// Forty phantom pairs in `data`.
    pub fn phantom(&self) {
        self.good(&["prepare", "phantom", "data", "--pairs", "60", "--seed", "5", "--side", "32"]);
    }

    /// A recipe that runs in seconds, in `r.toml`.
    pub fn recipe(&self) {
        self.write("r.toml", RECIPE);
    }
}

pub const RECIPE: &str = r#"
data = ["data"]
[text]
vocabulary = 400
max_tokens = 24
[train]
steps = 6
batch = 8
save_every = 2
validate_every = 3
[optimizer]
learning_rate = 1e-3
[evaluate]
gallery = 20
hits = "cause"
[model]
preset = "tiny"
[model.image]
size = 32
width = 64
layers = 2
[model.text]
width = 32
layers = 1
heads = 2
[model.fusion]
width = 32
layers = 2
heads = 2
[model.image_prompts]
size = 32
take = 4
[model.text_prompts]
size = 32
take = 4
"#;

/// Bytes of a file.
pub fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
