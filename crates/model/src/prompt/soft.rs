//! Attention over a prompt pool in place of a selection (specification, section 2.4).

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};

use super::{Chosen, host};

/// Added to squared lengths before their square root.
const SMALL: f64 = 1e-12;

/// The temperature after a share of the training, in [0, 1]: it falls geometrically.
pub(super) fn temperature([first, last]: [f64; 2], progress: f64) -> f64 {
    first * (last / first).powf(progress)
}

/// Prompts of each query (d numbers): means of the rows of `table`, `[rows, d]`, by the attention of `slots`, `[take, d]`, each together with the query. The rows that are
/// reported are those to which each slot attends most. Gradients reach the table and the slots.
pub(super) fn attend(queries: Vec<Vec<f64>>, table: &Tensor<2>, slots: &Tensor<2>, temperature: f64) -> Chosen {
    let ([rows, d], take, b) = (table.dims(), slots.dims()[0], queries.len());
    if b == 0 {
        return Chosen { mixed: Some(Tensor::zeros([0, d], &table.device())), ..Chosen::default() };
    }
    let directions = unit_rows(&queries, &table.device()).reshape([b, 1, d]) + slots.clone().reshape([1, take, d]);
    let cosines = unit(directions.reshape([b * take, d])).matmul(unit(table.clone()).transpose());
    let weights = softmax(cosines.div_scalar(temperature), 1);
    let attended = host(weights.clone());
    let most: Vec<usize> = attended.chunks_exact(rows).map(largest).collect();
    Chosen {
        rows: most.chunks_exact(take).map(<[usize]>::to_vec).collect(),
        queries,
        mixed: Some(weights.matmul(table.clone())),
        loss: None,
    }
}

/// Rows divided by their lengths.
pub(super) fn unit(x: Tensor<2>) -> Tensor<2> {
    let lengths = x.clone().powf_scalar(2.0).sum_dim(1).add_scalar(SMALL).sqrt();
    x / lengths
}

/// Queries divided by their lengths, `[b, d]`.
pub(super) fn unit_rows(queries: &[Vec<f64>], device: &Device) -> Tensor<2> {
    let d = queries.first().map_or(0, Vec::len);
    let of = |query: &Vec<f64>| {
        let length = (query.iter().map(|value| value * value).sum::<f64>() + SMALL).sqrt();
        query.iter().map(|value| (value / length) as f32).collect::<Vec<_>>()
    };
    let values: Vec<f32> = queries.iter().flat_map(of).collect();
    Tensor::from_data(TensorData::new(values, [queries.len(), d]), device)
}

/// The place of the largest value; of equal ones the first.
fn largest(values: &[f32]) -> usize {
    (0..values.len()).rev().max_by(|one, other| values[*one].total_cmp(&values[*other])).unwrap_or(0)
}
