//! Comparison of two models on the same records, and mean and standard deviation over several models.

use ptu_metrics::{Resampling, mean_and_deviation};
use ptu_random::Key;
use serde::Serialize;

use crate::run::Evaluated;
use crate::scored_on::RetrievalProtocol;
use crate::scores::{Score, names};

/// The difference of a score between two models, paired by record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Name of the gallery.
    pub gallery: String,
    /// Name of the score.
    pub score: String,
    /// First minus second, with its confidence interval; undefined if the two models had different questions (other words
    /// masked).
    pub difference: Score,
    /// True if a difference below 0 means that the first model is better.
    pub lower_is_better: bool,
}

/// Mean and standard deviation of a score over several models.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Name of the gallery.
    pub gallery: String,
    /// Name of the score.
    pub score: String,
    /// Mean over the models; undefined if one of them does not have the score, or was scored on other pairs.
    pub mean: Option<f64>,
    /// Standard deviation over the models (with n - 1); undefined for a single model.
    pub deviation: Option<f64>,
    /// Number of models.
    pub models: usize,
    /// True if all models were scored on the same pairs with the same right answers.
    pub same_pairs: bool,
}

/// Paired differences of every score, for the galleries that both models have with the same name and the same records. The ranking of a
/// model that was fine-tuned for retrieval is also compared with the reranked results of the other model, if it has some.
pub fn compare(first: &[Evaluated], second: &[Evaluated], seed: u64) -> Vec<Difference> {
    let resampling = Resampling::new(Key::new(seed));
    let mut differences = vec![];
    for one in first {
        let Some(other) = second.iter().find(|other| other.name == one.name && same_records(one, other)) else {
            continue;
        };
        for (name, _) in one.scores.rows() {
            let Some((measure, baseline)) = one.measures.get(&name).zip(other.measures.get(&name)) else { continue };
            let comparable = !names::is_of_words(&name) || same_masks(one, other);
            let difference = measure.difference(baseline, &one.gallery, &resampling).filter(|_| comparable);
            let mut push = |score: String, difference: Option<Score>| {
                let (gallery, lower_is_better) = (one.name.clone(), measure.aggregation.lower_is_better());
                let difference = difference.unwrap_or_default();
                differences.push(Difference { gallery, score, difference, lower_is_better });
            };
            // What a ranking of all pairs has to beat is not only the other's search, but also its reranked result.
            let reranked = other.measures.get(&format!("{name}{}", names::RERANKED)).filter(|_| ranks_all_pairs(one));
            push(name.clone(), difference);
            if let Some(reranked) = reranked {
                let difference = measure.difference(reranked, &one.gallery, &resampling);
                push(format!("{name}{}", names::OTHER_RERANKED), difference);
            }
        }
    }
    differences
}

/// True if the model was fine-tuned for retrieval, so that its scores are those of the ranking of all pairs.
fn ranks_all_pairs(evaluated: &Evaluated) -> bool {
    let set = evaluated.scores.scored_on.as_ref();
    set.is_some_and(|set| set.protocol == RetrievalProtocol::Ranking)
}

fn same_records(one: &Evaluated, other: &Evaluated) -> bool {
    let ids = |evaluated: &Evaluated| evaluated.gallery.records.iter().map(|pair| pair.id.clone()).collect::<Vec<_>>();
    ids(one) == ids(other)
}

/// True if the same tokens were masked.
fn same_masks(one: &Evaluated, other: &Evaluated) -> bool {
    one.gallery.records.iter().map(|pair| &pair.masked).eq(other.gallery.records.iter().map(|pair| &pair.masked))
}

/// Mean and standard deviation of every score over models that were scored on the same galleries.
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
