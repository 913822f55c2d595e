//! Statements on the normal or abnormal state of a part of the body: "heart size is normal", "clear lungs".

use std::sync::LazyLock;

use crate::context::Context;
use crate::observation::{Observation, Status};
use crate::phrase::{Found, Phrases};
use crate::rules::{ANATOMY, Part, STATEMENTS, STATES, State, VERBS};

static PARTS: LazyLock<Phrases<Part>> = LazyLock::new(|| Phrases::new(ANATOMY.iter().copied()));
static STATE_PHRASES: LazyLock<Phrases<State>> = LazyLock::new(|| Phrases::new(STATES.iter().copied()));

/// The largest number of words between a state and the part that follows it, as in "enlargement of the heart".
const STATE_BEFORE_PART: usize = 2;

/// Tells what the statements of one clause say: the place of the part, an observation and its status. `words` and
/// `contexts` are those of the clause.
pub fn statements(words: &[&str], contexts: &[Context], mut say: impl FnMut(usize, Observation, Status)) {
    let states = STATE_PHRASES.longest(words);
    if states.is_empty() {
        return;
    }
    let following = following_states(words, &states);
    let mut list_state = None;
    let mut earlier = states.iter().peekable();
    let mut last: Option<&Found<State>> = None;
    for part in PARTS.longest(words) {
        while let Some(state) = earlier.next_if(|state| state.end <= part.start) {
            (last, list_state) = (Some(state), None);
        }
        let adjacent = last.filter(|state| is_adjacent(words, state.end, part.start));
        let listed = list_state.filter(|(_, end)| is_listed(words, *end, part.start)).map(|(state, _)| state);
        let next = following[part.end - 1].filter(|_| adjacent.is_none());
        let chosen = adjacent.or(next.map(|next| &states[next.state])).or(listed);
        list_state = adjacent.or(listed).map(|state| (state, part.end));
        let Some(state) = chosen else { continue };
        let context = contexts[state.end - 1];
        // "The heart is not enlarged" has a negation of its own; in "no effusion, the heart is enlarged" it is
        // another's.
        let has_verb = next.is_some_and(|next| next.has_verb);
        let negated = context.negated_before && !(has_verb && contexts[part.start].negated_before);
        let rules = STATEMENTS.iter().filter(|it| it.part == part.value && it.state == state.value);
        for (observation, status) in rules.flat_map(|rule| rule.says) {
            match status {
                Status::Positive if negated => say(part.start, *observation, Status::Negative),
                Status::Positive if context.uncertain_before || context.uncertain_after => {
                    say(part.start, *observation, Status::Uncertain);
                }
                // "Not normal" says nothing on what is wrong.
                _ if negated && has_verb => {}
                status => say(part.start, *observation, *status),
            }
        }
    }
}

/// Whether a state belongs to the part that follows it.
fn is_adjacent(words: &[&str], state_end: usize, part_start: usize) -> bool {
    part_start - state_end <= STATE_BEFORE_PART
        && !words[state_end..part_start].iter().any(|word| VERBS.contains(word) || [",", "and"].contains(word))
}

/// Whether a part belongs to the same list as the part before, as in "normal heart size and mediastinal contours".
fn is_listed(words: &[&str], before_end: usize, part_start: usize) -> bool {
    part_start - before_end <= STATE_BEFORE_PART && !words[before_end..part_start].iter().any(|it| VERBS.contains(it))
}

/// The state that follows a word.
#[derive(Clone, Copy)]
struct Following {
    /// Its index.
    state: usize,
    /// Whether a verb stands between.
    has_verb: bool,
}

/// For each word the state that follows it with at most one verb between, since a second verb belongs to another
/// statement.
fn following_states(words: &[&str], states: &[Found<State>]) -> Vec<Option<Following>> {
    let mut following = vec![None; words.len()];
    let (mut next, mut verbs, mut in_verb) = (None, 0, false);
    let mut later = states.iter().enumerate().rev().peekable();
    for index in (0..words.len()).rev() {
        while let Some((state, _)) = later.next_if(|(_, state)| state.start > index) {
            (next, verbs, in_verb) = (Some(state), 0, false);
        }
        let verb = VERBS.contains(&words[index]);
        // "has been" and "remains" are one verb each.
        verbs += usize::from(verb && !in_verb);
        in_verb = verb;
        if verbs > 1 {
            next = None;
        }
        following[index] = next.map(|state| Following { state, has_verb: verbs > 0 });
    }
    following
}
