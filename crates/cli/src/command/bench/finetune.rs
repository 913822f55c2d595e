use ptu_bench::finetune::{FinetuneOptions, VariantResult, finetune};
use ptu_model::Preset;

use super::{General, report, shown};

/// Time a fine-tuning step: the image encoder trained, frozen, and frozen with cached outputs
///
/// Single-label classification of image-text pairs on one random batch: images of the preset's size, texts of 48 tokens, dropout
/// 0.1. The three kinds of steps take turns; their ratios are medians over the rounds. Decoding of images is not timed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier bench finetune --preset small --batch 16 --rounds 9")]
pub struct Arguments {
    /// Model size: tiny, small or base
    #[arg(long, default_value = "small")]
    preset: Preset,
    /// Records per step
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// Number of rounds, in each of which each kind of step is timed once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    #[command(flatten)]
    general: General,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let general = &arguments.general;
    general.compute.start()?;
    let options = FinetuneOptions {
        preset: arguments.preset,
        batch: arguments.batch.into(),
        rounds: arguments.rounds.into(),
        seed: general.seed,
        device: general.compute.device.training(),
    };
    let results = finetune(&options)?;
    let line = |one: &VariantResult| {
        let speedup = one.speedup.map_or(String::new(), |speedup| format!("  {speedup:.2} times as fast"));
        let gigaflops = one.flops / 1e9;
        format!("{:22} {}  {gigaflops:.1} GFLOP{speedup}", one.encoder.name(), shown(&one.timing, options.batch))
    };
    report(general.json, &results, &results.iter().map(line).collect::<Vec<_>>())
}
