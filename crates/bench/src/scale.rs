//! How cost grows: a step over its batch, embedding over the number of images, a ranked query over its candidates.

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

/// Images that are embedded at a time.
const PART: usize = 64;

/// What is timed.
#[derive(Clone, Debug)]
pub struct ScaleOptions {
    /// Batches of a step at `small`.
    pub batches: Vec<usize>,
    /// Numbers of phantom images that are read, decoded and embedded at `tiny`.
    pub images: Vec<usize>,
    /// Candidates of a query at `tiny`.
    pub candidates: Vec<usize>,
    /// Draws weights and data.
    pub seed: u64,
    /// What computes, without gradients.
    pub device: Device,
}

/// One of a query's times.
type Seconds = fn(&RankResult) -> Option<f64>;

/// Cost at one size.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// Records.
    pub size: usize,
    /// Seconds for all of them.
    pub seconds: f64,
    /// Most memory meanwhile, MiB.
    pub peak_mib: Option<f64>,
}

/// What was seen.
#[derive(Clone, Debug, Serialize)]
pub struct ScaleResult {
    /// A step by its batch.
    pub steps: Vec<Cost>,
    /// Embedding by the number of images.
    pub embeddings: Vec<Cost>,
    /// A query by its candidates.
    pub queries: Vec<RankResult>,
}

/// Times all three.
///
/// # Errors
/// A full disk; sizes out of range.
pub fn scale(options: &ScaleOptions, told: &mut dyn FnMut(&str)) -> Result<ScaleResult, BenchError> {
    // What takes most comes last: freed memory is kept by the allocator and would count as the next one's.
    let embeddings = embeddings(options, told)?;
    let queries = rank(
        &RankOptions {
            preset: Preset::Tiny,
            candidates: options.candidates.clone(),
            shortlist: 16,
            rounds: 3,
            seed: options.seed,
            device: options.device.clone(),
        },
        told,
    )?;
    let mut steps = vec![];
    for &batch in &options.batches {
        told(&format!("a step of {batch}"));
        let result = step(&StepOptions {
            preset: Preset::Small,
            batch,
            objectives: ObjectiveKind::ALL.to_vec(),
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

/// From shards on disk to vectors, part by part, as a stream: nothing but the vectors grows.
fn embeddings(options: &ScaleOptions, told: &mut dyn FnMut(&str)) -> Result<Vec<Cost>, BenchError> {
    let Some(&most) = options.images.iter().max() else { return Ok(vec![]) };
    let (folder, config) = (temporary()?, config(Preset::Tiny));
    let side = config.image.size;
    told(&format!("drawing {most} images"));
    let data = DataOptions { pairs: most as u64, side, seed: options.seed, threads: None };
    let source = ShardFolder::open(&phantom(&data, folder.path(), &|_| {})?, Split::Train)?;
    let tokenizer = Tokenizer::train(["no text is read"], 300)?;
    let preparation = Preparation::new(Arc::new(tokenizer), Preprocess::clip(side), TOKENS);
    let examples = Examples::new(&source, &preparation, TextChoice::First, None);
    let model = Model::new(&config, Key::new(options.seed), &options.device)?;
    let mut costs = vec![];
    for &size in &options.images {
        told(&format!("{size} images"));
        reset_peak_memory();
        let (start, mut found) = (Instant::now(), 0);
        for first in (0..size.min(source.len())).step_by(PART) {
            let part = first..(first + PART).min(size);
            let images: Vec<Option<Image>> = part
                .into_par_iter()
                .map(|record| {
                    Ok::<_, BenchError>(examples.get(record)?.and_then(|example| match example.input {
                        Input::Pair { image, .. } | Input::Image(image) => Some(image),
                        Input::Text(_) => None,
                    }))
                })
                .collect::<Result<_, _>>()?;
            let images: Vec<&Image> = images.iter().flatten().collect();
            found += Embedder::new(&model).images(&images, PART, &mut |_| {})?.len();
        }
        costs.push(Cost { size: found, seconds: start.elapsed().as_secs_f64(), peak_mib: peak_memory() });
    }
    Ok(costs)
}

impl ScaleResult {
    /// The curves as a page.
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
        let ways: [(&str, Seconds); 3] = [
            ("contrast", |result| result.contrast.median()),
            ("shortlist of 16", |result| result.shortlist.median()),
            ("fusion of all", |result| result.all.median()),
        ];
        let way = |(name, value): (&str, Seconds)| {
            let point = |result: &RankResult| (result.candidates as f64, value(result).unwrap_or(f64::NAN));
            line(name, self.queries.iter().map(point).collect())
        };
        let charts = vec![
            chart("A step (small), time a pair", ["pairs a step", "ms a pair"], vec![line("", of(&self.steps, each))]),
            chart("A step (small), memory", ["pairs a step", "MiB"], vec![line("", of(&self.steps, peak))]),
            chart(
                "Embedding (tiny), time an image",
                ["images", "ms an image"],
                vec![line("", of(&self.embeddings, each))],
            ),
            chart("Embedding (tiny), memory", ["images", "MiB"], vec![line("", of(&self.embeddings, peak))]),
            Chart { log_y: true, ..chart("A query (tiny)", ["candidates", "s"], ways.map(way).to_vec()) },
        ];
        Page {
            title: "How cost grows".into(),
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
    fn images_are_counted_and_charts_drawn() {
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
        assert!(html.contains("Embedding (tiny), memory") && html.contains("fusion of all"));
    }
}
