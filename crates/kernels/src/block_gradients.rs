//! Storage for the weight gradients of checkpointed blocks.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::ParamId;

/// Gradients of the weights of checkpointed blocks, one for each weight, in the layout of the model's weights.
#[derive(Clone, Debug, Default)]
pub struct BlockGradients(Arc<Mutex<BTreeMap<ParamId, Vec<f32>>>>);

impl BlockGradients {
    /// Removes the gradient of a weight and returns it.
    pub fn take(&self, weight: ParamId) -> Option<Vec<f32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&weight)
    }

    /// Adds to the gradient of a weight, because a block may run several times in a step.
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
