//! Gradient checkpointing: blocks that keep only what goes into them (Chen et al., "Training deep nets with sublinear memory cost", 2016): in the
//! backward pass their inside is computed again, with the same dropout masks, and its memory freed before the next one's.
//!
//! To the engine such a block is one operation of its inputs. Its weights are no inputs (there would be up to 28), so their
//! gradients are put aside, by weight.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::backend::TensorMetadata;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use burn_flex::FlexTensor;

use crate::block_gradients::BlockGradients;
use crate::operation::{Operation, is_ours, run as run_operation, tensor, values};
use crate::packed::Packed;
use crate::pass::Pass;

/// What a block computes of its inputs; the result has the sequences of the first.
pub type Run<M> = fn(&M, &[&Packed], &Pass) -> Packed;

/// Whether these inputs can go into a checkpointed block: there is a graph, and our operations run on it.
fn fits(inputs: &[&Packed]) -> bool {
    inputs.iter().all(|input| is_ours(&input.tokens)) && inputs.iter().any(|input| input.tokens.is_autodiff())
}

impl Pass {
    /// Sequences through a block, which is checkpointed where this pass asks for it.
    pub fn block<M: Module + Debug + Sync + 'static>(&self, module: &M, inputs: &[&Packed], run: Run<M>) -> Packed {
        match self.checkpoint() {
            Some(gradients) if fits(inputs) => {
                let (y, calls) = run_checkpointed(module, inputs, run, self, gradients);
                self.set_calls(calls);
                y
            }
            _ => run(module, inputs, self),
        }
    }
}

/// Runs a block; gives its result, and how many masks were asked for then.
fn run_checkpointed<M: Module + Debug + Sync + 'static>(
    module: &M,
    inputs: &[&Packed],
    run: Run<M>,
    pass: &Pass,
    gradients: &BlockGradients,
) -> (Packed, u64) {
    let calls = Arc::new(AtomicU64::new(0));
    let recompute = Recompute {
        module: module.valid(),
        lengths: inputs.iter().map(|input| Arc::clone(&input.lengths)).collect(),
        run,
        pass: pass.again(),
        calls: Arc::clone(&calls),
        gradients: gradients.clone(),
        device: inputs[0].tokens.device().inner(),
    };
    let tokens = inputs.iter().map(|input| input.tokens.clone().into_dispatch()).collect();
    let y = inputs[0].with(run_operation(recompute, tokens));
    (y, calls.load(Ordering::Relaxed))
}

/// A block on its way through the engine.
#[derive(Debug)]
struct Recompute<M> {
    /// Without graph.
    module: M,
    /// Of each input.
    lengths: Vec<Arc<Vec<usize>>>,
    run: Run<M>,
    /// As it was when the block began: never moved on, so that its masks can be drawn again.
    pass: Pass,
    /// Masks asked for when the block ended.
    calls: Arc<AtomicU64>,
    gradients: BlockGradients,
    device: Device,
}

impl<M: Module + Debug + Sync + 'static> Recompute<M> {
    fn apply(&self, module: &M, inputs: Vec<Tensor<2>>) -> Tensor<2> {
        let packed: Vec<Packed> = inputs
            .into_iter()
            .zip(&self.lengths)
            .map(|(tokens, lengths)| Packed { tokens, lengths: Arc::clone(lengths) })
            .collect();
        let pass = self.pass.again();
        let y = (self.run)(module, &packed.iter().collect::<Vec<_>>(), &pass);
        self.calls.store(pass.calls(), Ordering::Relaxed);
        y.tokens
    }

    fn plain(&self, x: &FlexTensor) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values(x).to_vec(), x.shape()), &self.device)
    }
}

impl<M: Module + Debug + Sync + 'static> Operation for Recompute<M> {
    fn forward(&self, inputs: &[FlexTensor], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let y = self.apply(&self.module, inputs.iter().map(|input| self.plain(input)).collect());
        let shape = y.shape();
        let y: Vec<f32> = y.into_data().try_into_vec().expect("the model computes in f32");
        (tensor(y, shape), if keep { inputs.to_vec() } else { vec![] })
    }

    fn backward(&self, gradient: &FlexTensor, kept: &[FlexTensor], wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let module = self.module.clone().train();
        let inputs: Vec<Tensor<2>> = kept.iter().map(|input| self.plain(input).autodiff().require_grad()).collect();
        let y = self.apply(&module, inputs.clone());
        // The gradient of the sum of products with a gradient is that gradient.
        let mut graph = (y * self.plain(gradient).autodiff()).sum().backward();
        let gradients = inputs.iter().zip(wanted).map(|(input, wanted)| {
            let gradient = wanted.then(|| input.grad_remove(&mut graph)).flatten()?;
            let shape = gradient.shape();
            Some(tensor(gradient.into_data().try_into_vec::<f32>().expect("the model computes in f32"), shape))
        });
        let gradients = gradients.collect();
        module.visit(&mut Collect { graph: &mut graph, gradients: &self.gradients });
        gradients
    }
}

/// Puts gradients of weights aside.
struct Collect<'a> {
    graph: &'a mut Gradients,
    gradients: &'a BlockGradients,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(self.graph) {
            let values = gradient.into_data().try_into_vec().expect("the model computes in f32");
            self.gradients.add(param.id, values);
        }
    }
}
