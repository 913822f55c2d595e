//! Sum of two tensors.

use burn::backend::TensorMetadata;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use super::loops::map_pair;
use super::operation::{Operation, is_cpu_f32, run, tensor, values};

/// Sum of two tensors of the same shape.
pub fn sum<const D: usize>(x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
    if is_cpu_f32(&x) { run(Sum, vec![x.into_dispatch(), y.into_dispatch()]) } else { x + y }
}

#[derive(Debug)]
struct Sum;

impl Operation for Sum {
    fn forward(&self, inputs: &[FlexTensor], _keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let y = map_pair(
            values(&inputs[0]),
            values(&inputs[1]),
            #[inline(always)]
            |x, y| x + y,
        );
        (tensor(y, inputs[0].shape()), vec![])
    }

    fn backward(&self, gradient: &FlexTensor, _saved: &[FlexTensor], _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        vec![Some(gradient.clone()), Some(gradient.clone())]
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::{compare, random};
    use super::*;

    #[test]
    fn sums_match_the_reference() {
        compare("sum", [random([77, 131], 1), random([77, 131], 2)], |[x, y]| sum(x, y), |[x, y]| x + y);
        compare("sum with itself", [random([7, 13], 1)], |[x]| sum(x.clone(), x), |[x]| x.clone() + x);
    }
}
