//! Licences, bans and sources of all dependencies, by cargo-deny and `deny.toml`.
//!
//! The advisories of cargo-deny are not used: they need a database from the network at every run.

use crate::house::{self, Held, House};
use std::process::Stdio;

/// The cargo-deny that CI installs.
const VERSION: &str = "0.20.2";
/// Where CI installs it, from the root: in a folder that git ignores, so that the user's own tools are not changed.
const TOOLS: &str = "target/tools";
const CHECK: [&str; 4] = ["check", "bans", "licenses", "sources"];

/// Checks with the installed cargo-deny. If it is missing, installs it in CI; elsewhere says how to install it.
pub fn check(house: &House) -> Result<Held, String> {
    let mut installed = house.cargo(&["deny", "--version"]);
    let installed = installed.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if installed {
        let arguments: Vec<&str> = std::iter::once("deny").chain(CHECK).collect();
        return house::run(house.cargo(&arguments)).map(|()| Held::Whole);
    }
    let own = house.root.join(TOOLS).join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    if !own.exists() {
        if !house.unattended {
            return Ok(Held::Skipped(format!(
                "cargo-deny is not installed; `cargo install cargo-deny --locked --version {VERSION}` installs it"
            )));
        }
        // A debug build is enough: it takes 2.5 minutes of processor time to build, and its run takes seconds.
        let install = ["install", "cargo-deny", "--locked", "--debug", "--version", VERSION, "--root", TOOLS];
        house::run(house.cargo(&install))?;
    }
    house::run(house.command(own, &CHECK)).map(|()| Held::Whole)
}
