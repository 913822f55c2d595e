//! Operations of our own, forward and backward, where the engine's take several passes over memory on one thread.
//!
//! | operation | plain twin | why |
//! |---|---|---|
//! | [`layer_norm`] | the engine's | one pass instead of about eight |
//! | [`gelu`], [`quick_gelu`] | the engine's | vectorised, all cores; its error function is scalar |
//! | [`linear`] | the engine's | bias laid down first, product added; gradients on all cores |
//! | [`attention`] | products and softmax | no copy of heads, mask and dropout in place |
//! | [`sum`] | the engine's | all cores |
//!
//! Each runs on the CPU device in f32; on any other device the plain composition does. Reductions go in chunks fixed by the
//! shape, so results do not depend on the number of threads. Tests compare both ways.

mod attention;
mod linear;
mod loops;
mod math;
mod ops;
mod product;

use std::sync::Arc;

use burn::backend::{DType, Dispatch, DispatchDevice};
use burn::tensor::{Tensor, TensorData, activation, module};

use ops::{AttentionPlan, Fused};

/// Whether our loops can run on the data of a tensor.
fn is_ours<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && matches!(x.device().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// Layer norm over the last axis: `[.., d] -> [.., d]`.
pub fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<D> {
    if !is_ours(&x) {
        return module::layer_norm(x, weight, Some(bias), eps);
    }
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Fused>::fused_layer_norm(x, weight, bias, eps))
}

/// GELU with the error function, `x Phi(x)`.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_ours(&x) {
        Tensor::from_dispatch(<Dispatch as Fused>::fused_gelu(x.into_dispatch()))
    } else {
        activation::gelu(x)
    }
}

/// CLIP's activation, `x sigmoid(1.702 x)`.
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_ours(&x) {
        Tensor::from_dispatch(<Dispatch as Fused>::fused_quick_gelu(x.into_dispatch()))
    } else {
        x.clone() * activation::sigmoid(x.mul_scalar(1.702))
    }
}

/// `x W + b`: `x [.., in]`, `weight [in, out]`, `bias [out]` -> `[.., out]`.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    if !is_ours(&x) {
        return module::linear(x, weight, bias);
    }
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => <Dispatch as Fused>::fused_linear(x, weight, bias.into_dispatch()),
        None => <Dispatch as Fused>::fused_product(x, weight),
    })
}

/// Sum of two tensors of one shape.
pub fn sum<const D: usize>(x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
    if !is_ours(&x) {
        return x + y;
    }
    Tensor::from_dispatch(<Dispatch as Fused>::fused_sum(x.into_dispatch(), y.into_dispatch()))
}

/// Every query mixes the values of the keys it agrees with, head by head.
///
/// # Shapes
/// `query [b, t, d]`, `key` and `value [b, k, d]` -> `[b, t, d]`; `hidden [b, k]` is added to the scores, `kept
/// [b, h, t, k]` multiplied with the probabilities.
pub fn attention(
    parts: [Tensor<3>; 3],
    heads: usize,
    hidden: Option<Arc<Vec<f32>>>,
    kept: Option<Arc<Vec<f32>>>,
) -> Tensor<3> {
    if !is_ours(&parts[0]) {
        return plain_attention(parts, heads, hidden, kept);
    }
    let [query, key, value] = parts.map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as Fused>::fused_attention(
        query,
        key,
        value,
        AttentionPlan { heads, hidden, kept },
    ))
}

/// [`attention`] of the engine's operations.
fn plain_attention(
    [query, key, value]: [Tensor<3>; 3],
    heads: usize,
    hidden: Option<Arc<Vec<f32>>>,
    kept: Option<Arc<Vec<f32>>>,
) -> Tensor<3> {
    let ([b, t, d], device) = (query.dims(), query.device());
    let k = key.dims()[1];
    let split = |x: Tensor<3>| {
        let rows = x.dims()[1];
        x.reshape([b, rows, heads, d / heads]).swap_dims(1, 2) //                           [b, h, k, e]
    };
    let constant = |values: &Arc<Vec<f32>>, shape: [usize; 4]| {
        Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), &device)
    };
    let scale = ((d / heads) as f64).powf(-0.5);
    let mut scores = split(query).mul_scalar(scale).matmul(split(key).swap_dims(2, 3)); //   [b, h, t, k]
    if let Some(hidden) = &hidden {
        scores = scores + constant(hidden, [b, 1, 1, k]);
    }
    let mut weights = activation::softmax(scores, 3); //                                    [b, h, t, k]
    if let Some(kept) = &kept {
        weights = weights * constant(kept, [b, heads, t, k]);
    }
    weights.matmul(split(value)).swap_dims(1, 2).reshape([b, t, d]) //                      [b, t, d]
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ptu_random::{Key, Place};

    use super::*;

    fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
        let mut stream = Key::new(seed).stream(Place::Sample, 0);
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| 2.0 * stream.normal() as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
    }

    fn host<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.inner().into_data().try_into_vec().unwrap()
    }

    fn close(name: &str, ours: &[f32], theirs: &[f32]) {
        let largest = theirs.iter().fold(1e-6f32, |largest, x| largest.max(x.abs()));
        let off = ours.iter().zip(theirs).fold(0.0f32, |off, (x, y)| off.max((x - y).abs())) / largest;
        assert!(ours.len() == theirs.len() && off < 3e-6, "{name}: off by {off}");
    }

    /// Compares values and gradients of two ways of computing the same from the same inputs.
    fn compare<const D: usize, const P: usize>(
        name: &str,
        inputs: [Tensor<D>; P],
        ours: impl Fn([Tensor<D>; P]) -> Tensor<D>,
        plain: impl Fn([Tensor<D>; P]) -> Tensor<D>,
    ) {
        let run = |f: &dyn Fn([Tensor<D>; P]) -> Tensor<D>| {
            let inputs = inputs.clone().map(|input| input.detach().require_grad());
            let y = f(inputs.clone());
            // A weighting of its own for each output, so that a wrong gradient cannot cancel.
            let weights: Tensor<D> = random(y.dims(), 99);
            let gradients = (y.clone() * weights).sum().backward();
            (host(y), inputs.map(|input| host(input.grad(&gradients).unwrap())))
        };
        let ((y, gradients), (plain_y, plain_gradients)) = (run(&ours), run(&plain));
        close(name, &y, &plain_y);
        for (ours, plain) in gradients.iter().zip(&plain_gradients) {
            close(&format!("gradient of {name}"), ours, plain);
        }
    }

    #[test]
    fn activations_equal_the_plain_ones() {
        // 5,003 values: whole chunks and a rest.
        compare("gelu", [random([5003, 1], 1)], |[x]| gelu(x), |[x]| activation::gelu(x));
        compare(
            "quick_gelu",
            [random([71, 73], 2)],
            |[x]| quick_gelu(x),
            |[x]| x.clone() * activation::sigmoid(x.mul_scalar(1.702)),
        );
    }

    #[test]
    fn activations_of_large_values_are_finite() {
        let x = Tensor::<1>::from_floats([-1e30, -100.0, -10.0, 0.0, 10.0, 100.0, 1e30], &Device::flex());
        assert_eq!(host(gelu(x.clone())), [0.0, 0.0, 0.0, 0.0, 10.0, 100.0, 1e30].map(|y: f32| y));
        assert!(host(quick_gelu(x)).iter().all(|y| y.is_finite()));
    }

    #[test]
    fn layer_norm_equals_the_plain_one() {
        for (rows, d) in [(1, 7), (70, 64), (333, 80)] {
            let weight = random([1, d], 4);
            let bias = random([1, d], 5);
            compare(
                "layer norm",
                [random([rows, d], 3), weight, bias],
                |[x, w, b]| layer_norm(x, w.squeeze_dim(0), b.squeeze_dim(0), 1e-5),
                |[x, w, b]| module::layer_norm(x, w.squeeze_dim(0), Some(b.squeeze_dim(0)), 1e-5),
            );
        }
    }

    #[test]
    fn linear_equals_the_plain_one() {
        for (rows, inputs, outputs) in [(1, 3, 5), (130, 64, 33)] {
            let wide = |rows: usize, d: usize, seed| random([1, rows, d], seed);
            let parts = [wide(rows, inputs, 1), wide(inputs, outputs, 2), wide(1, outputs, 3)];
            let run = |f: fn(Tensor<3>, Tensor<2>, Option<Tensor<1>>) -> Tensor<3>| {
                move |[x, w, b]: [Tensor<3>; 3]| f(x, w.squeeze_dim(0), Some(b.squeeze_dim::<2>(0).squeeze_dim(0)))
            };
            compare("linear", parts, run(linear), run(module::linear));
            let parts = [wide(rows, inputs, 1), wide(inputs, outputs, 2)];
            compare(
                "product",
                parts,
                |[x, w]| linear(x, w.squeeze_dim(0), None),
                |[x, w]| module::linear(x, w.squeeze_dim(0), None),
            );
        }
    }

    #[test]
    fn sums_equal_the_plain_ones() {
        compare("sum", [random([77, 131], 1), random([77, 131], 2)], |[x, y]| sum(x, y), |[x, y]| x + y);
        compare("sum with itself", [random([7, 13], 1)], |[x]| sum(x.clone(), x), |[x]| x.clone() + x);
    }

    #[test]
    fn attention_equals_the_plain_one() {
        let hidden = |b: usize, k: usize| {
            let cells = (0..b * k).map(|cell| if cell % k > 1 + cell / k { f32::MIN } else { 0.0 });
            Some(Arc::new(cells.collect::<Vec<f32>>()))
        };
        let kept = |count: usize| {
            let mut stream = Key::new(5).stream(Place::Sample, 1);
            Some(Arc::new((0..count).map(|_| if stream.chance(0.3) { 0.0 } else { 1.4 }).collect::<Vec<f32>>()))
        };
        for (b, t, k, d, h) in [(1, 1, 1, 8, 2), (3, 17, 9, 48, 3), (2, 5, 33, 64, 1)] {
            let parts = || [random([b, t, d], 1), random([b, k, d], 2), random([b, k, d], 3)];
            for (hidden, kept) in
                [(None, None), (hidden(b, k), None), (None, kept(b * h * t * k)), (hidden(b, k), kept(b * h * t * k))]
            {
                compare(
                    "attention",
                    parts(),
                    |parts| attention(parts, h, hidden.clone(), kept.clone()),
                    |parts| plain_attention(parts, h, hidden.clone(), kept.clone()),
                );
            }
        }
    }

    #[test]
    fn joined_queries_keys_and_values_are_read_in_place() {
        let joined = random([2, 7, 3 * 32], 4);
        let parts = |x: &Tensor<3>| [0, 1, 2].map(|part| x.clone().narrow(2, part * 32, 32));
        compare(
            "joined attention",
            [joined],
            |[x]| attention(parts(&x), 4, None, None),
            |[x]| plain_attention(parts(&x), 4, None, None),
        );
    }

    #[test]
    fn views_are_taken_as_they_read() {
        // A transposed view is not contiguous: values must not come in the order of memory.
        let x = random([6, 8], 8);
        close("gelu of a view", &host(gelu(x.clone().transpose())), &host(activation::gelu(x.transpose())));
    }
}
