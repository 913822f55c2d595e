//! A score as what it is made of, so that two models can be compared record by record.

use ptu_metrics::{Resampling, bootstrap_mean};

use super::{Gallery, Score};

/// A score that is a mean over answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measure {
    /// The row of the gallery that each answer belongs to.
    pub rows: Vec<usize>,
    /// The answers: 1 where right, 0 where wrong, or any number; `None` where there is none.
    pub values: Vec<Option<f64>>,
    /// What a guess would score.
    pub chance: Option<f64>,
}

impl Measure {
    /// One answer for each row of a gallery.
    pub fn of_rows(values: Vec<Option<f64>>, chance: Option<f64>) -> Self {
        Self { rows: (0..values.len()).collect(), values, chance }
    }

    /// The mean.
    pub fn mean(&self) -> Option<f64> {
        let (sum, count) =
            self.values.iter().flatten().fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
        (count > 0).then(|| sum / count as f64)
    }

    /// The mean with its interval by patient.
    pub fn score(&self, gallery: &Gallery, resampling: &Resampling) -> Score {
        Score::new(self.mean(), bootstrap_mean(&self.values, &self.patients(gallery), resampling), self.chance)
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
        Self { rows: self.rows.clone(), values: values.collect(), chance: self.chance }
    }

    /// The paired difference, `self - other`, with its interval: both answered the same questions. `None` where they did not.
    pub fn difference(&self, other: &Self, gallery: &Gallery, resampling: &Resampling) -> Option<Score> {
        if self.rows != other.rows {
            return None;
        }
        let values: Vec<Option<f64>> =
            self.values.iter().zip(&other.values).map(|(own, other)| Some((*own)? - (*other)?)).collect();
        let difference = Self { rows: self.rows.clone(), values, chance: Some(0.0) };
        Some(difference.score(gallery, resampling))
    }
}
