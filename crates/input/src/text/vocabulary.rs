//! Statistics of a WordPiece vocabulary, which show how the texts that it was made from were normalised.

use tokenizers::models::bpe::Vocab;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::{NormalizedString, Normalizer};

/// Counts of the tokens of a vocabulary that can never occur in a text after a certain normalisation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct VocabularyStatistics {
    /// All tokens.
    tokens: usize,
    /// Tokens with an upper-case letter, lost when texts become lower case.
    pub upper: usize,
    /// Tokens with an accent or a Hangul syllable, both lost when accents are stripped.
    pub accented: usize,
    /// Tokens with two or more Chinese characters in a row, lost when Chinese characters are split.
    pub han: usize,
}

impl VocabularyStatistics {
    /// Counts the tokens of a vocabulary. Names in brackets, such as special and unused tokens, are skipped.
    pub fn of(vocabulary: &Vocab) -> Self {
        let mut statistics = Self::default();
        for token in vocabulary.keys() {
            if token.starts_with('[') && token.ends_with(']') || token.starts_with('<') && token.ends_with('>') {
                continue;
            }
            statistics.tokens += 1;
            statistics.upper += usize::from(token.chars().any(|letter| letter.to_lowercase().ne([letter])));
            statistics.accented += usize::from(is_changed(token, BertNormalizer::new(false, false, Some(true), false)));
            statistics.han += usize::from(has_han_in_a_row(token));
        }
        statistics
    }

    /// Whether the count is at least one of a hundred tokens, so that it cannot be a coincidence. For example, vocabularies
    /// without accents contain a few single tokens with accents.
    pub fn is_significant(&self, count: usize) -> bool {
        count > 0 && count * 100 >= self.tokens
    }
}

/// Whether a normalizer changes a token.
fn is_changed(token: &str, normalizer: BertNormalizer) -> bool {
    let mut normalised = NormalizedString::from(token);
    normalizer.normalize(&mut normalised).is_ok() && normalised.get() != token
}

fn has_han_in_a_row(token: &str) -> bool {
    // The normalizer adds a space before and after each Chinese character, so two in a row have two spaces between them.
    let mut normalised = NormalizedString::from(token);
    let normalizer = BertNormalizer::new(false, true, Some(false), false);
    normalizer.normalize(&mut normalised).is_ok() && !token.contains("  ") && normalised.get().contains("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(tokens: &[&str]) -> VocabularyStatistics {
        VocabularyStatistics::of(&tokens.iter().map(|token| token.to_string()).zip(0..).collect())
    }

    #[test]
    fn tokens_that_normalisation_would_lose_are_counted() {
        // U+211D is an upper-case letter without a lower-case form, and it is in BERT's uncased vocabulary.
        let uncased = statistics(&["[CLS]", "[UNUSED1]", "<S>", "the", "##s", "\u{211d}", "\u{4e2d}", "##\u{4e2d}"]);
        assert_eq!(uncased, VocabularyStatistics { tokens: 5, upper: 0, accented: 0, han: 0 });
        let cased = statistics(&["The", "m\u{fc}ller", "\u{d55c}", "\u{4e2d}\u{56fd}", "##\u{4e2d}\u{56fd}", "a"]);
        assert_eq!(cased, VocabularyStatistics { tokens: 6, upper: 1, accented: 2, han: 2 });
    }

    #[test]
    fn single_tokens_are_not_significant() {
        let counts = VocabularyStatistics { tokens: 30_000, upper: 12, accented: 300, han: 0 };
        assert!(!counts.is_significant(counts.upper) && !counts.is_significant(counts.han));
        assert!(counts.is_significant(counts.accented));
    }
}
