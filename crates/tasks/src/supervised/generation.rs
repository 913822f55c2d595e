//! The loss of tasks that write texts (specification, sections 1.7 and 4).

use ptu_data::TrainBatch;
use ptu_input::Texts;
use ptu_kernels::cross_entropy;
use ptu_model::Read;
use ptu_model::forward::FusedPair;
use ptu_random::Key;
use ptu_train::forward::StepForward;
use ptu_train::objective::{Loss, Objective};

use super::loss::{pairs, rights};

/// The cross-entropy of each token of the target from the tokens before it (teacher forcing), mean over all tokens of the batch.
pub struct Generation;

impl Objective for Generation {
    /// Each record with the modalities that it has. The decoder reads all their states after the fusion.
    fn pairs(&self, batch: &TrainBatch, _key: Key) -> Vec<FusedPair> {
        pairs(batch, Read::All)
    }

    fn loss(&self, step: &StepForward<'_>) -> Option<Loss> {
        let decoder = step.model.decoder.as_ref()?;
        // The source has only records with a target, so each record of the batch has one.
        let targets: Vec<&[u32]> = step.batch.records.iter().filter_map(|one| one.target.as_deref()).collect();
        let pairs = self.pairs(step.batch, step.key);
        if pairs.is_empty() || targets.len() != pairs.len() {
            return None;
        }
        let states = step.states(&pairs);
        let memory = decoder.memory(&[&states.image, &states.text], step.pass());
        let (logits, labels) = decoder.next_tokens(&memory, &Texts::collect(targets), step.pass())?; // [tokens, v]
        let answers = rights(&logits, |token, largest| labels[token] == largest);
        Some(Loss::new(cross_entropy(logits, &labels), answers))
    }
}
