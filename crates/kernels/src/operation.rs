//! How the engine comes to know an operation of ours: values out of its tensors, through the operation, and back, tracked on
//! its autodiff decorator.
//!
//! The pattern is burn's `extension` feature; the trait [`Custom`] is the only one that is dispatched, for all operations.

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

/// An operation with a backward pass of its own. It holds what it is told besides its inputs.
pub trait Operation: Debug + Send + Sync + 'static {
    /// The result, and what the backward pass needs of this pass (nothing unless `keep`). Inputs are contiguous.
    fn forward(&self, inputs: &[FlexTensor], keep: bool) -> (FlexTensor, Vec<FlexTensor>);

    /// For each input its gradient, where it is wanted.
    fn backward(&self, gradient: &FlexTensor, kept: &[FlexTensor], wanted: &[bool]) -> Vec<Option<FlexTensor>>;
}

/// An operation on its way through the dispatch.
type Shared = Arc<dyn Operation>;

/// Operations by their number of inputs.
#[backend_extension(Flex, Autodiff)]
pub trait Custom: Backend {
    fn custom_1(a: FloatTensor<Self>, operation: Shared) -> FloatTensor<Self>;
    fn custom_2(a: FloatTensor<Self>, b: FloatTensor<Self>, operation: Shared) -> FloatTensor<Self>;
    fn custom_3(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        operation: Shared,
    ) -> FloatTensor<Self>;
    fn custom_4(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        operation: Shared,
    ) -> FloatTensor<Self>;
    #[allow(clippy::too_many_arguments, reason = "the macro knows no arrays of tensors, and repeats attributes")]
    fn custom_5(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        operation: Shared,
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
        operation: Shared,
    ) -> FloatTensor<Self>;
}

/// Implements [`Custom`] by a function from an array of inputs.
macro_rules! custom {
    ($run:expr) => {
        custom!(@ $run, custom_1(a), custom_2(a, b), custom_3(a, b, c), custom_4(a, b, c, d), custom_5(a, b, c, d, e),
            custom_7(a, b, c, d, e, f, g));
    };
    (@ $run:expr, $($name:ident($($input:ident),*)),*) => {
        $(fn $name($($input: FloatTensor<Self>,)* operation: Shared) -> FloatTensor<Self> {
            ($run)([$($input),*], operation)
        })*
    };
}

impl Custom for Flex {
    custom!(plain);
}

impl<C: CheckpointStrategy> Custom for Autodiff<Flex, C> {
    custom!(|inputs, operation| tracked::<_, C>(inputs, operation));
}

fn plain<const N: usize>(inputs: [FlexTensor; N], operation: Shared) -> FlexTensor {
    operation.forward(&inputs.map(contiguous), false).0
}

fn tracked<const N: usize, C: CheckpointStrategy>(
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
    operation: Shared,
) -> FloatTensor<Autodiff<Flex, C>> {
    let mut nodes: Vec<NodeGuard> = Vec::with_capacity(N);
    let inputs = inputs.map(|input| {
        let (input, node) = input.into_parts();
        nodes.push(node);
        contiguous(input)
    });
    let nodes: [NodeGuard; N] = nodes.try_into().unwrap_or_else(|_| unreachable!("one node an input"));
    match Kept(Arc::clone(&operation)).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (y, kept) = operation.forward(&inputs, true);
            prepared.finish(kept, y)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(operation.forward(&inputs, false).0),
    }
}

/// The step of the backward pass that belongs to an operation.
#[derive(Debug)]
struct Kept(Shared);

impl<const N: usize> Backward<Flex, N> for Kept {
    type State = Vec<FlexTensor>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = contiguous(gradients.consume::<Flex>(&ops.node));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let each = self.0.backward(&gradient, &ops.state, &wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(each) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// Whether our loops can run on the data of a tensor; else its plain twin must.
pub fn is_ours<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && matches!(x.device().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// Runs an operation on inputs for which [`is_ours`] holds.
///
/// # Panics
/// If it has another number of inputs than the operations of this folder have.
pub fn run<const D: usize>(operation: impl Operation, inputs: Vec<DispatchTensor>) -> Tensor<D> {
    let (operation, count) = (Arc::new(operation) as Shared, inputs.len());
    let mut inputs = inputs.into_iter();
    let mut next = || inputs.next().expect("as many as were counted");
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

/// Values of a contiguous tensor.
pub fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice::<f32>().expect("made contiguous, and f32 by `is_ours`")
}

/// A tensor of these values.
pub fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

/// Rows and columns of a tensor whose last axis is a row.
pub fn rows_and_columns(x: &FlexTensor) -> [usize; 2] {
    let shape = x.shape();
    let columns = shape[shape.num_dims() - 1];
    [shape.num_elements() / columns.max(1), columns]
}

fn contiguous(x: FlexTensor) -> FlexTensor {
    if x.is_contiguous() { x } else { x.to_contiguous() }
}
