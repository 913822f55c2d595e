//! GELU of BERT and QuickGELU of CLIP.

use burn::backend::TensorMetadata;
use burn::tensor::{Tensor, activation};
use burn_flex::FlexTensor;

use super::loops::{map, map_pair, map_to_two};
use super::math::{normal, sigmoid};
use super::operation::{Operation, is_ours, run, tensor, values};

/// GELU with the error function, `x Phi(x)`.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_ours(&x) { run(Activation::Gelu, vec![x.into_dispatch()]) } else { activation::gelu(x) }
}

/// CLIP's activation, `x sigmoid(1.702 x)`.
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_ours(&x) { run(Activation::QuickGelu, vec![x.into_dispatch()]) } else { plain_quick_gelu(x) }
}

fn plain_quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * activation::sigmoid(x.mul_scalar(1.702))
}

#[derive(Clone, Copy, Debug)]
enum Activation {
    Gelu,
    QuickGelu,
}

impl Operation for Activation {
    #[expect(clippy::redundant_closure, reason = "a function passed by its name stays a call, without vectors")]
    fn forward(&self, inputs: &[FlexTensor], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        match self {
            Self::Gelu => apply(
                &inputs[0],
                keep,
                #[inline(always)]
                |x| gelu_and_slope(x),
            ),
            Self::QuickGelu => apply(
                &inputs[0],
                keep,
                #[inline(always)]
                |x| quick_gelu_and_slope(x),
            ),
        }
    }

    fn backward(&self, gradient: &FlexTensor, kept: &[FlexTensor], _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let dx = map_pair(
            values(&kept[0]),
            values(gradient),
            #[inline(always)]
            |slope, gradient| slope * gradient,
        );
        vec![Some(tensor(dx, gradient.shape()))]
    }
}

/// Values, and the slopes there where they are kept: instead of what went in, as large, and nothing is left to compute for the
/// backward pass but a product.
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
    let [y, slope] = map_to_two(values(x), f);
    (tensor(y, shape.clone()), vec![tensor(slope, shape)])
}

#[inline(always)]
fn gelu_and_slope(x: f32) -> [f32; 2] {
    let (cumulative, density) = normal(x);
    [x * cumulative, cumulative + x * density]
}

#[inline(always)]
fn quick_gelu_and_slope(x: f32) -> [f32; 2] {
    let s = sigmoid(1.702 * x);
    [x * s, s * (1.0 + 1.702 * x * (1.0 - s))]
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::twins::{close, compare, host, random};
    use super::*;

    #[test]
    fn activations_equal_the_plain_ones() {
        // 5,003 values: whole chunks and a rest.
        compare("gelu", [random([5003, 1], 1)], |[x]| gelu(x), |[x]| activation::gelu(x));
        compare("quick_gelu", [random([71, 73], 2)], |[x]| quick_gelu(x), |[x]| plain_quick_gelu(x));
    }

    #[test]
    fn activations_of_large_values_are_finite() {
        let x = Tensor::<1>::from_floats([-1e30, -100.0, -10.0, 0.0, 10.0, 100.0, 1e30], &Device::flex());
        assert_eq!(host(gelu(x.clone())), [0.0, 0.0, 0.0, 0.0, 10.0, 100.0, 1e30]);
        assert!(host(quick_gelu(x)).iter().all(|y| y.is_finite()));
    }

    #[test]
    fn views_are_taken_as_they_read() {
        // A transposed view is not contiguous: values must not come in the order of memory.
        let x = random([6, 8], 8);
        close("gelu of a view", &host(gelu(x.clone().transpose())), &host(activation::gelu(x.transpose())));
    }
}
