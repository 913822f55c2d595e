//! Which words of a clause are negated or uncertain: cues and their scope.

use std::sync::LazyLock;

use crate::phrase::{Found, Phrases};
use crate::rules::{ALTERNATIVE_REACH, ARTICLES, BEFORE_WITH, CUES, Cue, LIST_ENDS, PARTICIPLES, VERBS};

static CUE_PHRASES: LazyLock<Phrases<Cue>> = LazyLock::new(|| Phrases::new(CUES.iter().copied()));

/// What applies to one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Context {
    /// A negation stands before it.
    pub negated_before: bool,
    /// An expression of doubt stands before it.
    pub uncertain_before: bool,
    /// A negation stands behind it.
    pub negated_after: bool,
    /// An expression of doubt stands behind it.
    pub uncertain_after: bool,
}

/// A sentence as clauses: ranges of its words between the words that end a scope (`but`, `however`, `there is`).
pub struct Clauses {
    /// Index of the first word of each clause, and the index behind its last.
    pub ranges: Vec<(usize, usize)>,
    cues: Vec<Found<Cue>>,
}

impl Clauses {
    pub fn new(words: &[&str]) -> Clauses {
        let mut cues = CUE_PHRASES.longest(words);
        let mut ranges = vec![];
        let mut start = 0;
        for end in cues.iter().filter(|cue| cue.value == Cue::ScopeEnd) {
            ranges.push((start, end.start));
            start = end.end;
        }
        ranges.push((start, words.len()));
        adapt(&mut cues, words);
        Clauses { ranges, cues }
    }

    /// The context of each word of the sentence.
    pub fn contexts(&self, words: &[&str]) -> Vec<Context> {
        let mut contexts = vec![Context::default(); words.len()];
        self.forwards(words, &mut contexts);
        self.backwards(words, &mut contexts);
        contexts
    }

    /// A cue before a mention holds to the end of its clause or to `with`. A negation also ends at a comma before an
    /// expression of doubt or after a participle: "no effusion, possible pneumonia", "no effusion seen, nodule".
    fn forwards(&self, words: &[&str], contexts: &mut [Context]) {
        let (mut negated, mut uncertain) = (false, false);
        let mut cues = self.cues.iter().peekable();
        for (index, context) in contexts.iter_mut().enumerate() {
            while let Some(cue) = cues.next_if(|cue| cue.end <= index) {
                match cue.value {
                    Cue::ScopeEnd => (negated, uncertain) = (false, false),
                    Cue::NegatedAhead => negated = true,
                    Cue::UncertainAhead => {
                        negated &= cue.start == 0 || words[cue.start - 1] != ",";
                        uncertain = true;
                    }
                    Cue::Alternative => uncertain = true,
                    Cue::NegatedBehind | Cue::UncertainBehind | Cue::Nothing => {}
                }
            }
            if words[index] == "," && index > 0 && PARTICIPLES.contains(&words[index - 1]) {
                negated = false;
            }
            if words[index] == "with" && (index == 0 || !BEFORE_WITH.contains(&words[index - 1])) {
                (negated, uncertain) = (false, false);
            }
            (context.negated_before, context.uncertain_before) = (negated, uncertain);
        }
    }

    /// A cue behind a mention holds back over the list before its verb ("effusion and pneumothorax are not seen"), not
    /// over an earlier verb ("the heart is enlarged and effusion is not seen").
    fn backwards(&self, words: &[&str], contexts: &mut [Context]) {
        let (mut negated, mut uncertain, mut alternative) = (false, false, 0_usize);
        let mut at_own_verb = false;
        let mut cues = self.cues.iter().rev().peekable();
        for index in (0..words.len()).rev() {
            while let Some(cue) = cues.next_if(|cue| cue.start > index) {
                match cue.value {
                    Cue::ScopeEnd => (negated, uncertain, alternative) = (false, false, 0),
                    Cue::NegatedBehind => (negated, uncertain, at_own_verb) = (true, false, true),
                    Cue::UncertainBehind => (negated, uncertain, at_own_verb) = (false, true, true),
                    Cue::Alternative => alternative = ALTERNATIVE_REACH + 1,
                    Cue::UncertainAhead => alternative = 0,
                    Cue::NegatedAhead | Cue::Nothing => {}
                }
            }
            let verb = VERBS.contains(&words[index]);
            if verb && !at_own_verb {
                (negated, uncertain) = (false, false);
            }
            at_own_verb &= verb || ARTICLES.contains(&words[index]);
            alternative = match verb || LIST_ENDS.contains(&words[index]) {
                true => 0,
                false => alternative.saturating_sub(1),
            };
            (contexts[index].negated_after, contexts[index].uncertain_after) = (negated, uncertain || alternative > 0);
        }
    }
}

/// Turns a cue that has nothing on its side of the clause to the other side: "pneumonia possible", "resolved
/// effusion". An alternative behind "no change in" is a list.
fn adapt(cues: &mut [Found<Cue>], words: &[&str]) {
    let (mut clause_start, mut compares) = (0, false);
    for index in 0..cues.len() {
        let clause_end = match cues.get(index + 1) {
            Some(next) if next.value == Cue::ScopeEnd => next.start,
            _ => words.len(),
        };
        let cue = &mut cues[index];
        cue.value = match cue.value {
            Cue::NegatedBehind if cue.start == clause_start => Cue::NegatedAhead,
            Cue::UncertainBehind if cue.start == clause_start => Cue::UncertainAhead,
            Cue::NegatedAhead if cue.end == clause_end => Cue::NegatedBehind,
            Cue::UncertainAhead if cue.end == clause_end => Cue::UncertainBehind,
            Cue::Alternative if compares => Cue::Nothing,
            other => other,
        };
        match cue.value {
            Cue::ScopeEnd => (clause_start, compares) = (cue.end, false),
            Cue::Nothing => compares = true,
            _ => {}
        }
    }
}
