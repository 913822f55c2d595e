use std::path::PathBuf;

use ptu_bench::measure::Timing;
use ptu_bench::rank::{RankOptions, RankQuality, Way, quality, rank};
use ptu_data::Split;
use ptu_evaluate::{Direction, EvaluateOptions, Score};
use ptu_model::Preset;

use super::{General, report};
use crate::output::say;

/// Time text-to-image retrieval: by contrast, by matching every candidate, by matching a shortlist
///
/// With --run: also the retrieval scores of each way on the held-out pairs of a run.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier bench rank --preset tiny --candidates 100,1000,5000
  ptunifier bench rank --run quickstart/run")]
pub struct Arguments {
    /// Sizes of the model: tiny, small or base
    #[arg(long, default_value = "tiny")]
    preset: Preset,
    /// Numbers of candidates
    #[arg(long, value_delimiter = ',', default_value = "100,200,500,1000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    candidates: Vec<u32>,
    /// Size of the shortlist that is re-ranked by matching
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    shortlist: u32,
    /// Number of timed queries
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Rank the held-out pairs of this run
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    #[command(flatten)]
    general: General,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
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
