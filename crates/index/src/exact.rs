//! Exact (brute-force) search: the query is compared with every vector, on all cores.

use std::cmp::Ordering;

use rayon::prelude::*;

/// Number of vectors in one parallel task.
const PER_TASK: usize = 1024;

/// An index of unit vectors in memory; they are compared by their dot product, which is the cosine similarity.
#[derive(Clone, Debug)]
pub struct Exact {
    width: usize,
    values: Vec<f32>,
}

/// A vector that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Its index among all vectors.
    pub position: usize,
    /// Cosine similarity with the query, -1 to 1.
    pub similarity: f32,
}

impl Exact {
    /// Creates an index of vectors with `width` elements each, given one after another. Each vector is scaled to length 1;
    /// zero vectors stay zero.
    ///
    /// # Panics
    /// If `width` is 0 or does not divide the number of values.
    pub fn new(width: usize, mut values: Vec<f32>) -> Self {
        assert!(
            width > 0 && values.len().is_multiple_of(width),
            "{} values are not a whole number of vectors of {width} elements",
            values.len()
        );
        values.par_chunks_mut(width).for_each(normalize);
        Self { width, values }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there are no vectors.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Number of elements of a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The nearest vectors, at most `most`, among those for whose index `keep` returns true. The nearest comes first; of
    /// equally near vectors the one with the lower index comes first. Vectors with NaN come last. The result does not depend
    /// on the number of threads.
    ///
    /// # Panics
    /// If the query has another number of elements than the vectors.
    pub fn nearest(&self, query: &[f32], most: usize, keep: impl Fn(usize) -> bool + Sync) -> Vec<Neighbour> {
        assert_eq!(query.len(), self.width, "the query and the vectors must have the same number of elements");
        let mut query = query.to_vec();
        normalize(&mut query);
        let chunks = self.values.par_chunks(self.width * PER_TASK).enumerate();
        let best = chunks.map(|(chunk, vectors)| {
            let positions =
                (chunk * PER_TASK..).zip(vectors.chunks_exact(self.width)).filter(|(position, _)| keep(*position));
            let found = positions.map(|(position, vector)| Neighbour { position, similarity: dot(&query, vector) });
            nearest_first(found.collect(), most)
        });
        nearest_first(best.flatten_iter().collect(), most)
    }
}

/// The nearest `most` of these neighbours, nearest first.
fn nearest_first(mut found: Vec<Neighbour>, most: usize) -> Vec<Neighbour> {
    if most == 0 {
        return vec![];
    }
    if found.len() > most {
        found.select_nth_unstable_by(most - 1, compare);
        found.truncate(most);
    }
    found.sort_unstable_by(compare);
    found
}

/// The order of the result: higher similarity first, then lower index.
fn compare(one: &Neighbour, other: &Neighbour) -> Ordering {
    let value = |found: &Neighbour| if found.similarity.is_nan() { f32::NEG_INFINITY } else { found.similarity };
    value(other).total_cmp(&value(one)).then(one.position.cmp(&other.position))
}

/// Dot product with eight partial sums, which the compiler turns into vector instructions. The order of additions is fixed, so a
/// similarity does not depend on how many vectors are compared.
fn dot(x: &[f32], y: &[f32]) -> f32 {
    const LANES: usize = 8;
    let (mut sums, whole) = ([0.0f32; LANES], x.len() / LANES * LANES);
    for (x, y) in x[..whole].chunks_exact(LANES).zip(y[..whole].chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = x[whole..].iter().zip(&y[whole..]).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(count: usize, width: usize) -> Exact {
        let value = |position: usize| ((position * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
        Exact::new(width, (0..count * width).map(value).collect())
    }

    #[test]
    fn the_nearest_equal_those_of_a_full_sort() {
        let (index, query) = (index(5000, 19), [0.3, -0.2, 0.9].repeat(7)[..19].to_vec());
        let cosine = |position: usize| {
            let vector = &index.values[position * 19..(position + 1) * 19];
            let length = query.iter().map(|value| f64::from(value * value)).sum::<f64>().sqrt();
            vector.iter().zip(&query).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>() / length
        };
        let mut all: Vec<usize> = (0..5000).filter(|position| position % 3 == 0).collect();
        all.sort_by(|one, other| cosine(*other).total_cmp(&cosine(*one)).then(one.cmp(other)));
        let found = index.nearest(&query, 10, |position| position % 3 == 0);
        assert_eq!(found.iter().map(|found| found.position).collect::<Vec<_>>(), all[..10]);
        assert!(found.iter().all(|found| (f64::from(found.similarity) - cosine(found.position)).abs() < 1e-6));
    }

    #[test]
    fn equal_vectors_come_by_index_and_nan_comes_last() {
        let index = Exact::new(2, vec![1.0, 0.0, 2.0, 0.0, f32::NAN, 0.0, 0.0, -1.0, 0.0, 0.0]);
        let positions: Vec<usize> =
            index.nearest(&[1.0, 0.0], 9, |_| true).iter().map(|found| found.position).collect();
        assert_eq!(positions, [0, 1, 3, 4, 2]);
        assert!(index.nearest(&[1.0, 0.0], 0, |_| true).is_empty());
        assert!(index.nearest(&[1.0, 0.0], 3, |_| false).is_empty());
    }
}
