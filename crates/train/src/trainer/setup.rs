//! From a recipe to a session: folder, data, tokenizer, model, state.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use ptu_data::{LoaderOptions, Preparation, Rank, ShardFolder, Source, Split, WeightedSource};
use ptu_input::{Preprocess, Published, Slot, Tokenizer};
use ptu_kernels::ComputePrecision;
use ptu_model::{Learned, Model};
use ptu_random::Key;

use super::session::Session;
use super::{Observer, RunOptions, agree};
use crate::folder::{self, RunFolder};
use crate::optimizer::Optimizer;
use crate::recipe::Precision;
use crate::state::{self, Progress, Saved};
use crate::task::{Task, TrainingData};
use crate::{Recipe, TrainError, files, memory};

/// Records of each source that a tokenizer is trained on, at most: a vocabulary of thousands does not change beyond.
const TOKENIZER_RECORDS: usize = 100_000;

/// Records of each source, and tokens of a text, in which a word is looked for that a tokenizer knows.
const WORDS_RECORDS: usize = 1000;
const WORDS_TOKENS: usize = 512;

/// Opens or reopens a run.
pub(super) fn open<'a>(
    task: &'a mut dyn Task,
    recipe: &Recipe,
    options: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<Session<'a>, TrainError> {
    let recipe = &recipe.clone().from_anywhere()?;
    let sources = sources(recipe)?;
    task.check(recipe, &sources, &mut |text| observer.note(text))?;
    let folder = RunFolder::open(&options.out, options.resume)?;
    let recipe = &agree::with_folder(recipe, &folder, observer)?;
    let tokenizer = Arc::new(tokenizer(recipe, &folder, &sources, observer)?);
    let (special, vocabulary) = (tokenizer.special(), tokenizer.vocabulary_size());
    let config = recipe.model_config(vocabulary, [special.start, special.end, special.pad], &task.heads())?;
    if recipe.text.max_tokens > config.text.longest() {
        let cause = format!("is {}; the model has positions for {}", recipe.text.max_tokens, config.text.longest());
        let (path, key) = (options.out.join(folder::RECIPE), "text.max_tokens".to_string());
        return Err(crate::RecipeError::Value { path, key, cause }.into());
    }
    if options.device.clone().inner() == Device::flex() {
        memory::check(&task.objectives(), recipe, &config)?;
    }
    let preprocess = Preprocess::new(config.image.size, recipe.fit, recipe.augment);
    let preparation = Preparation {
        unit: recipe.text.unit,
        word_keep: recipe.text.word_keep,
        ..Preparation::new(tokenizer, preprocess, recipe.text.max_tokens)
    };
    let data: Vec<String> = sources.iter().map(|source| source.manifest.hash()).collect();
    let saved = state::load(&folder.join(folder::STATE), &config, recipe.optimizer, &options.device)?;
    let Saved { model, optimizer, progress, learned } = match saved {
        Some(saved) => {
            agree::on_data(recipe, &saved.progress.data, &data, &options.out)?;
            observer.note(&format!("going on after step {}", saved.progress.step));
            saved
        }
        None => {
            let progress = Progress { data, ..Progress::default() };
            let model = Model::new(&config, Key::new(recipe.seed), &options.device)?;
            let learned = Some(Learned::default());
            Saved { model, optimizer: Optimizer::new(recipe.optimizer), progress, learned }
        }
    };
    let learns_from_images = task.learns_from(Slot::Image(0));
    describe(recipe, &sources, learns_from_images, observer);
    observer.note(&format!("{} weights, {vocabulary} tokens", model.num_params()));
    task.prepare(recipe, &model, &preparation)?;
    task.restore(&progress.task);
    Ok(Session {
        task,
        model: Some(model),
        recipe: recipe.clone(),
        options: options.clone(),
        loader: loader(recipe),
        names: sources.iter().map(|source| source.source.source.name().to_string()).collect(),
        sources: sources.into_iter().map(|source| source.source).collect(),
        preparation,
        optimizer,
        progress,
        learned,
        files: None,
        folder,
        drawn: [0, 0],
    })
}

/// How batches are drawn and made.
fn loader(recipe: &Recipe) -> LoaderOptions {
    let some = |count: usize| NonZeroUsize::new(count).expect("the recipe's check asks for at least 1");
    LoaderOptions {
        seed: recipe.seed,
        batch: some(recipe.train.batch / recipe.train.accumulate),
        rank: Rank::ALONE,
        run: recipe.draws_in_a_row(),
        workers: some(recipe.train.workers),
        ahead: some(2 * recipe.train.workers),
    }
}

fn sources(recipe: &Recipe) -> Result<Vec<TrainingData>, TrainError> {
    let mut opened = vec![];
    for entry in &recipe.data {
        let shards = ShardFolder::open(&entry.path, Split::Train)?;
        if shards.len() == 0 {
            let cause = format!("`{}` has no record there", entry.path.display());
            return Err(TrainError::Nothing { split: Split::Train.to_string(), cause });
        }
        let manifest = shards.manifest().clone();
        opened
            .push(TrainingData { source: WeightedSource { source: Arc::new(shards), weight: entry.weight }, manifest });
    }
    Ok(opened)
}

/// Refuses a tokenizer to which every word of the data is unknown.
fn check_words(tokenizer: &Tokenizer, path: &Path, sources: &[TrainingData]) -> Result<(), TrainError> {
    let (special, mut example) = (tokenizer.special(), None);
    for source in sources.iter().map(|source| &source.source.source) {
        for index in 0..source.len().min(WORDS_RECORDS) {
            for text in source.get(index)?.texts {
                let tokens = tokenizer.encode(&text, WORDS_TOKENS)?;
                let mut words = tokens.ids.iter().zip(&tokens.words).filter(|(_, word)| word.is_some());
                if words.any(|(id, _)| *id != special.unknown) {
                    return Ok(());
                }
                example = example.or((tokens.words.iter().any(Option::is_some)).then_some(text));
            }
        }
    }
    match example {
        Some(text) => Err(TrainError::Unknown { path: path.into(), example: text.chars().take(60).collect() }),
        None => Ok(()),
    }
}

/// The run's tokenizer: what it started with, or the recipe's, or one trained on the texts.
fn tokenizer(
    recipe: &Recipe,
    folder: &RunFolder,
    sources: &[TrainingData],
    observer: &mut dyn Observer,
) -> Result<Tokenizer, TrainError> {
    let kept = folder.join(folder::TOKENIZER);
    // Only with the recipe, which is written behind it, does it belong to this run.
    if kept.exists() && folder.join(folder::RECIPE).exists() {
        return Ok(Tokenizer::from_file(&kept)?);
    }
    let tokenizer = match &recipe.text.tokenizer {
        Some(path) => {
            let tokenizer = published(path, recipe.text.max_tokens, observer)?;
            check_words(&tokenizer, path, sources)?;
            tokenizer
        }
        None => {
            observer.note("training a tokenizer on the texts");
            let mut texts = vec![];
            for source in sources {
                let records = &source.source.source;
                for index in 0..records.len().min(TOKENIZER_RECORDS) {
                    texts.extend(records.get(index)?.texts);
                }
            }
            Tokenizer::train(texts.iter().map(String::as_str), recipe.text.vocabulary)?
        }
    };
    files::write_bytes(&kept, tokenizer.to_json()?.as_bytes())?;
    Ok(tokenizer)
}

/// The tokenizer of a folder, with what is to be told about it.
fn published(folder: &Path, max_tokens: usize, observer: &mut dyn Observer) -> Result<Tokenizer, TrainError> {
    let Published { tokenizer, notes, max_tokens: longest } = Tokenizer::from_folder(folder)?;
    for note in notes {
        observer.note(&format!("tokenizer `{}`: {note}", folder.display()));
    }
    if let Some(longest) = longest.filter(|&longest| longest < max_tokens) {
        observer.note(&format!(
            "tokenizer `{}`: its model was made for texts of at most {longest} tokens; `text.max_tokens` is {max_tokens}",
            folder.display()
        ));
    }
    Ok(tokenizer)
}

fn describe(recipe: &Recipe, sources: &[TrainingData], learns_from_images: bool, observer: &mut dyn Observer) {
    for (entry, source) in recipe.data.iter().zip(sources) {
        let counts = source.manifest.counts(Split::Train);
        observer.note(&format!(
            "{}: {} pairs, {} images alone, {} texts alone, weight {}",
            source.source.source.name(),
            counts.pairs,
            counts.images_only,
            counts.texts_only,
            entry.weight
        ));
        if counts.images_only > 0 && !learns_from_images {
            observer.note(&format!(
                "{} images without a text are not used in training: no objective learns from them yet",
                counts.images_only
            ));
        }
    }
    match (recipe.train.precision, recipe.train.precision.products()) {
        (_, ComputePrecision::Bf16(_)) => observer.note("products in bf16 by AMX"),
        (Precision::Bf16, ComputePrecision::F32) => {
            observer.note("products in f32: this processor has no tiles of bf16 (AMX)")
        }
        (Precision::F32 | Precision::Auto, ComputePrecision::F32) => {}
    }
}
