//! Losses of the objectives (specification, section 3), each in a file of its own.

mod itc;
mod itm;
mod mlm;

use std::collections::BTreeMap;

use burn::tensor::Tensor;
pub use itc::{CachedItc, Itc, Vectors, contrast, same};
pub use itm::{Itm, matched};
pub use mlm::Mlm;

/// One objective's result on one batch.
#[derive(Debug)]
pub struct Loss {
    /// Mean over what was scored, one element.
    pub value: Tensor<1>,
    /// For each answer that was scored whether it was right: MLM one a masked place (pairs, then texts alone), ITC one an
    /// image, then one a text, ITM one a pair. Empty where an answer is not right or wrong.
    pub answers: Vec<bool>,
    /// What else is counted, by the name in the log; what is 0 is left out there.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Loss {
    /// With nothing else counted.
    pub fn new(value: Tensor<1>, answers: Vec<bool>) -> Self {
        Self { value, answers, counts: BTreeMap::new() }
    }
}

/// For each row of `logits [m, c]` whether the wanted class is the largest.
fn answers(logits: &Tensor<2>, classes: &[usize]) -> Vec<bool> {
    let c = logits.dims()[1];
    let values: Vec<f32> = logits.clone().inner().into_data().try_into_vec().expect("the model computes in f32");
    let largest = |row: &[f32]| row.iter().enumerate().max_by(|x, y| x.1.total_cmp(y.1)).map(|(class, _)| class);
    values.chunks_exact(c).zip(classes).map(|(row, class)| largest(row) == Some(*class)).collect()
}
