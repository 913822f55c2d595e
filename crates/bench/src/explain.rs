//! Times explanations: how many forward passes they cost, and how much memory they take.

use std::time::Instant;

use ptu_explain::{Explainer, Goal, Method, device};
use ptu_input::{Image, Input, Text, Tokenizer};
use ptu_model::{HeadKind, Model, ModelConfig, Outputs, Preset};
use ptu_random::{Key, Place};
use serde::{Deserialize, Serialize};

use crate::BenchError;
use crate::measure::{Timing, peak_memory};
use crate::step::{bundle, config, images, random_texts};

/// The options of the benchmark.
#[derive(Clone, Debug)]
pub struct ExplainOptions {
    /// The model size.
    pub preset: Preset,
    /// Pairs that are explained together.
    pub batch: usize,
    /// Points of integrated gradients.
    pub steps: usize,
    /// Number of timed rounds, in each of which every case is timed once.
    pub rounds: usize,
    /// The random seed of weights and data.
    pub seed: u64,
}

/// The results; each ratio is the median over rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExplainResult {
    /// Seconds for the scores of the pairs: a forward pass.
    pub forward: Timing,
    /// Seconds for their explanations by attention.
    pub attention: Timing,
    /// Seconds for their explanations by integrated gradients.
    pub gradients: Timing,
    /// Time by attention, divided by that of the forward pass.
    pub attention_ratio: f64,
    /// Time by integrated gradients, divided by that of the forward pass.
    pub gradients_ratio: f64,
    /// Peak resident memory in MiB; `None` if the system does not report it.
    pub peak_mib: Option<f64>,
}

/// Times both ways to explain a logit of pairs of an image and a text, with a model of random weights.
///
/// # Errors
/// If sizes do not fit each other.
pub fn explain(options: &ExplainOptions) -> Result<ExplainResult, BenchError> {
    let ExplainOptions { preset, batch, steps, rounds, seed } = *options;
    let outputs = Outputs { classification: Some(2), ..Outputs::default() };
    let config = ModelConfig { heads: vec![HeadKind::Classification], outputs, ..config(preset) };
    let model = Model::new(&config, Key::new(seed), &device())?;
    let explainer = Explainer::new(bundle(model, Tokenizer::train(["No text is read."], 300)?), None);
    let stream = |index| Key::new(seed).stream(Place::Sample, index);
    let (images, texts) = (images(&config, batch, &mut stream(1)), random_texts(&config, batch, &mut stream(0)));
    let (pixels, tokens) = (images.planes.len() / batch, texts.ids.len() / batch);
    let pair = |(planes, ids): (&[f32], &[u32])| Input::Pair {
        image: Image::new(images.side, planes.to_vec()),
        text: Text { ids: ids.to_vec(), words: vec![None; ids.len()] },
    };
    let inputs: Vec<Input> = images.planes.chunks(pixels).zip(texts.ids.chunks(tokens)).map(pair).collect();
    let goals = vec![Goal::Output(0); batch];
    let explained = |method| explainer.explain(&inputs, &goals, method).map(drop);
    explained(Method::Attention)?;
    let (mut forward, mut attention, mut gradients) = (vec![], vec![], vec![]);
    for _ in 0..rounds {
        let start = Instant::now();
        explainer.scores(&inputs, &goals)?;
        forward.push(start.elapsed().as_secs_f64());
        for (method, seconds) in
            [(Method::Attention, &mut attention), (Method::IntegratedGradients { steps }, &mut gradients)]
        {
            let start = Instant::now();
            explained(method)?;
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    let [forward, attention, gradients] = [forward, attention, gradients].map(|seconds| Timing { seconds });
    let ratio = |timing: &Timing| timing.ratio_to(&forward).unwrap_or(f64::NAN);
    let (attention_ratio, gradients_ratio) = (ratio(&attention), ratio(&gradients));
    Ok(ExplainResult { forward, attention, gradients, attention_ratio, gradients_ratio, peak_mib: peak_memory() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_are_timed() {
        let result = explain(&ExplainOptions { preset: Preset::Tiny, batch: 2, steps: 3, rounds: 2, seed: 0 }).unwrap();
        assert!([&result.forward, &result.attention, &result.gradients].iter().all(|one| one.seconds.len() == 2));
        assert!(result.attention_ratio > 0.0 && result.gradients_ratio > result.attention_ratio);
    }
}
