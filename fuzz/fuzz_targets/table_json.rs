//! A user's JSON: a list, objects one a line, or one object, as its first characters say.
#![no_main]

use ptu_prepare::table::{TableOptions, prepare};
use ptu_fuzz::Place;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let place = Place::default();
    let table = place.write("t.json", bytes);
    for skip_bad in [false, true] {
        let options = TableOptions { skip_bad, allow_missing: skip_bad, ..TableOptions::default() };
        let _ = prepare(&table, &place.path("out"), &options, &|_| {});
        let _ = std::fs::remove_dir_all(place.path("out"));
    }
});
