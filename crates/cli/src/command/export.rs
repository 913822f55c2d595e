use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ptu_export::{ExportFormat, export};
use ptu_train::folder;
use ptu_workflow::card;
use serde::Serialize;

use super::check_model;
use crate::output::print;

/// Write a model for other programs: Hugging Face transformers, ONNX Runtime, or the published program
///
/// hf: a folder that `transformers` opens (`AutoModel.from_pretrained(folder, trust_remote_code=True)`, and `AutoProcessor` likewise):
/// the same vectors and logits for images, texts and pairs. The folder is still a bundle of this program.
///
/// onnx: a graph for each kind of input (image.onnx, text.onnx, pair.onnx, image_encoder.onnx, text_encoder.onnx), for any number of inputs and
/// texts of any length that the model reads, with their weights in weights.bin.
///
/// ptunifier: a PyTorch checkpoint with the published names (ptunifier.ckpt), which `ptunifier import` reads again.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier export runs/own --to hf exported
  ptunifier export runs/own --to onnx graphs
  ptunifier export runs/own --to ptunifier checkpoint")]
pub struct Arguments {
    /// Run folder, or bundle
    model: PathBuf,
    /// For which program
    #[arg(long, value_name = "FORMAT")]
    to: FormatName,
    /// Folder that is written; it must not exist or be empty
    out: PathBuf,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// For which program a model is exported.
#[derive(Clone, Copy, ValueEnum)]
enum FormatName {
    /// transformers
    Hf,
    /// the published program
    Ptunifier,
    /// ONNX Runtime
    Onnx,
}

impl FormatName {
    fn format(self) -> ExportFormat {
        match self {
            Self::Hf => ExportFormat::Hf,
            Self::Ptunifier => ExportFormat::Ptunifier,
            Self::Onnx => ExportFormat::Onnx,
        }
    }
}

#[derive(Serialize)]
struct Output<'a> {
    folder: &'a Path,
    files: &'a [String],
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    check_model(&arguments.model)?;
    let bundle = folder::bundle_of(&arguments.model)?;
    // A run has scores and data of which the card of its bundle does not know.
    let is_run = arguments.model.join(folder::RECIPE).exists();
    let card = if is_run { Some(card::of_run(&arguments.model, &bundle, arguments.to.format())?) } else { None };
    let exported = export(&bundle, arguments.to.format(), &arguments.out, card.as_deref())?;
    if arguments.json {
        let output = Output { folder: &exported.folder, files: &exported.files };
        return print(&serde_json::to_string(&output)?);
    }
    exported.files.iter().try_for_each(|file| print(&exported.folder.join(file).display().to_string()))
}
