//! What is recorded of a forward and backward pass to explain a result: the inputs of the encoders, whose gradients tell what each
//! patch and word is worth, and attention that is weighted by its gradient (Chefer et al., "Generic Attention-model Explainability for
//! Interpreting Bi-Modal and Encoder-Decoder Transformers", 2021).

use std::sync::{Arc, Mutex, MutexGuard};

use burn::tensor::{Tensor, TensorData};

use crate::Packed;

/// The part of a network to which an attention call belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkPart {
    /// Image encoder.
    ImageEncoder,
    /// Text encoder.
    TextEncoder,
    /// The image stream of the fusion.
    ImageStream,
    /// The text stream of the fusion.
    TextStream,
    /// The fusion with one stream.
    SingleStream,
    /// What composes a sequence in place of a missing one.
    Prompts,
}

/// The modality of a traced input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TracedModality {
    /// Images.
    Image,
    /// Texts.
    Text,
}

/// One attention call.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedAttention {
    /// Where it is.
    pub part: Option<NetworkPart>,
    /// Whether sequences attend to those of the other stream, and not to themselves.
    pub crosses: bool,
    /// For each sequence `[queries, keys]`: the mean over heads of the positive part of probability times gradient. Empty before the
    /// backward pass.
    pub relevance: Vec<Vec<f32>>,
}

/// The embedded inputs of an encoder, as it got them.
#[derive(Clone, Debug)]
pub struct TracedInput {
    /// Tokens whose gradients are kept.
    pub tokens: Packed,
    /// Real input minus baseline, as large as the tokens; empty if there is no baseline.
    pub difference: Vec<f32>,
}

/// A recording. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// For each sequence, where it lies between its baseline (0) and the real input (1); empty for inputs as they are.
    between: Arc<Vec<f32>>,
    attention: Arc<Mutex<Attention>>,
    inputs: Arc<Mutex<TracedInputs>>,
}

#[derive(Debug, Default)]
struct Attention {
    part: Option<NetworkPart>,
    calls: Vec<RecordedAttention>,
}

#[derive(Debug, Default)]
struct TracedInputs {
    images: Option<TracedInput>,
    texts: Option<TracedInput>,
}

/// The place of an attention call in a recording. The graph of gradients holds it, so it holds no tensor of the recording: a graph that holds
/// its own inputs is never freed.
#[derive(Clone, Debug)]
pub struct RecordSlot {
    attention: Arc<Mutex<Attention>>,
    index: usize,
}

/// Locks a part of a recording. No code panics while it holds this lock.
fn locked<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Trace {
    /// A recording of inputs on the straight way from a baseline to the real ones: sequence `i` lies at `between[i]`.
    pub fn on_the_way(between: Vec<f32>) -> Self {
        Self { between: Arc::new(between), ..Self::default() }
    }

    /// The calls that follow belong to this part.
    pub(crate) fn enter(&self, part: NetworkPart) {
        locked(&self.attention).part = Some(part);
    }

    /// The place for the next attention call.
    pub(crate) fn slot(&self, crosses: bool) -> RecordSlot {
        let mut attention = locked(&self.attention);
        let part = attention.part;
        attention.calls.push(RecordedAttention { part, crosses, relevance: vec![] });
        RecordSlot { attention: Arc::clone(&self.attention), index: attention.calls.len() - 1 }
    }

    /// The attention calls in their order.
    pub fn attention(&self) -> Vec<RecordedAttention> {
        locked(&self.attention).calls.clone()
    }

    /// The inputs of an encoder; `None` if it had no real ones.
    pub fn input(&self, modality: TracedModality) -> Option<TracedInput> {
        let inputs = locked(&self.inputs);
        match modality {
            TracedModality::Image => inputs.images.clone(),
            TracedModality::Text => inputs.texts.clone(),
        }
    }

    /// Replaces the embedded inputs of an encoder by tokens whose gradients are kept. `baseline` gives tokens of the same lengths.
    ///
    /// # Panics
    /// If there are fewer places on the way than sequences, or if the baseline has other lengths.
    pub fn replace(&self, modality: TracedModality, real: &Packed, baseline: impl FnOnce() -> Packed) -> Packed {
        let (d, device) = (real.tokens.dims()[1], real.tokens.device());
        let host = |tokens: Tensor<2>| -> Vec<f32> {
            tokens.inner().into_data().try_into_vec().expect("the model computes in f32")
        };
        let mut values = host(real.tokens.clone());
        let mut difference = vec![];
        if !self.between.is_empty() {
            let baseline = baseline();
            assert_eq!(baseline.lengths, real.lengths, "the baseline has the lengths of the inputs");
            let baseline = host(baseline.tokens);
            difference = values.iter().zip(&baseline).map(|(real, baseline)| real - baseline).collect();
            for ((start, length), between) in real.starts().into_iter().zip(real.lengths.iter()).zip(&*self.between) {
                for place in start * d..(start + length) * d {
                    values[place] = baseline[place] + between * difference[place];
                }
            }
        }
        let tokens = Tensor::from_data(TensorData::new(values, real.tokens.dims()), &device).require_grad();
        let tokens = real.with(tokens);
        let traced = Some(TracedInput { tokens: tokens.clone(), difference });
        let mut inputs = locked(&self.inputs);
        match modality {
            TracedModality::Image => inputs.images = traced,
            TracedModality::Text => inputs.texts = traced,
        }
        tokens
    }
}

impl RecordSlot {
    /// Stores what an attention call is worth.
    pub(crate) fn write(&self, relevance: Vec<Vec<f32>>) {
        locked(&self.attention).calls[self.index].relevance = relevance;
    }
}
