//! Test fixtures: a small model, a batch of records for it, and one training step.

use burn::tensor::Device;
use ptu_data::{MaskedTexts, Partners, TrainBatch};
use ptu_input::{Batch, Image, Images, Text, Texts};
use ptu_model::config::{
    ContrastConfig, FusionConfig, FusionKind, HeadKind, ImageConfig, MimConfig, Outputs, Pooling, PromptsConfig,
    Similarity, TextConfig,
};
use ptu_model::{Model, ModelConfig, TextStyle};
use ptu_random::{Key, Place};
use ptu_tasks::pretraining::StepPlan;
use ptu_train::ObjectiveKind;
use ptu_train::gradients::Gradients;
use ptu_train::step::{Outcome, StepConfig};

pub const SIDE: usize = 16;
pub const WORDS: u32 = 40;

pub fn config() -> ModelConfig {
    let pool = |take| PromptsConfig::Pool { size: 12, take, pooling: Pooling::Mean, similarity: Similarity::Dot };
    ModelConfig {
        image: ImageConfig::clip(SIDE, 8, 64, 2),
        text: TextConfig {
            style: TextStyle::Roberta,
            vocabulary: WORDS as usize,
            width: 32,
            layers: 1,
            heads: 2,
            positions: 16,
            eps: 1e-5,
            start: 0,
            end: 2,
            padding: 1,
        },
        fusion: FusionConfig {
            kind: FusionKind::TwoStream,
            width: 32,
            layers: 2,
            heads: 2,
            eps: 1e-5,
            add_mean: false,
        },
        image_prompts: pool(4),
        text_prompts: pool(3),
        heads: vec![HeadKind::Mlm, HeadKind::Itm, HeadKind::Itc, HeadKind::Mim],
        outputs: Outputs::default(),
        mim: Some(MimConfig { ratio: 0.5, after: 2, width: 16, layers: 1, heads: 2 }),
        decoder: None,
        contrast: ContrastConfig::default(),
        dropout: 0.0,
        deviation: 0.02,
    }
}

/// The model with each kind of fusion: two streams, and one stream in whose place encoders have no layers.
pub fn with_each_fusion() -> [ModelConfig; 3] {
    [FusionKind::TwoStream, FusionKind::SingleStreamBert, FusionKind::SingleStreamVit].map(|kind| {
        let mut config = config();
        config.fusion.kind = kind;
        if kind.is_single_stream() {
            (config.image.layers, config.image.drop_last, config.text.layers) = (0, 0, 0);
        }
        config
    })
}

pub fn model(config: &ModelConfig) -> Model {
    Model::new(config, Key::new(7), &Device::flex().autodiff()).unwrap()
}

/// A model whose weights are ten times as large. With normal weights, the attention of such a small model would be nearly
/// uniform, and the gradients through it too small to distinguish from 0.
pub fn lively_model(config: &ModelConfig) -> Model {
    let device = Device::flex().autodiff();
    let mut arrays = model(config).to_arrays();
    for array in arrays.values_mut().filter(|array| array.shape.len() > 1) {
        array.values.iter_mut().for_each(|value| *value *= 10.0);
    }
    Model::from_arrays(config, arrays, &device, std::path::Path::new("lively")).unwrap().0
}

pub fn image(index: u64) -> Image {
    let mut stream = Key::new(1).stream(Place::Sample, index);
    Image::new(SIDE, (0..3 * SIDE * SIDE).map(|_| stream.normal() as f32).collect())
}

pub fn text(index: u64) -> Text {
    let mut stream = Key::new(2).stream(Place::Sample, index);
    let inner: Vec<u32> = (0..3 + stream.below(6)).map(|_| 4 + stream.below(WORDS as usize - 4) as u32).collect();
    let ids: Vec<u32> = [0].into_iter().chain(inner).chain([2]).collect();
    Text { words: vec![None; ids.len()], ids }
}

pub fn masked(texts: &Texts) -> MaskedTexts {
    // The second token of every text is masked.
    let mut masked = MaskedTexts { labels: vec![None; texts.ids.len()], texts: texts.clone() };
    for index in texts.starts().map(|start| start + 1) {
        (masked.labels[index], masked.texts.ids[index]) = (Some(texts.ids[index]), 3);
    }
    masked
}

/// A batch of four pairs and two texts without an image, without any random choices.
pub fn batch() -> TrainBatch {
    let texts = |range: std::ops::Range<u64>| {
        let texts: Vec<Text> = range.map(text).collect();
        Texts::collect(texts.iter().map(|text| text.ids.as_slice()))
    };
    let pairs = texts(0..4);
    TrainBatch {
        masked_pairs: masked(&pairs),
        masked_texts: masked(&texts(4..6)),
        batch: Batch {
            pair_images: Images::collect(&(0..4).map(image).collect::<Vec<_>>()),
            pair_texts: pairs,
            ..Batch::default()
        },
        image_hashes: (0..4).collect(),
        text_hashes: (0..4).collect(),
        partners: Some(Partners {
            image: vec![0, 2, 2, 1],
            matched: vec![true, false, true, false],
            without_partner: 0,
        }),
        ..TrainBatch::default()
    }
}

/// A batch of pairs. For image-text matching, the second of every two pairs has the image of the first.
pub fn pairs(range: std::ops::Range<u64>, image_hashes: &[u64]) -> TrainBatch {
    let texts: Vec<Text> = range.clone().map(text).collect();
    let texts = Texts::collect(texts.iter().map(|text| text.ids.as_slice()));
    let b = image_hashes.len();
    TrainBatch {
        masked_pairs: masked(&texts),
        batch: Batch {
            pair_images: Images::collect(&range.clone().map(image).collect::<Vec<_>>()),
            pair_texts: texts,
            ..Batch::default()
        },
        image_hashes: image_hashes.to_vec(),
        text_hashes: range.collect(),
        partners: Some(Partners {
            image: (0..b).map(|row| row / 2 * 2).collect(),
            matched: (0..b).map(|row| row % 2 == 0).collect(),
            without_partner: 0,
        }),
        ..TrainBatch::default()
    }
}

pub fn plan(objectives: &[ObjectiveKind]) -> StepPlan {
    StepPlan { objectives: objectives.iter().map(|kind| (*kind, 1.0)).collect(), ..StepPlan::default() }
}

pub fn step(model: &Model, batch: &TrainBatch, objectives: &[ObjectiveKind]) -> (Outcome, Gradients) {
    plan(objectives).gradients(model, batch, &StepConfig::default(), Key::new(3))
}

pub fn largest(gradients: &Gradients, path: &str) -> Option<f32> {
    gradients.get(path).map(|values| values.iter().fold(0.0f32, |largest, x| largest.max(x.abs())))
}
