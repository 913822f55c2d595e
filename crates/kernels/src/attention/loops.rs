//! Attention and its gradients over slices, without copying heads.
//!
//! Letters: d is the width, h the number of heads, e = d / h the width of a head, q and k the numbers of queries and keys of
//! one sequence.

use std::ops::Range;

use rayon::prelude::*;

use crate::drop::DropMask;
use crate::loops::{self, dot, largest, sum, vectorised};
use crate::math::exp;
use crate::matrix::{ComputePrecision, ProductOptions, Shape};
use crate::product::product;

use super::{AttentionPlan, Visible};

/// Queries in one block, so that its probabilities stay in the cache of a core.
const QUERIES_PER_BLOCK: usize = 64;

/// Queries, keys and values, in one tensor (self-attention) or two (cross-attention).
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Width.
    pub d: usize,
    parts: [ColumnView<'a>; 3],
    joined: bool,
}

/// The columns of a tensor that are the queries, the keys or the values.
#[derive(Clone, Copy, Debug)]
struct ColumnView<'a> {
    values: &'a [f32],
    column: usize,
    stride: usize,
}

impl<'a> Inputs<'a> {
    /// All three next to each other in each row, `[rows, 3d]`.
    pub fn joined(values: &'a [f32], d: usize) -> Self {
        Self { d, parts: [0, d, 2 * d].map(|column| ColumnView { values, column, stride: 3 * d }), joined: true }
    }

    /// Queries `[rows, d]`; keys and values next to each other, `[rows, 2d]`.
    pub fn separate(queries: &'a [f32], joined: &'a [f32], d: usize) -> Self {
        let of = |column| ColumnView { values: joined, column, stride: 2 * d };
        Self { d, parts: [ColumnView { values: queries, column: 0, stride: d }, of(0), of(d)], joined: false }
    }
}

impl<'a> ColumnView<'a> {
    /// One head of the rows from `first` on, as a matrix `[rows, e]`.
    fn head(&self, first: usize, rows: usize, head: usize, e: usize) -> (&'a [f32], Shape) {
        let offset = first * self.stride + self.column + head * e;
        (self.values, Shape { offset, row_stride: self.stride, ..Shape::rows(rows, e) })
    }
}

/// Offsets of all packed sequences.
#[derive(Clone, Debug)]
pub struct Sequences {
    h: usize,
    visible: Visible,
    each: Vec<Sequence>,
}

#[derive(Clone, Copy, Debug)]
struct Sequence {
    /// Row of its first query.
    query: usize,
    /// Number of queries.
    q: usize,
    /// Row of its first key.
    key: usize,
    /// Number of keys.
    k: usize,
    /// Offset of its first probability. Probabilities are ordered by block of queries, then by head, then by query.
    first_probability: usize,
}

/// A block of consecutive queries of one sequence.
#[derive(Clone, Copy, Debug)]
struct QueryBlock {
    sequence: Sequence,
    /// Number of its first query within the sequence.
    start: usize,
    /// Number of queries.
    rows: usize,
}

impl Sequences {
    /// Computes the offsets from the lengths of the sequences.
    pub fn new(h: usize, queries: &[usize], keys: &[usize], visible: Visible) -> Self {
        let (mut query, mut key, mut first_probability) = (0, 0, 0);
        let next_sequence = |(&q, &k)| {
            let sequence = Sequence { query, q, key, k, first_probability };
            (query, key, first_probability) = (query + q, key + k, first_probability + h * q * k);
            sequence
        };
        Self { h, visible, each: queries.iter().zip(keys).map(next_sequence).collect() }
    }

    fn queries(&self) -> usize {
        self.each.last().map_or(0, |last| last.query + last.q)
    }

    fn probability_count(&self) -> usize {
        self.each.last().map_or(0, |last| last.first_probability + self.h * last.q * last.k)
    }

    fn blocks(&self) -> Vec<QueryBlock> {
        self.each.iter().flat_map(Sequence::blocks).collect()
    }
}

impl Sequence {
    fn blocks(&self) -> impl Iterator<Item = QueryBlock> {
        let sequence = *self;
        let block = move |start| QueryBlock { sequence, start, rows: QUERIES_PER_BLOCK.min(sequence.q - start) };
        (0..self.q).step_by(QUERIES_PER_BLOCK).map(block)
    }
}

impl QueryBlock {
    /// Number of keys that a query of the block attends to.
    fn seen(&self, query: usize, visible: Visible) -> usize {
        match visible {
            Visible::All => self.sequence.k,
            Visible::Causal => self.sequence.k - self.sequence.q + self.start + query + 1,
        }
    }

    /// Number of keys that at least one query of the block attends to. Products are computed with these alone, which saves about
    /// half of them in long sequences of causal attention.
    fn reach(&self, visible: Visible) -> usize {
        self.seen(self.rows - 1, visible)
    }

    /// Shape of the probabilities of a head, up to the last key that is seen.
    fn shape(&self, visible: Visible) -> Shape {
        Shape { row_stride: self.sequence.k, ..Shape::rows(self.rows, self.reach(visible)) }
    }

    /// The range of the probabilities of a head and this block in the array of all probabilities.
    fn probability_range(&self, h: usize, head: usize) -> Range<usize> {
        let start = self.sequence.first_probability + (h * self.start + head * self.rows) * self.sequence.k;
        start..start + self.rows * self.sequence.k
    }

    /// Dropout factors of the probabilities of a head. Unlike the probabilities, the mask is indexed by head, then by query.
    fn factors<'a>(&self, mask: &DropMask, head: usize, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        let Sequence { q, k, first_probability, .. } = self.sequence;
        scratch.resize(self.rows * k, 0.0);
        mask.factors(first_probability + (head * q + self.start) * k, scratch);
        scratch
    }

    /// Probabilities of a head after dropout.
    fn dropped<'a>(&self, mask: &DropMask, head: usize, scores: &[f32], scratch: &'a mut Vec<f32>) -> &'a [f32] {
        self.factors(mask, head, scratch);
        loops::scale(scratch, scores);
        scratch
    }
}

/// Cuts a slice into consecutive pieces of these sizes.
fn split(mut rest: &mut [f32], sizes: impl Iterator<Item = usize>) -> Vec<&mut [f32]> {
    let mut pieces = vec![];
    for size in sizes {
        let (piece, later) = rest.split_at_mut(size);
        pieces.push(piece);
        rest = later;
    }
    pieces
}

fn alone(precision: ComputePrecision) -> ProductOptions {
    ProductOptions { scale: 1.0, add: false, parallel: false, precision }
}

fn scale(e: usize) -> f32 {
    (e as f32).powf(-0.5)
}

/// Returns the attention output `[queries, d]`, and all probabilities if `keep` is set.
pub fn forward(
    sequences: &Sequences,
    inputs: &Inputs<'_>,
    mask: Option<&DropMask>,
    precision: ComputePrecision,
    keep: bool,
) -> (Vec<f32>, Option<Vec<f32>>) {
    let (h, d, blocks) = (sequences.h, inputs.d, sequences.blocks());
    let (e, visible) = (d / h, sequences.visible);
    let mut out = vec![0.0; sequences.queries() * d];
    let mut saved = keep.then(|| vec![0.0; sequences.probability_count()]);
    let outs = split(&mut out, blocks.iter().map(|block| block.rows * d));
    let probabilities: Vec<Option<&mut [f32]>> = match &mut saved {
        Some(saved) => {
            let sizes = blocks.iter().map(|block| h * block.rows * block.sequence.k);
            split(saved, sizes).into_iter().map(Some).collect()
        }
        None => blocks.iter().map(|_| None).collect(),
    };
    let tasks = blocks.into_par_iter().zip(outs).zip(probabilities);
    tasks.for_each_init(<(Vec<f32>, Vec<f32>)>::default, |(scratch, factors), ((block, out), mut probabilities)| {
        let Sequence { query, key, k, .. } = block.sequence;
        let size = block.rows * k;
        scratch.resize(size, 0.0);
        for head in 0..h {
            let scores = match &mut probabilities {
                Some(probabilities) => &mut probabilities[head * size..(head + 1) * size],
                None => scratch.as_mut_slice(),
            };
            let (reach, shape) = (block.reach(visible), block.shape(visible));
            let (keys, of_keys) = inputs.parts[1].head(key, reach, head, e);
            let queries = inputs.parts[0].head(query + block.start, block.rows, head, e);
            let options = ProductOptions { scale: scale(e), ..alone(precision) };
            product((scores, shape), queries, (keys, of_keys.transposed()), options);
            scores.chunks_exact_mut(k).enumerate().for_each(|(query, row)| {
                let (seen, later) = row.split_at_mut(block.seen(query, visible));
                softmax(seen);
                later.fill(0.0);
            });
            let weights = match mask {
                Some(mask) => block.dropped(mask, head, scores, factors),
                None => scores,
            };
            let to = Shape { offset: head * e, row_stride: d, ..Shape::rows(block.rows, e) };
            product((out, to), (weights, shape), inputs.parts[2].head(key, reach, head, e), alone(precision));
        }
    });
    (out, saved)
}

/// For each sequence `[queries, keys]`: the mean over heads of the positive part of a probability times the gradient of the result by
/// it. There must be no dropout.
pub fn relevance(
    sequences: &Sequences,
    gradient: &[f32],
    inputs: &Inputs<'_>,
    probabilities: &[f32],
    precision: ComputePrecision,
) -> Vec<Vec<f32>> {
    let (h, d, visible) = (sequences.h, inputs.d, sequences.visible);
    let e = d / h;
    let gradients = ColumnView { values: gradient, column: 0, stride: d };
    let of_sequence = |sequence: &Sequence| {
        let Sequence { query, q, key, k, .. } = *sequence;
        let (mut sums, mut scratch) = (vec![0.0; q * k], vec![]);
        for block in sequence.blocks() {
            let sums = &mut sums[block.start * k..(block.start + block.rows) * k];
            for head in 0..h {
                scratch.clear();
                scratch.resize(block.rows * k, 0.0);
                let (values, of_values) = inputs.parts[2].head(key, block.reach(visible), head, e);
                let rows = gradients.head(query + block.start, block.rows, head, e);
                let to = (scratch.as_mut_slice(), block.shape(visible));
                product(to, rows, (values, of_values.transposed()), alone(precision));
                let probabilities = &probabilities[block.probability_range(h, head)];
                for ((sum, gradient), probability) in sums.iter_mut().zip(&scratch).zip(probabilities) {
                    *sum += (gradient * probability).max(0.0) / h as f32;
                }
            }
        }
        sums
    };
    sequences.each.par_iter().map(of_sequence).collect()
}

/// Gradients of the inputs, in the layout of the inputs.
pub enum Gradients {
    /// Of queries, keys and values next to each other.
    Joined(Vec<f32>),
    /// Of queries; of keys and values next to each other.
    Separate(Vec<f32>, Vec<f32>),
}

/// The part of the gradients that belongs to one sequence.
enum SequenceGradients<'a> {
    Joined(&'a mut [f32]),
    Separate(&'a mut [f32], &'a mut [f32]),
}

impl SequenceGradients<'_> {
    /// One head of some rows of the gradient of the queries (0), keys (1) or values (2).
    fn head(&mut self, part: usize, rows: Range<usize>, HeadIndex { d, e, number }: HeadIndex) -> (&mut [f32], Shape) {
        let (values, column, stride): (&mut [f32], _, _) = match (self, part) {
            (Self::Joined(all), _) => (all, part * d, 3 * d),
            (Self::Separate(queries, _), 0) => (queries, 0, d),
            (Self::Separate(_, joined), _) => (joined, (part - 1) * d, 2 * d),
        };
        let offset = rows.start * stride + column + number * e;
        (values, Shape { offset, row_stride: stride, ..Shape::rows(rows.len(), e) })
    }
}

/// The number of a head, with the width `d` of all heads together and `e` of one.
#[derive(Clone, Copy)]
struct HeadIndex {
    d: usize,
    e: usize,
    number: usize,
}

/// Gradients of [`forward`]; `gradient [queries, d]`.
pub fn backward(
    sequences: &Sequences,
    gradient: &[f32],
    inputs: &Inputs<'_>,
    probabilities: &[f32],
    plan: &AttentionPlan,
) -> Gradients {
    let d = inputs.d;
    let rows = |of: fn(&Sequence) -> usize| sequences.each.iter().map(of);
    let keys: usize = rows(|sequence| sequence.k).sum();
    let run = |chunks: Vec<SequenceGradients<'_>>| {
        let tasks = sequences.each.par_iter().zip(chunks);
        tasks.for_each_init(Default::default, |scratch, (sequence, chunk)| {
            BackwardPass { h: sequences.h, gradient, inputs, probabilities, plan }.sequence(sequence, chunk, scratch);
        });
    };
    if inputs.joined {
        let mut all = vec![0.0; keys * 3 * d];
        run(split(&mut all, rows(|sequence| sequence.k).map(|k| k * 3 * d))
            .into_iter()
            .map(SequenceGradients::Joined)
            .collect());
        return Gradients::Joined(all);
    }
    let (mut queries, mut joined) = (vec![0.0; sequences.queries() * d], vec![0.0; keys * 2 * d]);
    let of_queries = split(&mut queries, rows(|sequence| sequence.q).map(|q| q * d));
    let of_keys = split(&mut joined, rows(|sequence| sequence.k).map(|k| k * 2 * d));
    run(of_queries
        .into_iter()
        .zip(of_keys)
        .map(|(queries, joined)| SequenceGradients::Separate(queries, joined))
        .collect());
    Gradients::Separate(queries, joined)
}

/// What the backward pass of every sequence needs.
struct BackwardPass<'a> {
    h: usize,
    gradient: &'a [f32],
    inputs: &'a Inputs<'a>,
    probabilities: &'a [f32],
    plan: &'a AttentionPlan,
}

impl BackwardPass<'_> {
    fn sequence(
        &self,
        sequence: &Sequence,
        mut chunk: SequenceGradients<'_>,
        [dscores, mixed, factors]: &mut [Vec<f32>; 3],
    ) {
        let (h, d, alone) = (self.h, self.inputs.d, alone(self.plan.precision));
        let (e, &Sequence { query, key, k, .. }) = (d / h, sequence);
        let [queries, keys, values] = &self.inputs.parts;
        for (head, block) in (0..h).flat_map(|head| sequence.blocks().map(move |block| (head, block))) {
            let (rows, first, reach) = (block.rows, query + block.start, block.reach(self.plan.visible));
            let (add, of) = (block.start > 0, HeadIndex { d, e, number: head });
            let weights = &self.probabilities[block.probability_range(h, head)];
            let factors = self.plan.mask.as_ref().map(|mask| block.factors(mask, head, factors));
            let shape = block.shape(self.plan.visible);
            let offset = first * d + head * e;
            let gradient = (self.gradient, Shape { offset, row_stride: d, ..Shape::rows(rows, e) });
            let used = match factors {
                Some(factors) => {
                    mixed.clear();
                    mixed.extend_from_slice(weights);
                    loops::scale(mixed, factors);
                    mixed.as_slice()
                }
                None => weights,
            };
            // What no query of the block sees gets no gradient from it; the gradients are zero before the first block.
            let to = chunk.head(2, 0..reach, of);
            product(to, (used, shape.transposed()), gradient, ProductOptions { add, ..alone });
            dscores.resize(rows * k, 0.0);
            let (values, of_values) = values.head(key, reach, head, e);
            product((dscores, shape), gradient, (values, of_values.transposed()), alone);
            if let Some(factors) = factors {
                loops::scale(dscores, factors);
            }
            let each = dscores.chunks_exact_mut(k).zip(weights.chunks_exact(k));
            each.for_each(|(d, p)| softmax_gradient(&mut d[..reach], &p[..reach]));
            let options = ProductOptions { scale: scale(e), ..alone };
            let to = chunk.head(0, block.start..block.start + rows, of);
            product(to, (dscores, shape), keys.head(key, reach, head, e), options);
            let to = chunk.head(1, 0..reach, of);
            product(
                to,
                (dscores, shape.transposed()),
                queries.head(first, rows, head, e),
                ProductOptions { add, ..options },
            );
        }
    }
}

/// Computes the softmax of one row in next_sequence.
fn softmax(row: &mut [f32]) {
    vectorised(
        row,
        #[inline(always)]
        |row| {
            let largest = largest(row);
            for x in row.iter_mut() {
                *x = exp(*x - largest);
            }
            let scale = (1.0 / sum(row, |x| x)) as f32;
            for x in row.iter_mut() {
                *x *= scale;
            }
        },
    );
}

/// Backward pass of softmax in next_sequence: turns the gradient of the result `y` into the gradient of the input.
fn softmax_gradient(gradient: &mut [f32], y: &[f32]) {
    vectorised(
        gradient,
        #[inline(always)]
        |gradient| {
            let all = dot(gradient, y) as f32;
            for (g, y) in gradient.iter_mut().zip(y) {
                *g = y * (*g - all);
            }
        },
    );
}
