//! Published encoders from which training starts (`model.init.image`, `model.init.text`).

use std::path::Path;

use burn::tensor::Device;
use ptu_import::{ImageOptions, Report, TextOptions, read_image_encoder, read_text_encoder};
use ptu_input::{Preprocess, Published, Tokenizer};
use ptu_model::config::{ImageConfig, TextConfig};
use ptu_model::weights::Arrays;
use ptu_model::{Learned, Model, ModelConfig, WeightSource, into_single_stream};
use ptu_random::Key;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::{FirstModel, note};
use crate::{Recipe, RecipeError, TrainError, folder};

/// What is known of the published encoders from which training starts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StartEncoders {
    /// The image encoder, if it is a published one.
    pub image: Option<StartImage>,
    /// The sizes of the text encoder, if it is a published one.
    pub text: Option<TextConfig>,
    /// The files of weights.
    pub sources: Vec<WeightSource>,
    /// Their contents, which are needed only before the first step.
    #[serde(skip)]
    files: Option<EncoderFiles>,
}

/// What is known of a published image encoder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StartImage {
    /// Its sizes, for the images of the recipe.
    pub config: ImageConfig,
    /// The image transforms, of which the mean and the standard deviation are used.
    pub preprocess: Preprocess,
}

/// What a new run takes from the files.
#[derive(Clone, Debug, Default)]
struct EncoderFiles {
    arrays: Arrays,
    tokenizer: Option<Published>,
}

impl StartEncoders {
    /// Reads the encoders that a recipe names.
    ///
    /// # Errors
    /// When a file cannot be read, is no encoder of this modality, or nothing gives the mean and the standard deviation of the colours.
    pub(super) fn read(recipe: &Recipe) -> Result<Self, TrainError> {
        let init = &recipe.model.init;
        let (mut start, mut files) = (Self::default(), EncoderFiles::default());
        if let Some(path) = &init.image {
            let image = read_image_encoder(path, &image_options(recipe)?)?;
            let preprocess = image.preprocess.ok_or_else(|| no_colours(path))?;
            start.image = Some(StartImage { config: image.config, preprocess });
            start.add(&image.report);
            files.arrays.extend(image.arrays);
        }
        if let Some(path) = &init.text {
            let heads = value(&recipe.model.text, "model.text", "heads")?;
            let options = TextOptions { heads, tokenizer: recipe.text.tokenizer.clone(), ..TextOptions::default() };
            let text = read_text_encoder(path, &options)?;
            start.text = Some(text.config);
            start.add(&text.report);
            files.arrays.extend(text.arrays);
            files.tokenizer = Some(text.tokenizer);
        }
        start.files = Some(files);
        Ok(start)
    }

    fn add(&mut self, report: &Report) {
        self.sources.push(report.weight_source());
    }

    /// The tokenizer of the text encoder, if it is a published one.
    pub(super) fn tokenizer(&self) -> Option<&Tokenizer> {
        Some(&self.files.as_ref()?.tokenizer.as_ref()?.tokenizer)
    }

    /// The configuration of the recipe's preset with these encoders; `vocabulary` and `special` (start, end and padding) are those of a text
    /// encoder that is not published.
    pub fn base(&self, recipe: &Recipe, vocabulary: usize, special: [u32; 3]) -> ModelConfig {
        let preset = recipe.model.preset;
        let base = match self.text {
            Some(text) => {
                let special = [text.start, text.end, text.padding];
                ModelConfig { text, ..preset.config(text.style, text.vocabulary, special) }
            }
            None => preset.config(recipe.model.style, vocabulary, special),
        };
        ModelConfig { image: self.image.as_ref().map_or(base.image, |image| image.config), ..base }
    }

    pub(super) fn first_model(
        &mut self,
        config: &ModelConfig,
        key: Key,
        device: &Device,
    ) -> Result<FirstModel, TrainError> {
        let files = self.files.take().expect("a run without a saved state has read them");
        let names: Vec<String> = self.sources.iter().map(|source| format!("`{}`", source.name)).collect();
        let file = self.sources.first().map_or("", |source| &source.name);
        let arrays = into_single_stream(config, files.arrays);
        let (model, initialised) = Model::complete(config, arrays, key, device, Path::new(file))?;
        let note = note(&names.join(" and "), &initialised, &[]);
        Ok(FirstModel { model, learned: Some(Learned::default()), note: Some(note) })
    }
}

/// The options of the image encoder, as the recipe has them.
fn image_options(recipe: &Recipe) -> Result<ImageOptions, TrainError> {
    let (init, image, section) = (&recipe.model.init, &recipe.model.image, "model.image");
    Ok(ImageOptions {
        size: value(image, section, "size")?,
        drop_last: value(image, section, "drop_last")?.unwrap_or(0),
        heads: value(image, section, "heads")?,
        activation: value(image, section, "activation")?,
        normalisation: init.mean.zip(init.std).map(|(mean, deviation)| [mean, deviation]),
        ..ImageOptions::default()
    })
}

/// The value of a key in a section of the recipe.
fn value<T: DeserializeOwned>(table: &Table, section: &str, key: &str) -> Result<Option<T>, RecipeError> {
    let Some(value) = table.get(key) else { return Ok(None) };
    let wrong = |error: toml::de::Error| RecipeError::ModelValue {
        key: format!("{section}.{key}"),
        cause: error.message().trim().to_string(),
    };
    value.clone().try_into().map(Some).map_err(wrong)
}

/// The error if nothing says how the colours of images are normalised.
fn no_colours(image: &Path) -> TrainError {
    let cause = format!(
        "is missing, and no file beside `{}` gives it; write it and `model.init.std` into the recipe, or after the command, for example those of \
         ImageNet: --set 'model.init.mean=[0.485,0.456,0.406]' --set 'model.init.std=[0.229,0.224,0.225]'",
        image.display()
    );
    RecipeError::Value { path: folder::RECIPE.into(), key: "model.init.mean".into(), cause }.into()
}
