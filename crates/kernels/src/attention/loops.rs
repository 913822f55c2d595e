//! Attention and its gradients over slices: no copy of a head is made.
//!
//! Letters: d width, h heads, e = d / h, q and k tokens of one sequence of queries and of keys.

use std::ops::Range;

use rayon::prelude::*;

use crate::drop::DropMask;
use crate::loops::{self, dot, largest, sum, vectorised};
use crate::math::exp;
use crate::matrix::{ComputePrecision, Put, Shape};
use crate::product::product;

use super::AttentionPlan;

/// Queries that one task takes: their probabilities stay near the core.
const BLOCK: usize = 64;

/// Queries, keys and values in one tensor or two.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Width.
    pub d: usize,
    parts: [Part<'a>; 3],
    joined: bool,
}

/// One of queries, keys, values: columns of a tensor's rows.
#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    values: &'a [f32],
    column: usize,
    stride: usize,
}

impl<'a> Inputs<'a> {
    /// All three side by side, `[rows, 3d]`.
    pub fn joined(values: &'a [f32], d: usize) -> Self {
        Self { d, parts: [0, d, 2 * d].map(|column| Part { values, column, stride: 3 * d }), joined: true }
    }

    /// Queries `[rows, d]`; keys and values side by side `[rows, 2d]`.
    pub fn apart(queries: &'a [f32], joined: &'a [f32], d: usize) -> Self {
        let of = |column| Part { values: joined, column, stride: 2 * d };
        Self { d, parts: [Part { values: queries, column: 0, stride: d }, of(0), of(d)], joined: false }
    }
}

impl<'a> Part<'a> {
    /// One head of some rows as a matrix `[rows, e]`.
    fn head(&self, first: usize, rows: usize, head: usize, e: usize) -> (&'a [f32], Shape) {
        let offset = first * self.stride + self.column + head * e;
        (self.values, Shape { offset, row_stride: self.stride, ..Shape::rows(rows, e) })
    }
}

/// Where each sequence stands.
#[derive(Clone, Debug)]
pub struct Sequences {
    h: usize,
    each: Vec<Sequence>,
}

#[derive(Clone, Copy, Debug)]
struct Sequence {
    /// First row of its queries, and how many.
    query: usize,
    q: usize,
    /// First row of its keys, and how many.
    key: usize,
    k: usize,
    /// First of its probabilities: block by block of queries, then head by head, then query by query.
    cell: usize,
}

/// Some queries of a sequence.
#[derive(Clone, Copy, Debug)]
struct Block {
    sequence: Sequence,
    /// First query, counted in the sequence, and how many.
    start: usize,
    rows: usize,
}

impl Sequences {
    /// From the lengths of the sequences.
    pub fn new(h: usize, queries: &[usize], keys: &[usize]) -> Self {
        let (mut query, mut key, mut cell) = (0, 0, 0);
        let place = |(&q, &k)| {
            let sequence = Sequence { query, q, key, k, cell };
            (query, key, cell) = (query + q, key + k, cell + h * q * k);
            sequence
        };
        Self { h, each: queries.iter().zip(keys).map(place).collect() }
    }

    fn queries(&self) -> usize {
        self.each.last().map_or(0, |last| last.query + last.q)
    }

    fn cells(&self) -> usize {
        self.each.last().map_or(0, |last| last.cell + self.h * last.q * last.k)
    }

    fn blocks(&self) -> Vec<Block> {
        self.each.iter().flat_map(Sequence::blocks).collect()
    }
}

impl Sequence {
    fn blocks(&self) -> impl Iterator<Item = Block> {
        let sequence = *self;
        let block = move |start| Block { sequence, start, rows: BLOCK.min(sequence.q - start) };
        (0..self.q).step_by(BLOCK).map(block)
    }
}

impl Block {
    /// Where the probabilities of a head stand among all of the sequence's block-by-block ones.
    fn cells(&self, h: usize, head: usize) -> Range<usize> {
        let start = self.sequence.cell + (h * self.start + head * self.rows) * self.sequence.k;
        start..start + self.rows * self.sequence.k
    }

    /// What the probabilities of a head are multiplied with; masks count query by query within a head.
    fn factors<'a>(&self, mask: &DropMask, head: usize, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        let Sequence { q, k, cell, .. } = self.sequence;
        scratch.resize(self.rows * k, 0.0);
        mask.factors(cell + (head * q + self.start) * k, scratch);
        scratch
    }

    /// Probabilities of a head times their factors.
    fn dropped<'a>(&self, mask: &DropMask, head: usize, scores: &[f32], scratch: &'a mut Vec<f32>) -> &'a [f32] {
        self.factors(mask, head, scratch);
        loops::scale(scratch, scores);
        scratch
    }
}

/// Cuts a slice into pieces of these sizes.
fn split(mut rest: &mut [f32], sizes: impl Iterator<Item = usize>) -> Vec<&mut [f32]> {
    let mut pieces = vec![];
    for size in sizes {
        let (piece, later) = rest.split_at_mut(size);
        pieces.push(piece);
        rest = later;
    }
    pieces
}

fn alone(products: ComputePrecision) -> Put {
    Put { scale: 1.0, add: false, parallel: false, products }
}

fn scale(e: usize) -> f32 {
    (e as f32).powf(-0.5)
}

/// `[queries, d]`, and all probabilities where they are to be kept.
pub fn forward(
    sequences: &Sequences,
    inputs: &Inputs<'_>,
    mask: Option<&DropMask>,
    products: ComputePrecision,
    keep: bool,
) -> (Vec<f32>, Option<Vec<f32>>) {
    let (h, d, blocks) = (sequences.h, inputs.d, sequences.blocks());
    let e = d / h;
    let mut out = vec![0.0; sequences.queries() * d];
    let mut kept = keep.then(|| vec![0.0; sequences.cells()]);
    let outs = split(&mut out, blocks.iter().map(|block| block.rows * d));
    let cells: Vec<Option<&mut [f32]>> = match &mut kept {
        Some(kept) => {
            let sizes = blocks.iter().map(|block| h * block.rows * block.sequence.k);
            split(kept, sizes).into_iter().map(Some).collect()
        }
        None => blocks.iter().map(|_| None).collect(),
    };
    let tasks = blocks.into_par_iter().zip(outs).zip(cells);
    tasks.for_each_init(<(Vec<f32>, Vec<f32>)>::default, |(scratch, factors), ((block, out), mut cells)| {
        let Sequence { query, key, k, .. } = block.sequence;
        let size = block.rows * k;
        scratch.resize(size, 0.0);
        for head in 0..h {
            let scores = match &mut cells {
                Some(cells) => &mut cells[head * size..(head + 1) * size],
                None => scratch.as_mut_slice(),
            };
            let (keys, shape) = inputs.parts[1].head(key, k, head, e);
            let queries = inputs.parts[0].head(query + block.start, block.rows, head, e);
            let put = Put { scale: scale(e), ..alone(products) };
            product((scores, Shape::rows(block.rows, k)), queries, (keys, shape.transposed()), put);
            scores.chunks_exact_mut(k).for_each(softmax);
            let weights = match mask {
                Some(mask) => block.dropped(mask, head, scores, factors),
                None => scores,
            };
            let to = Shape { offset: head * e, row_stride: d, ..Shape::rows(block.rows, e) };
            let weights = (weights, Shape::rows(block.rows, k));
            product((out, to), weights, inputs.parts[2].head(key, k, head, e), alone(products));
        }
    });
    (out, kept)
}

/// Gradients of the inputs, laid out as they are.
pub enum Gradients {
    /// Of queries, keys and values side by side.
    Joined(Vec<f32>),
    /// Of queries; of keys and values side by side.
    Apart(Vec<f32>, Vec<f32>),
}

/// The gradients of one sequence.
enum Chunk<'a> {
    Joined(&'a mut [f32]),
    Apart(&'a mut [f32], &'a mut [f32]),
}

impl Chunk<'_> {
    /// One head of some rows of queries (0), keys (1) or values (2).
    fn head(&mut self, part: usize, rows: Range<usize>, Head { d, e, number }: Head) -> (&mut [f32], Shape) {
        let (values, column, stride): (&mut [f32], _, _) = match (self, part) {
            (Self::Joined(all), _) => (all, part * d, 3 * d),
            (Self::Apart(queries, _), 0) => (queries, 0, d),
            (Self::Apart(_, joined), _) => (joined, (part - 1) * d, 2 * d),
        };
        let offset = rows.start * stride + column + number * e;
        (values, Shape { offset, row_stride: stride, ..Shape::rows(rows.len(), e) })
    }
}

/// A head by its number, with the widths of all and of one.
#[derive(Clone, Copy)]
struct Head {
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
    let run = |chunks: Vec<Chunk<'_>>| {
        let tasks = sequences.each.par_iter().zip(chunks);
        tasks.for_each_init(Default::default, |scratch, (sequence, chunk)| {
            Pass { h: sequences.h, gradient, inputs, probabilities, plan }.sequence(sequence, chunk, scratch);
        });
    };
    if inputs.joined {
        let mut all = vec![0.0; keys * 3 * d];
        run(split(&mut all, rows(|sequence| sequence.k).map(|k| k * 3 * d)).into_iter().map(Chunk::Joined).collect());
        return Gradients::Joined(all);
    }
    let (mut queries, mut joined) = (vec![0.0; sequences.queries() * d], vec![0.0; keys * 2 * d]);
    let of_queries = split(&mut queries, rows(|sequence| sequence.q).map(|q| q * d));
    let of_keys = split(&mut joined, rows(|sequence| sequence.k).map(|k| k * 2 * d));
    run(of_queries.into_iter().zip(of_keys).map(|(queries, joined)| Chunk::Apart(queries, joined)).collect());
    Gradients::Apart(queries, joined)
}

/// What every sequence of a backward pass needs.
struct Pass<'a> {
    h: usize,
    gradient: &'a [f32],
    inputs: &'a Inputs<'a>,
    probabilities: &'a [f32],
    plan: &'a AttentionPlan,
}

impl Pass<'_> {
    fn sequence(&self, sequence: &Sequence, mut chunk: Chunk<'_>, [dscores, mixed, factors]: &mut [Vec<f32>; 3]) {
        let (h, d, alone) = (self.h, self.inputs.d, alone(self.plan.products));
        let (e, &Sequence { query, key, k, .. }) = (d / h, sequence);
        let [queries, keys, values] = &self.inputs.parts;
        for (head, block) in (0..h).flat_map(|head| sequence.blocks().map(move |block| (head, block))) {
            let (rows, first) = (block.rows, query + block.start);
            let (add, of) = (block.start > 0, Head { d, e, number: head });
            let weights = &self.probabilities[block.cells(h, head)];
            let factors = self.plan.mask.as_ref().map(|mask| block.factors(mask, head, factors));
            let shape = Shape::rows(rows, k);
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
            let to = chunk.head(2, 0..k, of);
            product(to, (used, shape.transposed()), gradient, Put { add, ..alone });
            dscores.resize(rows * k, 0.0);
            let (values, of_values) = values.head(key, k, head, e);
            product((dscores, shape), gradient, (values, of_values.transposed()), alone);
            if let Some(factors) = factors {
                loops::scale(dscores, factors);
            }
            dscores.chunks_exact_mut(k).zip(weights.chunks_exact(k)).for_each(|(d, p)| softmax_gradient(d, p));
            let put = Put { scale: scale(e), ..alone };
            let to = chunk.head(0, block.start..block.start + rows, of);
            product(to, (dscores, shape), keys.head(key, k, head, e), put);
            let to = chunk.head(1, 0..k, of);
            product(to, (dscores, shape.transposed()), queries.head(first, rows, head, e), Put { add, ..put });
        }
    }
}

/// Softmax of one row in place.
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

/// Gradient of softmax in place: `gradient` of the result `y` becomes that of what went in.
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
