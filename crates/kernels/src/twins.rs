//! For tests: an operation beside its plain twin, values and gradients.

use burn::tensor::{Device, Tensor, TensorData};
use ptu_random::{Key, Place};

/// Normal values of deviation 2, tracked.
pub fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut stream = Key::new(seed).stream(Place::Sample, 0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| 2.0 * stream.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

/// Values on the host.
pub fn host<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.inner().into_data().try_into_vec().unwrap()
}

/// Asserts that two lists are equal to rounding.
pub fn close(name: &str, ours: &[f32], theirs: &[f32]) {
    let largest = theirs.iter().fold(1e-6f32, |largest, x| largest.max(x.abs()));
    let off = ours.iter().zip(theirs).fold(0.0f32, |off, (x, y)| off.max((x - y).abs())) / largest;
    assert!(ours.len() == theirs.len() && off < 3e-6, "{name}: off by {off}");
}

/// Compares values and gradients of two ways of computing the same from the same inputs.
pub fn compare<const D: usize, const E: usize, const P: usize>(
    name: &str,
    inputs: [Tensor<D>; P],
    ours: impl Fn([Tensor<D>; P]) -> Tensor<E>,
    plain: impl Fn([Tensor<D>; P]) -> Tensor<E>,
) {
    let run = |f: &dyn Fn([Tensor<D>; P]) -> Tensor<E>| {
        let inputs = inputs.clone().map(|input| input.detach().require_grad());
        let y = f(inputs.clone());
        // A weighting of its own for each output, so that a wrong gradient cannot cancel.
        let weights: Tensor<E> = random(y.dims(), 99);
        let gradients = (y.clone() * weights).sum().backward();
        (host(y), inputs.map(|input| host(input.grad(&gradients).unwrap())))
    };
    let ((y, gradients), (plain_y, plain_gradients)) = (run(&ours), run(&plain));
    close(name, &y, &plain_y);
    for (ours, plain) in gradients.iter().zip(&plain_gradients) {
        close(&format!("gradient of {name}"), ours, plain);
    }
}
