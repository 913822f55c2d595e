//! Training of a small byte-level BPE in RoBERTa's format.
//!
//! The trainer of `tokenizers` is not used, because its result is not reproducible: its hash tables have random keys, and the
//! order of equal candidates depends on them, so equal texts can give different files.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};

use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::tokenizer::Tokenizer;
use crate::InputError;

/// RoBERTa's names of the special tokens. The last one gets the last id of the vocabulary.
const ROBERTA: [&str; 5] = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];

/// The origin of a trained tokenizer, for messages.
const ORIGIN: &str = "the given texts";

/// The longest word that is used for training, in characters. Longer runs without white space are not words.
const MAX_WORD: usize = 64;

/// A pair must occur at least this often to become a token.
const LEAST_COUNT: u64 = 2;

type Pair = (u32, u32);

impl Tokenizer {
    /// Trains a tokenizer of at most `vocabulary` tokens: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, the 256 bytes, the
    /// most frequent merges, and `<mask>` last. Fewer texts give fewer tokens. Equal texts in any order give equal files.
    ///
    /// # Errors
    /// If `vocabulary` is below 261: the special tokens and the 256 bytes alone need as many.
    pub fn train<'a>(texts: impl IntoIterator<Item = &'a str>, vocabulary: usize) -> Result<Self, InputError> {
        let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
        alphabet.sort_unstable();
        let [start, pad, end, unknown, mask] = ROBERTA;
        let mut tokens: Vec<String> = [start, pad, end, unknown].map(String::from).to_vec();
        tokens.extend(alphabet.into_iter().map(String::from));
        let failed = |cause: String| InputError::Tokenizer { origin: ORIGIN.into(), cause };
        let room = vocabulary.checked_sub(tokens.len() + 1).ok_or_else(|| {
            failed(format!("a vocabulary of {vocabulary} is too small; allow at least {}", tokens.len() + 1))
        })?;
        let words = count_words(texts).map_err(|error| failed(error.to_string()))?;
        let mut trainer = BpeTrainer::new(tokens, &words);
        trainer.learn_merges(room);
        let (mut tokens, merges) = (trainer.tokens, trainer.merges);
        tokens.push(mask.into());
        let merges =
            merges.into_iter().map(|(a, b)| (tokens[a as usize].clone(), tokens[b as usize].clone())).collect();
        Self::byte_level(tokens.into_iter().zip(0..).collect(), merges, ORIGIN)
    }
}

/// Counts each word, in the alphabet of byte-level BPE, sorted. A word is a run of letters, of digits or of other characters,
/// with the space before it. These are never mixed, so no word can become `<s>`.
fn count_words<'a>(texts: impl IntoIterator<Item = &'a str>) -> tokenizers::Result<BTreeMap<String, u64>> {
    let splitter = ByteLevel::new(false, true, true);
    let mut counts: HashMap<String, u64> = HashMap::new();
    for text in texts {
        let mut text = PreTokenizedString::from(text);
        splitter.pre_tokenize(&mut text)?;
        for (word, _, _) in text.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(word.into(), 1);
                }
            }
        }
    }
    Ok(counts.into_iter().filter(|(word, _)| word.chars().count() <= MAX_WORD).collect())
}

/// The state of the training.
struct BpeTrainer {
    tokens: Vec<String>,
    ids: HashMap<String, u32>,
    /// Each word as its current tokens, and its count.
    words: Vec<(Vec<u32>, u64)>,
    /// The current count of each pair of neighbouring tokens.
    counts: HashMap<Pair, u64>,
    /// For each pair, the words in which it occurs or did occur earlier.
    words_with_pair: HashMap<Pair, BTreeSet<usize>>,
    /// Pairs with their counts at the time when they were pushed. Among equal counts, the smallest pair comes first.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
    merges: Vec<Pair>,
}

impl BpeTrainer {
    fn new(tokens: Vec<String>, words: &BTreeMap<String, u64>) -> Self {
        let ids: HashMap<String, u32> = tokens.iter().cloned().zip(0..).collect();
        let split =
            |word: &str| word.chars().filter_map(|letter| ids.get(letter.to_string().as_str()).copied()).collect();
        let words = words.iter().map(|(word, &count)| (split(word), count)).collect();
        let (counts, words_with_pair, queue, merges) = (HashMap::new(), HashMap::new(), BinaryHeap::new(), vec![]);
        let mut trainer = Self { tokens, ids, words, counts, words_with_pair, queue, merges };
        for word in 0..trainer.words.len() {
            trainer.count_pairs(word);
        }
        trainer.queue.extend(trainer.counts.iter().map(|(&pair, &count)| (count, Reverse(pair))));
        trainer
    }

    /// Adds the pairs of the word with this index to the counts.
    fn count_pairs(&mut self, index: usize) {
        let (word, times) = &self.words[index];
        for pair in word.windows(2) {
            let pair = (pair[0], pair[1]);
            *self.counts.entry(pair).or_default() += times;
            self.words_with_pair.entry(pair).or_default().insert(index);
        }
    }

    /// Adds up to `room` new tokens, the most frequent pair first.
    fn learn_merges(&mut self, room: usize) {
        let (most, mut merged) = (self.tokens.len() + room, HashSet::new());
        while self.tokens.len() < most {
            let Some((count, Reverse(pair))) = self.queue.pop() else { break };
            let now = self.counts.get(&pair).copied().unwrap_or(0);
            if now < LEAST_COUNT {
                continue;
            }
            if now != count {
                // The count has decreased since the pair was pushed. Increases are pushed when they happen.
                self.queue.push((now, Reverse(pair)));
                continue;
            }
            let name = format!("{}{}", self.tokens[pair.0 as usize], self.tokens[pair.1 as usize]);
            let next = self.tokens.len() as u32;
            let id = *self.ids.entry(name.clone()).or_insert(next);
            if id == next {
                self.tokens.push(name);
            }
            if merged.insert(pair) {
                self.merges.push(pair);
            }
            self.merge(pair, id);
        }
    }

    /// Replaces a pair by one token wherever it occurs, and updates the counts.
    fn merge(&mut self, pair: Pair, id: u32) {
        let mut touched = BTreeSet::new();
        for index in self.words_with_pair.remove(&pair).unwrap_or_default() {
            let (word, times) = &mut self.words[index];
            for old in word.windows(2) {
                if let Some(count) = self.counts.get_mut(&(old[0], old[1])) {
                    *count -= *times;
                }
            }
            let mut at = 0;
            while at + 1 < word.len() {
                if (word[at], word[at + 1]) == pair {
                    word[at] = id;
                    word.remove(at + 1);
                }
                at += 1;
            }
            touched.extend(word.windows(2).map(|pair| (pair[0], pair[1])));
            self.count_pairs(index);
        }
        for pair in touched {
            if let Some(&count) = self.counts.get(&pair) {
                self.queue.push((count, Reverse(pair)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORTS: [&str; 5] = [
        "The heart is enlarged. No pleural effusion.",
        "The heart is normal in size. There is a small pleural effusion on the left.",
        "No pneumothorax. The lungs are clear.",
        "Two views of the chest show a large effusion on the right.",
        "The lungs are clear and the heart is of normal size.",
    ];

    #[test]
    fn the_ids_have_the_order_of_roberta() {
        let tokenizer = Tokenizer::train(REPORTS, 300).unwrap();
        let special = tokenizer.special();
        assert_eq!((special.start, special.pad, special.end, special.unknown), (0, 1, 2, 3));
        assert_eq!(special.mask as usize + 1, tokenizer.vocabulary_size());
        assert_eq!(tokenizer.vocabulary_size(), 300);
    }

    #[test]
    fn equal_texts_in_any_order_give_equal_files() {
        let one = Tokenizer::train(REPORTS, 320).unwrap().to_json().unwrap();
        let mut turned = REPORTS;
        turned.reverse();
        for _ in 0..5 {
            assert_eq!(Tokenizer::train(turned, 320).unwrap().to_json().unwrap(), one);
        }
    }

    #[test]
    fn the_most_frequent_pair_comes_first() {
        // Computed by hand: "\u{120}a" + "b" from " ab ab ab ab", then "cd", which occurs twice; the smaller pair comes first.
        let tokenizer = Tokenizer::train([" ab ab ab ab", "cd cd"], 400).unwrap();
        let json: serde_json::Value = serde_json::from_str(&tokenizer.to_json().unwrap()).unwrap();
        let merges = serde_json::to_string(&json["model"]["merges"]).unwrap();
        assert_eq!(merges, r#"[["a","b"],["\u0120","ab"],["c","d"]]"#.replace("\\u0120", "\u{120}"));
    }

    #[test]
    fn trained_tokens_are_few_and_decode_to_the_text() {
        let tokenizer = Tokenizer::train(REPORTS, 400).unwrap();
        let text = "The heart is normal. No effusion.";
        let encoded = tokenizer.encode(text, 64).unwrap();
        assert!(encoded.ids.len() < text.len() / 2, "{:?}", encoded.ids);
        assert_eq!(tokenizer.decode(&encoded.ids).unwrap(), text);
        let foreign = "Caf\u{e9} \u{2265} 5 \u{b5}m \u{1f480}";
        assert_eq!(tokenizer.decode(&tokenizer.encode(foreign, 64).unwrap().ids).unwrap(), foreign);
    }

    #[test]
    fn little_text_gives_few_tokens_and_a_too_small_vocabulary_is_refused() {
        assert_eq!(Tokenizer::train([], 1000).unwrap().vocabulary_size(), 261);
        assert_eq!(Tokenizer::train([""], 261).unwrap().vocabulary_size(), 261);
        assert!(Tokenizer::train(REPORTS, 260).unwrap_err().to_string().contains("at least 261"));
        let long = "x".repeat(100_000);
        assert_eq!(Tokenizer::train([long.as_str()], 300).unwrap().vocabulary_size(), 261);
    }
}
