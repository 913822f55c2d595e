//! Files of weights for the tests: changed copies of the fixtures.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};

use ptu_model::weights::{Array, Arrays, read_arrays, write_arrays};

/// The folder of a fixture; below the folder in `PTUNIFIER_ENCODERS`, if `cargo xtask interop` names one with other weights.
pub fn fixture(name: &str) -> PathBuf {
    let committed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::env::var_os("PTUNIFIER_ENCODERS").map_or_else(committed, PathBuf::from).join(name)
}

/// The weights of a fixture.
pub fn weights(name: &str) -> Arrays {
    read_arrays(&fixture(name).join("model.safetensors")).unwrap()
}

/// A copy of a fixture with other weights.
pub fn copy(name: &str, weights: &Arrays) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(fixture(name)).unwrap() {
        let file = file.unwrap().path();
        let target = folder.path().join(file.file_name().unwrap());
        // Not `fs::copy`, which would keep a read-only attribute.
        std::fs::write(target, std::fs::read(file).unwrap()).unwrap();
    }
    std::fs::remove_file(folder.path().join("expected.safetensors")).unwrap();
    let _ = std::fs::remove_file(folder.path().join("expected-20.safetensors"));
    write_arrays(&folder.path().join("model.safetensors"), weights).unwrap();
    folder
}

/// The weights with another beginning of their names.
pub fn renamed(weights: &Arrays, from: &str, to: &str) -> Arrays {
    let rename = |(name, array): (&String, &Array)| {
        let rest = name.strip_prefix(from).unwrap_or_else(|| panic!("`{name}` does not begin with `{from}`"));
        (format!("{to}{rest}"), array.clone())
    };
    weights.iter().map(rename).collect()
}

/// An array of this shape that counts up.
pub fn counting(shape: &[usize]) -> Array {
    let values = (0..shape.iter().product::<usize>()).map(|index| index as f32 / 8.0).collect();
    Array { shape: shape.to_vec(), values }
}
