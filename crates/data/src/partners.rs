//! Who is matched with whom in a batch: half of its texts keep their image, half get another one.

use ptu_random::{Key, Place};

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

    /// Draws partners for `b` texts: half of them keep their image, half get a random other image, never one for which `same`
    /// says that it equals their own. `weights[i * b + j]` makes image j likelier for text i (hard partners).
    pub fn draw(b: usize, same: impl Fn(usize, usize) -> bool, key: Key, weights: Option<&[f64]>) -> Self {
        let mut stream = key.stream(Place::Partners, 0);
        let mut rows: Vec<usize> = (0..b).collect();
        stream.shuffle(&mut rows);
        let mut partners = Self { image: (0..b).collect(), matched: vec![true; b], without_partner: 0 };
        let weight = |row: usize, other: usize| weights.map_or(1.0, |weights| weights[row * b + other]);
        for &row in &rows[b / 2..] {
            let likely: Vec<f64> =
                (0..b).map(|other| if same(row, other) { 0.0 } else { weight(row, other) }).collect();
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

    /// Of pairs with these hashes of images and of texts.
    fn draw(images: &[u64], texts: &[u64], key: Key, weights: Option<&[f64]>) -> Partners {
        Partners::draw(images.len(), |i, j| images[i] == images[j] || texts[i] == texts[j], key, weights)
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
    fn equal_images_and_equal_texts_are_no_false_partners() {
        // 0 and 1 share their image, 0 and 2 their text: only 3 is false for 0.
        for step in 0..50 {
            let partners = draw(&[1, 1, 2, 3], &[7, 8, 7, 9], Key::new(2).at(step), None);
            assert!(partners.matched[0] || partners.image[0] == 3, "{partners:?}");
        }
    }

    #[test]
    fn a_row_without_partner_stays_positive_and_is_counted() {
        let partners = draw(&[1, 1], &[1, 2], Key::new(3), None);
        assert_eq!((partners.matched, partners.without_partner), (vec![true, true], 1));
    }

    #[test]
    fn weights_make_a_partner_likelier() {
        let mut weights = vec![0.0; 9];
        (weights[1], weights[2], weights[5], weights[7]) = (1e-9, 1.0, 1.0, 1.0);
        (weights[3], weights[6]) = (1e-9, 1e-9);
        for step in 0..30 {
            let partners = draw(&[1, 2, 3], &[1, 2, 3], Key::new(4).at(step), Some(&weights));
            assert!(partners.matched[0] || partners.image[0] == 2, "{partners:?}");
        }
    }
}
