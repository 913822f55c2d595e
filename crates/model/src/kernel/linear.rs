//! `x W + b` and its gradients over slices.

use rayon::prelude::*;

use super::loops::rows as rows_a_task;
use super::product::{Put, Shape, product};

const ALONE: Put = Put { scale: 1.0, add: false, parallel: true };

/// `x [rows, inputs] w [inputs, outputs] + bias [outputs]`.
pub fn forward(x: &[f32], w: &[f32], bias: Option<&[f32]>, [inputs, outputs]: [usize; 2]) -> Vec<f32> {
    let rows = x.len() / inputs;
    let mut y = vec![0.0; rows * outputs];
    if let Some(bias) = bias {
        let per_task = rows_a_task(outputs) * outputs;
        y.par_chunks_mut(per_task).for_each(|y| y.chunks_exact_mut(outputs).for_each(|y| y.copy_from_slice(bias)));
    }
    let put = Put { add: bias.is_some(), ..ALONE };
    product(
        (&mut y, Shape::rows(rows, outputs)),
        (x, Shape::rows(rows, inputs)),
        (w, Shape::rows(inputs, outputs)),
        put,
    );
    y
}

/// Gradient of x: `gradient w^T`.
pub fn backward_x(gradient: &[f32], w: &[f32], [inputs, outputs]: [usize; 2]) -> Vec<f32> {
    let rows = gradient.len() / outputs;
    let mut dx = vec![0.0; rows * inputs];
    let to = (dx.as_mut_slice(), Shape::rows(rows, inputs));
    product(to, (gradient, Shape::rows(rows, outputs)), (w, Shape::rows(inputs, outputs).transposed()), ALONE);
    dx
}

/// Gradient of w: `x^T gradient`.
pub fn backward_w(gradient: &[f32], x: &[f32], [inputs, outputs]: [usize; 2]) -> Vec<f32> {
    let rows = gradient.len() / outputs;
    let mut dw = vec![0.0; inputs * outputs];
    let to = (dw.as_mut_slice(), Shape::rows(inputs, outputs));
    product(to, (x, Shape::rows(rows, inputs).transposed()), (gradient, Shape::rows(rows, outputs)), ALONE);
    dw
}

/// Gradient of the bias: sums of columns, in chunks fixed by the shape.
pub fn backward_bias(gradient: &[f32], outputs: usize) -> Vec<f32> {
    let per_task = rows_a_task(outputs) * outputs;
    let partial: Vec<Vec<f32>> = gradient
        .par_chunks(per_task)
        .map(|rows| {
            let mut sum = vec![0.0; outputs];
            rows.chunks_exact(outputs).for_each(|row| sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x));
            sum
        })
        .collect();
    let mut all = vec![0.0; outputs];
    partial.iter().for_each(|sum| all.iter_mut().zip(sum).for_each(|(all, x)| *all += x));
    all
}
