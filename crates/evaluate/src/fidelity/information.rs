//! How much the states in place of a missing modality tell about the real one, by a linear probe.
//!
//! The real modality is described by its leading principal components, scaled to variance 1. A ridge regression predicts them from the states;
//! it is fitted to four fifths of the patients and asked about the others. With Gaussian components and errors, a half of the logarithm of
//! variance by squared error is what the states tell at least (Barber and Agakov, "The IM algorithm", 2003, with a Gaussian decoder).

use nalgebra::DMatrix;
use ptu_infer::Vectors;
use ptu_metrics::PrincipalComponents;

/// Largest number of principal components.
const COMPONENTS: usize = 16;
/// Number of parts of the patients.
const FOLDS: usize = 5;
/// Fewest records.
const FEWEST: usize = 40;
/// Most records; the first ones are used.
const MOST: usize = 500;
/// Penalties that are tried, as multiples of the mean squared length of a state.
const PENALTIES: [f64; 5] = [1e-3, 1e-2, 1e-1, 1.0, 10.0];

/// What is to be told: principal components of a real modality.
#[derive(Clone, Debug)]
pub struct Told {
    /// `[records, components]`.
    components: DMatrix<f64>,
    /// The part of the patients that each record belongs to.
    folds: Vec<usize>,
}

impl Told {
    /// The leading principal components of these vectors; `patients` has the patient of each. `None` for too few records.
    pub fn new(vectors: &Vectors, patients: &[&str]) -> Option<Self> {
        let count = vectors.len().min(MOST);
        if count < FEWEST {
            return None;
        }
        let found = PrincipalComponents::of(&vectors.values[..count * vectors.width], vectors.width, COMPONENTS)?;
        let scales: Vec<f64> =
            found.coordinates.iter().map(|all| (squares(all) / count as f64).sqrt().recip()).collect();
        let components =
            DMatrix::from_fn(count, scales.len(), |row, column| found.coordinates[column][row] * scales[column]);
        let mut known: Vec<&str> = vec![];
        let folds = patients[..count].iter().map(|patient| {
            let number = known.iter().position(|one| one == patient).unwrap_or_else(|| {
                known.push(patient);
                known.len() - 1
            });
            number % FOLDS
        });
        let folds = folds.collect();
        (known.len() >= FOLDS).then_some(Self { components, folds })
    }

    /// What these states tell about the components, in bits.
    pub fn bits(&self, states: &Vectors) -> f64 {
        let count = self.components.nrows();
        let states = standardised(states, count);
        let products = &states * states.transpose();
        let columns = self.components.ncols();
        let (mut errors, mut variances) = (vec![0.0; columns], vec![0.0; columns]);
        for fold in 0..FOLDS {
            let (test, train): (Vec<usize>, Vec<usize>) = (0..count).partition(|row| self.folds[*row] == fold);
            if test.is_empty() || train.len() < 10 {
                continue;
            }
            // The penalty is chosen on the last fifth of what the probe is fitted to.
            let (fitted, asked) = train.split_at(train.len() * 4 / 5);
            let tried = PENALTIES.map(|penalty| self.errors(&products, (fitted, asked), penalty).iter().sum::<f64>());
            let best = (0..tried.len()).min_by(|one, other| tried[*one].total_cmp(&tried[*other])).unwrap_or(0);
            let of_fold = self.errors(&products, (&train, &test), PENALTIES[best]);
            errors.iter_mut().zip(of_fold).for_each(|(sum, error)| *sum += error);
            for (column, sum) in variances.iter_mut().enumerate() {
                let mean = train.iter().map(|row| self.components[(*row, column)]).sum::<f64>() / train.len() as f64;
                *sum += test.iter().map(|row| (self.components[(*row, column)] - mean).powi(2)).sum::<f64>();
            }
        }
        let told = errors.iter().zip(&variances).map(|(error, variance)| 0.5 * (variance / error).log2());
        told.filter(|bits| *bits > 0.0).sum()
    }

    /// Sums of squared errors of each component on the rows `asked`, by a ridge regression that is fitted to others.
    fn errors(&self, products: &DMatrix<f64>, (fitted, asked): (&[usize], &[usize]), penalty: f64) -> Vec<f64> {
        let columns = self.components.ncols();
        let mean: Vec<f64> = (0..columns)
            .map(|column| fitted.iter().map(|row| self.components[(*row, column)]).sum::<f64>() / fitted.len() as f64)
            .collect();
        let mut kernel =
            DMatrix::from_fn(fitted.len(), fitted.len(), |row, column| products[(fitted[row], fitted[column])]);
        let size = kernel.trace() / fitted.len() as f64;
        (0..fitted.len()).for_each(|place| kernel[(place, place)] += penalty * size + 1e-9);
        let wanted = DMatrix::from_fn(fitted.len(), columns, |row, column| {
            self.components[(fitted[row], column)] - mean[column]
        });
        let Some(factor) = kernel.cholesky() else { return vec![f64::INFINITY; columns] };
        let weights = factor.solve(&wanted);
        let between = DMatrix::from_fn(asked.len(), fitted.len(), |row, column| products[(asked[row], fitted[column])]);
        let predicted = between * weights;
        (0..columns)
            .map(|column| {
                let error = |(place, row): (usize, &usize)| {
                    (self.components[(*row, column)] - mean[column] - predicted[(place, column)]).powi(2)
                };
                asked.iter().enumerate().map(error).sum()
            })
            .collect()
    }
}

fn squares(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum()
}

/// The first rows, less their mean, divided by their deviation; dimensions that do not vary are 0.
fn standardised(vectors: &Vectors, count: usize) -> DMatrix<f64> {
    let mut all =
        DMatrix::from_fn(count, vectors.width, |row, column| f64::from(vectors.values[row * vectors.width + column]));
    for mut column in all.column_iter_mut() {
        let mean = column.mean();
        column.add_scalar_mut(-mean);
        let deviation = (column.norm_squared() / count as f64).sqrt();
        column /= if deviation > 1e-9 { deviation } else { f64::INFINITY };
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::normal_vectors;

    #[test]
    fn states_tell_what_they_contain() {
        let names: Vec<String> = (0..300).map(|row| format!("p{row}")).collect();
        let patients: Vec<&str> = names.iter().map(String::as_str).collect();
        let real = normal_vectors(1, 300, 6);
        let told = Told::new(&real, &patients).unwrap();
        // Unrelated states tell next to nothing; a noisy copy with as much noise as signal half a bit a dimension.
        let nothing = told.bits(&normal_vectors(2, 300, 20));
        assert!(nothing < 0.3, "{nothing}");
        let noisy =
            normal_vectors(3, 300, 6).values.iter().zip(&real.values).map(|(noise, value)| noise + value).collect();
        let some = told.bits(&Vectors { width: 6, values: noisy });
        assert!((some - 3.0).abs() < 0.6, "{some}");
        assert!(told.bits(&real) > 20.0);
        assert!(Told::new(&normal_vectors(1, 10, 6), &patients[..10]).is_none());
    }
}
