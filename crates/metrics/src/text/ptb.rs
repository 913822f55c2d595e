//! Words as the Penn Treebank separates them, by the conventions of the scores of COCO captions.

mod apostrophe;
mod character;
mod lexer;
mod mark;
mod matched;
mod word;

/// Tokens that the scores of COCO captions remove (`PUNCTUATIONS` of `pycocoevalcap`). The bracket names of that list
/// are upper-cased and so never equal the lower-cased tokens: `-lrb-` and `-rrb-` stay.
const REMOVED: [&str; 13] = ["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"];

/// The lower-cased Penn Treebank tokens of a text without punctuation, as `pycocoevalcap` 1.2 computes them: Stanford's
/// `PTBTokenizer` 3.4.1 with `-preserveLines -lowerCase`, then the removal of a list of punctuation marks.
///
/// A bracket becomes a token (`-lrb-`, `-rrb-`, `-lsb-`, ...), since that list removes only the upper-cased names. A
/// token holds no space, but may hold a no-break space (`1 1/2`). A line break counts as a space. The tokens depend on
/// this text alone; the tokenizer of Stanford reads all texts as one file, and keeps the period of a single letter at
/// the end of a text (`vitamin c.`) unless the next text begins with a word such as "The".
///
/// Written from the published rules and by comparison of outputs; `tools/reference/check_tokens.py` repeats the
/// comparison. Time and memory are linear in the length of the text.
pub fn ptb_tokens(text: &str) -> Vec<String> {
    let characters = character::normalized(text);
    let mut tokens = lexer::tokens(&characters);
    tokens.retain(|token| !REMOVED.contains(&token.as_str()));
    tokens
}
