//! The objective of image-text retrieval: the score of the true text of an image against those of false texts (specification, section
//! 4).

use burn::tensor::{Int, Tensor, TensorData};
use ptu_data::TrainBatch;
use ptu_input::Slot;
use ptu_kernels::cross_entropy;
use ptu_model::Read;
use ptu_model::forward::FusedPair;
use ptu_random::{Key, Place};
use ptu_train::forward::StepForward;
use ptu_train::objective::{Loss, Objective};

/// Cross-entropy over the scores of the true text of each image and of false texts.
pub struct Ranking {
    /// Largest number of false texts for each image.
    pub negatives: usize,
}

/// An image and the texts that it is compared with, as rows of the batch.
#[derive(Debug, PartialEq, Eq)]
struct Candidates {
    image: usize,
    /// The true text, then the false ones.
    texts: Vec<usize>,
}

impl Objective for Ranking {
    fn pairs(&self, batch: &TrainBatch, key: Key) -> Vec<FusedPair> {
        fused_pairs(&self.candidates(batch, key))
    }

    fn loss(&self, step: &StepForward<'_>) -> Option<Loss> {
        let head = step.model.heads.retrieval.as_ref()?;
        let candidates = self.candidates(step.batch, step.key);
        if candidates.is_empty() {
            return None;
        }
        let scores = head.forward(step.pooled(&fused_pairs(&candidates)), step.pass()); // [pairs, 1]
        let sizes: Vec<usize> = candidates.iter().map(|one| one.texts.len()).collect();
        let mut loss = ranking_loss(scores, &sizes);
        loss.counts.insert("without_negative", (step.batch.pairs() - candidates.len()) as u64);
        Some(loss)
    }
}

impl Ranking {
    /// For each image its own text and the false texts that are drawn with the key of the step. Images without a false text in the batch
    /// are left out.
    fn candidates(&self, batch: &TrainBatch, key: Key) -> Vec<Candidates> {
        let mut own_texts: Vec<&[u64]> = vec![&[]; batch.pairs()];
        for (slot, record) in batch.batch.order.iter().zip(&batch.records) {
            if let Slot::Pair(row) = slot {
                own_texts[*row] = &record.own_texts;
            }
        }
        let of = |image: usize| {
            let mut texts: Vec<usize> =
                (0..batch.pairs()).filter(|&text| is_false(batch, own_texts[image], image, text)).collect();
            key.stream(Place::Partners, image as u64).shuffle(&mut texts);
            texts.truncate(self.negatives);
            texts.insert(0, image);
            Candidates { image, texts }
        };
        (0..batch.pairs()).map(of).filter(|one| one.texts.len() > 1).collect()
    }
}

/// Whether the text of one row is a false text for the image of another row: it is not equal to the image's own text, is no other text
/// of the image's record, and does not belong to an equal image. Without hashes (in forecasts) rows differ if their numbers do.
fn is_false(batch: &TrainBatch, own_texts: &[u64], image: usize, text: usize) -> bool {
    let has_hashes = batch.text_hashes.len() == batch.pairs();
    let is_own = has_hashes && (batch.same(image, text) || own_texts.contains(&batch.text_hashes[text]));
    image != text && !is_own
}

/// Each image with each of its texts, image by image.
fn fused_pairs(candidates: &[Candidates]) -> Vec<FusedPair> {
    let of = |one: &Candidates| {
        let image = one.image;
        one.texts.iter().map(move |&text| FusedPair::both(image, text, Read::Pooled)).collect::<Vec<_>>()
    };
    candidates.iter().flat_map(of).collect()
}

/// The loss for scores `[pairs, 1]` of which `sizes` says how many belong to each image; the first of them is that of the true text.
/// An answer is right if the true text has a larger score than all others.
fn ranking_loss(scores: Tensor<2>, sizes: &[usize]) -> Loss {
    let device = scores.device();
    let (rows, columns) = (sizes.len(), sizes.iter().copied().max().unwrap_or_default());
    let (mut places, mut mask, mut start) = (vec![0i64; rows * columns], vec![f32::MIN; rows * columns], 0);
    for (row, size) in sizes.iter().enumerate() {
        for column in 0..*size {
            // Images with fewer false texts than others fill their row with masked copies of the first score.
            (places[row * columns + column], mask[row * columns + column]) = ((start + column) as i64, 0.0);
        }
        start += size;
    }
    let values: Vec<f32> = scores.clone().inner().into_data().try_into_vec().expect("the model computes in f32");
    let mut rest = values.as_slice();
    let mut is_first = |size: &usize| {
        let (row, others) = rest.split_at(*size);
        rest = others;
        row[1..].iter().all(|score| row[0] > *score)
    };
    let answers = sizes.iter().map(&mut is_first).collect();
    let places: Tensor<1, Int> = Tensor::from_data(TensorData::new(places, [rows * columns]), &device);
    let mask: Tensor<2> = Tensor::from_data(TensorData::new(mask, [rows, columns]), &device);
    let logits: Tensor<2> = scores.select(0, places).reshape([rows, columns]);
    Loss::new(cross_entropy(logits + mask, &vec![0; rows]), answers)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ptu_data::{Record, TrainRecord};
    use ptu_input::{Batch, Texts};

    use super::*;

    /// A batch of pairs with these hashes of images and texts, and the further texts of each record.
    fn batch(images: &[u64], texts: &[u64], others: &[&[u64]]) -> TrainBatch {
        let record = |(text, others): (&u64, &&[u64])| TrainRecord {
            source: 0,
            record: Record::default(),
            image_hash: None,
            own_texts: [&[*text], *others].concat(),
            target: None,
        };
        TrainBatch {
            batch: Batch {
                pair_texts: Texts { ids: vec![0; images.len()], lengths: vec![1; images.len()] },
                order: (0..images.len()).map(Slot::Pair).collect(),
                ..Batch::default()
            },
            image_hashes: images.to_vec(),
            text_hashes: texts.to_vec(),
            records: texts.iter().zip(others).map(record).collect(),
            ..TrainBatch::default()
        }
    }

    #[test]
    fn false_texts_are_drawn_anew_in_each_step_and_never_twice() {
        let hashes: Vec<u64> = (0..10).collect();
        let batch = batch(&hashes, &hashes, &[&[] as &[u64]; 10]);
        let of = |step| Ranking { negatives: 3 }.candidates(&batch, Key::new(2).at(step));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let mut counts = [0; 10];
        for step in 0..300 {
            for (image, one) in of(step).into_iter().enumerate() {
                assert_eq!((one.image, one.texts[0], one.texts.len()), (image, image, 4));
                let mut texts = one.texts.clone();
                texts.sort_unstable();
                texts.dedup();
                assert_eq!(texts.len(), 4, "{one:?}");
                one.texts[1..].iter().for_each(|text| counts[*text] += 1);
            }
        }
        // 300 steps x 10 images x 3 texts, each text equally often: 900 times.
        assert!(counts.iter().all(|count| (800..1000).contains(count)), "{counts:?}");
    }

    #[test]
    fn true_texts_are_no_false_texts() {
        // 1 has the image of 0, 2 the text of 0, and the text of 3 is another text of record 0.
        let batch = batch(&[7, 7, 8, 9, 6], &[1, 2, 1, 3, 4], &[&[3], &[], &[], &[], &[]]);
        for step in 0..20 {
            let found = Ranking { negatives: 15 }.candidates(&batch, Key::new(5).at(step));
            assert_eq!(found[0].texts, [0, 4]);
            // The text of record 0 is no text of record 3, so it is a false text of its image.
            assert!(found[3].texts.contains(&0) && found[3].texts.len() == 5, "all are used where there are fewer");
        }
        let alone = self::batch(&[1, 1], &[1, 2], &[&[], &[]]);
        assert!(Ranking { negatives: 15 }.candidates(&alone, Key::new(5)).is_empty());
    }

    #[test]
    fn the_loss_is_the_mean_cross_entropy() {
        // Python, ln(sum(exp(x))) - x[0]: of [[1.0, 0.5, -1.0]] is 0.554957, of [[0.2, 0.9]] is 1.103186; their mean is 0.829071.
        let scores: Tensor<2> =
            Tensor::from_data(TensorData::new(vec![1.0f32, 0.5, -1.0, 0.2, 0.9], [5, 1]), &Device::flex());
        let loss = ranking_loss(scores, &[3, 2]);
        let value = f64::from(loss.value.into_scalar::<f32>());
        assert!((value - 0.829_071).abs() < 1e-5, "{value}");
        assert_eq!(loss.answers, [true, false]);
        let equal: Tensor<2> = Tensor::from_data(TensorData::new(vec![1.0f32; 2], [2, 1]), &Device::flex());
        assert_eq!(ranking_loss(equal, &[2]).answers, [false], "a tie is no right answer");
    }
}
