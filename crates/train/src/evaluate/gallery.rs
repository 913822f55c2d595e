//! The pairs that are scored, and which of them count as right answers to each other.

use std::collections::BTreeMap;

use ptu_data::collate::Origin;
use ptu_data::{Masked, Preparation, Source, TextChoice};
use ptu_input::{Image, Input, Text};
use ptu_random::{Key, Place};

use crate::TrainError;

/// Which pairs are scored.
#[derive(Clone, Debug, PartialEq)]
pub struct GalleryOptions {
    /// Which text of a record.
    pub text: TextChoice,
    /// Pairs at most; more are drawn from by seed.
    pub limit: usize,
    /// Label whose equality makes a hit.
    pub hits: Option<String>,
    /// Label whose values are galleries of their own.
    pub by: Option<String>,
    /// Draws records and masks.
    pub seed: u64,
}

/// Pairs ready for the model.
#[derive(Clone, Debug)]
pub struct Gallery {
    /// The pairs.
    pub records: Vec<Pair>,
    /// Id of padding.
    pub padding: u32,
    /// Records of the source that have only one half and cannot be scored.
    pub incomplete: usize,
}

/// One pair of a gallery.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Its record's id.
    pub id: String,
    /// The unit of intervals.
    pub patient: String,
    /// Place in its source.
    pub record: usize,
    /// The image.
    pub image: Image,
    /// The text as tokens.
    pub text: Text,
    /// The text as written.
    pub words: String,
    /// The text with masked words.
    pub masked: Masked,
    /// Equal for equal images.
    pub image_hash: u64,
    /// Equal for equal texts.
    pub text_hash: u64,
    /// Value of the label that makes hits.
    pub label: Option<String>,
    /// Value of the label that makes galleries.
    pub group: Option<String>,
}

impl Gallery {
    /// Reads pairs from a source.
    ///
    /// # Errors
    /// A record that cannot be read; no pair at all.
    pub fn read(source: &dyn Source, preparation: &Preparation, options: &GalleryOptions) -> Result<Self, TrainError> {
        let mut order: Vec<usize> = (0..source.len()).collect();
        if order.len() > options.limit {
            Key::new(options.seed).stream(Place::Sample, 0).shuffle(&mut order);
        }
        let (mut records, mut incomplete) = (vec![], 0);
        for index in order {
            if records.len() == options.limit {
                break;
            }
            let record = source.get(index)?;
            let value = |name: &Option<String>| {
                let label = record.labels.iter().find(|label| Some(&label.name) == name.as_ref());
                label.map(|label| label.value.clone())
            };
            let (label, group) = (value(&options.hits), value(&options.by));
            let origin = Origin { source: 0, name: source.name(), record: index };
            let Some(example) = preparation.evaluate(record, origin, options.text, Some(options.seed))? else {
                incomplete += 1;
                continue;
            };
            match (example.input, example.masked, example.text, example.image_hash, example.text_hash) {
                (Input::Pair { image, text }, Some(masked), Some(words), Some(image_hash), Some(text_hash)) => records
                    .push(Pair {
                        id: example.id,
                        patient: example.patient,
                        record: index,
                        image,
                        text,
                        words,
                        masked,
                        image_hash,
                        text_hash,
                        label,
                        group,
                    }),
                _ => incomplete += 1,
            }
        }
        if records.is_empty() {
            let cause = format!("`{}` has no record with both an image and a text", source.name());
            return Err(TrainError::Nothing { split: "evaluated".into(), cause });
        }
        Ok(Self { records, padding: preparation.tokenizer.special().pad, incomplete })
    }

    /// One gallery a value of the label that makes galleries, by name; those without the label under an empty name.
    pub fn split(self) -> Vec<(String, Self)> {
        let mut parts: BTreeMap<String, Vec<Pair>> = BTreeMap::new();
        for pair in self.records {
            parts.entry(pair.group.clone().unwrap_or_default()).or_default().push(pair);
        }
        let part = |records| Self { records, padding: self.padding, incomplete: self.incomplete };
        parts.into_iter().map(|(name, records)| (name, part(records))).collect()
    }

    /// Whether an item answers a query: its partner, or one with an equal text, an equal image, or an equal label.
    pub fn is_hit(&self, query: usize, item: usize) -> bool {
        let (query, item) = (&self.records[query], &self.records[item]);
        query.id == item.id
            || query.text_hash == item.text_hash
            || query.image_hash == item.image_hash
            || (query.label.is_some() && query.label == item.label)
    }

    /// Patient of each record.
    pub fn patients(&self) -> Vec<&str> {
        self.records.iter().map(|record| record.patient.as_str()).collect()
    }

    /// Numbers of all records.
    pub fn rows(&self) -> Vec<usize> {
        (0..self.records.len()).collect()
    }
}
