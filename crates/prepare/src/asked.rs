//! Counts questions and answers for the manifest.

use std::collections::{BTreeMap, HashSet};

use ptu_data::files::name_digest;
use ptu_data::record::{Question, Record, Split};
use ptu_input::text::normal_answer;

/// The largest number of different answers that are counted. So a data set of any size needs limited memory.
const MOST_ANSWERS: usize = 1 << 20;

/// How the names of the counts of questions begin, with the name of the split after it.
const QUESTIONS: &str = "questions-in-";

/// Counts of questions and of different answers.
#[derive(Default)]
pub(crate) struct QuestionCounts {
    /// For each split, the number of questions, of the closed ones among them, and of those without an answer.
    questions: BTreeMap<Split, [u64; 3]>,
    /// The answers in all splits but test, and in all splits, in normal form.
    answers: [HashSet<u128>; 2],
}

impl QuestionCounts {
    /// Whether these counts for a manifest are already there.
    pub(crate) fn are_in(noted: &BTreeMap<String, u64>) -> bool {
        noted.keys().any(|key| key.starts_with(QUESTIONS))
    }

    /// Counts the questions of a record.
    pub(crate) fn add(&mut self, record: &Record) {
        record.questions.iter().for_each(|question| self.add_question(record.split, question));
    }

    fn add_question(&mut self, split: Split, question: &Question) {
        let [all, closed, unanswered] = self.questions.entry(split).or_default();
        (*all, *closed) = (*all + 1, *closed + u64::from(question.closed));
        if !question.has_answer() {
            *unanswered += 1;
            return;
        }
        let answer = name_digest(&normal_answer(&question.answer));
        let [to_learn_from, in_all] = &mut self.answers;
        for (answers, counted) in [(to_learn_from, split != Split::Test), (in_all, true)] {
            // One more than the limit is kept, which shows that there are too many.
            if counted && answers.len() <= MOST_ANSWERS {
                answers.insert(answer);
            }
        }
    }

    /// Counts by their names in the manifest: questions in each split, the closed ones and those without an answer among them, and
    /// different answers in all splits but test and in all splits, counted as published code counts them. Answers are not counted
    /// if there are more than 1,048,576 different ones.
    pub(crate) fn noted(&self) -> BTreeMap<String, u64> {
        let questions = self.questions.iter().flat_map(|(split, [all, closed, unanswered])| {
            [
                (format!("{QUESTIONS}{split}"), *all),
                (format!("closed-questions-in-{split}"), *closed),
                (format!("questions-without-an-answer-in-{split}"), *unanswered),
            ]
        });
        let answers = ["answers-to-learn-from", "answers-in-all-splits"].into_iter().zip(&self.answers);
        let counted = answers.filter(|(_, answers)| answers.len() <= MOST_ANSWERS);
        let answers = counted.map(|(key, answers)| (key.to_string(), answers.len() as u64));
        questions.chain(answers).filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(split: Split, answers: &[&str]) -> Record {
        let question = |answer: &&str| Question {
            answer: answer.to_string(),
            closed: ["yes", "no"].contains(answer),
            ..Question::default()
        };
        Record { split, questions: answers.iter().map(question).collect(), ..Record::default() }
    }

    #[test]
    fn questions_and_different_answers_are_counted_by_split() {
        let mut counts = QuestionCounts::default();
        assert!(counts.noted().is_empty());
        counts.add(&record(Split::Train, &["yes", "The chest", "chest."]));
        counts.add(&record(Split::Test, &["no", "yes", "two", ""]));
        let noted = counts.noted();
        let wanted = [
            ("answers-in-all-splits", 4),
            ("answers-to-learn-from", 2),
            ("closed-questions-in-test", 2),
            ("closed-questions-in-train", 1),
            ("questions-in-test", 4),
            ("questions-in-train", 3),
            ("questions-without-an-answer-in-test", 1),
        ];
        assert!(noted.iter().map(|(key, count)| (key.as_str(), *count)).eq(wanted), "{noted:?}");
        assert!(QuestionCounts::are_in(&noted) && !QuestionCounts::are_in(&BTreeMap::new()));
    }

    #[test]
    fn memory_for_answers_is_limited() {
        let mut counts = QuestionCounts::default();
        let many: Vec<String> = (0..MOST_ANSWERS + 10).map(|number| format!("answer {number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        counts.add(&record(Split::Test, &many));
        counts.add(&record(Split::Train, &["yes"]));
        assert!(counts.answers[1].len() <= MOST_ANSWERS + 1);
        let noted = counts.noted();
        assert_eq!((noted.get("answers-to-learn-from"), noted.get("answers-in-all-splits")), (Some(&1), None));
        assert_eq!(noted["questions-in-test"], many.len() as u64);
    }
}
