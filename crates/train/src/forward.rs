//! The forward pass of a step: all that its objectives declare goes into one plan, is encoded once, and goes through the
//! fusion together, so that each weight is used, and gets its gradient, once.

use std::cell::OnceCell;
use std::ops::Range;

use burn::tensor::Tensor;
use ptu_data::TrainBatch;
use ptu_kernels::Pass;
use ptu_model::forward::{ChosenRows, Encoded, ForwardPlan, FusedPair};
use ptu_model::{Fused, Model, StandIn};
use ptu_random::Key;

use crate::batch::inputs;

/// What the objectives of a step see: the model, the batch, and what is computed of both on demand.
pub struct StepForward<'a> {
    /// The network.
    pub model: &'a Model,
    /// The arrays.
    pub batch: &'a TrainBatch,
    /// Names the step; what an objective draws is drawn from it.
    pub key: Key,
    pass: &'a Pass,
    plan: ForwardPlan,
    /// Of each objective the places of the pairs that it was the first to declare.
    declared: Vec<Range<usize>>,
    encoded: OnceCell<Encoded>,
    fused: OnceCell<Fused>,
}

impl<'a> StepForward<'a> {
    /// Plans what objectives declare, one list each; nothing is computed yet. A pair that several declare is computed once.
    pub fn new(
        model: &'a Model,
        batch: &'a TrainBatch,
        objectives: impl IntoIterator<Item = Vec<FusedPair>>,
        pass: &'a Pass,
        key: Key,
    ) -> Self {
        let mut plan = ForwardPlan::default();
        let declared = objectives.into_iter().map(|pairs| plan.add(pairs)).collect();
        Self { model, batch, key, pass, plan, declared, encoded: OnceCell::new(), fused: OnceCell::new() }
    }

    /// What goes through the layers with the step's data.
    pub fn pass(&self) -> &Pass {
        self.pass
    }

    /// Computes what the objectives declared, now.
    pub fn compute(&self) {
        self.fused();
    }

    fn encoded(&self) -> &Encoded {
        self.encoded.get_or_init(|| self.model.encode(&inputs(self.batch), &self.plan, StandIn::Prompts, self.pass))
    }

    fn fused(&self) -> &Fused {
        self.fused.get_or_init(|| self.model.fuse(self.encoded(), self.plan.pairs(), self.pass))
    }

    /// Places of pairs in the plan; `None` where one was not declared.
    fn places(&self, pairs: &[FusedPair]) -> Option<Vec<usize>> {
        pairs.iter().map(|pair| self.plan.place(pair)).collect()
    }

    /// Tokens that each objective brings into the fusion: what of the shared cost is whose. A pair counts for the first that
    /// declared it.
    pub fn tokens(&self) -> Vec<usize> {
        let of = |places: &Range<usize>| self.encoded().tokens(&self.plan.pairs()[places.clone()]);
        self.declared.iter().map(of).collect()
    }

    /// Pooled features of pairs of which the first tokens are read, `[pairs.len(), 2d]`. Pairs that nobody declared, since they
    /// depend on what others gave, are fused now; their images and texts must be part of a declared pair.
    ///
    /// # Panics
    /// If an image or a text is in no declared pair.
    pub fn pooled(&self, pairs: &[FusedPair]) -> Tensor<2> {
        match self.places(pairs) {
            Some(places) => self.model.pool(self.fused(), places),
            None => self.model.pool(&self.model.fuse(self.encoded(), pairs, self.pass), 0..pairs.len()),
        }
    }

    /// States of the text tokens that are read of declared pairs, pair by pair: `[tokens, d]`.
    ///
    /// # Panics
    /// If a pair was not declared.
    pub fn text_states(&self, pairs: &[FusedPair]) -> Tensor<2> {
        let places = self.places(pairs).expect("an objective reads what it has declared");
        self.fused().text.select(places).tokens
    }

    /// Every choice of prompts in this step.
    pub fn into_chosen(self) -> ChosenRows {
        self.encoded.into_inner().map_or_else(ChosenRows::default, |encoded| encoded.chosen)
    }
}
