//! The right outputs for a record.

use ptu_data::Record;
use ptu_data::record::label_values;
use ptu_input::text::{name_key, normal_answer};

use super::description::{BinaryLabel, TaskOutput};
use super::label_state::LabelState;

/// The right outputs for a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The right class.
    Class(usize),
    /// The right class is none of the model's classes, so that no prediction can be right.
    OtherClass,
    /// For each label whether it applies.
    Labels(Vec<LabelState>),
    /// The right answer; `None` if the answer set does not contain it.
    Answer(Option<usize>),
    /// The text that should be written.
    Text(String),
}

/// The values of a label of a record; names are compared as [`name_key`] says.
pub(crate) fn values_of<'a>(record: &'a Record, label: &str) -> impl Iterator<Item = &'a str> {
    let key = name_key(label).into_owned();
    record.labels.iter().filter(move |one| name_key(&one.name) == key).map(|one| one.value.as_str())
}

impl TaskOutput {
    /// The right outputs for a record as the task reads it; `None` if the record has no usable label, or no question with an answer.
    pub fn target(&self, record: &Record) -> Option<Target> {
        match self {
            Self::Classification { label, classes } => {
                let values = label_values(&record.labels, label);
                let [value] = values.as_slice() else { return None };
                let class = classes.iter().position(|class| name_key(class) == *value);
                Some(class.map_or(Target::OtherClass, Target::Class))
            }
            Self::Multilabel { labels, unmentioned } => {
                let states =
                    labels.iter().map(|label| label.state(record, *unmentioned)).collect::<Option<Vec<_>>>()?;
                states.iter().any(|state| *state != LabelState::Ignore).then_some(Target::Labels(states))
            }
            Self::Vqa { answers, .. } => {
                let question = record.questions.first().filter(|question| question.has_answer())?;
                let answer = normal_answer(&question.answer);
                Some(Target::Answer(answers.iter().position(|known| *known == answer)))
            }
            Self::Report(_) | Self::Summary(_) => record.target.clone().map(Target::Text),
            // The right text of an image is that of its record, and no output of its own.
            Self::Retrieval { .. } => None,
        }
    }
}

impl BinaryLabel {
    /// Whether the label applies to a record; `None` if its value is neither of the known words.
    fn state(&self, record: &Record, unmentioned: LabelState) -> Option<LabelState> {
        let mut values = values_of(record, &self.label).peekable();
        if values.peek().is_none() {
            return Some(unmentioned);
        }
        match &self.value {
            Some(value) => {
                let applies = values.any(|one| name_key(one) == name_key(value));
                Some(if applies { LabelState::Positive } else { LabelState::Negative })
            }
            None => LabelState::of(values.next()?, self.uncertain, unmentioned),
        }
    }
}

#[cfg(test)]
mod tests {
    use ptu_data::{Label, Question};

    use super::*;

    fn record(labels: &[(&str, &str)]) -> Record {
        Record { labels: labels.iter().map(|(name, value)| Label::new(*name, *value)).collect(), ..Record::default() }
    }

    #[test]
    fn a_class_needs_exactly_one_value() {
        let output =
            TaskOutput::Classification { label: "finding".into(), classes: vec!["mass".into(), "normal".into()] };
        assert_eq!(output.target(&record(&[("finding", "normal"), ("side", "left")])), Some(Target::Class(1)));
        assert_eq!(output.target(&record(&[("finding", "mass"), ("finding", "mass ")])), Some(Target::Class(0)));
        for labels in [&[("finding", "mass"), ("finding", "normal")][..], &[("side", "left")]] {
            assert_eq!(output.target(&record(labels)), None, "{labels:?}");
        }
        assert_eq!(output.target(&record(&[("finding", "other")])), Some(Target::OtherClass));
    }

    #[test]
    fn labels_follow_their_policies() {
        let label = |name: &str, uncertain| BinaryLabel { label: name.into(), value: None, uncertain };
        let output = TaskOutput::Multilabel {
            labels: vec![label("edema", LabelState::Positive), label("mass", LabelState::Ignore)],
            unmentioned: LabelState::Negative,
        };
        use LabelState::{Ignore, Negative, Positive};
        let of = |labels: &[(&str, &str)]| output.target(&record(labels));
        assert_eq!(of(&[("edema", "uncertain"), ("mass", "uncertain")]), Some(Target::Labels(vec![Positive, Ignore])));
        assert_eq!(of(&[("edema", "negative"), ("mass", "Positive")]), Some(Target::Labels(vec![Negative, Positive])));
        assert_eq!(of(&[("mass", "unmentioned")]), Some(Target::Labels(vec![Negative, Negative])));
        assert_eq!(of(&[("mass", "large")]), None);
        let values = TaskOutput::Multilabel {
            labels: ["mass", "edema"]
                .map(|value| BinaryLabel { label: "finding".into(), value: Some(value.into()), uncertain: Ignore })
                .to_vec(),
            unmentioned: Ignore,
        };
        let two = record(&[("finding", "edema"), ("finding", "nodule")]);
        assert_eq!(values.target(&two), Some(Target::Labels(vec![Negative, Positive])));
        assert_eq!(values.target(&record(&[])), None, "nothing is known of the record");
    }

    #[test]
    fn an_answer_outside_of_the_set_is_known_to_be_outside() {
        let output =
            TaskOutput::Vqa { answers: vec!["0".into(), "right sided".into()], collected_from: "train".into() };
        let asked = |answer: &str| {
            let question = Question { answer: answer.into(), ..Question::default() };
            output.target(&Record { questions: vec![question], ..Record::default() })
        };
        assert_eq!(asked("Right-sided"), Some(Target::Answer(Some(1))));
        assert_eq!(asked("left"), Some(Target::Answer(None)));
        assert_eq!(asked(" "), None, "the answer is not known");
        assert_eq!(output.target(&Record::default()), None);
    }
}
