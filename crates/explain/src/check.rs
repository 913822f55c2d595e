//! Whether explanations say something about the model: three checks that a useless map fails.

use ptu_input::{Image, Input};
use ptu_random::{Key, Place};
use serde::Serialize;

use crate::{ExplainError, Explainer, Explanation, Goal, Method};

/// The share of the patches that is deleted.
const DELETED: f64 = 0.1;
/// How many random sets of patches are deleted for comparison.
const RANDOM_SETS: u64 = 5;

/// The checks of one explained image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checked {
    /// The score that is explained.
    pub score: f32,
    /// What the score loses if the tenth of the patches that is worth most becomes one colour.
    pub deletion: f32,
    /// What it loses on average if as many random patches become one colour.
    pub random_deletion: f32,
    /// The map.
    pub patches: Vec<f32>,
    /// The map of the same network with random weights (Adebayo et al., "Sanity Checks for Saliency Maps", 2018).
    pub random_weights: Vec<f32>,
}

/// A model and the same network with random weights.
#[derive(Clone, Copy)]
pub struct Checker<'e> {
    /// The model.
    pub explainer: &'e Explainer,
    /// The network with random weights.
    pub randomised: &'e Explainer,
    /// Draws the random patches.
    pub key: Key,
}

impl Checker<'_> {
    /// Checks the explanation of a score of each input with an image; `number` of the first input among all names the random patches.
    ///
    /// # Errors
    /// As [`Explainer::explain`]; also if an input has no image.
    pub fn check(
        &self,
        inputs: &[Input],
        goals: &[Goal],
        method: Method,
        number: usize,
    ) -> Result<Vec<Checked>, ExplainError> {
        let maps = self.explainer.explain(inputs, goals, method)?;
        let random = self.randomised.explain(inputs, goals, method)?;
        let mut changed = vec![];
        for (place, (input, map)) in inputs.iter().zip(&maps).enumerate() {
            let patches = patches_of(map)?;
            let count = ((patches.len() as f64 * DELETED).round() as usize).max(1);
            let mut order: Vec<usize> = (0..patches.len()).collect();
            order.sort_by(|&one, &other| patches[other].total_cmp(&patches[one]));
            changed.push(without(input, &order[..count], patches.len()));
            for set in 0..RANDOM_SETS {
                let mut stream = self.key.stream(Place::Sample, (number + place) as u64 * RANDOM_SETS + set);
                stream.shuffle(&mut order);
                changed.push(without(input, &order[..count], patches.len()));
            }
        }
        let sets = 1 + RANDOM_SETS as usize;
        let repeated: Vec<Goal> = goals.iter().flat_map(|goal| std::iter::repeat_n(*goal, sets)).collect();
        let scores = self.explainer.scores(&changed, &repeated)?;
        let checked = maps.iter().zip(&random).zip(scores.chunks_exact(sets)).map(|((map, random), scores)| {
            let kept = scores[1..].iter().sum::<f32>() / RANDOM_SETS as f32;
            Ok(Checked {
                score: map.score,
                deletion: map.score - scores[0],
                random_deletion: map.score - kept,
                patches: patches_of(map)?.to_vec(),
                random_weights: patches_of(random)?.to_vec(),
            })
        });
        checked.collect()
    }
}

fn patches_of(explanation: &Explanation) -> Result<&[f32], ExplainError> {
    explanation
        .patches
        .as_deref()
        .ok_or_else(|| ExplainError::Goal("explanations of images are checked, and there is none".into()))
}

/// An input whose image has one colour, 0 after the normalisation, in some of its patches.
fn without(input: &Input, deleted: &[usize], patches: usize) -> Input {
    let mut input = input.clone();
    let (Input::Pair { image, .. } | Input::Image(image)) = &mut input else { return input };
    let (Image { side, planes, .. }, grid) = (image, patches.isqrt());
    let size = *side / grid.max(1);
    for patch in deleted {
        let (top, left) = (patch / grid * size, patch % grid * size);
        for (channel, row) in (0..3).flat_map(|channel| (top..top + size).map(move |row| (channel, row))) {
            let start = (channel * *side + row) * *side + left;
            planes[start..start + size].fill(0.0);
        }
    }
    input
}
