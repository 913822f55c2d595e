//! What a task reads of a record ([`InputForm`], [`RecordView`]), and a source that shows its records so ([`ViewedSource`]).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::record::{Record, Section};
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

    /// Whether a text is read beside the image, so that the image can be missing.
    pub fn may_lack_image(self) -> bool {
        matches!(self, Self::Available | Self::Pair | Self::Question)
    }

    /// Whether the image is read beside texts of the record, so that these can be missing. A question is always there.
    pub fn may_lack_texts(self) -> bool {
        matches!(self, Self::Available | Self::Pair)
    }
}

/// How a task sees a record: what it reads of it, and what it should write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordView {
    /// What the task reads.
    pub form: InputForm,
    /// The section whose texts are read; `None` for all texts except those of `target`. Of a record whose sections are not known,
    /// all texts are read.
    pub section: Option<Section>,
    /// The section that the task should write. It is never read.
    pub target: Option<Section>,
    /// Whether the read text and the target are lower-cased.
    pub lower_case: bool,
}

/// A view of all texts.
impl From<InputForm> for RecordView {
    fn from(form: InputForm) -> Self {
        Self { form, ..Self::default() }
    }
}

impl RecordView {
    /// Number of inputs that a record gives. The image is not looked at, so the record may come without it.
    pub fn count(&self, record: &Record) -> usize {
        match self.form {
            InputForm::Available | InputForm::Image => 1,
            InputForm::Text | InputForm::Pair => usize::from(self.text(record).is_some()),
            InputForm::Question => record.questions.len(),
            InputForm::Sentences => usize::from(record.sentences.is_some()),
        }
    }

    /// The record as the task sees it: at most one text, and no image where the form has none. `number` is the number of the
    /// input, below [`Self::count`]. A pair without an image has no text either, so that it gives no input.
    pub fn of(&self, mut record: Record, number: usize) -> Record {
        let text = match self.form {
            InputForm::Image | InputForm::Sentences => None,
            InputForm::Pair if record.image.is_none() => None,
            InputForm::Available | InputForm::Text | InputForm::Pair => self.text(&record),
            InputForm::Question => record.questions.get(number).map(|question| question.question.clone()),
        };
        record.target = self.target.and_then(|target| self.joined(&record, |section| section == target));
        record.texts = text.into_iter().collect();
        record.sections.clear();
        match self.form {
            InputForm::Text | InputForm::Sentences => record.image = None,
            InputForm::Question => record.questions = record.questions.into_iter().skip(number).take(1).collect(),
            InputForm::Available | InputForm::Image | InputForm::Pair => {}
        }
        if self.form != InputForm::Sentences {
            record.sentences = None;
        }
        record
    }

    /// The view of a record that was read without its image. A pair keeps its text, because its image is only not in memory.
    fn without_image(&self, record: Record, number: usize) -> Record {
        let form = if self.form == InputForm::Pair { InputForm::Available } else { self.form };
        Self { form, ..*self }.of(record, number)
    }

    /// The text that is read; `None` if there is none.
    fn text(&self, record: &Record) -> Option<String> {
        self.joined(record, |section| match self.section {
            Some(wanted) => section == wanted || record.sections.is_empty(),
            None => Some(section) != self.target,
        })
    }

    /// All texts of some sections, joined by spaces; `None` if there are none.
    fn joined(&self, record: &Record, is_used: impl Fn(Section) -> bool) -> Option<String> {
        let section = |position: usize| record.sections.get(position).copied().unwrap_or_default();
        let texts = record.texts.iter().enumerate().filter(|(position, _)| is_used(section(*position)));
        let texts: Vec<&str> = texts.map(|(_, text)| text.trim()).filter(|text| !text.is_empty()).collect();
        let joined = texts.join(" ");
        (!joined.is_empty()).then(|| if self.lower_case { joined.to_lowercase() } else { joined })
    }
}

impl fmt::Display for InputForm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// The records of a source as a task sees them.
pub struct ViewedSource {
    source: Arc<dyn Source>,
    view: RecordView,
    /// For each input, the position of its record and the number of the input in the record.
    inputs: Vec<(usize, usize)>,
}

impl ViewedSource {
    /// The inputs of a source for which `is_used` is true. It is asked about the record as the task sees it, without its image.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn new(
        source: Arc<dyn Source>,
        view: impl Into<RecordView>,
        is_used: &mut dyn FnMut(&Record) -> bool,
    ) -> Result<Self, DataError> {
        let (view, mut inputs, mut position) = (view.into(), vec![], 0);
        source.each_without_image(&mut |record| {
            let count = view.count(&record);
            if count == 1 {
                inputs.extend(is_used(&view.without_image(record, 0)).then_some((position, 0)));
            } else {
                let numbers = (0..count).filter(|&number| is_used(&view.without_image(record.clone(), number)));
                inputs.extend(numbers.map(|number| (position, number)));
            }
            position += 1;
        })?;
        Ok(Self { source, view, inputs })
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
        Ok(self.view.of(self.source.get(record)?, number))
    }

    fn each_without_image(&self, each: &mut dyn FnMut(Record)) -> Result<(), DataError> {
        let (mut inputs, mut position) = (self.inputs.iter().peekable(), 0);
        // Selected inputs may be in any order, in which the records of the source cannot be passed once.
        if !self.inputs.is_sorted() {
            for &(record, number) in &self.inputs {
                each(self.view.of(self.source.get(record)?, number));
            }
            return Ok(());
        }
        self.source.each_without_image(&mut |record| {
            while let Some(&(_, number)) = inputs.next_if(|(of, _)| *of == position) {
                each(self.view.without_image(record.clone(), number));
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
            let view = RecordView::from(form).of(record, 0);
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
    fn a_target_is_not_read() {
        let report = Record {
            texts: vec!["Heart is large.".into(), "Cardiomegaly.".into(), "Reason: cough".into()],
            sections: vec![Section::Findings, Section::Impression],
            ..record("a", &[])
        };
        let seen = |view: RecordView| {
            let seen = view.of(report.clone(), 0);
            (view.count(&report), seen.texts.join("|"), seen.target)
        };
        let summary = RecordView { form: InputForm::Text, target: Some(Section::Impression), ..RecordView::default() };
        let target = Some("Cardiomegaly.".to_string());
        assert_eq!(seen(summary), (1, "Heart is large. Reason: cough".into(), target.clone()));
        let findings = RecordView { section: Some(Section::Findings), ..summary };
        assert_eq!(seen(findings), (1, "Heart is large.".into(), target));
        let lower = RecordView { lower_case: true, ..findings };
        assert_eq!(seen(lower), (1, "heart is large.".into(), Some("cardiomegaly.".into())));
        let captions = RecordView { section: Some(Section::Caption), ..summary };
        assert_eq!(seen(captions).0, 0, "the record has no caption");
        let typed = Record { texts: vec!["heart is large.".into()], sections: vec![], ..report.clone() };
        assert_eq!(findings.of(typed, 0).texts, ["heart is large."], "sections of a typed text are not known");
        let image = RecordView { form: InputForm::Image, target: Some(Section::Caption), ..summary };
        assert_eq!(seen(image), (1, String::new(), None));
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
