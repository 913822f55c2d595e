//! A bundle that says how well images and texts fit each other: bytes and texts in, scores out.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::Device;
use ptu_data::Record;
use ptu_input::{Image, ImageFile, Input, InputError, Processor, Text};
use ptu_kernels::ComputePrecision;
use ptu_model::{Bundle, ModelError};
use rayon::prelude::*;
use serde::Serialize;

use super::Matcher;
use crate::task::Refused;
use crate::{Embedder, InferError};

/// Batch size of the model.
const BATCH: usize = 16;

/// Number of different texts that are encoded together, so that the memory does not grow with the number of texts.
const TEXTS: usize = 256;

/// What the score of a model means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchKind {
    /// The probability that the image and the text belong together, by the ITM head.
    Probability,
    /// The score of the retrieval head: larger for a better fit, but no probability.
    Score,
}

/// How well an image and a text fit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MatchScore {
    /// The probability that they belong together, 0 to 1: the softmax of the ITM head.
    Probability(f64),
    /// The score of the retrieval head. Scores of one model can be compared with each other; they were not trained to be probabilities.
    Score(f64),
}

impl MatchScore {
    /// The number.
    pub fn value(self) -> f64 {
        let (Self::Probability(value) | Self::Score(value)) = self;
        value
    }
}

/// A text, and how well it fits an image.
#[derive(Clone, Debug, PartialEq)]
pub struct TextMatch {
    /// Position of the text among the texts that were given.
    pub position: usize,
    /// The text.
    pub text: String,
    /// How well it fits.
    pub score: MatchScore,
    /// Whether the text was longer than the model reads, so that it saw only the beginning.
    pub cut: bool,
}

/// How well each text of a record fits its image.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordMatches {
    /// Id of the record.
    pub id: String,
    /// Its texts in their order, without empty ones.
    pub texts: Vec<TextMatch>,
}

/// A model with an ITM head or a retrieval head, with everything that it needs.
pub struct MatchModel {
    bundle: Bundle,
    processor: Processor,
    kind: MatchKind,
    /// Precision of the model's matrix products.
    pub precision: ComputePrecision,
}

/// The image of a record and the positions of its texts among the different texts.
struct ReadRecord {
    id: String,
    image: Image,
    /// For each text its position among all different texts, and the text itself.
    texts: Vec<(usize, String)>,
}

impl MatchModel {
    /// Reads a bundle.
    ///
    /// # Errors
    /// If a file cannot be read, or the model has neither an ITM head nor a retrieval head.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, InferError> {
        let bundle = Bundle::load(folder, device)?;
        let kind = match (&bundle.model.heads.retrieval, &bundle.model.heads.itm) {
            (Some(_), _) => MatchKind::Score,
            (None, Some(_)) => MatchKind::Probability,
            (None, None) => return Err(InferError::NoMatching { path: folder.into() }),
        };
        let processor = bundle.processor();
        Ok(Self { bundle, processor, kind, precision: ComputePrecision::F32 })
    }

    /// What the scores of this model mean.
    pub fn kind(&self) -> MatchKind {
        self.kind
    }

    /// How well each text fits an image, the best first; of equal scores the text that was given first. `name` is used in messages.
    ///
    /// # Errors
    /// If the image cannot be decoded, all texts are empty, or one cannot be tokenised.
    pub fn rank(&self, image: &[u8], name: &str, texts: &[&str]) -> Result<Vec<TextMatch>, InferError> {
        let record =
            Record { id: name.into(), texts: texts.iter().map(|text| (*text).into()).collect(), ..Record::default() };
        let image = Some(ptu_data::RecordImage { bytes: image.to_vec(), path: None });
        match self.matches(vec![Record { image, ..record }])?.pop() {
            Some(Ok(matches)) => Ok(matches.ranked().texts),
            Some(Err(Refused { id, cause })) => Err(InferError::Query(format!("`{id}`: {cause}"))),
            None => Err(InferError::Query("there is no input".into())),
        }
    }

    /// How well the texts of each record fit its image, in the order of the records. Records without an image or without a text are
    /// refused one by one. A text that several records have is encoded once.
    ///
    /// # Errors
    /// If inputs do not fit the model, or a score is not finite.
    pub fn matches(&self, records: Vec<Record>) -> Result<Vec<Result<RecordMatches, Refused>>, InferError> {
        let mut positions: HashMap<String, usize> = HashMap::new();
        let mut listed: Vec<Vec<(usize, String)>> = vec![];
        for record in &records {
            let texts = record.texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
            let position = |text: &str| {
                let next = positions.len();
                (*positions.entry(text.to_string()).or_insert(next), text.to_string())
            };
            listed.push(texts.map(position).collect());
        }
        let mut different: Vec<(String, usize)> = positions.into_iter().collect();
        different.sort_unstable_by_key(|(_, position)| *position);
        let tokens: Vec<Result<(Text, bool), InputError>> =
            different.into_par_iter().map(|(text, _)| self.tokens(&text)).collect();
        let read: Vec<Result<ReadRecord, Refused>> =
            records.into_par_iter().zip(listed).map(|(record, texts)| self.read(record, texts, &tokens)).collect();
        let scores = self.scores(&read, &tokens)?;
        let cut = |position: usize| tokens[position].as_ref().is_ok_and(|(_, cut)| *cut);
        let matched = |(image, one): (usize, ReadRecord)| {
            let each = one.texts.into_iter().enumerate().map(|(number, (position, text))| TextMatch {
                position: number,
                text,
                score: self.score(scores[&(image, position)]),
                cut: cut(position),
            });
            RecordMatches { id: one.id, texts: each.collect() }
        };
        let mut image = 0..;
        Ok(read.into_iter().map(|one| one.map(|one| matched((image.next().unwrap_or_default(), one)))).collect())
    }

    /// The tokens of a text, and whether it was truncated.
    fn tokens(&self, text: &str) -> Result<(Text, bool), InputError> {
        let processed = self.processor.input(None, Some(text))?;
        Ok(match processed.map(|processed| (processed.input, processed.cut)) {
            Some((Input::Text(text), cut)) => (text, cut),
            // A text gives the input of a text.
            _ => (self.processor.text(text)?, false),
        })
    }

    /// A record with its decoded image.
    fn read(
        &self,
        record: Record,
        texts: Vec<(usize, String)>,
        tokens: &[Result<(Text, bool), InputError>],
    ) -> Result<ReadRecord, Refused> {
        let Record { id, image, .. } = record;
        let refused = |cause: String| Refused { id: id.clone(), cause };
        let Some(image) = image else { return Err(refused("it has no image".into())) };
        if texts.is_empty() {
            return Err(refused("it has no text; write one behind the image".into()));
        }
        if let Some(error) = texts.iter().find_map(|(position, _)| tokens[*position].as_ref().err()) {
            return Err(refused(error.to_string()));
        }
        let file = ImageFile { bytes: &image.bytes, name: image.path.as_deref().unwrap_or(&id) };
        let image = self.processor.image(file).map_err(|error| refused(error.to_string()))?;
        Ok(ReadRecord { image, texts, id })
    }

    /// The score of each pair (image, text), by the position of the record among those that can be used, and of the text among all
    /// different texts.
    fn scores(
        &self,
        read: &[Result<ReadRecord, Refused>],
        tokens: &[Result<(Text, bool), InputError>],
    ) -> Result<HashMap<(usize, usize), f32>, InferError> {
        let images: Vec<&Image> = read.iter().flatten().map(|one| &one.image).collect();
        let mut pairs: Vec<(usize, usize)> = read
            .iter()
            .flatten()
            .enumerate()
            .flat_map(|(image, one)| one.texts.iter().map(move |(text, _)| (image, *text)))
            .collect();
        // Pairs of the same texts are scored together; a text that a record has twice is scored once.
        pairs.sort_unstable_by_key(|(image, text)| (text / TEXTS, *image, *text));
        pairs.dedup();
        let mut scores = HashMap::with_capacity(pairs.len());
        for chunk in pairs.chunk_by(|(_, one), (_, other)| one / TEXTS == other / TEXTS) {
            let needed = |of: fn(&(usize, usize)) -> usize| {
                let mut needed: Vec<usize> = chunk.iter().map(of).collect();
                needed.sort_unstable();
                needed.dedup();
                needed
            };
            let (rows, columns) = (needed(|(image, _)| *image), needed(|(_, text)| *text));
            let texts: Vec<&Text> = columns.iter().filter_map(|&text| Some(&tokens[text].as_ref().ok()?.0)).collect();
            let chosen: Vec<&Image> = rows.iter().map(|&row| images[row]).collect();
            let embedder = Embedder { precision: self.precision, ..Embedder::new(&self.bundle.model) };
            let matcher = Matcher::new(embedder, &chosen, &texts, BATCH)?;
            let place = |all: &[usize], one: usize| all.binary_search(&one).expect("every pair is listed");
            let local: Vec<(usize, usize)> =
                chunk.iter().map(|&(image, text)| (place(&rows, image), place(&columns, text))).collect();
            let found = matcher.scores(&local, BATCH);
            if !found.iter().all(|score| score.is_finite()) {
                return Err(ModelError::NotFinite.into());
            }
            scores.extend(chunk.iter().copied().zip(found));
        }
        Ok(scores)
    }

    /// What a number of the head means.
    fn score(&self, value: f32) -> MatchScore {
        match self.kind {
            // Of two logits, the softmax of the second is the sigmoid of their difference.
            MatchKind::Probability => MatchScore::Probability(1.0 / (1.0 + (-f64::from(value)).exp())),
            MatchKind::Score => MatchScore::Score(value.into()),
        }
    }
}

impl RecordMatches {
    /// The same with the best text first; of equal scores the text that was given first.
    pub fn ranked(mut self) -> Self {
        self.texts.sort_by(|one, other| other.score.value().total_cmp(&one.score.value()));
        self
    }
}
