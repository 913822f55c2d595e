//! Fuzzes the reader of downloads that are archives.
#![no_main]

use ptu_prepare::named::{Dataset, NamedOptions, prepare_named};
use ptu_fuzz::TemporaryFolder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = TemporaryFolder::default();
    let raw = folder.path("raw");
    for (name, dataset) in [("raw/Slake1.0.zip", Dataset::Slake), ("raw/NLMCXR_reports.tgz", Dataset::Openi), ("raw/medicat_release.tar", Dataset::Medicat)] {
        let file = folder.write(name, bytes);
        let _ = prepare_named(dataset, (&raw, &folder.path("out")), &NamedOptions::default(), &|_| {});
        let _ = std::fs::remove_dir_all(folder.path("out"));
        let _ = std::fs::remove_file(file);
    }
});
