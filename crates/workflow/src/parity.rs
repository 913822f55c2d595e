//! Whether we compute what the PyTorch reference computes: the parity tests, and the self-test of `doctor`.

mod pretrain;
mod quantities;

use std::fs;

pub use pretrain::pretrain;
pub use quantities::Quantities;

use crate::reference::Case;

/// Files of one small case, so that a machine without the repository can test itself.
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

/// Compares this machine's results with those of PyTorch on the embedded case: features, losses, gradients, a short training.
///
/// # Errors
/// When the case cannot be unpacked into a temporary folder.
pub fn self_test() -> Result<Quantities, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder ({error})"))?;
    for (name, bytes) in EMBEDDED {
        let path = folder.path().join(name);
        fs::write(&path, bytes).map_err(|error| format!("cannot write `{}` ({error})", path.display()))?;
    }
    pretrain(&Case::open(folder.path()).map_err(|error| error.to_string())?)
}
