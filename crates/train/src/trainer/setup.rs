//! Opens a training session for a recipe: run folder, data, tokenizer, model and saved state.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use ptu_data::{LoaderOptions, Preparation, Rank, ShardFolder, Source, Split, WeightedSource};
use ptu_input::{Published, Slot, Tokenizer};
use ptu_kernels::ComputePrecision;
use ptu_model::names::Name;
use ptu_model::{Model, ModelConfig, WeightVisitor};
use ptu_random::Key;

use super::session::{Session, TextCounts};
use super::standardise::standardised;
use super::{Observer, RunOptions, resume};
use crate::folder::{self, RunFolder};
use crate::recipe::Precision;
use crate::start::Start;
use crate::state::{self, SavedState};
use crate::task::{Task, TrainingData};
use crate::{Recipe, RecipeError, TrainError, files, memory};

/// Maximal number of records of each source that a tokenizer is trained on. More records would not change a vocabulary of a few
/// thousand entries.
const TOKENIZER_RECORDS: usize = 100_000;

/// Maximal number of records of each source in which the check of a tokenizer searches a word that the tokenizer knows.
const CHECKED_RECORDS: usize = 1000;
/// Maximal number of tokens of each text that this check reads.
const CHECKED_TOKENS: usize = 512;

/// Opens a new run, or one that is resumed.
pub(super) fn open<'a>(
    task: &'a mut dyn Task,
    recipe: &Recipe,
    options: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<Session<'a>, TrainError> {
    let recipe = &recipe.clone().from_anywhere()?;
    let mut sources = sources(recipe)?;
    task.open(recipe, &mut sources, &mut |text| observer.note(text))?;
    let recipe = &recipe.clone().with_steps(sources.iter().map(|one| one.source.source.len()).sum());
    task.check(recipe, &sources, &mut |text| observer.note(text))?;
    let folder = RunFolder::open(&options.out, options.resume)?;
    let recipe = &resume::recipe_to_continue(recipe, &folder, observer)?;
    let mut start = Start::open(recipe, &folder)?;
    let tokenizer = Arc::new(tokenizer(recipe, &folder, &start, &sources, observer)?);
    let vocabulary = tokenizer.vocabulary_size();
    let config = config(recipe, &start, task, &tokenizer)?;
    check_positions(recipe, &config, &options.out)?;
    check_patches(recipe, &config, &options.out)?;
    if options.device.clone().inner() == Device::flex() {
        memory::check(&task.objectives(), recipe, &config)?;
    }
    let preparation = task.preparation(preparation(recipe, &start, tokenizer, config.image.size));
    let data: Vec<String> = sources.iter().map(|source| source.manifest.hash()).collect();
    let saved = state::load(&folder.join(folder::STATE), &config, recipe.optimizer, &options.device)?;
    let SavedState { model, optimizer, progress, learned } = match saved {
        Some(saved) => {
            resume::check_data(recipe, &saved.progress.data, &data, &options.out)?;
            observer.note(&format!("resuming after step {}", saved.progress.step));
            saved
        }
        None => {
            let first = start.first_model(&config, Key::new(recipe.seed), &options.device)?;
            first.note.iter().for_each(|note| observer.note(note));
            let model = standardised(first.model, &sources, &preparation, recipe, observer)?;
            SavedState::first(model, recipe.optimizer, data, first.learned)
        }
    };
    let learns_from_images = task.learns_from(Slot::Image(0));
    report_data(recipe, &sources, learns_from_images, observer);
    observer.note(&format!("the model has {} weights, the tokenizer {vocabulary} tokens", model.num_params()));
    check_frozen(recipe, &model, &options.out)?;
    task.prepare(recipe, &model, &preparation)?;
    task.restore(&progress.task);
    let sources: Vec<WeightedSource> = sources.into_iter().map(|source| source.source).collect();
    let mut session = Session {
        task,
        model: Some(model),
        recipe: recipe.clone(),
        options: options.clone(),
        loader: loader(recipe),
        names: sources.iter().map(|source| source.source.name().to_string()).collect(),
        sources,
        preparation,
        optimizer,
        progress,
        learned,
        files: None,
        folder,
        start,
        texts: TextCounts::default(),
    };
    session.freeze();
    Ok(session)
}

/// The configuration of the model: that of the starting model, or that of the recipe, with the heads and the decoder of the task.
fn config(recipe: &Recipe, start: &Start, task: &dyn Task, tokenizer: &Tokenizer) -> Result<ModelConfig, TrainError> {
    let (special, heads, outputs) = (tokenizer.special(), task.heads(), task.outputs());
    let (vocabulary, special) = (tokenizer.vocabulary_size(), [special.start, special.end, special.pad]);
    let config = match start {
        Start::Model(start) => recipe.config_from(&start.config, &heads, outputs)?,
        Start::Encoders(start) => recipe.config_with(start.base(recipe, vocabulary, special), &heads, outputs)?,
        Start::Random => recipe.model_config(vocabulary, special, &heads, outputs)?,
    };
    let config = ModelConfig { decoder: task.decoder(), ..config };
    config.check()?;
    Ok(config)
}

/// How records become inputs of images of this size.
fn preparation(recipe: &Recipe, start: &Start, tokenizer: Arc<Tokenizer>, size: usize) -> Preparation {
    Preparation {
        unit: recipe.text.unit,
        word_keep: recipe.text.word_keep,
        ..Preparation::new(tokenizer, start.preprocess(recipe, size), recipe.text.max_tokens)
    }
}

/// The published names of the weights of a model.
#[derive(Default)]
struct WeightNames(BTreeSet<String>);

impl WeightVisitor for WeightNames {
    fn visit<const D: usize>(&mut self, name: Name, _param: &Param<Tensor<D>>) {
        self.0.insert(name.published);
    }
}

/// Refuses beginnings of names in `train.freeze` and `train.freeze_except` that no weight has, and a model of which nothing is trained.
fn check_frozen(recipe: &Recipe, model: &Model, run: &Path) -> Result<(), TrainError> {
    let (mut names, path) = (WeightNames::default(), run.join(folder::RECIPE));
    model.visit_weights(&mut names);
    let (freeze, except) = (&recipe.train.freeze, &recipe.train.freeze_except);
    let named = freeze.iter().map(|start| (start, "train.freeze"));
    let mut named = named.chain(except.iter().map(|start| (start, "train.freeze_except")));
    if let Some((start, key)) = named.find(|(start, _)| !names.0.iter().any(|name| name.starts_with(*start))) {
        let parts: BTreeSet<&str> = names.0.iter().filter_map(|name| name.split('.').next()).collect();
        let parts = parts.into_iter().collect::<Vec<_>>().join(", ");
        let cause = format!("names `{start}`, with which no weight begins; weights begin with {parts}");
        return Err(RecipeError::Value { path, key: key.into(), cause }.into());
    }
    let freezes = |name: &String| freeze.iter().any(|start| name.starts_with(start));
    if let Some(start) =
        except.iter().find(|start| !names.0.iter().any(|name| name.starts_with(*start) && freezes(name)))
    {
        let cause =
            format!("names `{start}`, which `train.freeze` does not freeze; remove it, or freeze what it is a part of");
        return Err(RecipeError::Value { path, key: "train.freeze_except".into(), cause }.into());
    }
    if !names.0.iter().any(|name| recipe.trains(name, 0)) {
        let (key, cause) = ("train.freeze".into(), "freezes all weights, so nothing is trained".into());
        return Err(RecipeError::Value { path, key, cause }.into());
    }
    Ok(())
}

/// Refuses texts, read or written, of more tokens than the model has position embeddings for; `run` is the run folder, for the
/// message.
fn check_positions(recipe: &Recipe, config: &ModelConfig, run: &Path) -> Result<(), TrainError> {
    let longest = config.text.longest();
    let written = recipe.task.generation().map(|generation| ("task.generation.max_length", generation.max_length));
    let lengths = [Some(("text.max_tokens", recipe.text.max_tokens)), written];
    let Some((key, tokens)) = lengths.into_iter().flatten().find(|(_, tokens)| *tokens > longest) else {
        return Ok(());
    };
    let cause = format!("is {tokens}; the model has position embeddings for at most {longest} tokens");
    Err(RecipeError::Value { path: run.join(folder::RECIPE), key: key.into(), cause }.into())
}

/// Refuses patch dropout where the outputs of patches are averaged by their places; `run` is the run folder, for the message.
fn check_patches(recipe: &Recipe, config: &ModelConfig, run: &Path) -> Result<(), TrainError> {
    if config.image.merge == 1 || recipe.train.patch_keep == 1.0 {
        return Ok(());
    }
    let cause = format!(
        "is {}, but `model.image.merge` ({}) averages squares of patches, which needs all of them; set one of the two to 1",
        recipe.train.patch_keep, config.image.merge
    );
    Err(RecipeError::Value { path: run.join(folder::RECIPE), key: "train.patch_keep".into(), cause }.into())
}

/// The options of the data loader.
fn loader(recipe: &Recipe) -> LoaderOptions {
    let non_zero = |count: usize| NonZeroUsize::new(count).expect("the recipe's check requires at least 1");
    LoaderOptions {
        seed: recipe.seed,
        batch: non_zero(recipe.train.batch / recipe.train.accumulate),
        rank: Rank::ALONE,
        run: recipe.draws_in_a_row(),
        workers: non_zero(recipe.train.workers),
        ahead: non_zero(2 * recipe.train.workers),
    }
}

/// Opens the folders of shards that the recipe names.
fn sources(recipe: &Recipe) -> Result<Vec<TrainingData>, TrainError> {
    let mut opened = vec![];
    for entry in &recipe.data {
        let shards = ShardFolder::open(&entry.path, Split::Train)?;
        if shards.len() == 0 {
            let cause = format!("`{}` has no record in this split", entry.path.display());
            return Err(TrainError::Nothing { split: Split::Train.to_string(), cause });
        }
        let manifest = shards.manifest().clone();
        opened
            .push(TrainingData { source: WeightedSource { source: Arc::new(shards), weight: entry.weight }, manifest });
    }
    Ok(opened)
}

/// Refuses a tokenizer that does not know any word of the data.
fn check_words(tokenizer: &Tokenizer, path: &Path, sources: &[TrainingData]) -> Result<(), TrainError> {
    let (special, mut example) = (tokenizer.special(), None);
    for source in sources.iter().map(|source| &source.source.source) {
        for index in 0..source.len().min(CHECKED_RECORDS) {
            for text in source.get(index)?.texts {
                let tokens = tokenizer.encode(&text, CHECKED_TOKENS)?;
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

/// The run's tokenizer: the one in the folder of a resumed run, that of the starting model, the recipe's, or a new one that is
/// trained on the texts.
fn tokenizer(
    recipe: &Recipe,
    folder: &RunFolder,
    start: &Start,
    sources: &[TrainingData],
    observer: &mut dyn Observer,
) -> Result<Tokenizer, TrainError> {
    let saved = folder.join(folder::TOKENIZER);
    // The recipe is written after the tokenizer. Without a recipe, the tokenizer comes from a start that failed: it is not used.
    if saved.exists() && folder.join(folder::RECIPE).exists() {
        return Ok(Tokenizer::from_file(&saved)?);
    }
    let tokenizer = match (start.tokenizer(), &recipe.text.tokenizer) {
        (Some(tokenizer), _) => tokenizer.clone(),
        (None, Some(path)) => {
            let tokenizer = load_tokenizer(path, recipe.text.max_tokens, observer)?;
            check_words(&tokenizer, path, sources)?;
            tokenizer
        }
        (None, None) => {
            observer.note("training a tokenizer on the texts");
            let mut texts = vec![];
            for source in sources {
                let records = &source.source.source;
                for index in 0..records.len().min(TOKENIZER_RECORDS) {
                    let record = records.get(index)?;
                    texts.extend(record.texts);
                    texts.extend(record.sentences.into_iter().flat_map(|pair| [pair.premise, pair.hypothesis]));
                }
            }
            Tokenizer::train(texts.iter().map(String::as_str), recipe.text.vocabulary)?
        }
    };
    files::write_bytes(&saved, tokenizer.to_json()?.as_bytes())?;
    Ok(tokenizer)
}

/// Loads a published tokenizer from its folder, and notes what the user should know about it.
fn load_tokenizer(folder: &Path, max_tokens: usize, observer: &mut dyn Observer) -> Result<Tokenizer, TrainError> {
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

/// Notes what each source contains and in which number format the model computes.
fn report_data(recipe: &Recipe, sources: &[TrainingData], learns_from_images: bool, observer: &mut dyn Observer) {
    for (entry, source) in recipe.data.iter().zip(sources).filter(|_| recipe.task.is_pretraining()) {
        let counts = source.manifest.counts(Split::Train);
        observer.note(&format!(
            "{}: {} pairs, {} images without a text, {} texts without an image, weight {}",
            source.source.source.name(),
            counts.pairs,
            counts.images_only,
            counts.texts_only,
            entry.weight
        ));
        if counts.images_only > 0 && !learns_from_images {
            observer.note(&format!(
                "{} images without a text are not used in training: only the objective `mim` can learn from them",
                counts.images_only
            ));
        }
    }
    match (recipe.train.precision, recipe.train.precision.compute_precision()) {
        (_, ComputePrecision::Bf16(_)) => observer.note("matrix products are computed in bf16 (AMX)"),
        (Precision::Bf16, ComputePrecision::F32) => {
            observer.note("matrix products are computed in f32: this processor has no bf16 matrix unit (AMX)")
        }
        (Precision::F32 | Precision::Auto, ComputePrecision::F32) => {}
    }
}
