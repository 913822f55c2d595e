//! The configuration of a whole model by the shapes of its weights.

use std::fmt;

use ptu_input::Special;
use ptu_model::config::{
    DecoderConfig, FusionConfig, FusionKind, ImageConfig, Pooling, PromptsConfig, Similarity, TextConfig,
};
use ptu_model::weights::Arrays;
use ptu_model::{HeadKind, ModelConfig, Outputs, TextStyle};

use crate::assemble::as_published;
use crate::error::ImportError;
use crate::report::Assumed;
use crate::source::Source;
use crate::unsupported::Unsupported;

/// Whose checkpoint it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// PTUnifier.
    Ptunifier,
    /// METER.
    Meter,
}

impl fmt::Display for Author {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ptunifier => "PTUnifier",
            Self::Meter => "METER",
        })
    }
}

/// A weight of each head, by which the head is recognised.
const HEADS: &[(&str, HeadKind)] = &[
    ("mlm_head.bias", HeadKind::Mlm),
    ("itm_head.fc.weight", HeadKind::Itm),
    ("itc_head.vision_proj.weight", HeadKind::Itc),
    ("irtr_head.weight", HeadKind::Retrieval),
    ("vqa_head.3.weight", HeadKind::Vqa),
    ("cls_head.3.weight", HeadKind::Classification),
    ("mlc_head.3.weight", HeadKind::MultiLabel),
];

/// The weights of a whole model, by our names.
pub(crate) struct Shapes<'a> {
    pub(crate) source: &'a Source,
    pub(crate) arrays: &'a Arrays,
    pub(crate) author: Author,
    /// The special tokens, if there is a tokenizer.
    pub(crate) special: Option<Special>,
}

impl Shapes<'_> {
    /// The configuration. `heads` are those of the text encoder and of the fusion; `prompts` those in place of an image and of a text.
    ///
    /// # Errors
    /// When a weight that tells a size is missing or has another number of dimensions.
    pub(crate) fn config(
        &self,
        heads: Option<usize>,
        prompts: [usize; 2],
        assumed: &mut Vec<Assumed>,
    ) -> Result<ModelConfig, ImportError> {
        let [width, _] = self.shape("multi_modal_vision_proj.weight")?;
        let mut heads_of = |key, width: usize| {
            heads.unwrap_or_else(|| {
                let because = "one head for every 64 of the width, as published";
                assumed.push(Assumed { key, value: (width / 64).to_string(), because });
                width / 64
            })
        };
        let [_, text_width] = self.shape("language_encoder.embeddings.word_embeddings.weight")?;
        let (text_heads, fusion_heads) = (heads_of("text.heads", text_width), heads_of("fusion.heads", width));
        let text = self.text(text_heads, assumed)?;
        let eps = if self.author == Author::Meter { 1e-12 } else { text.eps };
        let rows = |name| self.arrays.get(name).and_then(|array| array.shape.first().copied());
        let pool = |name, take| PromptsConfig::Pool {
            size: rows(name).unwrap_or(0),
            take,
            pooling: Pooling::default(),
            similarity: Similarity::default(),
        };
        let heads = HEADS.iter().filter(|(name, _)| self.arrays.contains_key(*name)).map(|(_, kind)| *kind);
        Ok(ModelConfig {
            image: self.image()?,
            fusion: FusionConfig {
                kind: FusionKind::TwoStream,
                width,
                layers: self.layers("multi_modal_vision_layers."),
                heads: fusion_heads,
                eps,
                add_mean: false,
            },
            image_prompts: pool("pseudo_vision_token_pool", prompts[0]),
            text_prompts: pool("pseudo_language_token_pool", prompts[1]),
            heads: heads.collect(),
            outputs: Outputs {
                vqa: rows("vqa_head.3.bias"),
                classification: rows("cls_head.3.bias"),
                multilabel: rows("mlc_head.3.bias"),
            },
            decoder: self.arrays.contains_key("clm_proj.0.weight").then(DecoderConfig::default),
            ..as_published(text)
        })
    }

    fn image(&self) -> Result<ImageConfig, ImportError> {
        let name = "vision_encoder.visual.conv1.weight";
        let [width, _, patch, _] = self.shape(name)?;
        let positions = "vision_encoder.visual.positional_embedding";
        let [rows, _] = self.shape(positions)?;
        let grid = rows.saturating_sub(1).isqrt();
        if grid == 0 || grid * grid + 1 != rows {
            let (path, name) = (self.source.path().into(), positions.into());
            return Err(ImportError::Unsupported { path, name, what: Unsupported::PositionGrid(rows) });
        }
        // Their files hold the blocks that are used; the last one of CLIP is not among them.
        let layers = self.layers("vision_encoder.visual.transformer.resblocks.").saturating_add(1);
        Ok(ImageConfig::clip(grid * patch, patch, width, layers))
    }

    fn text(&self, heads: usize, assumed: &mut Vec<Assumed>) -> Result<TextConfig, ImportError> {
        let table = |name: &str| self.shape::<2>(&format!("language_encoder.embeddings.{name}.weight"));
        let ([vocabulary, width], [positions, _]) = (table("word_embeddings")?, table("position_embeddings")?);
        let style = match table("token_type_embeddings")? {
            [1, _] => TextStyle::Roberta,
            [2, _] => TextStyle::Bert,
            [rows, _] => {
                let name = "language_encoder.embeddings.token_type_embeddings.weight".into();
                let (path, what) = (self.source.path().into(), Unsupported::TokenTypes(rows));
                return Err(ImportError::Unsupported { path, name, what });
            }
        };
        let (eps, published) = match style {
            TextStyle::Roberta => (1e-5, [0, 2, 1]),
            TextStyle::Bert => (1e-12, [101, 102, 0]),
        };
        let [start, end, padding] = match self.special {
            Some(special) => [special.start, special.end, special.pad],
            None => {
                let because = "those of the published tokenizers, because no tokenizer was found";
                assumed.push(Assumed { key: "special tokens", value: format!("{published:?}"), because });
                published
            }
        };
        let layers = self.layers("language_encoder.encoder.layer.");
        Ok(TextConfig { style, vocabulary, width, layers, heads, positions, eps, start, end, padding })
    }

    /// The shape of a weight.
    fn shape<const D: usize>(&self, name: &str) -> Result<[usize; D], ImportError> {
        let path = || self.source.path().into();
        let missing = || ImportError::Missing { path: path(), names: vec![name.into()] };
        let found = self.arrays.get(name).ok_or_else(missing)?.shape.clone();
        let wrong = |found| ImportError::Shape { path: path(), name: name.into(), found, expected: vec![1; D] };
        found.try_into().map_err(wrong)
    }

    /// The number of layers whose names begin like this.
    fn layers(&self, beginning: &str) -> usize {
        let number = |name: &String| name.strip_prefix(beginning)?.split('.').next()?.parse::<usize>().ok();
        self.arrays.keys().filter_map(number).max().map_or(0, |last| last.saturating_add(1))
    }
}
