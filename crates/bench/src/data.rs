//! Times the data pipeline: preparing shards from images and reports, and loading batches from them.

use std::cell::RefCell;
use std::io::Write;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ptu_data::{Loader, LoaderOptions, Preparation, Rank, ShardFolder, Source, Split, WeightedSource};
use ptu_input::{Preprocess, Tokenizer};
use ptu_model::Preset;
use ptu_prepare::phantom::{PhantomOptions, prepare_phantom};
use ptu_prepare::table::{TableOptions, prepare as prepare_table};
use ptu_prepare::{PrepareOptions, Progress};
use ptu_report::{Chart, Fact, Page, Series};
use serde::Serialize;
use serde_json::json;
use tempfile::TempDir;

use crate::BenchError;
use crate::measure::{Timing, resident_memory};
use crate::step::{TOKENS, config};

/// The number of steps of the loader: more than any benchmark takes.
const STEPS: u64 = 1 << 40;

/// The options of the data benchmarks.
#[derive(Clone, Debug)]
pub struct DataOptions {
    /// Number of phantom pairs.
    pub pairs: u64,
    /// Height and width of the stored images, in pixels.
    pub side: usize,
    /// The random seed of the corpus.
    pub seed: u64,
    /// Number of threads that prepare; `None` for one per core.
    pub threads: Option<usize>,
}

/// The results of the preparation benchmark.
#[derive(Clone, Debug, Serialize)]
pub struct PrepareResult {
    /// Number of records.
    pub pairs: u64,
    /// Height and width of an image, in pixels.
    pub side: usize,
    /// Generating and writing the phantom corpus, in pairs per second.
    pub phantom_pairs_per_second: f64,
    /// Memory during that time. Records are prepared first and then written to shards.
    pub phantom_memory: Vec<MemoryPoint>,
    /// Preparing a table of the same pairs, without resizing the images, in pairs per second.
    pub table_pairs_per_second: f64,
    /// The same, with images resized to half of their size.
    pub resized_table_pairs_per_second: f64,
}

/// The memory at one point of the work.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MemoryPoint {
    /// The finished share of the work, 0 to 1.
    pub share: f64,
    /// Resident memory, in MiB.
    pub mib: f64,
}

/// The largest number of records in the table; each has an image file.
const TABLE_PAIRS: u64 = 20_000;

/// The largest number of points of the memory curve.
const MAX_POINTS: f64 = 200.0;

impl PrepareResult {
    /// A page with the memory curve.
    pub fn page(&self, facts: Vec<Fact>) -> Page {
        let points = self.phantom_memory.iter().map(|point| (100.0 * point.share, point.mib)).collect();
        let chart = Chart {
            title: "Memory while preparing".into(),
            explanation: "Records are prepared until 90 %; then they are compared and written to shards.".into(),
            x_label: "% of the work".into(),
            y_label: "resident memory, MiB".into(),
            series: vec![Series { name: "memory".into(), run: String::new(), points }],
            from_zero: true,
            ..Chart::default()
        };
        Page {
            title: format!("Preparation of {} phantom records of {} px", self.pairs, self.side),
            subtitle: "ptunifier bench prepare".into(),
            verdict: format!("{:.0} records per second.", self.phantom_pairs_per_second),
            facts,
            charts: vec![chart],
            ..Page::default()
        }
    }
}

/// Times `prepare phantom` and `prepare table`.
///
/// # Errors
/// If the disk is full or an option is out of range.
pub fn prepare(options: &DataOptions) -> Result<PrepareResult, BenchError> {
    let folder = temporary()?;
    let rate = |pairs: u64, start: Instant| pairs as f64 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    let memory = RefCell::new(vec![]);
    let shards = phantom(options, folder.path(), &|progress| {
        let mut memory = memory.borrow_mut();
        let last = memory.last().map_or(-1.0, |point: &MemoryPoint| point.share);
        if let (true, Some(mib)) = (progress.share >= last + 1.0 / MAX_POINTS, resident_memory()) {
            memory.push(MemoryPoint { share: progress.share, mib });
        }
    })?;
    let phantom_pairs_per_second = rate(options.pairs, start);
    let table = write_table(&shards, folder.path())?;
    let table_rate = |name: &str, side| {
        let start = Instant::now();
        let table_options = TableOptions {
            prepare: PrepareOptions { side, threads: options.threads, ..PrepareOptions::default() },
            ..TableOptions::default()
        };
        prepare_table(&table, &folder.path().join(name), &table_options, &|_| {})?;
        Ok::<f64, BenchError>(rate(options.pairs.min(TABLE_PAIRS), start))
    };
    Ok(PrepareResult {
        pairs: options.pairs,
        side: options.side,
        phantom_pairs_per_second,
        phantom_memory: memory.into_inner(),
        table_pairs_per_second: table_rate("original size", None)?,
        resized_table_pairs_per_second: table_rate("half size", Some(options.side / 2))?,
    })
}

/// The results of the loading benchmark.
#[derive(Clone, Debug, Serialize)]
pub struct LoadResult {
    /// Height and width of a stored image, in pixels.
    pub stored: usize,
    /// Height and width of a preprocessed image, in pixels.
    pub side: usize,
    /// Records per batch.
    pub batch: usize,
    /// Seconds per batch with one worker.
    pub timing: Timing,
}

/// Times the batches of a loader with one worker: decoding, cropping, resizing, tokenizing, masking.
///
/// # Errors
/// As for [`prepare`].
pub fn load(
    options: &DataOptions,
    preset: Preset,
    batch: NonZeroUsize,
    rounds: usize,
) -> Result<LoadResult, BenchError> {
    let folder = temporary()?;
    let shards = phantom(options, folder.path(), &|_| {})?;
    let source = ShardFolder::open(&shards, Split::Train)?;
    let texts: Vec<String> = (0..source.len().min(500))
        .map(|record| Ok(source.get(record)?.texts.join(" ")))
        .collect::<Result<_, BenchError>>()?;
    let tokenizer = Tokenizer::train(texts.iter().map(String::as_str), 4096)?;
    let side = config(preset).image.size;
    let loader_options = LoaderOptions {
        seed: options.seed,
        batch,
        rank: Rank::ALONE,
        run: NonZeroU64::MIN,
        workers: NonZeroUsize::MIN,
        ahead: NonZeroUsize::MIN,
    };
    let sources = [WeightedSource { source: Arc::new(source), weight: 1.0 }];
    let preparation = Preparation::new(Arc::new(tokenizer), Preprocess::clip(side), TOKENS);
    let mut loader = Loader::start(&sources, preparation, loader_options, 0..STEPS)?;
    let mut failed = None;
    // The worker is one batch ahead. After the untimed calls, each call waits for one whole batch.
    let timing = Timing::of(3, rounds, || {
        if let Some(Err(error)) = loader.next() {
            failed = Some(error);
        }
    });
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(LoadResult { stored: options.side, side, batch: batch.get(), timing }),
    }
}

pub(crate) fn temporary() -> Result<TempDir, BenchError> {
    let error = |source| BenchError::File { action: "create a folder in", path: std::env::temp_dir(), source };
    TempDir::new().map_err(error)
}

/// Prepares phantom shards in a folder; returns the folder of the shards.
pub(crate) fn phantom(
    options: &DataOptions,
    folder: &Path,
    progress: &dyn Fn(Progress),
) -> Result<std::path::PathBuf, BenchError> {
    let out = folder.join("phantom");
    let phantom = PhantomOptions {
        side: options.side,
        prepare: PrepareOptions { threads: options.threads, ..PrepareOptions::default() },
        validate: 0,
        test: 0,
        ..PhantomOptions::new(options.pairs, options.seed)
    };
    prepare_phantom(&out, &phantom, progress)?;
    Ok(out)
}

/// Writes the records of a shard folder as image files and a table; returns the path of the table.
fn write_table(shards: &Path, folder: &Path) -> Result<std::path::PathBuf, BenchError> {
    let source = ShardFolder::open(shards, Split::Train)?;
    let path = folder.join("pairs.jsonl");
    let written = |source| BenchError::File { action: "write", path: path.clone(), source };
    let mut table = std::io::BufWriter::new(std::fs::File::create(&path).map_err(written)?);
    for record in 0..source.len().min(TABLE_PAIRS as usize) {
        let record = source.get(record)?;
        let (id, name) = (&record.id, format!("{}.png", record.id));
        let bytes = record.image.map(|image| image.bytes).unwrap_or_default();
        std::fs::write(folder.join(&name), bytes).map_err(written)?;
        let row = json!({ "id": id, "image": name, "text": record.texts, "patient": record.patient });
        writeln!(table, "{row}").map_err(written)?;
    }
    table.flush().map_err(written)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: DataOptions = DataOptions { pairs: 12, side: 48, seed: 0, threads: Some(1) };

    #[test]
    fn each_kind_of_preparation_is_timed() {
        let result = prepare(&OPTIONS).unwrap();
        let rates =
            [result.phantom_pairs_per_second, result.table_pairs_per_second, result.resized_table_pairs_per_second];
        assert!(rates.iter().all(|rate| *rate > 0.0 && rate.is_finite()), "{rates:?}");
    }

    #[test]
    fn batches_are_timed() {
        let result = load(&OPTIONS, Preset::Tiny, NonZeroUsize::new(2).unwrap(), 3).unwrap();
        assert_eq!((result.timing.seconds.len(), result.batch, result.stored), (3, 2, 48));
    }
}
