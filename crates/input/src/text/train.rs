//! A small byte-level BPE in RoBERTa's form, learned from texts.
//!
//! The trainer of `tokenizers` is not used: its tables are hashed with random keys, and which of two entries for one pair
//! it takes first depends on them, so equal texts need not give equal files.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};

use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::tokenizer::Tokenizer;
use crate::InputError;

/// RoBERTa's names of special tokens; the last comes behind all others.
const ROBERTA: [&str; 5] = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];

/// Where a trained tokenizer comes from, for messages.
const ORIGIN: &str = "the given texts";

/// The longest piece of text without white space that is learned from, in characters: no word is longer.
const MAX_WORD: usize = 64;

/// A pair must occur this often to become a token.
const LEAST_COUNT: u64 = 2;

type Pair = (u32, u32);

impl Tokenizer {
    /// Learns a tokenizer of at most `vocabulary` tokens: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, the 256 bytes, the
    /// most frequent merges, and `<mask>` last. Fewer texts give fewer tokens. Equal texts in any order give equal files.
    ///
    /// # Errors
    /// If `vocabulary` is below 261, which no tokenizer of bytes can be.
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
        let mut learner = Learner::new(tokens, &words);
        learner.learn(room);
        let (mut tokens, merges) = (learner.tokens, learner.merges);
        tokens.push(mask.into());
        let merges =
            merges.into_iter().map(|(a, b)| (tokens[a as usize].clone(), tokens[b as usize].clone())).collect();
        Self::byte_level(tokens.into_iter().zip(0..).collect(), merges, ORIGIN)
    }
}

/// How often each word occurs (letters, digits or signs with the space before them, never a mixture: so no word can
/// become `<s>`), in the letters of byte-level BPE, sorted.
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

/// The state of learning merges.
struct Learner {
    tokens: Vec<String>,
    ids: HashMap<String, u32>,
    /// Each word as tokens so far, and how often it occurs.
    words: Vec<(Vec<u32>, u64)>,
    /// How often each pair of neighbours occurs now.
    counts: HashMap<Pair, u64>,
    /// Words in which a pair occurs, or once did.
    places: HashMap<Pair, BTreeSet<usize>>,
    /// Pairs by the count that they had when pushed; ties go to the smallest pair.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
    merges: Vec<Pair>,
}

impl Learner {
    fn new(tokens: Vec<String>, words: &BTreeMap<String, u64>) -> Self {
        let ids: HashMap<String, u32> = tokens.iter().cloned().zip(0..).collect();
        let split =
            |word: &str| word.chars().filter_map(|letter| ids.get(letter.to_string().as_str()).copied()).collect();
        let words = words.iter().map(|(word, &count)| (split(word), count)).collect();
        let (counts, places, queue, merges) = (HashMap::new(), HashMap::new(), BinaryHeap::new(), vec![]);
        let mut learner = Self { tokens, ids, words, counts, places, queue, merges };
        for place in 0..learner.words.len() {
            learner.count(place);
        }
        learner.queue.extend(learner.counts.iter().map(|(&pair, &count)| (count, Reverse(pair))));
        learner
    }

    /// Adds a word's pairs to the counts.
    fn count(&mut self, place: usize) {
        let (word, times) = &self.words[place];
        for pair in word.windows(2) {
            let pair = (pair[0], pair[1]);
            *self.counts.entry(pair).or_default() += times;
            self.places.entry(pair).or_default().insert(place);
        }
    }

    /// Makes up to `room` new tokens, the most frequent pair first.
    fn learn(&mut self, room: usize) {
        let (most, mut merged) = (self.tokens.len() + room, HashSet::new());
        while self.tokens.len() < most {
            let Some((count, Reverse(pair))) = self.queue.pop() else { break };
            let now = self.counts.get(&pair).copied().unwrap_or(0);
            if now < LEAST_COUNT {
                continue;
            }
            if now != count {
                // The count fell since; a rise is pushed when it happens.
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

    /// Replaces a pair by one token wherever it occurs, and keeps the counts true.
    fn merge(&mut self, pair: Pair, id: u32) {
        let mut touched = BTreeSet::new();
        for place in self.places.remove(&pair).unwrap_or_default() {
            let (word, times) = &mut self.words[place];
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
            self.count(place);
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
    fn the_ids_are_in_robertas_order() {
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
        // By hand: "\u{120}a" + "b" of " ab ab ab ab", then "cd" of two; ties go to the smaller pair.
        let tokenizer = Tokenizer::train([" ab ab ab ab", "cd cd"], 400).unwrap();
        let json: serde_json::Value = serde_json::from_str(&tokenizer.to_json().unwrap()).unwrap();
        let merges = serde_json::to_string(&json["model"]["merges"]).unwrap();
        assert_eq!(merges, r#"[["a","b"],["\u0120","ab"],["c","d"]]"#.replace("\\u0120", "\u{120}"));
    }

    #[test]
    fn what_was_learned_is_short_and_comes_back() {
        let tokenizer = Tokenizer::train(REPORTS, 400).unwrap();
        let text = "The heart is normal. No effusion.";
        let encoded = tokenizer.encode(text, 64).unwrap();
        assert!(encoded.ids.len() < text.len() / 2, "{:?}", encoded.ids);
        assert_eq!(tokenizer.decode(&encoded.ids).unwrap(), text);
        let foreign = "Caf\u{e9} \u{2265} 5 \u{b5}m \u{1f480}";
        assert_eq!(tokenizer.decode(&tokenizer.encode(foreign, 64).unwrap().ids).unwrap(), foreign);
    }

    #[test]
    fn little_text_gives_few_tokens_and_too_few_are_refused() {
        assert_eq!(Tokenizer::train([], 1000).unwrap().vocabulary_size(), 261);
        assert_eq!(Tokenizer::train([""], 261).unwrap().vocabulary_size(), 261);
        assert!(Tokenizer::train(REPORTS, 260).unwrap_err().to_string().contains("at least 261"));
        let long = "x".repeat(100_000);
        assert_eq!(Tokenizer::train([long.as_str()], 300).unwrap().vocabulary_size(), 261);
    }
}
