//! Heads on the output of the fusion (specification, section 1).

mod mim;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use ptu_kernels::{Pass, gelu};

pub use mim::MimHead;

use crate::config::{HeadKind, ModelConfig, TextConfig};
use crate::layer::{LayerNorm, Linear};

/// The heads in the configuration.
#[derive(Module, Debug)]
pub struct Heads {
    /// Masked language modelling (MLM).
    pub mlm: Option<MlmHead>,
    /// Image-text matching (ITM): `[2d, 2]`; index 1 means match.
    pub itm: Option<Linear>,
    /// Image-text contrast (ITC).
    pub itc: Option<ItcHead>,
    /// Masked image modelling (MIM).
    pub mim: Option<MimHead>,
    /// Image-text retrieval: one score, `[2d, 1]`.
    pub retrieval: Option<Linear>,
    /// Visual question answering: `[2d, answers]`.
    pub vqa: Option<TaskHead>,
    /// Classification: `[2d, classes]`.
    pub classification: Option<TaskHead>,
    /// Multi-label classification: `[2d, labels]`.
    pub multilabel: Option<TaskHead>,
}

/// Head of a fine-tuned task, from pooled features to one logit for each answer, class or label: linear layer, layer norm, GELU,
/// linear layer.
#[derive(Module, Debug)]
pub struct TaskHead {
    /// First linear layer, `[2d, 2d]`.
    pub inner: Linear,
    /// Layer norm.
    pub norm: LayerNorm,
    /// Second linear layer, `[2d, outputs]`.
    pub outer: Linear,
}

/// MLM head and output head of the decoder, from hidden states to logits over the vocabulary: linear layer, GELU, layer norm,
/// linear layer without bias, plus a bias vector.
#[derive(Module, Debug)]
pub struct MlmHead {
    /// First linear layer, `[d, d]`.
    pub dense: Linear,
    /// Layer norm.
    pub norm: LayerNorm,
    /// Linear layer to the vocabulary, `[d, v]`; not tied to the word embeddings.
    pub decoder: Linear,
}

/// ITC head: projects the pooled features of an image or a text to a vector that can be compared with vectors of the other
/// modality.
#[derive(Module, Debug)]
pub struct ItcHead {
    /// Layer norm of the features of images.
    pub image_norm: LayerNorm,
    /// Projection of images, `[2d, d]`.
    pub image: Linear,
    /// Layer norm of the features of texts.
    pub text_norm: LayerNorm,
    /// Projection of texts, `[2d, d]`.
    pub text: Linear,
    /// The learned logit scale: natural logarithm of 1 / temperature, one element; `None` if the temperature is fixed.
    pub log_scale: Option<Param<Tensor<1>>>,
    scale: f64,
}

/// Epsilon of the norms of the ITC head, of the task heads and of the decoder's projection.
pub(crate) const HEAD_EPS: f64 = 1e-5;

impl Heads {
    /// Creates the heads of a configuration.
    pub fn new(config: &ModelConfig, device: &Device) -> Self {
        let d = config.fusion.width;
        let has = |kind| config.heads.contains(&kind);
        // The configuration was checked: a task head in it has a number of outputs.
        let task =
            |kind| config.outputs.of(kind).filter(|_| has(kind)).map(|outputs| TaskHead::new(d, outputs, device));
        Self {
            mlm: has(HeadKind::Mlm).then(|| MlmHead::new(d, &config.text, device)),
            itm: has(HeadKind::Itm).then(|| Linear::new(2 * d, 2, device)),
            itc: has(HeadKind::Itc).then(|| ItcHead {
                image_norm: LayerNorm::new(2 * d, HEAD_EPS, device),
                image: Linear::without_bias(2 * d, d, device),
                text_norm: LayerNorm::new(2 * d, HEAD_EPS, device),
                text: Linear::without_bias(2 * d, d, device),
                log_scale: config.contrast.learned.then(|| {
                    let log_scale = -config.contrast.temperature.ln() as f32;
                    Param::from_tensor(Tensor::from_floats([log_scale], device))
                }),
                scale: config.contrast.temperature.recip(),
            }),
            mim: config.mim.as_ref().filter(|_| has(HeadKind::Mim)).map(|mim| MimHead::new(mim, config, device)),
            retrieval: has(HeadKind::Retrieval).then(|| Linear::new(2 * d, 1, device)),
            vqa: task(HeadKind::Vqa),
            classification: task(HeadKind::Classification),
            multilabel: task(HeadKind::MultiLabel),
        }
    }
}

impl TaskHead {
    /// A head for pooled features of a fusion of width `d`.
    fn new(d: usize, outputs: usize, device: &Device) -> Self {
        Self {
            inner: Linear::new(2 * d, 2 * d, device),
            norm: LayerNorm::new(2 * d, HEAD_EPS, device),
            outer: Linear::new(2 * d, outputs, device),
        }
    }

    /// Logits: pooled features `[b, 2d]` -> `[b, outputs]`.
    pub fn forward(&self, features: Tensor<2>, pass: &Pass) -> Tensor<2> {
        self.outer.forward(gelu(self.norm.forward(self.inner.forward(features, pass))), pass)
    }
}

impl MlmHead {
    /// A head for hidden states of width `d`.
    pub(crate) fn new(d: usize, text: &TextConfig, device: &Device) -> Self {
        Self {
            dense: Linear::new(d, d, device),
            norm: LayerNorm::new(d, text.eps, device),
            decoder: Linear::new(d, text.vocabulary, device),
        }
    }

    /// Logits over the vocabulary: `[m, d] -> [m, v]`.
    pub fn forward(&self, x: Tensor<2>, pass: &Pass) -> Tensor<2> {
        self.decoder.forward(self.norm.forward(gelu(self.dense.forward(x, pass))), pass)
    }
}

impl ItcHead {
    /// Projects the pooled features of images without text, `[b, 2d]`, to unit vectors `[b, d]`.
    pub fn image(&self, features: Tensor<2>) -> Tensor<2> {
        unit(self.image.forward(self.image_norm.forward(features), &Pass::off()))
    }

    /// Projects the pooled features of texts without image, `[b, 2d]`, to unit vectors `[b, d]`.
    pub fn text(&self, features: Tensor<2>) -> Tensor<2> {
        unit(self.text.forward(self.text_norm.forward(features), &Pass::off()))
    }
}

impl ItcHead {
    /// Similarity of every image to every text, divided by the temperature: `[b, d]` and `[c, d]` -> `[b, c]`.
    pub fn similarity(&self, images: Tensor<2>, texts: Tensor<2>) -> Tensor<2> {
        let products = images.matmul(texts.transpose());
        match &self.log_scale {
            Some(log_scale) => products * log_scale.val().exp().unsqueeze::<2>(),
            None => products.mul_scalar(self.scale),
        }
    }
}

/// Divides each row by its L2 norm.
fn unit(x: Tensor<2>) -> Tensor<2> {
    let length = x.clone().powf_scalar(2.0).sum_dim(1).sqrt().clamp_min(1e-12);
    x / length
}
