//! Fuzzes the reader of JSON tables: a list, one object per line, or one object; the first characters decide.
#![no_main]

use ptu_prepare::table::{TableOptions, prepare};
use ptu_fuzz::TemporaryFolder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = TemporaryFolder::default();
    let table = folder.write("t.json", bytes);
    for skip_bad in [false, true] {
        let options = TableOptions { skip_bad, allow_missing: skip_bad, ..TableOptions::default() };
        let _ = prepare(&table, &folder.path("out"), &options, &|_| {});
        let _ = std::fs::remove_dir_all(folder.path("out"));
    }
});
