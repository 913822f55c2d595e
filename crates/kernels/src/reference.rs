//! Helpers for tests: compare an operation with its reference implementation, values and gradients.

use burn::tensor::{Device, Tensor, TensorData};
use ptu_random::{Key, Place};

/// A tensor of normal random values with standard deviation 2, on a device that tracks gradients.
pub fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut stream = Key::new(seed).stream(Place::Sample, 0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| 2.0 * stream.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

/// The values of a tensor on the host.
pub fn host<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.inner().into_data().try_into_vec().unwrap()
}

/// Asserts that two lists are equal up to rounding.
pub fn close(name: &str, ours: &[f32], theirs: &[f32]) {
    let largest = theirs.iter().fold(1e-6f32, |largest, x| largest.max(x.abs()));
    let error = ours.iter().zip(theirs).fold(0.0f32, |error, (x, y)| error.max((x - y).abs())) / largest;
    assert!(ours.len() == theirs.len() && error < 3e-6, "{name}: relative error {error}");
}

/// Asserts that an operation and its reference implementation give the same values and gradients for the same inputs.
pub fn compare<const D: usize, const E: usize, const P: usize>(
    name: &str,
    inputs: [Tensor<D>; P],
    ours: impl Fn([Tensor<D>; P]) -> Tensor<E>,
    reference: impl Fn([Tensor<D>; P]) -> Tensor<E>,
) {
    let run = |f: &dyn Fn([Tensor<D>; P]) -> Tensor<E>| {
        let inputs = inputs.clone().map(|input| input.detach().require_grad());
        let y = f(inputs.clone());
        // Each output value gets its own random weight, so that errors in gradients cannot cancel each other.
        let weights: Tensor<E> = random(y.dims(), 99);
        let gradients = (y.clone() * weights).sum().backward();
        (host(y), inputs.map(|input| host(input.grad(&gradients).unwrap())))
    };
    let ((y, gradients), (reference_y, reference_gradients)) = (run(&ours), run(&reference));
    close(name, &y, &reference_y);
    for (ours, reference) in gradients.iter().zip(&reference_gradients) {
        close(&format!("gradient of {name}"), ours, reference);
    }
}
