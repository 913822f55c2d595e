//! How similar completed inputs are to real pairs: record by record, and as clouds of points.

use ptu_infer::Vectors;

/// Vectors without their common mean, so that what all records share does not count as similarity.
#[derive(Clone, Debug)]
pub struct Centred {
    width: usize,
    values: Vec<f64>,
}

impl Centred {
    /// Vectors less this mean.
    pub fn new(vectors: &Vectors, mean: &[f64]) -> Self {
        let rows = vectors.rows().flat_map(|row| row.iter().zip(mean).map(|(x, mean)| f64::from(*x) - mean));
        Self { width: vectors.width, values: rows.collect() }
    }

    fn rows(&self) -> impl Iterator<Item = &[f64]> + Clone {
        self.values.chunks_exact(self.width.max(1))
    }

    /// Each row with its squared length.
    fn measured(&self) -> impl Iterator<Item = (&[f64], f64)> {
        self.rows().map(|row| (row, dot(row, row)))
    }

    /// The cosine similarity of each row with the same row of `other`; `None` where one has no direction.
    pub fn cosines(&self, other: &Self) -> Vec<Option<f64>> {
        self.measured().zip(other.measured()).map(|(x, y)| cosine(x, y)).collect()
    }

    /// The cosine similarity of each row with each row of `others`, row by row; -1 where one has no direction.
    pub fn all_cosines(&self, others: &Self) -> Vec<f64> {
        let others: Vec<(&[f64], f64)> = others.measured().collect();
        self.measured().flat_map(|x| others.iter().map(move |y| cosine(x, *y).unwrap_or(-1.0))).collect()
    }
}

/// The mean of vectors.
pub fn mean(vectors: &Vectors) -> Vec<f64> {
    let mut mean = vec![0.0; vectors.width];
    let count = vectors.len().max(1) as f64;
    vectors.rows().for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x) / count));
    mean
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// The cosine similarity of two vectors, each with its squared length.
fn cosine((x, xx): (&[f64], f64), (y, yy): (&[f64], f64)) -> Option<f64> {
    let lengths = (xx * yy).sqrt();
    (lengths > 0.0).then(|| dot(x, y) / lengths)
}

/// Linear CKA (Kornblith et al., "Similarity of neural network representations revisited", 2019) by the unbiased estimator of HSIC (Song et
/// al., 2012), so that unrelated clouds of few points in many dimensions have about 0 and not about 1. `None` for fewer than four rows, or if
/// a cloud has no spread.
///
/// # Panics
/// If the numbers of rows differ.
pub fn cka(one: &Vectors, other: &Vectors) -> Option<f64> {
    assert_eq!(one.len(), other.len(), "both have the same rows");
    let grams = [one, other].map(|vectors| gram(&Centred::new(vectors, &mean(vectors))));
    let n = one.len();
    let [own, others] = [0, 1].map(|which| hsic(&grams[which], &grams[which], n));
    let (own, others, both) = (own?, others?, hsic(&grams[0], &grams[1], n)?);
    (own > 0.0 && others > 0.0).then(|| both / (own * others).sqrt())
}

/// Dot products of all rows, without those of a row with itself.
fn gram(vectors: &Centred) -> Vec<f64> {
    let products = vectors.rows().enumerate().flat_map(|(row, x)| {
        vectors.rows().enumerate().map(move |(other, y)| if row == other { 0.0 } else { dot(x, y) })
    });
    products.collect()
}

/// The unbiased estimator of HSIC from two matrices of dot products with zeros on the diagonal.
fn hsic(one: &[f64], other: &[f64], n: usize) -> Option<f64> {
    if n < 4 {
        return None;
    }
    let sums = |gram: &[f64]| -> Vec<f64> { gram.chunks_exact(n).map(|row| row.iter().sum()).collect() };
    let (of_one, of_other, count) = (sums(one), sums(other), n as f64);
    let total = of_one.iter().sum::<f64>() * of_other.iter().sum::<f64>() / ((count - 1.0) * (count - 2.0));
    let cross = 2.0 / (count - 2.0) * dot(&of_one, &of_other);
    Some((dot(one, other) + total - cross) / (count * (count - 3.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::normal_vectors;

    #[test]
    fn what_all_records_share_is_no_similarity() {
        let shifted = |vectors: &Vectors| Vectors {
            width: vectors.width,
            values: vectors.values.iter().map(|value| value + 50.0).collect(),
        };
        let (one, other) = (normal_vectors(1, 200, 8), normal_vectors(2, 200, 8));
        let of = |one: &Vectors, other: &Vectors| {
            let centre = mean(one);
            let cosines = Centred::new(one, &centre).cosines(&Centred::new(other, &centre));
            cosines.iter().flatten().sum::<f64>() / 200.0
        };
        assert!(of(&shifted(&one), &shifted(&other)).abs() < 0.1);
        assert!((of(&one, &one) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn unrelated_clouds_have_no_cka_and_rotated_ones_have_all() {
        let (one, other) = (normal_vectors(1, 60, 200), normal_vectors(2, 60, 200));
        assert!(cka(&one, &other).unwrap().abs() < 0.1, "{:?}", cka(&one, &other));
        // A permutation of the dimensions, and a scale.
        let turned = one.rows().flat_map(|row| row.iter().rev().map(|value| 3.0 * value)).collect();
        assert!((cka(&one, &Vectors { width: 200, values: turned }).unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(cka(&normal_vectors(1, 3, 4), &normal_vectors(2, 3, 4)), None);
        assert_eq!(cka(&Vectors { width: 1, values: vec![2.0; 8] }, &normal_vectors(2, 8, 1)), None);
    }
}
