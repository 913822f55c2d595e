//! Gradient checkpointing (Chen et al., "Training deep nets with sublinear memory cost", 2016). A checkpointed block stores
//! only its inputs. In the backward pass it is computed again, with the same dropout masks, and its memory is freed before
//! the next block is computed.
//!
//! For the engine such a block is one operation on its inputs. The weights of the block are not inputs (there would be up to 28),
//! so their gradients are stored separately, by weight.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::backend::TensorMetadata;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use burn_flex::FlexTensor;

use crate::block_gradients::BlockGradients;
use crate::operation::{Operation, is_cpu_f32, run as run_operation, tensor, values};
use crate::packed::Packed;
use crate::pass::Pass;

/// The forward function of a block; its result has the same sequence lengths as the first input.
pub type Run<M> = fn(&M, &[&Packed], &Pass) -> Packed;

/// Whether a block with these inputs can be checkpointed: gradients are tracked, and our operations support the tensors.
fn can_checkpoint(inputs: &[&Packed]) -> bool {
    inputs.iter().all(|input| is_cpu_f32(&input.tokens)) && inputs.iter().any(|input| input.tokens.is_autodiff())
}

impl Pass {
    /// Runs a block on packed sequences, with gradient checkpointing if this pass uses it.
    pub fn block<M: Module + Debug + Sync + 'static>(&self, module: &M, inputs: &[&Packed], run: Run<M>) -> Packed {
        match self.checkpoint() {
            Some(gradients) if can_checkpoint(inputs) => {
                let (y, calls) = run_checkpointed(module, inputs, run, self, gradients);
                self.set_calls(calls);
                y
            }
            _ => run(module, inputs, self),
        }
    }
}

/// Runs a checkpointed block. Returns its result and the number of dropout masks requested so far.
fn run_checkpointed<M: Module + Debug + Sync + 'static>(
    module: &M,
    inputs: &[&Packed],
    run: Run<M>,
    pass: &Pass,
    gradients: &BlockGradients,
) -> (Packed, u64) {
    let calls = Arc::new(AtomicU64::new(0));
    let recompute = CheckpointedBlock {
        module: module.valid(),
        lengths: inputs.iter().map(|input| Arc::clone(&input.lengths)).collect(),
        run,
        pass: pass.again(),
        calls: Arc::clone(&calls),
        gradients: gradients.clone(),
        device: inputs[0].tokens.device().inner(),
    };
    let tokens = inputs.iter().map(|input| input.tokens.clone().into_dispatch());
    // The inputs may need no gradient although weights do: those of the first block that is trained behind frozen ones. A further input, which
    // the block does not read, lets the backward pass reach it.
    let anchor = || Tensor::<2>::zeros([1, 1], &inputs[0].tokens.device()).require_grad().into_dispatch();
    let tokens = tokens.chain(is_trained(module).then(anchor)).collect();
    let y = inputs[0].with(run_operation(recompute, tokens));
    (y, calls.load(Ordering::Relaxed))
}

/// A checkpointed block as an operation of the engine.
#[derive(Debug)]
struct CheckpointedBlock<M> {
    /// The block without gradient tracking.
    module: M,
    /// The sequence lengths of each input.
    lengths: Vec<Arc<Vec<usize>>>,
    run: Run<M>,
    /// The pass at the start of the block. It is never advanced, so that the same masks can be generated again.
    pass: Pass,
    /// Number of masks requested up to the end of the block.
    calls: Arc<AtomicU64>,
    gradients: BlockGradients,
    device: Device,
}

impl<M: Module + Debug + Sync + 'static> CheckpointedBlock<M> {
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

    fn to_tensor(&self, x: &FlexTensor) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values(x).to_vec(), x.shape()), &self.device)
    }
}

impl<M: Module + Debug + Sync + 'static> Operation for CheckpointedBlock<M> {
    fn forward(&self, inputs: &[FlexTensor], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let y = self.apply(&self.module, inputs.iter().map(|input| self.to_tensor(input)).collect());
        let shape = y.shape();
        let y: Vec<f32> = y.into_data().try_into_vec().expect("the model computes in f32");
        (tensor(y, shape), if keep { inputs.to_vec() } else { vec![] })
    }

    fn backward(&self, gradient: &FlexTensor, saved: &[FlexTensor], wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let module = self.module.clone().train();
        let inputs: Vec<Tensor<2>> =
            saved.iter().map(|input| self.to_tensor(input).autodiff().require_grad()).collect();
        let y = self.apply(&module, inputs.clone());
        // The gradient of sum(y * gradient) with respect to y is `gradient`: this starts the backward pass from a given gradient.
        let mut graph = (y * self.to_tensor(gradient).autodiff()).sum().backward();
        let gradients = inputs.iter().zip(wanted).map(|(input, wanted)| {
            let gradient = wanted.then(|| input.grad_remove(&mut graph)).flatten()?;
            let shape = gradient.shape();
            Some(tensor(gradient.into_data().try_into_vec::<f32>().expect("the model computes in f32"), shape))
        });
        let gradients = gradients.collect();
        module.visit(&mut CollectGradients { graph: &mut graph, gradients: &self.gradients });
        gradients
    }
}

/// Whether a weight of the module needs a gradient.
fn is_trained<M: Module>(module: &M) -> bool {
    struct Found(bool);
    impl ModuleVisitor for Found {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 |= param.val().is_require_grad();
        }
    }
    let mut found = Found(false);
    module.visit(&mut found);
    found.0
}

/// Moves the gradients of the weights into the storage.
struct CollectGradients<'a> {
    graph: &'a mut Gradients,
    gradients: &'a BlockGradients,
}

impl ModuleVisitor for CollectGradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(self.graph) {
            let values = gradient.into_data().try_into_vec().expect("the model computes in f32");
            self.gradients.add(param.id, values);
        }
    }
}
