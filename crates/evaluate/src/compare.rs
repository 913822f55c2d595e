//! Two models on the same records, and several as one.

use ptu_metrics::Resampling;
use ptu_random::Key;
use serde::Serialize;

use crate::run::Evaluated;
use crate::scores::{Score, names};

/// How much better one model is than another, record by record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The gallery.
    pub gallery: String,
    /// The score.
    pub score: String,
    /// First minus second, with its interval; undefined where both were asked different questions (words masked otherwise).
    pub difference: Score,
    /// Whether a difference below 0 speaks for the first.
    pub lower_is_better: bool,
}

/// A score over several models.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The gallery.
    pub gallery: String,
    /// The score.
    pub score: String,
    /// Mean over the models; undefined where one of them has none, or was scored on other pairs.
    pub mean: Option<f64>,
    /// Standard deviation between the models (n - 1); undefined for one.
    pub deviation: Option<f64>,
    /// Number of models.
    pub models: usize,
    /// Whether all were scored on the same pairs with the same right answers.
    pub same_pairs: bool,
}

/// Paired differences of every score. Galleries of equal names must hold the same records.
pub fn compare(first: &[Evaluated], second: &[Evaluated], seed: u64) -> Vec<Difference> {
    let resampling = Resampling::new(Key::new(seed));
    let mut differences = vec![];
    for one in first {
        let Some(other) = second.iter().find(|other| other.name == one.name && same_records(one, other)) else {
            continue;
        };
        for (name, _) in one.scores.rows() {
            let Some((own, theirs)) = one.measures.get(&name).zip(other.measures.get(&name)) else { continue };
            let comparable = !names::is_of_words(&name) || same_masks(one, other);
            let difference = own.difference(theirs, &one.gallery, &resampling).filter(|_| comparable);
            differences.push(Difference {
                gallery: one.name.clone(),
                score: name,
                difference: difference.unwrap_or_default(),
                lower_is_better: own.kind.lower_is_better(),
            });
        }
    }
    differences
}

fn same_records(one: &Evaluated, other: &Evaluated) -> bool {
    let ids = |evaluated: &Evaluated| evaluated.gallery.records.iter().map(|pair| pair.id.clone()).collect::<Vec<_>>();
    ids(one) == ids(other)
}

/// Whether the same words were hidden as the same tokens.
fn same_masks(one: &Evaluated, other: &Evaluated) -> bool {
    one.gallery.records.iter().map(|pair| &pair.masked).eq(other.gallery.records.iter().map(|pair| &pair.masked))
}

/// Mean and deviation of every score over models that were scored on the same galleries.
pub fn spread(models: &[Vec<Evaluated>]) -> Vec<Spread> {
    let mut spreads = vec![];
    for one in models.first().into_iter().flatten() {
        let of_same = |evaluated: &Evaluated| {
            let sets = evaluated.scores.scored_on.as_ref().zip(one.scores.scored_on.as_ref());
            sets.is_some_and(|(other, own)| other.same_pairs(own)) && same_records(evaluated, one)
        };
        let galleries: Option<Vec<&Evaluated>> =
            models.iter().map(|model| model.iter().find(|other| other.name == one.name && of_same(other))).collect();
        for (score, _) in one.scores.rows() {
            let of = |gallery: &&Evaluated| gallery.scores.rows().into_iter().find(|(name, _)| *name == score)?.1.value;
            let values: Option<Vec<f64>> = galleries.as_ref().and_then(|galleries| galleries.iter().map(of).collect());
            let (mean, deviation) = values.as_deref().map_or((None, None), mean_and_deviation);
            let (gallery, models, same_pairs) = (one.name.clone(), models.len(), galleries.is_some());
            spreads.push(Spread { gallery, score, mean, deviation, models, same_pairs });
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
