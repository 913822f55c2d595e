//! Scores of a pre-trained model that classifies images by sentences, without fine-tuning (zero-shot classification).

use std::collections::BTreeSet;
use std::sync::Arc;

use ptu_data::record::label_values;
use ptu_data::{DataError, Label, Record, Source};
use ptu_infer::task::{ClassSentences, LabelState, TaskDescription};

/// Name of the label that stands for the only positive label of a record.
const ONLY_POSITIVE: &str = "only positive label";

/// A zero-shot classification that is scored.
#[derive(Clone, Copy, Debug)]
pub struct ZeroShot<'a> {
    /// The classes and their sentences.
    pub sentences: &'a ClassSentences,
    /// The label whose values are the classes. `None` if each class is a label of its own, with values such as `positive` and
    /// `negative`; then the records with exactly one positive label among the classes are scored.
    pub label: Option<&'a str>,
}

impl ZeroShot<'_> {
    /// The classification, as a task.
    pub fn task(&self) -> TaskDescription {
        self.sentences.task(self.label.unwrap_or(ONLY_POSITIVE))
    }

    /// What records must have to be scored, for messages.
    pub(super) fn wanted(&self) -> String {
        let conditions = self.sentences.only.iter().map(|(name, value)| format!(" and `{name}` = `{value}`"));
        let label = match self.label {
            Some(label) => format!("one value of the label `{label}`"),
            None => "exactly one positive label among the classes".into(),
        };
        format!("an image and {label}{}", conditions.collect::<String>())
    }

    /// The records of a source that meet the conditions of the file. Without a label of the classes, each gets one.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub(super) fn records(&self, source: Arc<dyn Source>) -> Result<Arc<dyn Source>, DataError> {
        if self.label.is_some() && self.sentences.only.is_empty() {
            return Ok(source);
        }
        let (mut positions, mut position) = (vec![], 0);
        source.each_without_image(&mut |record| {
            let holds = |(name, value): &(String, String)| {
                let wanted = ptu_input::text::name_key(value);
                let has = |values: &[Label]| label_values(values, name).iter().any(|one| *one == wanted);
                has(&record.fields) || has(&record.labels)
            };
            positions.extend(self.sentences.only.iter().all(holds).then_some(position));
            position += 1;
        })?;
        let labels = if self.label.is_none() { self.sentences.names() } else { vec![] };
        Ok(Arc::new(SelectedRecords { source, positions, labels }))
    }
}

/// Some of the records of a source.
struct SelectedRecords {
    source: Arc<dyn Source>,
    /// Their positions, in order.
    positions: Vec<usize>,
    /// The labels of which a record has exactly one positive; empty if the records stay as they are.
    labels: Vec<String>,
}

impl SelectedRecords {
    /// Adds the only positive label to the labels of a record.
    fn labelled(&self, mut record: Record) -> Record {
        let is_positive = |label: &&String| {
            let values = label_values(&record.labels, label);
            let state = |value: &String| LabelState::of(value, LabelState::Ignore, LabelState::Ignore);
            values.iter().any(|value| state(value) == Some(LabelState::Positive))
        };
        let positive: Vec<&String> = self.labels.iter().filter(is_positive).collect();
        if let [only] = positive.as_slice() {
            record.labels.push(Label::new(ONLY_POSITIVE, only.as_str()));
        }
        record
    }
}

impl Source for SelectedRecords {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn len(&self) -> usize {
        self.positions.len()
    }

    fn get(&self, index: usize) -> Result<Record, DataError> {
        let &position = self.positions.get(index).ok_or_else(|| DataError::OutOfRange {
            source_name: self.name().to_string(),
            index,
            len: self.len(),
        })?;
        Ok(self.labelled(self.source.get(position)?))
    }

    fn each_without_image(&self, each: &mut dyn FnMut(Record)) -> Result<(), DataError> {
        let (selected, mut position): (BTreeSet<usize>, usize) = (self.positions.iter().copied().collect(), 0);
        self.source.each_without_image(&mut |record| {
            if selected.contains(&position) {
                each(self.labelled(record));
            }
            position += 1;
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ptu_data::Records;
    use ptu_infer::task::Target;

    use super::*;

    #[test]
    fn the_class_is_the_only_positive_label() {
        let text = "[classes]\nedema = [\"edema.\"]\nmass = [\"a mass.\"]\n[only]\nsubset = \"zero-shot\"\n";
        let sentences = ClassSentences::parse(text, Path::new("f.toml")).unwrap();
        let zero_shot = ZeroShot { sentences: &sentences, label: None };
        let record = |subset: &str, edema: &str, mass: &str| Record {
            fields: vec![Label::new("subset", subset)],
            labels: vec![Label::new("edema", edema), Label::new("mass", mass)],
            ..Record::default()
        };
        let records = vec![
            record("zero-shot", "positive", "negative"),
            record("other", "positive", "negative"),
            record("zero-shot", "positive", "positive"),
            record("zero-shot", "uncertain", "1"),
            record("zero-shot", "negative", "unmentioned"),
        ];
        let source = zero_shot.records(Arc::new(Records { name: "x".into(), records })).unwrap();
        assert_eq!(source.len(), 4, "a record of another subset is not used");
        let task = zero_shot.task();
        let of = |record: &Record| task.output.target(record);
        let expected = [Some(Target::Class(0)), None, Some(Target::Class(1)), None];
        let found: Vec<_> = (0..4).map(|index| of(&source.get(index).unwrap())).collect();
        assert_eq!(found, expected);
        let mut listed = vec![];
        source.each_without_image(&mut |record| listed.push(of(&record))).unwrap();
        assert_eq!(listed, expected);
        assert!(zero_shot.wanted().contains("`subset` = `zero-shot`"));
        assert!(source.get(4).is_err());
    }
}
