use std::path::PathBuf;

use ptu_bench::measure::{Timing, peak_products};
use ptu_bench::step::{StepOptions, case_losses, step};
use ptu_train::ObjectiveKind;
use ptu_train::recipe::Checkpointing;

use super::{Common, shown};
use crate::output::print;

/// Time a pre-training step: losses, gradients and update on one random batch
///
/// Images of the preset's size, texts of 48 tokens, dropout 0.1. With --against, both sides first compute one step from the
/// same weights and data without dropout; if their losses differ, no ratio is printed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier bench step --preset tiny --batch 32
  ptunifier bench step --preset base --against ~/torch/bin/python --json")]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Objectives (a comparison always has all three)
    #[arg(long, value_delimiter = ',', default_value = "mlm,itm,itc")]
    objectives: Vec<ObjectiveKind>,
    /// Gradient checkpointing: none, or blocks (only the inputs of each block are kept for the backward pass)
    #[arg(long, default_value = "none")]
    checkpointing: Checkpointing,
    /// Print the losses of a case folder (used by the comparison)
    #[arg(long, hide = true)]
    case: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let common = &arguments.common;
    common.general.compute.start()?;
    let device = common.general.compute.device.training();
    if let Some(case) = &arguments.case {
        return print(&serde_json::to_string(&case_losses(case, &device)?)?);
    }
    if let Some(python) = &common.against {
        let peak = peak_products(&common.general.compute.device.plain());
        let result = common.against(python, arguments.checkpointing, |mut against| Ok(against.steps(peak)?))?;
        let side = |(name, side): (&&str, &ptu_bench::against::Side)| {
            format!(
                "{name:18}{:9.3} s [{:.3}, {:.3}]  {:7.0} MiB",
                side.seconds, side.range[0], side.range[1], side.peak_mib
            )
        };
        let mut lines: Vec<String> = result.sides.iter().map(side).collect();
        lines.push(format!(
            "time: {:.2} of published, {:.2} of tuned, {:.2} of the best; memory: {:.2} of published",
            result.ratio_to_published, result.ratio_to_tuned, result.ratio_best, result.peak_memory_ratio
        ));
        lines.push(format!(
            "{:.0} GFLOP/s, {:.0} % of this machine's products",
            result.gflops,
            100.0 * result.peak_share
        ));
        return common.report(&result, &lines);
    }
    let options = StepOptions {
        preset: common.preset,
        batch: common.batch.into(),
        objectives: arguments.objectives.clone(),
        dropout: 0.1,
        checkpointing: arguments.checkpointing,
        precision: common.precision,
        rounds: common.rounds.into(),
        seed: common.general.seed,
        device,
    };
    let result = step(&options)?;
    let rate = |timing: &Timing| result.flops / timing.median().unwrap_or(f64::NAN) / 1e9;
    let memory = result.peak_mib.map_or("unknown".into(), |peak| format!("{peak:.0} MiB"));
    let line = format!("{}  {:.0} GFLOP/s  peak {memory}", shown(&result.timing, options.batch), rate(&result.timing));
    common.report(&result, &[line])
}
