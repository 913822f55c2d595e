//! Where checkpointed blocks put the gradients of their weights.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::ParamId;

/// Gradients of the weights of checkpointed blocks, one a weight, in our layout.
#[derive(Clone, Debug, Default)]
pub struct BlockGradients(Arc<Mutex<BTreeMap<ParamId, Vec<f32>>>>);

impl BlockGradients {
    /// Takes the gradient of a weight out.
    pub fn take(&self, weight: ParamId) -> Option<Vec<f32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&weight)
    }

    /// Adds to the gradient of a weight: a block may run several times in a step.
    pub(crate) fn add(&self, weight: ParamId, gradient: Vec<f32>) {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(weight) {
            Entry::Vacant(entry) => {
                entry.insert(gradient);
            }
            Entry::Occupied(mut entry) => {
                entry.get_mut().iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
            }
        }
    }
}
