//! Sizes and options of a model (specification, sections 1 and 2). They determine completely what the network computes.

mod fusion;
mod image;
pub mod limits;
mod mim;
mod prompts;
mod task;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use fusion::{FusionConfig, FusionKind};
pub use image::{ImageActivation, ImageConfig};
pub use mim::MimConfig;
pub use prompts::{CodebookConfig, Pooling, PromptsConfig, Similarity};
pub use task::{DecoderConfig, MemoryMask, Outputs};

use crate::ModelError;

/// A complete description of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Image encoder.
    pub image: ImageConfig,
    /// Text encoder.
    pub text: TextConfig,
    /// Fusion of images and texts.
    pub fusion: FusionConfig,
    /// Soft prompts in place of a missing image.
    pub image_prompts: PromptsConfig,
    /// Soft prompts in place of a missing text.
    pub text_prompts: PromptsConfig,
    /// Heads on the output of the fusion.
    pub heads: Vec<HeadKind>,
    /// Number of outputs of each task head among them.
    #[serde(default, skip_serializing_if = "Outputs::is_empty")]
    pub outputs: Outputs,
    /// Masked image modelling; `None` if the model has no head for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mim: Option<MimConfig>,
    /// Decoder for reports and summaries; `None` if the model generates no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<DecoderConfig>,
    /// Temperature for comparing image and text vectors.
    pub contrast: ContrastConfig,
    /// Dropout probability in training, in the text encoder and the fusion.
    pub dropout: f64,
    /// Standard deviation of newly initialised weights. The published value, 0.02, is meant for a width of 768.
    #[serde(default = "published_deviation")]
    pub deviation: f64,
}

fn published_deviation() -> f64 {
    0.02
}

/// The text encoder, RoBERTa or BERT (specification, section 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// RoBERTa or BERT.
    pub style: TextStyle,
    /// Number of entries of the vocabulary.
    pub vocabulary: usize,
    /// Width.
    pub width: usize,
    /// Number of layers.
    pub layers: usize,
    /// Number of attention heads.
    pub heads: usize,
    /// Number of position embeddings (RoBERTa does not use the first two).
    pub positions: usize,
    /// Epsilon of the layer norms, including the one in the MLM head.
    pub eps: f64,
    /// Id of the token at the start of every text.
    pub start: u32,
    /// Id of the token at the end of every text.
    pub end: u32,
    /// Id of the padding token.
    pub padding: u32,
}

/// How positions are numbered, and how many token types there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextStyle {
    /// Positions start at 2; one token type.
    Roberta,
    /// Positions start at 0; two token types.
    Bert,
}

/// Temperature of image-text contrast (specification, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContrastConfig {
    /// Similarities are divided by the temperature. If it is learned, this is its initial value.
    pub temperature: f64,
    /// Whether the temperature is learned (published: no).
    pub learned: bool,
}

impl Default for ContrastConfig {
    fn default() -> Self {
        Self { temperature: 0.1, learned: false }
    }
}

/// A head on the output of the fusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadKind {
    /// Masked language modelling.
    Mlm,
    /// Image-text matching.
    Itm,
    /// Image-text contrast.
    Itc,
    /// Masked image modelling.
    Mim,
    /// Image-text retrieval: ranks the texts for an image (`irtr_head`).
    Retrieval,
    /// Visual question answering: one logit for each answer (`vqa_head`).
    Vqa,
    /// Classification: one logit for each class (`cls_head`).
    Classification,
    /// Multi-label classification: one logit for each label (`mlc_head`).
    MultiLabel,
}

/// Named model sizes; the reference benchmark uses the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// 64 pixels, width 128: trains in minutes on a laptop.
    Tiny,
    /// 224 pixels, width 384.
    Small,
    /// 288 pixels, width 768: the published model, with about 364 million weights for RoBERTa's vocabulary.
    Base,
}

impl TextConfig {
    /// Position of the first token.
    pub fn first_position(&self) -> usize {
        match self.style {
            TextStyle::Roberta => self.padding as usize + 1,
            TextStyle::Bert => 0,
        }
    }

    /// Number of token types.
    pub fn types(&self) -> usize {
        match self.style {
            TextStyle::Roberta => 1,
            TextStyle::Bert => 2,
        }
    }

    /// The largest number of tokens that a text may have.
    pub fn longest(&self) -> usize {
        self.positions.saturating_sub(self.first_position())
    }
}

/// The sizes in which the presets differ.
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
        let error = format!("`{word}` is not a preset; the presets are tiny, small and base");
        all.into_iter().find(|preset| preset.name() == word).ok_or(error)
    }
}

impl Preset {
    /// Its name in recipes and commands.
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

    /// The configuration with these sizes, for a vocabulary of this size and its special tokens. The heads are those of
    /// pre-training.
    pub fn config(self, style: TextStyle, vocabulary: usize, [start, end, padding]: [u32; 3]) -> ModelConfig {
        let s = self.sizes();
        let eps = match style {
            TextStyle::Roberta => 1e-5,
            TextStyle::Bert => 1e-12,
        };
        let pool =
            |take| PromptsConfig::Pool { size: s.pool, take, pooling: Pooling::Mean, similarity: Similarity::Dot };
        ModelConfig {
            image: ImageConfig::clip(s.image, s.patch, s.width, s.image_layers),
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
            fusion: FusionConfig {
                kind: FusionKind::TwoStream,
                width: s.width,
                layers: s.fusion_layers,
                heads: s.heads,
                eps,
                add_mean: false,
            },
            image_prompts: pool(s.image_prompts),
            text_prompts: pool(s.text_prompts),
            heads: vec![HeadKind::Mlm, HeadKind::Itm, HeadKind::Itc],
            outputs: Outputs::default(),
            mim: None,
            decoder: None,
            contrast: ContrastConfig::default(),
            dropout: 0.1,
            deviation: published_deviation(),
        }
    }
}

impl ModelConfig {
    /// Checks that the sizes are consistent and that no table is unreasonably large.
    ///
    /// # Errors
    /// [`ModelError::Config`] with the key, its value and the rule for it.
    pub fn check(&self) -> Result<(), ModelError> {
        self.check_ranges()?;
        self.check_fits()?;
        self.check_mim()?;
        self.check_outputs()
    }

    /// Checks the range of each number.
    fn check_ranges(&self) -> Result<(), ModelError> {
        let (image, text, fusion) = (&self.image, &self.text, &self.fusion);
        for (key, value, most) in [
            ("image.size", image.size, limits::SIZE),
            ("image.patch", image.patch, limits::PATCH),
            ("image.width", image.width, limits::WIDTH),
            ("image.mlp_width", image.mlp_width(), limits::MLP_WIDTH),
            ("text.vocabulary", text.vocabulary, limits::ROWS),
            ("text.width", text.width, limits::WIDTH),
            ("text.heads", text.heads, limits::HEADS),
            ("text.positions", text.positions, limits::POSITIONS),
            ("fusion.width", fusion.width, limits::WIDTH),
            ("fusion.layers", fusion.layers, limits::LAYERS),
            ("fusion.heads", fusion.heads, limits::HEADS),
        ] {
            limits::check(key, value, most)?;
        }
        for (key, layers) in [("image.layers", image.layers), ("text.layers", text.layers)] {
            let rule = format!("is {layers}; it must be at most {}", limits::LAYERS);
            ensure(layers <= limits::LAYERS, key, rule)?;
        }
        self.image_prompts.check("image_prompts")?;
        self.text_prompts.check("text_prompts")?;
        let registers = image.registers;
        ensure(registers <= 1024, "image.registers", format!("is {registers}; it must be at most 1024"))?;
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

    /// Number of tokens of the fusion in the place of a missing image: the first token and the prompts.
    pub fn image_stand_in_tokens(&self) -> usize {
        usize::from(self.image_prompts.is_encoded()) + self.image_prompts.count()
    }

    /// Number of tokens in the place of a missing text: start, prompts and end; the start alone if there are no prompts.
    pub fn text_stand_in_tokens(&self) -> usize {
        match self.text_prompts.count() {
            0 => 1,
            count if self.text_prompts.is_encoded() => 2 + count,
            count => count,
        }
    }

    /// Checks that the numbers are consistent with each other.
    fn check_fits(&self) -> Result<(), ModelError> {
        let (image, text, fusion) = (&self.image, &self.text, &self.fusion);
        let rule = format!("is {}; it must be a multiple of image.patch, {}", image.size, image.patch);
        ensure(image.size.is_multiple_of(image.patch), "image.size", rule)?;
        let (merge, grid) = (image.merge, image.grid());
        let rule = format!("is {merge}; it must lie between 1 and the number of patches along a side, {grid}");
        ensure((1..=grid).contains(&merge), "image.merge", rule)?;
        let rule = format!("is {}; it must be less than image.layers, {}", image.drop_last, image.layers);
        ensure(image.drop_last < image.layers || image.layers + image.drop_last == 0, "image.drop_last", rule)?;
        let rule =
            format!("is {}; registers take part in the layers of the image encoder, which has none", image.registers);
        ensure(image.registers == 0 || image.layers > 0, "image.registers", rule)?;
        if image.heads.is_none() {
            let rule = format!("is {}; without image.heads it must be a multiple of 64", image.width);
            ensure(image.width.is_multiple_of(64), "image.width", rule)?;
        }
        let parts = [
            ("image", image.width, image.heads()),
            ("text", text.width, text.heads),
            ("fusion", fusion.width, fusion.heads),
        ];
        for (part, width, heads) in parts {
            let rule = format!("is {heads}; it must divide {part}.width, {width}");
            ensure(heads > 0 && width.is_multiple_of(heads), &format!("{part}.heads"), rule)?;
        }
        let (positions, first) = (text.positions, text.first_position());
        let rule = format!("is {positions}; a text of two tokens that starts at position {first} must fit");
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
    fn presets_are_valid() {
        for preset in [Preset::Tiny, Preset::Small, Preset::Base] {
            preset.config(TextStyle::Roberta, 50_265, [0, 2, 1]).check().unwrap();
            preset.config(TextStyle::Bert, 30_522, [101, 102, 0]).check().unwrap();
        }
    }

    #[test]
    fn errors_name_the_key() {
        type Change = fn(&mut ModelConfig);
        let cases: [(&str, Change); 6] = [
            ("image.size", |c| c.image.size = 65),
            ("text.heads", |c| c.text.heads = 5),
            ("image.drop_last", |c| c.image.drop_last = 5),
            ("dropout", |c| c.dropout = 1.0),
            ("text.vocabulary", |c| c.text.vocabulary = 0),
            ("image_prompts", |c| c.image_prompts = PromptsConfig::Fixed { take: usize::MAX }),
        ];
        for (key, change) in cases {
            let mut config = tiny();
            change(&mut config);
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
