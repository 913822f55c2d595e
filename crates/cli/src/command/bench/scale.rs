use std::path::PathBuf;

use ptu_bench::measure::Timing;
use ptu_bench::scale::{Cost, ScaleOptions, scale};
use ptu_model::files::write_bytes;

use super::{General, report};
use crate::command::check_page;
use crate::output::say;

/// Time how cost grows: a step with its batch size, embedding with the number of images, a query with the number of candidates
///
/// Steps at `small`; embedding (phantom images from shards on disk) and ranking at `tiny`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier bench scale --page scale.html
  ptunifier bench scale --images 100,1000 --batches 1,2,4 --json")]
pub struct Arguments {
    /// Batch sizes of a step
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16,32,64", value_parser = clap::value_parser!(u16).range(1..=4096))]
    batches: Vec<u16>,
    /// Numbers of images
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000,100000", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    images: Vec<u32>,
    /// Numbers of candidates
    #[arg(long, value_delimiter = ',', default_value = "100,200,500,1000,2000,5000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    candidates: Vec<u32>,
    /// Write a page with the curves: one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    #[command(flatten)]
    general: General,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    arguments.general.compute.start()?;
    check_page(arguments.page.as_deref())?;
    let sizes = |sizes: &[u32]| sizes.iter().map(|&size| size as usize).collect();
    let options = ScaleOptions {
        batches: arguments.batches.iter().map(|&batch| batch.into()).collect(),
        images: sizes(&arguments.images),
        candidates: sizes(&arguments.candidates),
        seed: arguments.general.seed,
        device: arguments.general.compute.device.plain(),
    };
    let result = scale(&options, &mut |what| say(what))?;
    if let Some(file) = &arguments.page {
        let threads = rayon::current_num_threads().to_string();
        let facts = [("threads", threads.as_str()), ("version", env!("CARGO_PKG_VERSION"))];
        let page = result.page(facts.map(|(name, value)| (name.to_string(), value.to_string())).to_vec());
        write_bytes(file, ptu_report::render(&page).as_bytes())?;
    }
    let cost = |what: &str, Cost { size, seconds, peak_mib }: &Cost| {
        let (each, peak) = (1e3 * seconds / *size as f64, peak_mib.map_or("?".into(), |peak| format!("{peak:.0}")));
        format!("{what:12}{size:8}{seconds:10.3} s {each:9.3} ms each  peak {peak} MiB")
    };
    let seconds = |timing: &Timing| timing.median().unwrap_or(f64::NAN);
    let steps = result.steps.iter().map(|step| cost("step", step));
    let embeddings = result.embeddings.iter().map(|embedding| cost("embedding", embedding));
    let queries = result.queries.iter().map(|query| {
        let [contrast, shortlist, all] = [&query.contrast, &query.shortlist, &query.all].map(seconds);
        format!(
            "query       {:8}  contrast {contrast:.4} s, shortlist {shortlist:.4} s, all {all:.3} s",
            query.candidates
        )
    });
    let lines: Vec<String> = steps.chain(embeddings).chain(queries).collect();
    report(arguments.general.json, &result, &lines)
}
