//! A download that is an archive.
#![no_main]

use ptu_prepare::named::{Dataset, NamedOptions, prepare_named};
use ptu_fuzz::Place;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let place = Place::default();
    let raw = place.path("raw");
    for (name, dataset) in [("raw/Slake1.0.zip", Dataset::Slake), ("raw/NLMCXR_reports.tgz", Dataset::Openi), ("raw/medicat_release.tar", Dataset::Medicat)] {
        let file = place.write(name, bytes);
        let _ = prepare_named(dataset, (&raw, &place.path("out")), &NamedOptions::default(), &|_| {});
        let _ = std::fs::remove_dir_all(place.path("out"));
        let _ = std::fs::remove_file(file);
    }
});
