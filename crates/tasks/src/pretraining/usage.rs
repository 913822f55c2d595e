//! How often which prompts stood in, between two lines of the log.

use ptu_metrics::Usage;
use ptu_model::ModelConfig;
use ptu_model::forward::ChosenRows;
use ptu_train::log::Event;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Name of the event in the log.
pub(super) const PROMPTS: &str = "prompts";

/// Most used rows that are told.
const MOST_USED: usize = 20;

/// What the log says of both pools.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prompts {
    /// Stand-ins for images.
    pub image: PoolLine,
    /// Stand-ins for texts.
    pub text: PoolLine,
}

impl Prompts {
    /// Read back from the log; `None` of other events.
    pub fn read(event: &Event) -> Option<Self> {
        match event {
            Event::Task { event, fields, .. } if event == PROMPTS => fields.get(),
            _ => None,
        }
    }
}

/// How one pool was used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolLine {
    /// Rows.
    pub size: usize,
    /// Inputs that prompts stood in for.
    pub inputs: u64,
    /// Share of rows that were chosen at least once.
    pub share_chosen: Option<f64>,
    /// Of the distribution over rows; at most log2(size).
    pub entropy_bits: Option<f64>,
    /// Different sets of rows per 1,000 inputs.
    pub sets_per_thousand: Option<f64>,
    /// (row, how often), most used first.
    pub most_used: Vec<(usize, u64)>,
}

/// Counts of both pools.
pub(super) struct PromptUsage {
    image: Usage,
    text: Usage,
}

/// Counts of one pool, in a saved state.
#[derive(Serialize, Deserialize)]
struct Used {
    /// How often each row was chosen.
    counts: Vec<u64>,
    /// Inputs that chose.
    inputs: u64,
    /// Digests of the distinct sets.
    sets: Vec<u64>,
}

impl Default for PromptUsage {
    /// Of a model without prompts.
    fn default() -> Self {
        Self::of([0, 0])
    }
}

impl PromptUsage {
    /// Of a model's pools, of which nothing was used yet.
    pub fn new(config: &ModelConfig) -> Self {
        Self::of([config.image_prompts.rows(), config.text_prompts.rows()])
    }

    fn of([image, text]: [usize; 2]) -> Self {
        Self { image: Usage::new(image), text: Usage::new(text) }
    }

    /// Counts what stood in.
    pub fn add(&mut self, chosen: &ChosenRows) {
        chosen.image.iter().for_each(|rows| self.image.add(rows));
        chosen.text.iter().for_each(|rows| self.text.add(rows));
    }

    /// What is to be told, and begins anew; nothing where nothing was used.
    pub fn take(&mut self) -> Option<Prompts> {
        let rows = self.rows();
        let used = std::mem::replace(self, Self::of(rows));
        let prompts = Prompts { image: line(&used.image), text: line(&used.text) };
        (prompts.image.inputs + prompts.text.inputs > 0).then_some(prompts)
    }

    /// For a state: stand-ins for images, for texts; null where nothing was used.
    pub fn to_save(&self) -> Value {
        let used = |usage: &Usage| {
            let (counts, inputs, sets) = usage.parts();
            Used { counts: counts.to_vec(), inputs, sets }
        };
        match self.image.inputs() + self.text.inputs() {
            0 => Value::Null,
            _ => serde_json::json!([used(&self.image), used(&self.text)]),
        }
    }

    /// Goes on from a state. One of pools of other sizes says nothing of these.
    pub fn restore(&mut self, state: &Value) {
        let rows = self.rows();
        let saved: Vec<Used> = serde_json::from_value(state.clone()).unwrap_or_default();
        let mut saved = saved.into_iter();
        let mut one = |rows: usize| match saved.next() {
            Some(Used { counts, inputs, sets }) if counts.len() == rows => Usage::from_parts(counts, inputs, sets),
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
    fn a_state_goes_on_where_it_was() {
        let mut usage = PromptUsage::of([3, 2]);
        assert_eq!((usage.to_save(), usage.take()), (Value::Null, None));
        usage.add(&ChosenRows { image: vec![vec![0, 2], vec![2]], text: vec![] });
        let mut again = PromptUsage::of([3, 2]);
        again.restore(&usage.to_save());
        let told = usage.take().unwrap();
        assert_eq!((told.image.inputs, told.image.most_used[0], told.text.size), (2, (2, 2), 2));
        assert_eq!(again.take(), Some(told));
        let mut other = PromptUsage::of([4, 2]);
        other.restore(&serde_json::json!([{"counts": [1, 0, 0], "inputs": 1, "sets": [5]}]));
        assert_eq!(other.take(), None, "of a pool of another size");
    }
}
