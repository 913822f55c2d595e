//! A checkpoint with the published names (specification, section 8), as Lightning writes it.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use ptu_checkpoint::{Checkpoint, WrittenTensor, write_torch};
use ptu_model::{CARRIED_CONFIG, CARRIED_PREPROCESSING, CARRIED_TASK};
use ptu_model::{TASK, WEIGHTS};

use crate::ExportError;
use crate::files::{copy, read};

/// Name of the checkpoint.
const FILE: &str = "ptunifier.ckpt";
/// Files of a bundle that lie beside the checkpoint.
const BESIDE: [&str; 2] = ["tokenizer.json", "README.md"];
/// Hyper-parameters under which the checkpoint carries files of the bundle, so that it can be imported again as it was: published
/// checkpoints have no place for most of the settings.
const CARRIED: [(&str, &str); 3] =
    [(CARRIED_CONFIG, "config.json"), (CARRIED_PREPROCESSING, "preprocessor_config.json"), (CARRIED_TASK, TASK)];

/// Writes the checkpoint and the tokenizer; the names of the files.
///
/// # Errors
/// When a file cannot be read or written.
pub(crate) fn write(from: &Path, out: &Path) -> Result<Vec<String>, ExportError> {
    let weights = Checkpoint::open(&from.join(WEIGHTS))?;
    let shape = |name: &str| weights.info(name).map(|info| info.shape.clone()).unwrap_or_default();
    let tensors: Vec<WrittenTensor> =
        weights.names().map(|name| WrittenTensor { name: name.into(), shape: shape(name) }).collect();
    let carried = CARRIED.into_iter().filter(|(_, file)| from.join(file).exists());
    let carried = carried.map(|(key, file)| Ok::<_, ExportError>((key, read(&from.join(file))?)));
    let carried: Vec<(&str, String)> = carried.collect::<Result<_, _>>()?;
    let parameters: Vec<(&str, &str)> = carried.iter().map(|(key, text)| (*key, text.as_str())).collect();
    let path = out.join(FILE);
    let file = File::create(&path).map_err(|source| ExportError::write(&path, source))?;
    let values = |name: &str| weights.read(name).map_err(io::Error::other);
    write_torch(BufWriter::new(file), &parameters, &tensors, values)
        .map_err(|source| ExportError::write(&path, source))?;
    let mut files = vec![FILE.to_string()];
    copy(&BESIDE, (from, out), &mut files)?;
    Ok(files)
}
