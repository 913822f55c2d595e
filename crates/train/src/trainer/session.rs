//! A run in progress.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::module::Module;
use ptu_data::{Loader, LoaderOptions, Preparation, TrainBatch, WeightedSource};
use ptu_metrics::Usage;
use ptu_model::weights::read_arrays;
use ptu_model::{Bundle, Learned, Model, TrainedOn};
use ptu_random::Key;

use super::pace::{TIMED, spoken};
use super::{Observer, Outcome, Plan, RunOptions};
use crate::batch::StepBatch;
use crate::card::card;
use crate::evaluate::{Gallery, Judged};
use crate::folder::{self, RunFolder};
use crate::gradients::Gradients;
use crate::log::{Event, Lines, ObjectiveLine, PoolLine, Timing};
use crate::objective::ObjectiveKind;
use crate::optimizer::Optimizer;
use crate::plan::StepPlan;
use crate::state::{self, Progress, Used};
use crate::step;
use crate::{Recipe, TrainError, cached, files, tensorboard};

/// Everything that a run holds.
pub(super) struct Session {
    /// Absent only while the optimizer moves it.
    pub model: Option<Model>,
    pub recipe: Recipe,
    pub options: RunOptions,
    pub loader: LoaderOptions,
    pub names: Vec<String>,
    pub sources: Vec<WeightedSource>,
    pub preparation: Preparation,
    pub validation: Option<Gallery>,
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

/// How the prompts were used since the last line about it.
pub(super) struct PromptUsage {
    image: Usage,
    text: Usage,
}

impl PromptUsage {
    /// Of a state, or of pools of so many rows of which nothing was used yet.
    pub fn of(saved: &[Used], rows: [usize; 2]) -> Self {
        let one = |place: usize| match saved.get(place) {
            Some(Used { counts, inputs, sets }) if counts.len() == rows[place] => {
                Usage::from_parts(counts.clone(), *inputs, sets.clone())
            }
            _ => Usage::new(rows[place]),
        };
        Self { image: one(0), text: one(1) }
    }

    /// For a state; nothing where nothing was used.
    fn to_save(&self) -> Vec<Used> {
        let used = |usage: &Usage| {
            let (counts, inputs, sets) = usage.parts();
            Used { counts: counts.to_vec(), inputs, sets }
        };
        let any = self.image.inputs() + self.text.inputs() > 0;
        if any { vec![used(&self.image), used(&self.text)] } else { vec![] }
    }
}

/// What the parts of one step gave together.
#[derive(Default)]
pub(super) struct Sum {
    outcome: step::Outcome,
    pub gradients: Gradients,
    sources: BTreeMap<String, u64>,
    unused: BTreeMap<String, u64>,
    ids: Vec<String>,
    records: usize,
}

impl Session {
    /// Tells how long the run will take; with a plan, what is left open of a new run's recipe is decided by that. From then on
    /// the folder is a run that can be resumed.
    pub fn begin(&mut self, plan: Option<Plan<'_>>, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let path = self.folder.join(folder::RECIPE);
        let (from, plan) = (self.progress.step, plan.filter(|_| !path.exists()));
        // Of few steps the first ones tell as soon.
        let timed = (self.recipe.train.steps.saturating_sub(from) / 10).min(TIMED);
        if plan.is_some() || timed > 0 {
            let pace = self.pace(timed.max(1), plan.is_some(), observer)?;
            match plan {
                Some(plan) => {
                    let (recipe, told) = plan(&pace, self.recipe.clone())?;
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

    /// Steps until the recipe's last one, or until the observer wants to stop.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        let steps = self.recipe.train.steps;
        let parts = self.recipe.train.accumulate as u64;
        if self.progress.step < steps {
            let range = self.progress.step * parts..steps * parts;
            let mut loader = Loader::start(&self.sources, self.preparation.clone(), self.loader.clone(), range)?;
            let plan = StepPlan::of(&self.recipe);
            let mut usage = PromptUsage::of(&self.progress.usage, self.pools());
            let (mut saved, most) = (Instant::now(), Duration::from_secs(self.recipe.train.save_every_seconds));
            while self.progress.step < steps {
                self.step(&mut loader, &plan, &mut usage, observer)?;
                let stop = observer.stop();
                let last = self.recipe.ends_at(self.progress.step);
                let due = last || self.progress.step.is_multiple_of(self.recipe.train.save_every);
                if due {
                    self.log_usage(&mut usage)?;
                }
                self.validate_if_due(last, observer)?;
                if due || stop || saved.elapsed() >= most {
                    self.save(&usage)?;
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
        Ok(bundle.save(folder, &card(&self.recipe, self.model().config(), &self.names, self.progress.step))?)
    }

    fn step(
        &mut self,
        loader: &mut Loader,
        plan: &StepPlan,
        usage: &mut PromptUsage,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let (start, step) = (Instant::now(), self.progress.step);
        let (sum, waiting) = self.accumulate(loader, plan, usage)?;
        let update = Instant::now();
        let (norms, total) = (sum.gradients.norms(), sum.outcome.total);
        let norm = norms.values().map(|norm| norm * norm).sum::<f64>().sqrt();
        let factor = self.recipe.rate_factor(step);
        let Sum { outcome, mut gradients, sources, unused, ids, records } = sum;
        if !(norm.is_finite() && total.is_finite()) {
            return self.skip((step, ids), usage, observer);
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
            objectives: outcome.objectives.iter().map(|(kind, measured)| (*kind, line(measured))).collect(),
            sources,
            unused,
            without_partner: outcome.without_partner as u64,
        };
        let timing = Timing {
            step,
            seconds,
            records_per_second: records as f64 / seconds,
            waiting: seconds_of(waiting),
            forward: outcome.objectives.iter().map(|(kind, measured)| (*kind, seconds_of(measured.forward))).collect(),
            backward: seconds_of(outcome.backward),
            update: seconds_of(update.elapsed()),
        };
        if step.is_multiple_of(self.recipe.train.log_every) || self.recipe.ends_at(step + 1) {
            let time = (self.options.wall_time)();
            let files = self.files();
            files.log.write(&event)?;
            files.timing.write(&timing)?;
            files.tensorboard.append(&tensorboard::scalars(time, step, &scalars(&event, &timing)))?;
        }
        observer.step(&event, &timing, self.recipe.train.steps);
        Ok(())
    }

    fn files(&mut self) -> &mut Files {
        self.files.as_mut().expect("opened before the first step")
    }

    /// Losses and gradients of a step, part by part.
    pub(super) fn accumulate(
        &mut self,
        loader: &mut Loader,
        plan: &StepPlan,
        usage: &mut PromptUsage,
    ) -> Result<(Sum, Duration), TrainError> {
        let parts = self.recipe.train.accumulate as u64;
        let (mut sum, mut waiting) = (Sum::default(), Duration::ZERO);
        let (seed, first) = (Key::new(self.recipe.seed), self.progress.step * parts);
        let key = |part| seed.at(first + part as u64);
        let mut batches = vec![];
        for part in 0..parts as usize {
            let start = Instant::now();
            let loaded = loader.next().transpose()?.ok_or_else(|| TrainError::Nothing {
                split: "train".into(),
                cause: "the loader ended before the run".into(),
            })?;
            waiting += start.elapsed();
            self.count(&loaded, &mut sum);
            let texts = loaded.batch.pair_texts.count() + loaded.batch.texts.count();
            self.drawn = [self.drawn[0] + texts as u64, self.drawn[1] + loaded.cut as u64];
            let batch = StepBatch::new(loaded);
            if self.recipe.train.cached_contrast {
                batches.push(batch);
                continue;
            }
            let (outcome, gradients) = step::gradients(self.model(), &batch, plan, key(part));
            sum.outcome.add(outcome);
            sum.gradients.add(gradients);
        }
        if self.recipe.train.cached_contrast {
            (sum.outcome, sum.gradients) = cached::gradients(self.model(), &batches, plan, key);
        } else if parts > 1 {
            sum.outcome.divide(parts);
            sum.gradients.scale(1.0 / parts as f32);
        }
        let chosen = &sum.outcome.chosen;
        chosen.image.iter().for_each(|rows| usage.image.add(rows));
        chosen.text.iter().for_each(|rows| usage.text.add(rows));
        Ok((sum, waiting))
    }

    fn count(&mut self, loaded: &TrainBatch, sum: &mut Sum) {
        if let Some(learned) = &mut self.learned {
            learned.images.extend(&loaded.image_hashes);
            learned.texts.extend(&loaded.own_texts);
        }
        for &source in &loaded.sources {
            *sum.sources.entry(self.names[source].clone()).or_default() += 1;
        }
        for (&source, &count) in &loaded.unusable {
            *sum.unused.entry(self.names[source].clone()).or_default() += count as u64;
        }
        let alone = loaded.batch.images.count;
        if alone > 0 {
            *sum.unused.entry("images alone".into()).or_default() += alone as u64;
        }
        sum.records += loaded.len();
        sum.ids.extend(loaded.ids.iter().cloned());
    }

    /// A step that would have spoilt the weights: it is not taken, its records are written down.
    fn skip(
        &mut self,
        (step, ids): (u64, Vec<String>),
        usage: &PromptUsage,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        self.progress.step += 1;
        self.progress.bad_steps += 1;
        observer.note(&format!("step {step} was not taken: its loss or gradient is not finite"));
        self.files().log.write(&Event::Skipped { step, ids })?;
        if self.progress.bad_steps >= self.recipe.train.bad_steps {
            self.save(usage)?;
            let path = self.folder.path().into();
            return Err(TrainError::NotFinite { steps: self.progress.bad_steps, step, path });
        }
        Ok(())
    }

    /// Rows of the prompts that stand in for images, and for texts.
    pub(super) fn pools(&self) -> [usize; 2] {
        let config = self.model().config();
        [config.image_prompts.rows(), config.text_prompts.rows()]
    }

    fn log_usage(&mut self, usage: &mut PromptUsage) -> Result<(), TrainError> {
        let [images, texts] = self.pools();
        let used = std::mem::replace(usage, PromptUsage::of(&[], [images, texts]));
        let (image, text) = (pool_line(&used.image, images), pool_line(&used.text, texts));
        if image.inputs + text.inputs > 0 {
            let step = self.progress.step;
            self.files().log.write(&Event::Prompts { step, image, text })?;
        }
        Ok(())
    }

    /// Scores the validation pairs where it is due, and keeps the best model.
    fn validate_if_due(&mut self, last: bool, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let every = self.recipe.train.validate_every;
        let Some(gallery) = &self.validation else { return Ok(()) };
        let step = self.progress.step;
        if every == 0 || !(last || step.is_multiple_of(every)) {
            return Ok(());
        }
        let judged = Judged::of(&self.model().valid(), gallery, Key::new(self.recipe.seed))?;
        let score = judged.value();
        let best = score > self.progress.best;
        observer.validated(step, &judged);
        self.files().log.write(&Event::Validation { step, judged, best })?;
        if best {
            self.progress.best = score;
            self.save_bundle(&self.folder.join(folder::BEST))?;
        }
        Ok(())
    }

    fn save(&mut self, usage: &PromptUsage) -> Result<(), TrainError> {
        self.progress.usage = usage.to_save();
        let files = self.files();
        let lengths = [files.log.sync()?, files.timing.sync()?, files.tensorboard.sync()?];
        [self.progress.log, self.progress.timing, self.progress.tensorboard] = lengths;
        let (folder, learned) = (self.folder.join(folder::STATE), self.learned.as_ref());
        state::save(&folder, self.model(), &self.optimizer, &self.progress, learned)
    }
}

fn line(measured: &step::Measured) -> ObjectiveLine {
    let accuracy = measured.right as f64 / measured.scored as f64;
    ObjectiveLine { loss: measured.loss, accuracy, scored: measured.scored }
}

fn pool_line(usage: &Usage, size: usize) -> PoolLine {
    PoolLine {
        size,
        inputs: usage.inputs(),
        share_chosen: usage.share_chosen(),
        entropy_bits: usage.entropy_bits(),
        sets_per_thousand: usage.sets_per_thousand(),
        most_used: usage.most_used(20),
    }
}

/// What TensorBoard shows of a step.
fn scalars(event: &Event, timing: &Timing) -> Vec<(String, f64)> {
    let Event::Step { loss, gradient_norm, learning_rate, objectives, .. } = event else { return vec![] };
    let each = |name: &'static str, of: fn(&ObjectiveLine) -> f64| {
        objectives.iter().map(move |(kind, line): (&ObjectiveKind, _)| (format!("{name}/{kind}"), of(line)))
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
        .chain(each("loss", |line| line.loss))
        .chain(each("accuracy", |line| line.accuracy))
        .collect()
}
