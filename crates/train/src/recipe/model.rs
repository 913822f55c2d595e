//! `[model]`: the sizes of a model, and the weights from which training starts.

use std::path::PathBuf;

use ptu_model::config::{ContrastConfig, FusionConfig, FusionKind, ImageConfig, MimConfig, TextConfig};
use ptu_model::{HeadKind, ModelConfig, Outputs, Preset, TextStyle};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::{Recipe, section};
use crate::RecipeError;

/// A preset of the model, and the keys whose values differ from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelRecipe {
    /// The weights from which training starts, instead of random ones.
    #[serde(skip_serializing_if = "InitRecipe::is_random")]
    pub init: InitRecipe,
    /// The preset from which the sizes are taken.
    pub preset: Preset,
    /// The style of position and type embeddings of the text encoder.
    pub style: TextStyle,
    /// Dropout probability in training.
    pub dropout: f64,
    /// Standard deviation of newly initialised weights.
    pub deviation: f64,
    /// Keys of [`ImageConfig`] that differ.
    pub image: Table,
    /// Keys of [`TextConfig`] that differ.
    pub text: Table,
    /// Keys of [`FusionConfig`] that differ.
    pub fusion: Table,
    /// Keys of the prompts in place of images that differ, including `kind`.
    pub image_prompts: Table,
    /// Keys of the prompts in place of texts that differ, including `kind`.
    pub text_prompts: Table,
    /// Keys of [`ContrastConfig`] that differ.
    pub contrast: Table,
    /// Keys of [`MimConfig`] that differ.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub mim: Table,
}

/// `[model.init]`: published weights, or a model of this project, from which pre-training starts. All else is initialised at random.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InitRecipe {
    /// A bundle, or the folder of a run. It gives all sizes, the tokenizer and the image transforms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// The file of weights of an image encoder, or the folder with this file and the settings beside it. It gives the sizes of the
    /// image encoder, and mean and standard deviation of the colours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<PathBuf>,
    /// The file of weights of a text encoder, or the folder with this file, the settings and the tokenizer. It gives the sizes of the
    /// text encoder and the tokenizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<PathBuf>,
    /// Mean of red, green and blue in [0, 1], if no file beside the image encoder gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<[f32; 3]>,
    /// Standard deviation of red, green and blue, if no file beside the image encoder gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<[f32; 3]>,
    /// Whether the projections into the fusion are initialised by some of the training data, so that they standardise the outputs of
    /// published encoders (`image`, `text`). Without this key they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standardise: Option<bool>,
}

impl InitRecipe {
    /// Whether the projections into the fusion are initialised by some of the training data.
    pub fn standardises(&self) -> bool {
        (self.image.is_some() || self.text.is_some()) && self.standardise.unwrap_or(true)
    }

    /// Whether all weights are initialised at random.
    pub fn is_random(&self) -> bool {
        self.model.is_none() && self.image.is_none() && self.text.is_none()
    }
}

impl Default for ModelRecipe {
    fn default() -> Self {
        let empty = Table::new;
        Self {
            init: InitRecipe::default(),
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
            mim: empty(),
        }
    }
}

impl Recipe {
    /// The configuration of the model, for a vocabulary size and the ids of the start, end and padding tokens. `heads` are the
    /// heads that the task trains, with their numbers of `outputs`; the model gets no other heads, so that a head without training
    /// cannot be used.
    ///
    /// # Errors
    /// When a key of `[model.*]` does not exist, or sizes do not fit each other.
    pub fn model_config(
        &self,
        vocabulary: usize,
        special: [u32; 3],
        heads: &[HeadKind],
        outputs: Outputs,
    ) -> Result<ModelConfig, RecipeError> {
        self.config_with(self.model.preset.config(self.model.style, vocabulary, special), heads, outputs)
    }

    /// The same as [`Self::model_config`], with another configuration in place of the preset.
    ///
    /// # Errors
    /// When a key of `[model.*]` does not exist, or sizes do not fit each other.
    pub fn config_with(
        &self,
        base: ModelConfig,
        heads: &[HeadKind],
        outputs: Outputs,
    ) -> Result<ModelConfig, RecipeError> {
        checked(self.with_differences(base, heads, outputs)?)
    }

    /// The configuration of a model that starts from another one. All sizes are those of the other model, except those of the
    /// image (`model.image.size`, `model.image.merge`) and of the heads.
    ///
    /// # Errors
    /// When a key of `[model.image]` does not exist, or sizes do not fit each other.
    pub fn config_from(
        &self,
        start: &ModelConfig,
        heads: &[HeadKind],
        outputs: Outputs,
    ) -> Result<ModelConfig, RecipeError> {
        checked(ModelConfig {
            image: section::merge_section::<ImageConfig>("model.image", &start.image, &self.model.image)?,
            heads: heads.to_vec(),
            outputs,
            mim: start.mim.filter(|_| heads.contains(&HeadKind::Mim)),
            dropout: self.model.dropout,
            ..start.clone()
        })
    }

    /// A configuration with the values of `[model.*]`; whether they fit each other is not checked.
    pub(super) fn with_differences(
        &self,
        base: ModelConfig,
        heads: &[HeadKind],
        outputs: Outputs,
    ) -> Result<ModelConfig, RecipeError> {
        let model = &self.model;
        let mut config = ModelConfig {
            image: section::merge_section::<ImageConfig>("model.image", &base.image, &model.image)?,
            text: section::merge_section::<TextConfig>("model.text", &base.text, &model.text)?,
            fusion: section::merge_section::<FusionConfig>("model.fusion", &base.fusion, &model.fusion)?,
            image_prompts: section::prompts("model.image_prompts", base.image_prompts, &model.image_prompts)?,
            text_prompts: section::prompts("model.text_prompts", base.text_prompts, &model.text_prompts)?,
            contrast: section::merge_section::<ContrastConfig>("model.contrast", &base.contrast, &model.contrast)?,
            heads: heads.to_vec(),
            outputs,
            mim: None,
            decoder: base.decoder,
            dropout: model.dropout,
            deviation: model.deviation,
        };
        if config.fusion.kind.is_single_stream() {
            model.move_layers(&mut config)?;
        }
        if heads.contains(&HeadKind::Mim) {
            let published = MimConfig::published(&config.fusion);
            config.mim = Some(section::merge_section::<MimConfig>("model.mim", &published, &model.mim)?);
        }
        Ok(config)
    }
}

impl ModelRecipe {
    /// Moves the layers of an encoder into a fusion with one stream: those of the text encoder, or those of the image encoder, as its kind
    /// says. The fusion gets their sizes, and both encoders keep only their embeddings. Keys that the recipe sets are kept.
    fn move_layers(&self, config: &mut ModelConfig) -> Result<(), RecipeError> {
        let ModelConfig { image, text, fusion, .. } = config;
        let moved = match fusion.kind {
            FusionKind::SingleStreamVit => FusionConfig {
                layers: image.used_layers(),
                width: image.width,
                heads: image.heads(),
                eps: image.eps,
                ..*fusion
            },
            FusionKind::SingleStreamBert | FusionKind::TwoStream => {
                FusionConfig { layers: text.layers, width: text.width, heads: text.heads, eps: text.eps, ..*fusion }
            }
        };
        *fusion = section::merge_section::<FusionConfig>("model.fusion", &moved, &self.fusion)?;
        if !self.image.contains_key("layers") {
            (image.layers, image.drop_last, image.registers) = (0, 0, 0);
        }
        if !self.text.contains_key("layers") {
            text.layers = 0;
        }
        Ok(())
    }
}

fn checked(config: ModelConfig) -> Result<ModelConfig, RecipeError> {
    config.check().map_err(|error| RecipeError::Model { cause: error.to_string() })?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ptu_model::{Frozen, FrozenEncoders};

    use super::*;

    const START: &str = "data = [\"d\"]\n[train]\nsteps = 3\n";

    fn parse(text: &str, overrides: &[&str]) -> Result<Recipe, String> {
        let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
        Recipe::parse(text, Path::new("r.toml"), &overrides).map_err(|error| error.to_string())
    }

    #[test]
    fn a_recipe_that_starts_from_weights_survives_writing() {
        for sets in [
            &["model.init.image=\"vit\"", "model.image.size=98", "model.image.drop_last=1"][..],
            &["model.init.text=\"bert\"", "model.fusion.layers=2"],
            &["model.init.image=\"a.onnx\"", "model.init.mean=[0.5, 0.5, 0.5]", "model.init.std=[0.2, 0.2, 0.2]"],
            &["model.init.model=\"run\"", "model.image.size=98", "model.image.merge=2"],
        ] {
            let recipe = parse(START, sets).unwrap();
            assert_eq!(parse(&recipe.to_toml(), &[]).unwrap(), recipe, "{sets:?}");
        }
    }

    #[test]
    fn what_the_weights_determine_is_no_key() {
        let (image, text) = ("model.init.image=\"vit\"", "model.init.text=\"bert\"");
        for (sets, words) in [
            (&[image, "model.image.width=128"][..], &["`model.image.width`", "model.init.image"][..]),
            (&[text, "model.text.layers=2"], &["`model.text.layers`", "model.init.text"]),
            (&[text, "model.style=\"bert\""], &["`model.style`", "model.init.text"]),
            (&["model.init.model=\"run\"", "model.preset=\"tiny\""], &["`model.preset`", "model.init.model"]),
            (&["model.init.model=\"run\"", text], &["`model.init.model`", "whole model"]),
            (
                &["task={ kind = \"vqa\" }", "model.init.model=\"run\"", "finetune.model=\"run\""],
                &["`model.init`", "finetune.model"],
            ),
            (&[text, "model.init.mean=[0.5, 0.5, 0.5]"], &["`model.init.mean`", "model.init.image"]),
            (&["model.init.imgae=\"vit\""], &["model.init.imgae", "did you mean `model.init.image`?"]),
            (&["train.freeze_steps=5"], &["`train.freeze_steps`", "needs `train.freeze`"]),
            (&["train.freeze_except=[\"vision\"]"], &["`train.freeze_except`", "needs `train.freeze`"]),
            (&["train.freeze=[\"vision\"]", "train.freeze_steps=0"], &["`train.freeze_steps`", "is 0"]),
        ] {
            let message = parse(START, sets).unwrap_err();
            words.iter().for_each(|word| assert!(message.contains(word), "{sets:?}: {message} lacks {word}"));
        }
    }

    #[test]
    fn weights_are_frozen_by_name_for_all_or_for_the_first_steps() {
        let freeze = "train.freeze=[\"vision_encoder\", \"language_encoder.embeddings\"]";
        let (patch, words) =
            ("vision_encoder.visual.conv1.weight", "language_encoder.embeddings.word_embeddings.weight");
        let always = parse(START, &[freeze]).unwrap();
        let first = parse(START, &[freeze, "train.freeze_steps=2"]).unwrap();
        for (step, thawed) in [(0, false), (1, false), (2, true)] {
            for name in [patch, words] {
                assert_eq!((always.trains(name, step), first.trains(name, step)), (false, thawed), "{name} {step}");
            }
            assert!(first.trains("language_encoder.encoder.layer.0.output.dense.bias", step));
        }
        let config = always.model_config(300, [0, 2, 1], &[], Outputs::default()).unwrap();
        let frozen = |recipe: &Recipe, step| (recipe.frozen(&config, step).image, recipe.frozen(&config, step).text);
        let (nothing, image) = ((Frozen::Nothing, Frozen::Nothing), (Frozen::All, Frozen::Nothing));
        assert_eq!((frozen(&always, 2), frozen(&first, 1), frozen(&first, 2)), (image, image, nothing));
        let of_run = [&always, &first].map(|recipe| recipe.frozen_image_encoder(&config));
        assert_eq!(of_run, [Frozen::All, Frozen::Nothing]);
    }

    #[test]
    fn the_last_layers_of_a_frozen_encoder_can_be_trained() {
        let frozen = |freeze: &str, except: &str| {
            let sets = [format!("train.freeze={freeze}"), format!("train.freeze_except={except}")];
            let recipe = parse(START, &["model.preset=\"tiny\"", &sets[0], &sets[1]]).unwrap();
            recipe.frozen(&recipe.model_config(300, [0, 2, 1], &[], Outputs::default()).unwrap(), 0)
        };
        let (blocks, layers) = ("vision_encoder.visual.transformer.resblocks.", "language_encoder.encoder.layer.");
        let both = r#"["vision_encoder", "language_encoder"]"#;
        let last = format!("[\"{blocks}2.\", \"{blocks}3.\", \"{layers}3.\"]");
        assert_eq!(frozen(both, &last), FrozenEncoders { image: Frozen::Layers(2), text: Frozen::Layers(3) });
        // The weights behind all blocks are trained alone.
        let image = |except: &str| frozen(r#"["vision_encoder"]"#, except).image;
        assert_eq!(image(r#"["vision_encoder.visual.ln_post"]"#), Frozen::Layers(4));
        assert_eq!(image(&format!("[\"{blocks}0.\"]")), Frozen::Nothing);
        assert_eq!(image(r#"["vision_encoder.visual.positional_embedding"]"#), Frozen::Nothing);
    }

    #[test]
    fn keys_of_earlier_versions_are_moved() {
        let text = "data = [\"d\"]\n[task]\nkind = \"vqa\"\n[finetune]\nfreeze = [\"vision_encoder\"]\ncache = false\n\
                    [train]\nsteps = 3\n";
        let recipe = parse(text, &[]).unwrap();
        assert_eq!((recipe.train.freeze.as_slice(), recipe.train.cache), (&["vision_encoder".to_string()][..], false));
    }
}
