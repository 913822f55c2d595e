use ptu_bench::explain::{ExplainOptions, explain};
use ptu_train::recipe::Precision;

use super::{Common, shown};

/// Time explanations: by attention and by integrated gradients, beside a forward pass
///
/// A logit of pairs of an image and a text is explained. In each round every case is timed once; ratios are medians over rounds.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier bench explain --preset small --batch 1")]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Points of integrated gradients
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    steps: u16,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { common, steps } = arguments;
    anyhow::ensure!(common.against.is_none(), "`--against` compares steps and embeddings; remove it");
    anyhow::ensure!(common.precision == Precision::F32, "explanations are computed in f32; remove `--precision`");
    common.general.compute.start()?;
    let options = ExplainOptions {
        preset: common.preset,
        batch: common.batch.into(),
        steps: (*steps).into(),
        rounds: common.rounds.into(),
        seed: common.general.seed,
    };
    let result = explain(&options)?;
    let memory = result.peak_mib.map_or(String::new(), |mib| format!("  peak {mib:.0} MiB"));
    let lines = [
        format!("forward pass          {}", shown(&result.forward, options.batch)),
        format!(
            "attention             {}  {:.1} forward passes",
            shown(&result.attention, options.batch),
            result.attention_ratio
        ),
        format!(
            "integrated gradients  {}  {:.1} forward passes{memory}",
            shown(&result.gradients, options.batch),
            result.gradients_ratio
        ),
    ];
    common.report(&result, &lines)
}
