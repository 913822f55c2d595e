//! Compares the results of this implementation with those of the PyTorch reference, for the parity tests and for the
//! self-test of `doctor`.

mod pretrain;
mod quantities;

use std::fs;

pub use pretrain::pretrain;
pub use quantities::Quantities;

use crate::reference::Case;

/// The files of one small case, so that the self-test also runs without the repository.
const EMBEDDED: [(&str, &[u8]); 5] = [
    ("config.json", include_bytes!("../tests/fixtures/parity/pretrain-decay-default/config.json")),
    (
        "checkpoint.safetensors",
        include_bytes!("../tests/fixtures/parity/pretrain-decay-default/checkpoint.safetensors"),
    ),
    ("inputs.safetensors", include_bytes!("../tests/fixtures/parity/pretrain-decay-default/inputs.safetensors")),
    ("expected.safetensors", include_bytes!("../tests/fixtures/parity/pretrain-decay-default/expected.safetensors")),
    ("gradients.safetensors", include_bytes!("../tests/fixtures/parity/pretrain-decay-default/gradients.safetensors")),
];

/// Compares the results on this machine with those of PyTorch for the embedded case: features, losses, gradients and a short
/// training.
///
/// # Errors
/// If the case cannot be written to a temporary folder.
pub fn self_test() -> Result<Quantities, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder ({error})"))?;
    for (name, bytes) in EMBEDDED {
        let path = folder.path().join(name);
        fs::write(&path, bytes).map_err(|error| format!("cannot write `{}` ({error})", path.display()))?;
    }
    pretrain(&Case::open(folder.path()).map_err(|error| error.to_string())?)
}
