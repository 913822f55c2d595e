//! A perceptual hash of 256 bits (gradient hash). If a picture is scaled or compressed again, only few bits of its hash change.

use image::GrayImage;
use image_hasher::{HashAlg, HasherConfig};
use serde::{Deserialize, Serialize};

use super::raster::{Picture, Samples};
use super::resample::Size;

/// The number of rows and of columns that are compared.
const SIDE: u32 = 16;

/// The height and width that a picture is resized to first, so that a large picture needs no more time than a small one.
const FIRST: usize = 64;

/// The perceptual hash of a picture: for each of 16 x 16 positions, one bit says whether it is darker than its right neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PerceptualHash(pub [u128; 2]);

impl PerceptualHash {
    /// The hash of a picture of any size, which is first resized to a square.
    pub fn of(picture: &Picture) -> Self {
        let small = picture.resize(Size { width: FIRST, height: FIRST });
        let channels = small.channels();
        let grey: Vec<u8> = match small.samples() {
            Samples::Bytes(samples) => {
                samples.chunks(channels).map(|pixel| mean(pixel.iter().map(|x| f32::from(*x)))).collect()
            }
            Samples::Unit(samples) => {
                samples.chunks(channels).map(|pixel| mean(pixel.iter().map(|x| x * 255.0))).collect()
            }
        };
        let Some(image) = GrayImage::from_raw(FIRST as u32, FIRST as u32, grey) else { return Self::default() };
        let hasher = HasherConfig::new().hash_size(SIDE, SIDE).hash_alg(HashAlg::Gradient).to_hasher();
        let hash = hasher.hash_image(&image);
        let to_bits = |bytes: &[u8]| bytes.iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte));
        let (first, second) = hash.as_bytes().split_at(16);
        Self([to_bits(first), to_bits(second)])
    }

    /// The number of different bits, 0 to 256 (Hamming distance).
    pub fn distance(&self, other: &Self) -> u32 {
        self.0.iter().zip(other.0).map(|(one, other)| (one ^ other).count_ones()).sum()
    }
}

fn mean(pixel: impl ExactSizeIterator<Item = f32>) -> u8 {
    let count = pixel.len() as f32;
    (pixel.sum::<f32>() / count) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize, of: impl Fn(f64, f64) -> f64) -> Picture {
        let at = |place: usize| of((place % width) as f64 / width as f64, (place / width) as f64 / height as f64);
        let samples = (0..width * height).map(|place| (at(place) * 255.0) as u8).collect();
        Picture::new(Size { width, height }, 1, samples)
    }

    #[test]
    fn scaled_pictures_have_similar_hashes_and_others_do_not() {
        let waves = |x: f64, y: f64| 0.5 + 0.25 * (9.0 * x + 2.0 * y).sin() + 0.25 * (7.0 * y - 3.0 * x).cos();
        let spots = |x: f64, y: f64| 0.5 + 0.5 * (20.0 * x).sin() * (15.0 * y).cos();
        let (one, small, bright) = (
            PerceptualHash::of(&picture(400, 300, waves)),
            PerceptualHash::of(&picture(200, 170, waves)),
            PerceptualHash::of(&picture(400, 300, |x, y| 0.1 + 0.8 * waves(x, y))),
        );
        assert!(one.distance(&small) <= 6, "{}", one.distance(&small));
        assert!(one.distance(&bright) <= 6, "{}", one.distance(&bright));
        assert!(one.distance(&PerceptualHash::of(&picture(400, 300, spots))) > 60);
        assert_eq!(one.distance(&one), 0);
    }
}
