//! Records that lack their image or their text by chance ([`IncompleteSource`]): what a data set with missing modalities gives.

use std::sync::Arc;

use ptu_random::{Key, Place, index_of};
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::record::Record;
use crate::source::Source;

/// Shares of the records that lose their image, and that lose their texts. No record loses both, and one that has only one of both keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "shares, such as `{ images = 0.5, texts = 0.2 }`")]
pub struct MissingShares {
    /// Share of the records whose image is removed.
    pub images: f64,
    /// Share of the records whose texts are removed.
    pub texts: f64,
}

/// What a record loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nothing.
    Nothing,
    /// Its image.
    Image,
    /// Its texts.
    Texts,
}

impl MissingShares {
    /// Whether both shares are 0.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong with these shares; `None` if they are valid.
    pub fn fault(&self) -> Option<String> {
        let Self { images, texts } = *self;
        let is_valid = images >= 0.0 && texts >= 0.0 && images + texts <= 1.0;
        (!is_valid).then(|| {
            format!(
                "has the shares {images} and {texts}; neither may be below 0, and both together at most 1, because no record loses both"
            )
        })
    }

    /// What the record with this id loses. With the same key, a record that loses something at a share loses it at each larger share too.
    pub fn lost(&self, id: &str, key: Key) -> Lost {
        let drawn = key.stream(Place::Missing, index_of(id)).unit();
        match () {
            () if drawn < self.images => Lost::Image,
            () if drawn >= 1.0 - self.texts => Lost::Texts,
            () => Lost::Nothing,
        }
    }
}

/// A source whose records lack their image or their texts by chance.
pub struct IncompleteSource {
    source: Arc<dyn Source>,
    shares: MissingShares,
    key: Key,
}

impl IncompleteSource {
    /// Removes images and texts of records of a source.
    pub fn new(source: Arc<dyn Source>, shares: MissingShares, key: Key) -> Self {
        Self { source, shares, key }
    }
}

impl Source for IncompleteSource {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn len(&self) -> usize {
        self.source.len()
    }

    fn get(&self, index: usize) -> Result<Record, DataError> {
        let mut record = self.source.get(index)?;
        if record.image.is_some() && !record.texts.is_empty() {
            match self.shares.lost(&record.id, self.key) {
                Lost::Nothing => {}
                Lost::Image => record.image = None,
                Lost::Texts => {
                    record.texts.clear();
                    record.sections.clear();
                }
            }
        }
        Ok(record)
    }

    /// The records come with all their texts: without the images, it is not known which records have both.
    fn each_without_image(&self, each: &mut dyn FnMut(Record)) -> Result<(), DataError> {
        self.source.each_without_image(each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordImage;
    use crate::source::Records;

    fn records(count: usize, image: bool, text: bool) -> Arc<dyn Source> {
        let record = |number: usize| Record {
            id: number.to_string(),
            image: image.then(|| RecordImage { bytes: vec![1], path: None }),
            texts: if text { vec!["a text".into()] } else { vec![] },
            ..Record::default()
        };
        Arc::new(Records { name: "test".into(), records: (0..count).map(record).collect() })
    }

    /// Which records have an image, and which a text.
    fn left(source: &Arc<dyn Source>, images: f64, texts: f64) -> Vec<(bool, bool)> {
        let source = IncompleteSource::new(Arc::clone(source), MissingShares { images, texts }, Key::new(5));
        let records = (0..source.len()).map(|index| source.get(index).unwrap());
        records.map(|record| (record.image.is_some(), !record.texts.is_empty())).collect()
    }

    #[test]
    fn shares_are_removed_and_grow_from_each_other() {
        let all = records(2000, true, true);
        let count = |left: &[(bool, bool)], kind| left.iter().filter(|one| **one == kind).count();
        let some = left(&all, 0.35, 0.35);
        assert_eq!(count(&some, (false, false)), 0, "no record loses both");
        for kind in [(true, false), (false, true)] {
            assert!(count(&some, kind).abs_diff(700) < 80, "{kind:?}: {}", count(&some, kind));
        }
        let more = left(&all, 0.5, 0.5);
        assert_eq!(count(&more, (true, true)), 0);
        assert!(some.iter().zip(&more).all(|(one, other)| *one == (true, true) || one == other));
        assert_eq!(count(&left(&all, 1.0, 0.0), (false, true)), 2000);
        assert_eq!(count(&left(&all, 0.0, 1.0), (true, false)), 2000);
        assert_eq!(count(&left(&all, 0.0, 0.0), (true, true)), 2000);
    }

    #[test]
    fn a_record_with_one_modality_keeps_it() {
        assert!(left(&records(50, true, false), 1.0, 0.0).iter().all(|one| *one == (true, false)));
        assert!(left(&records(50, false, true), 0.0, 1.0).iter().all(|one| *one == (false, true)));
    }

    #[test]
    fn impossible_shares_are_named() {
        let fault = |images, texts| MissingShares { images, texts }.fault();
        assert_eq!((fault(0.0, 0.0), fault(0.5, 0.5), fault(1.0, 0.0)), (None, None, None));
        for (images, texts) in [(0.6, 0.5), (-0.1, 0.5), (f64::NAN, 0.0)] {
            assert!(fault(images, texts).is_some_and(|text| text.contains("at most 1")), "{images} {texts}");
        }
    }
}
