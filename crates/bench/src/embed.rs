//! Times the fused features of images without text, texts without image, and pairs, without gradients.

use std::collections::BTreeMap;
use std::time::Instant;

use burn::tensor::Device;
use ptu_input::{Batch, Images, Slot, Texts};
use ptu_model::{Model, Preset};
use ptu_random::{Key, Place};
use ptu_train::recipe::Precision;
use serde::{Deserialize, Serialize};

use crate::BenchError;
use crate::measure::{Timing, peak_memory, reset_peak_memory};
use crate::step::{TOKENS, config, images};

/// The options of the benchmark.
#[derive(Clone, Debug)]
pub struct EmbedOptions {
    /// The model size.
    pub preset: Preset,
    /// Records per call.
    pub batch: usize,
    /// Number of timed calls for each kind of record.
    pub rounds: usize,
    /// The precision of the matrix products in linear layers and attention.
    pub precision: Precision,
    /// The random seed of weights and data.
    pub seed: u64,
    /// The device, without gradients.
    pub device: Device,
}

/// The results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EmbedResult {
    /// Records per call.
    pub batch: usize,
    /// Seconds per call, for `images`, `texts` and `pairs`.
    pub timings: BTreeMap<String, Timing>,
    /// Floating point operations in matrix products, per call.
    pub flops: BTreeMap<String, f64>,
    /// Peak memory while embedding, in MiB.
    pub peak_mib: Option<f64>,
    /// Seconds until the first call could start.
    pub ready_seconds: f64,
}

/// Times the embedding of each kind of record.
///
/// # Errors
/// If sizes do not fit each other.
pub fn embed(options: &EmbedOptions) -> Result<EmbedResult, BenchError> {
    let start = Instant::now();
    let (config, b) = (config(options.preset), options.batch);
    let model = Model::new(&config, Key::new(options.seed), &options.device)?;
    let stream = |index| Key::new(options.seed).stream(Place::Sample, index);
    let (length, mut words) = (TOKENS.min(config.text.longest()), stream(0));
    let ids = (0..b * length).map(|_| 4 + words.below(config.text.vocabulary - 5) as u32).collect();
    let (images, texts) = (images(&config, b, &mut stream(1)), Texts { ids, lengths: vec![length; b] });
    let order = |slot: fn(usize) -> Slot| (0..b).map(slot).collect();
    let (no_images, no_texts) = (Images::default, Texts::default);
    let batches = [
        ("images", Batch { images: images.clone(), order: order(Slot::Image), ..Batch::default() }),
        ("texts", Batch { texts: texts.clone(), order: order(Slot::Text), ..Batch::default() }),
        (
            "pairs",
            Batch {
                pair_images: images,
                pair_texts: texts,
                images: no_images(),
                texts: no_texts(),
                order: order(Slot::Pair),
            },
        ),
    ];
    let ready_seconds = start.elapsed().as_secs_f64();
    let precision = options.precision.compute_precision();
    reset_peak_memory();
    let (mut timings, mut flops) = (BTreeMap::new(), BTreeMap::new());
    for (name, batch) in batches {
        let before = ptu_kernels::operations();
        model.features(&batch, precision)?;
        flops.insert(name.to_string(), (ptu_kernels::operations() - before) as f64);
        let timing = Timing::of(0, options.rounds, || {
            // This cannot fail: the same batch was embedded above.
            let _ = model.features(&batch, precision).map(|features| features.into_data());
        });
        timings.insert(name.to_string(), timing);
    }
    Ok(EmbedResult { batch: b, timings, flops, peak_mib: peak_memory(), ready_seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_timed() {
        let options = EmbedOptions {
            preset: Preset::Tiny,
            batch: 1,
            rounds: 2,
            precision: Precision::F32,
            seed: 0,
            device: Device::flex(),
        };
        let result = embed(&options).unwrap();
        assert_eq!(result.timings.keys().collect::<Vec<_>>(), ["images", "pairs", "texts"]);
        assert!(result.timings.values().all(|timing| timing.seconds.len() == 2));
        // At least one pass of the patches and words through the encoders. Other tests of the same process are counted too.
        assert!(result.flops.values().all(|flops| *flops > 5e7), "{:?}", result.flops);
    }
}
