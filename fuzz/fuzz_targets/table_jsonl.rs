//! Fuzzes the reader of JSONL tables.
#![no_main]

use ptu_prepare::table::{TableOptions, prepare};
use ptu_fuzz::TemporaryFolder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = TemporaryFolder::default();
    let table = folder.write("t.jsonl", bytes);
    for skip_bad in [false, true] {
        let options = TableOptions { skip_bad, allow_missing: skip_bad, ..TableOptions::default() };
        let _ = prepare(&table, &folder.path("out"), &options, &|_| {});
        let _ = std::fs::remove_dir_all(folder.path("out"));
    }
});
