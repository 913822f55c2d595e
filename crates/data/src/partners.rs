//! The image-text pairs of image-text matching (ITM): in a batch, half of the texts keep their own image, and half get another
//! image (a negative).

use ptu_random::{Key, Place};

/// For each text of a batch, the image that it is paired with in ITM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partners {
    /// The row of the image, for each text.
    pub image: Vec<usize>,
    /// Whether that image is the text's own image (a positive pair).
    pub matched: Vec<bool>,
    /// The number of texts that should have got a negative but for which the batch has none. They keep their own image.
    pub without_partner: usize,
}

impl Partners {
    /// The first half of `b` texts keep their own image, the others get the image of the next text. It is used to measure and
    /// estimate run times.
    pub fn half_next(b: usize) -> Self {
        Self {
            image: (0..b).map(|row| if row < b / 2 { row } else { (row + 1) % b }).collect(),
            matched: (0..b).map(|row| row < b / 2).collect(),
            without_partner: 0,
        }
    }

    /// The same for the first `texts` texts only.
    #[must_use]
    pub fn first(&self, texts: usize) -> Self {
        let Self { image, matched, without_partner } = self;
        let texts = texts.min(image.len());
        Self { image: image[..texts].to_vec(), matched: matched[..texts].to_vec(), without_partner: *without_partner }
    }

    /// Samples the images for the first `texts` texts of `b` pairs: half of these texts keep their own image, half get a random
    /// other image of the `b` as a negative. An image for which `same` returns true is never a negative. A larger
    /// `weights[i * b + j]` makes image j more likely for text i (hard negatives).
    pub fn draw(
        texts: usize,
        b: usize,
        same: impl Fn(usize, usize) -> bool,
        key: Key,
        weights: Option<&[f64]>,
    ) -> Self {
        let mut stream = key.stream(Place::Partners, 0);
        let mut rows: Vec<usize> = (0..texts).collect();
        stream.shuffle(&mut rows);
        let mut partners = Self { image: (0..texts).collect(), matched: vec![true; texts], without_partner: 0 };
        let weight = |row: usize, other: usize| weights.map_or(1.0, |weights| weights[row * b + other]);
        for &row in &rows[texts / 2..] {
            let row_weights: Vec<f64> =
                (0..b).map(|other| if same(row, other) { 0.0 } else { weight(row, other) }).collect();
            match stream.weighted(&row_weights) {
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

    /// Samples partners for pairs with these hashes of images and of texts.
    fn draw(images: &[u64], texts: &[u64], key: Key, weights: Option<&[f64]>) -> Partners {
        Partners::draw(images.len(), images.len(), |i, j| images[i] == images[j] || texts[i] == texts[j], key, weights)
    }

    #[test]
    fn half_of_the_batch_gets_another_image() {
        for step in 0..50 {
            let partners = draw(&[1, 2, 3, 4, 5], &[1, 2, 3, 4, 5], Key::new(1).at(step), None);
            assert_eq!(partners.matched.iter().filter(|matched| **matched).count(), 2);
            for row in 0..5 {
                assert_eq!(partners.matched[row], partners.image[row] == row);
            }
        }
    }

    #[test]
    fn images_come_from_the_whole_batch_when_only_some_texts_are_used() {
        let mut used = std::collections::BTreeSet::new();
        for step in 0..200 {
            let partners = Partners::draw(4, 12, |i, j| i == j, Key::new(5).at(step), None);
            assert_eq!((partners.image.len(), partners.matched.len()), (4, 4));
            assert_eq!(partners.matched.iter().filter(|matched| **matched).count(), 2);
            used.extend(partners.image);
        }
        assert_eq!(used.len(), 12);
    }

    #[test]
    fn equal_images_and_equal_texts_are_no_negatives() {
        // 0 and 1 have the same image, 0 and 2 the same text: only 3 is a negative for 0.
        for step in 0..50 {
            let partners = draw(&[1, 1, 2, 3], &[7, 8, 7, 9], Key::new(2).at(step), None);
            assert!(partners.matched[0] || partners.image[0] == 3, "{partners:?}");
        }
    }

    #[test]
    fn a_row_without_a_negative_stays_positive_and_is_counted() {
        let partners = draw(&[1, 1], &[1, 2], Key::new(3), None);
        assert_eq!((partners.matched, partners.without_partner), (vec![true, true], 1));
    }

    #[test]
    fn weights_make_a_negative_more_likely() {
        let mut weights = vec![0.0; 9];
        (weights[1], weights[2], weights[5], weights[7]) = (1e-9, 1.0, 1.0, 1.0);
        (weights[3], weights[6]) = (1e-9, 1e-9);
        for step in 0..30 {
            let partners = draw(&[1, 2, 3], &[1, 2, 3], Key::new(4).at(step), Some(&weights));
            assert!(partners.matched[0] || partners.image[0] == 2, "{partners:?}");
        }
    }
}
