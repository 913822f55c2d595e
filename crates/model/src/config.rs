//! Sizes and choices of a model (specification, sections 1 and 2). Everything that decides what the network computes is
//! here.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ModelError;

/// A complete description of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Image encoder.
    pub image: ImageConfig,
    /// Text encoder.
    pub text: TextConfig,
    /// Fusion of the two streams.
    pub fusion: FusionConfig,
    /// What stands in for a missing image.
    pub image_prompts: PromptsConfig,
    /// What stands in for a missing text.
    pub text_prompts: PromptsConfig,
    /// Heads that sit on the fused streams.
    pub heads: Vec<HeadKind>,
    /// How image and text vectors are compared.
    pub contrast: ContrastConfig,
    /// Share of activations dropped in training, in text encoder and fusion.
    pub dropout: f64,
    /// Deviation of new weights; the published 0.02 suits a width of 768.
    #[serde(default = "published_deviation")]
    pub deviation: f64,
}

fn published_deviation() -> f64 {
    0.02
}

/// Visual half of CLIP (specification, section 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageConfig {
    /// Height and width of the input in pixels.
    pub size: usize,
    /// Height and width of a patch in pixels; `size` is a multiple of it.
    pub patch: usize,
    /// Width; one attention head per 64.
    pub width: usize,
    /// Blocks as CLIP counts them, those that are dropped included.
    pub layers: usize,
    /// Blocks at the end that take no part (published: 1).
    pub drop_last: usize,
    /// Epsilon of the layer norms.
    pub eps: f64,
}

/// RoBERTa or BERT (specification, section 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Which of the two it is.
    pub style: TextStyle,
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Width.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Rows of the position table (RoBERTa leaves the first two unused).
    pub positions: usize,
    /// Epsilon of the layer norms, of the MLM head too.
    pub eps: f64,
    /// Id of the token in front of every text.
    pub start: u32,
    /// Id of the token behind every text.
    pub end: u32,
    /// Id of padding.
    pub padding: u32,
}

/// How positions and token types are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextStyle {
    /// Positions from 2, one token type.
    Roberta,
    /// Positions from 0, two token types.
    Bert,
}

/// Co-attention layers over both streams (specification, section 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionConfig {
    /// Width of both streams.
    pub width: usize,
    /// Layers in each stream.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Epsilon of the layer norms.
    pub eps: f64,
}

/// Temperature of the contrast (specification, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContrastConfig {
    /// Similarities are divided by it; where it is learned, by this at the start.
    pub temperature: f64,
    /// Whether it is a weight (published: no).
    pub learned: bool,
}

impl Default for ContrastConfig {
    fn default() -> Self {
        Self { temperature: 0.1, learned: false }
    }
}

/// What stands in for a missing modality (specification, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum PromptsConfig {
    /// The `take` rows of a pool that are most similar to the half that is there.
    Pool {
        /// Rows of the pool; 0 means no prompts.
        size: usize,
        /// Rows taken; never more than there are.
        take: usize,
        /// How the half that is there becomes a query.
        #[serde(default)]
        pooling: Pooling,
        /// How the query is compared with a row.
        #[serde(default)]
        similarity: Similarity,
    },
    /// The same `take` prompts for every input.
    Fixed {
        /// Number of prompts.
        take: usize,
    },
}

/// How tokens become one query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Mean over valid tokens, the first excluded.
    #[default]
    Mean,
    /// Largest value of each element over the same tokens.
    Max,
}

/// How a query is compared with a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Similarity {
    /// Plain product, as published.
    #[default]
    Dot,
    /// Product of the normalised vectors.
    Cosine,
}

/// A head on the fused streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadKind {
    /// Masked language modelling.
    Mlm,
    /// Image-text matching.
    Itm,
    /// Image-text contrast.
    Itc,
    /// Ranking of texts for an image (`irtr_head`).
    Retrieval,
}

/// Named sizes, those of the reference benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// 64 px, width 128: minutes on a laptop.
    Tiny,
    /// 224 px, width 384.
    Small,
    /// 288 px, width 768: the published model, about 364 million weights with RoBERTa's vocabulary.
    Base,
}

impl PromptsConfig {
    /// Prompts that stand in for one missing half.
    pub fn count(&self) -> usize {
        match *self {
            Self::Pool { size, take, .. } => take.min(size),
            Self::Fixed { take } => take,
        }
    }

    /// Rows of the table.
    pub fn rows(&self) -> usize {
        match *self {
            Self::Pool { size, .. } => size,
            Self::Fixed { take } => take,
        }
    }
}

impl TextConfig {
    /// Position of the first token.
    pub fn first_position(&self) -> usize {
        match self.style {
            TextStyle::Roberta => self.padding as usize + 1,
            TextStyle::Bert => 0,
        }
    }

    /// Rows of the token type table.
    pub fn types(&self) -> usize {
        match self.style {
            TextStyle::Roberta => 1,
            TextStyle::Bert => 2,
        }
    }

    /// Tokens of the longest text that has positions.
    pub fn longest(&self) -> usize {
        self.positions.saturating_sub(self.first_position())
    }
}

impl ImageConfig {
    /// Patches along one side.
    pub fn grid(&self) -> usize {
        self.size / self.patch
    }

    /// Blocks that take part.
    pub fn used_layers(&self) -> usize {
        self.layers - self.drop_last
    }
}

/// What tells presets apart.
struct Sizes {
    image: usize,
    patch: usize,
    width: usize,
    image_layers: usize,
    text_layers: usize,
    fusion_layers: usize,
    heads: usize,
    positions: usize,
    pool: usize,
    image_prompts: usize,
    text_prompts: usize,
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = [Self::Tiny, Self::Small, Self::Base];
        all.into_iter().find(|preset| preset.name() == word).ok_or(format!("`{word}` is none of tiny, small, base"))
    }
}

impl Preset {
    /// The word in recipes and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Base => "base",
        }
    }

    #[rustfmt::skip]
    fn sizes(self) -> Sizes {
        match self {
            Self::Tiny => Sizes { image: 64, patch: 8, width: 128, image_layers: 5, text_layers: 4, fusion_layers: 2, heads: 4, positions: 130, pool: 256, image_prompts: 16, text_prompts: 8 },
            Self::Small => Sizes { image: 224, patch: 16, width: 384, image_layers: 7, text_layers: 6, fusion_layers: 3, heads: 6, positions: 514, pool: 2048, image_prompts: 49, text_prompts: 32 },
            Self::Base => Sizes { image: 288, patch: 16, width: 768, image_layers: 12, text_layers: 12, fusion_layers: 6, heads: 12, positions: 514, pool: 2048, image_prompts: 49, text_prompts: 32 },
        }
    }

    /// The sizes, for a vocabulary and its special tokens. Heads are those of pre-training.
    pub fn config(self, style: TextStyle, vocabulary: usize, [start, end, padding]: [u32; 3]) -> ModelConfig {
        let s = self.sizes();
        let eps = match style {
            TextStyle::Roberta => 1e-5,
            TextStyle::Bert => 1e-12,
        };
        let pool =
            |take| PromptsConfig::Pool { size: s.pool, take, pooling: Pooling::Mean, similarity: Similarity::Dot };
        ModelConfig {
            image: ImageConfig {
                size: s.image,
                patch: s.patch,
                width: s.width,
                layers: s.image_layers,
                drop_last: 1,
                eps: 1e-5,
            },
            text: TextConfig {
                style,
                vocabulary,
                width: s.width,
                layers: s.text_layers,
                heads: s.heads,
                positions: s.positions,
                eps,
                start,
                end,
                padding,
            },
            fusion: FusionConfig { width: s.width, layers: s.fusion_layers, heads: s.heads, eps },
            image_prompts: pool(s.image_prompts),
            text_prompts: pool(s.text_prompts),
            heads: vec![HeadKind::Mlm, HeadKind::Itm, HeadKind::Itc],
            contrast: ContrastConfig::default(),
            dropout: 0.1,
            deviation: published_deviation(),
        }
    }
}

impl ModelConfig {
    /// Checks that the sizes fit each other and that no table is absurdly large.
    ///
    /// # Errors
    /// [`ModelError::Config`] names the key, its value and what it must be.
    pub fn check(&self) -> Result<(), ModelError> {
        self.check_ranges()?;
        self.check_fits()
    }

    /// Each number by itself.
    fn check_ranges(&self) -> Result<(), ModelError> {
        let (image, text, fusion) = (&self.image, &self.text, &self.fusion);
        for (key, value, most) in [
            ("image.size", image.size, 4096),
            ("image.patch", image.patch, 512),
            ("image.width", image.width, 16_384),
            ("image.layers", image.layers, 256),
            ("text.vocabulary", text.vocabulary, 4_000_000),
            ("text.width", text.width, 16_384),
            ("text.layers", text.layers, 256),
            ("text.heads", text.heads, 1024),
            ("text.positions", text.positions, 1_000_000),
            ("fusion.width", fusion.width, 16_384),
            ("fusion.layers", fusion.layers, 256),
            ("fusion.heads", fusion.heads, 1024),
        ] {
            ensure((1..=most).contains(&value), key, format!("is {value}; it must lie between 1 and {most}"))?;
        }
        for (key, prompts) in [("image_prompts", &self.image_prompts), ("text_prompts", &self.text_prompts)] {
            let rows = prompts.rows();
            ensure(rows <= 4_000_000, key, format!("has {rows} rows; at most 4000000 are allowed"))?;
            let takes_none = matches!(prompts, PromptsConfig::Pool { size: 1.., take: 0, .. });
            ensure(!takes_none, key, "takes 0 prompts of a pool; set its size to 0 for no prompts".into())?;
        }
        for (key, value, least, below) in [
            ("dropout", self.dropout, 0.0, 1.0),
            ("deviation", self.deviation, 0.0, 10.0),
            ("contrast.temperature", self.contrast.temperature, 1e-4, 100.0),
            ("image.eps", image.eps, 1e-30, 1.0),
            ("text.eps", text.eps, 1e-30, 1.0),
            ("fusion.eps", fusion.eps, 1e-30, 1.0),
        ] {
            let rule = format!("is {value}; it must be at least {least} and below {below}");
            ensure((least..below).contains(&value), key, rule)?;
        }
        Ok(())
    }

    /// The numbers beside each other.
    fn check_fits(&self) -> Result<(), ModelError> {
        let (image, text, fusion) = (&self.image, &self.text, &self.fusion);
        let rule = format!("is {}; it must be a multiple of image.patch, {}", image.size, image.patch);
        ensure(image.size.is_multiple_of(image.patch), "image.size", rule)?;
        let rule = format!("is {}; it must be a multiple of 64 (one head each)", image.width);
        ensure(image.width.is_multiple_of(64), "image.width", rule)?;
        let rule = format!("is {}; it must be less than image.layers, {}", image.drop_last, image.layers);
        ensure(image.drop_last < image.layers, "image.drop_last", rule)?;
        for (part, width, heads) in [("text", text.width, text.heads), ("fusion", fusion.width, fusion.heads)] {
            let rule = format!("is {heads}; it must divide {part}.width, {width}");
            ensure(width.is_multiple_of(heads), &format!("{part}.heads"), rule)?;
        }
        let (positions, first) = (text.positions, text.first_position());
        let rule = format!("is {positions}; a text of two tokens must fit after position {first}");
        ensure(text.longest() >= 2, "text.positions", rule)?;
        for (key, id) in [("text.start", text.start), ("text.end", text.end), ("text.padding", text.padding)] {
            let rule = format!("is {id}; it must be below text.vocabulary, {}", text.vocabulary);
            ensure((id as usize) < text.vocabulary, key, rule)?;
        }
        Ok(())
    }
}

fn ensure(holds: bool, key: &str, rule: String) -> Result<(), ModelError> {
    if holds { Ok(()) } else { Err(ModelError::Config { key: key.into(), rule }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> ModelConfig {
        Preset::Tiny.config(TextStyle::Roberta, 4096, [0, 2, 1])
    }

    #[test]
    fn presets_are_sound() {
        for preset in [Preset::Tiny, Preset::Small, Preset::Base] {
            preset.config(TextStyle::Roberta, 50_265, [0, 2, 1]).check().unwrap();
            preset.config(TextStyle::Bert, 30_522, [101, 102, 0]).check().unwrap();
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        type Spoil = fn(&mut ModelConfig);
        let cases: [(&str, Spoil); 6] = [
            ("image.size", |c| c.image.size = 65),
            ("text.heads", |c| c.text.heads = 5),
            ("image.drop_last", |c| c.image.drop_last = 5),
            ("dropout", |c| c.dropout = 1.0),
            ("text.vocabulary", |c| c.text.vocabulary = 0),
            ("image_prompts", |c| c.image_prompts = PromptsConfig::Fixed { take: usize::MAX }),
        ];
        for (key, spoil) in cases {
            let mut config = tiny();
            spoil(&mut config);
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        let mut json = serde_json::to_value(tiny()).unwrap();
        assert_eq!(serde_json::from_value::<ModelConfig>(json.clone()).unwrap(), tiny());
        json["image"]["sizes"] = 3.into();
        assert!(serde_json::from_value::<ModelConfig>(json).is_err());
    }
}
