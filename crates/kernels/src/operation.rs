//! Registers our operations with the engine: takes the values out of its tensors, runs the operation, and returns a tensor.
//! On the engine's autodiff backend it also records the backward pass.
//!
//! This uses burn's `extension` feature. All operations are dispatched through one trait, [`Custom`].

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, DType, Dispatch, DispatchDevice, DispatchTensor, Flex, Shape, TensorMetadata, backend_extension,
};
use burn::tensor::{Bytes, Tensor};
use burn_flex::{FlexTensor, Layout};

/// An operation with its own backward pass, like `torch.autograd.Function`. The fields of the type are its parameters; the
/// tensors are its inputs.
pub trait Operation: Debug + Send + Sync + 'static {
    /// Returns the result and the tensors saved for the backward pass (none unless `keep`). Inputs are contiguous.
    fn forward(&self, inputs: &[FlexTensor], keep: bool) -> (FlexTensor, Vec<FlexTensor>);

    /// Returns the gradient of each input; `None` is allowed where `wanted` is false.
    fn backward(&self, gradient: &FlexTensor, saved: &[FlexTensor], wanted: &[bool]) -> Vec<Option<FlexTensor>>;
}

/// An operation as the dispatch passes it on.
type DynOperation = Arc<dyn Operation>;

/// Dispatched functions, one for each number of inputs.
#[backend_extension(Flex, Autodiff)]
pub trait Custom: Backend {
    fn custom_1(a: FloatTensor<Self>, operation: DynOperation) -> FloatTensor<Self>;
    fn custom_2(a: FloatTensor<Self>, b: FloatTensor<Self>, operation: DynOperation) -> FloatTensor<Self>;
    fn custom_3(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        operation: DynOperation,
    ) -> FloatTensor<Self>;
    fn custom_4(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        operation: DynOperation,
    ) -> FloatTensor<Self>;
    #[allow(clippy::too_many_arguments, reason = "the macro knows no arrays of tensors, and repeats attributes")]
    fn custom_5(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        operation: DynOperation,
    ) -> FloatTensor<Self>;
    #[allow(clippy::too_many_arguments, reason = "the macro knows no arrays of tensors, and repeats attributes")]
    fn custom_7(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        f: FloatTensor<Self>,
        g: FloatTensor<Self>,
        operation: DynOperation,
    ) -> FloatTensor<Self>;
}

/// Implements [`Custom`] with one function that takes the inputs as an array.
macro_rules! custom {
    ($run:expr) => {
        custom!(@ $run, custom_1(a), custom_2(a, b), custom_3(a, b, c), custom_4(a, b, c, d), custom_5(a, b, c, d, e),
            custom_7(a, b, c, d, e, f, g));
    };
    (@ $run:expr, $($name:ident($($input:ident),*)),*) => {
        $(fn $name($($input: FloatTensor<Self>,)* operation: DynOperation) -> FloatTensor<Self> {
            ($run)([$($input),*], operation)
        })*
    };
}

impl Custom for Flex {
    custom!(run_untracked);
}

impl<C: CheckpointStrategy> Custom for Autodiff<Flex, C> {
    custom!(|inputs, operation| run_tracked::<_, C>(inputs, operation));
}

/// Runs the operation without gradients.
fn run_untracked<const N: usize>(inputs: [FlexTensor; N], operation: DynOperation) -> FlexTensor {
    operation.forward(&inputs.map(contiguous), false).0
}

/// Runs the operation and records it in the autodiff graph.
fn run_tracked<const N: usize, C: CheckpointStrategy>(
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
    operation: DynOperation,
) -> FloatTensor<Autodiff<Flex, C>> {
    let mut nodes: Vec<NodeGuard> = Vec::with_capacity(N);
    let inputs = inputs.map(|input| {
        let (input, node) = input.into_parts();
        nodes.push(node);
        contiguous(input)
    });
    let nodes: [NodeGuard; N] = nodes.try_into().unwrap_or_else(|_| unreachable!("one node for each input"));
    match BackwardStep(Arc::clone(&operation)).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (y, saved) = operation.forward(&inputs, true);
            prepared.finish(saved, y)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(operation.forward(&inputs, false).0),
    }
}

/// The node of the autodiff graph for one operation.
#[derive(Debug)]
struct BackwardStep(DynOperation);

impl<const N: usize> Backward<Flex, N> for BackwardStep {
    type State = Vec<FlexTensor>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = contiguous(gradients.consume::<Flex>(&ops.node));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let input_gradients = self.0.backward(&gradient, &ops.state, &wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(input_gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// Whether a tensor is f32 and on the CPU backend, so that our loops can run on it; otherwise the reference implementation
/// must be used.
pub fn is_cpu_f32<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && matches!(x.device().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// Runs an operation on inputs for which [`is_cpu_f32`] holds.
///
/// # Panics
/// If the number of inputs is not one that [`Custom`] supports.
pub fn run<const D: usize>(operation: impl Operation, inputs: Vec<DispatchTensor>) -> Tensor<D> {
    let (operation, count) = (Arc::new(operation) as DynOperation, inputs.len());
    let mut inputs = inputs.into_iter();
    let mut next = || inputs.next().expect("the inputs were counted above");
    Tensor::from_dispatch(match count {
        1 => Dispatch::custom_1(next(), operation),
        2 => Dispatch::custom_2(next(), next(), operation),
        3 => Dispatch::custom_3(next(), next(), next(), operation),
        4 => Dispatch::custom_4(next(), next(), next(), next(), operation),
        5 => Dispatch::custom_5(next(), next(), next(), next(), next(), operation),
        7 => Dispatch::custom_7(next(), next(), next(), next(), next(), next(), next(), operation),
        _ => panic!("no operation has {count} inputs"),
    })
}

/// The values of a contiguous tensor.
pub fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice::<f32>().expect("made contiguous, and f32 by `is_cpu_f32`")
}

/// A tensor with these values.
pub fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

/// Number of rows and of columns of a tensor: the last axis is one row, all other axes count rows.
pub fn rows_and_columns(x: &FlexTensor) -> [usize; 2] {
    let shape = x.shape();
    let columns = shape[shape.num_dims() - 1];
    [shape.num_elements() / columns.max(1), columns]
}

fn contiguous(x: FlexTensor) -> FlexTensor {
    if x.is_contiguous() { x } else { x.to_contiguous() }
}
