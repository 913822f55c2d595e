//! Which file of a folder holds the weights.

use std::path::{Path, PathBuf};

use crate::CheckpointError;

/// The most files of a folder that are looked at.
const MAX_FILES: usize = 10_000;

/// Names and endings of the files of one format.
struct Kind {
    /// Names under which models are published. An index stands for its shards.
    names: &'static [&'static str],
    /// Endings, if there is none of these names.
    endings: &'static [&'static str],
}

/// The formats in order of preference: the one that cannot contain code first.
const KINDS: &[Kind] = &[
    Kind {
        names: &["model.safetensors", "model.safetensors.index.json", "open_clip_model.safetensors"],
        endings: &[".safetensors"],
    },
    Kind {
        names: &["pytorch_model.bin", "pytorch_model.bin.index.json", "open_clip_pytorch_model.bin"],
        endings: &[".bin", ".pt", ".pth", ".ckpt"],
    },
    Kind { names: &["model.onnx", "onnx/model.onnx"], endings: &[".onnx"] },
];

/// Files of training programs that hold no weights of a model.
const OTHERS: &[&str] = &["training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.bin", "scheduler.pt"];

/// The file of weights in a folder.
///
/// # Errors
/// When the folder cannot be read, or holds none or several that could be meant.
pub(crate) fn choose(folder: &Path) -> Result<PathBuf, CheckpointError> {
    let files = list(folder)?;
    for kind in KINDS {
        let named = |file: &&String| kind.names.contains(&file.as_str());
        let ending = |file: &&String| {
            kind.endings.iter().any(|ending| file.ends_with(ending)) && !OTHERS.contains(&file.as_str())
        };
        let mut candidates: Vec<String> = files.iter().filter(named).cloned().collect();
        if candidates.is_empty() {
            candidates = files.iter().filter(ending).cloned().collect();
        }
        match &candidates[..] {
            [] => {}
            [one] => return Ok(folder.join(one)),
            _ => return Err(CheckpointError::Ambiguous { path: folder.into(), found: candidates }),
        }
    }
    Err(CheckpointError::NoWeights { path: folder.into(), found: files })
}

/// The names of the files of a folder, sorted, and of those of its folder `onnx`.
fn list(folder: &Path) -> Result<Vec<String>, CheckpointError> {
    let mut files = Vec::new();
    for (inside, start) in [(folder.to_path_buf(), ""), (folder.join("onnx"), "onnx/")] {
        if !inside.is_dir() {
            continue;
        }
        let error = |source| CheckpointError::File { action: "list the files of", path: inside.clone(), source };
        for entry in std::fs::read_dir(&inside).map_err(error)?.take(MAX_FILES) {
            let entry = entry.map_err(error)?;
            if entry.path().is_file() {
                files.push(format!("{start}{}", entry.file_name().to_string_lossy()));
            }
        }
    }
    files.sort();
    Ok(files)
}
