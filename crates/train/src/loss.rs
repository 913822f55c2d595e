//! The losses of the objectives (specification, section 3), each in its own file.

mod itc;
mod itm;
mod mim;
mod mlm;

use burn::tensor::Tensor;
pub use itc::{CachedItc, Itc, Vectors, contrastive_loss, duplicate_mask};
pub use itm::{Itm, matched};
pub use mim::Mim;
pub use mlm::Mlm;

pub use crate::objective::Loss;

/// Number of pairs of a batch of `pairs` that an objective uses which uses this share of them (`mlm.share`, `itm.share`), at least one
/// if there is one.
fn used(share: f64, pairs: usize) -> usize {
    (share * pairs as f64).ceil() as usize
}

/// For each row of `logits [m, c]`, whether the logit of the right class is the largest.
fn answers(logits: &Tensor<2>, classes: &[usize]) -> Vec<bool> {
    let c = logits.dims()[1];
    let values: Vec<f32> = logits.clone().inner().into_data().try_into_vec().expect("the model computes in f32");
    let largest = |row: &[f32]| row.iter().enumerate().max_by(|x, y| x.1.total_cmp(y.1)).map(|(class, _)| class);
    values.chunks_exact(c).zip(classes).map(|(row, class)| largest(row) == Some(*class)).collect()
}
