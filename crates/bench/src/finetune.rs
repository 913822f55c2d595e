//! Times a fine-tuning step with an image encoder that is trained, that is frozen, and that is frozen with cached outputs.

use std::io;
use std::time::Instant;

use burn::tensor::Device;
use ptu_data::files::digest;
use ptu_data::image_cache::{CacheHeader, ImageCacheWriter};
use ptu_data::{DataError, ImageCache, InputForm, Label, Record, TrainBatch, TrainRecord};
use ptu_infer::task::{TaskDescription, TaskOutput};
use ptu_input::{Batch, Images, Slot};
use ptu_kernels::ComputePrecision;
use ptu_model::{Frozen, FrozenEncoders, Model, ModelConfig, Preset};
use ptu_random::{Key, Place};
use ptu_tasks::supervised::FineTuning;
use ptu_train::memory;
use ptu_train::optimizer::{Optimizer, OptimizerConfig};
use ptu_train::step::{StepConfig, gradients};
use ptu_train::task::Task;
use serde::{Deserialize, Serialize};

use crate::BenchError;
use crate::measure::Timing;
use crate::step::{TOKENS, images, random_texts};

/// Number of classes of the task.
const CLASSES: usize = 8;

/// The options of the benchmark.
#[derive(Clone, Debug)]
pub struct FinetuneOptions {
    /// The model size.
    pub preset: Preset,
    /// Pairs per step.
    pub batch: usize,
    /// Number of rounds. In each round, each variant does one timed step.
    pub rounds: usize,
    /// The random seed of weights and data.
    pub seed: u64,
    /// The device, with gradients.
    pub device: Device,
}

/// What becomes of the image encoder in fine-tuning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncoderUse {
    /// It is trained.
    Trained,
    /// It is not trained, and computed in each step.
    Frozen,
    /// It is not trained, and its outputs are read from a file.
    Cached,
}

impl EncoderUse {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Trained, Self::Frozen, Self::Cached];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trained => "image encoder trained",
            Self::Frozen => "frozen, computed",
            Self::Cached => "frozen, cached",
        }
    }
}

/// The times of one variant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VariantResult {
    /// The variant.
    pub encoder: EncoderUse,
    /// Seconds per step.
    pub timing: Timing,
    /// The median, over the rounds, of the time with a trained encoder divided by the time of this variant.
    pub speedup: Option<f64>,
    /// Floating point operations in matrix products, per step.
    pub flops: f64,
    /// The loss of the first step.
    pub loss: f64,
}

/// The state of one variant.
struct Variant {
    encoder: EncoderUse,
    /// `None` only while the optimizer updates it.
    model: Option<Model>,
    optimizer: Optimizer,
    /// Losses of the steps.
    losses: Vec<f64>,
    /// Floating point operations in the matrix products of all steps.
    flops: u64,
}

/// Times steps of single-label classification of image-text pairs with one random batch: texts of 48 tokens, dropout 0.1. The
/// variants take turns, so that the load of the machine changes the times of all. The step with cached outputs reads them from a
/// temporary file. No variant decodes images.
///
/// # Errors
/// If the memory is not sufficient, or the temporary file cannot be written.
pub fn finetune(options: &FinetuneOptions) -> Result<Vec<VariantResult>, BenchError> {
    let classes: Vec<String> = (0..CLASSES).map(|class| format!("class {class}")).collect();
    let output = TaskOutput::Classification { label: "finding".into(), classes: classes.clone() };
    let description = TaskDescription::new(InputForm::Pair, output);
    let task = FineTuning::described(description);
    let mut config = crate::step::config(options.preset);
    (config.heads, config.outputs) = (task.heads(), task.outputs());
    let step = StepConfig { dropout: 0.1, ..StepConfig::default() };
    check_memory(&task, &config, &step, options.batch)?;
    let plain = batch(&config, options, &classes);
    let model = Model::new(&config, Key::new(options.seed), &options.device)?;
    let folder = tempfile::tempdir().map_err(DataError::io("create", &std::env::temp_dir()))?;
    let cache = cache(&model, &plain.batch.pair_images, folder.path())?;
    let mut variants: Vec<Variant> = EncoderUse::ALL
        .into_iter()
        .map(|encoder| Variant {
            encoder,
            model: Some(match encoder {
                EncoderUse::Trained => model.clone(),
                EncoderUse::Frozen | EncoderUse::Cached => {
                    model.clone().with_frozen(FrozenEncoders { image: Frozen::All, text: Frozen::Nothing })
                }
            }),
            optimizer: Optimizer::new(OptimizerConfig::default()),
            losses: vec![],
            flops: 0,
        })
        .collect();
    drop(model);
    let mut timings = vec![Timing::default(); variants.len()];
    for round in 0..=options.rounds {
        for (variant, timing) in variants.iter_mut().zip(&mut timings) {
            let start = Instant::now();
            let key = Key::new(options.seed).at(round as u64);
            match variant.encoder {
                EncoderUse::Cached => variant.step(&task, &read(&cache, &plain)?, &step, key),
                EncoderUse::Trained | EncoderUse::Frozen => variant.step(&task, &plain, &step, key),
            }
            // The first round warms up.
            if round > 0 {
                timing.seconds.push(start.elapsed().as_secs_f64());
            }
        }
    }
    Ok(results(&variants, &timings))
}

fn results(variants: &[Variant], timings: &[Timing]) -> Vec<VariantResult> {
    let result = |(variant, timing): (&Variant, &Timing)| VariantResult {
        encoder: variant.encoder,
        timing: timing.clone(),
        speedup: timings[0].ratio_to(timing),
        flops: variant.flops as f64 / variant.losses.len() as f64,
        loss: variant.losses[0],
    };
    variants.iter().zip(timings).map(result).collect()
}

impl Variant {
    fn step(&mut self, task: &FineTuning, batch: &TrainBatch, step: &StepConfig, key: Key) {
        let before = ptu_kernels::operations();
        let model = self.model.take().expect("the previous step puts the model back");
        let (outcome, mut gradients) = gradients(&model, batch, &task.objectives(), step, key);
        if self.encoder != EncoderUse::Trained {
            gradients.retain(&|published| !published.starts_with("vision_encoder."));
        }
        self.model = Some(self.optimizer.step(model, &gradients, 1.0));
        self.losses.push(outcome.total);
        self.flops += ptu_kernels::operations() - before;
    }
}

/// Refuses what does not fit into memory: the variants exist side by side.
fn check_memory(task: &FineTuning, config: &ModelConfig, step: &StepConfig, b: usize) -> Result<(), BenchError> {
    let mut needed = 0;
    for encoder in EncoderUse::ALL {
        let frozen = if encoder == EncoderUse::Trained { Frozen::Nothing } else { Frozen::All };
        let step = StepConfig { frozen_image_encoder: frozen, ..*step };
        needed += memory::step_bytes(config, &task.objectives(), &step, b, TOKENS)?;
    }
    match memory::free().filter(|free| needed > *free) {
        Some(free) => {
            let [needed, free] = [needed, free].map(memory::gigabytes);
            Err(BenchError::Memory { batch: b, needed, free })
        }
        None => Ok(()),
    }
}

/// Pairs with random pixels, random texts and a class each.
fn batch(config: &ModelConfig, options: &FinetuneOptions, classes: &[String]) -> TrainBatch {
    let (b, stream) = (options.batch, |index| Key::new(options.seed).stream(Place::Sample, index));
    let record = |row: usize| TrainRecord {
        source: 0,
        record: Record { labels: vec![Label::new("finding", &classes[row % classes.len()])], ..Record::default() },
        image_hash: Some(row as u64),
        own_texts: vec![],
        target: None,
    };
    TrainBatch {
        batch: Batch {
            pair_images: images(config, b, &mut stream(1)),
            pair_texts: random_texts(config, b, &mut stream(0)),
            order: (0..b).map(Slot::Pair).collect(),
            ..Batch::default()
        },
        records: (0..b).map(record).collect(),
        ..TrainBatch::default()
    }
}

/// Writes the outputs of the encoder for these images into a file.
fn cache(model: &Model, images: &Images, folder: &std::path::Path) -> Result<ImageCache, BenchError> {
    let digests: Vec<u128> = (0..images.count).map(|row| digest(row.to_le_bytes())).collect();
    let sizes = model.image_output_sizes(None);
    let header = CacheHeader {
        encoder: String::new(),
        data: String::new(),
        side: images.side,
        blocks: None,
        tokens: sizes.tokens,
        width: sizes.width,
        query: sizes.query,
        images: images.count,
    };
    let path = folder.join("image-outputs.f16");
    let outputs = model.image_outputs(images, None, ComputePrecision::F32);
    let write = || -> io::Result<()> {
        let file = io::BufWriter::new(std::fs::File::create(&path)?);
        let mut writer = ImageCacheWriter::start(file, header.clone(), &digests)?;
        for row in 0..images.count {
            writer.add(&header.row(row as u64, &outputs, row)?)?;
        }
        writer.finish().map(|_| ())
    };
    write().map_err(DataError::io("write", &path))?;
    let unusable = |cause| DataError::io("read", &path)(io::Error::other(format!("{cause:?}")));
    Ok(ImageCache::open(&path, "").map_err(unusable)?)
}

/// The batch with cached outputs in place of pixels.
fn read(cache: &ImageCache, plain: &TrainBatch) -> Result<TrainBatch, DataError> {
    let images = (0..plain.batch.pair_images.count).map(|row| Ok(cache.get(&row.to_le_bytes())?.1));
    let images = images.collect::<Result<Vec<_>, DataError>>()?;
    let batch = Batch {
        pair_images: Images::collect(&images),
        pair_texts: plain.batch.pair_texts.clone(),
        order: plain.batch.order.clone(),
        ..Batch::default()
    };
    Ok(TrainBatch { batch, records: plain.records.clone(), ..TrainBatch::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variants_compute_the_same_loss() {
        let device = Device::flex().autodiff();
        let options = FinetuneOptions { preset: Preset::Tiny, batch: 3, rounds: 2, seed: 0, device };
        let results = finetune(&options).unwrap();
        assert!(results.iter().all(|one| one.timing.seconds.len() == 2 && one.speedup.is_some()));
        let [trained, frozen, cached] = [0, 1, 2].map(|index| results[index].loss);
        assert!(trained > 0.0 && (trained - frozen).abs() < 1e-5, "{trained} {frozen}");
        // Outputs of the encoder are rounded to f16, with a relative error of at most 2^-11.
        assert!((trained - cached).abs() < 2e-3 * trained, "{trained} {cached}");
        assert!((results[0].speedup.unwrap() - 1.0).abs() < 1e-12);
        // Operations of other tests of the same process are counted too, so that the variants cannot be compared here.
        assert!(
            results.iter().all(|one| one.flops > 1e8),
            "{:?}",
            results.iter().map(|one| one.flops).collect::<Vec<_>>()
        );
    }
}
