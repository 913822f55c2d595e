//! Parity with an independent PyTorch implementation. The cases are the fixtures of this crate, the shared cases if they are
//! beside the repository, and the folders named in `PTUNIFIER_PARITY`.
//!
//! Run with `cargo test --release parity -- --nocapture`; the last line gives the number of cases and quantities that agree.
#![expect(clippy::print_stdout, reason = "the test harness is off, so this program prints the results itself")]

#[path = "parity/generate.rs"]
mod generate;
#[path = "parity/resize.rs"]
mod resize;
#[path = "parity/retrieve.rs"]
mod retrieve;
#[path = "parity/task.rs"]
mod task;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ptu_workflow::parity::{Quantities, pretrain};
use ptu_workflow::reference::{Case, Kind};

fn main() -> ExitCode {
    // `cargo test FILTER` passes its filter to every test program; a filter that does not match means that this test is not
    // wanted.
    let filters: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if std::env::args().any(|argument| argument == "--list") {
        println!("parity: test");
        return ExitCode::SUCCESS;
    }
    if !filters.is_empty() && !filters.iter().any(|filter| "parity".contains(filter.as_str())) {
        return ExitCode::SUCCESS;
    }
    let (mut cases, mut quantities, mut failures) = (0, Quantities::default(), vec![]);
    for folder in case_folders() {
        let name =
            folder.file_name().map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into());
        let found = match Case::open(&folder) {
            Ok(case) => run(&case),
            Err(error) => Err(error.to_string()),
        };
        match found {
            Ok(found) => {
                println!(
                    "parity case {name}: {} quantities, worst {} ({:.1e})",
                    found.count, found.worst_name, found.worst
                );
                failures.extend(found.failures.iter().map(|failure| format!("{name}: {failure}")));
                cases += usize::from(found.failures.is_empty());
                quantities.add(found);
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    for failure in &failures {
        println!("parity failure: {failure}");
    }
    println!("parity: {cases} cases, {} quantities, worst {:.1e}", quantities.count, quantities.worst);
    if failures.is_empty() && cases > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(case: &Case) -> Result<Quantities, String> {
    match case.kind().map_err(|error| error.to_string())? {
        Kind::Pretrain => pretrain(case),
        Kind::Retrieve => retrieve::run(case),
        Kind::Resize => resize::run(case),
        Kind::Task(head) => task::run(case, head),
        Kind::Generate => generate::run(case),
    }
}

/// The case folders: fixtures, shared cases, and named folders. A folder that contains cases stands for all its cases.
fn case_folders() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut roots = vec![here.join("tests/fixtures/parity"), here.join("../../../shared/parity")];
    if !roots[1].exists() {
        println!("parity: the shared cases do not exist here; only the fixtures are compared");
    }
    roots.extend(std::env::var_os("PTUNIFIER_PARITY").iter().flat_map(std::env::split_paths));
    let mut cases = vec![];
    for root in roots {
        if root.join("config.json").exists() {
            cases.push(root);
        } else if let Ok(entries) = std::fs::read_dir(&root) {
            let mut inner: Vec<PathBuf> =
                entries.flatten().map(|entry| entry.path()).filter(|path| path.join("config.json").exists()).collect();
            inner.sort();
            cases.extend(inner);
        } else if root != here.join("../../../shared/parity") {
            // A named folder that does not exist must give an error.
            cases.push(root);
        }
    }
    cases
}
