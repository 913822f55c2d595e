//! The two programs: that of a commit, built in a separate work tree, and that of the current tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::house::{self, House};

/// A built `ptunifier`.
pub struct Program {
    /// The commit, or `today's tree`.
    pub name: String,
    path: PathBuf,
}

impl Program {
    /// A call of the program in a folder; its messages to the user are not shown.
    pub fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end and returns its standard output.
    ///
    /// # Errors
    /// When it cannot be started or fails; the error contains its last messages.
    pub fn run(&self, folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, String> {
        println!("   ptunifier {}", arguments.join(" "));
        let output = self.command(folder, arguments).output();
        let output = output.map_err(|error| format!("cannot start `{}`: {error}", self.path.display()))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(format!(
                "{}: `ptunifier {}` failed in `{}`\n{}",
                self.name,
                arguments.join(" "),
                folder.display(),
                String::from_utf8_lossy(&output.stderr).trim_end()
            )),
        }
    }
}

/// Builds the program of the commit and that of the current tree. Each has a target folder of its own under `folder`, which is
/// kept, so that a second call compiles little.
///
/// # Errors
/// When the commit does not exist, or a tree does not build.
pub fn build(house: &House, commit: &str, folder: &Path) -> Result<[Program; 2], String> {
    let reference = format!("{commit}^{{commit}}");
    let hash = house::output(house.command("git", &["rev-parse", "--verify", "--quiet", &reference]))
        .map_err(|_| format!("there is no commit `{commit}`"))?;
    let tree = folder.join("tree");
    let path = tree.display().to_string();
    if !tree.join(".git").exists() {
        fs::create_dir_all(folder).map_err(|error| format!("cannot create `{}`: {error}", folder.display()))?;
        house::run(house.command("git", &["worktree", "prune"]))?;
        house::run(house.command("git", &["worktree", "add", "--detach", &path, hash.trim()]))?;
    }
    house::run(house.command("git", &["-C", &path, "checkout", "--quiet", "--force", "--detach", hash.trim()]))?;
    let short = hash.trim().chars().take(7).collect();
    Ok([
        program(house, short, &tree, &folder.join("target-before"))?,
        program(house, "today's tree".into(), &house.root, &folder.join("target-after"))?,
    ])
}

fn program(house: &House, name: String, tree: &Path, target: &Path) -> Result<Program, String> {
    println!("== building {name}");
    let folder = target.display().to_string();
    let arguments = ["build", "--release", "--locked", "--package", "ptunifier-cli", "--target-dir", &folder];
    let mut build = house.cargo(&arguments);
    build.current_dir(tree);
    house::run(build)?;
    Ok(Program { name, path: target.join("release/ptunifier") })
}
