//! `cargo xtask check`: the single check of the repository. It is the same locally and in CI; fast steps come first.

use crate::house::{self, Held, House};
use crate::{circles, heart, layers, licences, links, norms};
use std::time::Instant;

/// A part of the check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Format,
    Norms,
    Links,
    Layers,
    Clippy,
    Tests,
    Docs,
    Licences,
}

impl Step {
    const ALL: [Self; 8] =
        [Self::Format, Self::Norms, Self::Links, Self::Layers, Self::Clippy, Self::Tests, Self::Docs, Self::Licences];

    fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Norms => "norms",
            Self::Links => "links",
            Self::Layers => "layers",
            Self::Clippy => "clippy",
            Self::Tests => "tests",
            Self::Docs => "docs",
            Self::Licences => "licences",
        }
    }

    fn run(self, house: &House) -> Result<Held, String> {
        match self {
            Self::Format => house::run(house.cargo(&["fmt", "--all", "--check"]))
                .map_err(|why| format!("{why}\nrun `cargo fmt --all` to correct it"))?,
            Self::Norms => {
                let files = house.text_files()?;
                listed([norms::violations(&files), heart::violations(&files)].concat())?;
            }
            Self::Links => listed(links::violations(&house.root, &house.text_files()?))?,
            Self::Layers => {
                let metadata = house::output(house.cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
                let circles = circles::violations(&house.text_files()?);
                listed([layers::violations(&layers::parse(&metadata)?), circles].concat())?;
            }
            Self::Clippy => {
                let arguments = ["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"];
                house::run(house.cargo(&arguments))?;
            }
            Self::Tests => house::run(house.cargo(&["test", "--release", "--workspace"]))?,
            Self::Docs => {
                let mut docs = house.cargo(&["doc", "--release", "--workspace", "--no-deps"]);
                docs.env("RUSTDOCFLAGS", "-Dwarnings");
                house::run(docs)?;
            }
            Self::Licences => return licences::check(house),
        }
        Ok(Held::Whole)
    }
}

/// Runs every step until one fails. The error names the step and the cause.
pub fn check(house: &House, tests: bool) -> Result<(), String> {
    let start = Instant::now();
    let mut skipped = Vec::new();
    for step in Step::ALL.into_iter().filter(|step| tests || *step != Step::Tests) {
        println!("== {}", step.name());
        let began = Instant::now();
        let outcome = step.run(house);
        let seconds = began.elapsed().as_secs_f64();
        match outcome {
            Ok(Held::Whole) => println!("== {}: passed ({seconds:.1} s)", step.name()),
            Ok(Held::Skipped(what)) => {
                println!("== {}: SKIPPED: {what}", step.name());
                skipped.push(step.name());
            }
            Err(why) => return Err(format!("the check of {} failed after {seconds:.1} s\n{why}", step.name())),
        }
    }
    let skipped = if skipped.is_empty() { String::new() } else { format!(", but skipped {}", skipped.join(", ")) };
    println!("check: clean{skipped} ({:.1} s)", start.elapsed().as_secs_f64());
    Ok(())
}

/// Passes if there is no violation; otherwise the error lists the violations, one per line.
fn listed(violations: Vec<String>) -> Result<(), String> {
    if violations.is_empty() { Ok(()) } else { Err(violations.join("\n")) }
}
