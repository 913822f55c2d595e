//! The name that a user probably meant.

/// The existing key that the user probably meant; `None` if no key is similar.
pub fn most_similar<'a>(key: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(key, candidate), candidate.as_str()))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 3)
        .map(|(_, candidate)| candidate)
}
