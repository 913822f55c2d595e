//! Embedding lookup: selects rows of tables (words, prompts, sequences).

use std::sync::Arc;

use burn::backend::TensorMetadata;
use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::fresh::fresh;
use super::loops::{add, rows_a_task};
use super::operation::{Operation, is_cpu_f32, run, tensor, values};

/// Selects the rows `index` from the concatenation of `tables` (`[r_i, d]` each): `[index.len(), d]`. A row may be selected
/// several times; its gradients are then summed in the order of `index`.
///
/// # Panics
/// If an index is out of range, or if there are more than five tables.
pub fn rows(tables: Vec<Tensor<2>>, index: Arc<Vec<usize>>) -> Tensor<2> {
    let count: usize = tables.iter().map(|table| table.dims()[0]).sum();
    assert!(index.iter().all(|row| *row < count), "a row index is out of range: there are {count} rows");
    if !is_cpu_f32(&tables[0]) {
        return reference_rows(tables, &index);
    }
    run(Rows { index }, tables.into_iter().map(Tensor::into_dispatch).collect())
}

fn reference_rows(tables: Vec<Tensor<2>>, index: &[usize]) -> Tensor<2> {
    let device = tables[0].device();
    let index: Vec<i32> = index.iter().map(|&row| row as i32).collect();
    let index: Tensor<1, Int> = Tensor::from_data(TensorData::new(index.clone(), [index.len()]), &device);
    Tensor::cat(tables, 0).select(0, index)
}

#[derive(Debug)]
struct Rows {
    index: Arc<Vec<usize>>,
}

impl Operation for Rows {
    fn forward(&self, inputs: &[FlexTensor], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let d = inputs[0].shape()[1];
        let tables: Vec<&[f32]> = inputs.iter().map(values).collect();
        let y = fresh(self.index.len() * d, rows_a_task(d) * d, |start, y| {
            let index = &self.index[start / d..];
            y.write_rows(d, |number, row| row.write(row_of(&tables, index[number] * d, d).iter().copied()))
        });
        // The backward pass needs only the shapes of the tables. Cloning a tensor does not copy its values.
        (tensor(y, [self.index.len(), d]), if keep { inputs.to_vec() } else { vec![] })
    }

    fn backward(&self, gradient: &FlexTensor, saved: &[FlexTensor], wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let (d, gradient) = (gradient.shape()[1], values(gradient));
        // (row, position), sorted by row, then by position: one task sums all gradients of a row, always in the same order.
        let mut taken: Vec<(usize, usize)> = self.index.iter().copied().zip(0..).collect();
        taken.sort_unstable();
        let mut first = 0;
        saved
            .iter()
            .zip(wanted)
            .map(|(table, wanted)| {
                let count = table.shape()[0];
                let start = first;
                first += count;
                wanted.then(|| {
                    let (mut dtable, task) = (vec![0.0; count * d], rows_a_task(d));
                    dtable.par_chunks_mut(task * d).enumerate().for_each(|(number, rows)| {
                        let from = start + number * task;
                        let begin = taken.partition_point(|(row, _)| *row < from);
                        let end = from + rows.len() / d;
                        let own = taken[begin..].iter().take_while(|(row, _)| *row < end);
                        for (row, position) in own {
                            let row = (row - from) * d;
                            add(&mut rows[row..row + d], &gradient[position * d..(position + 1) * d]);
                        }
                    });
                    tensor(dtable, [count, d])
                })
            })
            .collect()
    }
}

/// The `d` values from index `start` on, in the concatenation of all tables.
fn row_of<'a>(tables: &[&'a [f32]], mut start: usize, d: usize) -> &'a [f32] {
    for table in tables {
        if start < table.len() {
            return &table[start..start + d];
        }
        start -= table.len();
    }
    unreachable!("`rows` has checked the indices")
}

#[cfg(test)]
mod tests {
    use super::super::reference::{compare, random};
    use super::*;

    #[test]
    fn rows_match_the_reference() {
        let index = Arc::new(vec![3, 0, 3, 7, 8, 3, 11, 4]);
        compare(
            "rows of two tables",
            [random([5, 70], 1), random([7, 70], 2)],
            |tables| rows(tables.to_vec(), Arc::clone(&index)),
            |tables| reference_rows(tables.to_vec(), &index),
        );
        // More rows than one task handles.
        let index: Vec<usize> = (0..1000).map(|number| (number * 37) % 300).collect();
        compare(
            "rows of a long table",
            [random([300, 80], 1)],
            |[table]| rows(vec![table], Arc::new(index.clone())),
            |[table]| reference_rows(vec![table], &index),
        );
    }

    #[test]
    #[should_panic(expected = "there are 5 rows")]
    fn an_index_out_of_range_is_refused() {
        let _ = rows(vec![random([5, 2], 1)], Arc::new(vec![5]));
    }
}
