//! One hypothesis for each input: greedy generation and sampling.

use rayon::prelude::*;

use super::limits::Limits;
use super::sampling::{Sampling, draw, filter};
use super::scores::{probabilities, top};
use super::{Extension, Generated, StepModel, Uniforms};

/// A text that is being generated.
struct Text {
    ids: Vec<u32>,
    uniforms: Uniforms,
}

/// Generates one token after the other, the most likely one or a sampled one, until each text has ended.
pub fn run(
    model: &mut impl StepModel,
    limits: &Limits,
    sampling: Option<Sampling>,
    uniforms: Vec<Uniforms>,
) -> Vec<Generated> {
    let v = model.vocabulary();
    let mut texts: Vec<Text> =
        uniforms.into_iter().map(|uniforms| Text { ids: vec![limits.start], uniforms }).collect();
    // The numbers of the texts that go on; a hypothesis of the network is a place in this list.
    let mut running: Vec<usize> = (0..texts.len()).filter(|_| limits.max_length > 1).collect();
    let mut extensions: Vec<Extension> =
        running.iter().map(|&parent| Extension { parent, token: limits.start }).collect();
    while !extensions.is_empty() {
        let logits = model.step(&extensions);
        let mut each: Vec<&mut Text> = vec![];
        let mut wanted = running.iter().peekable();
        for (number, text) in texts.iter_mut().enumerate() {
            if wanted.next_if(|wanted| **wanted == number).is_some() {
                each.push(text);
            }
        }
        each.into_par_iter().zip(logits.par_chunks_exact(v)).for_each(|(text, logits)| {
            let token = next(text, logits, limits, sampling);
            text.ids.push(token);
        });
        let mut still = vec![];
        extensions.clear();
        for (parent, &number) in running.iter().enumerate() {
            let ids = &texts[number].ids;
            let token = ids[ids.len() - 1];
            if !limits.ends(ids.len(), token) {
                still.push(number);
                extensions.push(Extension { parent, token });
            }
        }
        running = still;
    }
    texts.into_iter().map(|text| Generated { ids: text.ids, score: None }).collect()
}

/// The next token of a text. If no token may follow, the text ends.
fn next(text: &mut Text, logits: &[f32], limits: &Limits, sampling: Option<Sampling>) -> u32 {
    let mut scores: Vec<f64> = logits.iter().map(|x| f64::from(*x)).collect();
    limits.apply(&text.ids, &mut scores);
    let token = match sampling {
        None => top(&scores, 1).first().copied(),
        Some(sampling) => {
            filter(&mut scores, &sampling, 1);
            draw(&probabilities(&scores), (text.uniforms)())
        }
    };
    token.map_or(limits.end, |token| token as u32)
}
