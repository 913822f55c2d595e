//! One bundle in one format.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ptu_infer::task::TaskDescription;
use ptu_model::config::PromptsConfig;
use ptu_model::files::write_bytes;
use ptu_model::{Bundle, HeadKind};

use crate::{ExportError, checkpoint, hf, onnx};

/// Name of the model card.
const CARD: &str = "README.md";

/// For whom a model is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// `transformers`: `AutoModel.from_pretrained(folder, trust_remote_code=True)`.
    Hf,
    /// The published program and those that read its checkpoints: `ptunifier.ckpt`.
    Ptunifier,
    /// ONNX Runtime and others: a graph for each kind of input.
    Onnx,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The folder.
    pub folder: PathBuf,
    /// The names of its files.
    pub files: Vec<String>,
}

/// Writes a bundle in a format into a folder that does not exist or is empty. If it fails, the folder is as it was before. `card` is the
/// model card in place of that of the bundle.
///
/// # Errors
/// When the folder has files, when the bundle cannot be read, when a part of it has no place in the format, or when a file cannot be
/// written.
pub fn export(bundle: &Path, format: ExportFormat, out: &Path, card: Option<&str>) -> Result<Exported, ExportError> {
    let existed = check_empty(out)?;
    let loaded = Bundle::load(bundle, &Device::flex())?;
    // What its outputs mean has to fit its head, or the names of an export would be wrong.
    let task = loaded.task.is_some().then(|| TaskDescription::of(&loaded, bundle)).transpose()?;
    check_parts(bundle, &loaded, format)?;
    loaded.model.check_finite(&bundle.join(ptu_model::WEIGHTS))?;
    fs::create_dir_all(out).map_err(|source| ExportError::write(out, source))?;
    let written = match format {
        ExportFormat::Hf => hf::write((bundle, out), &loaded, task.as_ref()),
        ExportFormat::Ptunifier => checkpoint::write(bundle, out),
        ExportFormat::Onnx => onnx::write(bundle, loaded.model.config(), out),
    };
    let written = written.and_then(|mut files| {
        if let Some(card) = card {
            write_bytes(&out.join(CARD), card.as_bytes())?;
            files.retain(|file| file != CARD);
            files.push(CARD.into());
        }
        Ok(files)
    });
    match written {
        Ok(files) => Ok(Exported { folder: out.into(), files }),
        Err(error) => {
            clean(out, existed);
            Err(error)
        }
    }
}

/// Whether the folder exists; it must not have files.
fn check_empty(out: &Path) -> Result<bool, ExportError> {
    match fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            None => Ok(true),
            Some(_) => Err(ExportError::NotEmpty { path: out.into() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(ExportError::read(out, error)),
    }
}

/// Refuses models with parts that the format does not get.
fn check_parts(path: &Path, bundle: &Bundle, format: ExportFormat) -> Result<(), ExportError> {
    let config = bundle.model.config();
    let refused = |cause| Err(ExportError::Unsupported { path: path.into(), cause });
    if format == ExportFormat::Ptunifier {
        return match config.fusion.kind.is_single_stream() {
            true => refused(
                "has a fusion with one stream, which the published program does not know; use `--to hf` or `--to onnx`",
            ),
            false => Ok(()),
        };
    }
    if config.decoder.is_some() {
        return refused(
            "writes texts, and its decoder is exported as a checkpoint only; use `--to ptunifier`, or export the model from which it was \
             fine-tuned",
        );
    }
    let is_published =
        |prompts: &PromptsConfig| matches!(prompts, PromptsConfig::Pool { .. } | PromptsConfig::Fixed { .. });
    if !(is_published(&config.image_prompts) && is_published(&config.text_prompts)) {
        return refused("has prompts beyond the paper, which are exported as a checkpoint only; use `--to ptunifier`");
    }
    let has_vectors = config.heads.iter().any(|head| !matches!(head, HeadKind::Mlm | HeadKind::Mim));
    if format == ExportFormat::Onnx && !config.image.class_token && config.image_prompts.count() == 0 && has_vectors {
        return refused(
            "has neither a class token nor prompts for images, so that a text alone has no image sequence in a graph",
        );
    }
    Ok(())
}

/// Removes what a failed export left.
fn clean(out: &Path, existed: bool) {
    let _ = fs::remove_dir_all(out);
    if existed {
        let _ = fs::create_dir(out);
    }
}
