//! A recipe describes a run completely: a TOML file, typed, with every key checked.

mod check;
mod evaluate;
mod merge;
mod train;

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

pub use evaluate::{EvaluateConfig, TextPick};
use ptu_data::TextUnit;
use ptu_input::{Augment, Fit};
use ptu_model::config::{ContrastConfig, FusionConfig, ImageConfig, ModelConfig, Preset, TextConfig};
use ptu_model::{HeadKind, TextStyle};
use serde::{Deserialize, Serialize};
pub use train::{Checkpointing, Mixing, Precision, TrainConfig};

use crate::objective::{ObjectiveKind, default_weight};
use crate::optimizer::OptimizerConfig;
use crate::schedule::Schedule;
use crate::{RecipeError, files};

/// The largest recipe that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// What the user wrote, defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// Shard folders, each with a weight.
    pub data: Vec<DataEntry>,
    /// Everything random follows from it.
    pub seed: u64,
    /// Which losses are computed.
    pub objectives: Vec<ObjectiveKind>,
    /// How images become squares outside training.
    pub fit: Fit,
    /// What each loss is multiplied with in the total.
    pub weights: BTreeMap<ObjectiveKind, f64>,
    /// Image-text matching.
    pub itm: ItmConfig,
    /// Tokens.
    pub text: TextRecipe,
    /// How images are changed in training.
    pub augment: Augment,
    /// Steps, batches, files.
    pub train: TrainConfig,
    /// AdamW.
    pub optimizer: OptimizerConfig,
    /// What validation and `evaluate` do.
    pub evaluate: EvaluateConfig,
    /// Sizes.
    pub model: ModelRecipe,
}

/// A folder of shards: `"path"` or `{ path = "path", weight = 2.0 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "DataEntryForm")]
pub struct DataEntry {
    /// The folder.
    pub path: PathBuf,
    /// How often a record is drawn compared with one of a source of weight 1.
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

/// Settings of image-text matching.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItmConfig {
    /// How false images are chosen.
    pub partners: PartnerChoice,
}

/// How the false image of a text is chosen from its batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartnerChoice {
    /// Any other image, equally likely.
    #[default]
    Random,
    /// The more similar by contrast, the likelier; needs the objective `itc`.
    Hard,
}

/// How texts become tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TextRecipe {
    /// Folder with a tokenizer as it was published, whose own configuration counts; left out, a small one is trained on the texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// Entries of a trained tokenizer, at most.
    pub vocabulary: usize,
    /// Tokens a text is cut to, the special ones included.
    pub max_tokens: usize,
    /// How much of a record's texts is taken each time in training.
    pub unit: TextUnit,
    /// Share of a text's words, drawn each time in training, that goes in; 1 for all. Against learning few texts by heart.
    pub word_keep: f64,
}

/// A preset, and what differs from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelRecipe {
    /// Where the sizes start from.
    pub preset: Preset,
    /// How positions and types of texts are laid out.
    pub style: TextStyle,
    /// Share of activations dropped in training.
    pub dropout: f64,
    /// Deviation of new weights.
    pub deviation: f64,
    /// Keys of [`ImageConfig`] that differ.
    pub image: toml::Table,
    /// Keys of [`TextConfig`] that differ.
    pub text: toml::Table,
    /// Keys of [`FusionConfig`] that differ.
    pub fusion: toml::Table,
    /// Keys of the stand-ins for images that differ, `kind` among them.
    pub image_prompts: toml::Table,
    /// Keys of the stand-ins for texts that differ.
    pub text_prompts: toml::Table,
    /// Keys of [`ContrastConfig`] that differ.
    pub contrast: toml::Table,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            data: vec![],
            seed: 0,
            objectives: vec![ObjectiveKind::Mlm, ObjectiveKind::Itm, ObjectiveKind::Itc],
            fit: Fit::default(),
            weights: ObjectiveKind::ALL.into_iter().map(|kind| (kind, default_weight(kind))).collect(),
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

impl Default for ModelRecipe {
    fn default() -> Self {
        let empty = toml::Table::new;
        Self {
            preset: Preset::Base,
            style: TextStyle::Roberta,
            dropout: 0.1,
            deviation: 0.02,
            image: empty(),
            text: empty(),
            fusion: empty(),
            image_prompts: empty(),
            text_prompts: empty(),
            contrast: empty(),
        }
    }
}

impl Recipe {
    /// Reads a recipe, applies `--set key=value` overrides, and checks every key and range.
    ///
    /// # Errors
    /// A file that cannot be read, a key that does not exist (the nearest one is named), a value out of range.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        let bytes = files::read(path, LARGEST).map_err(|error| RecipeError::File { cause: error.to_string() })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| RecipeError::Syntax { path: path.into(), cause: "it is not UTF-8 text".into() })?;
        Self::parse(&text, path, overrides)
    }

    /// [`Self::load`] of a text at hand; `path` is for messages.
    ///
    /// # Errors
    /// As there.
    pub fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        let recipe = merge::parse(text, path, overrides)?;
        recipe.check(path)?;
        Ok(recipe)
    }

    /// The recipe as a file, every default written out.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe holds nothing that TOML cannot")
    }

    /// The schedule of the learning rate that a step belongs to, and its first step. There is one, and one more each time
    /// that the run was extended: the rate starts again then, and falls to 0 at the new end.
    pub fn schedule_at(&self, step: u64) -> (Schedule, u64) {
        let ends = || self.train.extended_from.iter().copied();
        let start = ends().take_while(|end| *end <= step).last().unwrap_or(0);
        let end = ends().find(|end| *end > step).unwrap_or(self.train.steps);
        (Schedule::new(end.saturating_sub(start), self.train.warmup, self.train.decay), start)
    }

    /// What the learning rate is multiplied with at a step, counted from 0.
    pub fn rate_factor(&self, step: u64) -> f64 {
        let (schedule, start) = self.schedule_at(step);
        schedule.factor(step - start)
    }

    /// Whether the run is over after so many steps, or was before it was extended.
    pub fn ends_at(&self, step: u64) -> bool {
        step == self.train.steps || self.train.extended_from.contains(&step)
    }

    /// Draws in a row that fall into one source.
    pub fn draws_in_a_row(&self) -> NonZeroU64 {
        match self.train.mixing {
            Mixing::Records => NonZeroU64::MIN,
            Mixing::Batches => NonZeroU64::new(self.train.batch as u64).unwrap_or(NonZeroU64::MIN),
        }
    }

    /// With paths that are found from any working directory.
    ///
    /// # Errors
    /// A path that is no Unicode, which a recipe cannot hold.
    pub fn from_anywhere(mut self) -> Result<Self, RecipeError> {
        for path in self.data.iter_mut().map(|entry| &mut entry.path).chain(&mut self.text.tokenizer) {
            *path = std::path::absolute(&*path).unwrap_or_else(|_| path.clone());
            if path.to_str().is_none() {
                return Err(RecipeError::NotUnicode { path: path.clone() });
            }
        }
        Ok(self)
    }

    /// Sizes of the model for a vocabulary and the ids of start, end and padding, with these heads: those that a task trains,
    /// since what never learns is not there to be asked.
    ///
    /// # Errors
    /// A key of `[model.*]` that does not exist, or sizes that do not fit each other.
    pub fn model_config(
        &self,
        vocabulary: usize,
        special: [u32; 3],
        heads: &[HeadKind],
    ) -> Result<ModelConfig, RecipeError> {
        let preset = self.model.preset.config(self.model.style, vocabulary, special);
        let model = &self.model;
        let config = ModelConfig {
            image: merge::over::<ImageConfig>("model.image", &preset.image, &model.image)?,
            text: merge::over::<TextConfig>("model.text", &preset.text, &model.text)?,
            fusion: merge::over::<FusionConfig>("model.fusion", &preset.fusion, &model.fusion)?,
            image_prompts: merge::prompts("model.image_prompts", preset.image_prompts, &model.image_prompts)?,
            text_prompts: merge::prompts("model.text_prompts", preset.text_prompts, &model.text_prompts)?,
            contrast: merge::over::<ContrastConfig>("model.contrast", &preset.contrast, &model.contrast)?,
            heads: heads.to_vec(),
            dropout: model.dropout,
            deviation: model.deviation,
        };
        config.check().map_err(|error| RecipeError::Model { cause: error.to_string() })?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use ptu_model::HeadKind;
    use ptu_model::config::PromptsConfig;

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
    fn a_source_may_have_a_weight() {
        let recipe = parse(&MINIMAL.replace("\"shards\"", "\"a\", { path = \"b\", weight = 2.5 }"), &[]).unwrap();
        assert_eq!(recipe.data[1], DataEntry { path: "b".into(), weight: 2.5 });
    }

    #[test]
    fn overrides_are_toml_values() {
        let overrides = ["train.batch=8", "objectives=[\"itc\"]", "model.preset=\"tiny\"", "model.image.size=32"];
        let recipe = parse(MINIMAL, &overrides).unwrap();
        assert_eq!((recipe.train.batch, recipe.objectives.as_slice()), (8, &[ObjectiveKind::Itc][..]));
        let config = recipe.model_config(100, [0, 2, 1], &[HeadKind::Itc]).unwrap();
        assert_eq!((config.image.size, config.heads.as_slice()), (32, &[HeadKind::Itc][..]));
    }

    #[test]
    fn a_misspelt_key_is_refused_with_the_nearest_one() {
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
        let message = parse(MINIMAL, &["objectives=[\"mim\"]"]).unwrap_err().to_string();
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
    fn paths_are_found_from_anywhere() {
        let recipe = parse(MINIMAL, &["text.tokenizer=\"words\""]).unwrap().from_anywhere().unwrap();
        assert!(recipe.data[0].path.is_absolute() && recipe.data[0].path.ends_with("shards"));
        assert!(recipe.text.tokenizer.unwrap().is_absolute());
    }

    #[test]
    fn hard_partners_need_the_contrast() {
        let message =
            parse(MINIMAL, &["itm.partners=\"hard\"", "objectives=[\"mlm\", \"itm\"]"]).unwrap_err().to_string();
        assert!(message.contains("itc"), "{message}");
    }

    #[test]
    fn prompts_can_be_fixed_or_of_another_size() {
        let fixed = parse(MINIMAL, &["model.image_prompts={ kind = \"fixed\", take = 5 }"]).unwrap();
        let config = fixed.model_config(100, [0, 2, 1], &[]).unwrap();
        assert_eq!(config.image_prompts, PromptsConfig::Fixed { take: 5 });
        let none = parse(MINIMAL, &["model.text_prompts.size=0"]).unwrap().model_config(100, [0, 2, 1], &[]).unwrap();
        assert_eq!(none.text_prompts.count(), 0);
    }
}
