//! How the cost grows: of a training step with its batch size, of embedding with the number of images, of a query with the
//! number of candidates.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use ptu_data::{Examples, Preparation, ShardFolder, Source, Split, TextChoice};
use ptu_infer::Embedder;
use ptu_input::{Image, Input, Preprocess, Tokenizer};
use ptu_model::{Model, Preset};
use ptu_random::Key;
use ptu_report::{Chart, Fact, Page, Series};
use ptu_train::ObjectiveKind;
use ptu_train::recipe::{Checkpointing, Precision};
use rayon::prelude::*;
use serde::Serialize;

use crate::BenchError;
use crate::data::{DataOptions, phantom, temporary};
use crate::measure::{peak_memory, reset_peak_memory};
use crate::rank::{RankOptions, RankResult, rank};
use crate::step::{StepOptions, TOKENS, config, step};

/// The number of images that are embedded at once.
const CHUNK: usize = 64;

/// The options of the benchmark.
#[derive(Clone, Debug)]
pub struct ScaleOptions {
    /// Batch sizes of a training step of the `small` model.
    pub batches: Vec<usize>,
    /// Numbers of phantom images that are read, decoded and embedded by the `tiny` model.
    pub images: Vec<usize>,
    /// Numbers of candidates of a query, for the `tiny` model.
    pub candidates: Vec<usize>,
    /// The random seed of weights and data.
    pub seed: u64,
    /// The device, without gradients.
    pub device: Device,
}

/// Selects one of the times of a query.
type QueryTime = fn(&RankResult) -> Option<f64>;

/// The cost at one size.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// Number of records.
    pub size: usize,
    /// QueryTime for all of them.
    pub seconds: f64,
    /// Peak memory during the work, in MiB.
    pub peak_mib: Option<f64>,
}

/// The results.
#[derive(Clone, Debug, Serialize)]
pub struct ScaleResult {
    /// Training steps, for each batch size.
    pub steps: Vec<Cost>,
    /// Embedding, for each number of images.
    pub embeddings: Vec<Cost>,
    /// Queries, for each number of candidates.
    pub queries: Vec<RankResult>,
}

/// Runs all three benchmarks; `report` gets progress messages.
///
/// # Errors
/// If the disk is full or sizes are out of range.
pub fn scale(options: &ScaleOptions, report: &mut dyn FnMut(&str)) -> Result<ScaleResult, BenchError> {
    // The benchmark with the highest memory use is last: the allocator keeps freed memory, which would count for the next
    // benchmark.
    let embeddings = embeddings(options, report)?;
    let queries = rank(
        &RankOptions {
            preset: Preset::Tiny,
            candidates: options.candidates.clone(),
            shortlist: 16,
            rounds: 3,
            seed: options.seed,
            device: options.device.clone(),
        },
        report,
    )?;
    let mut steps = vec![];
    for &batch in &options.batches {
        report(&format!("training steps of {batch} pairs"));
        let result = step(&StepOptions {
            preset: Preset::Small,
            batch,
            objectives: ObjectiveKind::PUBLISHED.to_vec(),
            dropout: 0.1,
            checkpointing: Checkpointing::None,
            precision: Precision::F32,
            rounds: 3,
            seed: options.seed,
            device: options.device.clone().autodiff(),
        })?;
        let seconds = result.timing.median().unwrap_or(f64::NAN);
        steps.push(Cost { size: batch, seconds, peak_mib: result.peak_mib });
    }
    Ok(ScaleResult { steps, embeddings, queries })
}

/// Reads, decodes and embeds images from shards on disk, chunk by chunk, so that only the vectors need more memory.
fn embeddings(options: &ScaleOptions, report: &mut dyn FnMut(&str)) -> Result<Vec<Cost>, BenchError> {
    let Some(&most) = options.images.iter().max() else { return Ok(vec![]) };
    let (folder, config) = (temporary()?, config(Preset::Tiny));
    let side = config.image.size;
    report(&format!("generating {most} images"));
    let data = DataOptions { pairs: most as u64, side, seed: options.seed, threads: None };
    let source = ShardFolder::open(&phantom(&data, folder.path(), &|_| {})?, Split::Train)?;
    let tokenizer = Tokenizer::train(["texts are not used"], 300)?;
    let preparation = Preparation::new(Arc::new(tokenizer), Preprocess::clip(side), TOKENS);
    let examples = Examples::new(&source, &preparation, TextChoice::First, None);
    let model = Model::new(&config, Key::new(options.seed), &options.device)?;
    let mut costs = vec![];
    for &size in &options.images {
        report(&format!("{size} images"));
        reset_peak_memory();
        let (start, mut embedded) = (Instant::now(), 0);
        for first in (0..size.min(source.len())).step_by(CHUNK) {
            let chunk = first..(first + CHUNK).min(size);
            let images: Vec<Option<Image>> = chunk
                .into_par_iter()
                .map(|record| {
                    Ok::<_, BenchError>(examples.get(record)?.and_then(|example| match example.input {
                        Input::Pair { image, .. } | Input::Image(image) => Some(image),
                        Input::Text(_) => None,
                    }))
                })
                .collect::<Result<_, _>>()?;
            let images: Vec<&Image> = images.iter().flatten().collect();
            embedded += Embedder::new(&model).images(&images, CHUNK, &mut |_| {})?.len();
        }
        costs.push(Cost { size: embedded, seconds: start.elapsed().as_secs_f64(), peak_mib: peak_memory() });
    }
    Ok(costs)
}

impl ScaleResult {
    /// A page with the curves.
    pub fn page(&self, facts: Vec<Fact>) -> Page {
        let line = |name: &str, points: Vec<(f64, f64)>| Series { name: name.into(), run: String::new(), points };
        let chart = |title: &str, [x_label, y_label]: [&str; 2], series: Vec<Series>| Chart {
            title: title.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            series,
            log_x: true,
            from_zero: true,
            ..Chart::default()
        };
        let of = |costs: &[Cost], value: fn(&Cost) -> f64| {
            costs.iter().map(|cost| (cost.size as f64, value(cost))).collect::<Vec<_>>()
        };
        let each = |cost: &Cost| 1e3 * cost.seconds / cost.size as f64;
        let peak = |cost: &Cost| cost.peak_mib.unwrap_or(f64::NAN);
        let ways: [(&str, QueryTime); 3] = [
            ("contrastive similarity", |result| result.contrast.median()),
            ("shortlist of 16", |result| result.shortlist.median()),
            ("fusion of all", |result| result.all.median()),
        ];
        let way = |(name, value): (&str, QueryTime)| {
            let point = |result: &RankResult| (result.candidates as f64, value(result).unwrap_or(f64::NAN));
            line(name, self.queries.iter().map(point).collect())
        };
        let charts = vec![
            chart(
                "Training step (small): time",
                ["pairs per step", "ms per pair"],
                vec![line("", of(&self.steps, each))],
            ),
            chart("Training step (small): memory", ["pairs per step", "MiB"], vec![line("", of(&self.steps, peak))]),
            chart("Embedding (tiny): time", ["images", "ms per image"], vec![line("", of(&self.embeddings, each))]),
            chart("Embedding (tiny): memory", ["images", "MiB"], vec![line("", of(&self.embeddings, peak))]),
            Chart { log_y: true, ..chart("Query (tiny): time", ["candidates", "s per query"], ways.map(way).to_vec()) },
        ];
        Page {
            title: "Cost by size".into(),
            subtitle: "ptunifier bench scale".into(),
            facts,
            charts,
            ..Page::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_counted_and_charts_are_drawn() {
        let options = ScaleOptions {
            batches: vec![],
            images: vec![3, 70],
            candidates: vec![20],
            seed: 0,
            device: Device::flex(),
        };
        let result = scale(&options, &mut |_| {}).unwrap();
        assert_eq!(result.embeddings.iter().map(|cost| cost.size).collect::<Vec<_>>(), [3, 70]);
        let html = ptu_report::render(&result.page(vec![]));
        assert!(html.contains("Embedding (tiny): memory") && html.contains("fusion of all"));
    }
}
