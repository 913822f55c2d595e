use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use ptu_bench::against::Against;
use ptu_bench::data::{DataOptions, load, prepare};
use ptu_bench::embed::{EmbedOptions, embed};
use ptu_bench::measure::{Timing, peak_products};
use ptu_bench::rank::{RankOptions, RankQuality, Way, quality, rank};
use ptu_bench::step::{StepOptions, case_losses, step};
use ptu_bench::{Python, measure};
use ptu_data::Split;
use ptu_model::Preset;
use ptu_train::ObjectiveKind;
use ptu_train::evaluate::{Direction, EvaluateOptions, Score};
use ptu_train::recipe::Checkpointing;
use serde::Serialize;

use super::Compute;
use crate::progress::{print, say};

/// Measure how fast this machine is, alone or beside PyTorch
#[derive(clap::Subcommand)]
pub enum Benchmark {
    Step(StepArguments),
    Embed(EmbedArguments),
    Rank(RankArguments),
    Load(LoadArguments),
    Prepare(PrepareArguments),
}

#[derive(clap::Args)]
struct Common {
    /// Sizes of the model: tiny, small or base
    #[arg(long, default_value = "base")]
    preset: Preset,
    /// Records a step or call
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// Timed steps or calls; beside PyTorch: rounds in which each side starts, warms, times and ends
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Compare with PyTorch: a Python interpreter that has torch 2.11
    #[arg(long, value_name = "PYTHON")]
    against: Option<PathBuf>,
    #[command(flatten)]
    general: General,
}

/// What every benchmark of a model takes.
#[derive(clap::Args)]
struct General {
    /// One JSON object as the last line on stdout
    #[arg(long)]
    json: bool,
    /// Draws weights and data
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    compute: Compute,
}

/// Time a pre-training step: losses, gradients and update of one random batch
///
/// Images of the preset's size, texts of 48 tokens, dropout 0.1. With --against both sides first compute one step from the
/// same weights and data without dropout; where their losses differ, no ratio is printed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier bench step --preset tiny --batch 32
  ptunifier bench step --preset base --against ~/torch/bin/python --json")]
pub struct StepArguments {
    #[command(flatten)]
    common: Common,
    /// Which losses (alone only; beside PyTorch all three)
    #[arg(long, value_delimiter = ',', default_value = "mlm,itm,itc")]
    objectives: Vec<ObjectiveKind>,
    /// What is kept for the backward pass: none (all that it needs) or blocks (what goes into each block)
    #[arg(long, default_value = "none")]
    checkpointing: Checkpointing,
    /// Losses of a case folder instead: how both sides are compared
    #[arg(long, hide = true)]
    case: Option<PathBuf>,
}

/// Time the fused features of images, of texts and of pairs, without gradient
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier bench embed --preset base --batch 1
  ptunifier bench embed --preset base --batch 8 --against ~/torch/bin/python --json")]
pub struct EmbedArguments {
    #[command(flatten)]
    common: Common,
}

/// Time how one text finds its image: by contrast, by the fusion of every pair, by the fusion of a shortlist
///
/// With --run, how well each way ranks the held-out pairs of a run, beside its time.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier bench rank --preset tiny --candidates 100,1000,5000
  ptunifier bench rank --run quickstart/run")]
pub struct RankArguments {
    /// Sizes of the model: tiny, small or base
    #[arg(long, default_value = "tiny")]
    preset: Preset,
    /// Numbers of candidates
    #[arg(long, value_delimiter = ',', default_value = "100,200,500,1000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    candidates: Vec<u32>,
    /// Candidates that the fusion sees after the contrast chose them
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    shortlist: u32,
    /// Timed queries
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Rank the held-out pairs of this run instead
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    #[command(flatten)]
    general: General,
}

#[derive(clap::Args)]
struct DataArguments {
    /// Phantom pairs
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pairs: u64,
    /// Height and width of their pictures as stored, in pixels
    #[arg(long, default_value_t = 512)]
    side: usize,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    /// Draws the corpus
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads that prepare (default: one a core)
    #[arg(long)]
    threads: Option<usize>,
}

/// Time the batches that one thread makes for training: decoding, cropping, resizing, tokens, masks
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier bench load --preset base --batch 4
  ptunifier bench load --preset tiny --batch 32 --side 64")]
pub struct LoadArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Whose image size: tiny, small or base
    #[arg(long, default_value = "base")]
    preset: Preset,
    /// Records a batch
    #[arg(long, default_value = "4")]
    batch: NonZeroUsize,
    /// Timed batches
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

/// Time how fast pictures and reports become shards
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier bench prepare --pairs 1000 --side 512")]
pub struct PrepareArguments {
    #[command(flatten)]
    data: DataArguments,
}

pub fn run(benchmark: &Benchmark) -> anyhow::Result<()> {
    match benchmark {
        Benchmark::Step(arguments) => run_step(arguments),
        Benchmark::Embed(arguments) => run_embed(arguments),
        Benchmark::Rank(arguments) => run_rank(arguments),
        Benchmark::Load(arguments) => run_load(arguments),
        Benchmark::Prepare(arguments) => run_prepare(arguments),
    }
}

impl Common {
    /// Threads that both sides are given.
    fn threads(&self) -> usize {
        self.general
            .compute
            .threads
            .map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
    }

    fn report(&self, result: &impl Serialize, lines: &[String]) -> anyhow::Result<()> {
        report(self.general.json, result, lines)
    }

    /// Runs `compare` beside PyTorch.
    fn against<T>(
        &self,
        python: &std::path::Path,
        checkpointing: Checkpointing,
        compare: impl FnOnce(Against<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let python = Python::new(python)?;
        let program = std::env::current_exe().context("cannot tell which program this is")?;
        compare(Against {
            python: &python,
            ours: &|arguments| {
                let mut command = Command::new(&program);
                command.arg("bench").args(arguments);
                command
            },
            preset: self.preset,
            batch: self.batch.into(),
            threads: self.threads(),
            checkpointing,
            rounds: self.rounds.into(),
            told: &mut |what| say(what),
        })
    }
}

/// Prints one object, as JSON or for people.
fn report(json: bool, result: &impl Serialize, lines: &[String]) -> anyhow::Result<()> {
    match json {
        true => print(&serde_json::to_string(result)?),
        false => lines.iter().try_for_each(|line| print(line)),
    }
}

fn run_step(arguments: &StepArguments) -> anyhow::Result<()> {
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

fn run_embed(arguments: &EmbedArguments) -> anyhow::Result<()> {
    let common = &arguments.common;
    common.general.compute.start()?;
    if let Some(python) = &common.against {
        let result = common.against(python, Checkpointing::None, |mut against| Ok(against.embeddings()?))?;
        let lines: Vec<String> = result
            .iter()
            .map(|(kind, compared)| {
                let seconds = compared.sides["ours"].seconds;
                let (eager, tuned) = (compared.ratio_to_eager, compared.ratio_to_tuned);
                format!("{kind:8}{seconds:9.3} s  {eager:.2} of eager, {tuned:.2} of tuned")
            })
            .collect();
        return common.report(&result, &lines);
    }
    let options = EmbedOptions {
        preset: common.preset,
        batch: common.batch.into(),
        rounds: common.rounds.into(),
        seed: common.general.seed,
        device: common.general.compute.device.plain(),
    };
    let result = embed(&options)?;
    let lines: Vec<String> =
        result.timings.iter().map(|(kind, timing)| format!("{kind:8}{}", shown(timing, options.batch))).collect();
    common.report(&result, &lines)
}

fn run_rank(arguments: &RankArguments) -> anyhow::Result<()> {
    arguments.general.compute.start()?;
    let (device, keep) = (arguments.general.compute.device.plain(), arguments.shortlist as usize);
    if let Some(run) = &arguments.run {
        let options = EvaluateOptions::of(run, vec![], Split::Test, device)?;
        let result = quality(&options, keep, &mut |what| say(what))?;
        return report(arguments.general.json, &result, &result.iter().flat_map(quality_lines).collect::<Vec<_>>());
    }
    let options = RankOptions {
        preset: arguments.preset,
        candidates: arguments.candidates.iter().map(|&count| count as usize).collect(),
        shortlist: keep,
        rounds: arguments.rounds.into(),
        seed: arguments.general.seed,
        device,
    };
    let result = rank(&options, &mut |what| say(what))?;
    let seconds = |timing: &Timing| timing.median().unwrap_or(f64::NAN);
    let lines = result.iter().map(|one| {
        let (contrast, shortlist, all) = (seconds(&one.contrast), seconds(&one.shortlist), seconds(&one.all));
        format!(
            "{:7} candidates: contrast {contrast:.4} s, shortlist {shortlist:.4} s, all {all:.3} s (shortlist {:.3} of all)",
            one.candidates,
            shortlist / all
        )
    });
    report(arguments.general.json, &result, &lines.collect::<Vec<_>>())
}

fn quality_lines(quality: &RankQuality) -> Vec<String> {
    let line = |name: &str, way: &Way| {
        let show = |score: Score| score.value.map_or("-".into(), |value| format!("{value:.3}"));
        let direction = |of: &Direction| [of.r1, of.r5, of.r10].map(show).join(" ");
        let (image, text) = (&way.retrieval.image_to_text, &way.retrieval.text_to_image);
        let share = way.seconds / quality.all.seconds;
        format!("  {name:10}{}   {}   {:8.2} s  {share:.3} of all", direction(image), direction(text), way.seconds)
    };
    vec![
        format!("{}: R@1 R@5 R@10 image-to-text, text-to-image", quality.gallery),
        line("contrast", &quality.contrast),
        line("shortlist", &quality.shortlist),
        line("all", &quality.all),
    ]
}

impl DataArguments {
    fn options(&self) -> DataOptions {
        DataOptions { pairs: self.pairs, side: self.side, seed: self.seed, threads: self.threads }
    }
}

fn run_load(arguments: &LoadArguments) -> anyhow::Result<()> {
    let (data, batch) = (&arguments.data, arguments.batch);
    let result = load(&data.options(), arguments.preset, batch, arguments.rounds.into())?;
    report(data.json, &result, &[shown(&result.timing, batch.get())])
}

fn run_prepare(arguments: &PrepareArguments) -> anyhow::Result<()> {
    let result = prepare(&arguments.data.options())?;
    let line = |name: &str, rate: f64| format!("{name:24}{rate:9.0} pairs/s");
    let lines = [
        line("phantom", result.phantom_pairs_per_second),
        line("table", result.table_pairs_per_second),
        line("table at half the side", result.resized_table_pairs_per_second),
    ];
    report(arguments.data.json, &result, &lines)
}

/// `0.512 s [0.490, 0.601]  7.8 records/s`.
fn shown(timing: &measure::Timing, batch: usize) -> String {
    match (timing.median(), timing.range()) {
        (Some(median), Some([least, most])) => {
            format!("{median:.3} s [{least:.3}, {most:.3}]  {:.1} records/s", batch as f64 / median)
        }
        _ => "nothing was timed".into(),
    }
}
