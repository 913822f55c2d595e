//! Recipes. A recipe is a TOML file that describes a run completely; all its keys and types are checked.

mod check;
mod evaluate;
mod merge;
mod model;
mod section;
mod similar;
pub mod task;
mod task_keys;
mod train;

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

pub use evaluate::{EvaluateConfig, TextPick};
pub use model::{InitRecipe, ModelRecipe};
use ptu_data::TextUnit;
use ptu_input::{Augment, Fit};
use ptu_model::{Frozen, FrozenEncoders, ModelConfig, names};
use serde::{Deserialize, Serialize};
pub use task::{FinetuneRecipe, TaskRecipe};
pub use train::{Checkpointing, Mixing, Precision, TrainConfig};

use crate::objective::{ObjectiveKind, default_weight};
use crate::optimizer::OptimizerConfig;
use crate::schedule::Schedule;
use crate::{RecipeError, files};

/// Maximal size of a recipe file, in bytes.
const LARGEST: u64 = 1 << 20;

/// A recipe as the user wrote it, with defaults for all other keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// The folders of shards, each with a weight.
    pub data: Vec<DataEntry>,
    /// What the model is trained for.
    #[serde(skip_serializing_if = "TaskRecipe::is_pretraining")]
    pub task: TaskRecipe,
    /// How fine-tuning starts, and what of the model it trains.
    #[serde(skip_serializing_if = "FinetuneRecipe::is_default")]
    pub finetune: FinetuneRecipe,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The objectives, that is, the losses that are computed.
    pub objectives: Vec<ObjectiveKind>,
    /// How images are made square in validation and evaluation.
    pub fit: Fit,
    /// Factor of each loss in the total.
    pub weights: BTreeMap<ObjectiveKind, f64>,
    /// Settings of masked language modelling.
    pub mlm: MlmConfig,
    /// Settings of image-text matching.
    pub itm: ItmConfig,
    /// Settings of texts and their tokens.
    pub text: TextRecipe,
    /// Augmentation of images in training.
    pub augment: Augment,
    /// Steps, batches and saved files.
    pub train: TrainConfig,
    /// Settings of AdamW.
    pub optimizer: OptimizerConfig,
    /// Settings of validation and `evaluate`.
    pub evaluate: EvaluateConfig,
    /// Settings of the model.
    pub model: ModelRecipe,
}

/// A folder of shards: `"path"` or `{ path = "path", weight = 2.0 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "DataEntryForm")]
pub struct DataEntry {
    /// The path of the folder.
    pub path: PathBuf,
    /// How often a record is drawn, relative to a record of a source with weight 1.
    pub weight: f64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum DataEntryForm {
    Path(PathBuf),
    Table {
        path: PathBuf,
        #[serde(default = "one")]
        weight: f64,
    },
}

fn one() -> f64 {
    1.0
}

impl From<DataEntryForm> for DataEntry {
    fn from(form: DataEntryForm) -> Self {
        match form {
            DataEntryForm::Path(path) => Self { path, weight: 1.0 },
            DataEntryForm::Table { path, weight } => Self { path, weight },
        }
    }
}

/// Settings of masked language modelling.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MlmConfig {
    /// The share of the texts of each batch that are used, above 0; 1 for all. A smaller share makes a step faster.
    pub share: f64,
}

/// Settings of image-text matching.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItmConfig {
    /// How negatives, that is, images of other pairs, are drawn.
    pub partners: PartnerChoice,
    /// The share of the texts of each batch that are used, above 0; 1 for all. A smaller share makes a step faster.
    pub share: f64,
}

impl Default for MlmConfig {
    fn default() -> Self {
        Self { share: 1.0 }
    }
}

impl Default for ItmConfig {
    fn default() -> Self {
        Self { partners: PartnerChoice::default(), share: 1.0 }
    }
}

/// How the negative image of a text is drawn from its batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartnerChoice {
    /// All other images with the same probability.
    #[default]
    Random,
    /// Hard negatives: images that the contrast finds more similar are more likely. This needs the objective `itc`.
    Hard,
}

/// How texts become tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TextRecipe {
    /// Folder of a published tokenizer, which is used with its own configuration. Without this key, a small tokenizer is
    /// trained on the texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// Maximal vocabulary size of a tokenizer that is trained.
    pub vocabulary: usize,
    /// Maximal number of tokens of a text, including special tokens. Longer texts are truncated.
    pub max_tokens: usize,
    /// Which part of a record's texts is used each time in training.
    pub unit: TextUnit,
    /// Share of a text's words that is used, drawn again each time in training; 1 for all. A smaller share prevents the model
    /// from memorising the texts of a small data set.
    pub word_keep: f64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            data: vec![],
            task: TaskRecipe::default(),
            finetune: FinetuneRecipe::default(),
            seed: 0,
            objectives: vec![ObjectiveKind::Mlm, ObjectiveKind::Itm, ObjectiveKind::Itc],
            fit: Fit::default(),
            weights: ObjectiveKind::ALL.into_iter().map(|kind| (kind, default_weight(kind))).collect(),
            mlm: MlmConfig::default(),
            itm: ItmConfig::default(),
            text: TextRecipe::default(),
            augment: Augment::default(),
            train: TrainConfig::default(),
            optimizer: OptimizerConfig::default(),
            evaluate: EvaluateConfig::default(),
            model: ModelRecipe::default(),
        }
    }
}

impl Default for TextRecipe {
    fn default() -> Self {
        Self { tokenizer: None, vocabulary: 4096, max_tokens: 48, unit: TextUnit::Sentence, word_keep: 1.0 }
    }
}

impl Recipe {
    /// Reads a recipe, applies `--set key=value` overrides, and checks all keys and values.
    ///
    /// # Errors
    /// When the file cannot be read, a key does not exist (the message suggests the most similar key), or a value is out of
    /// range.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        let bytes = files::read(path, LARGEST).map_err(|error| RecipeError::File { cause: error.to_string() })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| RecipeError::Syntax { path: path.into(), cause: "it is not UTF-8 text".into() })?;
        Self::parse(&text, path, overrides)
    }

    /// The same as [`Self::load`], for the text of a recipe; `path` is used in messages only.
    ///
    /// # Errors
    /// The same as those of [`Self::load`].
    pub fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        let recipe = merge::parse(text, path, overrides)?;
        recipe.check(path)?;
        Ok(recipe)
    }

    /// The recipe as the text of a TOML file, with every default written out, without keys that have no effect.
    pub fn to_toml(&self) -> String {
        let mut table = toml::Table::try_from(self).expect("every value of a recipe can be written as TOML");
        merge::remove_unused_keys(&mut table);
        toml::to_string(&table).expect("every value of a recipe can be written as TOML")
    }

    /// The learning-rate schedule that is used at a step, and the first step of this schedule. A run has one schedule, and one
    /// more for each time that it was extended: then the rate starts again and falls to 0 at the new end.
    pub fn schedule_at(&self, step: u64) -> (Schedule, u64) {
        let ends = || self.train.extended_from.iter().copied();
        let start = ends().take_while(|end| *end <= step).last().unwrap_or(0);
        let end = ends().find(|end| *end > step).unwrap_or(self.train.steps);
        (Schedule::new(end.saturating_sub(start), self.train.warmup, self.train.decay), start)
    }

    /// The factor of the learning rate at a step, counted from 0.
    pub fn rate_factor(&self, step: u64) -> f64 {
        let (schedule, start) = self.schedule_at(step);
        schedule.factor(step - start)
    }

    /// Whether the run ends after this number of steps, or ended there before it was extended.
    pub fn ends_at(&self, step: u64) -> bool {
        step == self.train.steps || self.train.extended_from.contains(&step)
    }

    /// The number of consecutive draws that come from the same source.
    pub fn draws_in_a_row(&self) -> NonZeroU64 {
        match self.train.mixing {
            Mixing::Records => NonZeroU64::MIN,
            Mixing::Batches => NonZeroU64::new(self.train.batch as u64).unwrap_or(NonZeroU64::MIN),
        }
    }

    /// The recipe with absolute paths, which are valid in any working directory.
    ///
    /// # Errors
    /// When a path is not valid Unicode, so that it cannot be written in a recipe.
    pub fn from_anywhere(mut self) -> Result<Self, RecipeError> {
        for path in self.paths() {
            *path = std::path::absolute(&*path).unwrap_or_else(|_| path.clone());
            if path.to_str().is_none() {
                return Err(RecipeError::NotUnicode { path: path.clone() });
            }
        }
        Ok(self)
    }
}

impl Recipe {
    /// The folders of shards in quotation marks, for messages.
    pub fn folders(&self) -> String {
        self.data.iter().map(|entry| format!("`{}`", entry.path.display())).collect::<Vec<_>>().join(", ")
    }

    /// Whether the weight with this published name is trained in a step, counted from 0.
    pub fn trains(&self, published: &str, step: u64) -> bool {
        let frozen_pool = !self.task.is_pretraining() && self.finetune.freezes(published);
        !frozen_pool && !self.train.freezes(published, step)
    }

    /// Whether the prompts in place of missing modalities are trained; fine-tuning leaves them as they are, unless `finetune.prompts` says
    /// otherwise.
    pub fn learns_prompts(&self) -> bool {
        self.task.is_pretraining() || self.finetune.prompts == task::PromptTraining::Trained
    }

    /// What of the encoders of a model of this configuration is not trained in a step, counted from 0. The projection behind an encoder may
    /// be trained.
    pub fn frozen(&self, config: &ModelConfig, step: u64) -> FrozenEncoders {
        let frozen = |path, layers: usize| {
            let before = |count: &usize| !names::before_layer(path, *count).any(|name| self.trains(&name, step));
            match names::of_encoder(path, layers).any(|name| self.trains(&name, step)) {
                false => Frozen::All,
                true => (1..=layers).take_while(before).last().map_or(Frozen::Nothing, Frozen::Layers),
            }
        };
        FrozenEncoders {
            image: frozen(names::IMAGE_ENCODER, config.image.used_layers()),
            text: frozen(names::TEXT_ENCODER, config.text.layers),
        }
    }

    /// What of the image encoder is not trained in any step, in a model of this configuration.
    pub fn frozen_image_encoder(&self, config: &ModelConfig) -> Frozen {
        self.frozen(config, self.train.steps.saturating_sub(1)).image
    }

    /// All paths of the recipe: data, tokenizer, models and weights.
    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let Self { data, text, finetune, model, .. } = self;
        let init = &mut model.init;
        let start = [&mut finetune.model, &mut init.model, &mut init.image, &mut init.text];
        let optional = std::iter::once(&mut text.tokenizer).chain(start).flatten();
        data.iter_mut().map(|entry| &mut entry.path).chain(optional)
    }

    /// The recipe with epochs resolved into steps, for this number of training records: `train.epochs`, and `train.validate_every`, which
    /// is a number of epochs in a recipe with epochs.
    pub fn with_steps(mut self, records: usize) -> Self {
        let of = |epochs: f64| (epochs * records as f64 / self.train.batch as f64).ceil().max(1.0) as u64;
        let epochs = self.train.epochs.take();
        if let Some(epochs) = epochs {
            self.train.steps = of(epochs);
        }
        if std::mem::take(&mut self.train.validates_by_epoch) && self.train.validate_every > 0 {
            self.train.validate_every = of(self.train.validate_every as f64);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use ptu_model::config::PromptsConfig;
    use ptu_model::{HeadKind, Outputs};

    use super::*;

    const MINIMAL: &str = "data = [\"shards\"]\n[train]\nsteps = 10\nbatch = 4\n";

    fn parse(text: &str, overrides: &[&str]) -> Result<Recipe, RecipeError> {
        let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
        Recipe::parse(text, Path::new("r.toml"), &overrides)
    }

    #[test]
    fn defaults_are_filled_in_and_survive_writing() {
        let recipe = parse(MINIMAL, &[]).unwrap();
        assert_eq!((recipe.train.steps, recipe.train.warmup, recipe.optimizer.fusion), (10, 0.1, 5.0));
        assert_eq!(recipe.data, [DataEntry { path: "shards".into(), weight: 1.0 }]);
        assert_eq!(parse(&recipe.to_toml(), &[]).unwrap(), recipe);
    }

    #[test]
    fn a_recipe_says_once_how_long_to_train() {
        let task = "[task]\nkind = \"vqa\"\n";
        let of =
            |train: &str, sets: &[&str]| parse(&format!("data = [\"d\"]\n{task}[train]\nbatch = 4\n{train}"), sets);
        let length = |recipe: Recipe| (recipe.train.steps, recipe.train.epochs);
        assert_eq!(length(of("epochs = 3", &["train.steps=7"]).unwrap()), (7, None), "the override wins");
        assert_eq!(length(of("steps = 3", &["train.epochs=2"]).unwrap()).1, Some(2.0));
        let validates = |train: &str, sets: &[&str]| of(train, sets).unwrap().with_steps(40).train.validate_every;
        let every = "epochs = 3\nvalidate_every = 1";
        assert_eq!(validates(every, &[]), 10, "after each epoch of 40 records");
        assert_eq!(validates("epochs = 3\nvalidate_every = 2", &[]), 20, "after every second epoch");
        assert_eq!(validates(every, &["train.steps=7"]), 10, "an epoch is as long as before");
        assert_eq!(validates(every, &["train.steps=7", "train.validate_every=3"]), 3);
        assert_eq!(validates("epochs = 3", &["train.validate_every=2"]), 20, "the override is in epochs too");
        assert_eq!(validates("steps = 3\nvalidate_every = 2", &["train.epochs=7"]), 2, "the recipe counts steps");
        assert_eq!(validates("epochs = 3", &["train.steps=7"]), 0, "no validation was requested");
        assert_eq!(validates("steps = 3\nvalidate_every = 2", &["train.steps=7"]), 2);
        let message = of("epochs = 3\nsteps = 4", &[]).unwrap_err().to_string();
        assert!(message.contains("`train.epochs`") && message.contains("`train.steps`"), "{message}");
        let message = of("", &[]).unwrap_err().to_string();
        assert!(message.contains("`train.steps` is missing") && message.contains("epochs = 10"), "{message}");
    }

    #[test]
    fn a_source_may_have_a_weight() {
        let recipe = parse(&MINIMAL.replace("\"shards\"", "\"a\", { path = \"b\", weight = 2.5 }"), &[]).unwrap();
        assert_eq!(recipe.data[1], DataEntry { path: "b".into(), weight: 2.5 });
    }

    #[test]
    fn overrides_are_toml_values() {
        let overrides = ["train.batch=8", "objectives=[\"itc\"]", "model.preset=\"tiny\"", "model.image.size=32"];
        let recipe = parse(MINIMAL, &overrides).unwrap();
        assert_eq!((recipe.train.batch, recipe.objectives.as_slice()), (8, &[ObjectiveKind::Itc][..]));
        let config = recipe.model_config(100, [0, 2, 1], &[HeadKind::Itc], Outputs::default()).unwrap();
        assert_eq!((config.image.size, config.heads.as_slice()), (32, &[HeadKind::Itc][..]));
    }

    #[test]
    fn for_a_misspelt_key_the_most_similar_key_is_suggested() {
        for (text, overrides, key, nearest) in [
            ("data = [\"a\"]\n[train]\nstep = 3", &[][..], "train.step", "train.steps"),
            (MINIMAL, &["train.bach=3"][..], "train.bach", "train.batch"),
            (MINIMAL, &["optimiser.clip=1.0"][..], "optimiser", "optimizer"),
        ] {
            let message = parse(text, overrides).unwrap_err().to_string();
            assert!(message.contains(key) && message.contains(nearest), "{message}");
        }
        let message = parse(MINIMAL, &["model.image.sise=3"]).unwrap_err().to_string();
        assert!(message.contains("model.image.sise") && message.contains("`size`"), "{message}");
    }

    #[test]
    fn a_value_of_another_type_names_its_key() {
        let message = parse(MINIMAL, &["train.steps=\"many\""]).unwrap_err().to_string();
        assert!(message.contains("train.steps"), "{message}");
        let message = parse(MINIMAL, &["objectives=[\"rtd\"]"]).unwrap_err().to_string();
        assert!(message.contains("objectives") && message.contains("mlm"), "{message}");
        let message = parse(MINIMAL, &["train.steps"]).unwrap_err().to_string();
        assert!(message.contains("key=value"), "{message}");
    }

    #[test]
    fn what_is_out_of_range_names_the_key_and_the_range() {
        for (set, key) in [
            ("train.steps=0", "train.steps"),
            ("train.batch=0", "train.batch"),
            ("train.accumulate=3", "train.accumulate"),
            ("train.cached_contrast=true", "train.cached_contrast"),
            ("train.warmup=1.5", "train.warmup"),
            ("train.patch_keep=0.0", "train.patch_keep"),
            ("text.word_keep=1.5", "text.word_keep"),
            ("objectives=[]", "objectives"),
            ("objectives=[\"mlm\", \"mlm\"]", "objectives"),
            ("data=[]", "data"),
            ("data=[{ path = \"a\", weight = -1.0 }]", "data"),
            ("weights.itc=-1.0", "weights.itc"),
            ("weights.itm=0.0", "weights.itm"),
            ("weights.itm=1e-60", "weights.itm"),
            ("mlm.share=0.0", "mlm.share"),
            ("itm.share=1.5", "itm.share"),
            ("itm.share=nan", "itm.share"),
            ("optimizer.learning_rate=-1.0", "optimizer.learning_rate"),
            ("optimizer.learning_rate=0.0", "optimizer.learning_rate"),
            ("optimizer.betas=[0.9, 1.0]", "optimizer.betas"),
            ("model.dropout=1.0", "model.dropout"),
            ("text.max_tokens=2", "text.max_tokens"),
            ("augment.operations=17", "augment"),
            ("augment.scale=[0.5, 1.5]", "augment"),
            ("train.workers=0", "train.workers"),
            ("optimizer.clip=0.0", "optimizer.clip"),
        ] {
            let message = parse(MINIMAL, &[set]).unwrap_err().to_string();
            assert!(message.contains(&format!("`{key}`")), "{set}: {message}");
        }
    }

    #[test]
    fn a_schedule_that_never_leaves_zero_is_refused() {
        let schedule = |steps: &str, warmup: &str| parse(MINIMAL, &[steps, warmup]).map_err(|error| error.to_string());
        let message = schedule("train.steps=1", "train.warmup=1.0").unwrap_err();
        assert!(message.contains("`train.warmup`") && message.contains("would be 0"), "{message}");
        schedule("train.steps=1", "train.warmup=0.9").unwrap();
        schedule("train.steps=2", "train.warmup=1.0").unwrap();
    }

    #[test]
    fn an_extended_run_starts_its_learning_rate_again() {
        let recipe = parse(MINIMAL, &["train.steps=30", "train.extended_from=[10, 20]"]).unwrap();
        let once = parse(MINIMAL, &[]).unwrap();
        let factors = |recipe: &Recipe, steps: std::ops::Range<u64>| {
            steps.map(|step| recipe.rate_factor(step)).collect::<Vec<_>>()
        };
        for start in [0, 10, 20] {
            assert_eq!(factors(&recipe, start..start + 10), factors(&once, 0..10));
        }
        assert!(recipe.ends_at(10) && recipe.ends_at(30) && !recipe.ends_at(15) && !once.ends_at(11));
        for wrong in ["[0]", "[30]", "[5, 5]", "[8, 3]"] {
            let message =
                parse(MINIMAL, &["train.steps=30", &format!("train.extended_from={wrong}")]).unwrap_err().to_string();
            assert!(message.contains("`train.extended_from`"), "{wrong}: {message}");
        }
    }

    #[test]
    fn paths_become_absolute() {
        let recipe = parse(MINIMAL, &["text.tokenizer=\"words\""]).unwrap().from_anywhere().unwrap();
        assert!(recipe.data[0].path.is_absolute() && recipe.data[0].path.ends_with("shards"));
        assert!(recipe.text.tokenizer.unwrap().is_absolute());
    }

    #[test]
    fn hard_negatives_need_the_contrast() {
        let message =
            parse(MINIMAL, &["itm.partners=\"hard\"", "objectives=[\"mlm\", \"itm\"]"]).unwrap_err().to_string();
        assert!(message.contains("itc"), "{message}");
    }

    #[test]
    fn prompts_can_be_fixed_or_of_another_size() {
        let fixed = parse(MINIMAL, &["model.image_prompts={ kind = \"fixed\", take = 5 }"]).unwrap();
        let config = fixed.model_config(100, [0, 2, 1], &[], Outputs::default()).unwrap();
        assert_eq!(config.image_prompts, PromptsConfig::Fixed { take: 5 });
        let none = parse(MINIMAL, &["model.text_prompts.size=0"])
            .unwrap()
            .model_config(100, [0, 2, 1], &[], Outputs::default())
            .unwrap();
        assert_eq!(none.text_prompts.count(), 0);
    }
}
