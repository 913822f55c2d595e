//! Records into what the model is given: one text, one image, masks, and the batch's arrays.

use std::collections::BTreeSet;
use std::sync::Arc;

use ptu_input::{ImageFile, Input, Preprocess, Processed, Processor, Tokenizer, Transform};
use ptu_random::{Key, Place, Stream};
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::mask::{MaskTokens, Masked, mask, thin};
use crate::record::Record;

/// What turns a record into an example: a model's [`Processor`], and what training draws besides.
#[derive(Clone, Debug)]
pub struct Preparation {
    /// Image bytes and text to an input.
    pub processor: Processor,
    /// Transforms of images in training, with random steps.
    pub train_transforms: Vec<Transform>,
    /// The ids that masking needs.
    pub mask_tokens: MaskTokens,
    /// How much of a text is taken in training.
    pub unit: TextUnit,
    /// Share of its words that is kept in training, drawn each time; 1 for all.
    pub word_keep: f64,
}

/// How much of a record's texts is taken each time in training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextUnit {
    /// One random sentence of one random text (published).
    #[default]
    Sentence,
    /// One random text, whole.
    Text,
    /// Some random texts, whole and joined in random order: where a text says little about its image, several say more. Few
    /// are likelier than many.
    Texts,
}

impl Preparation {
    /// Takes the ids that masking needs from the tokenizer.
    pub fn new(tokenizer: Arc<Tokenizer>, preprocess: Preprocess, max_tokens: usize) -> Self {
        let mask_tokens = MaskTokens::of(&tokenizer);
        let processor = Processor::new(tokenizer, &preprocess, max_tokens);
        let train_transforms = preprocess.train;
        Self { processor, train_transforms, mask_tokens, unit: TextUnit::default(), word_keep: 1.0 }
    }

    /// Transforms of images in training and outside it.
    pub fn preprocess(&self) -> Preprocess {
        Preprocess { train: self.train_transforms.clone(), evaluate: self.processor.transforms.clone() }
    }
}

/// One record, ready for a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Number of its source.
    pub source: usize,
    /// Its position in the source.
    pub position: usize,
    /// All that is known of it (id, patient, labels, questions, sentences, ...), but for the bytes of its image.
    pub record: Record,
    /// Image, text or both.
    pub input: Input,
    /// The text as it was taken, before tokens; `None` without one.
    pub text: Option<String>,
    /// Whether that text has more tokens than are taken, so that only its beginning is in `input`.
    pub cut: bool,
    /// The text with words hidden; `None` without a text, or where nothing is masked.
    pub masked: Option<Masked>,
    /// Hash of the picture's pixels, before any transform.
    pub image_hash: Option<u64>,
    /// Hash of the normalised text.
    pub text_hash: Option<u64>,
    /// The same of each text of the record, whole.
    pub own_texts: Vec<u64>,
}

/// Which text of a record is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextChoice {
    /// The first, whole.
    First,
    /// The last one: a report's impression, where texts are findings and impression.
    Last,
    /// All, joined by a space.
    All,
    /// One of them, whole, drawn by this seed and the record's position.
    Drawn {
        /// Names the draw.
        seed: u64,
    },
}

/// Where a record stands, for messages and counts.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Number of the source.
    pub source: usize,
    /// Name of the source.
    pub name: &'a str,
    /// Position in the source.
    pub position: usize,
}

impl Preparation {
    /// A training example: one random sentence of one random text (or as `unit` and `word_keep` say), a random crop, random
    /// masks. `key` names seed, step and rank, `place` the record's place in the batch. `None` for a record with neither an
    /// image nor a text.
    ///
    /// # Errors
    /// When the image cannot be decoded or the text cannot be tokenised.
    pub fn train(
        &self,
        record: Record,
        origin: Origin<'_>,
        key: Key,
        place: u64,
    ) -> Result<Option<Example>, DataError> {
        let text = drawn(&record.texts, self.unit, &mut key.stream(Place::Sentence, place));
        let mut crop = key.stream(Place::Crop, place);
        let mut masks = key.stream(Place::Mask, place);
        let mut words = (self.word_keep < 1.0).then(|| key.stream(Place::Words, place));
        let draws = Draws { text, crop: Some(&mut crop), words: words.as_mut(), masks: Some(&mut masks) };
        self.example(record, origin, draws)
    }

    /// An example for evaluation: a whole text, no random step of the image. With a `mask_seed` words are hidden, the same
    /// for the same seed and position. `None` for a record with neither an image nor a text.
    ///
    /// # Errors
    /// As [`Preparation::train`].
    pub fn evaluate(
        &self,
        record: Record,
        origin: Origin<'_>,
        choice: TextChoice,
        mask_seed: Option<u64>,
    ) -> Result<Option<Example>, DataError> {
        let place = origin.position as u64;
        let filled: Vec<&str> = filled(&record.texts).collect();
        let text = match choice {
            TextChoice::First => filled.first().map(|text| text.to_string()),
            TextChoice::Last => filled.last().map(|text| text.to_string()),
            TextChoice::All => (!filled.is_empty()).then(|| filled.join(" ")),
            TextChoice::Drawn { seed } => {
                Key::new(seed).stream(Place::Sample, place).choose(&filled).map(|text| text.to_string())
            }
        };
        let mut masks = mask_seed.map(|seed| Key::new(seed).stream(Place::Mask, place));
        self.example(record, origin, Draws { text, crop: None, words: None, masks: masks.as_mut() })
    }

    fn example(&self, mut record: Record, origin: Origin<'_>, draws: Draws<'_>) -> Result<Option<Example>, DataError> {
        let image = record.image.take();
        let own_texts = filled(&record.texts).map(ptu_input::text::text_hash).collect();
        let Draws { text, crop, words, masks } = draws;
        let id = &record.id;
        let failed = |source| DataError::Record { id: id.clone(), source_name: origin.name.to_string(), source };
        let file =
            image.as_ref().map(|image| ImageFile { bytes: &image.bytes, name: image.path.as_deref().unwrap_or(id) });
        let processed = match crop {
            Some(crop) => self.processor.input_with(&self.train_transforms, Some(crop), file, text.as_deref()),
            None => self.processor.input(file, text.as_deref()),
        };
        let Some(Processed { mut input, image_hash, text_hash, cut }) = processed.map_err(failed)? else {
            return Ok(None);
        };
        if let Some((text, stream)) = input.text_mut().zip(words) {
            *text = thin(text, self.word_keep, stream);
        }
        let masked = input.text().zip(masks).map(|(text, stream)| mask(text, &self.mask_tokens, stream));
        let Origin { source, position, .. } = origin;
        Ok(Some(Example { source, position, record, input, text, cut, masked, image_hash, text_hash, own_texts }))
    }
}

/// What was drawn for one example. Without a crop stream the transforms are those of evaluation; without one of words all
/// are kept.
struct Draws<'a> {
    text: Option<String>,
    crop: Option<&'a mut Stream>,
    words: Option<&'a mut Stream>,
    masks: Option<&'a mut Stream>,
}

fn filled(texts: &[String]) -> impl Iterator<Item = &str> {
    texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// What is taken of a record's texts in training; a text in which no sentence is found is taken whole.
fn drawn(texts: &[String], unit: TextUnit, stream: &mut Stream) -> Option<String> {
    let mut texts: Vec<&str> = filled(texts).collect();
    match unit {
        TextUnit::Text => stream.choose(&texts).map(|text| text.to_string()),
        TextUnit::Sentence => {
            let text = *stream.choose(&texts)?;
            Some(stream.choose(&ptu_input::text::sentences(text)).copied().unwrap_or(text).to_string())
        }
        TextUnit::Texts => {
            stream.shuffle(&mut texts);
            // Evenly on a logarithmic scale.
            texts.truncate((texts.len() as f64 + 1.0).powf(stream.unit()) as usize);
            (!texts.is_empty()).then(|| texts.join(" "))
        }
    }
}

/// The hash of what is taken of these texts in training, where it is always the same; `None` where it is drawn anew each time,
/// or there is no text.
pub fn only_text(texts: &[String], unit: TextUnit) -> Option<u64> {
    let filled: Vec<&str> = filled(texts).collect();
    let units: Vec<&str> = match unit {
        TextUnit::Text => filled,
        // Some of several, joined: rarely twice the same.
        TextUnit::Texts => (filled.len() == 1).then_some(filled)?,
        TextUnit::Sentence => filled
            .into_iter()
            .flat_map(|text| match ptu_input::text::sentences(text) {
                sentences if sentences.is_empty() => vec![text],
                sentences => sentences,
            })
            .collect(),
    };
    let hashes: BTreeSet<u64> = units.into_iter().map(ptu_input::text::text_hash).collect();
    if hashes.len() == 1 { hashes.first().copied() } else { None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::tests::{picture_record, preparation, record};

    const ORIGIN: Origin<'static> = Origin { source: 1, name: "test", position: 4 };

    #[test]
    fn a_text_that_is_always_the_same_is_known_by_its_hash() {
        let of = |texts: &[&str], unit| only_text(&texts.iter().map(|text| text.to_string()).collect::<Vec<_>>(), unit);
        let hash = |text: &str| Some(ptu_input::text::text_hash(text));
        let (normal, both) = (hash("normal."), hash("normal. no effusion."));
        for (texts, sentence, text, joined) in [
            (&["normal.", " "][..], normal, normal, normal),
            (&["Normal.", "normal."], normal, normal, None),
            (&["normal. no effusion."], None, both, both),
            (&["normal.", "no effusion."], None, None, None),
            (&[], None, None, None),
        ] {
            let units = [TextUnit::Sentence, TextUnit::Text, TextUnit::Texts].map(|unit| of(texts, unit));
            assert_eq!(units, [sentence, text, joined], "{texts:?}");
        }
    }

    #[test]
    fn training_draws_a_sentence_a_crop_and_masks() {
        let preparation = preparation();
        let mut record = picture_record("a", 3);
        record.texts = vec!["the heart is enlarged. no effusion is seen.".into(), "  ".into(), "normal".into()];
        let make =
            |step, place| preparation.train(record.clone(), ORIGIN, Key::new(1).at(step), place).unwrap().unwrap();
        assert_eq!(make(3, 0), make(3, 0));
        let mut texts = BTreeMap::new();
        let mut crops = std::collections::BTreeSet::new();
        for step in 0..400 {
            let example = make(step, 0);
            let Input::Pair { image, text } = &example.input else { panic!("{:?}", example.input) };
            assert_eq!((image.side, example.source, example.position), (16, 1, 4));
            let masked = example.masked.as_ref().unwrap();
            assert_eq!(masked.ids.len(), text.ids.len());
            assert!(masked.labels.iter().any(Option::is_some));
            *texts.entry(example.text.clone().unwrap()).or_insert(0) += 1;
            crops.insert(image.planes.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
        }
        assert!(crops.len() > 10);
        let due = [("no effusion is seen.", 100), ("normal", 200), ("the heart is enlarged.", 100)];
        assert_eq!(texts.len(), 3);
        for ((text, count), (due_text, due)) in texts.iter().zip(due) {
            assert!(text == due_text && (due - 40..due + 40).contains(count), "{texts:?}");
        }
        assert_ne!(make(3, 0), make(3, 1));
    }

    #[test]
    fn some_texts_are_any_choice_of_them_whole() {
        let texts = ["the heart is enlarged. no effusion.".into(), " ".into(), "normal".into(), "no nodule".into()];
        let mut sizes = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..1000 {
            let taken = drawn(&texts, TextUnit::Texts, &mut Key::new(5).stream(Place::Sentence, index)).unwrap();
            let there = ["the heart is enlarged. no effusion.", "normal", "no nodule"].map(|text| taken.contains(text));
            *sizes.entry(there.iter().filter(|there| **there).count()).or_insert(0) += 1;
            seen.insert(taken);
        }
        // 3 single ones, 6 pairs and 6 triples in any order.
        assert_eq!(seen.len(), 15, "{seen:?}");
        // log 2 / log 4, then log 3/2, log 4/3.
        let due = [500i32, 292, 208];
        assert!((1..=3).all(|size| due[size - 1].abs_diff(sizes[&size]) < 50), "{sizes:?}");
        assert_eq!(drawn(&["  ".into()], TextUnit::Texts, &mut Key::new(5).stream(Place::Sentence, 0)), None);
    }

    #[test]
    fn evaluation_draws_nothing_unless_told() {
        let preparation = preparation();
        let mut record = picture_record("a", 3);
        record.texts = vec!["the heart is enlarged. no effusion.".into(), "normal".into()];
        let make = |choice, seed| preparation.evaluate(record.clone(), ORIGIN, choice, seed).unwrap().unwrap();
        let first = make(TextChoice::First, None);
        assert_eq!((first.text.as_deref(), &first.masked), (Some("the heart is enlarged. no effusion."), &None));
        assert_eq!(make(TextChoice::All, None).text.unwrap(), "the heart is enlarged. no effusion. normal");
        let drawn: std::collections::BTreeSet<_> =
            (0..20).map(|seed| make(TextChoice::Drawn { seed }, None).text.unwrap()).collect();
        assert_eq!(drawn.len(), 2);
        let masked = make(TextChoice::First, Some(1));
        assert!(masked.masked.is_some() && masked.masked == make(TextChoice::First, Some(1)).masked);
        assert_eq!(masked.input, first.input);
    }

    #[test]
    fn a_text_beyond_the_limit_is_marked() {
        let mut preparation = preparation();
        let example = |preparation: &Preparation, words: usize| {
            let record = Record { texts: vec!["heart ".repeat(words)], ..picture_record("a", 3) };
            preparation.evaluate(record, ORIGIN, TextChoice::All, None).unwrap().unwrap()
        };
        let tokens = |example: &Example| match &example.input {
            Input::Pair { text, .. } => text.ids.len(),
            other => panic!("{other:?}"),
        };
        let whole = example(&preparation, 4);
        assert!(!whole.cut && tokens(&whole) < 24);
        let (cut, size) = (example(&preparation, 40), tokens(&whole));
        assert!(cut.cut && tokens(&cut) == 24);
        preparation.processor.max_tokens = size;
        assert!(!example(&preparation, 4).cut, "as long as the limit is not longer");
        assert!(example(&preparation, 5).cut);
    }

    #[test]
    fn halves_are_variants_and_nothing_is_none() {
        let preparation = preparation();
        let whole = picture_record("a", 3);
        let of = |record: &Record| {
            let example = preparation.train(record.clone(), ORIGIN, Key::new(1), 0).unwrap()?;
            Some((example.input, example.image_hash.is_some(), example.text_hash.is_some()))
        };
        let text_only = Record { image: None, ..whole.clone() };
        assert!(matches!(of(&text_only), Some((Input::Text(_), false, true))));
        let image_only = Record { texts: vec![" ".into()], ..whole.clone() };
        assert!(matches!(of(&image_only), Some((Input::Image(_), true, false))));
        assert_eq!(of(&Record { image: None, ..image_only }), None);
        let error = preparation.train(record("b"), ORIGIN, Key::new(1), 0).unwrap_err().to_string();
        assert!(error.starts_with("record `b` of `test`: ") && error.contains("b.png"), "{error}");
    }
}
