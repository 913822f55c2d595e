//! How the engine knows our operations: forward and backward on the CPU device, tracked on its autodiff decorator.
//!
//! The pattern is burn's `extension` feature; an operation is a method of [`Fused`], dispatched by device.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DType, Flex, Shape, TensorMetadata, backend_extension};
use burn::tensor::Bytes;
use burn_flex::{FlexTensor, Layout};

use super::loops::{self, Moments};

/// What a device must compute for our operations; called from the autodiff side, not dispatched.
pub trait Kernels: Backend {
    /// Result, means, scales.
    fn norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>, eps: f64) -> [FloatTensor<Self>; 3];
    /// Gradients of x, weight, bias; `saved` is x, weight, means, scales.
    fn norm_backward(gradient: FloatTensor<Self>, saved: [FloatTensor<Self>; 4]) -> [FloatTensor<Self>; 3];
    /// An activation.
    fn activate(x: FloatTensor<Self>, kind: Activation) -> FloatTensor<Self>;
    /// Its gradient.
    fn activate_backward(gradient: FloatTensor<Self>, x: FloatTensor<Self>, kind: Activation) -> FloatTensor<Self>;
    /// Softmax over the last axis.
    fn masked_softmax(x: FloatTensor<Self>, hidden: Option<Vec<f32>>) -> FloatTensor<Self>;
    /// Its gradient, from its result.
    fn masked_softmax_backward(gradient: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// The activations that are fused.
#[derive(Clone, Copy, Debug)]
pub enum Activation {
    /// With the error function.
    Gelu,
    /// CLIP's.
    QuickGelu,
}

/// Our operations, dispatched by device.
#[backend_extension(Flex, Autodiff)]
pub trait Fused: Backend {
    /// Layer norm over the last axis.
    fn fused_layer_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>, eps: f64) -> FloatTensor<Self>;
    /// GELU with the error function.
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// CLIP's activation.
    fn fused_quick_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Softmax over the last axis of `[b, h, t, k]`, `hidden` (`[b, k]`) added before.
    fn fused_softmax(x: FloatTensor<Self>, hidden: Option<Vec<f32>>) -> FloatTensor<Self>;
}

/// Values of a contiguous tensor.
fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice::<f32>().expect("made contiguous, and f32 by the check in kernel.rs")
}

fn contiguous(x: FlexTensor) -> FlexTensor {
    if x.is_contiguous() { x } else { x.to_contiguous() }
}

fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}

impl Kernels for Flex {
    fn norm(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, eps: f64) -> [FlexTensor; 3] {
        let (x, weight, bias) = (contiguous(x), contiguous(weight), contiguous(bias));
        let (y, Moments { mean, scale }) = loops::layer_norm(values(&x), values(&weight), values(&bias), eps as f32);
        let rows = Shape::from([mean.len()]);
        [tensor(y, x.shape()), tensor(mean, rows.clone()), tensor(scale, rows)]
    }

    fn norm_backward(gradient: FlexTensor, [x, weight, mean, scale]: [FlexTensor; 4]) -> [FlexTensor; 3] {
        let (gradient, x, weight) = (contiguous(gradient), contiguous(x), contiguous(weight));
        let moments = Moments { mean: values(&mean).to_vec(), scale: values(&scale).to_vec() };
        let [dx, dweight, dbias] = loops::layer_norm_backward(values(&gradient), values(&x), values(&weight), &moments);
        [tensor(dx, x.shape()), tensor(dweight, weight.shape()), tensor(dbias, weight.shape())]
    }

    fn activate(x: FlexTensor, kind: Activation) -> FlexTensor {
        let x = contiguous(x);
        let y = match kind {
            Activation::Gelu => loops::gelu(values(&x)),
            Activation::QuickGelu => loops::quick_gelu(values(&x)),
        };
        tensor(y, x.shape())
    }

    fn activate_backward(gradient: FlexTensor, x: FlexTensor, kind: Activation) -> FlexTensor {
        let (gradient, x) = (contiguous(gradient), contiguous(x));
        let dx = match kind {
            Activation::Gelu => loops::gelu_backward(values(&x), values(&gradient)),
            Activation::QuickGelu => loops::quick_gelu_backward(values(&x), values(&gradient)),
        };
        tensor(dx, x.shape())
    }

    fn masked_softmax(x: FlexTensor, hidden: Option<Vec<f32>>) -> FlexTensor {
        let x = contiguous(x);
        let shape = x.shape();
        let (heads, queries, keys) = (shape[1], shape[2], shape[3]);
        tensor(loops::softmax(values(&x), keys, hidden.as_deref(), heads * queries), shape)
    }

    fn masked_softmax_backward(gradient: FlexTensor, y: FlexTensor) -> FlexTensor {
        let (gradient, y) = (contiguous(gradient), contiguous(y));
        let shape = y.shape();
        tensor(loops::softmax_backward(values(&gradient), values(&y), shape[3]), shape)
    }
}

impl Fused for Flex {
    fn fused_layer_norm(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, eps: f64) -> FlexTensor {
        let [y, _, _] = Self::norm(x, weight, bias, eps);
        y
    }

    fn fused_gelu(x: FlexTensor) -> FlexTensor {
        Self::activate(x, Activation::Gelu)
    }

    fn fused_quick_gelu(x: FlexTensor) -> FlexTensor {
        Self::activate(x, Activation::QuickGelu)
    }

    fn fused_softmax(x: FlexTensor, hidden: Option<Vec<f32>>) -> FlexTensor {
        Self::masked_softmax(x, hidden)
    }
}

#[derive(Debug)]
struct NormBackward;

impl<B: Kernels> Backward<B, 3> for NormBackward {
    type State = [FloatTensor<B>; 4];

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        for (parent, d) in ops.parents.into_iter().zip(B::norm_backward(gradient, ops.state)) {
            if let Some(parent) = parent {
                gradients.register::<B>(parent.id, d);
            }
        }
    }
}

#[derive(Debug)]
struct ActivationBackward(Activation);

impl<B: Kernels> Backward<B, 1> for ActivationBackward {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            gradients.register::<B>(parent.id, B::activate_backward(gradient, ops.state, self.0));
        }
    }
}

#[derive(Debug)]
struct SoftmaxBackward;

impl<B: Kernels> Backward<B, 1> for SoftmaxBackward {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            gradients.register::<B>(parent.id, B::masked_softmax_backward(gradient, ops.state));
        }
    }
}

fn tracked_activation<B: Kernels, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    kind: Activation,
) -> FloatTensor<Autodiff<B, C>> {
    let (x, node) = x.into_parts();
    match ActivationBackward(kind).prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let y = B::activate(x.clone(), kind);
            prepared.finish(x, y)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(B::activate(x, kind)),
    }
}

impl<B: Kernels, C: CheckpointStrategy> Fused for Autodiff<B, C> {
    fn fused_layer_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>, eps: f64) -> FloatTensor<Self> {
        let ((x, nx), (weight, nw), (bias, nb)) = (x.into_parts(), weight.into_parts(), bias.into_parts());
        match NormBackward.prepare::<C>([nx, nw, nb]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let [y, mean, scale] = B::norm(x.clone(), weight.clone(), bias, eps);
                prepared.finish([x, weight, mean, scale], y)
            }
            OpsKind::UnTracked(prepared) => {
                let [y, _, _] = B::norm(x, weight, bias, eps);
                prepared.finish(y)
            }
        }
    }

    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        tracked_activation::<B, C>(x, Activation::Gelu)
    }

    fn fused_quick_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        tracked_activation::<B, C>(x, Activation::QuickGelu)
    }

    fn fused_softmax(x: FloatTensor<Self>, hidden: Option<Vec<f32>>) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match SoftmaxBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = B::masked_softmax(x, hidden);
                prepared.finish(y.clone(), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::masked_softmax(x, hidden)),
        }
    }
}
