//! Turns a record into an example for the model: one text, one image, and masked words.

use std::collections::BTreeSet;
use std::sync::Arc;

use ptu_input::{Image, ImageFile, Input, Preprocess, Processed, Processor, Tokenizer, Transform};
use ptu_random::{Key, Place, Stream};
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::image_cache::ImageCache;
use crate::mask::{MaskTokens, Masked, drop_words, mask};
use crate::record::Record;

/// The preparation of examples from records: a model's [`Processor`], and the random choices of training.
#[derive(Clone, Debug)]
pub struct Preparation {
    /// Turns the bytes of an image and a text into an input of the model.
    pub processor: Processor,
    /// The image transforms in training, which may have random steps.
    pub train_transforms: Vec<Transform>,
    /// The token ids that masking needs.
    pub mask_tokens: MaskTokens,
    /// How much of a record's texts is used for a training example.
    pub unit: TextUnit,
    /// The probability that a word of the text is kept in a training example; 1 keeps all words.
    pub word_keep: f64,
    /// Whether the sentences of records that have a sentence pair are the input, instead of their image and texts.
    pub sentence_pairs: bool,
    /// The largest number of tokens of a record's target text, which is then tokenised; `None` for tasks that write no text.
    pub target_tokens: Option<usize>,
    /// The outputs of the image encoder for the images of the training data. With it, these images are not decoded.
    pub image_cache: Option<Arc<ImageCache>>,
}

/// How much of a record's texts is used for a training example. The choice is random and is made anew for each example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextUnit {
    /// One random sentence of one random text (as in the published method).
    #[default]
    Sentence,
    /// One complete random text.
    Text,
    /// Several complete random texts, joined in random order. If one text says little about its image, several texts say more.
    /// A small number of texts is more likely than a large one.
    Texts,
}

impl Preparation {
    /// A preparation with default text options; the token ids that masking needs come from the tokenizer.
    pub fn new(tokenizer: Arc<Tokenizer>, preprocess: Preprocess, max_tokens: usize) -> Self {
        let mask_tokens = MaskTokens::of(&tokenizer);
        let processor = Processor::new(tokenizer, &preprocess, max_tokens);
        let train_transforms = preprocess.train;
        Self {
            processor,
            train_transforms,
            mask_tokens,
            unit: TextUnit::default(),
            word_keep: 1.0,
            sentence_pairs: false,
            target_tokens: None,
            image_cache: None,
        }
    }

    /// The image transforms in training and in evaluation.
    pub fn preprocess(&self) -> Preprocess {
        Preprocess { train: self.train_transforms.clone(), evaluate: self.processor.transforms.clone() }
    }
}

/// One record, ready for a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The number of its source.
    pub source: usize,
    /// Its position in the source.
    pub position: usize,
    /// The record (id, patient, labels, questions, sentences, ...), without the bytes of its image.
    pub record: Record,
    /// Image, text or both.
    pub input: Input,
    /// The text of the example before tokenisation; `None` if it has no text.
    pub text: Option<String>,
    /// Whether that text was truncated, so that only its beginning is in `input`.
    pub cut: bool,
    /// The text with masked words; `None` if there is no text, or if words are not masked.
    pub masked: Option<Masked>,
    /// Hash of the pixels of the image, before any transform.
    pub image_hash: Option<u64>,
    /// Hash of the normalised text.
    pub text_hash: Option<u64>,
    /// Hashes of all complete texts of the record, normalised.
    pub own_texts: Vec<u64>,
    /// The tokens of the text that the model should write, from the start token to the end token; `None` if there is none.
    pub target: Option<Vec<u32>>,
}

/// Which text of a record is used in evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextChoice {
    /// The complete first text.
    First,
    /// The complete last text. If the texts are findings and impression, it is the impression.
    Last,
    /// All texts, joined by spaces.
    All,
    /// One complete random text, sampled with this seed and the record's position.
    Drawn {
        /// The seed of the choice.
        seed: u64,
    },
}

/// The source of a record and its position there, for messages and counts.
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
    /// A training example: a random sentence of a random text (or what `unit` and `word_keep` say), a random crop and random
    /// masks. The random numbers depend on `key` (seed, step and rank) and on `place`, the record's position in the batch.
    /// `None` for a record with neither an image nor a text.
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
        let text = sample_text(&record.texts, self.unit, &mut key.stream(Place::Sentence, place));
        let mut crop = key.stream(Place::Crop, place);
        let mut mask = key.stream(Place::Mask, place);
        let mut words = (self.word_keep < 1.0).then(|| key.stream(Place::Words, place));
        let image = match (&self.image_cache, &record.image) {
            (Some(cache), Some(image)) => ImageChoice::Known(cache.get(&image.bytes)?),
            _ => ImageChoice::Random(&mut crop),
        };
        let sampling = Sampling { text, image, word_stream: words.as_mut(), mask_stream: Some(&mut mask) };
        self.example(record, origin, sampling)
    }

    /// An example for evaluation: a complete text, and image transforms without random steps. With a `mask_seed`, words are
    /// masked; the same seed and position always mask the same words. `None` for a record with neither an image nor a text.
    ///
    /// # Errors
    /// As in [`Preparation::train`].
    pub fn evaluate(
        &self,
        record: Record,
        origin: Origin<'_>,
        choice: TextChoice,
        mask_seed: Option<u64>,
    ) -> Result<Option<Example>, DataError> {
        let place = origin.position as u64;
        let texts: Vec<&str> = non_empty(&record.texts).collect();
        let text = match choice {
            TextChoice::First => texts.first().map(|text| text.to_string()),
            TextChoice::Last => texts.last().map(|text| text.to_string()),
            TextChoice::All => (!texts.is_empty()).then(|| texts.join(" ")),
            TextChoice::Drawn { seed } => {
                Key::new(seed).stream(Place::Sample, place).choose(&texts).map(|text| text.to_string())
            }
        };
        let mut mask = mask_seed.map(|seed| Key::new(seed).stream(Place::Mask, place));
        let sampling = Sampling { text, image: ImageChoice::Fixed, word_stream: None, mask_stream: mask.as_mut() };
        self.example(record, origin, sampling)
    }

    fn example(
        &self,
        mut record: Record,
        origin: Origin<'_>,
        sampling: Sampling<'_>,
    ) -> Result<Option<Example>, DataError> {
        let image = record.image.take();
        let own_texts = non_empty(&record.texts).map(ptu_input::text::text_hash).collect();
        let Sampling { text, image: choice, word_stream, mask_stream } = sampling;
        let id = &record.id;
        let failed = |source| DataError::Record { id: id.clone(), source_name: origin.name.to_string(), source };
        let file =
            image.as_ref().map(|image| ImageFile { bytes: &image.bytes, name: image.path.as_deref().unwrap_or(id) });
        let processed = match (record.sentences.as_ref().filter(|_| self.sentence_pairs), choice) {
            (Some(pair), _) => self.processor.sentences(&pair.premise, &pair.hypothesis).map(Some),
            (None, ImageChoice::Known((hash, image))) => {
                self.processor.known_image(image, hash, text.as_deref()).map(Some)
            }
            (None, ImageChoice::Random(stream)) => {
                self.processor.input_with(&self.train_transforms, Some(stream), file, text.as_deref())
            }
            (None, ImageChoice::Fixed) => self.processor.input(file, text.as_deref()),
        };
        let Some(Processed { mut input, image_hash, text_hash, cut }) = processed.map_err(failed)? else {
            return Ok(None);
        };
        if let Some((text, stream)) = input.text_mut().zip(word_stream) {
            *text = drop_words(text, self.word_keep, stream);
        }
        let masked = input.text().zip(mask_stream).map(|(text, stream)| mask(text, &self.mask_tokens, stream));
        let target = record.target.as_deref().zip(self.target_tokens);
        let target = target.map(|(target, most)| self.processor.tokenizer.encode(target, most)).transpose();
        let target = target.map_err(failed)?.map(|target| target.ids);
        let Origin { source, position, .. } = origin;
        Ok(Some(Example {
            source,
            position,
            record,
            input,
            text,
            cut,
            masked,
            image_hash,
            text_hash,
            own_texts,
            target,
        }))
    }
}

/// The text that was chosen for one example, and the random streams of its other steps.
struct Sampling<'a> {
    text: Option<String>,
    /// How the image becomes an input.
    image: ImageChoice<'a>,
    /// For dropping words; `None`: all words are kept.
    word_stream: Option<&'a mut Stream>,
    /// For masking words; `None`: no word is masked.
    mask_stream: Option<&'a mut Stream>,
}

/// How the image of an example becomes an input.
enum ImageChoice<'a> {
    /// By the transforms of evaluation.
    Fixed,
    /// By the transforms of training, with these random numbers.
    Random(&'a mut Stream),
    /// The outputs of the image encoder are known, and so is the hash of the pixels.
    Known((u64, Image)),
}

/// The trimmed texts that are not empty.
fn non_empty(texts: &[String]) -> impl Iterator<Item = &str> {
    texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// Samples the text of a training example from a record's texts. If no sentence is found in a text, the complete text is used.
fn sample_text(texts: &[String], unit: TextUnit, stream: &mut Stream) -> Option<String> {
    let mut texts: Vec<&str> = non_empty(texts).collect();
    match unit {
        TextUnit::Text => stream.choose(&texts).map(|text| text.to_string()),
        TextUnit::Sentence => {
            let text = *stream.choose(&texts)?;
            Some(stream.choose(&ptu_input::text::sentences(text)).copied().unwrap_or(text).to_string())
        }
        TextUnit::Texts => {
            stream.shuffle(&mut texts);
            // The number of texts is uniform on a logarithmic scale.
            texts.truncate((texts.len() as f64 + 1.0).powf(stream.unit()) as usize);
            (!texts.is_empty()).then(|| texts.join(" "))
        }
    }
}

/// The hash of the training text of a record with these texts, if that text is always the same. `None` if the text is sampled
/// from several possible ones, or if there is no text.
pub fn only_text(texts: &[String], unit: TextUnit) -> Option<u64> {
    let texts: Vec<&str> = non_empty(texts).collect();
    let units: Vec<&str> = match unit {
        TextUnit::Text => texts,
        // A random selection of several joined texts is rarely the same twice.
        TextUnit::Texts => (texts.len() == 1).then_some(texts)?,
        TextUnit::Sentence => texts
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
    fn a_text_that_is_always_the_same_has_a_hash() {
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
    fn training_samples_a_sentence_a_crop_and_masks() {
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
    fn several_texts_are_joined_in_any_selection_and_order() {
        let texts = ["the heart is enlarged. no effusion.".into(), " ".into(), "normal".into(), "no nodule".into()];
        let mut sizes = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..1000 {
            let taken = sample_text(&texts, TextUnit::Texts, &mut Key::new(5).stream(Place::Sentence, index)).unwrap();
            let there = ["the heart is enlarged. no effusion.", "normal", "no nodule"].map(|text| taken.contains(text));
            *sizes.entry(there.iter().filter(|there| **there).count()).or_insert(0) += 1;
            seen.insert(taken);
        }
        // 3 single texts, 6 ordered pairs and 6 ordered triples.
        assert_eq!(seen.len(), 15, "{seen:?}");
        // log 2 / log 4, then log 3/2, log 4/3.
        let due = [500i32, 292, 208];
        assert!((1..=3).all(|size| due[size - 1].abs_diff(sizes[&size]) < 50), "{sizes:?}");
        assert_eq!(sample_text(&["  ".into()], TextUnit::Texts, &mut Key::new(5).stream(Place::Sentence, 0)), None);
    }

    #[test]
    fn evaluation_is_random_only_with_a_seed() {
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
    fn a_truncated_text_is_marked() {
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
        assert!(!example(&preparation, 4).cut, "a text of exactly the limit is not truncated");
        assert!(example(&preparation, 5).cut);
    }

    #[test]
    fn a_missing_modality_gives_another_variant_of_input() {
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
