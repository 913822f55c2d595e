//! Whole models: Lightning checkpoints of PTUnifier and METER (specification, section 8).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use ptu_checkpoint::Value;
use ptu_input::{InputError, Preprocess, Published, Tokenizer};
use ptu_model::names::is_unused;
use ptu_model::weights::Arrays;
use ptu_model::{Bundle, Model, ModelConfig};
use ptu_random::Key;

use crate::assemble::{Imported, card};
use crate::carried::Carried;
use crate::collect::matches;
use crate::error::{ImportError, Part};
use crate::report::{Assumed, ImportedWeight, Origin, Report, UnusedReason, UnusedTensor};
use crate::shapes::{Author, Shapes};
use crate::source::Source;

/// Beginnings of METER's names, and of ours.
const METER: &[(&str, &str)] = &[
    ("text_transformer.", "language_encoder."),
    ("vit_model.", "vision_encoder."),
    ("cross_modal_image_layers.", "multi_modal_vision_layers."),
    ("cross_modal_text_layers.", "multi_modal_language_layers."),
    ("cross_modal_image_transform.", "multi_modal_vision_proj."),
    ("cross_modal_text_transform.", "multi_modal_language_proj."),
    ("cross_modal_image_pooler.", "multi_modal_vision_pooler."),
    ("cross_modal_text_pooler.", "multi_modal_language_pooler."),
    ("token_type_embeddings.", "modality_type_embeddings."),
    ("mlm_score.", "mlm_head."),
    ("itm_score.", "itm_head."),
];

/// A weight that tells whose checkpoint it is.
const SIGNS: &[(&str, Author)] =
    &[("multi_modal_vision_proj.weight", Author::Ptunifier), ("cross_modal_image_transform.weight", Author::Meter)];

/// What may be chosen when a whole checkpoint is imported, and what the file does not give.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckpointOptions {
    /// Attention heads of the text encoder and of the fusion, instead of those of the file's hyper-parameters.
    pub heads: Option<usize>,
    /// Number of prompts that take the place of a missing image and of a missing text; by default 49 and 32, as published.
    pub prompts: Option<[usize; 2]>,
    /// The largest number of tokens of a text, instead of that of the file's hyper-parameters.
    pub max_tokens: Option<usize>,
    /// Folder of the tokenizer; `None` for that of the weights.
    pub tokenizer: Option<PathBuf>,
    /// Patterns (`*` stands for any characters) of weights that may be missing, and of tensors that nothing explains.
    pub allow_missing: Vec<String>,
    /// Seed of weights that are missing and initialised anew.
    pub seed: u64,
}

/// An imported checkpoint.
#[derive(Clone, Debug)]
pub struct CheckpointWeights {
    /// Sizes and options of the model.
    pub config: ModelConfig,
    /// Its weights by published name. Those that are missing are initialised by [`Self::bundle`].
    pub arrays: Arrays,
    /// Seed of the weights that are initialised.
    pub seed: u64,
    /// The tokenizer, if there is one in the folder.
    pub tokenizer: Option<Published>,
    /// The largest number of tokens of a text.
    pub max_tokens: usize,
    /// The settings of the bundle from which this project exported the checkpoint; `None` for checkpoints of others.
    pub carried: Option<Carried>,
    /// What became of each weight.
    pub report: Report,
}

/// Reads a checkpoint of PTUnifier or METER. Its sizes follow from shapes and hyper-parameters.
///
/// # Errors
/// When the file cannot be read or is of another kind; when weights are missing, unknown, of another shape or not finite.
pub fn read_checkpoint(path: &Path, options: &CheckpointOptions) -> Result<CheckpointWeights, ImportError> {
    let source = Source::open(path)?;
    let author = author(&source).ok_or_else(|| source.unknown(Part::Whole))?;
    let tokenizer = read_tokenizer(&source, options)?;
    let mut report = Report { source: source.path().into(), layout: author.to_string(), ..Report::default() };
    let (mut arrays, origins) = read_arrays(&source, &mut report)?;
    let special = tokenizer.as_ref().map(|published| published.tokenizer.special());
    let carried = Carried::read(&source)?;
    let config = match &carried {
        Some(carried) => carried.config.model.clone(),
        None => {
            let shapes = Shapes { source: &source, arrays: &arrays, author, special };
            let given = options.heads.or_else(|| parameter(&source, "num_heads"));
            shapes.config(given, options.prompts.unwrap_or([49, 32]), &mut report.assumed)?
        }
    };
    account(&config, &mut arrays, origins, options, &mut report)?;
    let longest = config.text.longest();
    let asked = options.max_tokens.or_else(|| match &carried {
        Some(carried) => Some(carried.config.max_tokens),
        None => parameter(&source, "max_text_len"),
    });
    let max_tokens = asked.unwrap_or_else(|| {
        let because = "the number of position embeddings";
        report.assumed.push(Assumed { key: "max_tokens", value: longest.to_string(), because });
        longest
    });
    let (max_tokens, seed) = (max_tokens.min(longest), options.seed);
    Ok(CheckpointWeights { config, arrays, seed, tokenizer, max_tokens, carried, report })
}

impl CheckpointWeights {
    /// The model with its tokenizer and the published preprocessing.
    ///
    /// # Errors
    /// When no tokenizer was found, or when a weight has another shape than the configuration requires.
    pub fn bundle(self) -> Result<Imported, ImportError> {
        let tokenizer = self.tokenizer.ok_or_else(|| ImportError::NotGiven {
            path: self.report.source.clone(),
            what: "a tokenizer",
            cure: "give the folder of the text encoder that it was trained with, with `--tokenizer`",
        })?;
        let (mut trained_on, mut weights_from, mut task) = (vec![], vec![self.report.weight_source()], None);
        let mut preprocess = Preprocess::clip(self.config.image.size);
        if let Some(carried) = self.carried {
            preprocess = carried.preprocess;
            trained_on = carried.config.trained_on;
            task = carried.task;
            weights_from = [carried.config.weights_from, weights_from].concat();
        }
        let (seed, device) = (Key::new(self.seed), Device::flex());
        let (model, initialised) = Model::complete(&self.config, self.arrays, seed, &device, &self.report.source)?;
        let reports = vec![self.report];
        let card = card(&reports, &initialised);
        let bundle = Bundle {
            model,
            tokenizer: Arc::new(tokenizer.tokenizer),
            preprocess,
            max_tokens: self.max_tokens,
            trained_on,
            weights_from,
            learned: None,
            task,
        };
        Ok(Imported { bundle, card, reports, initialised })
    }
}

/// Whose checkpoint a file is, if it is a whole one.
pub(crate) fn author(source: &Source) -> Option<Author> {
    SIGNS.iter().find(|(name, _)| source.has(name)).map(|(_, author)| *author)
}

/// The tokenizer of the options, else that beside the weights, if there is one.
fn read_tokenizer(source: &Source, options: &CheckpointOptions) -> Result<Option<Published>, ImportError> {
    match &options.tokenizer {
        Some(folder) => Ok(Some(Tokenizer::from_folder(folder)?)),
        None => match Tokenizer::from_folder(source.beside("")) {
            Err(InputError::NoTokenizer { .. }) => Ok(None),
            found => Ok(Some(found?)),
        },
    }
}

/// Our name of a tensor.
fn ours(name: &str) -> String {
    let meter = METER.iter().find_map(|(theirs, ours)| Some(format!("{ours}{}", name.strip_prefix(theirs)?)));
    meter.unwrap_or_else(|| name.to_string())
}

/// Our names and those in the file.
type Origins = Vec<(String, String)>;

/// Reads all weights that a model may have, by our names.
fn read_arrays(source: &Source, report: &mut Report) -> Result<(Arrays, Origins), ImportError> {
    let (mut arrays, mut origins) = (Arrays::new(), vec![]);
    for name in source.names() {
        if source.is_integer(name) {
            report.unused.push(UnusedTensor { name: name.into(), reason: UnusedReason::NotLearned });
            continue;
        }
        arrays.insert(ours(name), source.read(name)?);
        origins.push((ours(name), name.to_string()));
    }
    Ok((arrays, origins))
}

/// Removes the arrays that the model does not use, and reports those that are missing; both must be known or allowed.
fn account(
    config: &ModelConfig,
    arrays: &mut Arrays,
    origins: Origins,
    options: &CheckpointOptions,
    report: &mut Report,
) -> Result<(), ImportError> {
    let shapes = Model::shapes(config)?;
    let is_allowed = |name: &str| options.allow_missing.iter().any(|pattern| matches(pattern, name));
    let mut unexplained = vec![];
    for (ours, theirs) in origins {
        if let Some(expected) = shapes.get(&ours) {
            let found = &arrays[&ours].shape;
            if found != expected {
                let (path, found, expected) = (report.source.clone(), found.clone(), expected.clone());
                return Err(ImportError::Shape { path, name: theirs, found, expected });
            }
            report.weights.push(ImportedWeight { name: ours, origin: Origin::Matched { from: vec![theirs] } });
            continue;
        }
        arrays.remove(&ours);
        let reason = match is_unused(&ours, config.image.used_layers()) {
            true => UnusedReason::OtherPart,
            false if is_allowed(&theirs) => UnusedReason::Allowed,
            false => {
                unexplained.push(theirs);
                continue;
            }
        };
        report.unused.push(UnusedTensor { name: theirs, reason });
    }
    if !unexplained.is_empty() {
        return Err(ImportError::Unexplained { path: report.source.clone(), names: unexplained });
    }
    let missing: Vec<String> = shapes.into_keys().filter(|name| !arrays.contains_key(name)).collect();
    let refused: Vec<String> = missing.iter().filter(|name| !is_allowed(name)).cloned().collect();
    if !refused.is_empty() {
        return Err(ImportError::Missing { path: report.source.clone(), names: refused });
    }
    report.weights.extend(missing.into_iter().map(|name| ImportedWeight { name, origin: Origin::Initialised }));
    report.weights.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(())
}

/// A whole number above 0 among Lightning's hyper-parameters; programs store them as they are, or below `config`.
fn parameter(source: &Source, key: &str) -> Option<usize> {
    let all = source.values().get("hyper_parameters")?;
    let found = all.get(key).or_else(|| all.get("config")?.get(key));
    match found {
        Some(Value::Int(number)) => usize::try_from(*number).ok().filter(|number| *number > 0),
        _ => None,
    }
}
