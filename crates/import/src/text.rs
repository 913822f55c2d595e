//! Text encoders: BERT and RoBERTa become the weights of this project's text encoder.

use std::path::{Path, PathBuf};

use ptu_input::{Published, Tokenizer};
use ptu_model::TextStyle;
use ptu_model::config::{TextConfig, limits};
use ptu_model::weights::Arrays;
use serde_json::Value;

use crate::bert::{self, WORDS};
use crate::collect::{Collect, Unused};
use crate::error::{ImportError, Part};
use crate::report::{Assumed, Report, UnusedReason};
use crate::source::Source;
use crate::unsupported::Unsupported;
use crate::{image, settings, signs};

/// The beginning of the published names of the text encoder's weights. Behind it, they are those of `transformers`.
const OURS: &str = "language_encoder.";
const POSITIONS: &str = "embeddings.position_embeddings.weight";
const TYPES: &str = "embeddings.token_type_embeddings.weight";
const LAYER: &str = "encoder.layer.{}.";
const INNER: &str = "intermediate.dense.weight";

const UNUSED: &[Unused] = &[
    ("pooler.", UnusedReason::Head),
    ("classifier.", UnusedReason::Head),
    ("cls.", UnusedReason::Head),
    ("lm_head.", UnusedReason::Head),
];

/// The number of heads and epsilon that a `config.json` of `transformers` means if it does not give them.
const TRANSFORMERS_HEADS: usize = 12;
const TRANSFORMERS_EPS: f64 = 1e-12;

/// What may be chosen when a text encoder is imported, and what the files do not always give.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextOptions {
    /// Number of attention heads, instead of what the files say.
    pub heads: Option<usize>,
    /// Folder of the tokenizer; `None` for that of the weights.
    pub tokenizer: Option<PathBuf>,
    /// Patterns (`*` stands for any characters) of weights that may be missing, and of tensors that nothing explains.
    pub allow_missing: Vec<String>,
}

/// An imported text encoder.
#[derive(Clone, Debug)]
pub struct TextWeights {
    /// Its sizes and style.
    pub config: TextConfig,
    /// Its weights by published name (`language_encoder.*`).
    pub arrays: Arrays,
    /// Its tokenizer, with notes on the files that it was read from.
    pub tokenizer: Published,
    /// What became of each weight.
    pub report: Report,
}

impl TextWeights {
    /// The largest number of tokens of a text: that of the tokenizer's files and of the position embeddings.
    pub fn longest(&self) -> usize {
        self.tokenizer.max_tokens.unwrap_or(usize::MAX).min(self.config.longest())
    }
}

/// Reads a text encoder from a file of weights, or from a folder with one, the settings beside it and its tokenizer.
///
/// # Errors
/// When a file cannot be read or its layout is not known; when the encoder is of a kind that cannot be described; when weights are
/// missing, unexplained, of another shape or not finite; when the tokenizer belongs to another model.
pub fn read_text_encoder(path: &Path, options: &TextOptions) -> Result<TextWeights, ImportError> {
    let source = Source::open(path)?;
    let found = find(&source)?;
    let tokenizer = read_tokenizer(&source, options)?;
    let mut assumed = vec![];
    let config = found.config(&tokenizer.tokenizer, options.heads, &mut assumed)?;
    let rows = config.vocabulary;
    if tokenizer.tokenizer.vocabulary_size() > rows {
        let tokens = tokenizer.tokenizer.vocabulary_size();
        let cause = format!("its tokenizer has {tokens} entries, but the word embeddings have only {rows} rows");
        return Err(ImportError::Settings { path: tokenizer_folder(&source, options), cause });
    }
    let mut collect = Collect::new(&source, found.layout, &options.allow_missing);
    for (name, shape) in weights(&config) {
        collect.take(&format!("{OURS}{name}"), &[format!("{}{name}", found.prefix)], &shape)?;
    }
    let unused: Vec<_> = UNUSED.iter().map(|(rest, reason)| (format!("{}{rest}", found.prefix), *reason)).collect();
    let (arrays, mut report) = collect.finish(&found.prefix, &unused)?;
    report.assumed = assumed;
    Ok(TextWeights { config, arrays, tokenizer, report })
}

fn tokenizer_folder(source: &Source, options: &TextOptions) -> PathBuf {
    options.tokenizer.clone().unwrap_or_else(|| source.beside(""))
}

fn read_tokenizer(source: &Source, options: &TextOptions) -> Result<Published, ImportError> {
    Ok(Tokenizer::from_folder(tokenizer_folder(source, options))?)
}

/// A text encoder that was found in a file.
struct Found<'a> {
    source: &'a Source,
    prefix: String,
    style: TextStyle,
    /// Name of the layout in reports.
    layout: &'static str,
}

fn find(source: &Source) -> Result<Found<'_>, ImportError> {
    let Some(prefix) = bert::prefix(source)? else {
        let path = source.path().into();
        return Err(match image::is_image_encoder(source)? {
            true => ImportError::OtherPart { path, found: Part::Image, wanted: Part::Text },
            false => source.unknown(Part::Text),
        });
    };
    let refuse = |name: String, what| Err(ImportError::Unsupported { path: source.path().into(), name, what });
    if let Some((name, what)) = signs::sign(source, &prefix) {
        return refuse(name, what);
    }
    let types = format!("{prefix}{TYPES}");
    let (style, layout) = match source.shape(&types).as_deref() {
        Some([1, _]) => (TextStyle::Roberta, "transformers, RoBERTa"),
        Some([2, _]) => (TextStyle::Bert, "transformers, BERT"),
        Some([rows, _]) => return refuse(types, Unsupported::TokenTypes(*rows)),
        _ => return Err(ImportError::Missing { path: source.path().into(), names: vec![types] }),
    };
    Ok(Found { source, prefix, style, layout })
}

impl Found<'_> {
    /// The configuration by shapes, settings and tokenizer.
    fn config(
        &self,
        tokenizer: &Tokenizer,
        heads: Option<usize>,
        assumed: &mut Vec<Assumed>,
    ) -> Result<TextConfig, ImportError> {
        let settings = self.settings()?;
        let ((vocabulary, width), (positions, _)) = (self.table(WORDS)?, self.table(POSITIONS)?);
        let layers = settings::count(settings, "num_hidden_layers")
            .unwrap_or_else(|| self.source.blocks(&format!("{}{LAYER}", self.prefix)));
        for (key, value, most) in [
            ("text.width", width, limits::WIDTH),
            ("text.vocabulary", vocabulary, limits::ROWS),
            ("text.positions", positions, limits::POSITIONS),
            ("text.layers", layers, limits::LAYERS),
        ] {
            limits::check(key, value, most)?;
        }
        let known = !settings["model_type"].is_null();
        let given = heads.or_else(|| settings::count(settings, "num_attention_heads"));
        let heads = given.or(known.then_some(TRANSFORMERS_HEADS)).unwrap_or_else(|| {
            let because = "one head for every 64 of the width, as in most published encoders";
            assumed.push(Assumed { key: "text.heads", value: (width / 64).to_string(), because });
            width / 64
        });
        let eps = settings["layer_norm_eps"].as_f64().or(known.then_some(TRANSFORMERS_EPS)).unwrap_or_else(|| {
            let eps = if self.style == TextStyle::Roberta { 1e-5 } else { 1e-12 };
            assumed.push(Assumed {
                key: "text.eps",
                value: eps.to_string(),
                because: "that of the published encoders",
            });
            eps
        });
        self.check_width(width)?;
        let special = tokenizer.special();
        Ok(TextConfig {
            style: self.style,
            vocabulary,
            width,
            layers,
            heads,
            positions,
            eps,
            start: special.start,
            end: special.end,
            padding: special.pad,
        })
    }

    /// `config.json`, or the part of it that describes the text encoder.
    fn settings(&self) -> Result<&Value, ImportError> {
        let all = &self.source.config;
        let settings = if all["text_config"].is_object() { &all["text_config"] } else { all };
        let refuse = |what| {
            let (path, name) = (self.source.path().into(), "config.json".into());
            Err(ImportError::Unsupported { path, name, what })
        };
        match (settings["hidden_act"].as_str(), settings["position_embedding_type"].as_str()) {
            (Some(name), _) if name != "gelu" => refuse(Unsupported::Activation(name.into())),
            (_, Some(kind)) if kind != "absolute" => refuse(Unsupported::PositionKind(kind.into())),
            _ => Ok(settings),
        }
    }

    /// Rows and width of a table of embeddings.
    fn table(&self, name: &str) -> Result<(usize, usize), ImportError> {
        let name = format!("{}{name}", self.prefix);
        match self.source.shape(&name).as_deref() {
            Some(&[rows, width]) if rows > 0 && width > 0 => Ok((rows, width)),
            Some(found) => {
                let (path, found) = (self.source.path().into(), found.to_vec());
                Err(ImportError::Shape { path, name, found, expected: vec![1, 1] })
            }
            None => Err(ImportError::Missing { path: self.source.path().into(), names: vec![name] }),
        }
    }

    /// Checks that the hidden layer of the MLPs is four times as wide as the encoder.
    fn check_width(&self, width: usize) -> Result<(), ImportError> {
        let name = format!("{}{}{INNER}", self.prefix, LAYER.replace("{}", "0"));
        let found = self.source.shape(&name).and_then(|shape| shape.first().copied());
        match found.filter(|found| *found != 4 * width) {
            None => Ok(()),
            Some(found) => {
                let what = Unsupported::TextMlpWidth { found, expected: 4 * width };
                Err(ImportError::Unsupported { path: self.source.path().into(), name, what })
            }
        }
    }
}

/// The names of the weights behind the prefix, and their shapes.
fn weights(config: &TextConfig) -> Vec<(String, Vec<usize>)> {
    let d = config.width;
    let mut weights = vec![
        (WORDS.to_string(), vec![config.vocabulary, d]),
        (POSITIONS.to_string(), vec![config.positions, d]),
        (TYPES.to_string(), vec![config.types(), d]),
        ("embeddings.LayerNorm.weight".to_string(), vec![d]),
        ("embeddings.LayerNorm.bias".to_string(), vec![d]),
    ];
    let layer = [
        ("attention.self.query", vec![d, d]),
        ("attention.self.key", vec![d, d]),
        ("attention.self.value", vec![d, d]),
        ("attention.output.dense", vec![d, d]),
        ("attention.output.LayerNorm", vec![d]),
        ("intermediate.dense", vec![4 * d, d]),
        ("output.dense", vec![d, 4 * d]),
        ("output.LayerNorm", vec![d]),
    ];
    for number in 0..config.layers {
        for (name, shape) in &layer {
            let name = format!("{}{name}", LAYER.replace("{}", &number.to_string()));
            weights.push((format!("{name}.bias"), vec![shape[0]]));
            weights.push((format!("{name}.weight"), shape.clone()));
        }
    }
    weights
}
