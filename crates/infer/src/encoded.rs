//! Outputs of an image encoder for images that were encoded before. The same images are often asked for again: with another text or
//! question, without a text, by each of several scores, in each validation of a frozen encoder.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};

use ptu_input::{Image, ImageOutputs, Images};
use ptu_kernels::ComputePrecision;
use ptu_model::Model;
use sha2::{Digest, Sha256};

/// The largest number of bytes of outputs that are kept: 1 GiB.
const LIMIT: usize = 1 << 30;

/// Outputs of one image encoder, by image. They are computed as for an image alone or in a batch, and stay in f32.
#[derive(Default)]
pub struct EncodedImages(Mutex<Held>);

#[derive(Default)]
struct Held {
    /// The encoder and the precision of all outputs.
    encoder: Option<([u8; 32], ComputePrecision)>,
    /// By a hash of the pixels.
    outputs: HashMap<[u8; 32], ImageOutputs>,
    bytes: usize,
}

impl EncodedImages {
    /// Forgets all outputs that are not of the image encoder of this model with this precision. It is called before the first call of
    /// [`Self::encode`] for a model whose weights may have changed.
    pub fn start(&self, model: &Model, precision: ComputePrecision) {
        let (mut held, encoder) = (self.held(), Some((model.image_encoder_digest(None), precision)));
        if held.encoder != encoder {
            *held = Held { encoder, ..Held::default() };
        }
    }

    /// The images with the outputs of the encoder in place of their pixels. Those that are not known are computed together. Images of
    /// another size than the model's, and images whose outputs are known already, are returned as they are.
    ///
    /// # Panics
    /// If [`Self::start`] was not called for the model and the precision.
    pub fn encode(&self, model: &Model, precision: ComputePrecision, mut images: Vec<Image>) -> Vec<Image> {
        let side = model.config().image.size;
        let keys: Vec<Option<[u8; 32]>> = images.iter().map(|image| key(image, side)).collect();
        let mut held = self.held();
        assert!(held.encoder.is_some_and(|(_, started)| started == precision), "`start` was called");
        let mut new: Vec<usize> = vec![];
        for (place, key) in keys.iter().enumerate() {
            let is_new =
                key.is_some_and(|key| !held.outputs.contains_key(&key) && !new.iter().any(|it| keys[*it] == Some(key)));
            new.extend(is_new.then_some(place));
        }
        let computed = match new.is_empty() {
            true => ImageOutputs::default(),
            false => model.image_outputs(&Images::collect(new.iter().map(|place| &images[*place])), None, precision),
        };
        let of_new: HashMap<[u8; 32], ImageOutputs> =
            new.iter().enumerate().filter_map(|(index, place)| Some((keys[*place]?, computed.only(index)))).collect();
        for (image, key) in images.iter_mut().zip(&keys) {
            let Some(key) = key else { continue };
            let outputs = of_new.get(key).or_else(|| held.outputs.get(key)).cloned();
            *image = Image { outputs, ..Image::new(side, vec![]) };
        }
        for (key, outputs) in of_new {
            let bytes = size_of_val(outputs.values.as_slice()) + size_of_val(outputs.queries.as_slice());
            if held.bytes + bytes <= LIMIT {
                held.bytes += bytes;
                held.outputs.insert(key, outputs);
            }
        }
        images
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // What is held is complete whenever the lock is free, so a poisoned lock can be used.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl fmt::Debug for EncodedImages {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "EncodedImages({} images)", self.held().outputs.len())
    }
}

/// A hash of the pixels; `None` for an image of another size, or one without pixels.
fn key(image: &Image, side: usize) -> Option<[u8; 32]> {
    if image.outputs.is_some() || image.side != side {
        return None;
    }
    let mut hash = Sha256::new();
    image.planes.iter().for_each(|value| hash.update(value.to_le_bytes()));
    Some(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ptu_input::{Batch, Input};
    use ptu_model::{Preset, TextStyle};
    use ptu_random::{Key, Place};

    use super::*;

    const F32: ComputePrecision = ComputePrecision::F32;

    fn model(seed: u64) -> Model {
        let mut config = Preset::Tiny.config(TextStyle::Roberta, 50, [0, 2, 1]);
        config.image.size = 32;
        Model::new(&config, Key::new(seed), &Device::flex()).unwrap()
    }

    fn images() -> Vec<Image> {
        let mut stream = Key::new(4).stream(Place::Sample, 0);
        (0..3).map(|_| Image::new(32, (0..3 * 32 * 32).map(|_| stream.normal() as f32).collect())).collect()
    }

    fn features(model: &Model, images: Vec<Image>) -> Vec<f32> {
        let inputs: Vec<Input> = images.into_iter().map(Input::Image).collect();
        model.features(&Batch::collect(&inputs), F32).unwrap().into_data().try_into_vec().unwrap()
    }

    #[test]
    fn known_outputs_give_the_features_of_the_pixels() {
        let (model, encoded, images) = (model(1), EncodedImages::default(), images());
        encoded.start(&model, F32);
        let repeated = vec![images[0].clone(), images[1].clone(), images[0].clone()];
        let close = |x: &[f32], y: &[f32]| x.len() == y.len() && x.iter().zip(y).all(|(x, y)| (x - y).abs() < 1e-5);
        for round in 0..2 {
            let with = encoded.encode(&model, F32, repeated.clone());
            assert!(with.iter().all(|image| image.planes.is_empty()), "{round}");
            assert!(close(&features(&model, with), &features(&model, repeated.clone())), "{round}");
            assert_eq!(encoded.held().outputs.len(), 2);
        }
        // A third image beside a known one.
        let with = encoded.encode(&model, F32, vec![images[2].clone(), images[1].clone()]);
        assert!(close(&features(&model, with), &features(&model, images[1..].iter().rev().cloned().collect())));
        // One of another size is left for the check of the model.
        let other = Image::new(16, vec![0.0; 3 * 16 * 16]);
        assert_eq!(encoded.encode(&model, F32, vec![other.clone()]), [other]);
    }

    #[test]
    fn outputs_of_another_encoder_are_forgotten() {
        let (one, other, encoded) = (model(1), model(2), EncodedImages::default());
        encoded.start(&one, F32);
        let of_one = encoded.encode(&one, F32, images());
        encoded.start(&one, F32);
        assert_eq!(encoded.held().outputs.len(), 3);
        encoded.start(&other, F32);
        assert_eq!(encoded.held().outputs.len(), 0);
        assert_ne!(encoded.encode(&other, F32, images()), of_one);
    }
}
