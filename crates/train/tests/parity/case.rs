//! One case folder: configuration and tensors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ptu_input::{Images, Texts};
use ptu_model::config::{
    ContrastConfig, FusionConfig, HeadKind, ImageConfig, ModelConfig, Pooling, PromptsConfig, Similarity, TextConfig,
    TextStyle,
};
use ptu_model::weights::{Arrays, read_arrays};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// What a case is about.
pub enum Kind {
    Pretrain,
    Retrieve,
    Resize,
    NotBuilt,
}

/// Floats and whole numbers by name.
#[derive(Default)]
pub struct Tensors {
    pub floats: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    pub integers: BTreeMap<String, (Vec<usize>, Vec<i64>)>,
}

pub struct Case {
    pub folder: PathBuf,
    pub config: Value,
    pub inputs: Tensors,
    pub expected: Tensors,
}

impl Case {
    pub fn open(folder: &Path) -> Result<Self, String> {
        let config = std::fs::read(folder.join("config.json")).map_err(|error| format!("config.json: {error}"))?;
        Ok(Self {
            folder: folder.into(),
            config: serde_json::from_slice(&config).map_err(|error| format!("config.json: {error}"))?,
            inputs: Tensors::read(&folder.join("inputs.safetensors"))?,
            expected: Tensors::read(&folder.join("expected.safetensors"))?,
        })
    }

    pub fn kind(&self) -> Result<Kind, String> {
        match self.text("case") {
            Some("pretrain") => Ok(Kind::Pretrain),
            Some("irtr") => Ok(Kind::Retrieve),
            Some("resize") => Ok(Kind::Resize),
            Some("vqa" | "cls" | "mlc" | "clm") => Ok(Kind::NotBuilt),
            other => Err(format!("unknown case {other:?}")),
        }
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.config[key].as_str()
    }

    pub fn number(&self, key: &str) -> usize {
        self.config[key].as_u64().unwrap_or_else(|| panic!("config.json has no number `{key}`")) as usize
    }

    pub fn float(&self, path: &[&str], default: f64) -> f64 {
        path.iter().fold(&self.config, |value, key| &value[*key]).as_f64().unwrap_or(default)
    }

    pub fn checkpoint(&self) -> Result<Arrays, String> {
        read_arrays(&self.folder.join("checkpoint.safetensors")).map_err(|error| error.to_string())
    }

    pub fn model_config(&self, heads: &[HeadKind]) -> ModelConfig {
        let special = |key: &str, default: u32| self.config[key].as_u64().map_or(default, |id| id as u32);
        let eps = |part: &str| self.float(&["layer_norm_eps", part], 1e-5);
        let prompts = |kind: &str, size: &str, take: &str| match self.text(kind) {
            Some("fixed") => PromptsConfig::Fixed { take: self.number(take) },
            _ => PromptsConfig::Pool {
                size: self.number(size),
                take: self.number(take),
                pooling: if self.text("pooling") == Some("max") { Pooling::Max } else { Pooling::Mean },
                similarity: if self.text("similarity") == Some("cosine") {
                    Similarity::Cosine
                } else {
                    Similarity::Dot
                },
            },
        };
        let bert = self.text("text_style") == Some("bert");
        ModelConfig {
            image: ImageConfig {
                size: self.number("image_size"),
                patch: self.number("patch_size"),
                width: self.number("vision_width"),
                layers: self.number("vision_layers"),
                drop_last: 1,
                eps: eps("vision"),
            },
            text: TextConfig {
                style: if bert { TextStyle::Bert } else { TextStyle::Roberta },
                vocabulary: self.number("vocab_size"),
                width: self.number("text_width"),
                layers: self.number("text_layers"),
                heads: self.number("text_heads"),
                positions: self.number("text_positions"),
                eps: eps("text"),
                start: special("start", 0),
                end: special("end", 2),
                padding: special("padding", 1),
            },
            fusion: FusionConfig {
                width: self.number("hidden_size"),
                layers: self.number("fusion_layers"),
                heads: self.number("fusion_heads"),
                eps: eps("fusion"),
            },
            image_prompts: prompts("visual_prompts_kind", "visual_pool", "visual_prompts"),
            text_prompts: prompts("textual_prompts_kind", "textual_pool", "textual_prompts"),
            heads: heads.to_vec(),
            contrast: ContrastConfig { temperature: self.float(&["itc_temperature"], 0.1), learned: false },
            dropout: 0.0,
            deviation: 0.02,
        }
    }

    pub fn images(&self, name: &str) -> Option<Images> {
        let (shape, planes) = self.inputs.floats.get(name)?;
        Some(Images { count: shape[0], side: shape[2], planes: planes.clone() })
    }

    pub fn texts(&self, ids: &str, mask: &str) -> Option<Texts> {
        let ((shape, ids), (_, valid)) = (self.inputs.integers.get(ids)?, self.inputs.integers.get(mask)?);
        let lengths: Vec<usize> =
            valid.chunks_exact(shape[1]).map(|row| row.iter().filter(|valid| **valid == 1).count()).collect();
        let ids: Vec<u32> = ids.iter().map(|id| *id as u32).collect();
        Some(Texts { ids: unpadded(&ids, shape[1], &lengths), lengths })
    }
}

/// Values of real tokens only: `values` holds rows of `length` tokens of equal width, of which the first few are real.
pub fn unpadded<T: Clone>(values: &[T], length: usize, lengths: &[usize]) -> Vec<T> {
    let width = values.len() / (length * lengths.len());
    let rows = values.chunks_exact(length * width).zip(lengths);
    rows.flat_map(|(row, real)| row[..real * width].to_vec()).collect()
}

impl Tensors {
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut all = Self::default();
        for (name, view) in file.tensors() {
            let (shape, data) = (view.shape().to_vec(), view.data());
            match view.dtype() {
                Dtype::F32 => {
                    let values = data.chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect();
                    all.floats.insert(name, (shape, values));
                }
                Dtype::F64 => {
                    let values =
                        data.chunks_exact(8).map(|x| f64::from_le_bytes(x.try_into().unwrap()) as f32).collect();
                    all.floats.insert(name, (shape, values));
                }
                Dtype::I64 => {
                    let values = data.chunks_exact(8).map(|x| i64::from_le_bytes(x.try_into().unwrap())).collect();
                    all.integers.insert(name, (shape, values));
                }
                Dtype::I32 => {
                    let values =
                        data.chunks_exact(4).map(|x| i64::from(i32::from_le_bytes(x.try_into().unwrap()))).collect();
                    all.integers.insert(name, (shape, values));
                }
                Dtype::BOOL | Dtype::U8 => {
                    all.integers.insert(name, (shape, data.iter().map(|x| i64::from(*x)).collect()));
                }
                other => return Err(format!("{}: `{name}` holds {other:?}", path.display())),
            }
        }
        Ok(all)
    }
}
