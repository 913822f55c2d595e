//! The records of one training step as arrays, together with the metadata of each record.

use std::collections::BTreeMap;

use ptu_input::{Batch, Input, Texts};
use ptu_random::{Key, Place};

use crate::collate::Example;
use crate::mask::Masked;
use crate::partners::Partners;
use crate::record::Record;

/// The records of one step of one rank as arrays. Objectives and tasks compute their losses from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainBatch {
    /// The number of the step, from 0.
    pub step: u64,
    /// The inputs of the model as arrays. If there are more images than texts among the pairs, the additional images are used as
    /// negatives only.
    pub batch: Batch,
    /// The texts of the pairs with masked words.
    pub masked_pairs: MaskedTexts,
    /// The texts of records without an image, with masked words.
    pub masked_texts: MaskedTexts,
    /// For each pair, the hash of its image.
    pub image_hashes: Vec<u64>,
    /// For each pair, the hash of its text.
    pub text_hashes: Vec<u64>,
    /// The metadata of each record, in the order of `batch.order`.
    pub records: Vec<TrainRecord>,
    /// The images that the texts are paired with in ITM, where they are given (reference cases, benchmarks); `None`: they are
    /// sampled.
    pub partners: Option<Partners>,
    /// The patches that masked image modelling leaves, where they are given (reference cases); `None`: they are drawn.
    pub kept_patches: Option<KeptPatches>,
    /// The number of texts in the batch that were truncated.
    pub cut: usize,
    /// For each source, the number of sampled records with neither an image nor a text. These records are not in the batch.
    pub unusable: BTreeMap<usize, usize>,
}

/// One record of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainRecord {
    /// The number of its source.
    pub source: usize,
    /// The record (labels, questions, sentences, ...), without the bytes of its image.
    pub record: Record,
    /// Hash of the pixels of its image.
    pub image_hash: Option<u64>,
    /// Hashes of all its complete texts, also where only a part of them was sampled.
    pub own_texts: Vec<u64>,
    /// The tokens of the text that the model should write, from the start token to the end token.
    pub target: Option<Vec<u32>>,
}

/// Texts with masked words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskedTexts {
    /// The token ids that the model receives, with masked words.
    pub texts: Texts,
    /// For each token of the texts, the original token id to be predicted; `None` where nothing is masked.
    pub labels: Vec<Option<u32>>,
}

/// The patches of images that masked image modelling leaves, in ascending order; the same number for all images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptPatches {
    /// Of each image of the pairs.
    pub pairs: Vec<Vec<usize>>,
    /// Of each image without a text.
    pub images: Vec<Vec<usize>>,
}

impl KeptPatches {
    /// Draws `count` of `all` patches of each image of a batch.
    pub fn draw(batch: &Batch, count: usize, all: usize, key: Key) -> Self {
        let draw = |group: u64, rows: usize| {
            let of_image = |row: usize| key.stream(Place::MaskedPatches, group << 32 | row as u64).subset(count, all);
            (0..rows).map(of_image).collect()
        };
        Self { pairs: draw(0, batch.pair_images.count), images: draw(1, batch.images.count) }
    }
}

impl MaskedTexts {
    /// Whether any token is masked.
    pub fn any(&self) -> bool {
        self.labels.iter().any(Option::is_some)
    }

    /// The positions of the masked tokens, for each text.
    pub fn places(&self) -> Vec<Vec<usize>> {
        let texts = self.texts.starts().zip(&self.texts.lengths);
        texts
            .map(|(start, length)| (0..*length).filter(|position| self.labels[start + position].is_some()).collect())
            .collect()
    }

    /// The original token ids of the masked tokens, as class numbers for the loss.
    pub fn classes(&self) -> impl Iterator<Item = usize> {
        self.labels.iter().flatten().map(|&label| label as usize)
    }

    /// Collects the masking results of several texts, one per text. `None`: no token of this text is predicted.
    pub fn from_rows(rows: &[Option<Masked>], texts: &Texts) -> Self {
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
    /// Collects the examples of a step into arrays.
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
            let Example { source, record, image_hash, own_texts, target, .. } = example;
            all.records.push(TrainRecord { source, record, image_hash, own_texts, target });
            inputs.push(example.input);
        }
        all.batch = Batch::collect(&inputs);
        all.masked_pairs = MaskedTexts::from_rows(&pairs, &all.batch.pair_texts);
        all.masked_texts = MaskedTexts::from_rows(&texts, &all.batch.texts);
        all
    }

    /// Number of records in the batch.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether the batch has no records.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Number of pairs.
    pub fn pairs(&self) -> usize {
        self.batch.pair_texts.count()
    }

    /// Number of texts, with or without an image.
    pub fn texts(&self) -> usize {
        self.pairs() + self.batch.texts.count()
    }

    /// Whether two pairs have the same image or the same text, by their hashes. Such pairs are not negatives of each other.
    pub fn same(&self, i: usize, j: usize) -> bool {
        self.image_hashes[i] == self.image_hashes[j] || self.text_hashes[i] == self.text_hashes[j]
    }

    /// Samples the images that the first `texts` texts are paired with in ITM: see [`Partners::draw`].
    pub fn draw_partners(&self, texts: usize, key: Key, weights: Option<&[f64]>) -> Partners {
        Partners::draw(texts, self.pairs(), |i, j| self.same(i, j), key, weights)
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
    fn truncated_texts_are_counted() {
        let example = |words: usize| {
            let record = Record { texts: vec!["heart ".repeat(words)], ..picture_record("a", 3) };
            preparation().evaluate(record, ORIGIN, TextChoice::All, None).unwrap().unwrap()
        };
        let examples = vec![example(40), example(4), example(40)];
        assert_eq!(TrainBatch::collect(0, examples, BTreeMap::new()).cut, 2);
    }

    #[test]
    fn the_metadata_of_a_record_is_kept() {
        let mut record = picture_record("a", 3);
        record.labels = vec![crate::Label::new("finding", "effusion")];
        let example = preparation().train(record.clone(), ORIGIN, Key::new(1), 0).unwrap().unwrap();
        let batch = TrainBatch::collect(0, vec![example], BTreeMap::new());
        assert_eq!(batch.records[0].record, Record { image: None, ..record });
        assert!(batch.records[0].image_hash.is_some() && batch.records[0].source == 1);
    }

    #[test]
    fn masks_have_the_layout_of_the_texts_of_a_batch() {
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
