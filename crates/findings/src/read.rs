//! From the text of a report to its findings.

use std::sync::LazyLock;

use crate::anatomy::statements;
use crate::context::{Clauses, Context};
use crate::observation::{Findings, Observation, Status};
use crate::phrase::{Found, Phrases};
use crate::rules::{ABSENT_ONLY, MENTIONS, NO_MENTIONS, UNCERTAIN_MENTIONS};
use crate::text::sentences;

/// What a phrase says if nothing around it says otherwise.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Present,
    /// A sign that has several causes.
    Uncertain,
    /// Tells something only where it is negated.
    AbsentOnly,
}

static MENTION_PHRASES: LazyLock<Phrases<(Kind, Observation)>> = LazyLock::new(|| {
    let kinds = [(Kind::Present, MENTIONS), (Kind::Uncertain, UNCERTAIN_MENTIONS), (Kind::AbsentOnly, ABSENT_ONLY)];
    let groups = kinds.into_iter().flat_map(|(kind, rules)| {
        rules.iter().flat_map(move |(observations, phrases)| observations.iter().map(move |it| ((kind, *it), *phrases)))
    });
    Phrases::new(groups)
});

static NO_MENTION_PHRASES: LazyLock<Phrases<Observation>> = LazyLock::new(|| {
    let groups = NO_MENTIONS.iter().flat_map(|(observations, phrases)| observations.iter().map(|it| (*it, *phrases)));
    Phrases::new(groups)
});

/// What a report says of each observation, by the rules of `docs/findings.md`.
///
/// Takes time and memory that grow linearly with the length of the text. Any text is accepted; of one without words
/// nothing is mentioned.
pub fn read_findings(text: &str) -> Findings {
    let lower_case = text.to_lowercase();
    let sentences = sentences(&lower_case);
    let mut findings = Findings::default();
    for words in &sentences {
        read_sentence(words, &mut findings);
    }
    let other = |observation: &Observation| {
        ![Observation::NoFinding, Observation::SupportDevices].contains(observation)
            && findings.status(*observation) >= Status::Uncertain
    };
    let has_words = sentences.iter().flatten().any(|word| *word != ",");
    if has_words && !Observation::ALL.iter().any(other) {
        findings.mention(Observation::NoFinding, Status::Positive);
    }
    findings
}

fn read_sentence(words: &[&str], findings: &mut Findings) {
    let clauses = Clauses::new(words);
    let contexts = clauses.contexts(words);
    // A bit for each observation that a word does not mention, whatever it looks like.
    let mut ignored = vec![0_u16; words.len()];
    for span in (0..words.len()).flat_map(|index| NO_MENTION_PHRASES.at(words, index)) {
        ignored[span.start..span.end].iter_mut().for_each(|bits| *bits |= 1 << span.value as u16);
    }
    let is_ignored = |index: usize, observation: Observation| ignored[index] >> observation as u16 & 1 == 1;
    for &(start, end) in &clauses.ranges {
        let clause = &words[start..end];
        for mention in (0..clause.len()).flat_map(|index| MENTION_PHRASES.at(clause, index)) {
            let Found { value: (kind, observation), start: first, end: behind } = mention;
            if is_ignored(start + first, observation) && is_ignored(start + behind - 1, observation) {
                continue;
            }
            let context = Context {
                negated_before: contexts[start + behind - 1].negated_before,
                uncertain_before: contexts[start + behind - 1].uncertain_before,
                ..contexts[start + first]
            };
            match (kind, status(context)) {
                (Kind::Uncertain, Status::Positive) => findings.mention(observation, Status::Uncertain),
                (Kind::AbsentOnly, Status::Positive | Status::Uncertain) => {}
                (_, status) => findings.mention(observation, status),
            }
        }
        statements(clause, &contexts[start..end], |part, observation, status| {
            if !is_ignored(start + part, observation) {
                findings.mention(observation, status);
            }
        });
    }
}

/// The status of a mention. A negation before it wins over doubt, as in "no opacity to suggest pneumonia"; doubt
/// behind it wins over a negation behind it ("not excluded").
fn status(context: Context) -> Status {
    match context {
        Context { negated_before: true, .. } => Status::Negative,
        Context { uncertain_after: true, .. } => Status::Uncertain,
        Context { negated_after: true, .. } => Status::Negative,
        Context { uncertain_before: true, .. } => Status::Uncertain,
        _ => Status::Positive,
    }
}
