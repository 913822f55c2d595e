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

use super::pace::{Pace, spoken};
use super::{Observer, Opened, Outcome, Plan, RunOptions};
use crate::card::card;
use crate::folder::{self, RunFolder};
use crate::gradients::Gradients;
use crate::log::{Event, Lines, ObjectiveLine, Timing};
use crate::optimizer::Optimizer;
use crate::state::{self, Progress};
use crate::step::{self, Parts, StepConfig};
use crate::task::{Task, Validated};
use crate::{Recipe, TrainError, files, tensorboard};

/// Steps that are timed, at most; the first is slower than those behind it, and counts only where it is alone.
const TIMED: u64 = 3;
/// Everything that a run holds.
pub(super) struct Session<'t> {
    pub task: &'t mut dyn Task,
    /// Absent only while the optimizer moves it.
    pub model: Option<Model>,
    pub recipe: Recipe,
    pub options: RunOptions,
    pub loader: LoaderOptions,
    pub names: Vec<String>,
    pub sources: Vec<WeightedSource>,
    pub preparation: Preparation,
    pub optimizer: Optimizer,
    pub progress: Progress,
    /// Opened once the recipe is written.
    pub files: Option<Files>,
    /// Hashes of what was learned from so far; `None` where the run began under a version that kept none.
    pub learned: Option<Learned>,
    pub folder: RunFolder,
    /// Texts that were drawn, and those of them of which only the beginning was taken.
    pub drawn: [u64; 2],
}

/// Files that grow by a line a step.
pub(super) struct Files {
    pub log: Lines,
    pub timing: Lines,
    pub tensorboard: Lines,
}

impl Files {
    /// As long as a saved state knows them.
    fn open(folder: &RunFolder, progress: &Progress, options: &RunOptions) -> Result<Self, TrainError> {
        let events = folder.join(folder::TENSORBOARD);
        let error = |source| TrainError::File { action: "make", path: events.clone(), source };
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

/// What the batches of one step held.
#[derive(Default)]
pub(super) struct Held {
    sources: BTreeMap<String, u64>,
    unused: BTreeMap<String, u64>,
    ids: Vec<String>,
    records: usize,
    /// Texts, and those of them of which only the beginning was taken.
    drawn: [u64; 2],
    /// Hashes of images and of texts.
    learned: [Vec<u64>; 2],
    /// Time spent waiting for the loader.
    waiting: Duration,
}

impl Held {
    /// Counts a batch. Nothing is learned from records whose slot is not in `learns`.
    fn add(&mut self, batch: &TrainBatch, names: &[String], learns: &dyn Fn(Slot) -> bool) {
        for (one, slot) in batch.records.iter().zip(&batch.batch.order) {
            *self.sources.entry(names[one.source].clone()).or_default() += 1;
            self.ids.push(one.record.id.clone());
            if learns(*slot) {
                self.learned[0].extend(one.image_hash);
                self.learned[1].extend(&one.own_texts);
            } else {
                *self.unused.entry(kind_of(*slot).into()).or_default() += 1;
            }
        }
        for (&source, &count) in &batch.unusable {
            *self.unused.entry(names[source].clone()).or_default() += count as u64;
        }
        self.records += batch.len();
        self.drawn[0] += batch.texts() as u64;
        self.drawn[1] += batch.cut as u64;
    }
}

/// What records are called in the log of which nothing is learned.
fn kind_of(slot: Slot) -> &'static str {
    match slot {
        Slot::Pair(_) => "pairs",
        Slot::Image(_) => "images alone",
        Slot::Text(_) => "texts alone",
    }
}

impl Session<'_> {
    /// Tells how long the run will take; with a plan, what is left open of a new run's recipe is decided by that. From then on
    /// the folder is a run that can be resumed.
    pub fn begin(&mut self, plan: Option<Plan<'_>>, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let path = self.folder.join(folder::RECIPE);
        let (from, plan) = (self.progress.step, plan.filter(|_| !path.exists()));
        // Of few steps the first ones tell as soon.
        let timed = (self.recipe.train.steps.saturating_sub(from) / 10).min(TIMED);
        if plan.is_some() || timed > 0 {
            let pace = self.pace(timed.max(1), observer)?;
            match plan {
                Some(plan) => {
                    let (recipe, told) = plan(&self.opened(pace))?;
                    self.recipe = recipe.from_anywhere()?;
                    observer.note(&told);
                }
                None => observer.note(&format!(
                    "{} steps of about {:.2} s: {}",
                    self.recipe.train.steps - from,
                    pace.step,
                    spoken(pace.training(&self.recipe, from))
                )),
            }
            observer.paced(&pace);
        }
        // Written last of what a run starts with: a folder that has it can be resumed.
        files::write_bytes(&path, self.recipe.to_toml().as_bytes())?;
        self.files = Some(Files::open(&self.folder, &self.progress, &self.options)?);
        Ok(())
    }

    fn opened(&self, pace: Pace) -> Opened<'_> {
        let Self { recipe, preparation, sources, .. } = self;
        Opened { pace, recipe, model: self.model(), preparation, sources }
    }

    /// Steps until the recipe's last one, or until the observer wants to stop.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        let steps = self.recipe.train.steps;
        let parts = self.recipe.train.accumulate as u64;
        if self.progress.step < steps {
            let range = self.progress.step * parts..steps * parts;
            let mut loader = Loader::start(&self.sources, self.preparation.clone(), self.loader.clone(), range)?;
            let config = StepConfig::of(&self.recipe);
            let (mut saved, most) = (Instant::now(), Duration::from_secs(self.recipe.train.save_every_seconds));
            while self.progress.step < steps {
                self.step(&mut loader, &config, observer)?;
                let stop = observer.stop();
                let last = self.recipe.ends_at(self.progress.step);
                let due = last || self.progress.step.is_multiple_of(self.recipe.train.save_every);
                if due {
                    self.log_task()?;
                }
                self.validate_if_due(last, observer)?;
                if due || stop || saved.elapsed() >= most {
                    self.save()?;
                    saved = Instant::now();
                }
                if stop {
                    break;
                }
            }
        }
        let [drawn, cut] = self.drawn;
        if cut > 0 {
            let limit = self.recipe.text.max_tokens;
            observer.note(&format!(
                "{cut} of {drawn} texts that were drawn have more than `text.max_tokens` ({limit}) tokens: only the beginning \
                 of each was learned from"
            ));
        }
        let finished = self.progress.step == steps;
        let bundle = self.folder.join(folder::BUNDLE);
        if !(finished && self.is_saved(&bundle)) {
            self.save_bundle(&bundle)?;
        }
        Ok(Outcome { steps: self.progress.step, finished, bundle })
    }

    pub(super) fn model(&self) -> &Model {
        self.model.as_ref().expect("absent only while the optimizer moves it")
    }

    /// Whether a bundle holds the weights of the state; a run may have been killed between the two.
    fn is_saved(&self, bundle: &Path) -> bool {
        let weights = bundle.join(ptu_model::WEIGHTS);
        read_arrays(&weights).is_ok_and(|arrays| arrays == self.model().to_arrays())
    }

    fn save_bundle(&self, folder: &Path) -> Result<(), TrainError> {
        let bundle = Bundle {
            model: self.model().clone(),
            tokenizer: Arc::clone(&self.preparation.processor.tokenizer),
            preprocess: self.preparation.preprocess(),
            max_tokens: self.recipe.text.max_tokens,
            trained_on: self
                .names
                .iter()
                .zip(&self.progress.data)
                .map(|(source, manifest)| TrainedOn { source: source.clone(), manifest: manifest.clone() })
                .collect(),
            learned: self.learned.clone(),
        };
        let objectives: Vec<String> = self.task.objectives().into_iter().map(|one| one.name).collect();
        Ok(bundle.save(folder, &card(&self.recipe, &objectives, &bundle, self.progress.step))?)
    }

    fn step(
        &mut self,
        loader: &mut Loader,
        config: &StepConfig,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let (start, step) = (Instant::now(), self.progress.step);
        let (outcome, mut gradients, held) = self.compute(loader, config)?;
        let update = Instant::now();
        self.learn(&held);
        let (norms, total) = (gradients.norms(), outcome.total);
        let norm = norms.values().map(|norm| norm * norm).sum::<f64>().sqrt();
        let factor = self.recipe.rate_factor(step);
        if !(norm.is_finite() && total.is_finite()) {
            return self.skip(step, held.ids, observer);
        }
        if let Some(clip) = self.recipe.optimizer.clip.filter(|clip| norm > *clip) {
            gradients.scale((clip / norm) as f32);
        }
        let model = self.model.take().expect("absent only while the optimizer moves it");
        self.model = Some(self.optimizer.step(model, &gradients, factor));
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
            objectives: outcome.objectives.iter().map(|(name, measured)| (name.clone(), line(measured))).collect(),
            sources: held.sources,
            unused: held.unused,
            counts: outcome.counts.into_iter().filter(|(_, count)| *count > 0).collect(),
        };
        let timing = Timing {
            step,
            seconds,
            records_per_second: held.records as f64 / seconds,
            waiting: seconds_of(held.waiting),
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

    /// Keeps what the batches of a step held: what the model knows, and how many texts were cut.
    fn learn(&mut self, held: &Held) {
        if let Some(learned) = &mut self.learned {
            let [images, texts] = &held.learned;
            learned.images.extend(images);
            learned.texts.extend(texts);
        }
        self.drawn = [self.drawn[0] + held.drawn[0], self.drawn[1] + held.drawn[1]];
    }

    fn files(&mut self) -> &mut Files {
        self.files.as_mut().expect("opened before the first step")
    }

    /// Losses and gradients of the next step, and what its batches held.
    pub(super) fn compute(
        &mut self,
        loader: &mut Loader,
        config: &StepConfig,
    ) -> Result<(step::Outcome, Gradients, Held), TrainError> {
        let (parts, seed) = (self.recipe.train.accumulate as u64, Key::new(self.recipe.seed));
        let mut at = self.progress.step * parts;
        // Asked before: the task is at work while its parts are counted.
        let [pairs, images, texts] =
            [Slot::Pair(0), Slot::Image(0), Slot::Text(0)].map(|slot| self.task.learns_from(slot));
        let learns = |slot| match slot {
            Slot::Pair(_) => pairs,
            Slot::Image(_) => images,
            Slot::Text(_) => texts,
        };
        let (mut held, names) = (Held::default(), &self.names);
        let mut next = || {
            let start = Instant::now();
            let batch = loader.next().transpose()?.ok_or_else(|| TrainError::Nothing {
                split: "train".into(),
                cause: "the loader ended before the run".into(),
            })?;
            held.waiting += start.elapsed();
            held.add(&batch, names, &learns);
            at += 1;
            Ok((batch, seed.at(at - 1)))
        };
        let model = self.model.as_ref().expect("absent only while the optimizer moves it");
        let (outcome, gradients) = self.task.step(model, &mut Parts::new(parts, &mut next), config)?;
        Ok((outcome, gradients, held))
    }

    /// A step that would have spoilt the weights: it is not taken, its records are written down.
    fn skip(&mut self, step: u64, ids: Vec<String>, observer: &mut dyn Observer) -> Result<(), TrainError> {
        self.progress.step += 1;
        self.progress.bad_steps += 1;
        observer.note(&format!("step {step} was not taken: its loss or gradient is not finite"));
        self.write(&Event::Skipped { step, ids })?;
        if self.progress.bad_steps >= self.recipe.train.bad_steps {
            self.save()?;
            let path = self.folder.path().into();
            return Err(TrainError::NotFinite { steps: self.progress.bad_steps, step, path });
        }
        Ok(())
    }

    /// Lets the task tell what it counted.
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

    /// Judges the model where it is due, and keeps the best one.
    fn validate_if_due(&mut self, last: bool, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let every = self.recipe.train.validate_every;
        let Some(validator) = self.task.validator() else { return Ok(()) };
        let step = self.progress.step;
        if every == 0 || !(last || step.is_multiple_of(every)) {
            return Ok(());
        }
        let found = validator.validate(&self.model().valid(), Key::new(self.recipe.seed))?;
        let best = found.value > self.progress.best;
        observer.validated(step, &found);
        let Validated { value, fields, .. } = found;
        self.write(&Event::Validation { step, fields, best })?;
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

fn line(measured: &step::Measured) -> ObjectiveLine {
    let accuracy = (measured.scored > 0).then(|| measured.right as f64 / measured.scored as f64);
    ObjectiveLine { loss: measured.loss, accuracy, scored: measured.scored }
}

/// What TensorBoard shows of a step.
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
