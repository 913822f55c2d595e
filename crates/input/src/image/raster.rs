//! [`Picture`]: a decoded picture in memory, with resizing, cropping, hashing and PNG encoding.

use std::borrow::Cow;

use ::image::codecs::png::PngEncoder;
use ::image::{ExtendedColorType, ImageEncoder};

use super::resample::{self, Size};

/// The samples of a picture, interleaved, row by row from the top.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// 8-bit samples.
    Bytes(Vec<u8>),
    /// Samples in [0, 1], from files with more than 8 bits.
    Unit(Vec<f32>),
}

/// A decoded picture of 1 (grey) or 3 (red, green, blue) channels.
///
/// A colour picture whose three channels are equal everywhere is stored as grey, so that pictures of equal content are equal.
/// Radiographs are often saved in this way. Grey pictures are also three times faster to resize.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    size: Size,
    channels: usize,
    samples: Samples,
}

impl Picture {
    /// Creates a picture from 8-bit samples, `width * height * channels` of them.
    ///
    /// # Panics
    /// If the number of samples does not fit the size, a side is 0, or `channels` is neither 1 nor 3.
    pub fn new(size: Size, channels: usize, samples: Vec<u8>) -> Self {
        Self::from_samples(size, channels, Samples::Bytes(samples))
    }

    /// The same as [`Picture::new`], for any kind of samples.
    pub(super) fn from_samples(size: Size, channels: usize, samples: Samples) -> Self {
        let count = match &samples {
            Samples::Bytes(samples) => samples.len(),
            Samples::Unit(samples) => samples.len(),
        };
        assert!(channels == 1 || channels == 3, "a picture has 1 or 3 channels");
        assert!(size.width > 0 && size.height > 0, "a picture has pixels");
        assert_eq!(count, size.width * size.height * channels, "samples fit the size");
        let samples = match (channels, samples) {
            (3, Samples::Bytes(samples)) => grey_of(&samples).map(Samples::Bytes).ok_or(Samples::Bytes(samples)),
            (3, Samples::Unit(samples)) => grey_of(&samples).map(Samples::Unit).ok_or(Samples::Unit(samples)),
            (_, samples) => Ok(samples),
        };
        match samples {
            Ok(samples) => Self { size, channels: 1, samples },
            Err(samples) => Self { size, channels: 3, samples },
        }
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.size.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.size.height
    }

    /// 1 for grey, 3 for colour.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The samples, `height * width * channels`, interleaved.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Width and height in pixels.
    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Resizes the picture with Pillow's antialiased bicubic filter; samples stay within their range.
    pub fn resize(&self, to: Size) -> Self {
        let samples = match &self.samples {
            Samples::Bytes(samples) => Samples::Bytes(resample::bicubic(samples, self.size, self.channels, to)),
            Samples::Unit(samples) => {
                let mut samples = resample::bicubic(samples, self.size, self.channels, to);
                // The filter overshoots at edges. 8-bit samples are already clipped.
                samples.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
                Samples::Unit(samples)
            }
        };
        Self { size: to, channels: self.channels, samples }
    }

    /// Crops the region of `size` whose upper left corner is at (`left`, `top`).
    ///
    /// # Panics
    /// If the region is not inside the picture, or if it is empty.
    pub fn crop(&self, left: usize, top: usize, size: Size) -> Self {
        assert!(left + size.width <= self.size.width && top + size.height <= self.size.height, "a crop is inside");
        assert!(size.width > 0 && size.height > 0, "a crop has pixels");
        let window = CropWindow { left, top, size, stride: self.size.width, channels: self.channels };
        let samples = match &self.samples {
            Samples::Bytes(samples) => Samples::Bytes(window.copy(samples)),
            Samples::Unit(samples) => Samples::Unit(window.copy(samples)),
        };
        Self { size, channels: self.channels, samples }
    }

    /// The samples, rounded to 8 bits.
    pub(super) fn bytes(&self) -> Cow<'_, [u8]> {
        match &self.samples {
            Samples::Bytes(samples) => samples.into(),
            Samples::Unit(samples) => samples.iter().map(|value| (value * 255.0).round() as u8).collect(),
        }
    }

    /// A 64-bit hash of size, channels and samples. Pictures of equal content have equal hashes, whatever their file formats
    /// were.
    pub fn content_hash(&self) -> u64 {
        let mut hasher = blake3::Hasher::new();
        for number in [self.size.width, self.size.height, self.channels] {
            hasher.update(&(number as u64).to_le_bytes());
        }
        match &self.samples {
            Samples::Bytes(samples) => {
                hasher.update(b"bytes").update(samples);
            }
            Samples::Unit(samples) => {
                hasher.update(b"unit");
                samples.iter().for_each(|value| {
                    hasher.update(&value.to_le_bytes());
                });
            }
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first)
    }

    /// The picture as a PNG of 8 bits a sample, grey or colour.
    pub fn png(&self) -> Vec<u8> {
        let color = if self.channels == 3 { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 };
        let mut png = vec![];
        PngEncoder::new(&mut png)
            .write_image(&self.bytes(), self.size.width as u32, self.size.height as u32, color)
            .expect("the samples fit the size, and memory does not fail to be written");
        png
    }

    /// A small PNG for pages: its longer side has at most `max_side` pixels. Small pictures are not enlarged.
    ///
    /// # Panics
    /// If `max_side` is 0.
    pub fn thumbnail_png(&self, max_side: usize) -> Vec<u8> {
        assert!(max_side > 0, "a thumbnail has pixels");
        let longer = self.size.width.max(self.size.height);
        if longer <= max_side {
            return self.png();
        }
        let side = |length: usize| (length * max_side / longer).max(1);
        self.resize(Size { width: side(self.size.width), height: side(self.size.height) }).png()
    }
}

/// A rectangle that is copied from a picture with rows of `stride` pixels.
struct CropWindow {
    left: usize,
    top: usize,
    size: Size,
    stride: usize,
    channels: usize,
}

impl CropWindow {
    fn copy<T: Copy>(&self, samples: &[T]) -> Vec<T> {
        let row = self.stride * self.channels;
        let (from, length) = (self.left * self.channels, self.size.width * self.channels);
        let rows = samples.chunks_exact(row).skip(self.top).take(self.size.height);
        rows.flat_map(|row| &row[from..from + length]).copied().collect()
    }
}

/// One channel of colour samples, if all three channels are equal everywhere.
pub(super) fn grey_of<T: Copy + PartialEq>(samples: &[T]) -> Option<Vec<T>> {
    let grey = samples.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]);
    grey.then(|| samples.iter().copied().step_by(3).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: usize, height: usize) -> Size {
        Size { width, height }
    }

    #[test]
    fn colour_that_is_grey_equals_grey() {
        let grey = Picture::new(size(2, 1), 1, vec![7, 9]);
        let colour = Picture::new(size(2, 1), 3, vec![7, 7, 7, 9, 9, 9]);
        assert_eq!(grey, colour);
        assert_eq!(grey.content_hash(), colour.content_hash());
    }

    #[test]
    fn the_hash_depends_on_samples_and_size() {
        let one = Picture::new(size(2, 2), 1, vec![1, 2, 3, 4]);
        assert_ne!(one.content_hash(), Picture::new(size(2, 2), 1, vec![1, 2, 3, 5]).content_hash());
        assert_ne!(one.content_hash(), Picture::new(size(4, 1), 1, vec![1, 2, 3, 4]).content_hash());
        let unit = Picture::from_samples(size(2, 2), 1, Samples::Unit(vec![0.0; 4]));
        assert_ne!(one.content_hash(), unit.content_hash());
    }

    #[test]
    fn a_crop_takes_rows_and_columns() {
        let picture = Picture::new(size(3, 3), 1, (0..9).collect());
        assert_eq!(picture.crop(1, 1, size(2, 2)).samples(), &Samples::Bytes(vec![4, 5, 7, 8]));
        let colour = Picture::new(size(2, 2), 3, (0..12).collect());
        assert_eq!(colour.crop(1, 0, size(1, 2)).samples(), &Samples::Bytes(vec![3, 4, 5, 9, 10, 11]));
    }

    #[test]
    fn a_thumbnail_is_small_and_readable() {
        let samples = Samples::Unit((0..800).map(|i| i as f32 / 799.0).collect());
        let picture = Picture::from_samples(size(40, 20), 1, samples);
        let thumbnail = Picture::decode(&picture.thumbnail_png(10), "thumbnail").unwrap();
        assert_eq!((thumbnail.width(), thumbnail.height()), (10, 5));
        let tiny = Picture::new(size(3, 1), 3, vec![1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(Picture::decode(&tiny.thumbnail_png(64), "tiny").unwrap(), tiny);
    }

    #[test]
    #[should_panic(expected = "samples fit")]
    fn samples_that_do_not_fit_are_refused() {
        Picture::new(size(2, 2), 1, vec![0; 3]);
    }
}
