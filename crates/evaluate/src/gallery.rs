//! Galleries: the pairs that are scored together, and which of them count as right answers to each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use ptu_data::collate::Origin;
use ptu_data::record::{Label, label_values};
use ptu_data::{DataError, Example, Masked, Preparation, Record, Source, TextChoice};
use ptu_infer::{Embedder, EncodedImages};
use ptu_input::{Image, ImageFile, Input, Processor, Text};
use ptu_random::{Key, Place};
use rayon::prelude::*;

use crate::EvaluateError;

/// Batch size of the model during evaluation.
pub(crate) const BATCH: usize = 16;

/// Number of records that are read and decoded together.
const DECODE_BATCH: usize = 64;

/// The modality of a retrieval query. The candidates have the other modality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// The query is an image, the candidates are texts.
    Image,
    /// The query is a text, the candidates are images.
    Text,
}

/// Which pairs are scored, and which answers count as hits.
#[derive(Clone, Debug, PartialEq)]
pub struct GalleryOptions {
    /// Which text of a record is used.
    pub text: TextChoice,
    /// Largest number of pairs. If the source has more, a sample is drawn with the seed.
    pub limit: usize,
    /// Label whose equality makes a hit. If a record has several values of it, all of them must be equal.
    pub hits: Option<String>,
    /// Label that splits the pairs into galleries, one for each value.
    pub by: Option<String>,
    /// Seed for the sampling of records and masks.
    pub seed: u64,
}

/// Pairs that are scored together. Texts are kept in memory; images are read from their source each time they are needed, because
/// the pixels of a large gallery take gigabytes.
#[derive(Clone)]
pub struct Gallery {
    /// The pairs.
    pub records: Vec<Pair>,
    /// Number of records of the source without an image or without a text; they cannot be scored.
    pub incomplete: usize,
    /// Turns the bytes of an image into an input of the model.
    pub processor: Processor,
    /// The outputs of the image encoder of the model that was scored last.
    pub encoded: Arc<EncodedImages>,
}

/// One pair of a gallery.
#[derive(Clone)]
pub struct Pair {
    /// Id of its record.
    pub id: String,
    /// The patient; confidence intervals resample patients.
    pub patient: String,
    /// The source of the record.
    pub source: Arc<dyn Source>,
    /// Position of the record in its source.
    pub record: usize,
    /// The text as tokens.
    pub text: Text,
    /// The text as written.
    pub words: String,
    /// The text with masked words.
    pub masked: Masked,
    /// Hash of the image; equal images have equal hashes.
    pub image_hash: u64,
    /// Hash of the text; equal texts have equal hashes.
    pub text_hash: u64,
    /// Hashes of all texts of the record. The scored text is among them, unless it is a join of several texts.
    pub own_texts: Vec<u64>,
    /// Values of the label that makes hits, sorted. They are compared like names ([`ptu_input::text::name_key`]), never as numbers.
    pub hits: Vec<String>,
    /// Values of the label that splits the pairs into galleries.
    pub groups: Vec<String>,
    /// All labels of its record.
    pub labels: Vec<Label>,
}

impl Pair {
    /// Makes a pair of a record; `None` if the record has no image or no text.
    fn of(
        record: Record,
        index: usize,
        source: &Arc<dyn Source>,
        preparation: &Preparation,
        options: &GalleryOptions,
    ) -> Result<Option<Self>, EvaluateError> {
        let of = |name: &Option<String>| name.as_ref().map_or(vec![], |name| label_values(&record.labels, name));
        let (hits, groups, labels) = (of(&options.hits), of(&options.by), record.labels.clone());
        let origin = Origin { source: 0, name: source.name(), position: index };
        let Some(example) = preparation.evaluate(record, origin, options.text, Some(options.seed))? else {
            return Ok(None);
        };
        let Example { record, input, text: words, masked, image_hash, text_hash, own_texts, .. } = example;
        let Record { id, patient, .. } = record;
        let Input::Pair { text, .. } = input else { return Ok(None) };
        let complete = words.zip(masked).zip(image_hash.zip(text_hash));
        Ok(complete.map(|((words, masked), (image_hash, text_hash))| Self {
            id,
            patient,
            source: Arc::clone(source),
            record: index,
            text,
            words,
            masked,
            image_hash,
            text_hash,
            own_texts,
            hits,
            groups,
            labels,
        }))
    }

    /// Reads the image again. The same bytes give the same pixels.
    fn image(&self, processor: &Processor) -> Result<Image, EvaluateError> {
        let (name, position) = (self.source.name(), self.record);
        let record = self.source.get(position)?;
        let image =
            record.image.ok_or_else(|| EvaluateError::Changed { id: self.id.clone(), source_name: name.into() })?;
        let file = ImageFile { bytes: &image.bytes, name: image.path.as_deref().unwrap_or(&self.id) };
        let failed = |source| DataError::Record { id: self.id.clone(), source_name: name.to_string(), source };
        Ok(processor.image(file).map_err(failed)?)
    }
}

impl Gallery {
    /// A gallery of the first pairs only, to measure how long an evaluation takes.
    pub fn first(&self, pairs: usize) -> Self {
        let records = self.records.iter().take(pairs).cloned().collect();
        Self { records, incomplete: 0, processor: self.processor.clone(), encoded: Arc::default() }
    }

    /// Reads pairs from a source.
    ///
    /// # Errors
    /// If a record cannot be read, or the source has no pair.
    pub fn read(
        source: &Arc<dyn Source>,
        preparation: &Preparation,
        options: &GalleryOptions,
    ) -> Result<Self, EvaluateError> {
        let mut order: Vec<usize> = (0..source.len()).collect();
        if order.len() > options.limit {
            Key::new(options.seed).stream(Place::Sample, 0).shuffle(&mut order);
        }
        let (mut records, mut incomplete, mut order) = (vec![], 0, order.as_slice());
        while records.len() < options.limit && !order.is_empty() {
            let (chunk, rest) = order.split_at(order.len().min(DECODE_BATCH).min(options.limit - records.len()));
            order = rest;
            let read: Vec<Record> = chunk.iter().map(|index| source.get(*index)).collect::<Result<_, _>>()?;
            // Images are decoded on all cores. If several cannot be decoded, the error of the first one is reported.
            let pair = |(record, &index): (Record, &usize)| Pair::of(record, index, source, preparation, options);
            let pairs: Vec<Result<_, _>> = read.into_par_iter().zip(chunk).map(pair).collect();
            let pairs: Vec<Option<Pair>> = pairs.into_iter().collect::<Result<_, _>>()?;
            incomplete += pairs.iter().filter(|pair| pair.is_none()).count();
            records.extend(pairs.into_iter().flatten());
        }
        if records.is_empty() {
            return Err(EvaluateError::NoPairs { source_name: source.name().into() });
        }
        Ok(Self { records, incomplete, processor: preparation.processor.clone(), encoded: Arc::default() })
    }

    /// Splits the pairs into one gallery for each value of the label [`GalleryOptions::by`], sorted by value. Pairs without the
    /// label are in a gallery with an empty name. A pair with several values is in the gallery of each value.
    pub fn split(self) -> Vec<(String, Self)> {
        let mut parts: BTreeMap<String, Vec<Pair>> = BTreeMap::new();
        for mut pair in self.records {
            let groups = std::mem::take(&mut pair.groups);
            let (last, others) =
                groups.split_last().map_or((String::new(), &[][..]), |(last, rest)| (last.clone(), rest));
            others.iter().for_each(|group| parts.entry(group.clone()).or_default().push(pair.clone()));
            parts.entry(last).or_default().push(pair);
        }
        let gallery = |records| {
            let (incomplete, processor) = (self.incomplete, self.processor.clone());
            Self { records, incomplete, processor, encoded: Arc::clone(&self.encoded) }
        };
        parts.into_iter().map(|(name, records)| (name, gallery(records))).collect()
    }

    /// True if the candidate of one row is a right answer to the query of another row. This is so if the text is the image's own,
    /// is equal to any text of the image's record, or belongs to an equal image, or if the labels that make hits are equal in all
    /// their values.
    pub fn is_hit(&self, query: Query, query_row: usize, candidate: usize) -> bool {
        let (image, text) = match query {
            Query::Image => (&self.records[query_row], &self.records[candidate]),
            Query::Text => (&self.records[candidate], &self.records[query_row]),
        };
        image.id == text.id
            || image.text_hash == text.text_hash
            || image.own_texts.contains(&text.text_hash)
            || image.image_hash == text.image_hash
            || (!image.hits.is_empty() && image.hits == text.hits)
    }

    /// The images of some rows, read and decoded on all cores.
    ///
    /// # Errors
    /// If an image cannot be read any more.
    pub fn images(&self, rows: &[usize]) -> Result<Vec<Image>, EvaluateError> {
        let images: Vec<Result<_, _>> = rows.par_iter().map(|&row| self.records[row].image(&self.processor)).collect();
        images.into_iter().collect()
    }

    /// As [`Self::images`], with the outputs of the model's image encoder in place of the pixels. Each image is encoded once for a model for
    /// which [`EncodedImages::start`] was called.
    ///
    /// # Errors
    /// If an image cannot be read any more.
    pub fn encoded_images(&self, embedder: Embedder<'_>, rows: &[usize]) -> Result<Vec<Image>, EvaluateError> {
        Ok(self.encoded.encode(embedder.model, embedder.precision, self.images(rows)?))
    }

    /// Patient of each record.
    pub fn patients(&self) -> Vec<&str> {
        self.records.iter().map(|record| record.patient.as_str()).collect()
    }

    /// Indices of all records, from 0.
    pub fn rows(&self) -> Vec<usize> {
        (0..self.records.len()).collect()
    }
}

#[cfg(test)]
mod tests {
    use ptu_data::Records;

    use super::*;
    use crate::testing::{noise, processor};

    #[test]
    fn labels_are_equal_if_all_their_values_are() {
        let label = |all: &[&str]| {
            let labels: Vec<Label> = all.iter().map(|value| Label::new("Gr\u{f6}\u{df}e", *value)).collect();
            label_values(&labels, "Gro\u{308}\u{df}e")
        };
        assert_eq!(label(&["mass", "effusion"]), label(&["effusion", "mass", "mass"]));
        assert_eq!(label(&["M\u{fc}ller"]), label(&["Mu\u{308}ller"]));
        assert_ne!(label(&["mass", "effusion"]), label(&["mass"]));
        assert_ne!(label(&["7"]), label(&["007"]));
        assert!(label(&[]).is_empty());
    }

    fn pair(id: &str, image_hash: u64, own_texts: &[u64], label: Option<&str>) -> Pair {
        let text = Text { ids: vec![0, 2], words: vec![None; 2] };
        Pair {
            id: id.into(),
            patient: id.into(),
            record: 0,
            source: noise(1, 1),
            masked: Masked { ids: text.ids.clone(), labels: vec![None; 2] },
            text,
            words: String::new(),
            image_hash,
            text_hash: own_texts[0],
            own_texts: own_texts.to_vec(),
            hits: label.map(String::from).into_iter().collect(),
            groups: vec![],
            labels: vec![],
        }
    }

    #[test]
    fn values_are_names_and_no_numbers() {
        let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
        let labels = [label("side", "right"), label("side", "left"), label("side", "right"), label("code", "007")];
        assert_eq!(label_values(&labels, "side"), ["left", "right"]);
        assert_ne!(label_values(&labels, "code"), label_values(&[label("code", "7")], "code"));
        assert_eq!(label_values(&[label("Gro\u{308}\u{df}e", "1")], "Gr\u{f6}\u{df}e"), ["1"]);
        // Records with equal sets of values are hits of each other. One value in common is not enough.
        let pair = |id: &str, hash, hits: &[&str]| Pair {
            hits: hits.iter().map(|hit| hit.to_string()).collect(),
            groups: hits.iter().map(|hit| hit.to_string()).collect(),
            ..pair(id, hash, &[hash], None)
        };
        let records =
            vec![pair("a", 1, &["mass", "nodule"]), pair("b", 2, &["mass"]), pair("c", 3, &["mass", "nodule"])];
        let gallery = Gallery { records, incomplete: 0, processor: processor(1), encoded: Arc::default() };
        assert!(gallery.is_hit(Query::Image, 0, 2) && !gallery.is_hit(Query::Image, 0, 1));
        let parts: Vec<(String, usize)> =
            gallery.split().into_iter().map(|(name, part)| (name, part.records.len())).collect();
        assert_eq!(parts, [("mass".to_string(), 3), ("nodule".to_string(), 2)]);
    }

    #[test]
    fn images_are_read_again() {
        let records = vec![pair("0", 1, &[1], None)];
        let gallery = Gallery { records, incomplete: 0, processor: processor(8), encoded: Arc::default() };
        let again = gallery.images(&[0, 0]).unwrap();
        assert!(again[0] == again[1] && again[0].side == 8);
        let mut changed = gallery;
        changed.records[0].source = Arc::new(Records { name: "changed".into(), records: vec![Record::default()] });
        assert!(matches!(changed.images(&[0]), Err(EvaluateError::Changed { .. })));
    }

    #[test]
    fn own_texts_equal_images_and_equal_labels_are_hits() {
        let records = vec![
            pair("a", 1, &[10, 11, 12], None),
            pair("b", 2, &[11, 13], None),
            pair("c", 1, &[14], Some("x")),
            pair("d", 3, &[10], Some("x")),
            pair("e", 4, &[15], None),
        ];
        let gallery = Gallery { records, incomplete: 0, processor: processor(1), encoded: Arc::default() };
        let hits = |query, row| (0..5).filter(|&item| gallery.is_hit(query, row, item)).collect::<Vec<_>>();
        // Hits of image a: its own text, the text of b (also a text of a), of c (an equal image), and of d (equal to a's text).
        assert_eq!(hits(Query::Image, 0), [0, 1, 2, 3]);
        // Text a (10) is not a text of image b.
        assert_eq!(hits(Query::Text, 0), [0, 2, 3]);
        // Text b (11) is also a text of image a.
        assert_eq!(hits(Query::Text, 1), [0, 1]);
        assert_eq!(hits(Query::Image, 1), [1]);
        assert_eq!(hits(Query::Image, 2), [0, 2, 3], "equal labels are hits, missing ones are not");
        assert_eq!(hits(Query::Text, 4), [4]);
    }
}
