//! Parity with an independent PyTorch implementation: own fixtures, the shared cases where they lie beside the
//! repository, and those named in `PTUNIFIER_PARITY`.
//!
//! `cargo test --release parity -- --nocapture`; the last line says how many cases and quantities held.
#![expect(clippy::print_stdout, reason = "the runner's own harness is off: this one speaks for itself")]

#[path = "parity/resize.rs"]
mod resize;
#[path = "parity/retrieve.rs"]
mod retrieve;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ptu_workflow::parity::{Quantities, pretrain};
use ptu_workflow::reference::{Case, Kind};

fn main() -> ExitCode {
    // The runner passes the filter of `cargo test FILTER`; a filter that is not ours means: not this test.
    let filters: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if std::env::args().any(|argument| argument == "--list") {
        println!("parity: test");
        return ExitCode::SUCCESS;
    }
    if !filters.is_empty() && !filters.iter().any(|filter| "parity".contains(filter.as_str())) {
        return ExitCode::SUCCESS;
    }
    let (mut cases, mut quantities, mut failures) = (0, Quantities::default(), vec![]);
    for folder in folders() {
        let name =
            folder.file_name().map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into());
        let found = match Case::open(&folder) {
            Ok(case) => run(&case),
            Err(error) => Err(error.to_string()),
        };
        match found {
            Ok(Some(found)) => {
                println!(
                    "parity case {name}: {} quantities, worst {} ({:.1e})",
                    found.count, found.worst_name, found.worst
                );
                failures.extend(found.failures.iter().map(|failure| format!("{name}: {failure}")));
                cases += usize::from(found.failures.is_empty());
                quantities.add(found);
            }
            Ok(None) => println!("parity case {name}: skipped, its kind is not built yet"),
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    for failure in &failures {
        println!("parity failure: {failure}");
    }
    println!("parity: {cases} cases, {} quantities, worst {:.1e}", quantities.count, quantities.worst);
    if failures.is_empty() && cases > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(case: &Case) -> Result<Option<Quantities>, String> {
    match case.kind().map_err(|error| error.to_string())? {
        Kind::Pretrain => pretrain(case).map(Some),
        Kind::Retrieve => retrieve::run(case).map(Some),
        Kind::Resize => resize::run(case).map(Some),
        Kind::NotBuilt => Ok(None),
    }
}

/// Case folders: own, shared, named; a folder of cases stands for the cases in it.
fn folders() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut roots = vec![here.join("tests/fixtures/parity"), here.join("../../../shared/parity")];
    if !roots[1].exists() {
        println!("parity: the shared cases are not here; own fixtures only");
    }
    roots.extend(std::env::var_os("PTUNIFIER_PARITY").iter().flat_map(std::env::split_paths));
    let mut found = vec![];
    for root in roots {
        if root.join("config.json").exists() {
            found.push(root);
        } else if let Ok(entries) = std::fs::read_dir(&root) {
            let mut inner: Vec<PathBuf> =
                entries.flatten().map(|entry| entry.path()).filter(|path| path.join("config.json").exists()).collect();
            inner.sort();
            found.extend(inner);
        } else if root != here.join("../../../shared/parity") {
            // A named folder that is not there must not pass in silence.
            found.push(root);
        }
    }
    found
}
