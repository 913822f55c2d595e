//! Operations of our own, forward and backward, where the engine's take several passes over memory on one thread.
//!
//! | operation | plain twin | why |
//! |---|---|---|
//! | [`layer_norm`] | the engine's | one pass instead of about eight |
//! | [`gelu`], [`quick_gelu`] | the engine's | vectorised, all cores; its error function is scalar |
//! | [`masked_softmax`] | add, softmax | mask and softmax in one pass, backward from the result alone |
//!
//! Each runs on the CPU device in f32; on any other device the plain composition does. Reductions go in chunks fixed by the
//! shape, so results do not depend on the number of threads. Tests compare both ways.

mod loops;
mod math;
mod ops;

use burn::backend::{DType, Dispatch, DispatchDevice};
use burn::tensor::{Tensor, activation, module};

use ops::Fused;

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

/// Softmax over the last axis of attention scores `[b, h, t, k]`; `hidden [b, 1, 1, k]` is added before, without gradient.
pub fn masked_softmax(scores: Tensor<4>, hidden: Option<Tensor<4>>) -> Tensor<4> {
    if is_ours(&scores) {
        let hidden = hidden.map(|hidden| hidden.inner().into_data().try_into_vec().expect("masks are f32"));
        return Tensor::from_dispatch(<Dispatch as Fused>::fused_softmax(scores.into_dispatch(), hidden));
    }
    activation::softmax(hidden.map_or(scores.clone(), |hidden| scores + hidden), 3)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use ptu_random::{Key, Place};

    use super::*;

    fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
        let mut stream = Key::new(seed).stream(Place::Sample, 0);
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| 2.0 * stream.normal() as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
    }

    fn host<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.inner().into_data().to_vec().unwrap()
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
    fn softmax_equals_the_plain_one() {
        let hidden = |b: usize, k: usize| {
            let values: Vec<f32> = (0..b * k).map(|cell| if cell % k > cell / k { f32::MIN } else { 0.0 }).collect();
            Tensor::<4>::from_data(TensorData::new(values, [b, 1, 1, k]), &Device::flex().autodiff())
        };
        compare("softmax", [random([2, 3, 5, 7], 6)], |[x]| masked_softmax(x, None), |[x]| activation::softmax(x, 3));
        compare(
            "masked softmax",
            [random([4, 2, 33, 9], 7)],
            |[x]| masked_softmax(x, Some(hidden(4, 9))),
            |[x]| activation::softmax(x + hidden(4, 9), 3),
        );
    }

    #[test]
    fn views_are_taken_as_they_read() {
        // A transposed view is not contiguous: values must not come in the order of memory.
        let x = random([6, 8], 8);
        close("gelu of a view", &host(gelu(x.clone().transpose())), &host(activation::gelu(x.transpose())));
    }
}
