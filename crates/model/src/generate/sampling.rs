//! Sampling of tokens: the filters temperature, top-k and top-p, and draws with given uniform numbers.

use serde::{Deserialize, Serialize};

use super::{ensure, scores::probabilities};
use crate::ModelError;

/// How the distribution of the next token is changed before a token is sampled. The defaults change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Scores are divided by the temperature.
    pub temperature: f64,
    /// Only this many of the most likely tokens are sampled from; 0 for all.
    pub top_k: usize,
    /// Only the most likely tokens whose probabilities add up to this share are sampled from (nucleus sampling); 1 for all.
    pub top_p: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0 }
    }
}

impl Sampling {
    pub(super) fn check(&self) -> Result<(), ModelError> {
        let Self { temperature, top_p, .. } = self;
        ensure((1e-4..=1e4).contains(temperature), "temperature", || {
            format!("is {temperature}; it must be between 0.0001 and 10000")
        })?;
        ensure((0.0..=1.0).contains(top_p), "top_p", || format!("is {top_p}; it must be between 0 and 1"))
    }
}

/// Divides scores by the temperature and sets those that top-k and top-p leave out to minus infinity; at least `keep` of the
/// largest are kept. The same as the processors `Temperature`, `TopK` and `TopP` of `transformers`, in this order.
pub fn filter(scores: &mut [f64], sampling: &Sampling, keep: usize) {
    let Sampling { temperature, top_k, top_p } = *sampling;
    scores.iter_mut().for_each(|score| *score /= temperature);
    let count = top_k.max(keep).min(scores.len());
    if top_k > 0 && count > 0 {
        let mut sorted = scores.to_vec();
        // Scores that are equal to the last one that is kept are kept too.
        let least = *sorted.select_nth_unstable_by(count - 1, |x, y| y.total_cmp(x)).1;
        scores.iter_mut().filter(|score| **score < least).for_each(|score| *score = f64::NEG_INFINITY);
    }
    if top_p < 1.0 {
        let all = probabilities(scores);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|x, y| scores[*x].total_cmp(&scores[*y]));
        let (mut sum, removable) = (0.0, scores.len().saturating_sub(keep));
        for &index in &order[..removable] {
            sum += all[index];
            if sum > 1.0 - top_p {
                break;
            }
            scores[index] = f64::NEG_INFINITY;
        }
    }
}

/// An index drawn with probability proportional to its weight, for a uniform number in [0, 1): the first index whose cumulative
/// weight is above the number's share of the total. `None` if no weight is positive.
pub fn draw(weights: &[f64], uniform: f64) -> Option<usize> {
    let positive = || weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0);
    let wanted = uniform * positive().map(|(_, weight)| weight).sum::<f64>();
    let (mut sum, mut last) = (0.0, None);
    for (index, weight) in positive() {
        (sum, last) = (sum + weight, Some(index));
        if sum > wanted {
            break;
        }
    }
    last
}

/// As many different indices as there are uniform numbers, drawn one after the other, each with probability proportional to its
/// weight among those that are left. Fewer, if fewer weights are positive.
pub fn draw_without_replacement(weights: &[f64], uniforms: &[f64]) -> Vec<usize> {
    let mut left = weights.to_vec();
    let drawn = uniforms.iter().map_while(|uniform| {
        let index = draw(&left, *uniform)?;
        left[index] = 0.0;
        Some(index)
    });
    drawn.collect()
}

#[cfg(test)]
mod tests {
    use ptu_random::{Key, Place};

    use super::*;

    #[test]
    fn draws_follow_the_uniform_number() {
        let weights = [0.0, 1.0, 2.0, 0.0, 1.0, 0.0];
        let drawn = [0.0, 0.24, 0.25, 0.74, 0.75, 0.999_999].map(|uniform| draw(&weights, uniform));
        assert_eq!(drawn, [1, 1, 2, 2, 4, 4].map(Some));
        assert_eq!(draw(&[0.0, 0.0], 0.5), None);
        assert_eq!(draw_without_replacement(&weights, &[0.5, 0.0, 0.9, 0.9]), [2, 1, 4]);
    }

    /// The probability of a pair without replacement is p(a) p(b) / (1 - p(a)).
    #[test]
    fn draws_without_replacement_have_the_right_probabilities() {
        let (weights, mut stream) = ([0.5, 0.3, 0.2], Key::new(3).stream(Place::Generation, 0));
        let mut counts = [[0usize; 3]; 3];
        for _ in 0..100_000 {
            let drawn = draw_without_replacement(&weights, &[stream.unit(), stream.unit()]);
            counts[drawn[0]][drawn[1]] += 1;
        }
        for (a, row) in counts.iter().enumerate() {
            for (b, count) in row.iter().enumerate() {
                let expected = if a == b { 0.0 } else { weights[a] * weights[b] / (1.0 - weights[a]) };
                assert!((*count as f64 / 1e5 - expected).abs() < 0.006, "{a} {b}: {count}");
            }
        }
    }

    #[test]
    fn filters_keep_what_they_say() {
        let kept = |sampling: Sampling, keep: usize| {
            let mut scores: Vec<f64> = [0.4f64, 0.1, 0.3, 0.1, 0.1].iter().map(|p| p.ln()).collect();
            filter(&mut scores, &sampling, keep);
            (0..5).filter(|index| scores[*index].is_finite()).collect::<Vec<usize>>()
        };
        let of = |top_k, top_p| Sampling { top_k, top_p, ..Sampling::default() };
        assert_eq!(kept(of(2, 1.0), 1), [0, 2]);
        assert_eq!(kept(of(3, 1.0), 1), [0, 1, 2, 3, 4], "equal scores are kept together");
        assert_eq!(kept(of(1, 1.0), 2), [0, 2]);
        assert_eq!(kept(of(0, 0.65), 1), [0, 2]);
        assert_eq!(kept(of(0, 0.0), 1), [0]);
        assert_eq!(kept(of(0, 0.0), 2), [0, 2]);
        assert_eq!(kept(of(9, 1.0), 1), [0, 1, 2, 3, 4]);
    }
}
