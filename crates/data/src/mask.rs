//! Whole-word masking (specification, section 3).

use std::collections::BTreeSet;

use ptu_input::{Text, Tokenizer};
use ptu_random::Stream;

/// The share of the words that is masked.
const MASKED_SHARE: f64 = 0.15;

/// A random number in [0, 1) decides about each token of a masked word: below `AS_MASK` the mask token replaces it, from there to
/// below `AS_RANDOM` a random token, above it is unchanged.
const AS_MASK: f64 = 0.8;
const AS_RANDOM: f64 = 0.9;

/// The token ids that masking needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskTokens {
    /// Id of the mask token.
    pub mask: u32,
    /// The number of token ids.
    pub vocabulary: u32,
    /// Ids that never replace a word, sorted.
    special: Vec<u32>,
}

impl MaskTokens {
    /// Takes the id of the mask token, the size of the vocabulary, and the ids of the special tokens.
    pub fn new(mask: u32, vocabulary: u32, special: impl IntoIterator<Item = u32>) -> Self {
        let special: BTreeSet<u32> = special.into_iter().filter(|id| *id < vocabulary).collect();
        Self { mask, vocabulary, special: special.into_iter().collect() }
    }

    /// The ids of a tokenizer.
    pub fn of(tokenizer: &Tokenizer) -> Self {
        let special = tokenizer.special();
        let size = u32::try_from(tokenizer.vocabulary_size()).unwrap_or(u32::MAX);
        let ids = [special.start, special.end, special.pad, special.mask, special.unknown];
        Self::new(special.mask, size, ids)
    }

    /// A uniformly random id that is not special; `None` when all ids are special.
    fn random(&self, stream: &mut Stream) -> Option<u32> {
        let ordinary = self.vocabulary as usize - self.special.len();
        if ordinary == 0 {
            return None;
        }
        // Finds the n-th ordinary id: each special id at or below the current id moves it up by one.
        let drawn = stream.below(ordinary) as u32;
        Some(self.special.iter().fold(drawn, |id, special| id + u32::from(*special <= id)))
    }
}

/// A text with masked words, and the original ids of the masked tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    /// Token ids with replacements, as many as the text has.
    pub ids: Vec<u32>,
    /// The original id of each masked token; `None` for tokens that are not to be predicted.
    pub labels: Vec<Option<u32>>,
}

/// Drops words (word dropout): each word is removed with all its tokens with probability `1 - keep`, but at least one word stays.
/// It can happen that no word is removed. Special tokens stay.
pub fn drop_words(text: &Text, keep: f64, stream: &mut Stream) -> Text {
    let words = words(text);
    let mut kept: BTreeSet<u32> = words.iter().copied().filter(|_| stream.unit() < keep).collect();
    if kept.is_empty() {
        kept.extend(stream.choose(&words));
    }
    let tokens = text.ids.iter().zip(&text.words).filter(|(_, word)| word.is_none_or(|word| kept.contains(&word)));
    let (ids, words) = tokens.map(|(id, word)| (*id, *word)).unzip();
    Text { ids, words }
}

/// The numbers of the words of a text, each once, in order.
fn words(text: &Text) -> Vec<u32> {
    let words: BTreeSet<u32> = text.words.iter().flatten().copied().collect();
    words.into_iter().collect()
}

/// Masks max(1, round(0.15 x words)) words with all their tokens. Of these tokens, 80 % are replaced by the mask token, 10 % by a
/// random token that is not special, and 10 % stay unchanged. A text without words stays unchanged.
pub fn mask(text: &Text, tokens: &MaskTokens, stream: &mut Stream) -> Masked {
    let mut words = words(text);
    let count = if words.is_empty() { 0 } else { ((MASKED_SHARE * words.len() as f64).round() as usize).max(1) };
    stream.shuffle(&mut words);
    let hidden: BTreeSet<u32> = words.into_iter().take(count).collect();
    let mut masked = Masked { ids: text.ids.clone(), labels: vec![None; text.ids.len()] };
    for (position, word) in text.words.iter().enumerate() {
        if word.is_some_and(|word| hidden.contains(&word)) {
            masked.labels[position] = Some(text.ids[position]);
            let share = stream.unit();
            if share < AS_MASK {
                masked.ids[position] = tokens.mask;
            } else if share < AS_RANDOM {
                masked.ids[position] = tokens.random(stream).unwrap_or(tokens.mask);
            }
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptu_random::{Key, Place};

    const MASK: u32 = 4;

    fn tokens() -> MaskTokens {
        MaskTokens::new(MASK, 50, [0, 1, 2, 3, MASK, 49])
    }

    /// `words` words of one to three tokens between two special tokens; the token ids identify the word.
    fn text(words: u32) -> Text {
        let mut text = Text { ids: vec![0], words: vec![None] };
        for word in 0..words {
            for _ in 0..1 + word % 3 {
                text.ids.push(5 + word % 40);
                text.words.push(Some(word));
            }
        }
        text.ids.push(2);
        text.words.push(None);
        text
    }

    fn masked(text: &Text, step: u64) -> Masked {
        mask(text, &tokens(), &mut Key::new(3).at(step).stream(Place::Mask, 0))
    }

    #[test]
    fn whole_words_are_masked_and_special_tokens_never() {
        for (words, count) in [(1, 1), (3, 1), (10, 2), (30, 5), (37, 6)] {
            let text = text(words);
            for step in 0..50 {
                let masked = masked(&text, step);
                let mut hidden = BTreeSet::new();
                for (place, label) in masked.labels.iter().enumerate() {
                    match label {
                        Some(label) => {
                            assert_eq!(*label, text.ids[place]);
                            hidden.insert(text.words[place].expect("a special token was masked"));
                        }
                        None => assert_eq!(masked.ids[place], text.ids[place]),
                    }
                }
                assert_eq!(hidden.len(), count, "{words} words");
                for (place, word) in text.words.iter().enumerate() {
                    assert_eq!(masked.labels[place].is_some(), word.is_some_and(|word| hidden.contains(&word)));
                }
            }
        }
    }

    #[test]
    fn masked_tokens_become_the_mask_a_random_token_or_stay() {
        let (text, mut counts, mut random) = (text(30), [0usize; 3], BTreeSet::new());
        for step in 0..4_000 {
            let masked = masked(&text, step);
            for (id, label) in masked.ids.iter().zip(&masked.labels).filter_map(|(id, label)| Some((id, (*label)?))) {
                counts[if *id == MASK {
                    0
                } else if *id == label {
                    2
                } else {
                    1
                }] += 1;
                if *id != MASK && *id != label {
                    random.insert(*id);
                }
            }
        }
        let total = counts.iter().sum::<usize>() as f64;
        let shares = counts.map(|count| count as f64 / total);
        // One random token in 44 equals the original token and counts as unchanged.
        for (share, due) in shares.iter().zip([0.8, 0.1 * 43.0 / 44.0, 0.1 + 0.1 / 44.0]) {
            assert!((share - due).abs() < 0.01, "{shares:?}");
        }
        assert_eq!(random, (5..49).collect(), "every ordinary token is sampled, and no special token");
    }

    #[test]
    fn a_text_without_words_stays_unchanged() {
        let text = Text { ids: vec![0, 2], words: vec![None, None] };
        assert_eq!(masked(&text, 0), Masked { ids: vec![0, 2], labels: vec![None, None] });
        let only_special = MaskTokens::new(0, 1, [0, 7]);
        assert_eq!(only_special.random(&mut Key::new(1).stream(Place::Mask, 0)), None);
    }

    #[test]
    fn every_word_has_an_equal_chance() {
        let (text, mut counts) = (text(10), [0usize; 10]);
        for step in 0..5_000 {
            let masked = masked(&text, step);
            let hidden: BTreeSet<u32> =
                text.words.iter().zip(&masked.labels).filter_map(|(word, label)| label.and(*word)).collect();
            hidden.into_iter().for_each(|word| counts[word as usize] += 1);
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn whole_words_are_dropped_and_one_always_stays() {
        let (text, mut total) = (text(10), 0);
        for step in 0..2_000 {
            let shortened = drop_words(&text, 0.3, &mut Key::new(3).at(step).stream(Place::Words, 0));
            let kept = words(&shortened);
            let due = text.ids.iter().zip(&text.words).filter(|(_, word)| word.is_none_or(|word| kept.contains(&word)));
            let due: (Vec<_>, Vec<_>) = due.map(|(id, word)| (*id, *word)).unzip();
            assert_eq!((shortened.ids, shortened.words), due);
            assert!(!kept.is_empty());
            total += kept.len();
        }
        // Three of ten words are kept on average; in 0.7^10 of all cases none would be kept, and one stays instead.
        assert!((total as f64 / 2_000.0 - 3.028).abs() < 0.15, "{total}");
        let one = drop_words(&text, 1e-9, &mut Key::new(3).stream(Place::Words, 0));
        assert_eq!(words(&one).len(), 1);
        let none = Text { ids: vec![0, 2], words: vec![None, None] };
        assert_eq!(drop_words(&none, 0.5, &mut Key::new(3).stream(Place::Words, 0)).ids, none.ids);
    }
}
