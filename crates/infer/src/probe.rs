//! Probes that predict labels from frozen vectors: k nearest neighbours, and a linear classifier.

use std::sync::{Arc, Mutex, PoisonError};

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use ptu_index::Exact;
use rayon::prelude::*;

use crate::Vectors;

/// Number of neighbours that vote.
const NEIGHBOURS: usize = 10;

/// Factor of the L2 penalty, next to the sum of the losses: the inverse of scikit-learn's C, whose default is 1 too.
const PENALTY: f64 = 1.0;

/// Largest number of steps of the optimizer.
const STEPS: u64 = 200;

/// Predicts the class of each query by a vote of its 10 nearest vectors. The weight of a vote is the cosine similarity plus 1.
/// If two classes have equal votes, the lower class is predicted.
///
/// # Panics
/// If the numbers of classes and of vectors differ, or the widths differ.
pub fn nearest_neighbours(vectors: &Vectors, classes: &[usize], queries: &Vectors) -> Vec<usize> {
    assert_eq!(vectors.len(), classes.len(), "each vector has a class");
    let count = classes.iter().max().map_or(0, |most| most + 1);
    let index = Exact::new(vectors.width, vectors.values.clone());
    let vote = |query: &[f32]| {
        let mut votes = vec![0.0; count];
        for neighbour in index.nearest(query, NEIGHBOURS, |_| true) {
            votes[classes[neighbour.position]] += f64::from(neighbour.similarity) + 1.0;
        }
        largest(&votes)
    };
    queries.rows().map(vote).collect()
}

/// A linear classifier on standardised vectors: multinomial logistic regression with an L2 penalty, fitted to the optimum.
#[derive(Clone, Debug)]
pub struct LinearProbe {
    mean: Vec<f64>,
    /// Standard deviation of each element.
    deviation: Vec<f64>,
    classes: usize,
    /// `[classes, width + 1]`, the bias last.
    weights: Vec<f64>,
}

/// The probabilities of all classes for each row, and the weights from which they were computed.
struct CachedProbabilities {
    weights: Vec<f64>,
    probabilities: Arc<Vec<Vec<f64>>>,
}

/// The optimization problem of the linear probe: its loss and gradient.
struct LogisticRegression<'a> {
    rows: &'a [Vec<f64>],
    truths: &'a [usize],
    width: usize,
    /// Factor of the L2 penalty.
    penalty: f64,
    /// The probabilities of the last weights.
    last: Mutex<Option<CachedProbabilities>>,
}

impl LinearProbe {
    /// Fits the classifier with a penalty of 1; `truths` are the classes of the vectors, counted from 0.
    ///
    /// # Panics
    /// If there is no vector, or the numbers of vectors and of classes differ.
    pub fn fit(vectors: &Vectors, truths: &[usize]) -> Self {
        Self::fit_classes(vectors, truths, truths.iter().max().map_or(0, |most| most + 1), PENALTY)
    }

    /// Fits a classifier of `classes` classes, of which some may have no vector. `penalty` is the factor of half the sum of the squared
    /// weights, next to the sum of the losses: the inverse of scikit-learn's C.
    ///
    /// # Panics
    /// If there is no vector, the numbers of vectors and of classes differ, or a class is not below `classes`.
    pub fn fit_classes(vectors: &Vectors, truths: &[usize], classes: usize, penalty: f64) -> Self {
        assert!(!vectors.is_empty() && vectors.len() == truths.len(), "there are vectors, and each has a class");
        assert!(truths.iter().all(|class| *class < classes), "each class has a number below `classes`");
        let (width, count) = (vectors.width, vectors.len() as f64);
        let mut mean = vec![0.0; width];
        vectors.rows().for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x) / count));
        let mut deviation = vec![0.0; width];
        for row in vectors.rows() {
            let squares = row.iter().zip(&mean).map(|(x, mean)| (f64::from(*x) - mean).powi(2) / count);
            deviation.iter_mut().zip(squares).for_each(|(sum, square)| *sum += square);
        }
        // An element that does not vary carries no information. Division by infinity sets it to 0.
        deviation.iter_mut().for_each(|value| *value = if *value > 1e-12 { value.sqrt() } else { f64::INFINITY });
        let mut probe = Self { mean, deviation, classes, weights: vec![0.0; classes * (width + 1)] };
        let rows: Vec<Vec<f64>> = vectors.rows().map(|row| probe.standardised(row)).collect();
        let start = probe.weights.clone();
        let problem = LogisticRegression { rows: &rows, truths, width, penalty, last: Mutex::default() };
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), 10);
        // If the line search ends early (all vectors are equal), the best weights so far are used, or the initial ones.
        if let Ok(done) = Executor::new(problem, solver).configure(|state| state.param(start).max_iters(STEPS)).run()
            && let Some(best) = done.state().get_best_param()
        {
            probe.weights.clone_from(best);
        }
        probe
    }

    /// The most probable class of each vector. If two classes are equally probable, the lower one is predicted.
    pub fn predict(&self, vectors: &Vectors) -> Vec<usize> {
        vectors.rows().map(|row| largest(&scores(&self.weights, &self.standardised(row)))).collect()
    }

    /// The logit of each class for a vector.
    pub fn logits(&self, vector: &[f32]) -> Vec<f32> {
        scores(&self.weights, &self.standardised(vector)).into_iter().map(|logit| logit as f32).collect()
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

/// Logits of each class.
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

/// Position of the largest value; the first one if several are equal.
fn largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (place, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = place;
        }
    }
    best
}

impl LogisticRegression<'_> {
    /// Probability of each class for each row. The optimizer needs cost and gradient at the same weights, so the result is
    /// cached.
    fn probabilities(&self, weights: &[f64]) -> Arc<Vec<Vec<f64>>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_ref() {
            Some(cached) if cached.weights == weights => Arc::clone(&cached.probabilities),
            _ => {
                let all = Arc::new(self.rows.par_iter().map(|row| probabilities(weights, row)).collect());
                *last = Some(CachedProbabilities { weights: weights.to_vec(), probabilities: Arc::clone(&all) });
                all
            }
        }
    }

    /// The weights that have an L2 penalty, with their positions: all but the biases.
    fn penalised<'w>(&self, weights: &'w [f64]) -> impl Iterator<Item = (usize, f64)> + 'w {
        let width = self.width;
        weights.iter().copied().enumerate().filter(move |(place, _)| place % (width + 1) != width)
    }
}

impl CostFunction for LogisticRegression<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, weights: &Vec<f64>) -> Result<f64, Error> {
        let all = self.probabilities(weights);
        let losses = all.iter().zip(self.truths).map(|(of_row, truth)| -of_row[*truth].max(f64::MIN_POSITIVE).ln());
        Ok(losses.sum::<f64>()
            + self.penalty / 2.0 * self.penalised(weights).map(|(_, weight)| weight * weight).sum::<f64>())
    }
}

impl Gradient for LogisticRegression<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, weights: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let (mut gradient, all) = (vec![0.0; weights.len()], self.probabilities(weights));
        // The classes are computed on all cores. Each sums its rows in their order, so that the sum is always the same.
        gradient.par_chunks_exact_mut(self.width + 1).enumerate().for_each(|(class, of_class)| {
            for ((row, truth), probabilities) in self.rows.iter().zip(self.truths).zip(all.iter()) {
                let error = probabilities[class] - f64::from(u8::from(class == *truth));
                of_class.iter_mut().zip(row.iter().chain([&1.0])).for_each(|(sum, x)| *sum += error * x);
            }
        });
        self.penalised(weights).for_each(|(place, weight)| gradient[place] += self.penalty * weight);
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
    fn both_probes_classify_new_vectors() {
        let ((train, classes), (test, truths)) = (clouds(1), clouds(2));
        let right = |classes: Vec<usize>| classes.iter().zip(&truths).filter(|(class, truth)| class == truth).count();
        let probe = LinearProbe::fit(&train, &classes);
        assert!(right(probe.predict(&test)) >= 86 && probe.classes() == 3);
        assert!(right(nearest_neighbours(&train, &classes, &test)) >= 84);
    }

    /// At the optimum the gradient is zero, and no small step lowers the loss.
    #[test]
    fn the_fit_is_the_optimum() {
        let (vectors, truths) = clouds(3);
        let probe = LinearProbe::fit(&vectors, &truths);
        let rows: Vec<Vec<f64>> = vectors.rows().map(|row| probe.standardised(row)).collect();
        let problem =
            LogisticRegression { rows: &rows, truths: &truths, width: 3, penalty: PENALTY, last: Mutex::default() };
        let gradient = problem.gradient(&probe.weights).unwrap();
        assert!(gradient.iter().all(|value| value.abs() < 1e-3), "{gradient:?}");
        let least = problem.cost(&probe.weights).unwrap();
        for place in 0..probe.weights.len() {
            let mut other = probe.weights.clone();
            other[place] += 0.05;
            assert!(problem.cost(&other).unwrap() >= least);
            let slope = (problem.cost(&other).unwrap() - least) / 0.05;
            assert!(slope.abs() < 3.0, "{slope}");
        }
    }

    /// scikit-learn 1.9.1: `decision_function` of the first row of `LogisticRegression(C=C, tol=1e-12).fit(x, [0, 0, 1, 1, 2, 2])`, x =
    /// [[0, 0], [1, 0], [0, 2], [3, 1], [2, 2], [1, 3]] standardised, less the logit of the first class, for C = 10 and C = 0.1.
    #[test]
    fn the_penalty_is_the_inverse_of_scikit_learns_c() {
        let values = vec![0.0, 0.0, 1.0, 0.0, 0.0, 2.0, 3.0, 1.0, 2.0, 2.0, 1.0, 3.0];
        let vectors = Vectors { width: 2, values };
        for (penalty, expected) in [(0.1, [-2.821113, -9.358572]), (10.0, [-0.411119, -0.608470])] {
            let logits = LinearProbe::fit_classes(&vectors, &[0, 0, 1, 1, 2, 2], 3, penalty).logits(&[0.0, 0.0]);
            for (logit, expected) in logits[1..].iter().zip(expected) {
                assert!((f64::from(logit - logits[0]) - expected).abs() < 2e-4, "{penalty}: {logits:?}");
            }
        }
    }

    #[test]
    fn equal_vectors_give_the_most_frequent_class() {
        let vectors = Vectors { width: 2, values: vec![1.0; 10] };
        let probe = LinearProbe::fit(&vectors, &[0, 1, 1, 1, 0]);
        assert_eq!(probe.predict(&vectors), [1; 5]);
    }
}
