//! An image encoder and a text encoder become one model: their weights, and new ones for all else.

use std::fmt::Write;
use std::sync::Arc;

use burn::tensor::Device;
use ptu_model::config::{FusionConfig, FusionKind, TextConfig};
use ptu_model::{Bundle, Model, ModelConfig, Preset};
use ptu_random::Key;

use crate::error::ImportError;
use crate::image::ImageWeights;
use crate::report::Report;
use crate::text::TextWeights;

/// What is chosen of a model that is assembled from two encoders. `None` means the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssembleOptions {
    /// Width of the fusion; by default that of the text encoder.
    pub fusion_width: Option<usize>,
    /// Layers of the fusion; by default half as many as the text encoder has, as published.
    pub fusion_layers: Option<usize>,
    /// Attention heads of the fusion; by default one for every 64 of its width, or those of the text encoder if it has its width.
    pub fusion_heads: Option<usize>,
    /// The largest number of tokens of a text; by default the largest that the text encoder takes.
    pub max_tokens: Option<usize>,
    /// Seed of the new weights.
    pub seed: u64,
}

/// A model that was imported, with what became of each weight.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The model with tokenizer and preprocessing.
    pub bundle: Bundle,
    /// The model card, in Markdown: it names the sources and their licences.
    pub card: String,
    /// The reports of the files.
    pub reports: Vec<Report>,
    /// The weights that were initialised anew, by published name.
    pub initialised: Vec<String>,
}

/// Joins two encoders to a model for pre-training.
///
/// # Errors
/// When no file says how pictures are normalised, or when the sizes do not make a valid model.
pub fn assemble(image: ImageWeights, text: TextWeights, options: &AssembleOptions) -> Result<Imported, ImportError> {
    let config = configuration(&image, &text, options);
    let preprocess = image.preprocess.ok_or_else(|| ImportError::NotGiven {
        path: image.report.source.clone(),
        what: "the mean and standard deviation of the colours (`preprocessor_config.json`)",
        cure: "give them with `--mean` and `--std`",
    })?;
    let longest = text.longest();
    let mut arrays = image.arrays;
    arrays.extend(text.arrays);
    let (seed, device) = (Key::new(options.seed), Device::flex());
    let (model, initialised) = Model::complete(&config, arrays, seed, &device, &image.report.source)?;
    let reports = vec![image.report, text.report];
    let bundle = Bundle {
        model,
        tokenizer: Arc::new(text.tokenizer.tokenizer),
        preprocess,
        max_tokens: options.max_tokens.map_or(longest, |most| most.min(longest)),
        trained_on: vec![],
        weights_from: reports.iter().map(Report::weight_source).collect(),
        learned: None,
        task: None,
    };
    let card = card(&reports, &initialised);
    Ok(Imported { bundle, card, reports, initialised })
}

fn configuration(image: &ImageWeights, text: &TextWeights, options: &AssembleOptions) -> ModelConfig {
    let width = options.fusion_width.unwrap_or(text.config.width);
    let rule = if width == text.config.width { text.config.heads } else { (width / 64).max(1) };
    ModelConfig {
        image: image.config,
        fusion: FusionConfig {
            kind: FusionKind::TwoStream,
            width,
            layers: options.fusion_layers.unwrap_or((text.config.layers / 2).max(1)),
            heads: options.fusion_heads.unwrap_or(rule),
            eps: text.config.eps,
            add_mean: false,
        },
        ..as_published(text.config)
    }
}

/// The published model with this text encoder.
pub(crate) fn as_published(text: TextConfig) -> ModelConfig {
    let TextConfig { style, vocabulary, start, end, padding, .. } = text;
    ModelConfig { text, ..Preset::Base.config(style, vocabulary, [start, end, padding]) }
}

/// The model card: sources, licences, and what is new.
pub(crate) fn card(reports: &[Report], initialised: &[String]) -> String {
    let mut card = String::from("# Imported model\n\nNot trained by this project. Its weights come from:\n\n");
    for report in reports {
        let source = report.weight_source();
        let licence = source.stated_licence();
        let _ = writeln!(card, "- `{}` (layout: {}): licence {licence}", source.name, source.layout);
        for assumed in &report.assumed {
            let _ = writeln!(card, "  - assumed: `{}` is {}, {}", assumed.key, assumed.value, assumed.because);
        }
    }
    let _ = write!(card, "\n{} weights are new and have to be trained", initialised.len());
    card.push_str(if initialised.is_empty() { ".\n" } else { "; see the report of the import.\n" });
    card
}
