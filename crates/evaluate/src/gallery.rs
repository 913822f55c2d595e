//! The pairs that are scored, and which of them count as right answers to each other.

use std::collections::{BTreeMap, BTreeSet};

use ptu_data::collate::Origin;
use ptu_data::record::Label;
use ptu_data::{Example, Masked, Preparation, Record, Source, TextChoice};
use ptu_input::text::name_key;
use ptu_input::{Image, Input, Text};
use ptu_random::{Key, Place};
use rayon::prelude::*;

use crate::EvaluateError;

/// Records that go through the model at once.
pub(crate) const BATCH: usize = 16;

/// Records that are read and decoded at once.
const DECODED: usize = 64;

/// Which half of a pair asks; the other half is what it looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// An image looks for texts.
    Image,
    /// A text looks for images.
    Text,
}

/// Which pairs are scored.
#[derive(Clone, Debug, PartialEq)]
pub struct GalleryOptions {
    /// Which text of a record.
    pub text: TextChoice,
    /// Pairs at most; more are drawn from by seed.
    pub limit: usize,
    /// Label whose equality makes a hit: all values of it, where a record has several.
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
    /// Hashes of all texts of the record, the scored one among them (unless it is several, joined).
    pub own_texts: Vec<u64>,
    /// Values of the label that makes hits, in order; compared as names are ([`name_key`]), never as numbers.
    pub hits: Vec<String>,
    /// Values of the label that makes galleries.
    pub groups: Vec<String>,
    /// All labels of its record.
    pub labels: Vec<Label>,
}

impl Pair {
    /// A record as a pair; `None` of one that lacks its image or its text.
    fn of(
        record: Record,
        index: usize,
        source: &str,
        preparation: &Preparation,
        options: &GalleryOptions,
    ) -> Result<Option<Self>, EvaluateError> {
        let of = |name: &Option<String>| name.as_ref().map_or(vec![], |name| values(&record.labels, name));
        let (hits, groups, labels) = (of(&options.hits), of(&options.by), record.labels.clone());
        let origin = Origin { source: 0, name: source, position: index };
        let Some(example) = preparation.evaluate(record, origin, options.text, Some(options.seed))? else {
            return Ok(None);
        };
        let Example { record, input, text: words, masked, image_hash, text_hash, own_texts, .. } = example;
        let Record { id, patient, .. } = record;
        let Input::Pair { image, text } = input else { return Ok(None) };
        let known = words.zip(masked).zip(image_hash.zip(text_hash));
        Ok(known.map(|((words, masked), (image_hash, text_hash))| Self {
            id,
            patient,
            record: index,
            image,
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
}

impl Gallery {
    /// The first pairs alone, to be timed.
    pub fn first(&self, pairs: usize) -> Self {
        Self { records: self.records.iter().take(pairs).cloned().collect(), incomplete: 0 }
    }

    /// Reads pairs from a source.
    ///
    /// # Errors
    /// A record that cannot be read; no pair at all.
    pub fn read(
        source: &dyn Source,
        preparation: &Preparation,
        options: &GalleryOptions,
    ) -> Result<Self, EvaluateError> {
        let mut order: Vec<usize> = (0..source.len()).collect();
        if order.len() > options.limit {
            Key::new(options.seed).stream(Place::Sample, 0).shuffle(&mut order);
        }
        let (mut records, mut incomplete, mut order) = (vec![], 0, order.as_slice());
        while records.len() < options.limit && !order.is_empty() {
            let (now, later) = order.split_at(order.len().min(DECODED).min(options.limit - records.len()));
            order = later;
            let read: Vec<Record> = now.iter().map(|index| source.get(*index)).collect::<Result<_, _>>()?;
            // Images are decoded on all cores; of several that cannot be, the first is told.
            let pair =
                |(record, &index): (Record, &usize)| Pair::of(record, index, source.name(), preparation, options);
            let pairs: Vec<Result<_, _>> = read.into_par_iter().zip(now).map(pair).collect();
            let pairs: Vec<Option<Pair>> = pairs.into_iter().collect::<Result<_, _>>()?;
            incomplete += pairs.iter().filter(|pair| pair.is_none()).count();
            records.extend(pairs.into_iter().flatten());
        }
        if records.is_empty() {
            let cause = format!("`{}` has no record with both an image and a text", source.name());
            return Err(EvaluateError::Nothing { split: "evaluated".into(), cause });
        }
        Ok(Self { records, incomplete })
    }

    /// One gallery a value of the label that makes galleries, by name; those without the label under an empty name. A pair of
    /// several values is in the gallery of each.
    pub fn split(self) -> Vec<(String, Self)> {
        let mut parts: BTreeMap<String, Vec<Pair>> = BTreeMap::new();
        for mut pair in self.records {
            let groups = std::mem::take(&mut pair.groups);
            let (last, others) =
                groups.split_last().map_or((String::new(), &[][..]), |(last, rest)| (last.clone(), rest));
            others.iter().for_each(|group| parts.entry(group.clone()).or_default().push(pair.clone()));
            parts.entry(last).or_default().push(pair);
        }
        let part = |records| Self { records, incomplete: self.incomplete };
        parts.into_iter().map(|(name, records)| (name, part(records))).collect()
    }

    /// Whether the item of one pair answers the query of another: the text is the image's partner, or equal to any text
    /// of the image's record, or the text of an equal image, or the labels that make hits are equal, all values of them.
    pub fn is_hit(&self, query: Query, asking: usize, item: usize) -> bool {
        let (image, text) = match query {
            Query::Image => (&self.records[asking], &self.records[item]),
            Query::Text => (&self.records[item], &self.records[asking]),
        };
        image.id == text.id
            || image.text_hash == text.text_hash
            || image.own_texts.contains(&text.text_hash)
            || image.image_hash == text.image_hash
            || (!image.hits.is_empty() && image.hits == text.hits)
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

/// All values of a label, in order and once each, in the form in which names are compared.
pub(crate) fn values(labels: &[Label], name: &str) -> Vec<String> {
    let name = name_key(name);
    let values = labels.iter().filter(|label| name_key(&label.name) == name);
    let values: BTreeSet<String> = values.map(|label| name_key(&label.value).into_owned()).collect();
    values.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_equal_if_all_their_values_are() {
        let label = |all: &[&str]| {
            let labels: Vec<Label> = all.iter().map(|value| Label::new("Gr\u{f6}\u{df}e", *value)).collect();
            values(&labels, "Gro\u{308}\u{df}e")
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
            image: Image { side: 1, planes: vec![0.0; 3] },
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
        assert_eq!(values(&labels, "side"), ["left", "right"]);
        assert_ne!(values(&labels, "code"), values(&[label("code", "7")], "code"));
        assert_eq!(values(&[label("Gro\u{308}\u{df}e", "1")], "Gr\u{f6}\u{df}e"), ["1"]);
        // Equal sets of values are hits, one value in common is none.
        let pair = |id: &str, hash, hits: &[&str]| Pair {
            hits: hits.iter().map(|hit| hit.to_string()).collect(),
            groups: hits.iter().map(|hit| hit.to_string()).collect(),
            ..pair(id, hash, &[hash], None)
        };
        let records =
            vec![pair("a", 1, &["mass", "nodule"]), pair("b", 2, &["mass"]), pair("c", 3, &["mass", "nodule"])];
        let gallery = Gallery { records, incomplete: 0 };
        assert!(gallery.is_hit(Query::Image, 0, 2) && !gallery.is_hit(Query::Image, 0, 1));
        let parts: Vec<(String, usize)> =
            gallery.split().into_iter().map(|(name, part)| (name, part.records.len())).collect();
        assert_eq!(parts, [("mass".to_string(), 3), ("nodule".to_string(), 2)]);
    }

    #[test]
    fn partners_equals_and_all_texts_of_an_image_are_hits() {
        let records = vec![
            pair("a", 1, &[10, 11, 12], None),
            pair("b", 2, &[11, 13], None),
            pair("c", 1, &[14], Some("x")),
            pair("d", 3, &[10], Some("x")),
            pair("e", 4, &[15], None),
        ];
        let gallery = Gallery { records, incomplete: 0 };
        let hits = |query, asking| (0..5).filter(|&item| gallery.is_hit(query, asking, item)).collect::<Vec<_>>();
        // Image a: its own text, that of b (one of a's), that of the equal image c, that of d (equal to a's).
        assert_eq!(hits(Query::Image, 0), [0, 1, 2, 3]);
        // Text a (10) is no text of image b.
        assert_eq!(hits(Query::Text, 0), [0, 2, 3]);
        // Text b (11) is one of image a's.
        assert_eq!(hits(Query::Text, 1), [0, 1]);
        assert_eq!(hits(Query::Image, 1), [1]);
        assert_eq!(hits(Query::Image, 2), [0, 2, 3], "equal labels are hits, missing ones are not");
        assert_eq!(hits(Query::Text, 4), [4]);
    }
}
