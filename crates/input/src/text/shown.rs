//! What a WordPiece vocabulary shows about the texts that it was made for.

use tokenizers::models::bpe::Vocab;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::{NormalizedString, Normalizer};

/// Tokens of a vocabulary that a text never becomes once it is normalised in a certain way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    tokens: usize,
    /// With a letter in upper case.
    pub upper: usize,
    /// With an accent, or a Hangul syllable, which are taken apart together.
    pub accented: usize,
    /// Two or more Chinese characters in a row.
    pub han: usize,
}

impl Shown {
    /// Looks through a vocabulary; names in brackets, as of special and unused tokens, are passed over.
    pub fn of(vocabulary: &Vocab) -> Self {
        let mut shown = Self::default();
        for token in vocabulary.keys() {
            if token.starts_with('[') && token.ends_with(']') || token.starts_with('<') && token.ends_with('>') {
                continue;
            }
            shown.tokens += 1;
            shown.upper += usize::from(token.chars().any(|letter| letter.to_lowercase().ne([letter])));
            shown.accented += usize::from(changed(token, BertNormalizer::new(false, false, Some(true), false)));
            shown.han += usize::from(has_han_in_a_row(token));
        }
        shown
    }

    /// Whether so many tokens cannot be there by chance: one of a hundred. Vocabularies without accents have a few stray ones.
    pub fn many(&self, count: usize) -> bool {
        count > 0 && count * 100 >= self.tokens
    }
}

fn changed(token: &str, normalizer: BertNormalizer) -> bool {
    let mut normalised = NormalizedString::from(token);
    normalizer.normalize(&mut normalised).is_ok() && normalised.get() != token
}

fn has_han_in_a_row(token: &str) -> bool {
    // A space is put around each, so two in a row are two spaces between them.
    let mut normalised = NormalizedString::from(token);
    let normalizer = BertNormalizer::new(false, true, Some(false), false);
    normalizer.normalize(&mut normalised).is_ok() && !token.contains("  ") && normalised.get().contains("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tokens: &[&str]) -> Shown {
        Shown::of(&tokens.iter().map(|token| token.to_string()).zip(0..).collect())
    }

    #[test]
    fn what_normalising_would_lose_is_counted() {
        // U+211D is an upper-case letter without a lower-case form, and stands in BERT's uncased vocabulary.
        let uncased = shown(&["[CLS]", "[UNUSED1]", "<S>", "the", "##s", "\u{211d}", "\u{4e2d}", "##\u{4e2d}"]);
        assert_eq!(uncased, Shown { tokens: 5, upper: 0, accented: 0, han: 0 });
        let cased = shown(&["The", "m\u{fc}ller", "\u{d55c}", "\u{4e2d}\u{56fd}", "##\u{4e2d}\u{56fd}", "a"]);
        assert_eq!(cased, Shown { tokens: 6, upper: 1, accented: 2, han: 2 });
    }

    #[test]
    fn a_stray_token_shows_nothing() {
        let shown = Shown { tokens: 30_000, upper: 12, accented: 300, han: 0 };
        assert!(!shown.many(shown.upper) && shown.many(shown.accented) && !shown.many(shown.han));
    }
}
