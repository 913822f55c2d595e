//! The pairs of a source: what retrieval learns from.

use std::sync::Arc;

use ptu_data::collate::only_text;
use ptu_data::{DataError, Record, Source, TextUnit};
use ptu_random::{Key, Place};

/// The records of a source that have a text. A record without an image gives no input, because shards tell only record by record
/// whether there is an image.
pub struct PairSource {
    source: Arc<dyn Source>,
    /// Positions of the records in the source.
    positions: Vec<usize>,
    /// Whether the records have different texts.
    varied: bool,
}

impl PairSource {
    /// Finds the records with a text.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn new(source: Arc<dyn Source>) -> Result<Self, DataError> {
        let (mut positions, mut position, mut varied, mut first) = (vec![], 0, false, None);
        source.each_without_image(&mut |record| {
            if record.texts.iter().any(|text| !text.trim().is_empty()) {
                positions.push(position);
                // No hash: the record itself has several texts.
                let text = only_text(&record.texts, TextUnit::Text);
                varied |= text.is_none() || *first.get_or_insert(text) != text;
            }
            position += 1;
        })?;
        Ok(Self { source, positions, varied })
    }

    /// Whether the records have different texts, without which no text is a false one.
    pub fn is_varied(&self) -> bool {
        self.varied
    }

    /// Keeps a share of the records, drawn with the seed, at least one. With the same seed, the records of a smaller share are among
    /// those of a larger one.
    pub fn share(mut self, share: f64, seed: u64) -> Self {
        let keep = (share * self.positions.len() as f64).round() as usize;
        Key::new(seed).stream(Place::Sample, 0).shuffle(&mut self.positions);
        self.positions.truncate(keep.max(1));
        self.positions.sort_unstable();
        self
    }
}

impl Source for PairSource {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn len(&self) -> usize {
        self.positions.len()
    }

    fn get(&self, index: usize) -> Result<Record, DataError> {
        let position = *self.positions.get(index).ok_or_else(|| DataError::OutOfRange {
            source_name: self.name().to_string(),
            index,
            len: self.len(),
        })?;
        let mut record = self.source.get(position)?;
        if record.image.is_none() {
            record.texts.clear();
            record.sections.clear();
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use ptu_data::{RecordImage, Records};

    use super::*;

    fn record(id: usize, has_image: bool, texts: &[&str]) -> Record {
        let image = has_image.then(|| RecordImage { bytes: vec![1], path: None });
        Record {
            id: id.to_string(),
            image,
            texts: texts.iter().map(|text| text.to_string()).collect(),
            ..Record::default()
        }
    }

    fn pairs(records: Vec<Record>) -> PairSource {
        PairSource::new(Arc::new(Records { name: "test".into(), records })).unwrap()
    }

    #[test]
    fn records_without_an_image_or_a_text_give_no_pair() {
        let records = vec![
            record(0, true, &["one", "two"]),
            record(1, true, &[" "]),
            record(2, false, &["three"]),
            record(3, true, &["four"]),
        ];
        let source = pairs(records);
        let seen: Vec<(String, usize)> =
            (0..source.len()).map(|index| source.get(index).unwrap()).map(|one| (one.id, one.texts.len())).collect();
        assert_eq!(seen, [("0".into(), 2), ("2".into(), 0), ("3".into(), 1)], "all texts of a pair are kept");
        assert!(source.get(3).is_err());
    }

    #[test]
    fn texts_differ_if_any_two_do() {
        let of = |texts: &[&[&str]]| {
            pairs(texts.iter().enumerate().map(|(id, texts)| record(id, true, texts)).collect()).is_varied()
        };
        assert!(!of(&[&["normal."], &["Normal."]]));
        assert!(of(&[&["normal."], &["mass."]]));
        assert!(of(&[&["normal.", "mass."]]));
        assert!(!of(&[]));
    }

    #[test]
    fn a_smaller_share_is_a_part_of_a_larger_one() {
        let of = |share: f64| {
            let source = pairs((0..100).map(|id| record(id, true, &["a"])).collect()).share(share, 4);
            (0..source.len()).map(|index| source.get(index).unwrap().id).collect::<Vec<_>>()
        };
        let (tenth, half) = (of(0.1), of(0.5));
        assert_eq!((tenth.len(), half.len(), of(1e-9).len()), (10, 50, 1));
        assert!(tenth.iter().all(|id| half.contains(id)));
    }
}
