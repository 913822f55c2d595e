//! The values for single records from which a score is computed, so that two models can be compared record by record.

use ptu_metrics::{Interval, Resampling, bootstrap, bootstrap_difference, bootstrap_mean, bootstrap_mean_difference};

use crate::gallery::Gallery;
use crate::scores::Score;

/// How the values of single answers become one score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aggregation {
    /// The mean.
    #[default]
    Mean,
    /// The median.
    Median,
    /// The exponential of the mean. Of negative log-likelihoods this is the perplexity.
    Perplexity,
}

/// The answers of a model, and how they become a score.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measure {
    /// How the values become a score.
    pub aggregation: Aggregation,
    /// The row of the gallery that each answer belongs to.
    pub rows: Vec<usize>,
    /// The value of each answer: 1 if right and 0 if wrong, or any other number; `None` if there is no answer.
    pub values: Vec<Option<f64>>,
    /// The chance level: the score of a random guess.
    pub chance: Option<f64>,
}

impl Aggregation {
    /// True if a lower score is better.
    pub fn lower_is_better(self) -> bool {
        matches!(self, Self::Median | Self::Perplexity)
    }

    /// The score of values; `None` if there are no values.
    fn of(self, values: impl Iterator<Item = f64>) -> Option<f64> {
        let mut values: Vec<f64> = values.collect();
        if values.is_empty() {
            return None;
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        Some(match self {
            Self::Mean => mean(&values),
            Self::Perplexity => mean(&values).exp(),
            Self::Median => {
                values.sort_unstable_by(f64::total_cmp);
                (values[values.len() / 2] + values[(values.len() - 1) / 2]) / 2.0
            }
        })
    }
}

impl Measure {
    /// A measure with one answer for each row of a gallery, aggregated by their mean.
    pub fn of_rows(values: Vec<Option<f64>>, chance: Option<f64>) -> Self {
        Self { aggregation: Aggregation::Mean, rows: (0..values.len()).collect(), values, chance }
    }

    /// The score.
    pub fn value(&self) -> Option<f64> {
        self.aggregation.of(self.values.iter().flatten().copied())
    }

    /// The score with its confidence interval by patient.
    pub fn score(&self, gallery: &Gallery, resampling: &Resampling) -> Score {
        let patients = self.patients(gallery);
        let interval = match self.aggregation {
            Aggregation::Mean => bootstrap_mean(&self.values, &patients, resampling),
            Aggregation::Median | Aggregation::Perplexity => bootstrap(&patients, |places| self.at(places), resampling),
        };
        Score::new(self.value(), interval, self.chance)
    }

    /// The score of the answers at these places.
    fn at(&self, places: &[usize]) -> Option<f64> {
        self.aggregation.of(places.iter().filter_map(|place| self.values[*place]))
    }

    /// The patient of each answer.
    pub fn patients<'a>(&self, gallery: &'a Gallery) -> Vec<&'a str> {
        self.rows.iter().map(|&row| gallery.records[row].patient.as_str()).collect()
    }

    /// Takes the answers of `other` for the rows where `is_other` is true, and the own answers for all other rows.
    ///
    /// # Panics
    /// If the two measures do not belong to the same rows.
    pub fn mixed(&self, other: &Self, is_other: impl Fn(usize) -> bool) -> Self {
        assert_eq!(self.rows, other.rows, "both answer the same questions");
        let values = self.values.iter().zip(&other.values).zip(&self.rows);
        let values = values.map(|((own, other), row)| if is_other(*row) { *other } else { *own });
        Self { aggregation: self.aggregation, rows: self.rows.clone(), values: values.collect(), chance: self.chance }
    }

    /// The paired difference `self - other` with its confidence interval. Only questions that both have answered count. `None` if
    /// the two measures do not belong to the same rows or are aggregated in different ways.
    pub fn difference(&self, other: &Self, gallery: &Gallery, resampling: &Resampling) -> Option<Score> {
        if self.rows != other.rows || self.aggregation != other.aggregation {
            return None;
        }
        let both = |of: &Self, with: &Self| {
            let values = of.values.iter().zip(&with.values).map(|(own, other)| other.and(*own)).collect();
            Self { values, ..of.clone() }
        };
        let (own, other, patients) = (both(self, other), both(other, self), self.patients(gallery));
        let interval: Option<Interval> = match self.aggregation {
            Aggregation::Mean => bootstrap_mean_difference(&own.values, &other.values, &patients, resampling),
            Aggregation::Median | Aggregation::Perplexity => {
                bootstrap_difference(&patients, |places| own.at(places), |places| other.at(places), resampling)
            }
        };
        let value = own.value().zip(other.value()).map(|(own, other)| own - other);
        Some(Score::new(value, interval, Some(0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_aggregated_to_a_score() {
        let values = || [3.0, 1.0, 2.0, 10.0].into_iter();
        assert_eq!(Aggregation::Mean.of(values()), Some(4.0));
        assert_eq!(Aggregation::Median.of(values()), Some(2.5));
        assert_eq!(Aggregation::Perplexity.of([0.0, 2.0].into_iter()), Some(1f64.exp()));
        assert_eq!(Aggregation::Median.of([].into_iter()), None);
    }
}
