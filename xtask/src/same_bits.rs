//! `cargo xtask same-bits COMMIT`: checks that the current tree computes the same bits as a commit.
//!
//! Both trees are built on this machine and do the same work: shards, two runs of fifty steps, vectors, scores. All of it
//! is compared byte for byte. Then the current program continues the work of the commit's program: it resumes a run that was
//! stopped in the middle, embeds with its bundle, reads its shards. Run this when you move code without changing what it
//! computes.

mod compare;
mod inputs;
mod programs;
mod work;

use std::fs;
use std::path::Path;

use crate::house::House;
use compare::Comparison;
use programs::Program;
use work::Workplace;

/// Builds both programs, runs both, and compares their files.
///
/// # Errors
/// When something cannot be built or run, and when anything differs: each file by name, with the first difference.
pub fn same_bits(house: &House, commit: &str) -> Result<(), String> {
    let folder = house.root.join("target/same-bits");
    let [before, after] = programs::build(house, commit, &folder)?;
    let places = folder.join("work");
    if places.exists() {
        fs::remove_dir_all(&places).map_err(|error| format!("cannot clear `{}`: {error}", places.display()))?;
    }
    let here = places.join("here");
    let work = |program: &Program, name: &str| {
        println!("== {} works", program.name);
        let place = Workplace::new(&here)?;
        place.everything(program)?;
        place.keep_as(name)
    };
    let (old, new) = (work(&before, "before")?, work(&after, "after")?);
    let mut comparison = Comparison::default();
    for artefact in work::ARTEFACTS {
        comparison.files(artefact, &old.folder, &new.folder)?;
    }
    println!("== {} continues the work of {}", after.name, before.name);
    cross(&mut comparison, [&before, &after], &old, &here)?;
    comparison.end(&before.name)
}

/// The current program with the run, the bundle and the shards of the commit.
fn cross(
    comparison: &mut Comparison,
    [before, after]: [&Program; 2],
    old: &Workplace,
    folder: &Path,
) -> Result<(), String> {
    let crossed = Workplace::new(folder)?;
    old.stopped_run(before, &crossed)?;
    crossed.resume(after)?;
    crossed.embed(after)?;
    crossed.evaluate(after)?;
    for artefact in work::CROSSED {
        comparison.files(artefact, &old.folder, &crossed.folder)?;
    }
    Ok(())
}
