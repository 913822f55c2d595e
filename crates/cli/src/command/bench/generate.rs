use ptu_bench::generate::{GenerateOptions, generate};

use super::{Common, shown};

/// Time the generation of texts: one text, one of twice the length, and a batch
///
/// Texts are generated greedily for images, with the cache of keys and values. In each round every case is timed once; ratios are
/// medians over rounds.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier bench generate --preset tiny --batch 8 --tokens 128")]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Number of tokens of a text
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(2..=4096))]
    tokens: u16,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { common, tokens } = arguments;
    anyhow::ensure!(common.against.is_none(), "`--against` compares steps and embeddings; remove it");
    common.general.compute.start()?;
    let options = GenerateOptions {
        preset: common.preset,
        batch: common.batch.into(),
        tokens: (*tokens).into(),
        rounds: common.rounds.into(),
        precision: common.precision,
        seed: common.general.seed,
        device: common.general.compute.device.plain(),
    };
    let result = generate(&options)?;
    let lines = [
        format!("{tokens} tokens, one text      {}", shown(&result.one, 1)),
        format!("{} tokens, one text      {}  {:.2} times", 2 * tokens, shown(&result.twice, 1), result.length_ratio),
        format!(
            "{tokens} tokens, {} together     {}  {:.2} times the throughput",
            common.batch,
            shown(&result.batch, options.batch),
            result.batch_ratio
        ),
    ];
    common.report(&result, &lines)
}
