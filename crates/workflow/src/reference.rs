//! Test cases of the PyTorch reference (`tools/reference/`). A case is a folder with `config.json`, `checkpoint.safetensors`,
//! `inputs.safetensors` and, for parity tests, `expected.safetensors`. Parity tests and benchmarks read them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ptu_data::{KeptPatches, MaskedTexts, Partners, TrainBatch};
use ptu_input::{Batch, Images, Slot, Texts};
use ptu_model::Model;
use ptu_model::config::{
    ContrastConfig, DecoderConfig, FusionConfig, FusionKind, HeadKind, ImageConfig, MemoryMask, ModelConfig, Outputs,
    Pooling, PromptsConfig, Similarity, TextConfig, TextStyle,
};
use ptu_model::weights::{Arrays, read_arrays};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::WorkflowError;

/// Heads of a pre-training case with the objectives of the paper.
pub const PRETRAINING_HEADS: [HeadKind; 3] = [HeadKind::Mlm, HeadKind::Itm, HeadKind::Itc];

/// The kind of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Features, losses, gradients, training.
    Pretrain,
    /// Scores of an image with its text and with negative texts.
    Retrieve,
    /// Position embeddings resized to another resolution.
    Resize,
    /// Logits and loss of a task head.
    Task(HeadKind),
    /// Memory, logits, loss and greedy tokens of the decoder.
    Generate,
}

/// Float and integer tensors by name, each with its shape and its values in row-major order.
#[derive(Clone, Debug, Default)]
pub struct Tensors {
    /// Tensors of all floating point types, as f32.
    pub floats: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// Tensors of all other types, as i64.
    pub integers: BTreeMap<String, (Vec<usize>, Vec<i64>)>,
}

/// One case folder.
#[derive(Clone, Debug)]
pub struct Case {
    /// The folder.
    pub folder: PathBuf,
    /// `config.json`.
    pub config: Value,
    /// Inputs.
    pub inputs: Tensors,
    /// The results of the reference; empty if the folder has none.
    pub expected: Tensors,
}

impl Case {
    /// Reads a folder, without the weights.
    ///
    /// # Errors
    /// [`WorkflowError::Case`] if a file is missing or cannot be parsed.
    pub fn open(folder: &Path) -> Result<Self, WorkflowError> {
        let (config, expected) = (folder.join("config.json"), folder.join("expected.safetensors"));
        let wrong = |cause: String| WorkflowError::Case { path: config.clone(), cause };
        let bytes = std::fs::read(&config).map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            folder: folder.into(),
            config: serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?,
            inputs: Tensors::read(&folder.join("inputs.safetensors"))?,
            expected: if expected.exists() { Tensors::read(&expected)? } else { Tensors::default() },
        })
    }

    fn error(&self, cause: impl Into<String>) -> WorkflowError {
        WorkflowError::Case { path: self.folder.clone(), cause: cause.into() }
    }

    /// The kind of the case.
    ///
    /// # Errors
    /// If the kind is unknown.
    pub fn kind(&self) -> Result<Kind, WorkflowError> {
        match self.text("case") {
            Some("pretrain") => Ok(Kind::Pretrain),
            Some("irtr") => Ok(Kind::Retrieve),
            Some("resize") => Ok(Kind::Resize),
            Some("vqa") => Ok(Kind::Task(HeadKind::Vqa)),
            Some("cls") => Ok(Kind::Task(HeadKind::Classification)),
            Some("mlc") => Ok(Kind::Task(HeadKind::MultiLabel)),
            Some("clm") => Ok(Kind::Generate),
            other => Err(self.error(format!("unknown case {other:?}"))),
        }
    }

    /// A string of the configuration.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.config[key].as_str()
    }

    /// A size of the configuration; 0, which no model accepts, if it is missing.
    pub fn number(&self, key: &str) -> usize {
        self.config[key].as_u64().unwrap_or(0) as usize
    }

    /// A number of the configuration; `path` holds the keys of the nested objects.
    pub fn float(&self, path: &[&str], default: f64) -> f64 {
        path.iter().fold(&self.config, |value, key| &value[*key]).as_f64().unwrap_or(default)
    }

    /// The weights of the case, under their published names.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn checkpoint(&self) -> Result<Arrays, WorkflowError> {
        Ok(read_arrays(&self.folder.join("checkpoint.safetensors"))?)
    }

    /// The model with the weights of the case.
    ///
    /// # Errors
    /// If the weights do not fit the configuration.
    pub fn model(&self, heads: &[HeadKind], device: &Device) -> Result<Model, WorkflowError> {
        let file = self.folder.join("checkpoint.safetensors");
        Ok(Model::from_arrays(&self.model_config(heads), self.checkpoint()?, device, &file)?.0)
    }

    /// The inputs of a pre-training case, as the batch of a training step.
    ///
    /// # Errors
    /// If inputs are missing.
    pub fn batch(&self) -> Result<TrainBatch, WorkflowError> {
        let need = |name: &str| self.error(format!("there is no `{name}`"));
        let texts = self.texts("text_ids_mlm", "text_mask").ok_or_else(|| need("text_ids_mlm"))?;
        let (shape, labels) = self.inputs.integers.get("text_labels_mlm").ok_or_else(|| need("text_labels_mlm"))?;
        let labels = unpadded(labels, shape[1], &texts.lengths);
        let labels = labels.into_iter().map(|id| (id != -100).then_some(id as u32)).collect();
        let masked = MaskedTexts { texts, labels };
        if self.text("records") == Some("texts") {
            return Ok(TrainBatch { masked_texts: masked, ..TrainBatch::default() });
        }
        let mut images = self.images("image").ok_or_else(|| need("image"))?;
        let texts = self.texts("text_ids", "text_mask").ok_or_else(|| need("text_ids"))?;
        let b = images.count;
        let mut partners = Partners { image: (0..b).collect(), matched: vec![true; b], without_partner: 0 };
        let negative_rows: Vec<usize> = self.negative_rows(b).ok_or_else(|| need("itm_labels"))?;
        if let Some(negatives) = self.images("false_image") {
            images.planes.extend(&negatives.planes);
            images.count += negatives.count;
            for row in negative_rows {
                (partners.image[row], partners.matched[row]) = (b + row, false);
            }
        } else {
            let (_, index) = self.inputs.integers.get("false_index").ok_or_else(|| need("false_index"))?;
            for row in negative_rows {
                (partners.image[row], partners.matched[row]) = (index[row] as usize, false);
            }
        }
        let hashes: Vec<u64> = (0..b as u64).collect();
        // Images of other texts take no part in masked image modelling; their patches are not used.
        let kept = self.inputs.integers.get("kept_patches").map(|(shape, values)| {
            let rows =
                values.chunks_exact(shape[1]).map(|row| row.iter().map(|patch| *patch as usize).collect::<Vec<_>>());
            rows.cycle().take(images.count).collect()
        });
        Ok(TrainBatch {
            batch: Batch { pair_images: images, pair_texts: texts, ..Batch::default() },
            masked_pairs: masked,
            image_hashes: hashes.clone(),
            text_hashes: hashes,
            partners: Some(partners),
            kept_patches: kept.map(|pairs| KeptPatches { pairs, images: vec![] }),
            ..TrainBatch::default()
        })
    }

    /// The rows that get a negative image in ITM.
    fn negative_rows(&self, b: usize) -> Option<Vec<usize>> {
        let rows_where = |is_negative: &dyn Fn(usize) -> bool| (0..b).filter(|row| is_negative(*row)).collect();
        match (self.expected.floats.get("itm_labels"), self.inputs.integers.get("itm_labels")) {
            (Some((_, labels)), _) => Some(rows_where(&|row| labels[row] == 0.0)),
            (None, Some((_, labels))) => Some(rows_where(&|row| labels[row] == 0)),
            (None, None) => None,
        }
    }

    /// The kind of the fusion of the case.
    fn fusion_kind(&self) -> FusionKind {
        serde_json::from_value(self.config["fusion_kind"].clone()).unwrap_or_default()
    }

    /// The configuration of the case as a [`ModelConfig`].
    pub fn model_config(&self, heads: &[HeadKind]) -> ModelConfig {
        let special = |key: &str, default: u32| self.config[key].as_u64().map_or(default, |id| id as u32);
        let eps = |part: &str| self.float(&["layer_norm_eps", part], 1e-5);
        let bert = self.text("text_style") == Some("bert");
        ModelConfig {
            image: ImageConfig {
                eps: eps("vision"),
                drop_last: self.number("vision_layers").min(1),
                ..ImageConfig::clip(
                    self.number("image_size"),
                    self.number("patch_size"),
                    self.number("vision_width"),
                    self.number("vision_layers"),
                )
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
                kind: self.fusion_kind(),
                width: self.number("hidden_size"),
                layers: self.number("fusion_layers"),
                heads: self.number("fusion_heads"),
                eps: eps("fusion"),
                add_mean: false,
            },
            image_prompts: self.prompts("visual_prompts_kind", "visual_pool", "visual_prompts"),
            text_prompts: self.prompts("textual_prompts_kind", "textual_pool", "textual_prompts"),
            heads: heads.to_vec(),
            outputs: self.outputs(heads),
            mim: serde_json::from_value(self.config["mim"].clone()).ok(),
            decoder: (self.text("case") == Some("clm")).then_some(DecoderConfig { memory_mask: MemoryMask::Published }),
            contrast: ContrastConfig { temperature: self.float(&["itc_temperature"], 0.1), learned: false },
            dropout: 0.0,
            deviation: 0.02,
        }
    }

    /// The prompts whose kind, size and number these keys give.
    fn prompts(&self, kind: &str, size: &str, take: &str) -> PromptsConfig {
        let pooling = if self.text("pooling") == Some("max") { Pooling::Max } else { Pooling::Mean };
        match self.text(kind) {
            Some("fixed") => PromptsConfig::Fixed { take: self.number(take) },
            Some("soft") => PromptsConfig::Soft {
                size: self.number(size),
                take: self.number(take),
                pooling,
                temperature: self.float(&["soft_temperature"], 0.1),
                first_temperature: self.float(&["soft_first_temperature"], 1.0),
            },
            Some("keyed") => PromptsConfig::Keyed {
                size: self.number(size),
                take: self.number(take),
                pooling,
                pull: self.float(&["keyed", "pull"], 1.0),
                balance: self.float(&["keyed", "balance"], 0.01),
            },
            Some("token") => PromptsConfig::Token,
            Some("codebook") => {
                PromptsConfig::Codebook(serde_json::from_value(self.config["codebook"].clone()).unwrap_or_default())
            }
            _ => PromptsConfig::Pool {
                size: self.number(size),
                take: self.number(take),
                pooling,
                similarity: if self.text("similarity") == Some("cosine") {
                    Similarity::Cosine
                } else {
                    Similarity::Dot
                },
            },
        }
    }

    /// Number of outputs of the task heads among these heads.
    fn outputs(&self, heads: &[HeadKind]) -> Outputs {
        let of = |head, key| heads.contains(&head).then(|| self.number(key));
        Outputs {
            vqa: of(HeadKind::Vqa, "answers"),
            classification: of(HeadKind::Classification, "labels"),
            multilabel: of(HeadKind::MultiLabel, "labels"),
        }
    }

    /// The records of a task case as a batch: pairs, images without text, or texts without image.
    ///
    /// # Errors
    /// If inputs are missing, or the case names other modalities.
    pub fn task_batch(&self) -> Result<Batch, WorkflowError> {
        let need = |name: &str| self.error(format!("there is no `{name}`"));
        let images = || self.images("image").ok_or_else(|| need("image"));
        let texts = || self.texts("text_ids", "text_mask").ok_or_else(|| need("text_ids"));
        let mut batch = Batch::default();
        match self.text("inputs") {
            Some("pair") => {
                (batch.pair_images, batch.pair_texts) = (images()?, texts()?);
                batch.order = (0..batch.pair_images.count).map(Slot::Pair).collect();
            }
            Some("image_only") => {
                batch.images = images()?;
                batch.order = (0..batch.images.count).map(Slot::Image).collect();
            }
            Some("text_only") => {
                batch.texts = texts()?;
                batch.order = (0..batch.texts.count()).map(Slot::Text).collect();
            }
            other => return Err(self.error(format!("unknown inputs {other:?}"))),
        }
        Ok(batch)
    }

    /// The images with a name.
    pub fn images(&self, name: &str) -> Option<Images> {
        let (shape, planes) = self.inputs.floats.get(name)?;
        Some(Images { count: shape[0], side: shape[2], planes: planes.clone(), outputs: None })
    }

    /// Texts, by the name of their ids and the name of their attention mask.
    pub fn texts(&self, ids: &str, mask: &str) -> Option<Texts> {
        let ((shape, ids), (_, valid)) = (self.inputs.integers.get(ids)?, self.inputs.integers.get(mask)?);
        let lengths: Vec<usize> =
            valid.chunks_exact(shape[1]).map(|row| row.iter().filter(|valid| **valid == 1).count()).collect();
        let ids: Vec<u32> = ids.iter().map(|id| *id as u32).collect();
        Some(Texts { ids: unpadded(&ids, shape[1], &lengths), lengths })
    }
}

/// Removes padding: `values` holds rows of `length` tokens of equal width, and the first `lengths[row]` tokens of a row are
/// not padding.
pub fn unpadded<T: Clone>(values: &[T], length: usize, lengths: &[usize]) -> Vec<T> {
    let width = values.len() / (length * lengths.len());
    let rows = values.chunks_exact(length * width).zip(lengths);
    rows.flat_map(|(row, tokens)| row[..tokens * width].to_vec()).collect()
}

impl Tensors {
    /// Reads a safetensors file.
    ///
    /// # Errors
    /// If the file is missing or damaged, or holds other types.
    pub fn read(path: &Path) -> Result<Self, WorkflowError> {
        let wrong = |cause: String| WorkflowError::Case { path: path.into(), cause };
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
        let mut all = Self::default();
        for (name, view) in file.tensors() {
            let (shape, data) = (view.shape().to_vec(), view.data());
            match view.dtype() {
                Dtype::F32 => drop(all.floats.insert(name, (shape, decoded(data, f32::from_le_bytes)))),
                Dtype::F64 => {
                    drop(all.floats.insert(name, (shape, decoded(data, |word| f64::from_le_bytes(word) as f32))));
                }
                Dtype::I64 => drop(all.integers.insert(name, (shape, decoded(data, i64::from_le_bytes)))),
                Dtype::I32 => {
                    drop(all.integers.insert(name, (shape, decoded(data, |word| i32::from_le_bytes(word).into()))));
                }
                Dtype::BOOL | Dtype::U8 => {
                    drop(all.integers.insert(name, (shape, data.iter().map(|x| i64::from(*x)).collect())));
                }
                other => return Err(wrong(format!("`{name}` has the unsupported type {other:?}"))),
            }
        }
        Ok(all)
    }
}

/// Decodes values of `N` bytes each.
fn decoded<const N: usize, T>(data: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|word| value(*word)).collect()
}
