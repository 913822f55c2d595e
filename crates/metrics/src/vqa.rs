//! Answers to questions about images: exact and relaxed accuracy, token recall and token F1, by type of answer.
//!
//! All answers are compared as they are given: normalise them first (`ptu_input::text::normal_answer`; specification,
//! section 6). A token is a word between blanks.

use std::collections::HashMap;

use crate::mean::mean;

/// Type of a question by its answer, as the data sets of medical questions tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnswerType {
    /// Any words.
    Open,
    /// Yes or no, or one of a few choices that the question names.
    Closed,
}

/// A question with its true answer and the one that was given, both normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnsweredQuestion<'a> {
    /// Its type.
    pub answer_type: AnswerType,
    /// The true answer.
    pub truth: &'a str,
    /// The answer that was given.
    pub given: &'a str,
    /// Whether the true answer is one that the model can give. If it is outside of the model's answer set, the question
    /// counts as wrong, whatever was given.
    pub answerable: bool,
}

impl AnsweredQuestion<'_> {
    /// Whether the given answer equals the true one.
    pub fn is_exact(&self) -> bool {
        self.answerable && self.given == self.truth
    }

    /// Whether the given answer is right in the relaxed sense: an open answer if it has all tokens of the true one, so
    /// that its token recall is 1; a closed answer if it is equal.
    pub fn is_relaxed(&self) -> bool {
        self.is_exact()
            || (self.answerable
                && self.answer_type == AnswerType::Open
                && token_recall(self.truth, self.given) == Some(1.0))
    }

    /// [`token_recall`], or 0 if the question is not answerable.
    fn recall(&self) -> Option<f64> {
        token_recall(self.truth, self.given).map(|recall| if self.answerable { recall } else { 0.0 })
    }

    /// [`token_f1`], or 0 if the question is not answerable.
    fn f1(&self) -> Option<f64> {
        token_f1(self.truth, self.given).map(|f1| if self.answerable { f1 } else { 0.0 })
    }
}

/// Share of the true answer's tokens that the given answer has, the score of open answers in LLaVA-Med (Li et al.,
/// 2023). A token that occurs twice must be given twice. `None` if the true answer has no token.
pub fn token_recall(truth: &str, given: &str) -> Option<f64> {
    let overlap = Overlap::new(truth, given);
    (overlap.truth > 0).then(|| overlap.shared as f64 / overlap.truth as f64)
}

/// F1 of the tokens, the harmonic mean of token recall and token precision (Rajpurkar et al., 2016); 0 if no
/// token is shared. `None` if the true answer has no token.
pub fn token_f1(truth: &str, given: &str) -> Option<f64> {
    let overlap = Overlap::new(truth, given);
    (overlap.truth > 0).then(|| 2.0 * overlap.shared as f64 / (overlap.truth + overlap.given) as f64)
}

/// Numbers of tokens.
struct Overlap {
    truth: usize,
    given: usize,
    /// In both answers, counted as often as in the one that has fewer of them.
    shared: usize,
}

impl Overlap {
    fn new(truth: &str, given: &str) -> Overlap {
        let mut left: HashMap<&str, usize> = HashMap::new();
        for token in truth.split_whitespace() {
            *left.entry(token).or_default() += 1;
        }
        let mut overlap = Overlap { truth: truth.split_whitespace().count(), given: 0, shared: 0 };
        for token in given.split_whitespace() {
            overlap.given += 1;
            if let Some(count) = left.get_mut(token).filter(|count| **count > 0) {
                *count -= 1;
                overlap.shared += 1;
            }
        }
        overlap
    }
}

/// Scores of some questions; `None` where there is no question to score.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct VqaScore {
    /// Number of questions.
    pub questions: usize,
    /// How many of them have a true answer outside of the model's answer set; they count as wrong in all scores.
    pub unanswerable: usize,
    /// Share of answers that equal the true one.
    pub exact: Option<f64>,
    /// Share of answers that are right in the relaxed sense ([`AnsweredQuestion::is_relaxed`]).
    pub relaxed: Option<f64>,
    /// Mean of [`token_recall`] over the questions where it is defined.
    pub token_recall: Option<f64>,
    /// Mean of [`token_f1`] over the questions where it is defined.
    pub token_f1: Option<f64>,
}

impl VqaScore {
    fn new(questions: &[&AnsweredQuestion]) -> VqaScore {
        let share = |right: fn(&AnsweredQuestion) -> bool| {
            mean(questions.iter().map(|question| Some(f64::from(u8::from(right(question))))))
        };
        VqaScore {
            questions: questions.len(),
            unanswerable: questions.iter().filter(|question| !question.answerable).count(),
            exact: share(|it| it.is_exact()),
            relaxed: share(|it| it.is_relaxed()),
            token_recall: mean(questions.iter().map(|question| question.recall())),
            token_f1: mean(questions.iter().map(|question| question.f1())),
        }
    }
}

/// Scores by type of answer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct VqaScores {
    /// Of open questions.
    pub open: VqaScore,
    /// Of closed questions.
    pub closed: VqaScore,
    /// Of all questions together: each question counts once, whatever its type.
    pub overall: VqaScore,
}

/// Scores answers to questions by type of answer and overall.
///
/// ```
/// use ptu_metrics::{AnswerType, AnsweredQuestion, vqa_scores};
///
/// let question = |answer_type, truth, given| AnsweredQuestion { answer_type, truth, given, answerable: true };
/// let scores = vqa_scores(&[
///     question(AnswerType::Closed, "yes", "no"),
///     question(AnswerType::Open, "left lung", "base of left lung"),
/// ]);
/// assert_eq!(scores.overall.exact, Some(0.0));
/// assert_eq!((scores.open.relaxed, scores.overall.relaxed), (Some(1.0), Some(0.5)));
/// ```
pub fn vqa_scores(questions: &[AnsweredQuestion]) -> VqaScores {
    let of = |answer_type: AnswerType| {
        let questions: Vec<&AnsweredQuestion> = questions.iter().filter(|it| it.answer_type == answer_type).collect();
        VqaScore::new(&questions)
    };
    let all: Vec<&AnsweredQuestion> = questions.iter().collect();
    VqaScores { open: of(AnswerType::Open), closed: of(AnswerType::Closed), overall: VqaScore::new(&all) }
}

/// The chance level of [`vqa_scores`]: the scores of a model that gives each question the most frequent answer of its
/// type in `training` (type and normalised answer of each training question). Of equally frequent answers the first in
/// alphabetical order is given; a type without a training answer is answered with the empty text. The answers of
/// `questions` are ignored.
pub fn chance_vqa_scores(questions: &[AnsweredQuestion], training: &[(AnswerType, &str)]) -> VqaScores {
    let open = most_frequent(training, AnswerType::Open);
    let closed = most_frequent(training, AnswerType::Closed);
    let answered: Vec<AnsweredQuestion> = questions
        .iter()
        .map(|question| {
            let given = match question.answer_type {
                AnswerType::Open => open,
                AnswerType::Closed => closed,
            };
            AnsweredQuestion { given: given.unwrap_or_default(), ..*question }
        })
        .collect();
    vqa_scores(&answered)
}

/// The most frequent answer of a type; of equally frequent ones the first in alphabetical order.
fn most_frequent<'a>(training: &[(AnswerType, &'a str)], answer_type: AnswerType) -> Option<&'a str> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (_, answer) in training.iter().filter(|(it, _)| *it == answer_type) {
        *counts.entry(answer).or_default() += 1;
    }
    let largest = counts.into_iter().max_by(|(left, a), (right, b)| a.cmp(b).then(right.cmp(left)));
    largest.map(|(answer, _)| answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use AnswerType::{Closed, Open};

    fn question<'a>(answer_type: AnswerType, truth: &'a str, given: &'a str) -> AnsweredQuestion<'a> {
        AnsweredQuestion { answer_type, truth, given, answerable: true }
    }

    #[test]
    fn tokens_are_counted_with_repetition() {
        assert_eq!(token_recall("left lung", "left upper lung"), Some(1.0));
        assert_eq!(token_recall("left left lung", "left lung"), Some(2.0 / 3.0));
        assert_eq!(token_recall("lung", "lungs"), Some(0.0), "tokens are whole words");
        assert_eq!(token_recall("", "lung"), None);
        assert_eq!(token_f1("left lung", "left upper lung"), Some(4.0 / 5.0));
        assert_eq!(token_f1("left lung", ""), Some(0.0));
        assert_eq!(token_f1("  ", "lung"), None);
    }

    #[test]
    fn scores_by_hand() {
        let unanswerable = AnsweredQuestion { answerable: false, ..question(Open, "rib", "rib") };
        let scores = vqa_scores(&[
            question(Closed, "yes", "yes"),
            question(Closed, "no", "no effusion"), // relaxed for open answers alone
            question(Open, "right lung", "right lung"),
            question(Open, "right lung", "right lower lung"), // recall 1, F1 4/5
            question(Open, "pleural effusion", "effusion"),   // recall 1/2, F1 2/3
            unanswerable,
        ]);
        assert_eq!((scores.closed.questions, scores.closed.unanswerable), (2, 0));
        assert_eq!((scores.closed.exact, scores.closed.relaxed), (Some(0.5), Some(0.5)));
        assert_eq!((scores.closed.token_recall, scores.closed.token_f1), (Some(1.0), Some((1.0 + 2.0 / 3.0) / 2.0)));
        assert_eq!((scores.open.questions, scores.open.unanswerable), (4, 1));
        assert_eq!((scores.open.exact, scores.open.relaxed), (Some(0.25), Some(0.5)));
        assert_eq!(scores.open.token_recall, Some(2.5 / 4.0));
        assert_eq!(scores.open.token_f1, Some((1.0 + 0.8 + 2.0 / 3.0) / 4.0));
        assert_eq!((scores.overall.questions, scores.overall.unanswerable), (6, 1));
        assert_eq!((scores.overall.exact, scores.overall.relaxed), (Some(2.0 / 6.0), Some(3.0 / 6.0)));
    }

    #[test]
    fn an_empty_true_answer_is_compared_as_a_whole() {
        let scores = vqa_scores(&[question(Open, "", "lung"), question(Open, "", "")]);
        assert_eq!((scores.open.exact, scores.open.relaxed, scores.open.token_f1), (Some(0.5), Some(0.5), None));
    }

    #[test]
    fn scores_without_questions_are_undefined() {
        assert_eq!(vqa_scores(&[]), VqaScores::default());
        assert_eq!(vqa_scores(&[question(Open, "rib", "rib")]).closed.exact, None);
    }

    #[test]
    fn chance_gives_the_most_frequent_answer_of_each_type() {
        let training = [(Closed, "no"), (Closed, "yes"), (Closed, "yes"), (Open, "lung"), (Open, "heart")];
        let questions = [
            question(Closed, "yes", ""),
            question(Closed, "no", "no"),
            question(Open, "heart", ""),
            question(Open, "lung", ""),
        ];
        let chance = chance_vqa_scores(&questions, &training);
        assert_eq!((chance.closed.exact, chance.open.exact), (Some(0.5), Some(0.5)), "yes; heart, the first of two");
        assert_eq!(most_frequent(&training, Open), Some("heart"));
        let untrained = chance_vqa_scores(&questions, &training[..3]);
        assert_eq!((untrained.open.exact, untrained.overall.exact), (Some(0.0), Some(0.25)));
    }
}
