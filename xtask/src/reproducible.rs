//! Checks that the build of the released command is reproducible: two builds from scratch are compared byte by byte.

use std::fs;

use crate::house::{House, run};

/// Builds twice, in separate folders, and compares the results. This takes twice as long as a build from scratch.
pub fn reproducible(house: &House) -> Result<(), String> {
    let mut binaries = vec![];
    for name in ["first", "second"] {
        let folder = house.root.join("target/reproducible").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| format!("cannot remove `{}`: {error}", folder.display()))?;
        }
        let target = folder.display().to_string();
        let arguments =
            ["build", "--profile", "dist", "--locked", "--package", "ptunifier-cli", "--target-dir", &target];
        run(house.cargo(&arguments))?;
        let binary = folder.join("dist/ptunifier");
        binaries.push(fs::read(&binary).map_err(|error| format!("cannot read `{}`: {error}", binary.display()))?);
    }
    let (first, second) = (&binaries[0], &binaries[1]);
    match first == second {
        true => {
            println!("reproducible: both builds are the same {} bytes", first.len());
            Ok(())
        }
        false => {
            let place = first.iter().zip(second).position(|(one, other)| one != other);
            Err(format!("the builds differ: {} and {} bytes, first at {place:?}", first.len(), second.len()))
        }
    }
}
