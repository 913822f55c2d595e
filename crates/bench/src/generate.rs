//! Times the generation of texts: how the cost grows with the length, and what a batch gains.

use burn::tensor::Device;
use ptu_input::{Batch, Slot};
use ptu_kernels::Pass;
use ptu_model::config::DecoderConfig;
use ptu_model::generate::{GenerationConfig, Strategy};
use ptu_model::{Model, ModelConfig, Preset};
use ptu_random::{Key, Place};
use ptu_train::recipe::Precision;
use serde::{Deserialize, Serialize};

use crate::BenchError;
use crate::measure::Timing;
use crate::step::{config, images};

/// The options of the benchmark.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// The model size.
    pub preset: Preset,
    /// Texts that are generated together.
    pub batch: usize,
    /// Number of tokens of each text; twice as many are also timed.
    pub tokens: usize,
    /// Number of timed rounds, in each of which every case is timed once.
    pub rounds: usize,
    /// The precision of the matrix products in linear layers and attention.
    pub precision: Precision,
    /// The random seed of weights and data.
    pub seed: u64,
    /// The device, without gradients.
    pub device: Device,
}

/// The results; each ratio is the median over rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GenerateResult {
    /// Seconds for one text.
    pub one: Timing,
    /// Seconds for one text of twice the length.
    pub twice: Timing,
    /// Seconds for a batch of texts.
    pub batch: Timing,
    /// Time of a text of twice the length, divided by that of one text.
    pub length_ratio: f64,
    /// Texts per second in a batch, divided by texts per second one at a time.
    pub batch_ratio: f64,
}

/// Times greedy generation for images without a text, from the image to the last token. The model never ends a text by itself.
///
/// # Errors
/// If sizes do not fit each other.
pub fn generate(options: &GenerateOptions) -> Result<GenerateResult, BenchError> {
    let GenerateOptions { preset, batch, tokens, rounds, .. } = *options;
    let mut config = ModelConfig { decoder: Some(DecoderConfig::default()), ..config(preset) };
    // The first two positions of RoBERTa are not used.
    config.text.positions = config.text.positions.max(2 * tokens + 2);
    let model = Model::new(&config, Key::new(options.seed), &options.device)?;
    let images = |count| Batch {
        images: images(&config, count, &mut Key::new(options.seed).stream(Place::Sample, 1)),
        order: (0..count).map(Slot::Image).collect(),
        ..Batch::default()
    };
    let precision = options.precision.compute_precision();
    let run = |images: &Batch, tokens: usize| -> Result<(), BenchError> {
        let memory = model.decoder_memory(images, 0, &Pass::off().with(precision))?;
        let config = GenerationConfig {
            strategy: Strategy::Greedy,
            max_length: tokens,
            min_length: tokens,
            no_repeat_ngram_size: 0,
        };
        let prompt = model.prompt((0..images.len() as u64).collect(), Key::new(options.seed));
        model.generate(&memory, &prompt, &config, precision)?;
        Ok(())
    };
    let (single, many) = (images(1), images(batch));
    run(&many, 2)?;
    let (mut one, mut twice, mut together) = (vec![], vec![], vec![]);
    for _ in 0..rounds {
        for (images, tokens, seconds) in
            [(&single, tokens, &mut one), (&single, 2 * tokens, &mut twice), (&many, tokens, &mut together)]
        {
            let start = std::time::Instant::now();
            run(images, tokens)?;
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    let [one, twice, together] = [one, twice, together].map(|seconds| Timing { seconds });
    let ratio = |timing: &Timing| timing.ratio_to(&one).unwrap_or(f64::NAN);
    let (length_ratio, batch_ratio) = (ratio(&twice), batch as f64 / ratio(&together));
    Ok(GenerateResult { one, twice, batch: together, length_ratio, batch_ratio })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_timed() {
        let options = GenerateOptions {
            preset: Preset::Tiny,
            batch: 2,
            tokens: 6,
            rounds: 2,
            precision: Precision::F32,
            seed: 0,
            device: Device::flex(),
        };
        let result = generate(&options).unwrap();
        assert!([&result.one, &result.twice, &result.batch].iter().all(|timing| timing.seconds.len() == 2));
        assert!(result.length_ratio > 0.0 && result.batch_ratio > 0.0);
    }
}
