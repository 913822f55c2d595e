//! A run in progress.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::module::Module;
use ptu_data::{Loader, LoaderOptions, Preparation, TrainBatch, WeightedSource};
use ptu_input::Slot;
use ptu_model::weights::read_arrays;
use ptu_model::{Bundle, Learned, Model, TrainedOn};
use ptu_random::Key;

use super::pace::Pace;
use super::{Observer, Opened, Outcome, Plan, RunOptions};
use crate::card::card;
use crate::folder::{self, RunFolder};
use crate::gradients::Gradients;
use crate::log::{Event, Lines, ObjectiveLine, Timing, read_events};
use crate::optimizer::Optimizer;
use crate::start::Start;
use crate::state::{self, Progress};
use crate::step::{self, MicroBatches, StepConfig};
use crate::task::{Task, Validated};
use crate::{Recipe, TrainError, files, tensorboard};

/// Maximal number of steps that are timed. The first one is slower than the others, and counts only when it is the only one.
const TIMED: u64 = 3;

/// The key of the description of a task that says in which format the outputs of a frozen image encoder were cached.
const CACHED_IMAGES: &str = "cached_images";

/// A run in progress: its model, optimizer, data and files.
pub(super) struct Session<'t> {
    pub task: &'t mut dyn Task,
    /// `None` only while the optimizer updates it.
    pub model: Option<Model>,
    pub recipe: Recipe,
    pub options: RunOptions,
    pub loader: LoaderOptions,
    /// Names of the sources.
    pub names: Vec<String>,
    pub sources: Vec<WeightedSource>,
    pub preparation: Preparation,
    pub optimizer: Optimizer,
    pub progress: Progress,
    /// Opened after the recipe is written.
    pub files: Option<Files>,
    /// Hashes of the images and texts used in training so far; `None` when the run was started by a version that did not store
    /// them.
    pub learned: Option<Learned>,
    pub folder: RunFolder,
    /// What training started from.
    pub start: Start,
    /// Texts that were used so far.
    pub texts: TextCounts,
}

/// Files that get a new line with each step.
pub(super) struct Files {
    pub log: Lines,
    pub timing: Lines,
    pub tensorboard: Lines,
}

impl Files {
    /// Opens the files and cuts them to the lengths of the saved state.
    fn open(folder: &RunFolder, progress: &Progress, options: &RunOptions) -> Result<Self, TrainError> {
        let events = folder.join(folder::TENSORBOARD);
        let error = |source| TrainError::File { action: "create", path: events.clone(), source };
        std::fs::create_dir_all(&events).map_err(error)?;
        let mut tensorboard = Lines::open(&events.join("events.out.tfevents.0.ptunifier"), progress.tensorboard)?;
        if progress.tensorboard == 0 {
            tensorboard.append(&tensorboard::header((options.wall_time)()))?;
        }
        Ok(Self {
            log: Lines::open(&folder.join(folder::LOG), progress.log)?,
            timing: Lines::open(&folder.join(folder::TIMING), progress.timing)?,
            tensorboard,
        })
    }
}

/// Number of texts that were used in training.
#[derive(Clone, Copy, Default)]
pub(super) struct TextCounts {
    all: u64,
    /// Texts longer than `text.max_tokens`: only the beginning of each was used.
    truncated: u64,
}

/// What is counted about the batches of one step.
#[derive(Default)]
pub(super) struct StepRecords {
    /// Records by source.
    sources: BTreeMap<String, u64>,
    /// Records that no objective used, by kind; records that the loader could not use, by source.
    unused: BTreeMap<String, u64>,
    ids: Vec<String>,
    records: usize,
    texts: TextCounts,
    /// Hashes of the images that were used.
    image_hashes: Vec<u64>,
    /// Hashes of the texts that were used.
    text_hashes: Vec<u64>,
    /// Time spent waiting for the loader.
    waiting: Duration,
}

impl StepRecords {
    /// Counts a batch. `is_used` says for a slot whether the task learns from its records.
    fn add(&mut self, batch: &TrainBatch, names: &[String], is_used: &dyn Fn(Slot) -> bool) {
        for (one, slot) in batch.records.iter().zip(&batch.batch.order) {
            *self.sources.entry(names[one.source].clone()).or_default() += 1;
            self.ids.push(one.record.id.clone());
            if is_used(*slot) {
                self.image_hashes.extend(one.image_hash);
                self.text_hashes.extend(&one.own_texts);
            } else {
                *self.unused.entry(kind_name(*slot).into()).or_default() += 1;
            }
        }
        for (&source, &count) in &batch.unusable {
            *self.unused.entry(names[source].clone()).or_default() += count as u64;
        }
        self.records += batch.len();
        self.texts.all += batch.texts() as u64;
        self.texts.truncated += batch.cut as u64;
    }
}

/// The name in the log for records of this kind that are not used.
fn kind_name(slot: Slot) -> &'static str {
    match slot {
        Slot::Pair(_) => "pairs",
        Slot::Image(_) => "images alone",
        Slot::Text(_) => "texts alone",
    }
}

impl Session<'_> {
    /// Measures and reports how long the run will take. For a new run, `plan` completes the recipe first. After this call, the
    /// folder contains a run that can be resumed.
    pub fn begin(&mut self, plan: Option<Plan<'_>>, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let path = self.folder.join(folder::RECIPE);
        let (from, plan) = (self.progress.step, plan.filter(|_| !path.exists()));
        if from < self.recipe.train.steps {
            self.open_image_cache(observer)?;
        }
        // Short runs are not timed before they start: their first steps show the speed just as soon.
        let timed = (self.recipe.train.steps.saturating_sub(from) / 10).min(TIMED);
        let measured = plan.is_some() || timed > 0;
        let pace = measured.then(|| self.pace(timed.max(1), observer)).transpose()?;
        if let Some(pace) = pace {
            match plan {
                Some(plan) => {
                    let (recipe, note) = plan(&self.opened(pace))?;
                    self.recipe = recipe.from_anywhere()?;
                    observer.note(&note);
                }
                None => observer.note(&pace.forecast(&self.recipe, from)),
            }
        }
        observer.begins(pace.as_ref());
        // The recipe is written last: a folder with a recipe can be resumed.
        files::write_bytes(&path, self.recipe.to_toml().as_bytes())?;
        self.files = Some(Files::open(&self.folder, &self.progress, &self.options)?);
        Ok(())
    }

    fn opened(&self, pace: Pace) -> Opened<'_> {
        let Self { recipe, preparation, sources, .. } = self;
        Opened { pace, recipe, model: self.model(), preparation, sources }
    }

    /// Trains up to the last step of the recipe, or until the observer stops the run.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        let steps = self.recipe.train.steps;
        let parts = self.recipe.train.accumulate as u64;
        if self.progress.step < steps {
            let range = self.progress.step * parts..steps * parts;
            let mut loader = Loader::start(&self.sources, self.preparation.clone(), self.loader.clone(), range)?;
            let config = StepConfig::of(&self.recipe);
            let (mut saved, interval) = (Instant::now(), Duration::from_secs(self.recipe.train.save_every_seconds));
            while self.progress.step < steps && !self.has_stopped_early() {
                let progress = self.progress.step as f64 / steps as f64;
                self.step(&mut loader, &StepConfig { progress, ..config }, observer)?;
                let stop = observer.stop();
                let last = self.recipe.ends_at(self.progress.step);
                let due = last || self.progress.step.is_multiple_of(self.recipe.train.save_every);
                if due {
                    self.log_task()?;
                }
                self.validate_if_due(last, observer)?;
                if due || stop || saved.elapsed() >= interval {
                    self.save()?;
                    saved = Instant::now();
                }
                if stop {
                    break;
                }
            }
        }
        let TextCounts { all, truncated } = self.texts;
        if truncated > 0 {
            let limit = self.recipe.text.max_tokens;
            observer.note(&format!(
                "{truncated} of {all} texts used in training have more than `text.max_tokens` ({limit}) tokens: only the \
                 beginning of each was used"
            ));
        }
        let finished = self.progress.step == steps || self.has_stopped_early();
        if finished && self.has_learned_nothing() {
            return Err(TrainError::NeverFinite { steps: self.progress.step, path: self.folder.path().into() });
        }
        if finished {
            self.note_equal_validations(observer)?;
        }
        let bundle = self.folder.join(folder::BUNDLE);
        if !(finished && self.is_saved(&bundle)) {
            self.save_bundle(&bundle)?;
        }
        Ok(Outcome { steps: self.progress.step, finished, bundle, best: self.progress.best })
    }

    /// Whether the last `train.patience` validations were not better than the one before them (early stopping).
    fn has_stopped_early(&self) -> bool {
        let patience = self.recipe.train.patience;
        patience > 0 && self.progress.not_better >= patience
    }

    /// Whether every step so far was skipped, so that the weights are those of the beginning.
    fn has_learned_nothing(&self) -> bool {
        self.progress.bad_steps == self.progress.step
    }

    /// Notes that no validation was better than another one, so that the model in `best/` was not chosen by its score.
    fn note_equal_validations(&self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let mut values = vec![];
        for event in read_events(&self.folder.join(folder::LOG))? {
            if let Event::Validation { fields, .. } = event {
                values.extend(self.task.validated(&fields).map(|validated| validated.value));
            }
        }
        if let [Some(first), _, ..] = values.as_slice()
            && values.iter().all(|value| *value == Some(*first))
        {
            let (count, best) = (values.len(), folder::BEST);
            observer.note(&format!(
                "all {count} validations gave the same score, {first:.3}, so {best}/ holds the first of these models, which is not better \
                 than the others; more validation records could tell them apart"
            ));
        }
        Ok(())
    }

    pub(super) fn model(&self) -> &Model {
        self.model.as_ref().expect("the model is absent only while the optimizer updates it")
    }

    /// Whether the bundle contains the weights of the state. It may not, because a run can be killed after the state was saved
    /// and before the bundle was.
    fn is_saved(&self, bundle: &Path) -> bool {
        let weights = bundle.join(ptu_model::WEIGHTS);
        read_arrays(&weights).is_ok_and(|arrays| arrays == self.model().to_arrays())
    }

    /// Computes no gradients of encoders of which nothing is trained in the next step.
    pub(super) fn freeze(&mut self) {
        let frozen = self.recipe.frozen(self.model().config(), self.progress.step);
        self.model = self.model.take().map(|model| model.with_frozen(frozen));
    }

    fn save_bundle(&self, folder: &Path) -> Result<(), TrainError> {
        let bundle = Bundle {
            model: self.model().clone(),
            tokenizer: Arc::clone(&self.preparation.processor.tokenizer),
            preprocess: self.preparation.preprocess(),
            max_tokens: self.recipe.text.max_tokens,
            trained_on: self.trained_on(),
            weights_from: self.start.weights_from().to_vec(),
            learned: self.learned.clone(),
            task: self.task_description(),
        };
        let objectives: Vec<String> = self.task.objectives().into_iter().map(|one| one.name).collect();
        Ok(bundle.save(folder, &card(&self.recipe, &objectives, &bundle, self.progress.step))?)
    }

    /// The description of the task for the bundle. It says so if the model was trained on cached outputs.
    fn task_description(&self) -> Option<serde_json::Value> {
        let mut description = self.task.description(self.start.fingerprint())?;
        if let (Some(format), Some(fields)) = (self.progress.image_cache, description.as_object_mut()) {
            fields.insert(CACHED_IMAGES.into(), format.name().into());
        }
        Some(description)
    }

    /// The data sets of this run and of the model from which it started, each once.
    fn trained_on(&self) -> Vec<TrainedOn> {
        let mut all = self.start.trained_on().to_vec();
        for (source, manifest) in self.names.iter().zip(&self.progress.data) {
            let one = TrainedOn { source: source.clone(), manifest: manifest.clone() };
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    }

    fn step(
        &mut self,
        loader: &mut Loader,
        config: &StepConfig,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let (start, step) = (Instant::now(), self.progress.step);
        if self.recipe.train.freeze_steps == Some(step) {
            self.freeze();
        }
        let (outcome, mut gradients, used) = self.compute(loader, config)?;
        gradients.retain(&|name| self.recipe.trains(name, step));
        let update = Instant::now();
        self.count(&used);
        let (norms, total) = (gradients.norms(), outcome.total);
        let norm = norms.values().map(|norm| norm * norm).sum::<f64>().sqrt();
        let factor = self.recipe.rate_factor(step);
        if !(norm.is_finite() && total.is_finite()) {
            return self.skip(step, used.ids, observer);
        }
        if let Some(clip) = self.recipe.optimizer.clip.filter(|clip| norm > *clip) {
            gradients.scale((clip / norm) as f32);
        }
        let model = self.model.take().expect("the model is absent only while the optimizer updates it");
        let model = self.optimizer.step(model, &gradients, factor);
        self.model = Some(match self.recipe.learns_prompts() {
            true => model.with_learned_codes(&outcome.used_codes, Key::new(self.recipe.seed).at(step)),
            false => model,
        });
        self.progress.step += 1;
        self.progress.bad_steps = 0;
        let seconds = start.elapsed().as_secs_f64();
        let seconds_of = |time: Duration| time.as_secs_f64();
        let event = Event::Step {
            step,
            loss: total,
            gradient_norm: norm,
            gradient_norms: norms,
            learning_rate: self.recipe.optimizer.learning_rate * factor,
            objectives: outcome.objectives.iter().map(|(name, result)| (name.clone(), line(result))).collect(),
            sources: used.sources,
            unused: used.unused,
            counts: outcome.counts.into_iter().filter(|(_, count)| *count > 0).collect(),
        };
        let timing = Timing {
            step,
            seconds,
            records_per_second: used.records as f64 / seconds,
            waiting: seconds_of(used.waiting),
            forward: outcome.objectives.into_iter().map(|(name, one)| (name, seconds_of(one.forward))).collect(),
            backward: seconds_of(outcome.backward),
            update: seconds_of(update.elapsed()),
        };
        if step.is_multiple_of(self.recipe.train.log_every) || self.recipe.ends_at(step + 1) {
            let time = (self.options.wall_time)();
            let files = self.files();
            files.log.write(&event.line())?;
            files.timing.write(&timing.line())?;
            files.tensorboard.append(&tensorboard::scalars(time, step, &scalars(&event, &timing)))?;
        }
        observer.step(&event, &timing, self.recipe.train.steps);
        Ok(())
    }

    /// Adds the records of a step to those of the run: the hashes of images and texts, and how many texts were truncated.
    fn count(&mut self, used: &StepRecords) {
        if let Some(learned) = &mut self.learned {
            learned.images.extend(&used.image_hashes);
            learned.texts.extend(&used.text_hashes);
        }
        self.texts.all += used.texts.all;
        self.texts.truncated += used.texts.truncated;
    }

    fn files(&mut self) -> &mut Files {
        self.files.as_mut().expect("the files are opened before the first step")
    }

    /// Computes losses and gradients of the next step, and counts the records of its batches.
    pub(super) fn compute(
        &mut self,
        loader: &mut Loader,
        config: &StepConfig,
    ) -> Result<(step::Outcome, Gradients, StepRecords), TrainError> {
        let (parts, seed) = (self.recipe.train.accumulate as u64, Key::new(self.recipe.seed));
        let mut at = self.progress.step * parts;
        // These values are computed first, because the task is borrowed while its micro-batches are counted.
        let [pairs, images, texts] =
            [Slot::Pair(0), Slot::Image(0), Slot::Text(0)].map(|slot| self.task.learns_from(slot));
        let is_used = |slot| match slot {
            Slot::Pair(_) => pairs,
            Slot::Image(_) => images,
            Slot::Text(_) => texts,
        };
        let (mut used, names) = (StepRecords::default(), &self.names);
        let mut next = || {
            let start = Instant::now();
            let batch = loader.next().transpose()?.ok_or_else(|| TrainError::Nothing {
                split: "train".into(),
                cause: "the data loader ended before the run did".into(),
            })?;
            used.waiting += start.elapsed();
            used.add(&batch, names, &is_used);
            at += 1;
            Ok((batch, seed.at(at - 1)))
        };
        let model = self.model.as_ref().expect("the model is absent only while the optimizer updates it");
        let (outcome, gradients) = self.task.step(model, &mut MicroBatches::new(parts, &mut next), config)?;
        Ok((outcome, gradients, used))
    }

    /// Skips a step whose loss or gradient is not finite: the weights are not changed, and the ids of its records are logged.
    fn skip(&mut self, step: u64, ids: Vec<String>, observer: &mut dyn Observer) -> Result<(), TrainError> {
        self.progress.step += 1;
        self.progress.bad_steps += 1;
        observer.note(&format!("step {step} was skipped: its loss or gradient is not finite"));
        self.write(&Event::Skipped { step, ids })?;
        if self.progress.bad_steps >= self.recipe.train.bad_steps {
            self.save()?;
            let path = self.folder.path().into();
            return Err(TrainError::NotFinite { steps: self.progress.bad_steps, step, path });
        }
        Ok(())
    }

    /// Writes what the task has counted to the log.
    fn log_task(&mut self) -> Result<(), TrainError> {
        if let Some((event, fields)) = self.task.event() {
            let step = self.progress.step;
            self.write(&Event::Task { event: event.into(), step, fields })?;
        }
        Ok(())
    }

    fn write(&mut self, event: &Event) -> Result<(), TrainError> {
        self.files().log.write(&event.line())
    }

    /// Validates the model if a validation is due, and saves it if it is the best so far.
    fn validate_if_due(&mut self, last: bool, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let every = self.recipe.train.validate_every;
        let Some(validator) = self.task.validator() else { return Ok(()) };
        let step = self.progress.step;
        // A model that has learned nothing must not become the best one.
        if every == 0 || !(last || step.is_multiple_of(every)) || self.has_learned_nothing() {
            return Ok(());
        }
        let validated = validator.validate(&self.model().valid(), Key::new(self.recipe.seed))?;
        let best = validated.value > self.progress.best;
        observer.validated(step, &validated);
        let Validated { value, fields, .. } = validated;
        self.write(&Event::Validation { step, fields, best })?;
        self.progress.not_better = if best { 0 } else { self.progress.not_better + 1 };
        if self.has_stopped_early() && self.progress.step < self.recipe.train.steps {
            observer
                .note(&format!("stopping early: the last {} validations were not better", self.progress.not_better));
        }
        if best {
            self.progress.best = value;
            self.save_bundle(&self.folder.join(folder::BEST))?;
        }
        Ok(())
    }

    fn save(&mut self) -> Result<(), TrainError> {
        self.progress.task = self.task.state();
        let files = self.files();
        let lengths = [files.log.sync()?, files.timing.sync()?, files.tensorboard.sync()?];
        [self.progress.log, self.progress.timing, self.progress.tensorboard] = lengths;
        let (folder, learned) = (self.folder.join(folder::STATE), self.learned.as_ref());
        state::save(&folder, self.model(), &self.optimizer, &self.progress, learned)
    }
}

/// The log's form of an objective's result.
fn line(result: &step::ObjectiveResult) -> ObjectiveLine {
    let accuracy = (result.scored > 0).then(|| result.right as f64 / result.scored as f64);
    ObjectiveLine { loss: result.loss, accuracy, scored: result.scored }
}

/// The values of a step that are written for TensorBoard.
fn scalars(event: &Event, timing: &Timing) -> Vec<(String, f64)> {
    let Event::Step { loss, gradient_norm, learning_rate, objectives, .. } = event else { return vec![] };
    let each = |name: &'static str, of: fn(&ObjectiveLine) -> Option<f64>| {
        objectives.iter().filter_map(move |(kind, line)| Some((format!("{name}/{kind}"), of(line)?)))
    };
    let plain = [
        ("loss/total", *loss),
        ("gradient_norm", *gradient_norm),
        ("learning_rate", *learning_rate),
        ("records_per_second", timing.records_per_second),
    ];
    plain
        .into_iter()
        .map(|(name, value)| (name.to_string(), value))
        .chain(each("loss", |line| Some(line.loss)))
        .chain(each("accuracy", |line| line.accuracy))
        .collect()
}
