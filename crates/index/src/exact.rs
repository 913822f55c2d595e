//! Exact search: the query is compared with every vector, on all cores.

use std::cmp::Ordering;

use rayon::prelude::*;

/// Vectors that a thread compares at once.
const AT_ONCE: usize = 1024;

/// Unit vectors in memory, compared by their product (the cosine).
#[derive(Clone, Debug)]
pub struct Exact {
    width: usize,
    values: Vec<f32>,
}

/// A vector that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Its place among all.
    pub place: usize,
    /// Cosine with the query, -1 to 1.
    pub similarity: f32,
}

impl Exact {
    /// Vectors of `width` elements, one behind the other; each is scaled to length 1, zeros stay.
    ///
    /// # Panics
    /// If `width` is 0 or does not divide the number of values.
    pub fn new(width: usize, mut values: Vec<f32>) -> Self {
        assert!(width > 0 && values.len().is_multiple_of(width), "{} values are no vectors of {width}", values.len());
        values.par_chunks_mut(width).for_each(normalize);
        Self { width, values }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Elements of a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The nearest vectors among those that `keep` takes, nearest first, of equals the first in place; the same for any
    /// number of threads. A vector with NaN comes last.
    ///
    /// # Panics
    /// If the query has another width.
    pub fn nearest(&self, query: &[f32], most: usize, keep: impl Fn(usize) -> bool + Sync) -> Vec<Neighbour> {
        assert_eq!(query.len(), self.width, "a query has the width of the vectors");
        let mut query = query.to_vec();
        normalize(&mut query);
        let chunks = self.values.par_chunks(self.width * AT_ONCE).enumerate();
        let best = chunks.map(|(chunk, vectors)| {
            let places = (chunk * AT_ONCE..).zip(vectors.chunks_exact(self.width)).filter(|(place, _)| keep(*place));
            let found = places.map(|(place, vector)| Neighbour { place, similarity: dot(&query, vector) });
            first(found.collect(), most)
        });
        first(best.flatten_iter().collect(), most)
    }
}

/// The nearest of some, in order.
fn first(mut found: Vec<Neighbour>, most: usize) -> Vec<Neighbour> {
    if most == 0 {
        return vec![];
    }
    if found.len() > most {
        found.select_nth_unstable_by(most - 1, nearer);
        found.truncate(most);
    }
    found.sort_unstable_by(nearer);
    found
}

fn nearer(one: &Neighbour, other: &Neighbour) -> Ordering {
    let value = |found: &Neighbour| if found.similarity.is_nan() { f32::NEG_INFINITY } else { found.similarity };
    value(other).total_cmp(&value(one)).then(one.place.cmp(&other.place))
}

/// In eight sums side by side, which the compiler turns into vector instructions; in one order, so a similarity does not
/// depend on how many are compared.
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
        let value = |place: usize| ((place * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
        Exact::new(width, (0..count * width).map(value).collect())
    }

    #[test]
    fn the_nearest_are_those_of_sorting_all() {
        let (index, query) = (index(5000, 19), [0.3, -0.2, 0.9].repeat(7)[..19].to_vec());
        let cosine = |place: usize| {
            let vector = &index.values[place * 19..(place + 1) * 19];
            let length = query.iter().map(|value| f64::from(value * value)).sum::<f64>().sqrt();
            vector.iter().zip(&query).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>() / length
        };
        let mut all: Vec<usize> = (0..5000).filter(|place| place % 3 == 0).collect();
        all.sort_by(|one, other| cosine(*other).total_cmp(&cosine(*one)).then(one.cmp(other)));
        let found = index.nearest(&query, 10, |place| place % 3 == 0);
        assert_eq!(found.iter().map(|found| found.place).collect::<Vec<_>>(), all[..10]);
        assert!(found.iter().all(|found| (f64::from(found.similarity) - cosine(found.place)).abs() < 1e-6));
    }

    #[test]
    fn equals_come_in_order_and_nan_last() {
        let index = Exact::new(2, vec![1.0, 0.0, 2.0, 0.0, f32::NAN, 0.0, 0.0, -1.0, 0.0, 0.0]);
        let places: Vec<usize> = index.nearest(&[1.0, 0.0], 9, |_| true).iter().map(|found| found.place).collect();
        assert_eq!(places, [0, 1, 3, 4, 2]);
        assert!(index.nearest(&[1.0, 0.0], 0, |_| true).is_empty());
        assert!(index.nearest(&[1.0, 0.0], 3, |_| false).is_empty());
    }
}
