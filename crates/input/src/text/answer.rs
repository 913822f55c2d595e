//! The normal form in which answers to questions are compared, as in the evaluation of the VQA challenge (specification,
//! section 6).

/// Punctuation characters that are removed or replaced by a blank.
const PUNCTUATION: [char; 21] =
    [';', '/', '[', ']', '"', '{', '}', '(', ')', '=', '+', '\\', '_', '-', '>', '<', '@', '`', ',', '?', '!'];

/// Number words; each is replaced by its index. The word `none` is also replaced by 0.
const NUMBERS: [&str; 11] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

/// Words without their apostrophe, and their correct spelling: the list of the challenge, in lower case.
#[rustfmt::skip]
const CONTRACTIONS: [(&str, &str); 116] = [
    ("aint", "ain't"), ("arent", "aren't"), ("cant", "can't"), ("couldve", "could've"), ("couldnt", "couldn't"),
    ("couldn'tve", "couldn't've"), ("couldnt've", "couldn't've"), ("didnt", "didn't"), ("doesnt", "doesn't"),
    ("dont", "don't"), ("hadnt", "hadn't"), ("hadnt've", "hadn't've"), ("hadn'tve", "hadn't've"), ("hasnt", "hasn't"),
    ("havent", "haven't"), ("hed", "he'd"), ("hed've", "he'd've"), ("he'dve", "he'd've"), ("hes", "he's"),
    ("howd", "how'd"), ("howll", "how'll"), ("hows", "how's"), ("isnt", "isn't"), ("itd", "it'd"),
    ("itd've", "it'd've"), ("it'dve", "it'd've"), ("itll", "it'll"), ("let's", "let's"), ("maam", "ma'am"),
    ("mightnt", "mightn't"), ("mightnt've", "mightn't've"), ("mightn'tve", "mightn't've"), ("mightve", "might've"),
    ("mustnt", "mustn't"), ("mustve", "must've"), ("neednt", "needn't"), ("notve", "not've"), ("oclock", "o'clock"),
    ("oughtnt", "oughtn't"), ("ow's'at", "'ow's'at"), ("'ows'at", "'ow's'at"), ("'ow'sat", "'ow's'at"),
    ("shant", "shan't"), ("shed've", "she'd've"), ("she'dve", "she'd've"), ("she's", "she's"),
    ("shouldve", "should've"), ("shouldnt", "shouldn't"), ("shouldnt've", "shouldn't've"),
    ("shouldn'tve", "shouldn't've"), ("somebody'd", "somebodyd"), ("somebodyd've", "somebody'd've"),
    ("somebody'dve", "somebody'd've"), ("somebodyll", "somebody'll"), ("somebodys", "somebody's"),
    ("someoned", "someone'd"), ("someoned've", "someone'd've"), ("someone'dve", "someone'd've"),
    ("someonell", "someone'll"), ("someones", "someone's"), ("somethingd", "something'd"),
    ("somethingd've", "something'd've"), ("something'dve", "something'd've"), ("somethingll", "something'll"),
    ("thats", "that's"), ("thered", "there'd"), ("thered've", "there'd've"), ("there'dve", "there'd've"),
    ("therere", "there're"), ("theres", "there's"), ("theyd", "they'd"), ("theyd've", "they'd've"),
    ("they'dve", "they'd've"), ("theyll", "they'll"), ("theyre", "they're"), ("theyve", "they've"), ("twas", "'twas"),
    ("wasnt", "wasn't"), ("wed've", "we'd've"), ("we'dve", "we'd've"), ("weve", "we've"), ("werent", "weren't"),
    ("whatll", "what'll"), ("whatre", "what're"), ("whats", "what's"), ("whatve", "what've"), ("whens", "when's"),
    ("whered", "where'd"), ("wheres", "where's"), ("whereve", "where've"), ("whod", "who'd"), ("whod've", "who'd've"),
    ("who'dve", "who'd've"), ("wholl", "who'll"), ("whos", "who's"), ("whove", "who've"), ("whyll", "why'll"),
    ("whyre", "why're"), ("whys", "why's"), ("wont", "won't"), ("wouldve", "would've"), ("wouldnt", "wouldn't"),
    ("wouldnt've", "wouldn't've"), ("wouldn'tve", "wouldn't've"), ("yall", "y'all"), ("yall'll", "y'all'll"),
    ("y'allll", "y'all'll"), ("yall'd've", "y'all'd've"), ("y'alld've", "y'all'd've"), ("y'all'dve", "y'all'd've"),
    ("youd", "you'd"), ("youd've", "you'd've"), ("you'dve", "you'd've"), ("youll", "you'll"), ("youre", "you're"),
    ("youve", "you've"),
];

/// The normal form of an answer, in which answers are compared and counted.
///
/// ```
/// assert_eq!(ptu_input::text::normal_answer("Right-sided"), "right sided");
/// assert_eq!(ptu_input::text::normal_answer("1,000"), "1000");
/// ```
pub fn normal_answer(answer: &str) -> String {
    let answer = answer.to_lowercase();
    let unpunctuated = without_punctuation(&answer);
    let plain = without_full_stops(&unpunctuated);
    let words = plain.split_whitespace().filter_map(|word| match word {
        "a" | "an" | "the" => None,
        "none" => Some("0".to_string()),
        word => Some(match NUMBERS.iter().position(|number| *number == word) {
            Some(number) => number.to_string(),
            None => with_apostrophe(word).to_string(),
        }),
    });
    words.collect::<Vec<_>>().join(" ").replace(',', "")
}

/// Removes each character of [`PUNCTUATION`] or replaces it by a blank, by the rule of the challenge: it is removed if it stands
/// beside a blank somewhere in the answer, or if the answer has a comma between digits.
fn without_punctuation(answer: &str) -> String {
    let characters: Vec<char> = answer.chars().collect();
    let between_digits =
        characters.windows(3).any(|three| three[1] == ',' && three[0].is_ascii_digit() && three[2].is_ascii_digit());
    let beside_blank = |mark: char| characters.windows(2).any(|two| two == [mark, ' '] || two == [' ', mark]);
    let removed = PUNCTUATION.map(|mark| between_digits || beside_blank(mark));
    let kept = characters.iter().filter_map(|character| match PUNCTUATION.iter().position(|mark| mark == character) {
        Some(index) if removed[index] => None,
        Some(_) => Some(' '),
        None => Some(*character),
    });
    kept.collect()
}

/// Removes all full stops except those before a digit.
fn without_full_stops(answer: &str) -> String {
    let mut after = answer.chars().skip(1).map(Some).chain([None]);
    let kept = answer.chars().filter(|character| {
        let next = after.next().flatten();
        *character != '.' || next.is_some_and(|next| next.is_ascii_digit())
    });
    kept.collect()
}

/// The spelling of a word with its apostrophe.
fn with_apostrophe(word: &str) -> &str {
    CONTRACTIONS.iter().find(|(without, _)| *without == word).map_or(word, |(_, with)| with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_normalised_as_the_challenge_does() {
        let cases = [
            ("Right-sided", "right sided"),
            ("T2-weighted MRI", "t2 weighted mri"),
            ("1,000", "1000"),
            ("No.", "no"),
            ("none", "0"),
            ("3.5 cm", "3.5 cm"),
            ("The left lung", "left lung"),
            ("ten", "10"),
            ("isnt", "isn't"),
            ("x-ray, ap", "x ray ap"),
            ("  Yes ", "yes"),
            ("a / b/c", "bc"),
            ("b/c", "b c"),
            ("", ""),
        ];
        for (answer, wanted) in cases {
            assert_eq!(normal_answer(answer), wanted, "{answer}");
        }
    }
}
