//! Scores of the next token: log probabilities, and the best of them.

/// Log probabilities of logits, in f64: scores of whole texts are compared, and in f32 their sums would lose digits.
pub fn log_probabilities(logits: &[f32]) -> Vec<f64> {
    let scores: Vec<f64> = logits.iter().map(|x| f64::from(*x)).collect();
    let log_sum = log_sum_exp(&scores);
    scores.into_iter().map(|x| x - log_sum).collect()
}

/// Probabilities of scores; a score of minus infinity has probability 0. All are 0 if there is no finite score.
pub fn probabilities(scores: &[f64]) -> Vec<f64> {
    let log_sum = log_sum_exp(scores);
    if log_sum.is_finite() { scores.iter().map(|x| (x - log_sum).exp()).collect() } else { vec![0.0; scores.len()] }
}

fn log_sum_exp(scores: &[f64]) -> f64 {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + scores.iter().map(|x| (x - largest).exp()).sum::<f64>().ln()
}

/// The indices of the `count` largest finite scores, largest first; of equal scores the one with the lowest index comes first.
pub fn top(scores: &[f64], count: usize) -> Vec<usize> {
    // Few scores are wanted of very many, so a short sorted list is faster than sorting all.
    let mut best: Vec<usize> = Vec::with_capacity(count + 1);
    for (index, score) in scores.iter().enumerate().filter(|(_, score)| score.is_finite()) {
        if best.len() < count || best.last().is_some_and(|last| *score > scores[*last]) {
            let place = best.partition_point(|other| scores[*other] >= *score);
            best.insert(place, index);
            best.truncate(count);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_scores_come_first() {
        let scores = [1.0, 3.0, f64::NEG_INFINITY, 3.0, 2.0, f64::NAN];
        assert_eq!(top(&scores, 3), [1, 3, 4]);
        assert_eq!(top(&scores, 9), [1, 3, 4, 0]);
        assert!(top(&scores, 0).is_empty());
    }

    #[test]
    fn probabilities_sum_to_one() {
        let of = probabilities(&[0.0, f64::NEG_INFINITY, 3f64.ln()]);
        assert!((of[0] - 0.25).abs() < 1e-12 && of[1] == 0.0 && (of[2] - 0.75).abs() < 1e-12, "{of:?}");
        assert_eq!(probabilities(&[f64::NEG_INFINITY; 2]), [0.0; 2]);
        let logs = log_probabilities(&[0.0, 3f32.ln()]);
        assert!((logs[0] - 0.25f64.ln()).abs() < 1e-6, "{logs:?}");
    }
}
