//! What a task reads of a record ([`InputForm`]), and a source that shows its records in this form ([`ViewedSource`]).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::record::Record;
use crate::source::Source;

/// What a task reads of a record as its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputForm {
    /// The image and all texts. If the record has only one of the two, prompts take the place of the other.
    #[default]
    Available,
    /// The image; prompts take the place of the text.
    Image,
    /// All texts, joined by spaces; prompts take the place of the image.
    Text,
    /// The image and all texts. Records without one of the two are not used.
    Pair,
    /// The image and one question. A record with several questions gives several inputs.
    Question,
    /// Two sentences as a pair of the tokenizer (natural language inference), without image.
    Sentences,
}

impl InputForm {
    /// All forms.
    pub const ALL: [Self; 6] = [Self::Available, Self::Image, Self::Text, Self::Pair, Self::Question, Self::Sentences];

    /// The name in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Image => "image",
            Self::Text => "text",
            Self::Pair => "pair",
            Self::Question => "question",
            Self::Sentences => "sentences",
        }
    }

    /// Number of inputs that a record gives. The image is not looked at, so the record may come without it.
    pub fn count(self, record: &Record) -> usize {
        let has_text = record.texts.iter().any(|text| !text.trim().is_empty());
        match self {
            Self::Available | Self::Image => 1,
            Self::Text | Self::Pair => usize::from(has_text),
            Self::Question => record.questions.len(),
            Self::Sentences => usize::from(record.sentences.is_some()),
        }
    }

    /// The record as the task reads it: at most one text, and no image where the form has none. `number` is the number of the
    /// input, below [`Self::count`]. A pair without an image has no text either, so that it gives no input.
    pub fn view(self, mut record: Record, number: usize) -> Record {
        let texts: Vec<&str> = record.texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
        let text = match self {
            Self::Image | Self::Sentences => None,
            Self::Pair if record.image.is_none() => None,
            Self::Available | Self::Text | Self::Pair => (!texts.is_empty()).then(|| texts.join(" ")),
            Self::Question => record.questions.get(number).map(|question| question.question.clone()),
        };
        record.texts = text.into_iter().collect();
        record.sections.clear();
        match self {
            Self::Text | Self::Sentences => record.image = None,
            Self::Question => record.questions = record.questions.into_iter().skip(number).take(1).collect(),
            Self::Available | Self::Image | Self::Pair => {}
        }
        if self != Self::Sentences {
            record.sentences = None;
        }
        record
    }
}

impl fmt::Display for InputForm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// The records of a source in the form in which a task reads them.
pub struct ViewedSource {
    source: Arc<dyn Source>,
    form: InputForm,
    /// For each input, the position of its record and the number of the input in the record.
    inputs: Vec<(usize, usize)>,
}

impl ViewedSource {
    /// The inputs of a source for which `is_used` is true. It is asked about the record as the task reads it, without its image.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn new(
        source: Arc<dyn Source>,
        form: InputForm,
        is_used: &mut dyn FnMut(&Record) -> bool,
    ) -> Result<Self, DataError> {
        let (mut inputs, mut position) = (vec![], 0);
        source.each_without_image(&mut |record| {
            let count = form.count(&record);
            if count == 1 {
                inputs.extend(is_used(&seen_without_image(form, record, 0)).then_some((position, 0)));
            } else {
                let numbers = (0..count).filter(|&number| is_used(&seen_without_image(form, record.clone(), number)));
                inputs.extend(numbers.map(|number| (position, number)));
            }
            position += 1;
        })?;
        Ok(Self { source, form, inputs })
    }

    /// Keeps only the inputs at these positions.
    ///
    /// # Panics
    /// If a position is not below the number of inputs.
    pub fn select(self, positions: &[usize]) -> Self {
        let inputs = positions.iter().map(|&position| self.inputs[position]).collect();
        Self { inputs, ..self }
    }
}

/// The view of a record that was read without its image. A pair keeps its text, because its image is only not in memory.
fn seen_without_image(form: InputForm, record: Record, number: usize) -> Record {
    let form = if form == InputForm::Pair { InputForm::Available } else { form };
    form.view(record, number)
}

impl Source for ViewedSource {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn len(&self) -> usize {
        self.inputs.len()
    }

    fn get(&self, index: usize) -> Result<Record, DataError> {
        let &(record, number) = self.inputs.get(index).ok_or_else(|| DataError::OutOfRange {
            source_name: self.name().to_string(),
            index,
            len: self.len(),
        })?;
        Ok(self.form.view(self.source.get(record)?, number))
    }

    fn each_without_image(&self, each: &mut dyn FnMut(Record)) -> Result<(), DataError> {
        let (mut inputs, mut position) = (self.inputs.iter().peekable(), 0);
        // Selected inputs may be in any order, in which the records of the source cannot be passed once.
        if !self.inputs.is_sorted() {
            for &(record, number) in &self.inputs {
                each(self.form.view(self.source.get(record)?, number));
            }
            return Ok(());
        }
        self.source.each_without_image(&mut |record| {
            while let Some(&(_, number)) = inputs.next_if(|(of, _)| *of == position) {
                each(seen_without_image(self.form, record.clone(), number));
            }
            position += 1;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Question, RecordImage, SentencePair};
    use crate::source::Records;

    fn question(text: &str) -> Question {
        Question { question: text.into(), answer: "yes".into(), ..Question::default() }
    }

    fn record(id: &str, questions: &[&str]) -> Record {
        Record {
            id: id.into(),
            image: Some(RecordImage { bytes: vec![1], path: None }),
            texts: vec!["one.".into(), " ".into(), "two.".into()],
            questions: questions.iter().map(|text| question(text)).collect(),
            sentences: Some(SentencePair { premise: "a".into(), hypothesis: "b".into() }),
            ..Record::default()
        }
    }

    #[test]
    fn each_form_shows_what_its_name_says() {
        let seen = |form: InputForm, record: Record| {
            let view = form.view(record, 0);
            (view.image.is_some(), view.texts.join("|"), view.questions.len(), view.sentences.is_some())
        };
        let whole = || record("a", &["where", "which"]);
        assert_eq!(seen(InputForm::Available, whole()), (true, "one. two.".into(), 2, false));
        assert_eq!(seen(InputForm::Image, whole()), (true, String::new(), 2, false));
        assert_eq!(seen(InputForm::Text, whole()), (false, "one. two.".into(), 2, false));
        assert_eq!(seen(InputForm::Question, whole()), (true, "where".into(), 1, false));
        assert_eq!(seen(InputForm::Sentences, whole()), (false, String::new(), 2, true));
        let without_image = Record { image: None, ..whole() };
        assert_eq!(seen(InputForm::Pair, without_image.clone()), (false, String::new(), 2, false));
        assert_eq!(seen(InputForm::Available, without_image), (false, "one. two.".into(), 2, false));
        assert_eq!(seen(InputForm::Pair, whole()), (true, "one. two.".into(), 2, false));
    }

    #[test]
    fn a_record_with_several_questions_gives_several_inputs() {
        let records = vec![record("a", &["1", "2"]), record("b", &[]), record("c", &["3"])];
        let source = Arc::new(Records { name: "test".into(), records });
        let mut used = |record: &Record| record.questions[0].question != "1";
        let viewed = ViewedSource::new(source, InputForm::Question, &mut used).unwrap();
        let asked = |viewed: &ViewedSource| {
            let each = (0..viewed.len()).map(|index| viewed.get(index).unwrap());
            each.map(|record| (record.id, record.texts[0].clone(), record.image.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(asked(&viewed), [("a".into(), "2".into(), true), ("c".into(), "3".into(), true)]);
        let mut ids = vec![];
        viewed.each_without_image(&mut |record| ids.push(record.texts[0].clone())).unwrap();
        assert_eq!(ids, ["2", "3"]);
        let turned = viewed.select(&[1, 0]);
        assert_eq!(asked(&turned)[0].0, "c");
        ids.clear();
        turned.each_without_image(&mut |record| ids.push(record.texts[0].clone())).unwrap();
        assert_eq!(ids, ["3", "2"]);
        assert!(turned.get(2).is_err());
    }

    #[test]
    fn a_pair_is_kept_although_its_image_is_not_read_yet() {
        let source = Arc::new(Records { name: "test".into(), records: vec![record("a", &[])] });
        let mut texts = vec![];
        let mut used = |record: &Record| {
            texts.extend(record.texts.clone());
            true
        };
        let viewed = ViewedSource::new(source, InputForm::Pair, &mut used).unwrap();
        assert_eq!(viewed.get(0).unwrap().texts, ["one. two."]);
        assert_eq!(texts, ["one. two."]);
    }
}
