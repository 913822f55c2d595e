//! Soft prompts in place of a missing modality (specification, section 2).
//!
//! The modality that is present becomes a query. The rows of the pool that are most similar to the query (top-k selection) go
//! through the encoder of the missing modality and then to the same fusion. No gradient flows through the selection; the selected
//! rows get gradients. Beyond the paper: attention over the pool (`soft.rs`), learned keys (`keyed.rs`), and sequences that stand in the fusion
//! without an encoder: one learned vector, or codes that are composed (`codebook.rs`).
//!
//! Shapes: d is the width.

mod codebook;
mod keyed;
mod soft;

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use ptu_kernels::{Packed, Pass, rows};
use rayon::prelude::*;

use crate::config::{FusionConfig, Pooling, PromptsConfig, Similarity};
use crate::layer::constant;
pub use codebook::{CodeUse, Codebook};
pub(crate) use codebook::{Composed, Targets};
use keyed::KeyLoss;

/// What takes the place of a missing modality. Only `Prompts` is the method itself; the others are baselines for comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StandIn {
    /// The prompts that the modality that is present selects.
    #[default]
    Prompts,
    /// The same number of tokens, all zeros.
    Zeros,
    /// Nothing: the sequence has only its first token.
    Nothing,
}

impl StandIn {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Prompts, Self::Zeros, Self::Nothing];

    /// The name in tables and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prompts => "prompts",
            Self::Zeros => "zeros",
            Self::Nothing => "nothing",
        }
    }
}

/// A table of soft prompts (a pool, or fixed prompts) and the selection of its rows.
#[derive(Module, Debug)]
pub struct Prompts {
    /// `[size, d]`; `None` for a pool of size 0. A token has the width of the fusion.
    pub table: Option<Param<Tensor<2>>>,
    /// `[width of the query, d]`: projects the query to the width of the pool if the two widths differ. Random, fixed, never
    /// trained.
    pub projection: Option<Param<Tensor<2>>>,
    /// `[take, d]`: what attends to the table, together with the query.
    pub slots: Option<Param<Tensor<2>>>,
    /// `[size, width of the query]`: keys by which rows are selected.
    pub keys: Option<Param<Tensor<2>>>,
    /// What composes sequences.
    pub codebook: Option<Codebook>,
    #[module(skip)]
    config: PromptsConfig,
    /// Number of tokens before the patches or words of the modality that is present.
    special_tokens: usize,
    /// Width of the encoder of the missing modality.
    width: usize,
}

/// The widths of the vectors that prompts meet.
#[derive(Clone, Copy, Debug)]
pub struct PromptSizes<'a> {
    /// Width of the encoder of the missing modality.
    pub width: usize,
    /// Width of a query.
    pub query: usize,
    /// Number of tokens before the patches or words of the modality that is present (class token or `<s>`), which are not used in the query.
    pub special_tokens: usize,
    /// The fusion.
    pub fusion: &'a FusionConfig,
}

/// The prompts selected in place of the missing images or texts of a batch.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// The selected rows of the table for each input, most similar first; with attention, the row to which each slot attends most.
    pub rows: Vec<Vec<usize>>,
    /// The query vector of each input; empty for fixed prompts.
    pub queries: Vec<Vec<f64>>,
    /// The prompts themselves, one input after another, if they are no rows of the table.
    pub mixed: Option<Tensor<2>>,
    /// A loss of the selection, if the prompts are trained.
    pub loss: Option<Tensor<1>>,
}

impl Prompts {
    /// Prompts of these sizes.
    pub fn new(config: PromptsConfig, sizes: PromptSizes<'_>, device: &Device) -> Self {
        let PromptSizes { width, query, special_tokens, fusion } = sizes;
        let table = |d: usize| (config.rows() > 0).then(|| constant(0.0, [config.rows(), d], device));
        let projection = || {
            let is_needed = config.query().is_some() && query != width;
            is_needed.then(|| constant(0.0, [query, width], device).set_require_grad(false))
        };
        let none = Self {
            table: None,
            projection: None,
            slots: None,
            keys: None,
            codebook: None,
            config,
            special_tokens,
            width,
        };
        match config {
            PromptsConfig::Pool { .. } | PromptsConfig::Fixed { .. } => {
                Self { table: table(width), projection: projection(), ..none }
            }
            PromptsConfig::Soft { size, take, .. } => {
                let slots = (size > 0).then(|| constant(0.0, [take, width], device));
                Self { table: table(width), projection: projection(), slots, ..none }
            }
            PromptsConfig::Keyed { size, .. } => {
                let keys = (size > 0).then(|| constant(0.0, [size, query], device));
                Self { table: table(width), keys, ..none }
            }
            PromptsConfig::Token => Self { table: table(fusion.width), ..none },
            PromptsConfig::Codebook(codes) => Self { codebook: Some(Codebook::new(codes, fusion, device)), ..none },
        }
    }

    /// Whether the prompts go through the encoder of the missing modality.
    pub fn is_encoded(&self) -> bool {
        self.config.is_encoded()
    }

    /// Selects rows of the table for each sequence of the modality that is present (after embedding).
    pub fn choose(&self, present: &Packed, pass: &Pass) -> Chosen {
        self.choose_by(self.pooled(present), pass)
    }

    /// Whether prompts are selected by a query.
    pub fn has_queries(&self) -> bool {
        self.config.query().is_some()
    }

    /// The pooled tokens of each sequence (after embedding), which become its query: they do not depend on the table. Empty
    /// vectors if rows are not selected by a query.
    pub fn pooled(&self, present: &Packed) -> Vec<Vec<f64>> {
        match self.config.query() {
            Some(pooling) => {
                let d = present.tokens.dims()[1];
                let tokens = host(present.tokens.clone());
                let sequences = present.starts().into_iter().zip(present.lengths.iter());
                let used =
                    |(start, length): (usize, &usize)| &tokens[(start + self.special_tokens) * d..(start + length) * d];
                sequences.map(|sequence| pool_tokens(used(sequence), d, pooling)).collect()
            }
            None => vec![vec![]; present.count()],
        }
    }

    /// Selects rows of the table for sequences with these pooled tokens, see [`Self::pooled`].
    pub fn choose_by(&self, pooled: Vec<Vec<f64>>, pass: &Pass) -> Chosen {
        let b = pooled.len();
        let projected = |pooled: Vec<Vec<f64>>| pooled.into_iter().map(|query| self.project(query)).collect::<Vec<_>>();
        let count = self.config.count();
        match (self.config, &self.table) {
            (PromptsConfig::Fixed { take }, Some(_)) => {
                Chosen { rows: vec![(0..take).collect(); b], ..Chosen::default() }
            }
            (PromptsConfig::Pool { similarity, .. }, Some(table)) => {
                let queries = projected(pooled);
                Chosen { rows: top_k(&queries, &host(table.val()), similarity, count), queries, ..Chosen::default() }
            }
            (PromptsConfig::Soft { temperature, first_temperature, .. }, Some(table)) => {
                let slots = self.slots.as_ref().expect("attention over a pool has slots");
                let temperature = soft::temperature([first_temperature, temperature], pass.progress());
                soft::attend(projected(pooled), &table.val(), &slots.val(), temperature)
            }
            (PromptsConfig::Keyed { pull, balance, .. }, Some(_)) => {
                let keys = self.keys.as_ref().expect("a pool with keys has them").val();
                let rows = top_k(&pooled, &host(keys.clone()), Similarity::Cosine, count);
                let loss = || KeyLoss { pull, balance }.of(&pooled, &keys, &rows);
                let loss = pass.learns_prompts().then(loss).flatten();
                Chosen { rows, loss, queries: pooled, mixed: None }
            }
            _ => Chosen { rows: vec![vec![]; b], ..Chosen::default() },
        }
    }

    /// The prompts that were chosen, as a table in the width of the encoder, and its rows for each input; no table without prompts. Prompts that
    /// stand behind the encoder have no such vectors: zeros take their place.
    pub(crate) fn vectors(&self, chosen: &Chosen, device: &Device) -> (Option<Tensor<2>>, Vec<Vec<usize>>) {
        let (b, count) = (chosen.rows.len(), self.config.count());
        match (&chosen.mixed, &self.table) {
            (Some(mixed), _) => {
                (Some(mixed.clone()), (0..b).map(|input| (input * count..(input + 1) * count).collect()).collect())
            }
            (None, Some(table)) if self.is_encoded() => (Some(table.val()), chosen.rows.clone()),
            _ if count > 0 => (Some(Tensor::zeros([1, self.width], device)), vec![vec![0; count]; b]),
            _ => (None, vec![vec![]; b]),
        }
    }

    /// Sequences of the fusion in place of those that are missing, for each sequence of the modality that is present, `[tokens, d]` in the
    /// fusion: for prompts that do not go through an encoder.
    ///
    /// # Panics
    /// If prompts go through the encoder.
    pub(crate) fn compose(&self, present: &Packed, targets: &Targets<'_>, pass: &Pass) -> Composed {
        if let Some(codebook) = &self.codebook {
            return codebook.compose(present, targets, pass);
        }
        let (b, table) = (present.count(), self.table.as_ref().expect("a token has a table"));
        Composed {
            tokens: Packed::new(rows(vec![table.val()], Arc::new(vec![0; b])), vec![1; b]),
            rows: vec![vec![0]; b],
            loss: None,
            used: CodeUse::default(),
        }
    }

    /// Projects a query to the width of the table.
    fn project(&self, query: Vec<f64>) -> Vec<f64> {
        let Some(projection) = &self.projection else { return query };
        let d = projection.val().dims()[1];
        let weights = host(projection.val());
        let mut out = vec![0.0; d];
        for (x, weights) in query.iter().zip(weights.chunks_exact(d)) {
            out.iter_mut().zip(weights).for_each(|(out, weight)| *out += x * f64::from(*weight));
        }
        out
    }
}

/// The values of a tensor on the host, in row-major order; no gradient flows through them.
pub(crate) fn host<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.inner().into_data().try_into_vec().expect("the model computes in f32")
}

/// Pools tokens `[n, d]` into one query. Computed in f64 and in a fixed order, so that the query does not depend on the rest
/// of the batch: the selection is discrete, and different rounding could select other rows.
fn pool_tokens(tokens: &[f32], d: usize, pooling: Pooling) -> Vec<f64> {
    let start = match pooling {
        Pooling::Mean => 0.0,
        Pooling::Max => f64::NEG_INFINITY,
    };
    let (mut query, mut count) = (vec![start; d], 0usize);
    for token in tokens.chunks_exact(d) {
        count += 1;
        query.iter_mut().zip(token).for_each(|(query, value)| match pooling {
            Pooling::Mean => *query += f64::from(*value),
            Pooling::Max => *query = query.max(f64::from(*value)),
        });
    }
    match pooling {
        Pooling::Mean => query.iter_mut().for_each(|value| *value /= count as f64 + 1e-8),
        // A text that consists only of the start token has no other tokens.
        Pooling::Max if count == 0 => query.fill(0.0),
        Pooling::Max => {}
    }
    query
}

/// Top-k selection: the `take` most similar rows of `table` for each query, best first; of equal rows the lowest one comes first.
fn top_k(queries: &[Vec<f64>], table: &[f32], similarity: Similarity, take: usize) -> Vec<Vec<usize>> {
    let d = queries.first().map_or(1, Vec::len);
    let norms: Vec<f64> = match similarity {
        Similarity::Dot => vec![],
        Similarity::Cosine => table.chunks_exact(d).map(|row| dot_f32(row, row).sqrt().max(1e-12)).collect(),
    };
    queries
        .par_iter()
        .map(|query| {
            let mut scored: Vec<(f64, usize)> = table
                .chunks_exact(d)
                .enumerate()
                .map(|(index, row)| {
                    let product = query.iter().zip(row).map(|(x, y)| x * f64::from(*y)).sum::<f64>();
                    (product / norms.get(index).copied().unwrap_or(1.0), index)
                })
                .collect();
            // A total order: even with NaN (a diverged model), the selection does not depend on the sorting algorithm.
            scored.sort_unstable_by(|(x, i), (y, j)| y.total_cmp(x).then(i.cmp(j)));
            scored.into_iter().take(take).map(|(_, index)| index).collect()
        })
        .collect()
}

fn dot_f32(x: &[f32], y: &[f32]) -> f64 {
    x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::config::FusionKind;

    /// Queries and encoder of the same width, with a fusion that is not used.
    fn sizes(width: usize, special_tokens: usize) -> PromptSizes<'static> {
        const FUSION: FusionConfig =
            FusionConfig { kind: FusionKind::TwoStream, width: 4, layers: 1, heads: 1, eps: 1e-5, add_mean: false };
        PromptSizes { width, query: width, special_tokens, fusion: &FUSION }
    }

    const TABLE: [f32; 8] = [1.0, 0.0, 0.0, 1.0, 10.0, 10.0, 0.0, 1.0];

    #[test]
    fn most_similar_first_and_ties_to_the_lowest_row() {
        let queries = vec![vec![1.0, 2.0]];
        assert_eq!(top_k(&queries, &TABLE, Similarity::Dot, 4), [[2, 1, 3, 0]]);
        // Cosine similarity ignores the length of (10, 10). For the query (1, 2) this row would still be the best one
        // (3 / sqrt(2) = 2.12 against 2), but for (0, 1) it is not.
        assert_eq!(top_k(&[vec![0.0, 1.0]], &TABLE, Similarity::Cosine, 3), [[1, 3, 2]]);
        assert_eq!(top_k(&[vec![0.0, 1.0]], &TABLE, Similarity::Dot, 3), [[2, 1, 3]]);
    }

    #[test]
    fn queries_do_not_use_the_first_token() {
        let pool = |pooling| PromptsConfig::Pool { size: 1, take: 1, pooling, similarity: Similarity::Dot };
        let pooled = |special_tokens, pooling, tokens: &[[f32; 2]]| {
            let prompts = Prompts::new(pool(pooling), sizes(2, special_tokens), &Device::flex());
            let data = TensorData::new(tokens.as_flattened().to_vec(), [tokens.len(), 2]);
            prompts.pooled(&Packed::new(Tensor::from_data(data, &Device::flex()), vec![tokens.len()])).remove(0)
        };
        let tokens = [[9.0, 9.0], [1.0, 2.0], [3.0, 6.0]];
        let mean = pooled(1, Pooling::Mean, &tokens);
        assert!((mean[0] - 2.0).abs() < 1e-7 && (mean[1] - 4.0).abs() < 1e-7, "{mean:?}");
        assert_eq!(pooled(1, Pooling::Max, &tokens), [3.0, 6.0]);
        assert_eq!(pooled(1, Pooling::Max, &tokens[..1]), [0.0, 0.0]);
        assert_eq!(pooled(0, Pooling::Max, &tokens), [9.0, 9.0]);
    }

    fn packed(lengths: Vec<usize>) -> Packed {
        Packed::new(Tensor::ones([lengths.iter().sum(), 4], &Device::flex()), lengths)
    }

    #[test]
    fn fixed_prompts_are_the_same_for_every_input() {
        let prompts = Prompts::new(PromptsConfig::Fixed { take: 3 }, sizes(4, 1), &Device::flex());
        assert_eq!(prompts.choose(&packed(vec![5, 2]), &Pass::off()).rows, [[0, 1, 2], [0, 1, 2]]);
    }

    #[test]
    fn a_pool_of_size_zero_gives_no_prompts() {
        let pool = PromptsConfig::Pool { size: 0, take: 8, pooling: Pooling::Mean, similarity: Similarity::Dot };
        let prompts = Prompts::new(pool, sizes(4, 1), &Device::flex());
        assert!(prompts.table.is_none());
        assert_eq!(prompts.choose(&packed(vec![5]), &Pass::off()).rows, [[0usize; 0]]);
    }
}
