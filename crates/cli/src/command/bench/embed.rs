use std::path::{Path, PathBuf};

use ptu_bench::cold::{ColdOptions, cold, embed_one};
use ptu_bench::embed::{EmbedOptions, embed};
use ptu_train::recipe::Checkpointing;

use super::{Common, shown, this_program};
use crate::output::print;

/// Time the fused features of images, texts and pairs (inference)
///
/// With --against: at batch size 1 and, for each side, at its best batch size of --batches. With --cold: the time of a new process that
/// loads a bundle from disk and embeds one image.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier bench embed --preset base --batch 1
  ptunifier bench embed --preset base --against ~/torch/bin/python --json
  ptunifier bench embed --preset base --cold")]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Batch sizes that both sides try in a comparison, besides 1
    #[arg(long, value_delimiter = ',', default_value = "4,16", value_parser = clap::value_parser!(u16).range(1..=4096))]
    batches: Vec<u16>,
    /// Time new processes instead
    #[arg(long, conflicts_with = "against")]
    cold: bool,
    /// The work of such a process: load a bundle, embed an image
    #[arg(long, hide = true, num_args = 2, value_names = ["BUNDLE", "IMAGE"])]
    one: Vec<PathBuf>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let common = &arguments.common;
    common.general.compute.start()?;
    let device = common.general.compute.device.plain();
    if let [bundle, image] = arguments.one.as_slice() {
        return print(&serde_json::to_string(&embed_one(bundle, image, &device)?.values)?);
    }
    if arguments.cold {
        return run_cold(common);
    }
    if let Some(python) = &common.against {
        let batches: Vec<usize> = arguments.batches.iter().map(|&batch| batch.into()).collect();
        let result = common.against(python, Checkpointing::None, |mut against| Ok(against.embeddings(&batches)?))?;
        let line = |kind: &str, at: &ptu_bench::against::Batches| {
            let (ours, batch) = (&at.sides["ours"], at.batch["ours"]);
            format!(
                "{kind:8}batch {batch:3} {:9.1} records/s  {:.2} of eager, {:.2} of tuned",
                ours.pairs_per_second, at.ratio_to_eager, at.ratio_to_tuned
            )
        };
        let lines: Vec<String> = result
            .iter()
            .flat_map(|(kind, compared)| [line(kind, &compared.one), line(kind, &compared.best)])
            .collect();
        return common.report(&result, &lines);
    }
    let options = EmbedOptions {
        preset: common.preset,
        batch: common.batch.into(),
        rounds: common.rounds.into(),
        precision: common.precision,
        seed: common.general.seed,
        device,
    };
    let result = embed(&options)?;
    let lines: Vec<String> =
        result.timings.iter().map(|(kind, timing)| format!("{kind:8}{}", shown(timing, options.batch))).collect();
    common.report(&result, &lines)
}

fn run_cold(common: &Common) -> anyhow::Result<()> {
    let options = ColdOptions { preset: common.preset, rounds: common.rounds.into(), seed: common.general.seed };
    let (program, threads) = (this_program()?, common.threads().to_string());
    let result = cold(&options, &|paths: &[&Path]| {
        let mut command = program();
        command.args(["embed", "--threads", &threads, "--one"]).args(paths);
        command
    })?;
    let line = format!("{} ({} MB of weights)", shown(&result.timing, 1), result.weights_bytes / 1_000_000);
    common.report(&result, &[line])
}
