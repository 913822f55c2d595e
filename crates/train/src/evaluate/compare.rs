//! Two models on the same records, and several as one.

use ptu_metrics::Resampling;
use ptu_random::Key;
use serde::Serialize;

use super::{Evaluated, Score};

/// How much better one model is than another, record by record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The gallery.
    pub gallery: String,
    /// The score.
    pub score: String,
    /// First minus second, with its interval; undefined where both were asked different questions (words masked otherwise).
    pub difference: Score,
}

/// A score over several models.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The gallery.
    pub gallery: String,
    /// The score.
    pub score: String,
    /// Mean over the models; undefined where one of them has none.
    pub mean: Option<f64>,
    /// Standard deviation between the models (n - 1); undefined for one.
    pub deviation: Option<f64>,
    /// Number of models.
    pub models: usize,
}

/// Paired differences of every score that is a mean over answers. Galleries of equal names must hold the same records.
pub fn compare(first: &[Evaluated], second: &[Evaluated], seed: u64) -> Vec<Difference> {
    let resampling = Resampling::new(Key::new(seed));
    let mut differences = vec![];
    for one in first {
        let ids =
            |evaluated: &Evaluated| evaluated.gallery.records.iter().map(|pair| pair.id.clone()).collect::<Vec<_>>();
        let Some(other) = second.iter().find(|other| other.name == one.name && ids(other) == ids(one)) else {
            continue;
        };
        for (name, _) in one.scores.rows() {
            let Some((own, theirs)) = one.measures.get(&name).zip(other.measures.get(&name)) else { continue };
            let difference = own.difference(theirs, &one.gallery, &resampling).unwrap_or_default();
            differences.push(Difference { gallery: one.name.clone(), score: name, difference });
        }
    }
    differences
}

/// Mean and deviation of every score over models that were scored on the same galleries.
pub fn spread(models: &[Vec<Evaluated>]) -> Vec<Spread> {
    let mut spreads = vec![];
    for one in models.first().into_iter().flatten() {
        for (score, _) in one.scores.rows() {
            let of = |evaluated: &Vec<Evaluated>| {
                let gallery = evaluated.iter().find(|other| other.name == one.name)?;
                gallery.scores.rows().into_iter().find(|(name, _)| *name == score)?.1.value
            };
            let values: Option<Vec<f64>> = models.iter().map(of).collect();
            let (mean, deviation) = values.as_deref().map_or((None, None), mean_and_deviation);
            spreads.push(Spread { gallery: one.name.clone(), score, mean, deviation, models: models.len() });
        }
    }
    spreads
}

fn mean_and_deviation(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (Some(mean), (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_model_has_no_deviation() {
        assert_eq!(mean_and_deviation(&[0.5]), (Some(0.5), None));
        assert_eq!(mean_and_deviation(&[1.0, 2.0, 3.0]), (Some(2.0), Some(1.0)));
    }
}
