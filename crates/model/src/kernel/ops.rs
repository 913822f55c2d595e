//! How the engine knows our operations: forward and backward on the CPU device, tracked on its autodiff decorator.
//!
//! The pattern is burn's `extension` feature; an operation is a method of [`Fused`], dispatched by device.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DType, Flex, Shape, TensorMetadata, backend_extension};
use burn::tensor::Bytes;
use burn_flex::{FlexTensor, Layout};

use super::attention::{self, Masks, Rows, Sizes};
use super::linear;
use super::loops::{self, Moments};

/// What a device must compute for our operations; called from the autodiff side, not dispatched.
pub trait Kernels: Backend {
    /// Result, means, scales.
    fn norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> [FloatTensor<Self>; 3];
    /// Gradients of x, weight, bias; `saved` is x, weight, means, scales.
    fn norm_backward(gradient: FloatTensor<Self>, saved: [FloatTensor<Self>; 4]) -> [FloatTensor<Self>; 3];
    /// An activation.
    fn activate(x: FloatTensor<Self>, kind: Activation) -> FloatTensor<Self>;
    /// Its gradient.
    fn activate_backward(gradient: FloatTensor<Self>, x: FloatTensor<Self>, kind: Activation) -> FloatTensor<Self>;
    /// `x W + b`.
    fn linear_forward(x: FloatTensor<Self>, w: FloatTensor<Self>, bias: Option<FloatTensor<Self>>)
    -> FloatTensor<Self>;
    /// Gradients of x, W, b, those that are wanted.
    fn linear_gradients(
        gradient: FloatTensor<Self>,
        saved: [FloatTensor<Self>; 2],
        wanted: [bool; 3],
    ) -> [Option<FloatTensor<Self>>; 3];
    /// Result and probabilities of an attention.
    fn attend(parts: [FloatTensor<Self>; 3], plan: &AttentionPlan) -> [FloatTensor<Self>; 2];
    /// Gradients of query, key, value.
    fn attend_backward(
        gradient: FloatTensor<Self>,
        parts: [FloatTensor<Self>; 3],
        probabilities: FloatTensor<Self>,
        plan: &AttentionPlan,
    ) -> [FloatTensor<Self>; 3];
    /// Sum of two tensors of one shape.
    fn sum(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// The activations that are fused.
#[derive(Clone, Copy, Debug)]
pub enum Activation {
    /// With the error function.
    Gelu,
    /// CLIP's.
    QuickGelu,
}

/// What an attention is told besides its inputs.
#[derive(Clone, Debug)]
pub struct AttentionPlan {
    /// Heads.
    pub heads: usize,
    /// `[b, k]`, added to the scores.
    pub hidden: Option<Arc<Vec<f32>>>,
    /// `[b, h, t, k]`, multiplied with the probabilities.
    pub kept: Option<Arc<Vec<f32>>>,
}

/// Our operations, dispatched by device.
#[backend_extension(Flex, Autodiff)]
pub trait Fused: Backend {
    /// Layer norm over the last axis.
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self>;
    /// GELU with the error function.
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// CLIP's activation.
    fn fused_quick_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `x W + b`: `[.., in] -> [.., out]`.
    fn fused_linear(x: FloatTensor<Self>, w: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `x W`.
    fn fused_product(x: FloatTensor<Self>, w: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Query `[b, t, d]`, key and value `[b, k, d]` -> `[b, t, d]`.
    fn fused_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        plan: AttentionPlan,
    ) -> FloatTensor<Self>;
    /// Sum of two tensors of one shape.
    fn fused_sum(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self>;
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

    fn linear_forward(x: FlexTensor, w: FlexTensor, bias: Option<FlexTensor>) -> FlexTensor {
        let (x, w, bias) = (contiguous(x), contiguous(w), bias.map(contiguous));
        let mut shape = x.shape();
        let sizes = [w.shape()[0], w.shape()[1]];
        let y = linear::forward(values(&x), values(&w), bias.as_ref().map(values), sizes);
        let last = shape.num_dims() - 1;
        shape[last] = sizes[1];
        tensor(y, shape)
    }

    fn linear_gradients(gradient: FlexTensor, [x, w]: [FlexTensor; 2], wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let (gradient, x, w) = (contiguous(gradient), contiguous(x), contiguous(w));
        let sizes = [w.shape()[0], w.shape()[1]];
        let of = |want: bool, make: &dyn Fn() -> Vec<f32>, shape: Shape| want.then(|| tensor(make(), shape));
        [
            of(wanted[0], &|| linear::backward_x(values(&gradient), values(&w), sizes), x.shape()),
            of(wanted[1], &|| linear::backward_w(values(&gradient), values(&x), sizes), w.shape()),
            of(wanted[2], &|| linear::backward_bias(values(&gradient), sizes[1]), Shape::from([sizes[1]])),
        ]
    }

    fn attend(parts: [FlexTensor; 3], plan: &AttentionPlan) -> [FlexTensor; 2] {
        let parts = parts.map(by_rows);
        let sizes = sizes(&parts, plan);
        let masks = Masks { hidden: slice(&plan.hidden), kept: slice(&plan.kept) };
        let (out, probabilities) = attention::forward(sizes, parts.each_ref().map(rows), masks);
        let Sizes { b, t, k, d, h } = sizes;
        [tensor(out, Shape::from([b, t, d])), tensor(probabilities, Shape::from([b, h, t, k]))]
    }

    fn attend_backward(
        gradient: FlexTensor,
        parts: [FlexTensor; 3],
        probabilities: FlexTensor,
        plan: &AttentionPlan,
    ) -> [FlexTensor; 3] {
        let (gradient, parts) = (contiguous(gradient), parts.map(by_rows));
        let sizes = sizes(&parts, plan);
        let kept = (values(&probabilities), slice(&plan.kept));
        let gradients = attention::backward(sizes, values(&gradient), parts.each_ref().map(rows), kept);
        let Sizes { b, t, k, d, .. } = sizes;
        let [dq, dk, dv] = gradients;
        [tensor(dq, Shape::from([b, t, d])), tensor(dk, Shape::from([b, k, d])), tensor(dv, Shape::from([b, k, d]))]
    }

    fn sum(x: FlexTensor, y: FlexTensor) -> FlexTensor {
        let (x, y) = (contiguous(x), contiguous(y));
        tensor(loops::add(values(&x), values(&y)), x.shape())
    }
}

fn slice(values: &Option<Arc<Vec<f32>>>) -> Option<&[f32]> {
    values.as_ref().map(|values| values.as_slice())
}

/// A tensor `[b, t, d]` whose rows lie without gaps: a part of joined queries, keys and values need not be copied.
fn by_rows(x: FlexTensor) -> FlexTensor {
    let strides = x.layout().strides();
    if strides[2] == 1 && strides[0] >= 0 && strides[1] >= 0 { x } else { x.to_contiguous() }
}

/// Where the rows of a tensor made by [`by_rows`] stand.
fn rows(x: &FlexTensor) -> Rows<'_> {
    let (layout, strides) = (x.layout(), x.layout().strides());
    Rows {
        values: x.storage::<f32>(),
        offset: layout.start_offset(),
        record: strides[0] as usize,
        row: strides[1] as usize,
    }
}

fn sizes([query, key, _]: &[FlexTensor; 3], plan: &AttentionPlan) -> Sizes {
    let (q, k) = (query.shape(), key.shape());
    Sizes { b: q[0], t: q[1], k: k[1], d: q[2], h: plan.heads }
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

    fn fused_linear(x: FlexTensor, w: FlexTensor, bias: FlexTensor) -> FlexTensor {
        Self::linear_forward(x, w, Some(bias))
    }

    fn fused_product(x: FlexTensor, w: FlexTensor) -> FlexTensor {
        Self::linear_forward(x, w, None)
    }

    fn fused_attention(query: FlexTensor, key: FlexTensor, value: FlexTensor, plan: AttentionPlan) -> FlexTensor {
        let [out, _] = Self::attend([query, key, value], &plan);
        out
    }

    fn fused_sum(x: FlexTensor, y: FlexTensor) -> FlexTensor {
        Self::sum(x, y)
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
struct LinearBackward;

impl<B: Kernels> Backward<B, 3> for LinearBackward {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        for (parent, d) in ops.parents.into_iter().zip(B::linear_gradients(gradient, ops.state, wanted)) {
            if let (Some(parent), Some(d)) = (parent, d) {
                gradients.register::<B>(parent.id, d);
            }
        }
    }
}

#[derive(Debug)]
struct ProductBackward;

impl<B: Kernels> Backward<B, 2> for ProductBackward {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [x, w] = ops.parents;
        let wanted = [x.is_some(), w.is_some(), false];
        for (parent, d) in [x, w].into_iter().zip(B::linear_gradients(gradient, ops.state, wanted)) {
            if let (Some(parent), Some(d)) = (parent, d) {
                gradients.register::<B>(parent.id, d);
            }
        }
    }
}

#[derive(Debug)]
struct AttentionBackward(AttentionPlan);

impl<B: Kernels> Backward<B, 3> for AttentionBackward {
    type State = ([FloatTensor<B>; 3], FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (parts, probabilities) = ops.state;
        let each = B::attend_backward(gradient, parts, probabilities, &self.0);
        for (parent, d) in ops.parents.into_iter().zip(each) {
            if let Some(parent) = parent {
                gradients.register::<B>(parent.id, d);
            }
        }
    }
}

#[derive(Debug)]
struct SumBackward;

impl<B: Kernels> Backward<B, 2> for SumBackward {
    type State = ();

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        for parent in ops.parents.into_iter().flatten() {
            gradients.register::<B>(parent.id, gradient.clone());
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
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
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

    fn fused_linear(x: FloatTensor<Self>, w: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        let ((x, nx), (w, nw), (bias, nb)) = (x.into_parts(), w.into_parts(), bias.into_parts());
        match LinearBackward.prepare::<C>([nx, nw, nb]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = B::linear_forward(x.clone(), w.clone(), Some(bias));
                prepared.finish([x, w], y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::linear_forward(x, w, Some(bias))),
        }
    }

    fn fused_product(x: FloatTensor<Self>, w: FloatTensor<Self>) -> FloatTensor<Self> {
        let ((x, nx), (w, nw)) = (x.into_parts(), w.into_parts());
        match ProductBackward.prepare::<C>([nx, nw]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = B::linear_forward(x.clone(), w.clone(), None);
                prepared.finish([x, w], y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::linear_forward(x, w, None)),
        }
    }

    fn fused_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        plan: AttentionPlan,
    ) -> FloatTensor<Self> {
        let ((query, nq), (key, nk), (value, nv)) = (query.into_parts(), key.into_parts(), value.into_parts());
        match AttentionBackward(plan.clone()).prepare::<C>([nq, nk, nv]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let parts = [query, key, value];
                let [out, probabilities] = B::attend(parts.clone(), &plan);
                prepared.finish((parts, probabilities), out)
            }
            OpsKind::UnTracked(prepared) => {
                let [out, _] = B::attend([query, key, value], &plan);
                prepared.finish(out)
            }
        }
    }

    fn fused_sum(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        let ((x, nx), (y, ny)) = (x.into_parts(), y.into_parts());
        match SumBackward.prepare::<C>([nx, ny]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((), B::sum(x, y)),
            OpsKind::UnTracked(prepared) => prepared.finish(B::sum(x, y)),
        }
    }
}
