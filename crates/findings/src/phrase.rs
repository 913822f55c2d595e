//! Phrases of the rules, and where they stand in a clause.
//!
//! A phrase is a sequence of words with a blank between them. `a|b` is one of several words, `word*` is any word that
//! begins so, and `..` is up to [`GAP`] further words, commas excluded. A phrase does not begin with `..`.

/// The largest number of words that `..` stands for.
const GAP: usize = 3;

enum Piece {
    /// Alternatives: a word, and whether any ending may follow.
    Word(Vec<(&'static str, bool)>),
    Gap,
}

impl Piece {
    fn parse(piece: &'static str) -> Piece {
        if piece == ".." {
            return Piece::Gap;
        }
        let alternative = |word: &'static str| word.strip_suffix('*').map_or((word, false), |start| (start, true));
        Piece::Word(piece.split('|').map(alternative).collect())
    }
}

/// The place of a phrase in a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<V> {
    pub value: V,
    /// Index of its first word.
    pub start: usize,
    /// Index after its last word.
    pub end: usize,
}

/// Phrases with a value each, looked up by the first byte of their first word.
pub struct Phrases<V> {
    phrases: Vec<(Vec<Piece>, V)>,
    /// For each byte the phrases that may begin with it.
    by_first_byte: Vec<Vec<usize>>,
}

impl<V: Copy> Phrases<V> {
    /// Phrases in groups that share a value.
    pub fn new(groups: impl IntoIterator<Item = (V, &'static [&'static str])>) -> Phrases<V> {
        let mut made = Phrases { phrases: vec![], by_first_byte: vec![vec![]; 256] };
        for (value, phrase) in groups.into_iter().flat_map(|(value, all)| all.iter().map(move |it| (value, it))) {
            let pieces: Vec<Piece> = phrase.split_whitespace().map(Piece::parse).collect();
            if let Some(Piece::Word(words)) = pieces.first() {
                let mut first: Vec<u8> = words.iter().filter_map(|(word, _)| word.bytes().next()).collect();
                first.sort_unstable();
                first.dedup();
                for byte in first {
                    made.by_first_byte[usize::from(byte)].push(made.phrases.len());
                }
            }
            made.phrases.push((pieces, value));
        }
        made
    }

    /// All phrases that begin at a word.
    pub fn at<'a>(&'a self, words: &'a [&str], start: usize) -> impl Iterator<Item = Found<V>> + 'a {
        let byte = words[start].bytes().next().unwrap_or_default();
        self.by_first_byte[usize::from(byte)].iter().filter_map(move |index| {
            let (pieces, value) = &self.phrases[*index];
            let end = end_of(pieces, words, start)?;
            Some(Found { value: *value, start, end })
        })
    }

    /// The phrases of a clause from left to right: at each word the longest, and the next one begins behind it.
    pub fn longest(&self, words: &[&str]) -> Vec<Found<V>> {
        let (mut found, mut start) = (vec![], 0);
        while start < words.len() {
            match self.at(words, start).max_by_key(|it| it.end) {
                Some(longest) => {
                    start = longest.end;
                    found.push(longest);
                }
                None => start += 1,
            }
        }
        found
    }
}

/// Where a phrase that begins at `start` ends, if it stands there. A gap is as short as it can be.
fn end_of(pieces: &[Piece], words: &[&str], start: usize) -> Option<usize> {
    let Some((first, rest)) = pieces.split_first() else { return Some(start) };
    match first {
        Piece::Word(alternatives) => {
            let word = words.get(start)?;
            let fits = |(known, open): &(&str, bool)| if *open { word.starts_with(known) } else { word == known };
            alternatives.iter().any(fits).then(|| end_of(rest, words, start + 1))?
        }
        Piece::Gap => {
            let skippable = words.get(start..)?.iter().take(GAP).take_while(|word| **word != ",").count();
            (0..=skippable).find_map(|skipped| end_of(rest, words, start + skipped))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &[&str] = &["no", "no change in", "pleural .. thicken*", "air space|spaces"];

    #[test]
    fn phrases_are_found_with_their_ends() {
        let phrases = Phrases::new([((), SMALL)]);
        let found = |text: &str| {
            let words: Vec<&str> = text.split(' ').collect();
            phrases.longest(&words).iter().map(|it| (it.start, it.end)).collect::<Vec<_>>()
        };
        assert_eq!(found("no change in no"), [(0, 3), (3, 4)]);
        assert_eq!(found("pleural thickening"), [(0, 2)]);
        assert_eq!(found("pleural a b c thickened"), [(0, 5)]);
        assert_eq!(found("pleural a b c d thickened"), []);
        assert_eq!(found("pleural , thickened"), []);
        assert_eq!(found("air spaces none air"), [(0, 2)]);
    }
}
