//! What the files beside an image encoder's weights say about it: heads, activation, epsilon, number of blocks.

use ptu_model::config::{ImageActivation, ImageConfig};
use serde_json::Value;

use super::ImageOptions;
use super::layout::Program;
use super::sizes::{Found, activation};
use crate::error::ImportError;
use crate::report::Assumed;
use crate::settings;
use crate::unsupported::Unsupported;

/// The number of heads that a `config.json` of `transformers` means if it does not give it.
const TRANSFORMERS_HEADS: usize = 12;

/// Values that the files beside the weights give.
#[derive(Default)]
struct Described {
    heads: Option<usize>,
    layers: Option<usize>,
    eps: Option<f64>,
    activation: Option<String>,
}

impl Found<'_> {
    /// Completes the sizes by options and by the files beside the weights. Returns also what had to be assumed.
    ///
    /// # Errors
    /// When a file is not JSON, or when an activation is not supported.
    pub(crate) fn complete(
        &self,
        config: &mut ImageConfig,
        options: &ImageOptions,
    ) -> Result<Vec<Assumed>, ImportError> {
        let described = self.described(config)?;
        let mut assumed = vec![];
        let rule = config.width / 64;
        let heads = options.heads.or(described.heads).unwrap_or_else(|| {
            let because = "one head for every 64 of the width, as in most published encoders";
            assumed.push(Assumed { key: "image.heads", value: rule.to_string(), because });
            rule
        });
        config.heads = Some(heads).filter(|heads| !config.width.is_multiple_of(64) || *heads != rule);
        config.layers = described.layers.unwrap_or(config.layers);
        if let Some(eps) = described.eps {
            config.eps = eps;
        }
        config.activation = match (options.activation, &described.activation) {
            (Some(activation), _) => activation,
            (None, Some(name)) => activation(name).ok_or_else(|| ImportError::Unsupported {
                path: self.source.path().into(),
                name: "config.json".into(),
                what: Unsupported::Activation(name.clone()),
            })?,
            (None, None) => {
                let value = config.activation.name().into();
                assumed.push(Assumed { key: "image.activation", value, because: "the default of its program" });
                config.activation
            }
        };
        Ok(assumed)
    }

    fn described(&self, config: &ImageConfig) -> Result<Described, ImportError> {
        Ok(match self.layout.program {
            Program::OpenClip => self.open_clip(config)?,
            Program::Timm => self.timm(config)?,
            Program::TransformersClip | Program::TransformersVit | Program::TransformersDino => {
                self.transformers(config)
            }
        })
    }

    /// `config.json` of `transformers`; a key that is not there has the default of its class.
    fn transformers(&self, config: &ImageConfig) -> Described {
        let all = &self.source.config;
        let vision = if all["vision_config"].is_object() { &all["vision_config"] } else { all };
        if all["model_type"].is_null() && vision["model_type"].is_null() {
            return Described::default();
        }
        let siglip = !config.class_token && self.layout.program == Program::TransformersClip;
        let (eps, activation) = match siglip {
            true => (1e-6, ImageActivation::GeluTanh),
            false => (self.layout.eps, self.layout.activation),
        };
        let activation = match activation {
            ImageActivation::QuickGelu => "quick_gelu",
            ImageActivation::Gelu => "gelu",
            ImageActivation::GeluTanh => "gelu_pytorch_tanh",
        };
        Described {
            heads: settings::count(vision, "num_attention_heads").or(Some(TRANSFORMERS_HEADS)),
            layers: settings::count(vision, "num_hidden_layers"),
            eps: vision["layer_norm_eps"].as_f64().or(Some(eps)),
            activation: Some(vision["hidden_act"].as_str().unwrap_or(activation).to_string()),
        }
    }

    /// `config.json` of `timm`, or `open_clip_config.json` of a model with an encoder of `timm`.
    fn timm(&self, config: &ImageConfig) -> Result<Described, ImportError> {
        let clip = self.open_clip_config()?;
        let all = &self.source.config;
        let named = all["architecture"].as_str().or(clip["vision_cfg"]["timm_model_name"].as_str());
        let arguments = &all["model_args"];
        let activation = arguments["act_layer"].as_str().map(str::to_string);
        let by_name = named.map(|name| if name.contains("quickgelu") { "quick_gelu" } else { "gelu" }.to_string());
        Ok(Described {
            heads: settings::count(arguments, "num_heads"),
            layers: None,
            // In `timm`, encoders with a norm before their blocks are those of CLIP, with CLIP's epsilon.
            eps: config.pre_norm.then_some(1e-5),
            activation: activation.or(by_name),
        })
    }

    /// `open_clip_config.json`: without `quick_gelu`, its encoders use GELU.
    fn open_clip(&self, config: &ImageConfig) -> Result<Described, ImportError> {
        let clip = self.open_clip_config()?;
        if clip.is_null() {
            let published =
                self.prefix.ends_with("vision_encoder.visual.") || self.prefix.ends_with("vit_model.visual.");
            let activation = published.then(|| "quick_gelu".to_string());
            let heads = published.then_some(config.width / 64);
            return Ok(Described { activation, heads, ..Described::default() });
        }
        let vision = &clip["vision_cfg"];
        let quick = clip["quick_gelu"].as_bool().unwrap_or(false);
        Ok(Described {
            heads: Some(config.width / settings::count(vision, "head_width").unwrap_or(64)),
            layers: settings::count(vision, "layers"),
            eps: None,
            activation: Some(if quick { "quick_gelu" } else { "gelu" }.into()),
        })
    }

    /// `model_cfg` of `open_clip_config.json`, or null.
    fn open_clip_config(&self) -> Result<Value, ImportError> {
        let file = settings::read(&self.source.beside("open_clip_config.json"))?;
        Ok(file.map_or(Value::Null, |file| file["model_cfg"].clone()))
    }
}
