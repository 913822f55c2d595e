//! From a recipe to a session: folder, data, tokenizer, model, state.

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use ptu_data::{LoaderOptions, Manifest, Preparation, Rank, ShardFolder, Source, Split, WeightedSource};
use ptu_input::{Preprocess, Published, Tokenizer};
use ptu_model::Model;
use ptu_model::kernel::Products;
use ptu_random::Key;

use super::session::{Files, Session};
use super::{Observer, RunOptions};
use crate::evaluate::{Gallery, GalleryOptions};
use crate::folder::{self, RunFolder};
use crate::log::Lines;
use crate::optimizer::Optimizer;
use crate::recipe::{Mixing, Precision};
use crate::state::{self, Progress};
use crate::{Recipe, TrainError, files, memory, tensorboard};

/// Records of each source that a tokenizer is trained on, at most: a vocabulary of thousands does not change beyond.
const TOKENIZER_RECORDS: usize = 100_000;

/// Opens or reopens a run.
pub(super) fn open(recipe: &Recipe, options: &RunOptions, observer: &mut dyn Observer) -> Result<Session, TrainError> {
    let sources = sources(recipe)?;
    let folder = RunFolder::open(&options.out, options.resume)?;
    compare_recipe(recipe, &folder)?;
    let tokenizer = Arc::new(tokenizer(recipe, &folder, &sources, observer)?);
    let special = tokenizer.special();
    let config = recipe.model_config(tokenizer.vocabulary_size(), [special.start, special.end, special.pad])?;
    if recipe.text.max_tokens > config.text.longest() {
        let cause = format!("is {}; the model has positions for {}", recipe.text.max_tokens, config.text.longest());
        let (path, key) = (options.out.join(folder::RECIPE), "text.max_tokens".to_string());
        return Err(crate::RecipeError::Value { path, key, cause }.into());
    }
    if options.device.clone().inner() == Device::flex() {
        memory::check(recipe, &config)?;
    }
    let preprocess = Preprocess::new(config.image.size, recipe.fit, recipe.augment);
    let preparation = Preparation {
        unit: recipe.text.unit,
        word_keep: recipe.text.word_keep,
        ..Preparation::new(Arc::clone(&tokenizer), preprocess.clone(), recipe.text.max_tokens)
    };
    let data: Vec<String> = sources.iter().map(|source| source.manifest.hash()).collect();
    // Written last of what a run starts with: a folder that has it can be resumed.
    files::write_bytes(&folder.join(folder::RECIPE), recipe.to_toml().as_bytes())?;

    let saved = state::load(&folder.join(folder::STATE), &config, recipe.optimizer, &options.device)?;
    let (model, optimizer, progress) = match saved {
        Some((model, optimizer, progress)) => {
            compare_data(recipe, &progress.data, &data, &options.out)?;
            observer.note(&format!("going on after step {}", progress.step));
            (model, optimizer, progress)
        }
        None => {
            let progress =
                Progress { step: 0, log: 0, timing: 0, tensorboard: 0, best: None, bad_steps: 0, data, usage: vec![] };
            (Model::new(&config, Key::new(recipe.seed), &options.device)?, Optimizer::new(recipe.optimizer), progress)
        }
    };
    describe(recipe, &sources, &model, tokenizer.vocabulary_size(), observer);
    let validation = validation(recipe, &preparation)?;
    let files = open_files(&folder, &progress, options)?;
    let some = |count: usize| NonZeroUsize::new(count).expect("the recipe's check asks for at least 1");
    Ok(Session {
        model: Some(model),
        config,
        tokenizer: (*tokenizer).clone(),
        preprocess,
        recipe: recipe.clone(),
        options: options.clone(),
        loader: LoaderOptions {
            seed: recipe.seed,
            batch: some(recipe.train.batch / recipe.train.accumulate),
            rank: Rank::ALONE,
            run: match recipe.train.mixing {
                Mixing::Records => NonZeroU64::MIN,
                Mixing::Batches => some(recipe.train.batch).try_into().expect("a usize fits in a u64"),
            },
            workers: some(recipe.train.workers),
            ahead: some(2 * recipe.train.workers),
        },
        names: sources.iter().map(|source| source.source.source.name().to_string()).collect(),
        sources: sources.into_iter().map(|source| source.source).collect(),
        preparation,
        validation,
        optimizer,
        progress,
        files,
        folder,
        drawn: [0, 0],
    })
}

/// A folder of shards as a recipe names it.
struct Opened {
    source: WeightedSource,
    manifest: Manifest,
}

fn sources(recipe: &Recipe) -> Result<Vec<Opened>, TrainError> {
    let mut opened = vec![];
    for entry in &recipe.data {
        let shards = ShardFolder::open(&entry.path, Split::Train)?;
        if shards.len() == 0 {
            let cause = format!("`{}` has no record there", entry.path.display());
            return Err(TrainError::Nothing { split: Split::Train.to_string(), cause });
        }
        let manifest = shards.manifest().clone();
        opened.push(Opened { source: WeightedSource { source: Arc::new(shards), weight: entry.weight }, manifest });
    }
    Ok(opened)
}

/// A run that was started with another recipe cannot go on with this one.
fn compare_recipe(recipe: &Recipe, folder: &RunFolder) -> Result<(), TrainError> {
    let path = folder.join(folder::RECIPE);
    if !path.exists() {
        return Ok(());
    }
    let started = Recipe::load(&path, &[])?;
    let differs = differences(&started, recipe);
    if differs.is_empty() {
        return Ok(());
    }
    Err(TrainError::Differs {
        path: folder.path().into(),
        cause: format!("the recipe differs in {}", differs.join(", ")),
    })
}

/// Keys whose values differ, with both values.
fn differences(started: &Recipe, now: &Recipe) -> Vec<String> {
    let flat = |recipe: &Recipe| {
        let mut values = BTreeMap::new();
        let table = toml::Table::try_from(recipe).expect("a recipe is a table");
        flatten("", &toml::Value::Table(table), &mut values);
        values
    };
    let (started, now) = (flat(started), flat(now));
    let keys: std::collections::BTreeSet<&String> = started.keys().chain(now.keys()).collect();
    let none = "nothing".to_string();
    keys.into_iter()
        .filter(|key| started.get(*key) != now.get(*key))
        .map(|key| format!("`{key}` ({}, now {})", started.get(key).unwrap_or(&none), now.get(key).unwrap_or(&none)))
        .collect()
}

fn flatten(prefix: &str, value: &toml::Value, into: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let dot = if prefix.is_empty() { "" } else { "." };
                flatten(&format!("{prefix}{dot}{key}"), value, into);
            }
        }
        value => {
            into.insert(prefix.into(), value.to_string());
        }
    }
}

fn compare_data(recipe: &Recipe, started: &[String], now: &[String], out: &Path) -> Result<(), TrainError> {
    for (entry, (started, now)) in recipe.data.iter().zip(started.iter().zip(now)) {
        if started != now {
            let cause = format!("the data in `{}` is not what it was started with", entry.path.display());
            return Err(TrainError::Differs { path: out.into(), cause });
        }
    }
    Ok(())
}

/// The run's tokenizer: what it started with, or the recipe's, or one trained on the texts.
fn tokenizer(
    recipe: &Recipe,
    folder: &RunFolder,
    sources: &[Opened],
    observer: &mut dyn Observer,
) -> Result<Tokenizer, TrainError> {
    let kept = folder.join(folder::TOKENIZER);
    // Only with the recipe, which is written behind it, does it belong to this run.
    if kept.exists() && folder.join(folder::RECIPE).exists() {
        return Ok(Tokenizer::from_file(&kept)?);
    }
    let tokenizer = match &recipe.text.tokenizer {
        Some(path) => published(path, recipe.text.max_tokens, observer)?,
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

/// Pairs of the validation splits; `None` where there are none or no validation is asked for.
fn validation(recipe: &Recipe, preparation: &Preparation) -> Result<Option<Gallery>, TrainError> {
    if recipe.train.validate_every == 0 {
        return Ok(None);
    }
    let mut all: Option<Gallery> = None;
    for entry in &recipe.data {
        let shards = ShardFolder::open(&entry.path, Split::Validate)?;
        let options = GalleryOptions {
            text: recipe.evaluate.text.choice(recipe.seed),
            limit: recipe.evaluate.gallery,
            hits: recipe.evaluate.hits.clone(),
            by: None,
            seed: recipe.seed,
        };
        match Gallery::read(&shards, preparation, &options) {
            Ok(gallery) => match &mut all {
                Some(all) => all.records.extend(gallery.records),
                None => all = Some(gallery),
            },
            Err(TrainError::Nothing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn describe(recipe: &Recipe, sources: &[Opened], model: &Model, vocabulary: usize, observer: &mut dyn Observer) {
    use burn::module::Module;
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
        if counts.images_only > 0 {
            observer.note(&format!(
                "{} images alone are drawn and passed over: no objective uses them yet",
                counts.images_only
            ));
        }
    }
    observer.note(&format!("{} weights, {vocabulary} tokens", model.num_params()));
    match (recipe.train.precision, recipe.train.precision.products()) {
        (_, Products::Bf16(_)) => observer.note("products in bf16 by AMX"),
        (Precision::Bf16, Products::F32) => observer.note("products in f32: this processor has no tiles of bf16 (AMX)"),
        (Precision::F32 | Precision::Auto, Products::F32) => {}
    }
}

fn open_files(folder: &RunFolder, progress: &Progress, options: &RunOptions) -> Result<Files, TrainError> {
    let events = folder.join(folder::TENSORBOARD);
    std::fs::create_dir_all(&events).map_err(|source| TrainError::File {
        action: "make",
        path: events.clone(),
        source,
    })?;
    let mut tensorboard = Lines::open(&events.join("events.out.tfevents.0.ptunifier"), progress.tensorboard)?;
    if progress.tensorboard == 0 {
        tensorboard.append(&tensorboard::header((options.wall_time)()))?;
    }
    Ok(Files {
        log: Lines::open(&folder.join(folder::LOG), progress.log)?,
        timing: Lines::open(&folder.join(folder::TIMING), progress.timing)?,
        tensorboard,
    })
}
