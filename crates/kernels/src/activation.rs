//! Activation functions: GELU (used by BERT), its tanh approximation (used by SigLIP), and QuickGELU (used by CLIP).

use burn::backend::TensorMetadata;
use burn::tensor::{Tensor, activation};
use burn_flex::FlexTensor;

use super::loops::{map, map_pair, map_to_two};
use super::math::{normal, sigmoid};
use super::operation::{Operation, is_cpu_f32, run, tensor, values};

/// GELU computed with the error function (not the tanh approximation): `x Phi(x)`.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_cpu_f32(&x) { run(Activation::Gelu, vec![x.into_dispatch()]) } else { activation::gelu(x) }
}

/// The tanh approximation of GELU: `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`.
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_cpu_f32(&x) { run(Activation::GeluTanh, vec![x.into_dispatch()]) } else { reference_gelu_tanh(x) }
}

fn reference_gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let inner = (x.clone() + x.clone().powi_scalar(3).mul_scalar(CUBIC)).mul_scalar(SQRT_2_PI);
    x.clone() * (inner.tanh() + 1.0).mul_scalar(0.5)
}

/// Constants of the tanh approximation.
const CUBIC: f32 = 0.044_715;
const SQRT_2_PI: f32 = 0.797_884_6;

/// QuickGELU, the activation of CLIP: `x sigmoid(1.702 x)`.
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_cpu_f32(&x) { run(Activation::QuickGelu, vec![x.into_dispatch()]) } else { reference_quick_gelu(x) }
}

fn reference_quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * activation::sigmoid(x.mul_scalar(1.702))
}

#[derive(Clone, Copy, Debug)]
enum Activation {
    Gelu,
    GeluTanh,
    QuickGelu,
}

impl Operation for Activation {
    #[expect(clippy::redundant_closure, reason = "a function passed by name is not inlined and not vectorised")]
    fn forward(&self, inputs: &[FlexTensor], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        match self {
            Self::Gelu => apply(
                &inputs[0],
                keep,
                #[inline(always)]
                |x| gelu_and_derivative(x),
            ),
            Self::GeluTanh => apply(
                &inputs[0],
                keep,
                #[inline(always)]
                |x| gelu_tanh_and_derivative(x),
            ),
            Self::QuickGelu => apply(
                &inputs[0],
                keep,
                #[inline(always)]
                |x| quick_gelu_and_derivative(x),
            ),
        }
    }

    fn backward(&self, gradient: &FlexTensor, saved: &[FlexTensor], _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let dx = map_pair(
            values(&saved[0]),
            values(gradient),
            #[inline(always)]
            |derivative, gradient| derivative * gradient,
        );
        vec![Some(tensor(dx, gradient.shape()))]
    }
}

/// Applies `f`, which returns value and derivative. With `keep`, the derivatives are saved instead of the inputs: they take as
/// much memory, and the backward pass is then only one product.
#[inline(always)]
fn apply(x: &FlexTensor, keep: bool, f: impl Fn(f32) -> [f32; 2] + Sync) -> (FlexTensor, Vec<FlexTensor>) {
    let shape = x.shape();
    if !keep {
        let y = map(
            values(x),
            #[inline(always)]
            |x| f(x)[0],
        );
        return (tensor(y, shape), vec![]);
    }
    let [y, derivative] = map_to_two(values(x), f);
    (tensor(y, shape.clone()), vec![tensor(derivative, shape)])
}

#[inline(always)]
fn gelu_and_derivative(x: f32) -> [f32; 2] {
    let (cumulative, density) = normal(x);
    [x * cumulative, cumulative + x * density]
}

/// `(1 + tanh(z)) / 2` is the sigmoid of `2 z`. Beyond 10 it is 0 or 1 in f32, so `x` is clamped there: its cube stays finite.
#[inline(always)]
fn gelu_tanh_and_derivative(x: f32) -> [f32; 2] {
    let clamped = x.clamp(-10.0, 10.0);
    let s = sigmoid(2.0 * SQRT_2_PI * (clamped + CUBIC * clamped * clamped * clamped));
    let slope = 2.0 * SQRT_2_PI * (1.0 + 3.0 * CUBIC * clamped * clamped);
    [x * s, s + clamped * s * (1.0 - s) * slope]
}

#[inline(always)]
fn quick_gelu_and_derivative(x: f32) -> [f32; 2] {
    let s = sigmoid(1.702 * x);
    [x * s, s * (1.0 + 1.702 * x * (1.0 - s))]
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::reference::{close, compare, host, random};
    use super::*;

    #[test]
    fn activations_match_the_reference() {
        // 5,003 values are not a whole number of vectors.
        compare("gelu", [random([5003, 1], 1)], |[x]| gelu(x), |[x]| activation::gelu(x));
        compare("gelu_tanh", [random([5003, 1], 3)], |[x]| gelu_tanh(x), |[x]| reference_gelu_tanh(x));
        compare("quick_gelu", [random([71, 73], 2)], |[x]| quick_gelu(x), |[x]| reference_quick_gelu(x));
    }

    #[test]
    fn activations_of_large_values_are_finite() {
        let x = Tensor::<1>::from_floats([-1e30, -100.0, -10.0, 0.0, 10.0, 100.0, 1e30], &Device::flex());
        assert_eq!(host(gelu(x.clone())), [0.0, 0.0, 0.0, 0.0, 10.0, 100.0, 1e30]);
        assert!(host(gelu_tanh(x.clone())).iter().all(|y| y.is_finite()));
        assert!(host(quick_gelu(x)).iter().all(|y| y.is_finite()));
    }

    #[test]
    fn non_contiguous_inputs_are_handled() {
        // A transposed view is not contiguous: its values must not be read in the order of memory.
        let x = random([6, 8], 8);
        close("gelu of a view", &host(gelu(x.clone().transpose())), &host(activation::gelu(x.transpose())));
    }
}
