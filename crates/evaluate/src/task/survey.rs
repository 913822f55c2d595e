//! What the records of a split hold, found before anything is predicted: how many can be scored, and which classes and names they have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ptu_data::record::label_values;
use ptu_data::{InputForm, Record, Split};
use ptu_infer::task::{Target, TaskDescription, TaskOutput};
use ptu_input::text::name_key;

use crate::EvaluateError;
use crate::label_check::existing_labels;

/// Largest number of values that a message lists.
const LISTED: usize = 8;

/// Counts of the inputs of a split.
pub struct Survey<'a> {
    task: &'a TaskDescription,
    /// What records must have to be scored, for messages.
    wanted: String,
    /// Whether records whose class is not among the outputs are scored, as wrong.
    scores_others: bool,
    /// Number of inputs.
    inputs: usize,
    /// Values of the label that are not among the classes, with their numbers of records.
    others: BTreeMap<String, usize>,
    /// Number of records of each class.
    classes: Vec<usize>,
    /// Names of fields and labels, in the form in which names are compared, each with the spelling that a message displays.
    names: BTreeMap<String, String>,
    /// Names of labels alone.
    labels: BTreeSet<String>,
}

impl<'a> Survey<'a> {
    /// An empty survey.
    pub fn new(task: &'a TaskDescription, wanted: String, scores_others: bool) -> Self {
        let classes = vec![0; task.output.names().len()];
        let (others, names, labels) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { task, wanted, scores_others, inputs: 0, others, classes, names, labels }
    }

    /// Counts an input; whether it is scored.
    pub fn add(&mut self, record: &Record) -> bool {
        self.inputs += 1;
        for one in record.fields.iter().chain(&record.labels) {
            self.names.entry(name_key(&one.name).into_owned()).or_insert_with(|| one.name.clone());
        }
        self.labels.extend(record.labels.iter().map(|one| name_key(&one.name).into_owned()));
        match self.task.output.target(record) {
            Some(Target::OtherClass) => {
                if let TaskOutput::Classification { label, .. } = &self.task.output {
                    let values = label_values(&record.labels, label);
                    values.into_iter().for_each(|value| *self.others.entry(value).or_default() += 1);
                }
                self.scores_others
            }
            Some(Target::Class(class)) => {
                self.classes[class] += 1;
                true
            }
            target => target.is_some(),
        }
    }

    /// Refuses a name of `--by` that no record has as a field or label.
    ///
    /// # Errors
    /// [`EvaluateError::NoField`].
    pub fn check_field(&self, by: &str, path: &Path) -> Result<(), EvaluateError> {
        if self.names.contains_key(name_key(by).as_ref()) {
            return Ok(());
        }
        let names: Vec<&String> = self.names.values().collect();
        Err(EvaluateError::NoField { path: path.into(), field: by.into(), there: existing_labels(by, &names) })
    }

    /// Refuses a label that no record has.
    ///
    /// # Errors
    /// [`EvaluateError::NoLabel`].
    pub fn check_label(&self, label: &str, path: &Path) -> Result<(), EvaluateError> {
        if self.labels.contains(name_key(label).as_ref()) {
            return Ok(());
        }
        let (label, paths) = (label.to_string(), format!("`{}`", path.display()));
        let names: Vec<&String> = self.labels.iter().collect();
        Err(EvaluateError::NoLabel { there: existing_labels(&label, &names), paths, label })
    }

    /// The error for a split without any record that can be scored.
    pub fn nothing(&self, path: &Path, split: Split) -> EvaluateError {
        let mut cause = format!("`{}` has no record with {}", path.display(), self.wanted);
        if !self.others.is_empty() {
            let names = self.task.output.names().into_iter().map(String::from).collect::<Vec<_>>();
            let names = listed(names.iter());
            cause += &format!("; the label has the values {}, and the classes are {names}", listed(self.others.keys()));
        }
        EvaluateError::NoTarget { split: split.to_string(), cause }
    }

    /// Sentences about records that are not scored or cannot be right, and about classes without records.
    pub fn notes(&self, scored: usize) -> Vec<String> {
        let (mut notes, others) = (vec![], self.others.values().sum::<usize>());
        let (inputs, mut skipped) = (self.inputs, self.inputs.saturating_sub(scored));
        if others > 0 {
            let values = listed(self.others.keys());
            notes.push(if self.scores_others {
                format!("the class of {others} of {inputs} records is not a class of the model ({values}); they count as wrong")
            } else {
                skipped = skipped.saturating_sub(others);
                format!("{others} of {inputs} records are not scored, because their class is not in the file of sentences ({values})")
            });
        }
        if skipped > 0 {
            let wanted = &self.wanted;
            notes.push(format!("{skipped} of {inputs} records are not scored, because they do not have {wanted}"));
        }
        if let (TaskOutput::Classification { classes, .. }, false) = (&self.task.output, self.scores_others) {
            let empty: Vec<&String> =
                classes.iter().zip(&self.classes).filter(|(_, count)| **count == 0).map(|(class, _)| class).collect();
            if !empty.is_empty() {
                let (count, names) = (empty.len(), listed(empty.into_iter()));
                notes.push(format!(
                    "{count} classes have no record ({names}); they can be predicted, and have no AUROC"
                ));
            }
        }
        notes
    }
}

/// The first names, in quotation marks.
pub(super) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let count = names.len();
    let shown: Vec<String> = names.take(LISTED).map(|name| format!("`{name}`")).collect();
    let more = if count > LISTED { format!(" and {} more", count - LISTED) } else { String::new() };
    shown.join(", ") + &more
}

/// What records must have to be an input of this form.
pub fn reads(input: InputForm) -> &'static str {
    match input {
        InputForm::Available => "an image or a text",
        InputForm::Image => "an image",
        InputForm::Text => "a text",
        InputForm::Pair => "an image and a text",
        InputForm::Question => "a question",
        InputForm::Sentences => "a pair of sentences",
    }
}

/// What records must have to be scored.
pub fn targets(output: &TaskOutput) -> String {
    match output {
        TaskOutput::Classification { label, .. } => format!("one value of the label `{label}`"),
        TaskOutput::Multilabel { labels, .. } => format!("the labels of the model, such as `{}`", labels[0].label),
        TaskOutput::Vqa { .. } => "an answer".into(),
        TaskOutput::Retrieval { .. } => "a text".into(),
        TaskOutput::Report(written) | TaskOutput::Summary(written) => {
            format!("a text of the section `{}`", written.target.name())
        }
    }
}

#[cfg(test)]
mod tests {
    use ptu_data::Label;

    use super::*;

    fn task() -> TaskDescription {
        let output = TaskOutput::Classification { label: "x".into(), classes: vec!["a".into(), "b".into()] };
        TaskDescription::new(InputForm::Image, output)
    }

    fn record(label: &str, value: &str) -> Record {
        Record { labels: vec![Label::new(label, value)], ..Record::default() }
    }

    #[test]
    fn records_of_other_classes_are_counted() {
        let task = task();
        for (scores_others, words) in [(true, "count as wrong"), (false, "not in the file of sentences (`c`)")] {
            let mut survey = Survey::new(&task, "one value".into(), scores_others);
            let scored = [record("x", "a"), record("x", "c"), record("y", "a")].map(|record| survey.add(&record));
            assert_eq!(scored, [true, scores_others, false]);
            let notes = survey.notes(1 + usize::from(scores_others)).join("\n");
            assert!(
                notes.contains(words) && notes.contains("1 of 3 records are not scored, because they do not"),
                "{notes}"
            );
            assert_eq!(notes.contains("1 classes have no record (`b`)"), !scores_others, "{notes}");
        }
    }

    #[test]
    fn unknown_names_are_refused_with_those_that_exist() {
        let task = task();
        let mut survey = Survey::new(&task, "one value".into(), true);
        survey.add(&Record { fields: vec![Label::new("scanner", "1")], ..record("x", "c") });
        let path = Path::new("data");
        survey.check_field("Scanner", path).unwrap_or_else(|_| survey.check_field("scanner", path).unwrap());
        let message = survey.check_field("scaner", path).unwrap_err().to_string();
        assert!(message.contains("`scaner`") && message.contains("`scanner`, `x`"), "{message}");
        let message = survey.check_label("scanner", path).unwrap_err().to_string();
        assert!(message.contains("there is `x`"), "{message}");
        survey.check_label("x", path).unwrap();
        let message = survey.nothing(path, Split::Test).to_string();
        assert!(message.contains("the values `c`") && message.contains("`a`, `b`"), "{message}");
    }
}
