//! Fuzzes the reader of parquet tables.
#![no_main]

use ptu_prepare::table::{TableOptions, prepare};
use ptu_fuzz::TemporaryFolder;

// The decoder's own panics are turned into errors, so the panic hook must not abort the process before that.
libfuzzer_sys::fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    let folder = TemporaryFolder::default();
    let table = folder.write("t.parquet", bytes);
    for skip_bad in [false, true] {
        let options = TableOptions { skip_bad, allow_missing: skip_bad, ..TableOptions::default() };
        let _ = prepare(&table, &folder.path("out"), &options, &|_| {});
        let _ = std::fs::remove_dir_all(folder.path("out"));
    }
});
