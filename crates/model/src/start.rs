//! Starts a model for fine-tuning from the weights of a pre-trained one (specification, sections 1.5 and 1.7). What the
//! pre-trained model does not have is copied from the part that it starts from, or is initialised.

use std::path::Path as File;

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use ptu_random::Key;

use crate::array::Arrays;
use crate::config::HeadKind;
use crate::init::Fill;
use crate::names::Name;
use crate::weights::{Load, Stored, array, read_stored, to_stored};
use crate::{Model, ModelConfig, ModelError, WeightMapper};

/// Where the weights of a started model do not come from the file, by published name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// Weights that were initialised, because the file has none of this name and shape.
    pub initialised: Vec<String>,
    /// Weights that were copied from another weight of the file.
    pub copied: Vec<String>,
    /// Weights of the file that the model does not have.
    pub unused: Vec<String>,
}

impl Model {
    /// A model of this configuration with the weights of a safetensors file, which may be those of another task. Heads that the
    /// file does not have, or has for another number of outputs, are initialised as in [`Model::new`]; the retrieval head
    /// starts from row 1 of the ITM head, and the decoder from the text encoder and the MLM head.
    ///
    /// # Errors
    /// As [`Model::load`]; of missing weights, only those of heads and of the decoder are allowed.
    pub fn start(config: &ModelConfig, file: &File, key: Key, device: &Device) -> Result<(Self, Started), ModelError> {
        start(config, read_stored(file)?, key, device, file)
    }

    /// As [`Model::start`], with arrays in memory; `file` appears in error messages.
    ///
    /// # Errors
    /// As [`Model::start`].
    ///
    /// # Panics
    /// If the number of values of an array does not match its shape.
    pub fn start_from_arrays(
        config: &ModelConfig,
        arrays: Arrays,
        key: Key,
        device: &Device,
        file: &File,
    ) -> Result<(Self, Started), ModelError> {
        start(config, to_stored(arrays), key, device, file)
    }

    /// A model of this configuration with these arrays; every weight that is not among them is initialised as in [`Model::new`]. Also
    /// returns the published names of these weights, sorted. `file` appears in error messages.
    ///
    /// # Errors
    /// When the configuration is not valid, or an array is unknown or has another shape.
    ///
    /// # Panics
    /// If the number of values of an array does not match its shape.
    pub fn complete(
        config: &ModelConfig,
        arrays: Arrays,
        key: Key,
        device: &Device,
        file: &File,
    ) -> Result<(Self, Vec<String>), ModelError> {
        let fill = Fill { key, deviation: config.deviation };
        let load = Load::new(to_stored(arrays), config);
        let mut complete = Complete { load, fill, initialised: vec![] };
        let model = Self::empty(config, device)?.map_weights(&mut complete);
        complete.load.finish(config, file)?;
        complete.initialised.sort_unstable();
        Ok((model, complete.initialised))
    }
}

/// Takes each weight from the file, or initialises it if the file does not have it.
struct Complete {
    load: Load,
    fill: Fill,
    initialised: Vec<String>,
}

impl WeightMapper for Complete {
    fn map<const D: usize>(&mut self, name: Name, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.load.stored.contains_key(&name.published) {
            return self.load.map(name, param);
        }
        self.initialised.push(name.published.clone());
        self.fill.map(name, param)
    }
}

fn start(
    config: &ModelConfig,
    mut stored: Stored,
    key: Key,
    device: &Device,
    file: &File,
) -> Result<(Model, Started), ModelError> {
    let copied = copies(config, &stored);
    let names = copied.iter().map(|(name, _)| name.clone()).collect();
    stored.extend(copied);
    let fill = Fill { key, deviation: config.deviation };
    let mut start = Start { load: Load::new(stored, config), fill, initialised: vec![] };
    let model = Model::empty(config, device)?.map_weights(&mut start);
    let unused = start.load.finish(config, file)?;
    Ok((model, Started { initialised: start.initialised, copied: names, unused }))
}

/// Weights of new parts that start as a copy, with their published names. A weight that the file already has is not replaced.
fn copies(config: &ModelConfig, stored: &Stored) -> Vec<(String, TensorData)> {
    let mut copies = vec![];
    if config.heads.contains(&HeadKind::Retrieval) {
        copies.extend(retrieval_from_matching(stored));
    }
    if config.decoder.is_some() {
        copies.extend(decoder_from_encoder(config, stored));
    }
    copies.retain(|(name, _)| !stored.contains_key(name));
    copies
}

/// The retrieval head as row 1 (match) of the ITM head; nothing if the file has no ITM head of two rows.
fn retrieval_from_matching(stored: &Stored) -> Vec<(String, TensorData)> {
    let row = |from: &str, to: &str| {
        let found = stored.get(from).map(array).filter(|array| array.shape.first() == Some(&2))?;
        let values = found.values[found.values.len() / 2..].to_vec();
        let shape: Vec<usize> = std::iter::once(1).chain(found.shape[1..].iter().copied()).collect();
        Some((to.to_string(), TensorData::new(values, shape)))
    };
    let both = [row("itm_head.fc.weight", "irtr_head.weight"), row("itm_head.fc.bias", "irtr_head.bias")];
    // Half of a head would be worse than none.
    both.into_iter().collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// The decoder's embeddings and layers as those of the text encoder, and its output head as the MLM head, if both have the same
/// width. Cross-attention and `clm_proj` have nothing to start from.
fn decoder_from_encoder(config: &ModelConfig, stored: &Stored) -> Vec<(String, TensorData)> {
    let copy = |from: &'static str, to: &'static str| {
        let below = stored.iter().filter_map(move |(name, data)| Some((name.strip_prefix(from)?, data)));
        below.map(move |(rest, data)| (format!("{to}{rest}"), data.clone()))
    };
    let embeddings = copy("language_encoder.embeddings.", "clm_head.bert.embeddings.");
    let layers = copy("language_encoder.encoder.layer.", "clm_head.bert.encoder.layer.");
    let head = copy("mlm_head.", "clm_head.lm_head.").filter(|_| config.text.width == config.fusion.width);
    embeddings.chain(layers).chain(head).collect()
}

struct Start {
    load: Load,
    fill: Fill,
    initialised: Vec<String>,
}

impl WeightMapper for Start {
    fn map<const D: usize>(&mut self, name: Name, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape().to_vec();
        let found = self.load.stored.get(&name.published).is_some_and(|found| found.shape().to_vec() == shape);
        if found || !name.may_be_new() {
            return self.load.map(name, param);
        }
        self.load.stored.remove(&name.published);
        self.initialised.push(name.published.clone());
        self.fill.map(name, param)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DecoderConfig;
    use crate::{Outputs, Preset, TextStyle};

    fn tiny() -> ModelConfig {
        let mut config = Preset::Tiny.config(TextStyle::Roberta, 40, [0, 2, 1]);
        (config.text.layers, config.fusion.layers, config.image.layers) = (1, 1, 2);
        config
    }

    fn started(config: &ModelConfig, arrays: Arrays) -> Result<(Arrays, Started), ModelError> {
        let (device, file) = (Device::flex(), File::new("memory"));
        let (model, started) = Model::start_from_arrays(config, arrays, Key::new(9), &device, file)?;
        Ok((model.to_arrays(), started))
    }

    #[test]
    fn the_retrieval_head_starts_from_the_matching_head() {
        let before = Model::new(&tiny(), Key::new(3), &Device::flex()).unwrap().to_arrays();
        let config = ModelConfig { heads: vec![HeadKind::Retrieval], ..tiny() };
        let (after, started) = started(&config, before.clone()).unwrap();
        let d = config.fusion.width;
        assert_eq!(after["irtr_head.weight"].shape, [1, 2 * d]);
        assert_eq!(after["irtr_head.weight"].values, before["itm_head.fc.weight"].values[2 * d..]);
        assert_eq!(after["irtr_head.bias"].values, before["itm_head.fc.bias"].values[1..]);
        assert_eq!((started.initialised.len(), started.copied.len()), (0, 2));
        assert!(started.unused.iter().any(|name| name == "mlm_head.bias"));
        for (name, array) in after.iter().filter(|(name, _)| !name.starts_with("irtr_head")) {
            assert_eq!(array, &before[name], "{name}");
        }
        // A retrieval head that was trained is kept.
        let (again, kept) = self::started(&config, {
            let mut all = after.clone();
            all.extend(before);
            all
        })
        .unwrap();
        assert_eq!((&again, kept.copied.len()), (&after, 0));
    }

    #[test]
    fn heads_with_other_outputs_are_initialised_as_in_a_new_model() {
        let of = |vqa| ModelConfig {
            heads: vec![HeadKind::Vqa],
            outputs: Outputs { vqa: Some(vqa), ..Outputs::default() },
            ..tiny()
        };
        let before = Model::new(&of(7), Key::new(3), &Device::flex()).unwrap().to_arrays();
        let (after, started) = started(&of(5), before.clone()).unwrap();
        assert_eq!(started.initialised, ["vqa_head.3.weight", "vqa_head.3.bias"]);
        let new = Model::new(&of(5), Key::new(9), &Device::flex()).unwrap().to_arrays();
        assert_eq!(after["vqa_head.3.weight"], new["vqa_head.3.weight"]);
        assert_eq!(after["vqa_head.0.weight"], before["vqa_head.0.weight"]);
    }

    #[test]
    fn the_decoder_starts_from_the_text_encoder_and_the_mlm_head() {
        let before = Model::new(&tiny(), Key::new(3), &Device::flex()).unwrap().to_arrays();
        let config = ModelConfig { heads: vec![], decoder: Some(DecoderConfig::default()), ..tiny() };
        let (after, started) = started(&config, before.clone()).unwrap();
        for (ours, theirs) in [
            ("clm_head.bert.embeddings.LayerNorm.weight", "language_encoder.embeddings.LayerNorm.weight"),
            ("clm_head.bert.embeddings.word_embeddings.weight", "language_encoder.embeddings.word_embeddings.weight"),
            (
                "clm_head.bert.encoder.layer.0.attention.self.query.weight",
                "language_encoder.encoder.layer.0.attention.self.query.weight",
            ),
            ("clm_head.lm_head.transform.dense.weight", "mlm_head.transform.dense.weight"),
            ("clm_head.lm_head.bias", "mlm_head.bias"),
        ] {
            assert_eq!(after[ours], before[theirs], "{ours}");
        }
        let new = |name: &String| name.starts_with("clm_proj") || name.contains("crossattention");
        assert!(started.initialised.iter().all(new), "{:?}", started.initialised);
        assert_eq!((started.initialised.len(), started.copied.len()), (14, 27));
        // An own model of this configuration has other values, but the same names and shapes.
        let own = Model::new(&config, Key::new(9), &Device::flex()).unwrap().to_arrays();
        let cross = "clm_head.bert.encoder.layer.0.crossattention.self.key.weight";
        assert_eq!(own[cross], after[cross]);
        assert!(
            own.iter()
                .map(|(name, array)| (name, &array.shape))
                .eq(after.iter().map(|(name, array)| (name, &array.shape)))
        );
        // A model without decoder reads the file of one that has it.
        let plain = ModelConfig { heads: vec![], ..tiny() };
        let unused = Model::from_arrays(&plain, after, &Device::flex(), File::new("memory")).unwrap().1;
        assert_eq!(unused.len(), 41);
    }

    #[test]
    fn weights_other_than_those_of_heads_must_be_there() {
        let mut arrays = Model::new(&tiny(), Key::new(3), &Device::flex()).unwrap().to_arrays();
        arrays.remove("modality_type_embeddings.weight");
        let error = started(&tiny(), arrays).unwrap_err();
        assert!(matches!(&error, ModelError::MissingWeights { names, .. } if names.len() == 1), "{error}");
    }
}
