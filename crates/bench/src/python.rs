//! The PyTorch side of a comparison: the reference of `tools/reference/`, which is part of the binary. The crate has links
//! to the files; its package contains the files themselves.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::BenchError;

const SCRIPTS: [(&str, &str); 2] = [
    ("bench.py", include_str!("../reference/bench.py")),
    ("ptunifier_reference.py", include_str!("../reference/ptunifier_reference.py")),
];

/// The version of torch that the reference was written for.
const TORCH: &str = "2.11";

/// A Python interpreter that can run the reference.
#[derive(Debug)]
pub struct Python {
    interpreter: PathBuf,
    /// The version of its torch.
    pub torch: String,
    folder: TempDir,
}

impl Python {
    /// Checks an interpreter and writes the scripts to a temporary folder.
    ///
    /// # Errors
    /// If the interpreter does not start, or does not have torch of the right version.
    pub fn new(interpreter: &Path) -> Result<Self, BenchError> {
        let path = || interpreter.to_path_buf();
        let program = "import torch, numpy, safetensors.torch; print(torch.__version__)";
        let output = Command::new(interpreter).args(["-c", program]).stdin(Stdio::null()).output();
        let output = output.map_err(|source| BenchError::Interpreter { path: path(), source })?;
        let last = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().last().unwrap_or_default().to_string();
        if !output.status.success() {
            let cause = last(&output.stderr);
            let cause = if cause.is_empty() { "it ended with an error".into() } else { cause };
            return Err(BenchError::Unfit { path: path(), cause });
        }
        let torch = last(&output.stdout);
        if !torch.starts_with(&format!("{TORCH}.")) {
            return Err(BenchError::Unfit { path: path(), cause: format!("its torch is `{torch}`, not {TORCH}") });
        }
        let write_error = |folder: &Path, source| BenchError::File { action: "write", path: folder.into(), source };
        let folder = TempDir::new().map_err(|source| write_error(&std::env::temp_dir(), source))?;
        for (name, text) in SCRIPTS {
            let path = folder.path().join(name);
            std::fs::write(&path, text).map_err(|source| write_error(&path, source))?;
        }
        Ok(Self { interpreter: path(), torch, folder })
    }

    /// A folder for files of the comparison. It is removed when `self` is dropped.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `bench.py`; returns its last line as JSON.
    ///
    /// # Errors
    /// If the process fails, is killed, or does not print JSON.
    pub fn bench(&self, arguments: &[&str]) -> Result<Value, BenchError> {
        let mut command = Command::new(&self.interpreter);
        command.arg(self.folder.path().join("bench.py")).args(arguments).arg("--json");
        last_line(&mut command, "the PyTorch side")
    }
}

/// Runs a process to its end and returns its last line on stdout, which must be JSON. `what` names the process in errors.
///
/// # Errors
/// As for [`Python::bench`].
pub fn last_line(command: &mut Command, what: &str) -> Result<Value, BenchError> {
    let failed = |cause: String| BenchError::Process { what: what.to_string(), cause };
    let output = command.stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let last = |text: &str| text.lines().last().unwrap_or("it printed nothing").to_string();
    if !output.status.success() {
        return Err(failed(format!("{} ({})", last(&stderr), output.status)));
    }
    serde_json::from_str(&last(&stdout)).map_err(|_| failed(format!("its last line is not JSON: {}", last(&stdout))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_python_with_torch_is_refused() {
        let error = Python::new(Path::new("/no/such/python")).unwrap_err().to_string();
        assert!(error.contains("/no/such/python") && error.contains("--against"), "{error}");
        // `false` exits with 1 and prints nothing.
        let error = Python::new(Path::new("false")).unwrap_err().to_string();
        assert!(error.contains("torch 2.11") && error.contains("ended with an error"), "{error}");
        // `echo` prints its arguments instead of a version.
        let error = Python::new(Path::new("echo")).unwrap_err().to_string();
        assert!(error.contains("its torch is `-c import torch"), "{error}");
    }

    #[test]
    fn a_failed_process_reports_its_cause() {
        let run = |script: &str| last_line(Command::new("sh").args(["-c", script]), "it");
        assert_eq!(run("echo first; echo '{\"a\": 1}'").unwrap()["a"], 1);
        let error = run("echo half; echo out of memory >&2; exit 3").unwrap_err().to_string();
        assert!(error.contains("out of memory") && error.contains('3'), "{error}");
        let error = run("kill -9 $$").unwrap_err().to_string();
        assert!(error.contains("signal"), "{error}");
        assert!(run("echo half").unwrap_err().to_string().contains("not JSON: half"));
    }

    #[test]
    fn the_scripts_equal_those_of_the_reference() {
        assert!(SCRIPTS.iter().all(|(_, text)| text.contains("import torch")));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference");
        for (name, text) in SCRIPTS {
            match std::fs::read_to_string(folder.join(name)) {
                Ok(shared) => assert!(shared == text, "tools/reference/{name} differs from {}", folder.display()),
                Err(_) => eprintln!("{} does not exist: {name} was not compared", folder.display()),
            }
        }
    }
}
