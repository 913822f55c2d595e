//! A parquet file of a user.
#![no_main]

use ptu_prepare::table::{TableOptions, prepare};
use ptu_fuzz::Place;

// The decoder's own panics become errors, so they may not end the target before they do.
libfuzzer_sys::fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    let place = Place::default();
    let table = place.write("t.parquet", bytes);
    for skip_bad in [false, true] {
        let options = TableOptions { skip_bad, allow_missing: skip_bad, ..TableOptions::default() };
        let _ = prepare(&table, &place.path("out"), &options, &|_| {});
        let _ = std::fs::remove_dir_all(place.path("out"));
    }
});
