//! Porter's stemmer as NLTK extends it.

/// Words whose stem is not found by the rules.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// Endings of step 2 and what they become.
const STEP_2: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

/// Endings of step 3 and what they become.
const STEP_3: [(&str, &str); 7] =
    [("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];

/// Endings that step 4 removes.
const STEP_4: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
];

/// Whether each character is a consonant; `y` is one unless it follows one.
fn consonants(word: &str) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for character in word.chars() {
        let before = flags.last().copied();
        flags.push(match character {
            'a' | 'e' | 'i' | 'o' | 'u' => false,
            'y' => before != Some(true),
            _ => true,
        });
    }
    flags
}

/// How often a vowel is followed by a consonant.
fn measure(stem: &str) -> usize {
    consonants(stem).windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

/// Whether the word ends with consonant, vowel, consonant other than w, x, y; or is vowel, consonant.
fn ends_open(word: &str) -> bool {
    match consonants(word)[..] {
        [false, true] => true,
        [.., true, false, true] => !word.ends_with(['w', 'x', 'y']),
        _ => false,
    }
}

/// The word with an ending replaced if the condition holds for what stands before it.
fn replaced(word: &str, ending: &str, new: &str, condition: impl Fn(&str) -> bool) -> String {
    match word.strip_suffix(ending) {
        Some(stem) if condition(stem) => format!("{stem}{new}"),
        _ => word.to_owned(),
    }
}

/// The stem of a lower-cased word by Porter's algorithm (1980) with the extensions of NLTK, the default of its
/// `PorterStemmer` and the stemmer of `rouge_score`.
pub fn porter_stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == word) {
        return (*stem).to_owned();
    }
    if word.chars().count() <= 2 {
        return word.to_owned();
    }
    let word = past(&plural(word));
    let word = replaced(&word, "y", "i", |stem| stem.len() > 1 && consonants(stem).last() == Some(&true));
    let word = derived(&word);
    let positive = |stem: &str| measure(stem) > 0;
    let third = STEP_3.iter().find(|(ending, _)| word.ends_with(ending));
    let word = third.map_or_else(|| word.clone(), |(ending, new)| replaced(&word, ending, new, positive));
    let fourth = STEP_4.iter().find(|ending| word.ends_with(**ending));
    let long = |stem: &str, ending: &str| measure(stem) > 1 && (ending != "ion" || stem.ends_with(['s', 't']));
    let word = fourth.map_or_else(|| word.clone(), |ending| replaced(&word, ending, "", |stem| long(stem, ending)));
    let word = replaced(&word, "e", "", |stem| measure(stem) > 1 || (measure(stem) == 1 && !ends_open(stem)));
    let double = word.ends_with("ll") && measure(&word[..word.len() - 1]) > 1;
    if double { word[..word.len() - 1].to_owned() } else { word }
}

/// Step 1a: plurals.
fn plural(word: &str) -> String {
    if word.ends_with("ies") {
        return word[..word.len() - if word.len() == 4 { 1 } else { 2 }].to_owned();
    }
    match word {
        _ if word.ends_with("sses") => word[..word.len() - 2].to_owned(),
        _ if word.ends_with('s') && !word.ends_with("ss") => word[..word.len() - 1].to_owned(),
        _ => word.to_owned(),
    }
}

/// Step 1b: past tenses and participles.
fn past(word: &str) -> String {
    if word.ends_with("ied") {
        return word[..word.len() - if word.len() == 4 { 1 } else { 2 }].to_owned();
    }
    if word.ends_with("eed") {
        return replaced(word, "eed", "ee", |stem| measure(stem) > 0);
    }
    let stem =
        ["ed", "ing"].iter().find_map(|ending| word.strip_suffix(ending).filter(|it| consonants(it).contains(&false)));
    let Some(stem) = stem else { return word.to_owned() };
    let mut last = stem.chars().rev();
    let (end, before) = (last.next(), last.next());
    if ["at", "bl", "iz"].iter().any(|ending| stem.ends_with(ending)) {
        format!("{stem}e")
    } else if end.is_some() && end == before && consonants(stem).last() == Some(&true) {
        let kept = stem.ends_with(['l', 's', 'z']);
        stem[..stem.len() - if kept { 0 } else { end.map_or(0, char::len_utf8) }].to_owned()
    } else if measure(stem) == 1 && ends_open(stem) {
        format!("{stem}e")
    } else {
        stem.to_owned()
    }
}

/// Step 2: endings of derived words.
fn derived(word: &str) -> String {
    let positive = |stem: &str| measure(stem) > 0;
    if word.strip_suffix("alli").is_some_and(positive) {
        return derived(&word[..word.len() - 2]);
    }
    match STEP_2.iter().find(|(ending, _)| word.ends_with(ending)) {
        Some((ending, new)) => replaced(word, ending, new, positive),
        None if word.ends_with("logi") && measure(&word[..word.len() - 3]) > 0 => word[..word.len() - 1].to_owned(),
        None => word.to_owned(),
    }
}
