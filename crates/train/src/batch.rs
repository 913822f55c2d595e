//! The arrays of one training step, and who is matched with whom.

use ptu_data::TrainBatch;
use ptu_input::{Images, Texts};
use ptu_model::forward::{Inputs, Row};
use ptu_random::{Key, Place};

/// What one step is computed from. Rows of `texts`, `masked_pairs` and the first rows of `images` belong together.
#[derive(Clone, Debug, Default)]
pub struct StepBatch {
    /// Images of the pairs; further rows serve as false partners only.
    pub images: Images,
    /// Texts of the pairs, unmasked.
    pub texts: Texts,
    /// Texts of the pairs, masked.
    pub masked_pairs: MaskedTexts,
    /// Masked texts of records without an image.
    pub masked_texts: MaskedTexts,
    /// Equal for equal images, one a pair.
    pub image_hashes: Vec<u64>,
    /// Equal for equal texts, one a pair.
    pub text_hashes: Vec<u64>,
    /// Who is matched with whom, where that is given; else drawn (specification, section 3).
    pub partners: Option<Partners>,
}

/// Texts with masked words.
#[derive(Clone, Debug, Default)]
pub struct MaskedTexts {
    /// What the model sees.
    pub texts: Texts,
    /// The token that stood there, one a token of the texts; `None` where nothing is masked.
    pub labels: Vec<Option<u32>>,
}

/// For each text of a batch, the image it is shown with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partners {
    /// Row of the image.
    pub image: Vec<usize>,
    /// Whether it is the text's own.
    pub matched: Vec<bool>,
    /// Rows that should have got a false image and found none.
    pub without_partner: usize,
}

impl Partners {
    /// The first half of `b` texts keep their image, the others get the next one's: for timing and forecasts.
    pub fn half_next(b: usize) -> Self {
        Self {
            image: (0..b).map(|row| if row < b / 2 { row } else { (row + 1) % b }).collect(),
            matched: (0..b).map(|row| row < b / 2).collect(),
            without_partner: 0,
        }
    }
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
}

impl StepBatch {
    /// Takes the arrays of a loaded batch. Images whose text is missing have no objective yet and are left out.
    pub fn new(loaded: TrainBatch) -> Self {
        let TrainBatch { batch, masked_pairs, masked_texts, image_hashes, text_hashes, .. } = loaded;
        let masked = |masked: ptu_data::MaskedTexts, texts: &Texts| MaskedTexts {
            texts: Texts { ids: masked.ids, ..texts.clone() },
            labels: masked.labels,
        };
        Self {
            masked_pairs: masked(masked_pairs, &batch.pair_texts),
            masked_texts: masked(masked_texts, &batch.texts),
            images: batch.pair_images,
            texts: batch.pair_texts,
            image_hashes,
            text_hashes,
            partners: None,
        }
    }

    /// The arrays in groups, as the rows of a forward pass name them: images are one group, texts of the pairs are the first of
    /// three.
    pub fn inputs(&self) -> Inputs<'_> {
        let texts = vec![&self.texts, &self.masked_pairs.texts, &self.masked_texts.texts];
        Inputs { images: vec![&self.images], texts }
    }

    /// The masked text of a pair, by its row.
    pub fn masked_pair(row: usize) -> Row {
        Row { group: 1, row }
    }

    /// A masked text of a record without an image, by its row.
    pub fn masked_text(row: usize) -> Row {
        Row { group: 2, row }
    }

    /// Number of pairs.
    pub fn pairs(&self) -> usize {
        self.texts.count()
    }

    /// Whether two pairs share their image or their text.
    pub fn same(&self, i: usize, j: usize) -> bool {
        self.image_hashes[i] == self.image_hashes[j] || self.text_hashes[i] == self.text_hashes[j]
    }

    /// Draws partners: half of the batch keeps its image, half gets a random other image of the batch, never one whose
    /// image or text equals its own. `weights[i * b + j]` makes image j likelier for text i (hard partners).
    pub fn draw_partners(&self, key: Key, weights: Option<&[f64]>) -> Partners {
        let b = self.pairs();
        let mut stream = key.stream(Place::Partners, 0);
        let mut rows: Vec<usize> = (0..b).collect();
        stream.shuffle(&mut rows);
        let mut partners = Partners { image: (0..b).collect(), matched: vec![true; b], without_partner: 0 };
        for &row in &rows[b / 2..] {
            let likely: Vec<f64> =
                (0..b)
                    .map(|other| {
                        if self.same(row, other) {
                            0.0
                        } else {
                            weights.map_or(1.0, |weights| weights[row * b + other])
                        }
                    })
                    .collect();
            match stream.weighted(&likely) {
                Some(other) => {
                    partners.image[row] = other;
                    partners.matched[row] = false;
                }
                None => partners.without_partner += 1,
            }
        }
        partners
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(image_hashes: &[u64], text_hashes: &[u64]) -> StepBatch {
        let texts = Texts { lengths: vec![0; image_hashes.len()], ..Texts::default() };
        StepBatch {
            texts,
            image_hashes: image_hashes.to_vec(),
            text_hashes: text_hashes.to_vec(),
            ..StepBatch::default()
        }
    }

    #[test]
    fn half_of_the_batch_gets_another_image() {
        let batch = batch(&[1, 2, 3, 4, 5], &[1, 2, 3, 4, 5]);
        for step in 0..50 {
            let partners = batch.draw_partners(Key::new(1).at(step), None);
            assert_eq!(partners.matched.iter().filter(|matched| **matched).count(), 2);
            for row in 0..5 {
                assert_eq!(partners.matched[row], partners.image[row] == row);
            }
        }
    }

    #[test]
    fn equal_images_and_equal_texts_are_no_false_partners() {
        // 0 and 1 share their image, 0 and 2 their text: only 3 is false for 0.
        let batch = batch(&[1, 1, 2, 3], &[7, 8, 7, 9]);
        for step in 0..50 {
            let partners = batch.draw_partners(Key::new(2).at(step), None);
            assert!(partners.matched[0] || partners.image[0] == 3, "{partners:?}");
        }
    }

    #[test]
    fn a_row_without_partner_stays_positive_and_is_counted() {
        let partners = batch(&[1, 1], &[1, 2]).draw_partners(Key::new(3), None);
        assert_eq!((partners.matched, partners.without_partner), (vec![true, true], 1));
    }

    #[test]
    fn weights_make_a_partner_likelier() {
        let batch = batch(&[1, 2, 3], &[1, 2, 3]);
        let mut weights = vec![0.0; 9];
        (weights[1], weights[2], weights[5], weights[7]) = (1e-9, 1.0, 1.0, 1.0);
        (weights[3], weights[6]) = (1e-9, 1e-9);
        for step in 0..30 {
            let partners = batch.draw_partners(Key::new(4).at(step), Some(&weights));
            assert!(partners.matched[0] || partners.image[0] == 2, "{partners:?}");
        }
    }
}
