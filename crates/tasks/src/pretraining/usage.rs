//! Counts how often each prompt was used in place of a missing modality, between two lines of the log.

use ptu_metrics::Usage;
use ptu_model::ModelConfig;
use ptu_model::forward::ChosenRows;
use ptu_train::log::Event;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The name of the event in the log.
pub(super) const PROMPTS: &str = "prompts";

/// Number of most used rows that are logged.
const MOST_USED: usize = 20;

/// The usage of both prompt pools, as in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prompts {
    /// Prompts in place of images.
    pub image: PoolLine,
    /// Prompts in place of texts.
    pub text: PoolLine,
}

impl Prompts {
    /// Reads the usage from an event of the log; `None` for other events.
    pub fn read(event: &Event) -> Option<Self> {
        match event {
            Event::Task { event, fields, .. } if event == PROMPTS => fields.get(),
            _ => None,
        }
    }
}

/// The usage of one prompt pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolLine {
    /// Number of rows of the pool.
    pub size: usize,
    /// Number of inputs with a missing modality for which prompts were chosen.
    pub inputs: u64,
    /// Share of rows that were chosen at least once.
    pub share_chosen: Option<f64>,
    /// Entropy of the distribution of choices over rows, in bits; at most log2(size).
    pub entropy_bits: Option<f64>,
    /// Number of different sets of rows per 1,000 inputs.
    pub sets_per_thousand: Option<f64>,
    /// (row, number of times that it was chosen), the most used rows first.
    pub most_used: Vec<(usize, u64)>,
}

/// The counts of both pools.
pub(super) struct PromptUsage {
    image: Usage,
    text: Usage,
}

/// The counts of one pool, as they are stored in a saved state.
#[derive(Serialize, Deserialize)]
struct PoolState {
    /// How often each row was chosen.
    counts: Vec<u64>,
    /// Number of inputs for which rows were chosen.
    inputs: u64,
    /// Hashes of the different sets of rows.
    sets: Vec<u64>,
}

impl Default for PromptUsage {
    /// The counts of a model without prompts.
    fn default() -> Self {
        Self::of([0, 0])
    }
}

impl PromptUsage {
    /// Counts of 0 for the pools of a model.
    pub fn new(config: &ModelConfig) -> Self {
        Self::of([config.image_prompts.rows(), config.text_prompts.rows()])
    }

    fn of([image, text]: [usize; 2]) -> Self {
        Self { image: Usage::new(image), text: Usage::new(text) }
    }

    /// Counts the prompts that were chosen in a step.
    pub fn add(&mut self, chosen: &ChosenRows) {
        chosen.image.iter().for_each(|rows| self.image.add(rows));
        chosen.text.iter().for_each(|rows| self.text.add(rows));
    }

    /// Returns the usage for the log and resets the counts; `None` if no prompt was used.
    pub fn take(&mut self) -> Option<Prompts> {
        let rows = self.rows();
        let used = std::mem::replace(self, Self::of(rows));
        let prompts = Prompts { image: line(&used.image), text: line(&used.text) };
        (prompts.image.inputs + prompts.text.inputs > 0).then_some(prompts)
    }

    /// The counts for a saved state: first of prompts in place of images, then of texts; null if no prompt was used.
    pub fn to_save(&self) -> Value {
        let used = |usage: &Usage| {
            let (counts, inputs, sets) = usage.parts();
            PoolState { counts: counts.to_vec(), inputs, sets }
        };
        match self.image.inputs() + self.text.inputs() {
            0 => Value::Null,
            _ => serde_json::json!([used(&self.image), used(&self.text)]),
        }
    }

    /// Restores the counts from a saved state. Counts of a pool of another size are ignored.
    pub fn restore(&mut self, state: &Value) {
        let rows = self.rows();
        let saved: Vec<PoolState> = serde_json::from_value(state.clone()).unwrap_or_default();
        let mut saved = saved.into_iter();
        let mut one = |rows: usize| match saved.next() {
            Some(PoolState { counts, inputs, sets }) if counts.len() == rows => Usage::from_parts(counts, inputs, sets),
            _ => Usage::new(rows),
        };
        *self = Self { image: one(rows[0]), text: one(rows[1]) };
    }

    fn rows(&self) -> [usize; 2] {
        [&self.image, &self.text].map(|usage| usage.parts().0.len())
    }
}

fn line(usage: &Usage) -> PoolLine {
    PoolLine {
        size: usage.parts().0.len(),
        inputs: usage.inputs(),
        share_chosen: usage.share_chosen(),
        entropy_bits: usage.entropy_bits(),
        sets_per_thousand: usage.sets_per_thousand(),
        most_used: usage.most_used(MOST_USED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_survive_saving_and_restoring() {
        let mut usage = PromptUsage::of([3, 2]);
        assert_eq!((usage.to_save(), usage.take()), (Value::Null, None));
        usage.add(&ChosenRows { image: vec![vec![0, 2], vec![2]], text: vec![] });
        let mut again = PromptUsage::of([3, 2]);
        again.restore(&usage.to_save());
        let logged = usage.take().unwrap();
        assert_eq!((logged.image.inputs, logged.image.most_used[0], logged.text.size), (2, (2, 2), 2));
        assert_eq!(again.take(), Some(logged));
        let mut other = PromptUsage::of([4, 2]);
        other.restore(&serde_json::json!([{"counts": [1, 0, 0], "inputs": 1, "sets": [5]}]));
        assert_eq!(other.take(), None, "counts of a pool of another size are ignored");
    }
}
