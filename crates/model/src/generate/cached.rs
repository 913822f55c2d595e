//! The decoder as a [`StepModel`] with a key-value cache: each step computes only the new token of each hypothesis.
//!
//! Shapes: d is the width, n the number of hypotheses.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;
use ptu_kernels::{ComputePrecision, Packed, Pass, rows};

use super::{Extension, StepModel};
use crate::Decoder;

/// The decoder with its cache. Keys and values of the memory are computed once for each input, and shared by its hypotheses.
#[derive(Debug)]
pub struct CachedDecoder {
    decoder: Decoder,
    /// Keys and values of the memories, for the cross-attention of each layer: `[rows of the memory, 2d]`.
    memory: Vec<Packed>,
    /// Keys and values of the hypotheses, for the self-attention of each layer: `[n * tokens, 2d]`.
    own: Vec<Tensor<2>>,
    /// Number of the input of each hypothesis.
    inputs: Vec<usize>,
    /// Number of tokens of each hypothesis.
    tokens: usize,
    precision: ComputePrecision,
    is_finite: bool,
}

impl CachedDecoder {
    /// Starts the generation of one text for each memory: see [`Decoder::memory`]. Gradients are not tracked.
    pub fn new(decoder: &Decoder, memory: &Packed, precision: ComputePrecision) -> Self {
        let (decoder, pass) = (decoder.clone().no_grad(), Pass::off().with(precision));
        let tokens = memory.tokens.clone().detach();
        let joined = |layer: &crate::layer::CrossLayer| layer.cross.keys_and_values(tokens.clone(), &pass);
        let of_memory = match memory.count() {
            0 => vec![],
            _ => decoder.layers.iter().map(|layer| memory.with(joined(layer))).collect(),
        };
        Self {
            memory: of_memory,
            own: vec![],
            inputs: (0..memory.count()).collect(),
            tokens: 0,
            precision,
            is_finite: true,
            decoder,
        }
    }

    /// Whether all logits so far were finite numbers.
    pub fn is_finite(&self) -> bool {
        self.is_finite
    }

    /// The cache rows of the extended hypotheses: the tokens of its parent, then the new token, which is behind all old ones.
    fn index(&self, extensions: &[Extension]) -> Arc<Vec<usize>> {
        let old = if self.own.is_empty() { 0 } else { self.inputs.len() * self.tokens };
        let each = extensions.iter().enumerate().flat_map(|(number, extension)| {
            let from = extension.parent * self.tokens;
            (from..from + self.tokens).chain([old + number])
        });
        Arc::new(each.collect())
    }

    /// Number of hypotheses of each input.
    fn group(inputs: &[usize], count: usize) -> Vec<usize> {
        assert!(inputs.is_sorted(), "hypotheses are not in the order of the inputs");
        let mut lengths = vec![0; count];
        inputs.iter().for_each(|input| lengths[*input] += 1);
        lengths
    }
}

impl StepModel for CachedDecoder {
    fn vocabulary(&self) -> usize {
        self.decoder.vocabulary()
    }

    fn longest(&self) -> usize {
        self.decoder.longest()
    }

    /// # Panics
    /// If a parent or a token is out of range, or if there are more tokens than position embeddings.
    fn step(&mut self, extensions: &[Extension]) -> Vec<f32> {
        if extensions.is_empty() {
            return vec![];
        }
        let (pass, n) = (Pass::off().with(self.precision), extensions.len());
        let index = self.index(extensions);
        let inputs: Vec<usize> = extensions.iter().map(|extension| self.inputs[extension.parent]).collect();
        let grouped = Self::group(&inputs, self.memory.first().map_or(0, Packed::count));
        let ids: Vec<u32> = extensions.iter().map(|extension| extension.token).collect();
        let position = self.decoder.position(self.tokens);
        let mut x = Packed::new(self.decoder.tables().embed(&ids, vec![position; n], &pass), vec![1; n]);
        let mut own = Vec::with_capacity(self.own.len());
        for (number, (layer, memory)) in self.decoder.layers.iter().zip(&self.memory).enumerate() {
            let new = layer.attention.keys_and_values(x.tokens.clone(), &pass); //                [n, 2d]
            let tables = self.own.get(number).cloned().into_iter().chain([new]).collect();
            let cache = Packed::new(rows(tables, Arc::clone(&index)), vec![self.tokens + 1; n]);
            own.push(cache.tokens.clone());
            x = layer.attention.cross_attention_to(&x, &cache, &pass);
            // All hypotheses of an input attend to the same memory, as one sequence of queries.
            let together = Packed::new(x.tokens, grouped.clone());
            let attended = layer.cross.cross_attention_to(&together, memory, &pass);
            x = layer.feed_forward.forward(&Packed::new(attended.tokens, vec![1; n]), &pass);
        }
        (self.own, self.inputs, self.tokens) = (own, inputs, self.tokens + 1);
        let logits = self.decoder.head.forward(x.tokens, &pass);
        let logits: Vec<f32> = logits.into_data().try_into_vec().expect("the model computes in f32");
        self.is_finite &= logits.iter().all(|logit| logit.is_finite());
        logits
    }
}
