//! The data loader: worker threads prepare batches in advance (prefetching), and the loader returns them in the order of the
//! steps.
//!
//! The batch of a step is a pure function of (seed, step, data). So each worker prepares whole batches by itself, and any number
//! of workers gives the same batches, whichever step the loader starts at.

use std::any::Any;
use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use ptu_random::Key;

use crate::batch::TrainBatch;
use crate::collate::{Example, Origin, Preparation, TextChoice};
use crate::error::DataError;
use crate::order::{Draw, Mixture, Rank, Share};
use crate::source::Source;

/// One source of training records and its weight.
#[derive(Clone)]
pub struct WeightedSource {
    /// The records.
    pub source: Arc<dyn Source>,
    /// Its weight. With weight 1 the source is sampled in proportion to its size; see [`Mixture`].
    pub weight: f64,
}

impl WeightedSource {
    /// Its size and weight, for a [`Mixture`].
    pub fn share(&self) -> Share {
        Share { len: self.source.len(), weight: self.weight }
    }
}

/// The options of a [`Loader`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderOptions {
    /// The seed of all random choices of the run.
    pub seed: u64,
    /// The number of records that this rank samples per step (batch size).
    pub batch: NonZeroUsize,
    /// This process among the processes that train together.
    pub rank: Rank,
    /// The number of consecutive samples, over all ranks, that come from one source; see [`Mixture::new`].
    pub run: NonZeroU64,
    /// The number of threads that prepare batches.
    pub workers: NonZeroUsize,
    /// The largest number of batches that are prepared in advance. It limits the memory that they use.
    pub ahead: NonZeroUsize,
}

/// Prepares the batch of any step.
struct BatchBuilder {
    sources: Vec<Arc<dyn Source>>,
    mixture: Mixture,
    preparation: Preparation,
    options: LoaderOptions,
}

impl BatchBuilder {
    /// Prepares the batch of one step; `None` when `stopped` returns true, because then nobody needs the batch.
    ///
    /// The random streams of a record depend on its position among the records of all ranks in the step, always with rank 0 in
    /// the key. So n ranks together prepare exactly the examples that one rank with n times the batch size prepares.
    fn build(&self, step: u64, stopped: &dyn Fn() -> bool) -> Result<Option<TrainBatch>, DataError> {
        let LoaderOptions { seed, batch, rank, .. } = self.options;
        let key = Key::new(seed).at(step);
        let (mut examples, mut unusable) = (vec![], BTreeMap::new());
        for position in 0..batch.get() {
            if stopped() {
                return Ok(None);
            }
            let Draw { source, record, .. } = self.mixture.draw(rank.draw(step, batch.get(), position));
            let records = &self.sources[source];
            let origin = Origin { source, name: records.name(), position: record };
            let global = u64::from(rank.index) * batch.get() as u64 + position as u64;
            match self.preparation.train(records.get(record)?, origin, key, global)? {
                Some(example) => examples.push(example),
                None => *unusable.entry(source).or_insert(0) += 1,
            }
        }
        Ok(Some(TrainBatch::collect(step, examples, unusable)))
    }
}

/// An iterator over the batches of a range of steps, in order.
///
/// The iterator ends after an error. When it is dropped, its threads stop at the next record, and the drop waits for them.
pub struct Loader {
    shared: Arc<SharedState>,
    workers: Vec<JoinHandle<()>>,
    next_step: u64,
    end_step: u64,
}

/// What the loader and its worker threads share.
struct SharedState {
    state: Mutex<LoaderState>,
    changed: Condvar,
}

struct LoaderState {
    /// The next step that no worker has started.
    next_to_start: u64,
    /// The step whose batch the loader returns next.
    next_to_return: u64,
    /// Finished batches that the loader has not returned yet, by step.
    finished: BTreeMap<u64, Result<TrainBatch, DataError>>,
    stopped: bool,
}

impl SharedState {
    fn lock(&self) -> MutexGuard<'_, LoaderState> {
        // No code panics while it holds this lock, and every change leaves a consistent state, so a poisoned lock can be used.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Loader {
    /// Starts the threads for `steps`. A resumed run starts at its first step that is not done.
    ///
    /// # Errors
    /// When the sources cannot be mixed (see [`Mixture::new`]), when the transforms or the text length are invalid, or when a
    /// thread cannot be started.
    pub fn start(
        sources: &[WeightedSource],
        preparation: Preparation,
        options: LoaderOptions,
        steps: Range<u64>,
    ) -> Result<Self, DataError> {
        let shares: Vec<Share> = sources.iter().map(WeightedSource::share).collect();
        let setting = |name, cause: String| DataError::Setting { name, cause };
        preparation.preprocess().side().map_err(|error| setting("preprocess", error.to_string()))?;
        let tokens = preparation.processor.max_tokens;
        if tokens < 3 {
            return Err(setting("text length", format!("{tokens} tokens leave no room for text; allow at least 3")));
        }
        let builder = Arc::new(BatchBuilder {
            sources: sources.iter().map(|source| Arc::clone(&source.source)).collect(),
            mixture: Mixture::new(options.seed, &shares, options.run)?,
            preparation,
            options: options.clone(),
        });
        let state = LoaderState {
            next_to_start: steps.start,
            next_to_return: steps.start,
            finished: BTreeMap::new(),
            stopped: false,
        };
        let shared = Arc::new(SharedState { state: Mutex::new(state), changed: Condvar::new() });
        let mut loader = Self { shared, workers: vec![], next_step: steps.start, end_step: steps.end };
        for number in 0..options.workers.get() {
            let (shared, builder, end) = (Arc::clone(&loader.shared), Arc::clone(&builder), steps.end);
            let thread = std::thread::Builder::new().name(format!("loader-{number}"));
            let started = thread.spawn(move || run_worker(&shared, &builder, end));
            let failed = |error: std::io::Error| {
                setting("workers", format!("cannot start a thread ({error}); use fewer workers"))
            };
            loader.workers.push(started.map_err(failed)?);
        }
        Ok(loader)
    }
}

/// The loop of a worker thread: it prepares one step after another until all steps are started or the loader is stopped.
fn run_worker(shared: &SharedState, builder: &BatchBuilder, end: u64) {
    let ahead = builder.options.ahead.get() as u64;
    let mut state = shared.lock();
    loop {
        while !state.stopped && state.next_to_start < end && state.next_to_start >= state.next_to_return + ahead {
            state = shared.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        if state.stopped || state.next_to_start >= end {
            return;
        }
        let step = state.next_to_start;
        state.next_to_start += 1;
        drop(state);
        let stopped = || shared.lock().stopped;
        let result = catch_unwind(AssertUnwindSafe(|| builder.build(step, &stopped)));
        let result = result.unwrap_or_else(|panic| Err(DataError::Worker { step, cause: panic_message(&*panic) }));
        state = shared.lock();
        if let Some(batch) = result.transpose() {
            state.finished.insert(step, batch);
        }
        shared.changed.notify_all();
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".into())
}

impl Iterator for Loader {
    type Item = Result<TrainBatch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next_step >= self.end_step {
            return None;
        }
        let mut state = self.shared.lock();
        let batch = loop {
            if let Some(batch) = state.finished.remove(&self.next_step) {
                break batch;
            }
            state = self.shared.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        };
        self.next_step += 1;
        state.next_to_return = self.next_step;
        if batch.is_err() {
            self.end_step = self.next_step;
            state.stopped = true;
        }
        drop(state);
        self.shared.changed.notify_all();
        Some(batch)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        for worker in self.workers.drain(..) {
            // A panic of a worker has already become an error of its step, and from here it could not be reported.
            let _ = worker.join();
        }
    }
}

/// The examples of one source for evaluation, in order, without random choices.
pub struct Examples<'a> {
    source: &'a dyn Source,
    preparation: &'a Preparation,
    choice: TextChoice,
    mask_seed: Option<u64>,
    positions: Range<usize>,
}

impl<'a> Examples<'a> {
    /// The examples of all records of a source. With a `mask_seed`, words are masked as [`Preparation::evaluate`] explains.
    pub fn new(
        source: &'a dyn Source,
        preparation: &'a Preparation,
        choice: TextChoice,
        mask_seed: Option<u64>,
    ) -> Self {
        Self { source, preparation, choice, mask_seed, positions: 0..source.len() }
    }

    /// The example at a position; `None` for a record with neither an image nor a text. It can be called from any thread.
    ///
    /// # Errors
    /// When the record cannot be read, decoded or tokenised.
    pub fn get(&self, position: usize) -> Result<Option<Example>, DataError> {
        let origin = Origin { source: 0, name: self.source.name(), position };
        self.preparation.evaluate(self.source.get(position)?, origin, self.choice, self.mask_seed)
    }
}

impl Iterator for Examples<'_> {
    type Item = Result<Example, DataError>;

    /// The next example; records with neither an image nor a text are skipped.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let position = self.positions.next()?;
            if let Some(example) = self.get(position).transpose() {
                return Some(example);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::source::Records;
    use crate::tests::{picture_record, preparation};

    fn options(workers: usize, batch: usize) -> LoaderOptions {
        let non_zero = |count| NonZeroUsize::new(count).unwrap();
        LoaderOptions {
            seed: 7,
            batch: non_zero(batch),
            rank: Rank::ALONE,
            run: NonZeroU64::MIN,
            workers: non_zero(workers),
            ahead: non_zero(workers + 1),
        }
    }

    fn source(name: &str, count: u8) -> Records {
        let records = (0..count).map(|number| picture_record(&format!("{name}{number}"), number)).collect();
        Records { name: name.into(), records }
    }

    fn sources() -> Vec<WeightedSource> {
        let mut mixed = source("b", 6);
        mixed.records[1].image = None;
        mixed.records[2].texts = vec![];
        mixed.records[3] = Record { image: None, texts: vec![], ..mixed.records[3].clone() };
        vec![
            WeightedSource { source: Arc::new(source("a", 10)), weight: 1.0 },
            WeightedSource { source: Arc::new(mixed), weight: 2.0 },
        ]
    }

    fn load(options: LoaderOptions, steps: Range<u64>) -> Vec<TrainBatch> {
        Loader::start(&sources(), preparation(), options, steps).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn any_number_of_workers_and_any_start_give_the_same_batches() {
        let all = load(options(1, 5), 0..12);
        assert_eq!(all.len(), 12);
        assert!(all.iter().enumerate().all(|(step, batch)| batch.step == step as u64));
        assert_eq!(load(options(3, 5), 0..12), all);
        assert_eq!(load(options(2, 5), 7..12), all[7..]);
        let unusable: usize = all.iter().flat_map(|batch| batch.unusable.values()).sum();
        let used: usize = all.iter().map(TrainBatch::len).sum();
        assert!(unusable >= 4 && used + unusable == 60, "{unusable} unusable");
        assert!(
            all.iter().any(|batch| batch.batch.texts.count() > 0)
                && all.iter().any(|batch| batch.batch.images.count > 0)
        );
    }

    #[test]
    fn two_ranks_give_the_examples_of_one_rank() {
        let alone = load(options(1, 6), 0..3);
        let rank = |index| load(LoaderOptions { rank: Rank { index, count: 2 }, ..options(2, 3) }, 0..3);
        let (first, second) = (rank(0), rank(1));
        for step in 0..3 {
            let ids: Vec<&str> = first[step].ids().chain(second[step].ids()).collect();
            assert_eq!(ids, alone[step].ids().collect::<Vec<_>>());
            let planes = [&first[step].batch.pair_images.planes[..], &second[step].batch.pair_images.planes].concat();
            assert_eq!(planes, alone[step].batch.pair_images.planes);
        }
    }

    #[test]
    fn an_error_names_the_record_and_ends_the_loader() {
        let mut broken = source("a", 4);
        broken.records[2].image.as_mut().unwrap().bytes.truncate(40);
        let sources = [WeightedSource { source: Arc::new(broken), weight: 1.0 }];
        let mut loader = Loader::start(&sources, preparation(), options(3, 1), 0..100).unwrap();
        let error = loader.find_map(Result::err).unwrap().to_string();
        assert!(error.starts_with("record `a2` of `a`: "), "{error}");
        assert!(loader.next().is_none());
    }

    /// A source that panics at one record.
    struct Panics;

    impl Source for Panics {
        fn name(&self) -> &str {
            "panics"
        }

        fn len(&self) -> usize {
            5
        }

        fn get(&self, index: usize) -> Result<Record, DataError> {
            assert_ne!(index, 3, "no record three");
            Ok(picture_record("x", 1))
        }
    }

    #[test]
    fn a_panic_becomes_an_error() {
        let sources = [WeightedSource { source: Arc::new(Panics), weight: 1.0 }];
        let results: Vec<_> = Loader::start(&sources, preparation(), options(2, 1), 0..50).unwrap().collect();
        let error = results.last().unwrap().as_ref().unwrap_err().to_string();
        assert!(results.len() <= 5 && error.contains("no record three"), "{error}");
    }

    #[test]
    fn dropping_the_loader_stops_its_threads() {
        for taken in [0, 1, 3] {
            let mut loader = Loader::start(&sources(), preparation(), options(3, 4), 0..u64::MAX).unwrap();
            assert_eq!(loader.by_ref().take(taken).filter(Result::is_ok).count(), taken);
            let shared = Arc::clone(&loader.shared);
            drop(loader);
            assert_eq!(Arc::strong_count(&shared), 1, "all threads have ended");
            assert!(shared.lock().finished.len() <= 4, "the queue is bounded");
        }
    }

    #[test]
    fn settings_are_checked_before_threads_start() {
        let fails = |sources: &[WeightedSource], preparation, with: &str| {
            let error = Loader::start(sources, preparation, options(1, 1), 0..1).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(with), "{error}");
        };
        fails(&[], preparation(), "there are 0 sources");
        let mut short = preparation();
        short.processor.max_tokens = 2;
        fails(&sources(), short, "`text length`");
        let mut nothing = preparation();
        nothing.train_transforms.clear();
        fails(&sources(), nothing, "`preprocess`");
    }

    #[test]
    fn evaluation_reads_all_records_in_order() {
        let (sources, preparation) = (sources(), preparation());
        let examples = || Examples::new(&*sources[1].source, &preparation, TextChoice::First, Some(1));
        let all: Vec<Example> = examples().map(Result::unwrap).collect();
        assert_eq!(all.iter().map(|example| example.position).collect::<Vec<_>>(), [0, 1, 2, 4, 5]);
        assert_eq!(examples().get(4).unwrap().as_ref(), Some(&all[3]));
        assert_eq!(examples().get(3).unwrap(), None);
        assert!(examples().get(6).is_err());
    }
}
