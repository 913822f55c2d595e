//! A sequence in place of a missing modality that is composed of learned codes (specification, section 2.4).
//!
//! A generator (latent queries that attend to the modality that is present) gives latents. Each is quantised to the nearest code, and what is
//! left over to the nearest code of the next level (residual codes). Gradients pass the quantisation unchanged (straight-through). Codes are
//! moving averages of the latents that chose them; codes that are not used restart at latents of the step.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use ptu_kernels::{NetworkPart, Packed, Pass, rows};
use ptu_random::{Key, Place};
use rayon::prelude::*;

use super::host;
use crate::config::{CodebookConfig, FusionConfig};
use crate::layer::{CrossLayer, Linear, constant};

/// Added to the variance of targets.
const SMALL: f32 = 1e-6;

/// The generator and its codes.
#[derive(Module, Debug)]
pub struct Codebook {
    /// Latent queries, `[take, d]`.
    pub queries: Param<Tensor<2>>,
    /// Layers of the generator.
    pub layers: Vec<CrossLayer>,
    /// Tokens to latents.
    pub latent: Linear,
    /// Codes of all levels, `[levels * codes, width]`. They are not trained by gradients.
    pub codes: Param<Tensor<2>>,
    /// Moving average of the number of uses of each code in a step, `[levels * codes]`.
    pub uses: Param<Tensor<1>>,
    /// Quantised latents to tokens.
    pub token: Linear,
    #[module(skip)]
    config: CodebookConfig,
}

/// Sequences that were composed.
pub(crate) struct Composed {
    /// The tokens, in the width of the fusion.
    pub tokens: Packed,
    /// The codes of each sequence: numbers of rows of [`Codebook::codes`].
    pub rows: Vec<Vec<usize>>,
    /// How far composed sequences are from their targets, and latents from their codes.
    pub loss: Option<Tensor<1>>,
    /// What the codes learn from.
    pub used: CodeUse,
}

/// The latents of a step and the codes that they chose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CodeUse {
    /// Of each level: the vectors that were quantised, one after another.
    latents: Vec<Vec<f32>>,
    /// Of each level: the code of each vector, counted within the level.
    chosen: Vec<Vec<usize>>,
}

impl CodeUse {
    /// Adds those of another part of the batch.
    pub fn add(&mut self, other: Self) {
        if self.latents.is_empty() {
            *self = other;
            return;
        }
        self.latents.iter_mut().zip(other.latents).for_each(|(all, more)| all.extend(more));
        self.chosen.iter_mut().zip(other.chosen).for_each(|(all, more)| all.extend(more));
    }
}

/// Sequences of the modality that is missing, for training: the number of a composed sequence and its tokens.
pub(crate) struct Targets<'a> {
    /// Numbers of composed sequences.
    pub composed: Vec<usize>,
    /// The real sequence of each.
    pub real: &'a Packed,
}

impl Codebook {
    /// A codebook beside a fusion.
    pub fn new(config: CodebookConfig, fusion: &FusionConfig, device: &Device) -> Self {
        let CodebookConfig { codes, width, take, levels, layers, .. } = config;
        let &FusionConfig { width: d, heads, eps, .. } = fusion;
        Self {
            queries: constant(0.0, [take, d], device),
            layers: (0..layers).map(|_| CrossLayer::new(d, heads, eps, device)).collect(),
            latent: Linear::new(d, width, device),
            codes: constant(0.0, [levels * codes, width], device).set_require_grad(false),
            uses: constant(0.0, [levels * codes], device).set_require_grad(false),
            token: Linear::new(width, d, device),
            config,
        }
    }

    /// Composes a sequence for each sequence of the modality that is present.
    pub(crate) fn compose(&self, present: &Packed, targets: &Targets<'_>, pass: &Pass) -> Composed {
        let (b, take) = (present.count(), self.config.take);
        let repeated = Arc::new((0..b).flat_map(|_| 0..take).collect());
        let mut own = Packed::new(rows(vec![self.queries.val()], repeated), vec![take; b]);
        pass.enter(NetworkPart::Prompts);
        for layer in &self.layers {
            own = pass.block(layer, &[&own, present], |layer, x, pass| layer.forward(x[0], x[1], pass));
        }
        let latents = self.latent.forward(own.tokens.clone(), pass);
        let Quantised { sums, used } = self.quantise(&host(latents.clone()));
        let shape = latents.dims();
        let constant = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, shape), &latents.device());
        let sums: Vec<Tensor<2>> = sums.into_iter().map(constant).collect();
        let quantised = sums.last().expect("a codebook has a level").clone();
        let straight = latents.clone() + (quantised - latents.clone()).detach();
        let tokens = own.with(self.token.forward(straight, pass));
        let rows = self.rows_of(&used, b);
        let loss = (pass.learns_prompts() && b > 0).then(|| {
            let commitment = sums.into_iter().map(|sum| (latents.clone() - sum).powf_scalar(2.0).mean());
            let commitment = commitment.reduce(|all, one| all + one).expect("a codebook has a level");
            let commitment = commitment.mul_scalar(self.config.commitment);
            match targets.composed.is_empty() {
                true => commitment,
                false => commitment + distance(&tokens, targets, take).mul_scalar(self.config.weight),
            }
        });
        Composed { tokens, rows, loss, used }
    }

    /// The codes of latents, one after another, level by level.
    fn quantise(&self, latents: &[f32]) -> Quantised {
        let CodebookConfig { codes, width, levels, .. } = self.config;
        let book = host(self.codes.val());
        let (mut rest, mut sum) = (latents.to_vec(), vec![0.0; latents.len()]);
        let mut quantised = Quantised { sums: vec![], used: CodeUse::default() };
        for level in 0..levels {
            let book = &book[level * codes * width..][..codes * width];
            let chosen: Vec<usize> = rest.par_chunks_exact(width).map(|latent| nearest(latent, book)).collect();
            quantised.used.latents.push(rest.clone());
            for (place, code) in chosen.iter().enumerate() {
                for (element, value) in book[code * width..][..width].iter().enumerate() {
                    sum[place * width + element] += value;
                    rest[place * width + element] -= value;
                }
            }
            quantised.used.chosen.push(chosen);
            quantised.sums.push(sum.clone());
        }
        quantised
    }

    /// The rows of the codes of each of `b` sequences.
    fn rows_of(&self, used: &CodeUse, b: usize) -> Vec<Vec<usize>> {
        let CodebookConfig { codes, take, .. } = self.config;
        let of_level = |sequence: usize, (level, chosen): (usize, &Vec<usize>)| -> Vec<usize> {
            chosen[sequence * take..][..take].iter().map(|code| level * codes + code).collect()
        };
        (0..b)
            .map(|sequence| used.chosen.iter().enumerate().flat_map(|level| of_level(sequence, level)).collect())
            .collect()
    }

    /// The codes after a step, as moving averages of the latents that chose them. With n uses of a code in the step and s the sum of their
    /// latents: `uses' = decay uses + (1 - decay) n`, `code' = (decay uses code + (1 - decay) s) / uses'`. A code whose `uses'` is below the limit
    /// becomes a random latent of the step. `index` names the codebook among those of a model.
    #[must_use]
    pub(crate) fn learned(self, used: &CodeUse, key: Key, index: u64) -> Self {
        let CodebookConfig { codes, width, decay, restart, .. } = self.config;
        let (mut book, mut uses) = (host(self.codes.val()), host(self.uses.val()));
        for (level, (latents, chosen)) in used.latents.iter().zip(&used.chosen).enumerate() {
            let (mut counts, mut sums) = (vec![0.0f64; codes], vec![0.0f64; codes * width]);
            for (latent, code) in latents.chunks_exact(width).zip(chosen) {
                counts[*code] += 1.0;
                sums[code * width..][..width].iter_mut().zip(latent).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            let mut stream = key.stream(Place::Codes, index << 32 | level as u64);
            for code in 0..codes {
                let (row, before) = (level * codes + code, f64::from(uses[level * codes + code]));
                let after = decay * before + (1.0 - decay) * counts[code];
                uses[row] = after as f32;
                let values = &mut book[row * width..][..width];
                if after < restart && !chosen.is_empty() {
                    let place = stream.below(chosen.len());
                    values.copy_from_slice(&latents[place * width..][..width]);
                } else if after > 0.0 {
                    for (value, sum) in values.iter_mut().zip(&sums[code * width..]) {
                        *value = ((decay * before * f64::from(*value) + (1.0 - decay) * sum) / after) as f32;
                    }
                }
            }
        }
        let Self { codes: old_codes, uses: old_uses, .. } = &self;
        let (rows, device) = (uses.len(), old_codes.val().device());
        let codes = Tensor::from_data(TensorData::new(book, [rows, width]), &device);
        let uses = Tensor::from_data(TensorData::new(uses, [rows]), &device);
        let codes = old_codes.clone().transform_for_load(codes, old_codes.id);
        let uses = old_uses.clone().transform_for_load(uses, old_uses.id);
        Self { codes, uses, ..self }
    }
}

/// Quantised latents.
struct Quantised {
    /// Of each level: the sum of the codes up to it.
    sums: Vec<Vec<f32>>,
    used: CodeUse,
}

/// The code nearest to a latent; of equally near ones the first.
fn nearest(latent: &[f32], book: &[f32]) -> usize {
    let distance =
        |code: &[f32]| -> f64 { code.iter().zip(latent).map(|(code, value)| f64::from(code - value).powi(2)).sum() };
    let distances = book.chunks_exact(latent.len()).map(distance).enumerate();
    distances.min_by(|one, other| one.1.total_cmp(&other.1)).map_or(0, |(code, _)| code)
}

/// The mean squared error of composed tokens, as a share of the variance of their targets: 1 if all tokens were the mean of the targets. The
/// first token has the first one as target, the others the means of equal segments of the rest.
fn distance(tokens: &Packed, targets: &Targets<'_>, take: usize) -> Tensor<1> {
    let d = tokens.tokens.dims()[1];
    let real = host(targets.real.tokens.clone());
    let sequences = targets.real.starts().into_iter().zip(targets.real.lengths.iter());
    let wanted: Vec<f32> =
        sequences.flat_map(|(start, length)| segments(&real[start * d..(start + length) * d], d, take)).collect();
    let count = wanted.len() / d;
    let mut variance = 0.0f64;
    for element in 0..d {
        let column = || wanted.iter().skip(element).step_by(d).map(|value| f64::from(*value));
        let mean = column().sum::<f64>() / count as f64;
        variance += column().map(|value| (value - mean).powi(2)).sum::<f64>();
    }
    let variance = (variance / wanted.len() as f64) as f32 + SMALL;
    let wanted = Tensor::<2>::from_data(TensorData::new(wanted, [count, d]), &tokens.tokens.device());
    let made = tokens.select(targets.composed.iter().copied()).tokens;
    (made - wanted).powf_scalar(2.0).mean().div_scalar(variance)
}

/// The first token of a sequence `[n, d]`, and the means of `take - 1` segments of the others, as PyTorch's `adaptive_avg_pool1d` divides them. If
/// there are no others, all are the first token.
fn segments(tokens: &[f32], d: usize, take: usize) -> Vec<f32> {
    let (first, rest) = tokens.split_at(d);
    let (n, parts) = (rest.len() / d, take - 1);
    let mut found = first.to_vec();
    for part in 0..parts {
        let (from, to) = (part * n / parts, ((part + 1) * n).div_ceil(parts));
        let mut mean = vec![0.0; d];
        for token in rest[from * d..to * d].chunks_exact(d) {
            mean.iter_mut().zip(token).for_each(|(mean, value)| *mean += value / (to - from) as f32);
        }
        found.extend(if to > from { &mean } else { first });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_those_of_adaptive_pooling() {
        // torch.nn.functional.adaptive_avg_pool1d(torch.tensor([[1., 2., 3., 4., 5.]]), 3): 1.5, 3.0, 4.5.
        assert_eq!(segments(&[9.0, 1.0, 2.0, 3.0, 4.0, 5.0], 1, 4), [9.0, 1.5, 3.0, 4.5]);
        assert_eq!(segments(&[9.0, 7.0], 1, 3), [9.0, 7.0, 7.0]);
        assert_eq!(segments(&[9.0], 1, 3), [9.0, 9.0, 9.0]);
    }
}
