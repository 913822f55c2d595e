//! From tokens to words.

use ptu_input::{Text, Tokenizer};
use serde::Serialize;

/// A word with what it is worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WeightedWord {
    /// The word as the tokenizer writes it.
    pub word: String,
    /// The sum over its tokens.
    pub weight: f32,
}

/// The words of a text in their order; `tokens` has a value for each token. The first and the last token are no words; a token of white
/// space counts to the word behind it, or else to the last one.
pub fn words(text: &Text, tokens: &[f32], tokenizer: &Tokenizer) -> Vec<WeightedWord> {
    let count = text.words.iter().flatten().max().map_or(0, |last| last + 1);
    let mut weights = vec![0.0; count as usize];
    for place in 1..text.words.len().saturating_sub(1) {
        let word = text.words[place..].iter().flatten().next().copied().unwrap_or(count.saturating_sub(1));
        if let (Some(weight), Some(token)) = (weights.get_mut(word as usize), tokens.get(place)) {
            *weight += token;
        }
    }
    let word = |number: u32| {
        let own = text.ids.iter().zip(&text.words).filter(|(_, word)| **word == Some(number));
        let ids: Vec<u32> = own.map(|(id, _)| *id).collect();
        tokenizer.decode(&ids).map(|word| word.trim().to_string()).unwrap_or_default()
    };
    weights.into_iter().zip(0..count).map(|(weight, number)| WeightedWord { word: word(number), weight }).collect()
}
