//! Small matrices of relevance.

/// A matrix, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f32>,
}

impl Matrix {
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, values: vec![0.0; rows * columns] }
    }

    pub fn identity(size: usize) -> Self {
        let mut identity = Self::zeros(size, size);
        (0..size).for_each(|place| identity.values[place * size + place] = 1.0);
        identity
    }

    pub fn of(values: &[f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "the recorded attention fits the sequences");
        Self { rows, columns, values: values.to_vec() }
    }

    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    pub fn times(&self, other: &Self) -> Self {
        let mut product = Self::zeros(self.rows, other.columns);
        for (row, out) in product.values.chunks_exact_mut(other.columns.max(1)).enumerate() {
            for (factor, values) in self.row(row).iter().zip(other.values.chunks_exact(other.columns.max(1))) {
                out.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
            }
        }
        product
    }

    pub fn plus(mut self, other: &Self) -> Self {
        self.values.iter_mut().zip(&other.values).for_each(|(sum, value)| *sum += value);
        self
    }

    pub fn transposed(&self) -> Self {
        let mut other = Self::zeros(self.columns, self.rows);
        for row in 0..self.rows {
            for column in 0..self.columns {
                other.values[column * self.rows + row] = self.values[row * self.columns + column];
            }
        }
        other
    }

    /// What was added to the identity, with rows that sum to 1, plus the identity: self-attention relevance in which each token counts
    /// for itself as much as for all others (Chefer et al., equation 9). Rows without relevance stay those of the identity.
    pub fn normalised(&self) -> Self {
        let mut all = self.clone();
        for row in 0..self.rows {
            let values = &mut all.values[row * self.columns..(row + 1) * self.columns];
            values[row] -= 1.0;
            let sum: f32 = values.iter().sum();
            if sum > 0.0 {
                values.iter_mut().for_each(|value| *value /= sum);
            }
            values[row] += 1.0;
        }
        all
    }
}

/// A row of relevance, carried down through a layer of self-attention: `row + row * attention`.
pub fn through(row: Vec<f32>, attention: &Matrix) -> Vec<f32> {
    let mut next = row.clone();
    for (factor, values) in row.iter().zip(attention.values.chunks_exact(attention.columns.max(1))) {
        next.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_normal_forms() {
        let matrix = Matrix::of(&[1.0, 2.0, 3.0, 4.0], 2, 2);
        assert_eq!(matrix.times(&matrix).values, [7.0, 10.0, 15.0, 22.0]);
        assert_eq!(matrix.transposed().values, [1.0, 3.0, 2.0, 4.0]);
        // 1 + [0, 2] and [3, 3] + 1: rows of what was added sum to 1.
        assert_eq!(matrix.normalised().values, [1.0, 1.0, 0.5, 1.5]);
        assert_eq!(Matrix::identity(2).normalised(), Matrix::identity(2));
        assert_eq!(through(vec![1.0, 10.0], &matrix), [1.0 + 31.0, 10.0 + 42.0]);
    }
}
