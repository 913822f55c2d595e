//! Beam search, with or without sampling, as `_beam_search` of `transformers` 5.24 computes it for each input of a batch.

use rayon::prelude::*;

use super::limits::Limits;
use super::sampling::{Sampling, draw_without_replacement, filter};
use super::scores::{log_probabilities, probabilities, top};
use super::{EarlyStopping, Extension, Generated, StepModel, Uniforms};

/// Options of beam search.
#[derive(Clone, Copy, Debug)]
pub struct Beams {
    /// Number of hypotheses that are continued at each step, at least 2.
    pub num_beams: usize,
    /// Exponent of the length in the score of a finished hypothesis.
    pub length_penalty: f64,
    /// When the search ends.
    pub early_stopping: EarlyStopping,
    /// Whether continuations are sampled, and how.
    pub sampling: Option<Sampling>,
    /// Limits of length and repetition.
    pub limits: Limits,
}

/// Tokens with their score: the sum of log probabilities, divided by the length penalty once the hypothesis is finished.
#[derive(Clone, Debug)]
struct Hypothesis {
    ids: Vec<u32>,
    score: f64,
    /// Number among the input's hypotheses of the previous step.
    parent: usize,
}

/// The search of one input.
struct Search {
    /// Hypotheses that are continued, best first.
    running: Vec<Hypothesis>,
    /// The best finished hypotheses, best first; at most as many as beams.
    finished: Vec<Hypothesis>,
    uniforms: Uniforms,
    /// Number of its first hypothesis in the previous call of the network.
    first: usize,
}

/// A continuation of a hypothesis by one token.
struct Candidate {
    beam: usize,
    token: u32,
    score: f64,
}

/// Searches the best text of each input.
pub fn run(model: &mut impl StepModel, beams: &Beams, uniforms: Vec<Uniforms>) -> Vec<Generated> {
    let v = model.vocabulary();
    let start = || Hypothesis { ids: vec![beams.limits.start], score: 0.0, parent: 0 };
    let mut searches: Vec<Search> = uniforms
        .into_iter()
        .enumerate()
        .map(|(first, uniforms)| Search { running: vec![start()], finished: vec![], uniforms, first })
        .collect();
    let mut length = 1;
    while length < beams.limits.max_length {
        let mut extensions = vec![];
        for search in &mut searches {
            let first = extensions.len();
            extensions.extend(search.running.iter().map(|hypothesis| Extension {
                parent: search.first + hypothesis.parent,
                token: hypothesis.ids[length - 1],
            }));
            search.first = first;
        }
        if extensions.is_empty() {
            break;
        }
        let logits = model.step(&extensions);
        length += 1;
        searches.par_iter_mut().filter(|search| !search.running.is_empty()).for_each(|search| {
            let rows = &logits[search.first * v..(search.first + search.running.len()) * v];
            search.advance(rows, v, beams);
        });
    }
    searches.into_iter().map(Search::best).collect()
}

impl Search {
    /// Continues all hypotheses by one token, and keeps the best. `logits [hypotheses, v]`.
    fn advance(&mut self, logits: &[f32], v: usize, beams: &Beams) {
        let candidates = self.candidates(logits, v, beams);
        if candidates.is_empty() {
            // No token may follow: the best hypothesis is the result if nothing else is, although it has no end.
            self.running.truncate(usize::from(self.finished.is_empty()));
            self.finished.append(&mut self.running);
            return;
        }
        let length = self.running[0].ids.len() + 1;
        let (mut next, mut ended) = (vec![], vec![]);
        for (rank, candidate) in candidates.into_iter().enumerate() {
            let mut ids = self.running[candidate.beam].ids.clone();
            ids.push(candidate.token);
            let continued = Hypothesis { ids, score: candidate.score, parent: candidate.beam };
            if !beams.limits.ends(length, candidate.token) {
                next.push(continued);
            } else if rank < beams.num_beams {
                // An end among the other candidates is dropped: those are there only so that enough hypotheses go on.
                ended.push(Hypothesis { score: candidate.score / penalty(length - 1, beams), ..continued });
            }
        }
        next.truncate(beams.num_beams);
        self.running = next;
        self.finished.extend(ended);
        self.finished.sort_by(|x, y| y.score.total_cmp(&x.score));
        self.finished.truncate(beams.num_beams);
        if self.is_done(length, beams) {
            self.running.clear();
        }
    }

    /// The best continuations of all hypotheses together, best first: twice as many as beams, so that enough of them go on even
    /// if the best ones end.
    fn candidates(&mut self, logits: &[f32], v: usize, beams: &Beams) -> Vec<Candidate> {
        let count = 2 * beams.num_beams;
        let mut scores = Vec::with_capacity(logits.len());
        for (hypothesis, logits) in self.running.iter().zip(logits.chunks_exact(v)) {
            let mut row = log_probabilities(logits);
            beams.limits.apply(&hypothesis.ids, &mut row);
            if let Some(sampling) = &beams.sampling {
                filter(&mut row, sampling, 2);
            }
            scores.extend(row.into_iter().map(|score| score + hypothesis.score));
        }
        let chosen = match beams.sampling {
            None => top(&scores, count),
            Some(_) => {
                let uniforms: Vec<f64> = (0..count).map(|_| (self.uniforms)()).collect();
                let mut drawn = draw_without_replacement(&probabilities(&scores), &uniforms);
                drawn.sort_by(|x, y| scores[*y].total_cmp(&scores[*x]));
                drawn
            }
        };
        let candidate = |index: usize| Candidate { beam: index / v, token: (index % v) as u32, score: scores[index] };
        chosen.into_iter().map(candidate).collect()
    }

    /// Whether the search of this input has ended with hypotheses of this length.
    fn is_done(&self, length: usize, beams: &Beams) -> bool {
        let Some(best) = self.running.first() else { return true };
        let Some(worst) = self.finished.last().filter(|_| self.finished.len() == beams.num_beams) else { return false };
        let length = match beams.early_stopping {
            EarlyStopping::Full => return true,
            EarlyStopping::Never if beams.length_penalty > 0.0 => beams.limits.max_length,
            EarlyStopping::Never | EarlyStopping::Heuristic => length,
        };
        best.score / penalty(length - 1, beams) <= worst.score
    }

    /// The result: the best finished hypothesis, or what is running if nothing could be finished.
    fn best(self) -> Generated {
        let best = self.finished.into_iter().chain(self.running).next();
        best.map_or(Generated { ids: vec![], score: None }, |best| Generated { ids: best.ids, score: Some(best.score) })
    }
}

/// What the score of a hypothesis of this many generated tokens is divided by.
fn penalty(generated: usize, beams: &Beams) -> f64 {
    (generated as f64).powf(beams.length_penalty)
}
