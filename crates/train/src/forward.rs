//! The forward pass of a step. The pairs of all objectives are combined in one plan. Each image and text is encoded once, and all
//! pairs go through the fusion encoder together, so that each weight is used once and gets its gradient once.

use std::cell::OnceCell;
use std::ops::Range;

use burn::tensor::Tensor;
use ptu_data::{KeptPatches, TrainBatch};
use ptu_kernels::Pass;
use ptu_model::forward::{ChosenRows, Encoded, ForwardPlan, FusedPair};
use ptu_model::{CodeUse, Fused, Model, StandIn};
use ptu_random::Key;

use crate::batch::{inputs, kept_patches};

/// What the objectives of a step read: the model, the batch, and the forward pass, which is computed on demand.
pub struct StepForward<'a> {
    /// The model.
    pub model: &'a Model,
    /// The batch.
    pub batch: &'a TrainBatch,
    /// The key of the step, from which the objectives draw their random numbers.
    pub key: Key,
    pass: &'a Pass,
    plan: ForwardPlan,
    /// For each objective, the indices in the plan of the pairs that it was the first to declare.
    declared: Vec<Range<usize>>,
    kept: OnceCell<KeptPatches>,
    encoded: OnceCell<Encoded>,
    fused: OnceCell<Fused>,
}

/// The prompts of a step.
#[derive(Default)]
pub struct Chosen {
    /// The rows that were chosen.
    pub rows: ChosenRows,
    /// The loss that the prompts have of their own, if they are trained.
    pub loss: Option<Tensor<1>>,
    /// What the codes of composed sequences learn from, of images and of texts.
    pub used_codes: [CodeUse; 2],
}

impl<'a> StepForward<'a> {
    /// Plans the pairs that the objectives declare, one list per objective. Nothing is computed yet. A pair that several
    /// objectives declare is computed once.
    pub fn new(
        model: &'a Model,
        batch: &'a TrainBatch,
        objectives: impl IntoIterator<Item = Vec<FusedPair>>,
        pass: &'a Pass,
        key: Key,
    ) -> Self {
        let mut plan = ForwardPlan::default();
        let declared = objectives.into_iter().map(|pairs| plan.add(pairs)).collect();
        let (kept, encoded, fused) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { model, batch, key, pass, plan, declared, kept, encoded, fused }
    }

    /// The settings that every layer receives in this step.
    pub fn pass(&self) -> &Pass {
        self.pass
    }

    /// Computes the declared pairs now, not on demand.
    pub fn compute(&self) {
        self.fused();
    }

    fn encoded(&self) -> &Encoded {
        let inputs = || inputs(self.batch, self.kept_patches());
        self.encoded.get_or_init(|| self.model.encode(&inputs(), &self.plan, StandIn::Prompts, self.pass))
    }

    /// The patches that masked image modelling leaves in this step.
    pub fn kept_patches(&self) -> &KeptPatches {
        self.kept.get_or_init(|| kept_patches(self.batch, self.model.config(), self.key))
    }

    fn fused(&self) -> &Fused {
        self.fused.get_or_init(|| self.model.fuse(self.encoded(), self.plan.pairs(), self.pass))
    }

    /// Indices of these pairs in the plan; `None` if one of them was not declared.
    fn indices(&self, pairs: &[FusedPair]) -> Option<Vec<usize>> {
        pairs.iter().map(|pair| self.plan.place(pair)).collect()
    }

    /// The number of tokens that each objective adds to the fusion, to divide the time that all objectives share. A pair counts
    /// for the first objective that declared it.
    pub fn tokens(&self) -> Vec<usize> {
        let tokens = |indices: &Range<usize>| self.encoded().tokens(&self.plan.pairs()[indices.clone()]);
        self.declared.iter().map(tokens).collect()
    }

    /// Pooled features of pairs, from their first tokens: `[pairs.len(), 2d]`. Pairs may depend on results of other objectives,
    /// so that they could not be declared; they are fused now. Their images and texts must be part of declared pairs.
    ///
    /// # Panics
    /// If an image or a text is not part of any declared pair.
    pub fn pooled(&self, pairs: &[FusedPair]) -> Tensor<2> {
        match self.indices(pairs) {
            Some(indices) => self.model.pool(self.fused(), indices),
            None => self.model.pool(&self.model.fuse(self.encoded(), pairs, self.pass), 0..pairs.len()),
        }
    }

    /// Output states of the text tokens that the declared pairs read, pair by pair: `[tokens, d]`.
    ///
    /// # Panics
    /// If a pair was not declared.
    pub fn text_states(&self, pairs: &[FusedPair]) -> Tensor<2> {
        let indices = self.indices(pairs).expect("an objective reads only pairs that it has declared");
        self.fused().text.select(indices).tokens
    }

    /// Output states of declared pairs, one sequence in each stream for each pair.
    ///
    /// # Panics
    /// If a pair was not declared.
    pub fn states(&self, pairs: &[FusedPair]) -> Fused {
        let indices = self.indices(pairs).expect("an objective reads only pairs that it has declared");
        let Fused { image, text } = self.fused();
        Fused { image: image.select(indices.iter().copied()), text: text.select(indices) }
    }

    /// The prompts that were chosen in this step.
    pub fn into_chosen(self) -> Chosen {
        let Some(encoded) = self.encoded.into_inner() else { return Chosen::default() };
        Chosen { rows: encoded.chosen, loss: encoded.prompt_loss, used_codes: encoded.used_codes }
    }
}
