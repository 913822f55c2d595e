//! RandAugment (specification, section 5): random changes of brightness, colour, position and so on. Each operation gives the
//! same pixels as Pillow, bit for bit.
//!
//! The parameters depend on the magnitude, from 0 to 30, as in the list that the published code copied from other code, with its
//! peculiarities: with a greater magnitude, `Posterize` removes *fewer* levels and `Solarize` inverts *fewer* levels.

use std::f64::consts::PI;

use ptu_random::Stream;

use super::raster::Picture;
use super::resample::Size;

/// The largest magnitude.
pub const MAX_MAGNITUDE: f64 = 30.0;

/// The largest number of operations applied to one picture.
pub const MAX_OPERATIONS: usize = 16;

/// One operation with its strength. Pixels from outside the picture are black.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// Stretches each channel so that its darkest level becomes black and its brightest white.
    AutoContrast,
    /// Equalises the histogram of each channel.
    Equalize,
    /// Rotates counter-clockwise, in degrees.
    Rotate(f64),
    /// Keeps only this number of bits of each level, at least 1.
    Posterize(u32),
    /// Inverts all levels from this one on.
    Solarize(f64),
    /// Adds this to each level, then inverts all levels from 128 on.
    SolarizeAdd(f64),
    /// Makes colours paler (below 1) or stronger (above 1).
    Color(f64),
    /// Reduces (below 1) or increases (above 1) the contrast around the mean brightness.
    Contrast(f64),
    /// Makes the picture darker (below 1) or brighter (above 1).
    Brightness(f64),
    /// Makes the picture smoother (below 1) or sharper (above 1).
    Sharpness(f64),
    /// Shifts each row sideways by this multiple of its y coordinate.
    ShearX(f64),
    /// Shifts each column up or down by this multiple of its x coordinate.
    ShearY(f64),
    /// Shifts the picture to the left, in pixels.
    TranslateX(f64),
    /// Shifts the picture upwards, in pixels.
    TranslateY(f64),
}

impl Operation {
    /// Samples one of the 14 operations with equal probability, and its direction, if it has one.
    pub fn draw(magnitude: f64, stream: &mut Stream) -> Self {
        let share = magnitude / MAX_MAGNITUDE;
        let factor = 0.1 + share * 1.8;
        let kind = stream.below(14);
        let mut signed = |most: f64| if stream.below(2) == 0 { share * most } else { -share * most };
        match kind {
            0 => Self::AutoContrast,
            1 => Self::Equalize,
            2 => Self::Rotate(signed(30.0)),
            3 => Self::Posterize(((share * 4.0) as u32).max(1)),
            4 => Self::Solarize(share * 256.0),
            5 => Self::SolarizeAdd((share * 110.0).trunc()),
            6 => Self::Color(factor),
            7 => Self::Contrast(factor),
            8 => Self::Brightness(factor),
            9 => Self::Sharpness(factor),
            10 => Self::ShearX(signed(0.3)),
            11 => Self::ShearY(signed(0.3)),
            12 => Self::TranslateX(signed(100.0)),
            _ => Self::TranslateY(signed(100.0)),
        }
    }

    /// Returns the changed picture, of the same size. Samples of more than 8 bits are rounded to 8 bits first.
    pub fn apply(self, picture: &Picture) -> Picture {
        let samples = picture.bytes();
        let frame = Frame { size: picture.size(), channels: picture.channels(), samples: &samples };
        let samples = match self {
            Self::AutoContrast => frame.map_channels(auto_contrast),
            Self::Equalize => frame.map_channels(equalize),
            Self::Posterize(bits) => frame.map_levels(|level| level & !(0xff >> bits.min(8)) as u8),
            Self::Solarize(threshold) => frame.map_levels(|level| solarize(level, threshold)),
            Self::SolarizeAdd(more) => frame.map_levels(|level| solarize((f64::from(level) + more) as u8, 128.0)),
            Self::Color(factor) => frame.blend(&frame.greyscale(), factor),
            Self::Contrast(factor) => frame.blend(&vec![frame.mean(); samples.len()], factor),
            Self::Brightness(factor) => frame.blend(&vec![0; samples.len()], factor),
            Self::Sharpness(factor) => frame.blend(&frame.smooth(), factor),
            Self::Rotate(degrees) => frame.affine(rotation(degrees, frame.size)),
            Self::ShearX(share) => frame.affine([1.0, share, 0.0, 0.0, 1.0, 0.0]),
            Self::ShearY(share) => frame.affine([1.0, 0.0, 0.0, share, 1.0, 0.0]),
            Self::TranslateX(pixels) => frame.affine([1.0, 0.0, pixels, 0.0, 1.0, 0.0]),
            Self::TranslateY(pixels) => frame.affine([1.0, 0.0, 0.0, 0.0, 1.0, pixels]),
        };
        Picture::new(picture.size(), picture.channels(), samples)
    }
}

fn solarize(level: u8, threshold: f64) -> u8 {
    if f64::from(level) < threshold { level } else { 255 - level }
}

/// `ImageOps.autocontrast` of one channel: the new value of each level.
fn auto_contrast(counts: &[u64; 256]) -> [u8; 256] {
    let used = |level: &usize| counts[*level] > 0;
    let (low, high) = ((0..256).find(used).unwrap_or(0), (0..256).rev().find(used).unwrap_or(0));
    if high <= low {
        return std::array::from_fn(|level| level as u8);
    }
    let scale = 255.0 / (high - low) as f64;
    let offset = -(low as f64) * scale;
    std::array::from_fn(|level| (level as f64 * scale + offset) as u8)
}

/// `ImageOps.equalize` of one channel: the new value of each level.
fn equalize(counts: &[u64; 256]) -> [u8; 256] {
    let last = counts.iter().rev().find(|count| **count > 0).copied().unwrap_or(0);
    let step = (counts.iter().sum::<u64>() - last) / 255;
    if step == 0 {
        return std::array::from_fn(|level| level as u8);
    }
    let mut before = step / 2;
    std::array::from_fn(|level| {
        let new = (before / step).min(255) as u8;
        before += counts[level];
        new
    })
}

/// `Image.rotate`: the affine matrix of a rotation about the centre, from output pixels to input pixels.
fn rotation(degrees: f64, size: Size) -> [f64; 6] {
    let angle = -degrees * PI / 180.0;
    let (sin, cos) = angle.sin_cos();
    let (x, y) = (size.width as f64 / 2.0, size.height as f64 / 2.0);
    [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]
}

/// The 8-bit samples that an operation is applied to.
struct Frame<'a> {
    size: Size,
    channels: usize,
    samples: &'a [u8],
}

impl Frame<'_> {
    /// Replaces each level by `new` of it.
    fn map_levels(&self, new: impl Fn(u8) -> u8) -> Vec<u8> {
        let table: Vec<u8> = (0..=255).map(new).collect();
        self.samples.iter().map(|&level| table[usize::from(level)]).collect()
    }

    /// Replaces the levels of each channel by a table, which `table` computes from the channel's histogram.
    fn map_channels(&self, table: fn(&[u64; 256]) -> [u8; 256]) -> Vec<u8> {
        let mut counts = vec![[0; 256]; self.channels];
        for pixel in self.samples.chunks_exact(self.channels) {
            pixel.iter().zip(&mut counts).for_each(|(&level, counts)| counts[usize::from(level)] += 1);
        }
        let tables: Vec<_> = counts.iter().map(table).collect();
        let pixels = self.samples.chunks_exact(self.channels);
        pixels.flat_map(|pixel| pixel.iter().zip(&tables).map(|(&level, table)| table[usize::from(level)])).collect()
    }

    /// `Image.blend`: factor 0 gives `other`, 1 the picture; above 1 the picture is extrapolated away from `other`.
    fn blend(&self, other: &[u8], factor: f64) -> Vec<u8> {
        let factor = factor as f32;
        let mix = |(&from, &to): (&u8, &u8)| (f32::from(from) + factor * (f32::from(to) - f32::from(from))) as u8;
        other.iter().zip(self.samples).map(mix).collect()
    }

    /// `convert("L")`: the brightness of each pixel.
    fn brightness(&self) -> impl Iterator<Item = u8> {
        self.samples.chunks_exact(self.channels).map(|pixel| match *pixel {
            [red, green, blue] => {
                ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000) >> 16) as u8
            }
            _ => pixel[0],
        })
    }

    /// The picture in grey, with the same number of channels.
    fn greyscale(&self) -> Vec<u8> {
        self.brightness().flat_map(|level| std::iter::repeat_n(level, self.channels)).collect()
    }

    /// Mean brightness, rounded.
    fn mean(&self) -> u8 {
        let pixels = self.size.width * self.size.height;
        (self.brightness().map(u64::from).sum::<u64>() as f64 / pixels as f64 + 0.5) as u8
    }

    /// `ImageFilter.SMOOTH`: a mean with weight 5 for the pixel and 1 for its eight neighbours; pixels at the edge are unchanged.
    fn smooth(&self) -> Vec<u8> {
        let (Size { width, height }, mut smooth) = (self.size, self.samples.to_vec());
        let at =
            |x: usize, y: usize, channel: usize| u32::from(self.samples[(y * width + x) * self.channels + channel]);
        for y in 1..height.saturating_sub(1) {
            for x in 1..width.saturating_sub(1) {
                for channel in 0..self.channels {
                    let around = (y - 1..=y + 1).flat_map(|y| (x - 1..=x + 1).map(move |x| (x, y)));
                    let sum: u32 = around.map(|(x, y)| at(x, y, channel)).sum::<u32>() + 4 * at(x, y, channel);
                    // Rounds sum / 13. As 13 is odd, no value lies exactly between two integers.
                    smooth[(y * width + x) * self.channels + channel] = ((2 * sum + 13) / 26) as u8;
                }
            }
        }
        smooth
    }

    /// `Image.transform` with nearest neighbour: output pixel (x, y) is input pixel (ax + by + c, dx + ey + f), computed in 16.16
    /// fixed point.
    fn affine(&self, [a, b, c, d, e, f]: [f64; 6]) -> Vec<u8> {
        let fixed = |value: f64| (value * 65_536.0 + 0.5).floor() as i64;
        let (right, down) = ((fixed(a), fixed(d)), (fixed(b), fixed(e)));
        let start = (fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5));
        let within = |place: i64, length: usize| usize::try_from(place >> 16).ok().filter(|place| *place < length);
        let mut moved = vec![0; self.samples.len()];
        for (place, pixel) in moved.chunks_exact_mut(self.channels).enumerate() {
            let (x, y) = ((place % self.size.width) as i64, (place / self.size.width) as i64);
            let from = (start.0 + x * right.0 + y * down.0, start.1 + x * right.1 + y * down.1);
            if let (Some(x), Some(y)) = (within(from.0, self.size.width), within(from.1, self.size.height)) {
                let from = (y * self.size.width + x) * self.channels;
                pixel.copy_from_slice(&self.samples[from..from + self.channels]);
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use ptu_random::{Key, Place};

    use super::super::raster::Samples;
    use super::*;

    fn picture() -> Picture {
        let samples = (0..5 * 4).map(|place| (place * 53 % 200 + 20) as u8).collect();
        Picture::new(Size { width: 5, height: 4 }, 1, samples)
    }

    #[test]
    fn every_operation_is_sampled_with_its_strength() {
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..600 {
            let drawn = Operation::draw(9.0, &mut Key::new(3).stream(Place::Crop, index));
            seen.insert(format!("{drawn:?}").replace(['-', ' '], ""));
        }
        assert_eq!(seen.len(), 14, "{seen:?}");
        for strength in ["Rotate(9.0)", "Posterize(1)", "Solarize(76.8)", "SolarizeAdd(33.0)", "TranslateX(30.0)"] {
            assert!(seen.contains(strength), "{strength} in {seen:?}");
        }
    }

    #[test]
    fn neutral_strengths_change_nothing() {
        let same = [
            Operation::Color(1.0),
            Operation::Contrast(1.0),
            Operation::Brightness(1.0),
            Operation::Sharpness(1.0),
            Operation::Rotate(0.0),
            Operation::ShearX(0.0),
            Operation::TranslateY(0.0),
            Operation::Posterize(8),
            Operation::Solarize(256.0),
        ];
        for operation in same {
            assert_eq!(operation.apply(&picture()), picture(), "{operation:?}");
        }
    }

    #[test]
    fn a_picture_of_one_level_is_not_stretched() {
        let flat = Picture::new(Size { width: 3, height: 3 }, 1, vec![7; 9]);
        assert_eq!(Operation::AutoContrast.apply(&flat), flat);
        assert_eq!(Operation::Equalize.apply(&flat), flat);
    }

    #[test]
    fn a_picture_shifted_out_of_its_frame_is_black() {
        let gone = Operation::TranslateX(100.0).apply(&picture());
        assert_eq!(gone.samples(), &Samples::Bytes(vec![0; 20]));
        let Samples::Bytes(left) = Operation::TranslateX(1.0).apply(&picture()).samples().clone() else { panic!() };
        assert_eq!((left[0], left[4]), (73, 0));
    }
}
