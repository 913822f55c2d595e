//! Attention and its gradients over slices: no copy of a head is made, probabilities are kept for the gradient.
//!
//! Letters: b batch, t queries, k keys, d width, h heads, e = d / h.

use rayon::prelude::*;

use super::loops::{softmax_backward_row, softmax_row};
use super::product::{Put, Shape, product};

/// Sizes of one attention.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub b: usize,
    pub t: usize,
    pub k: usize,
    pub d: usize,
    pub h: usize,
}

/// Rows of queries, keys or values: the first value of row `i` of record `j` stands at `offset + j * record + i * row`.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub values: &'a [f32],
    pub offset: usize,
    pub record: usize,
    pub row: usize,
}

impl<'a> Rows<'a> {
    /// One head of one record as a matrix, `[count, e]`.
    fn head(&self, record: usize, head: usize, count: usize, e: usize) -> (&'a [f32], Shape) {
        let offset = self.offset + record * self.record + head * e;
        (self.values, Shape { rows: count, columns: e, offset, row_stride: self.row, column_stride: 1 })
    }
}

/// What is done to the scores and probabilities.
#[derive(Clone, Copy, Debug, Default)]
pub struct Masks<'a> {
    /// `[b, k]`, added to the scores.
    pub hidden: Option<&'a [f32]>,
    /// `[b, h, t, k]`, multiplied with the probabilities (dropout).
    pub kept: Option<&'a [f32]>,
}

impl Sizes {
    fn e(&self) -> usize {
        self.d / self.h
    }

    fn scale(&self) -> f32 {
        (self.e() as f32).powf(-0.5)
    }

    /// One head of one record's `[t, d]` as a matrix, `[count, e]`.
    fn head(&self, head: usize, count: usize) -> Shape {
        Shape { rows: count, columns: self.e(), offset: head * self.e(), row_stride: self.d, column_stride: 1 }
    }
}

/// One record's probabilities times its dropout mask; borrowed where there is none.
fn dropped<'a>(probabilities: &'a [f32], kept: Option<&[f32]>, scratch: &'a mut Vec<f32>) -> &'a [f32] {
    let Some(kept) = kept else { return probabilities };
    scratch.clear();
    scratch.extend(probabilities.iter().zip(kept).map(|(p, kept)| p * kept));
    scratch
}

/// `[b, t, d]` and the probabilities `[b, h, t, k]`.
pub fn forward(s: Sizes, [query, key, value]: [Rows; 3], masks: Masks) -> (Vec<f32>, Vec<f32>) {
    let Sizes { b, t, k, d, h } = s;
    let (mut out, mut probabilities) = (vec![0.0; b * t * d], vec![0.0; b * h * t * k]);
    let put = |scale| Put { scale, add: false, parallel: false };
    let each = out.par_chunks_mut(t * d).zip(probabilities.par_chunks_mut(h * t * k));
    each.enumerate().for_each_init(Vec::new, |scratch, (record, (out, probabilities))| {
        let hidden = masks.hidden.map(|hidden| &hidden[record * k..(record + 1) * k]);
        for (head, scores) in probabilities.chunks_exact_mut(t * k).enumerate() {
            let (keys, shape) = key.head(record, head, k, s.e());
            let to = (&mut *scores, Shape::rows(t, k));
            product(to, query.head(record, head, t, s.e()), (keys, shape.transposed()), put(s.scale()));
            scores.chunks_exact_mut(k).for_each(|row| softmax_row(row, hidden));
            let start = (record * h + head) * t * k;
            let kept = masks.kept.map(|kept| &kept[start..start + t * k]);
            let weights = (dropped(scores, kept, scratch), Shape::rows(t, k));
            product((out, s.head(head, t)), weights, value.head(record, head, k, s.e()), put(1.0));
        }
    });
    (out, probabilities)
}

/// Gradients of query `[b, t, d]`, key and value `[b, k, d]`.
pub fn backward(
    s: Sizes,
    gradient: &[f32],
    [query, key, value]: [Rows; 3],
    (probabilities, kept): (&[f32], Option<&[f32]>),
) -> [Vec<f32>; 3] {
    let Sizes { b, t, k, d, h } = s;
    let [mut dq, mut dk, mut dv] = [vec![0.0; b * t * d], vec![0.0; b * k * d], vec![0.0; b * k * d]];
    let put = |scale| Put { scale, add: false, parallel: false };
    let outputs = dq.par_chunks_mut(t * d).zip(dk.par_chunks_mut(k * d)).zip(dv.par_chunks_mut(k * d));
    let scratch = || (vec![0.0; t * k], Vec::new());
    outputs.enumerate().for_each_init(scratch, |(dscores, scratch), (record, ((dq, dk), dv))| {
        let gradient = &gradient[record * t * d..(record + 1) * t * d];
        for head in 0..h {
            let start = (record * h + head) * t * k;
            let weights = &probabilities[start..start + t * k];
            let kept = kept.map(|kept| &kept[start..start + t * k]);
            let of_gradient = (gradient, s.head(head, t));
            let mixed = dropped(weights, kept, scratch);
            product((dv, s.head(head, k)), (mixed, Shape::rows(t, k).transposed()), of_gradient, put(1.0));
            let (values, shape) = value.head(record, head, k, s.e());
            product((dscores, Shape::rows(t, k)), of_gradient, (values, shape.transposed()), put(1.0));
            if let Some(kept) = kept {
                dscores.iter_mut().zip(kept).for_each(|(d, kept)| *d *= kept);
            }
            let rows = dscores.chunks_exact_mut(k).zip(weights.chunks_exact(k));
            rows.for_each(|(dscores, weights)| softmax_backward_row(dscores, weights));
            let dscores = (dscores.as_slice(), Shape::rows(t, k));
            product((dq, s.head(head, t)), dscores, key.head(record, head, k, s.e()), put(s.scale()));
            let transposed = (dscores.0, dscores.1.transposed());
            product((dk, s.head(head, k)), transposed, query.head(record, head, t, s.e()), put(s.scale()));
        }
    });
    [dq, dk, dv]
}
