//! The records of one training step as arrays, with all that is known of each.

use std::collections::BTreeMap;

use ptu_input::{Batch, Input, Texts};
use ptu_random::Key;

use crate::collate::Example;
use crate::mask::Masked;
use crate::partners::Partners;
use crate::record::Record;

/// One step's records of one rank as arrays: what objectives and tasks compute from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainBatch {
    /// Number of the step.
    pub step: u64,
    /// The arrays of the model. Images of the pairs beyond the number of their texts serve as false partners only.
    pub batch: Batch,
    /// The texts of the pairs with masked words.
    pub masked_pairs: MaskedTexts,
    /// The texts of records without an image, with masked words.
    pub masked_texts: MaskedTexts,
    /// For each pair, the hash of its picture.
    pub image_hashes: Vec<u64>,
    /// For each pair, the hash of its text.
    pub text_hashes: Vec<u64>,
    /// What is known of each record, in the order of `batch.order`.
    pub records: Vec<TrainRecord>,
    /// Who is matched with whom, where somebody says so (cases of the reference, benchmarks); drawn otherwise.
    pub partners: Option<Partners>,
    /// Texts in the batch of which only the beginning was taken.
    pub cut: usize,
    /// Records drawn from each source that have neither an image nor a text, and so are not in the batch.
    pub unusable: BTreeMap<usize, usize>,
}

/// A record of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainRecord {
    /// Number of its source.
    pub source: usize,
    /// The record (labels, questions, sentences, ...), but for the bytes of its image.
    pub record: Record,
    /// Hash of its picture's pixels.
    pub image_hash: Option<u64>,
    /// Hashes of all its texts, whole, whatever was drawn of them.
    pub own_texts: Vec<u64>,
}

/// Texts with masked words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskedTexts {
    /// What the model sees.
    pub texts: Texts,
    /// The token that stood there, one a token of the texts; `None` where nothing is masked.
    pub labels: Vec<Option<u32>>,
}

impl MaskedTexts {
    /// Whether anything is masked.
    pub fn any(&self) -> bool {
        self.labels.iter().any(Option::is_some)
    }

    /// Masked places of each text.
    pub fn places(&self) -> Vec<Vec<usize>> {
        let texts = self.texts.starts().zip(&self.texts.lengths);
        texts
            .map(|(start, length)| (0..*length).filter(|place| self.labels[start + place].is_some()).collect())
            .collect()
    }

    /// What stood at these places.
    pub fn classes(&self) -> impl Iterator<Item = usize> {
        self.labels.iter().flatten().map(|&label| label as usize)
    }

    /// Masks of some texts, one a text. A text without masks predicts nothing.
    fn of(rows: &[Option<Masked>], texts: &Texts) -> Self {
        let mut all = Self { texts: texts.clone(), labels: vec![None; texts.ids.len()] };
        for (masked, start) in rows.iter().zip(texts.starts()) {
            if let Some(masked) = masked {
                all.texts.ids[start..start + masked.ids.len()].copy_from_slice(&masked.ids);
                all.labels[start..start + masked.labels.len()].copy_from_slice(&masked.labels);
            }
        }
        all
    }
}

impl TrainBatch {
    /// Puts examples side by side.
    pub fn collect(step: u64, examples: Vec<Example>, unusable: BTreeMap<usize, usize>) -> Self {
        let mut all = Self { step, unusable, ..Self::default() };
        let mut inputs = Vec::with_capacity(examples.len());
        let (mut pairs, mut texts) = (vec![], vec![]);
        for example in examples {
            all.cut += usize::from(example.cut);
            match &example.input {
                Input::Pair { .. } => {
                    all.image_hashes.extend(example.image_hash);
                    all.text_hashes.extend(example.text_hash);
                    pairs.push(example.masked);
                }
                Input::Text(_) => texts.push(example.masked),
                Input::Image(_) => {}
            }
            let Example { source, record, image_hash, own_texts, .. } = example;
            all.records.push(TrainRecord { source, record, image_hash, own_texts });
            inputs.push(example.input);
        }
        all.batch = Batch::collect(&inputs);
        all.masked_pairs = MaskedTexts::of(&pairs, &all.batch.pair_texts);
        all.masked_texts = MaskedTexts::of(&texts, &all.batch.texts);
        all
    }

    /// Number of records in the batch.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// True when no record is in it.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Number of pairs.
    pub fn pairs(&self) -> usize {
        self.batch.pair_texts.count()
    }

    /// Number of texts, with an image or without.
    pub fn texts(&self) -> usize {
        self.pairs() + self.batch.texts.count()
    }

    /// Whether two pairs share their image or their text.
    pub fn same(&self, i: usize, j: usize) -> bool {
        self.image_hashes[i] == self.image_hashes[j] || self.text_hashes[i] == self.text_hashes[j]
    }

    /// Partners of the pairs, drawn: see [`Partners::draw`].
    pub fn draw_partners(&self, key: Key, weights: Option<&[f64]>) -> Partners {
        Partners::draw(self.pairs(), |i, j| self.same(i, j), key, weights)
    }

    /// Ids of the records.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.records.iter().map(|one| one.record.id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use ptu_input::Slot;

    use super::*;
    use crate::collate::{Origin, TextChoice};
    use crate::tests::{picture_record, preparation};

    const ORIGIN: Origin<'static> = Origin { source: 1, name: "test", position: 4 };

    #[test]
    fn texts_beyond_the_limit_are_counted() {
        let example = |words: usize| {
            let record = Record { texts: vec!["heart ".repeat(words)], ..picture_record("a", 3) };
            preparation().evaluate(record, ORIGIN, TextChoice::All, None).unwrap().unwrap()
        };
        let examples = vec![example(40), example(4), example(40)];
        assert_eq!(TrainBatch::collect(0, examples, BTreeMap::new()).cut, 2);
    }

    #[test]
    fn all_that_is_known_of_a_record_comes_along() {
        let mut record = picture_record("a", 3);
        record.labels = vec![crate::Label::new("finding", "effusion")];
        let example = preparation().train(record.clone(), ORIGIN, Key::new(1), 0).unwrap().unwrap();
        let batch = TrainBatch::collect(0, vec![example], BTreeMap::new());
        assert_eq!(batch.records[0].record, Record { image: None, ..record });
        assert!(batch.records[0].image_hash.is_some() && batch.records[0].source == 1);
    }

    #[test]
    fn masks_lie_as_the_texts_of_a_batch_do() {
        let preparation = preparation();
        let mut records =
            vec![picture_record("a", 1), picture_record("b", 2), picture_record("c", 3), picture_record("d", 4)];
        records[0].texts = vec!["no".into()];
        records[1].texts = vec![];
        records[2].image = None;
        records[3].texts = vec!["the heart is of normal size and shape".into()];
        let examples: Vec<Example> = records
            .into_iter()
            .enumerate()
            .map(|(place, record)| preparation.train(record, ORIGIN, Key::new(1), place as u64).unwrap().unwrap())
            .collect();
        let batch = TrainBatch::collect(9, examples.clone(), BTreeMap::from([(0, 2)]));
        assert_eq!((batch.step, batch.len(), batch.ids().collect::<String>()), (9, 4, "abcd".into()));
        assert_eq!(batch.batch.order, [Slot::Pair(0), Slot::Image(0), Slot::Text(0), Slot::Pair(1)]);
        assert_eq!(batch.image_hashes, [examples[0].image_hash.unwrap(), examples[3].image_hash.unwrap()]);
        let (texts, masked) = (&batch.batch.pair_texts, &batch.masked_pairs);
        assert_eq!((texts.count(), masked.texts.ids.len(), masked.labels.len()), (2, texts.ids.len(), texts.ids.len()));
        for ((start, length), example) in texts.starts().zip(&texts.lengths).zip([&examples[0], &examples[3]]) {
            let wanted = example.masked.as_ref().unwrap();
            let range = start..start + length;
            assert_eq!(masked.texts.ids[range.clone()], wanted.ids);
            assert_eq!(masked.labels[range.clone()], wanted.labels);
            for place in range {
                assert_eq!(masked.labels[place].unwrap_or(masked.texts.ids[place]), texts.ids[place]);
            }
        }
        assert_eq!(batch.masked_texts.texts.ids.len(), batch.batch.texts.ids.len());
    }
}
