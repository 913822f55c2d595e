//! Linear maps `x W^T + b`: alone, added to a residual, and several of the same input. Weights are `[out, in]`, as in published
//! files and in PyTorch, so the bytes of a file can be used without a copy. A product reads either layout at the same speed.

use burn::backend::TensorMetadata;
use burn::tensor::{Tensor, module};
use burn_flex::FlexTensor;

use super::fresh::{UninitSlice, fresh};
use super::loops::{column_sums, rows_a_task};
use super::matrix::{ComputePrecision, ProductOptions, Shape};
use super::operation::{Operation, is_cpu_f32, rows_and_columns, run, tensor, values};
use super::product::{fresh_product, product};

/// `x W^T + b`: `x [.., in]`, `weight [out, in]`, `bias [out]` -> `[.., out]`.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    precision: ComputePrecision,
) -> Tensor<D> {
    if !is_cpu_f32(&x) {
        return reference_linear(x, weight, bias);
    }
    let operation = Linear { bias: bias.is_some(), residual: false, precision };
    let inputs = [x.into_dispatch(), weight.into_dispatch()].into_iter();
    run(operation, inputs.chain(bias.map(Tensor::into_dispatch)).collect())
}

/// `residual + x W^T + b`: `residual [.., out]`, `x [.., in]` -> `[.., out]`.
pub fn linear_onto<const D: usize>(
    residual: Tensor<D>,
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    precision: ComputePrecision,
) -> Tensor<D> {
    if !is_cpu_f32(&x) {
        return residual + reference_linear(x, weight, bias);
    }
    let operation = Linear { bias: bias.is_some(), residual: true, precision };
    let inputs = [x.into_dispatch(), weight.into_dispatch()].into_iter().chain(bias.map(Tensor::into_dispatch));
    run(operation, inputs.chain([residual.into_dispatch()]).collect())
}

/// Several linear maps of the same input (for example queries, keys and values), with the results next to each other in each row:
/// `x [rows, in]` -> `[rows, maps * out]`.
///
/// # Panics
/// If the number of maps is neither two nor three.
pub fn linears<const N: usize>(
    x: Tensor<2>,
    maps: [(Tensor<2>, Tensor<1>); N],
    precision: ComputePrecision,
) -> Tensor<2> {
    if !is_cpu_f32(&x) {
        return reference_linears(x, maps);
    }
    let weights = maps.into_iter().flat_map(|(weight, bias)| [weight.into_dispatch(), bias.into_dispatch()]);
    run(Linears { maps: N, precision }, [x.into_dispatch()].into_iter().chain(weights).collect())
}

fn reference_linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    module::linear(x, weight.transpose(), bias)
}

fn reference_linears<const N: usize>(x: Tensor<2>, maps: [(Tensor<2>, Tensor<1>); N]) -> Tensor<2> {
    Tensor::cat(maps.map(|(weight, bias)| reference_linear(x.clone(), weight, Some(bias))).to_vec(), 1)
}

/// Inputs: x, W, the bias if there is one, the residual if there is one.
#[derive(Debug)]
struct Linear {
    bias: bool,
    residual: bool,
    precision: ComputePrecision,
}

impl Operation for Linear {
    fn forward(&self, inputs: &[FlexTensor], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let (x, w) = (&inputs[0], &inputs[1]);
        let ([rows, from], to) = (rows_and_columns(x), w.shape()[0]);
        let bias = self.bias.then(|| values(&inputs[2]));
        let residual = self.residual.then(|| values(&inputs[inputs.len() - 1]));
        let y = product_onto(
            self.precision,
            start(rows, to, bias, residual),
            (values(x), Shape::rows(rows, from)),
            (values(w), Shape::rows(to, from).transposed()),
        );
        let mut shape = x.shape();
        let last = shape.num_dims() - 1;
        shape[last] = to;
        (tensor(y, shape), if keep { vec![x.clone(), w.clone()] } else { vec![] })
    }

    fn backward(&self, gradient: &FlexTensor, saved: &[FlexTensor], wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let (x, w) = (&saved[0], &saved[1]);
        let ([rows, from], to) = (rows_and_columns(x), w.shape()[0]);
        let of_gradient = (values(gradient), Shape::rows(rows, to));
        let dx = || tensor(fresh_product(self.precision, of_gradient, (values(w), Shape::rows(to, from))), x.shape());
        let mut each = vec![
            wanted[0].then(dx),
            wanted[1].then(|| weight_gradient(self.precision, (values(x), Shape::rows(rows, from)), of_gradient)),
        ];
        if self.bias {
            each.push(wanted[2].then(|| tensor(column_sums(values(gradient), to), [to])));
        }
        if self.residual {
            each.push(Some(gradient.clone()));
        }
        each
    }
}

/// Inputs: x, then W and b of each map.
#[derive(Debug)]
struct Linears {
    maps: usize,
    precision: ComputePrecision,
}

impl Operation for Linears {
    fn forward(&self, inputs: &[FlexTensor], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let x = &inputs[0];
        let ([rows, from], to) = (rows_and_columns(x), inputs[1].shape()[0]);
        let all = self.maps * to;
        let (weights, biases) = (inputs.iter().skip(1).step_by(2), inputs.iter().skip(2).step_by(2));
        let (bias, of_x) = (joined(biases), (values(x), Shape::rows(rows, from)));
        let start = start(rows, all, Some(&bias), None);
        if keep {
            // The concatenated weights are one linear map, and one large product is faster than several, in the backward pass
            // too.
            let weight = joined(weights);
            let y = product_onto(self.precision, start, of_x, (&weight, Shape::rows(all, from).transposed()));
            return (tensor(y, [rows, all]), vec![x.clone(), tensor(weight, [all, from])]);
        }
        // Without a backward pass it is not worth copying the weights.
        let mut y = start.unwrap_or_default();
        let options = ProductOptions { scale: 1.0, add: true, parallel: true, precision: self.precision };
        for (map, weight) in weights.enumerate() {
            let columns = Shape { columns: to, offset: map * to, ..Shape::rows(rows, all) };
            product((&mut y, columns), of_x, (values(weight), Shape::rows(to, from).transposed()), options);
        }
        (tensor(y, [rows, all]), vec![])
    }

    fn backward(&self, gradient: &FlexTensor, saved: &[FlexTensor], wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let (x, w) = (&saved[0], &saved[1]);
        let ([rows, from], all) = (rows_and_columns(x), w.shape()[0]);
        let of_gradient = (values(gradient), Shape::rows(rows, all));
        let dx = || tensor(fresh_product(self.precision, of_gradient, (values(w), Shape::rows(all, from))), x.shape());
        let mut each = vec![wanted[0].then(dx)];
        if !wanted[1..].contains(&true) {
            each.resize(wanted.len(), None); // frozen maps
            return each;
        }
        let dw = weight_gradient(self.precision, (values(x), Shape::rows(rows, from)), of_gradient);
        let (to, db) = (all / self.maps, column_sums(values(gradient), all));
        for (map, dw) in values(&dw).chunks_exact(to * from).enumerate() {
            each.push(wanted[1 + 2 * map].then(|| tensor(dw.to_vec(), [to, from])));
            each.push(wanted[2 + 2 * map].then(|| tensor(db[map * to..(map + 1) * to].to_vec(), [to])));
        }
        each
    }
}

/// The values of all tensors, concatenated.
fn joined<'a>(tensors: impl Iterator<Item = &'a FlexTensor>) -> Vec<f32> {
    tensors.map(values).collect::<Vec<_>>().concat()
}

/// Adds the product to the values in `start`; without `start`, returns the product alone.
fn product_onto(
    precision: ComputePrecision,
    start: Option<Vec<f32>>,
    left: (&[f32], Shape),
    right: (&[f32], Shape),
) -> Vec<f32> {
    let Some(mut y) = start else { return fresh_product(precision, left, right) };
    let (to, options) = (
        Shape::rows(left.1.rows, right.1.columns),
        ProductOptions { scale: 1.0, add: true, parallel: true, precision },
    );
    product((&mut y, to), left, right, options);
    y
}

/// The values that the product is added to: the residual, the bias in every row, or their sum; `None` if there is neither.
fn start(rows: usize, d: usize, bias: Option<&[f32]>, residual: Option<&[f32]>) -> Option<Vec<f32>> {
    let make = |start: usize, y: UninitSlice<'_>| match (bias, residual) {
        (Some(bias), Some(x)) => {
            y.write_rows(d, |number, row| row.write(x[start + number * d..].iter().zip(bias).map(|(x, b)| x + b)))
        }
        (Some(bias), None) => y.write_rows(d, |_, row| row.write(bias.iter().copied())),
        (None, residual) => y.write(residual.unwrap_or_default()[start..].iter().copied()),
    };
    (bias.is_some() || residual.is_some()).then(|| fresh(rows * d, rows_a_task(d) * d, make))
}

/// Gradient of the weight: `gradient^T x`.
fn weight_gradient(
    precision: ComputePrecision,
    (x, of_x): (&[f32], Shape),
    (gradient, of_gradient): (&[f32], Shape),
) -> FlexTensor {
    let (from, to) = (of_x.columns, of_gradient.columns);
    tensor(fresh_product(precision, (gradient, of_gradient.transposed()), (x, of_x)), [to, from])
}

#[cfg(test)]
mod tests {
    use super::super::reference::{close, compare, host, random};
    use super::*;

    const F32: ComputePrecision = ComputePrecision::F32;

    fn row(x: Tensor<2>) -> Tensor<1> {
        x.squeeze_dim(0)
    }

    #[test]
    fn linear_matches_the_reference() {
        for (rows, from, to) in [(1, 3, 5), (130, 64, 33)] {
            let parts = || [random([rows, from], 1), random([to, from], 2), random([1, to], 3), random([rows, to], 4)];
            let [x, w, b, residual] = parts();
            compare(
                "linear",
                [x.clone(), w.clone(), b],
                |[x, w, b]| linear(x, w, Some(row(b)), F32),
                |[x, w, b]| module::linear(x, w.transpose(), Some(row(b))),
            );
            compare(
                "product",
                [x.clone(), w.clone()],
                |[x, w]| linear(x, w, None, F32),
                |[x, w]| x.matmul(w.transpose()),
            );
            compare(
                "product onto a residual",
                [x, w, residual],
                |[x, w, residual]| linear_onto(residual, x, w, None, F32),
                |[x, w, residual]| residual + x.matmul(w.transpose()),
            );
            compare(
                "linear onto a residual",
                parts(),
                |[x, w, b, residual]| linear_onto(residual, x, w, Some(row(b)), F32),
                |[x, w, b, residual]| residual + module::linear(x, w.transpose(), Some(row(b))),
            );
        }
    }

    #[test]
    fn linear_accepts_any_number_of_axes() {
        compare(
            "linear of three axes",
            [random([2, 3, 4], 1)],
            |[x]| linear(x, random([5, 4], 2), None, F32),
            |[x]| module::linear(x, random([5, 4], 2).transpose(), None),
        );
    }

    #[test]
    fn several_maps_without_gradient_match_the_reference() {
        for rows in [3, 200] {
            let maps = || [1, 2, 3].map(|seed| (random([24, 32], seed), row(random([1, 24], 10 + seed))));
            let x = random([rows, 32], 4);
            close("maps", &host(linears(x.clone(), maps(), F32)), &host(reference_linears(x, maps())));
        }
    }

    #[test]
    fn several_maps_match_the_reference() {
        let maps = |[w1, b1, w2, b2]: [Tensor<2>; 4]| [(w1, row(b1)), (w2, row(b2))];
        let inputs =
            [random([70, 32], 1), random([24, 32], 2), random([1, 24], 3), random([24, 32], 4), random([1, 24], 5)];
        compare(
            "two maps",
            inputs.clone(),
            |[x, a, b, c, d]| linears(x, maps([a, b, c, d]), F32),
            |[x, a, b, c, d]| reference_linears(x, maps([a, b, c, d])),
        );
        let three = |[x, a, b, c, d]: [Tensor<2>; 5]| {
            let [first, second] = maps([a, b, c, d]);
            (x, [first.clone(), second, first])
        };
        compare(
            "three maps",
            inputs,
            |inputs| {
                let (x, maps) = three(inputs);
                linears(x, maps, F32)
            },
            |inputs| {
                let (x, maps) = three(inputs);
                reference_linears(x, maps)
            },
        );
    }
}
