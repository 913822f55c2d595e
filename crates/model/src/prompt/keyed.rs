//! A prompt pool whose rows are selected by learned keys (specification, section 2.4).

use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};

use super::soft::{unit, unit_rows};

/// Temperature of the shares of keys in the loss of balance.
const TEMPERATURE: f64 = 0.1;

/// How keys are trained: the weights of both losses.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyLoss {
    pub pull: f64,
    pub balance: f64,
}

impl KeyLoss {
    /// The loss of keys, `[size, width]`, of which `rows` were selected by each query. *Pull*: the mean of 1 - cosine between a query and its
    /// selected keys. *Balance*: `size * sum of f_i p_i`, where f_i is the share of all selections that are key i, and p_i is the mean share
    /// of key i in a softmax of the cosines; it is 1 if all keys are selected equally often (the load balancing loss of Switch
    /// Transformers). `None` without a query.
    pub fn of(self, queries: &[Vec<f64>], keys: &Tensor<2>, rows: &[Vec<usize>]) -> Option<Tensor<1>> {
        let ([size, _], b, device) = (keys.dims(), queries.len(), keys.device());
        let selected: usize = rows.iter().map(Vec::len).sum();
        if selected == 0 {
            return None;
        }
        let cosines = unit_rows(queries, &device).matmul(unit(keys.clone()).transpose());
        let (mut chosen, mut shares) = (vec![0.0; b * size], vec![0.0; size]);
        for (query, rows) in rows.iter().enumerate() {
            for row in rows {
                chosen[query * size + row] = 1.0 / selected as f32;
                shares[*row] += 1.0 / selected as f32;
            }
        }
        let chosen = Tensor::<2>::from_data(TensorData::new(chosen, [b, size]), &device);
        let pull = (cosines.clone() * chosen).sum().neg().add_scalar(1.0);
        let shares = Tensor::<2>::from_data(TensorData::new(shares, [1, size]), &device);
        let balance = (softmax(cosines.div_scalar(TEMPERATURE), 1).mean_dim(0) * shares).sum().mul_scalar(size as f64);
        Some(pull.mul_scalar(self.pull) + balance.mul_scalar(self.balance))
    }
}
