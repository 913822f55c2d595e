//! What frozen vectors tell about labels: the nearest neighbours' word, and a linear classifier.

use std::sync::{Arc, Mutex, PoisonError};

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use ptu_index::Exact;
use rayon::prelude::*;

use crate::Vectors;

/// Neighbours that vote.
const NEIGHBOURS: usize = 10;

/// Weight of the squared weights against the sum of losses, as in scikit-learn's default (C = 1).
const DECAY: f64 = 1.0;

/// Steps of the optimiser at most.
const STEPS: u64 = 200;

/// For each of `asked` the class that its nearest vectors vote for, each with its cosine; of equals the lower class.
///
/// # Panics
/// If there are not as many classes as vectors, or widths differ.
pub fn nearest_neighbours(vectors: &Vectors, classes: &[usize], asked: &Vectors) -> Vec<usize> {
    assert_eq!(vectors.len(), classes.len(), "each vector has a class");
    let count = classes.iter().max().map_or(0, |most| most + 1);
    let index = Exact::new(vectors.width, vectors.values.clone());
    let vote = |query: &[f32]| {
        let mut votes = vec![0.0; count];
        for found in index.nearest(query, NEIGHBOURS, |_| true) {
            votes[classes[found.place]] += f64::from(found.similarity) + 1.0;
        }
        largest(&votes)
    };
    asked.rows().map(vote).collect()
}

/// A linear classifier over standardised vectors: multinomial logistic regression with decay, fitted to the optimum.
#[derive(Clone, Debug)]
pub struct LinearProbe {
    mean: Vec<f64>,
    deviation: Vec<f64>,
    classes: usize,
    /// `[classes, width + 1]`, the bias last.
    weights: Vec<f64>,
}

/// Weights, and the probabilities of all classes that they give each row.
type Known = (Vec<f64>, Arc<Vec<Vec<f64>>>);

/// The loss that is made least.
struct Fit<'a> {
    rows: &'a [Vec<f64>],
    truths: &'a [usize],
    width: usize,
    last: Mutex<Option<Known>>,
}

impl LinearProbe {
    /// Fits the classes `0..` of vectors.
    ///
    /// # Panics
    /// If there is no vector, or not as many classes as vectors.
    pub fn fit(vectors: &Vectors, truths: &[usize]) -> Self {
        assert!(!vectors.is_empty() && vectors.len() == truths.len(), "each vector has a class, and there is one");
        let (width, count) = (vectors.width, vectors.len() as f64);
        let mut mean = vec![0.0; width];
        vectors.rows().for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x) / count));
        let mut deviation = vec![0.0; width];
        for row in vectors.rows() {
            let squares = row.iter().zip(&mean).map(|(x, mean)| (f64::from(*x) - mean).powi(2) / count);
            deviation.iter_mut().zip(squares).for_each(|(sum, square)| *sum += square);
        }
        // What does not vary tells nothing, and is left at 0.
        deviation.iter_mut().for_each(|value| *value = if *value > 1e-12 { value.sqrt() } else { f64::INFINITY });
        let classes = truths.iter().max().map_or(0, |most| most + 1);
        let mut probe = Self { mean, deviation, classes, weights: vec![0.0; classes * (width + 1)] };
        let rows: Vec<Vec<f64>> = vectors.rows().map(|row| probe.standardised(row)).collect();
        let start = probe.weights.clone();
        let fit = Fit { rows: &rows, truths, width, last: Mutex::default() };
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), 10);
        // A line search that ends early (all vectors equal) leaves the best weights so far, or the first ones.
        if let Ok(done) = Executor::new(fit, solver).configure(|state| state.param(start).max_iters(STEPS)).run()
            && let Some(best) = done.state().get_best_param()
        {
            probe.weights.clone_from(best);
        }
        probe
    }

    /// The likeliest class of each vector; of equals the lower.
    pub fn predict(&self, vectors: &Vectors) -> Vec<usize> {
        vectors.rows().map(|row| largest(&scores(&self.weights, &self.standardised(row)))).collect()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    fn standardised(&self, row: &[f32]) -> Vec<f64> {
        let values = row.iter().zip(&self.mean).zip(&self.deviation);
        values.map(|((x, mean), deviation)| (f64::from(*x) - mean) / deviation).collect()
    }
}

/// Log-odds of each class.
fn scores(weights: &[f64], row: &[f64]) -> Vec<f64> {
    let dot = |weights: &[f64]| weights.iter().zip(row).map(|(weight, x)| weight * x).sum::<f64>();
    weights.chunks_exact(row.len() + 1).map(|weights| dot(weights) + weights[row.len()]).collect()
}

/// Probability of each class.
fn probabilities(weights: &[f64], row: &[f64]) -> Vec<f64> {
    let mut scores = scores(weights, row);
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|score| *score = (*score - most).exp());
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
    scores
}

fn largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (place, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = place;
        }
    }
    best
}

impl Fit<'_> {
    /// Probability of each class for each row. The optimizer asks for cost and gradient of the same weights: they share it.
    fn probabilities(&self, weights: &[f64]) -> Arc<Vec<Vec<f64>>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_ref() {
            Some((of, kept)) if of == weights => Arc::clone(kept),
            _ => {
                let all = Arc::new(self.rows.par_iter().map(|row| probabilities(weights, row)).collect());
                *last = Some((weights.to_vec(), Arc::clone(&all)));
                all
            }
        }
    }

    /// Weights without the biases, which do not decay.
    fn decaying<'w>(&self, weights: &'w [f64]) -> impl Iterator<Item = (usize, f64)> + 'w {
        let width = self.width;
        weights.iter().copied().enumerate().filter(move |(place, _)| place % (width + 1) != width)
    }
}

impl CostFunction for Fit<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, weights: &Vec<f64>) -> Result<f64, Error> {
        let all = self.probabilities(weights);
        let losses = all.iter().zip(self.truths).map(|(of_row, truth)| -of_row[*truth].max(f64::MIN_POSITIVE).ln());
        Ok(losses.sum::<f64>() + DECAY / 2.0 * self.decaying(weights).map(|(_, weight)| weight * weight).sum::<f64>())
    }
}

impl Gradient for Fit<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, weights: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let (mut gradient, all) = (vec![0.0; weights.len()], self.probabilities(weights));
        // Classes on all cores; each adds up its rows in their order, so that the sum is always the same.
        gradient.par_chunks_exact_mut(self.width + 1).enumerate().for_each(|(class, of_class)| {
            for ((row, truth), probabilities) in self.rows.iter().zip(self.truths).zip(all.iter()) {
                let error = probabilities[class] - f64::from(u8::from(class == *truth));
                of_class.iter_mut().zip(row.iter().chain([&1.0])).for_each(|(sum, x)| *sum += error * x);
            }
        });
        self.decaying(weights).for_each(|(place, weight)| gradient[place] += DECAY * weight);
        Ok(gradient)
    }
}

#[cfg(test)]
mod tests {
    use ptu_random::{Key, Place};

    use super::*;

    /// Three clouds around three corners, the third dimension the same everywhere.
    fn clouds(seed: u64) -> (Vectors, Vec<usize>) {
        let mut stream = Key::new(seed).stream(Place::Sample, 0);
        let classes: Vec<usize> = (0..90).map(|place| place % 3).collect();
        let corners = [[3.0, 0.0], [0.0, 3.0], [-3.0, -3.0]];
        let values = classes.iter().flat_map(|class| {
            [corners[*class][0] + stream.normal(), corners[*class][1] + stream.normal(), 7.0].map(|x| x as f32)
        });
        (Vectors { width: 3, values: values.collect() }, classes)
    }

    #[test]
    fn both_tell_clouds_apart_that_they_have_not_seen() {
        let ((train, classes), (test, truths)) = (clouds(1), clouds(2));
        let right = |given: Vec<usize>| given.iter().zip(&truths).filter(|(given, truth)| given == truth).count();
        let probe = LinearProbe::fit(&train, &classes);
        assert!(right(probe.predict(&test)) >= 86 && probe.classes() == 3);
        assert!(right(nearest_neighbours(&train, &classes, &test)) >= 84);
    }

    /// At the optimum the gradient is nothing, and no small step makes the loss less.
    #[test]
    fn the_fit_is_the_optimum() {
        let (vectors, truths) = clouds(3);
        let probe = LinearProbe::fit(&vectors, &truths);
        let rows: Vec<Vec<f64>> = vectors.rows().map(|row| probe.standardised(row)).collect();
        let fit = Fit { rows: &rows, truths: &truths, width: 3, last: Mutex::default() };
        let gradient = fit.gradient(&probe.weights).unwrap();
        assert!(gradient.iter().all(|value| value.abs() < 1e-3), "{gradient:?}");
        let least = fit.cost(&probe.weights).unwrap();
        for place in 0..probe.weights.len() {
            let mut other = probe.weights.clone();
            other[place] += 0.05;
            assert!(fit.cost(&other).unwrap() >= least);
            let slope = (fit.cost(&other).unwrap() - least) / 0.05;
            assert!(slope.abs() < 3.0, "{slope}");
        }
    }

    #[test]
    fn equal_vectors_give_the_most_frequent_class() {
        let vectors = Vectors { width: 2, values: vec![1.0; 10] };
        let probe = LinearProbe::fit(&vectors, &[0, 1, 1, 1, 0]);
        assert_eq!(probe.predict(&vectors), [1; 5]);
    }
}
