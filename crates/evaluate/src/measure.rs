//! A score as what it is made of, so that two models can be compared record by record.

use ptu_metrics::{Interval, Resampling, bootstrap, bootstrap_difference, bootstrap_mean, bootstrap_mean_difference};

use crate::gallery::Gallery;
use crate::scores::Score;

/// What a score makes of its answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// The mean.
    #[default]
    Mean,
    /// The median.
    Median,
    /// The exponential of the mean: perplexity of surprises.
    Perplexity,
}

/// A score that is made of answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measure {
    /// What is made of them.
    pub kind: Kind,
    /// The row of the gallery that each answer belongs to.
    pub rows: Vec<usize>,
    /// The answers: 1 where right, 0 where wrong, or any number; `None` where there is none.
    pub values: Vec<Option<f64>>,
    /// What a guess would score.
    pub chance: Option<f64>,
}

impl Kind {
    /// Whether a smaller score is the better one.
    pub fn lower_is_better(self) -> bool {
        matches!(self, Self::Median | Self::Perplexity)
    }

    /// The score of answers; `None` of none.
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
    /// One answer for each row of a gallery.
    pub fn of_rows(values: Vec<Option<f64>>, chance: Option<f64>) -> Self {
        Self { kind: Kind::Mean, rows: (0..values.len()).collect(), values, chance }
    }

    /// The score.
    pub fn value(&self) -> Option<f64> {
        self.kind.of(self.values.iter().flatten().copied())
    }

    /// The score with its interval by patient.
    pub fn score(&self, gallery: &Gallery, resampling: &Resampling) -> Score {
        let patients = self.patients(gallery);
        let interval = match self.kind {
            Kind::Mean => bootstrap_mean(&self.values, &patients, resampling),
            Kind::Median | Kind::Perplexity => bootstrap(&patients, |places| self.at(places), resampling),
        };
        Score::new(self.value(), interval, self.chance)
    }

    /// The score on some of the answers.
    fn at(&self, places: &[usize]) -> Option<f64> {
        self.kind.of(places.iter().filter_map(|place| self.values[*place]))
    }

    /// The patient of each answer.
    pub fn patients<'a>(&self, gallery: &'a Gallery) -> Vec<&'a str> {
        self.rows.iter().map(|&row| gallery.records[row].patient.as_str()).collect()
    }

    /// The answers of `other` for rows that `is_other` names, own ones for the rest. Both answer the same questions.
    ///
    /// # Panics
    /// If they do not.
    pub fn mixed(&self, other: &Self, is_other: impl Fn(usize) -> bool) -> Self {
        assert_eq!(self.rows, other.rows, "both answer the same questions");
        let values = self.values.iter().zip(&other.values).zip(&self.rows);
        let values = values.map(|((own, other), row)| if is_other(*row) { *other } else { *own });
        Self { kind: self.kind, rows: self.rows.clone(), values: values.collect(), chance: self.chance }
    }

    /// The paired difference, `self - other`, with its interval: both answered the same questions, and only where both have an
    /// answer it counts. `None` where they did not.
    pub fn difference(&self, other: &Self, gallery: &Gallery, resampling: &Resampling) -> Option<Score> {
        if self.rows != other.rows || self.kind != other.kind {
            return None;
        }
        let both = |of: &Self, with: &Self| {
            let values = of.values.iter().zip(&with.values).map(|(own, other)| other.and(*own)).collect();
            Self { values, ..of.clone() }
        };
        let (own, other, patients) = (both(self, other), both(other, self), self.patients(gallery));
        let interval: Option<Interval> = match self.kind {
            Kind::Mean => bootstrap_mean_difference(&own.values, &other.values, &patients, resampling),
            Kind::Median | Kind::Perplexity => {
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
    fn what_is_made_of_answers() {
        let values = || [3.0, 1.0, 2.0, 10.0].into_iter();
        assert_eq!(Kind::Mean.of(values()), Some(4.0));
        assert_eq!(Kind::Median.of(values()), Some(2.5));
        assert_eq!(Kind::Perplexity.of([0.0, 2.0].into_iter()), Some(1f64.exp()));
        assert_eq!(Kind::Median.of([].into_iter()), None);
    }
}
