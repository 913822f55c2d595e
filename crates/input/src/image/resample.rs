//! Pillow's antialiased bicubic resize; the results are equal bit for bit.
//!
//! A port of `src/libImaging/Resample.c`: two passes, horizontal first. The filter (a = -0.5) is widened when a picture is
//! made smaller. The coefficients for 8-bit samples are fixed-point numbers of 22 bits, and samples are rounded once per
//! pass. Pillow 5 to 12 do the same, and published weights were trained with them. Pillow 13 does the vertical pass first if
//! the height shrinks much more than the width (never if the aspect ratio is kept), and gives other levels then. The crate
//! `fast_image_resize` was tried and differs by up to 19 levels.

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Fractional bits of the coefficients for 8-bit samples: 32 bits, minus 8 for the sample, minus 2 for overshoot.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// The radius of the filter, in pixels of the larger picture.
const SUPPORT: f64 = 2.0;

/// A type of sample with the arithmetic that Pillow uses for it.
pub trait Sample: Copy {
    /// A coefficient.
    type Weight: Copy;
    /// A running sum.
    type Sum: Copy;
    /// The initial value of a sum.
    const START: Self::Sum;
    /// Converts a coefficient to the type of this arithmetic.
    fn weight(weight: f64) -> Self::Weight;
    /// Adds one weighted sample.
    fn add(self, sum: Self::Sum, weight: Self::Weight) -> Self::Sum;
    /// Converts a sum to a sample.
    fn finish(sum: Self::Sum) -> Self;
}

impl Sample for u8 {
    type Weight = i32;
    type Sum = i32;
    const START: i32 = 1 << (PRECISION_BITS - 1);

    fn weight(weight: f64) -> i32 {
        let scaled = weight * f64::from(1 << PRECISION_BITS);
        (scaled + 0.5f64.copysign(scaled)) as i32
    }

    #[inline(always)]
    fn add(self, sum: i32, weight: i32) -> i32 {
        sum + i32::from(self) * weight
    }

    #[inline(always)]
    fn finish(sum: i32) -> u8 {
        (sum >> PRECISION_BITS).clamp(0, 255) as u8
    }
}

impl Sample for f32 {
    type Weight = f64;
    type Sum = f64;
    const START: f64 = 0.0;

    fn weight(weight: f64) -> f64 {
        weight
    }

    #[inline(always)]
    fn add(self, sum: f64, weight: f64) -> f64 {
        sum + f64::from(self) * weight
    }

    #[inline(always)]
    fn finish(sum: f64) -> f32 {
        sum as f32
    }
}

/// For each output pixel of one axis: the first input pixel, and the coefficients from that pixel on.
struct Taps<W> {
    first: Vec<usize>,
    weights: Vec<Vec<W>>,
}

impl<W: Copy> Taps<W> {
    /// The coefficients for an axis of `from` pixels resized to `to`, converted by `convert`.
    fn new(from: usize, to: usize, convert: impl Fn(f64) -> W) -> Self {
        let scale = from as f64 / to as f64;
        let widened = scale.max(1.0);
        let support = SUPPORT * widened;
        let (mut first, mut weights) = (Vec::with_capacity(to), Vec::with_capacity(to));
        for place in 0..to {
            let center = (place as f64 + 0.5) * scale;
            // As in Pillow, the casts truncate towards zero, and negative numbers become 0.
            let start = (center - support + 0.5) as usize;
            let end = ((center + support + 0.5) as usize).min(from);
            // Pillow multiplies by the reciprocal instead of dividing, and the last bit depends on it.
            let narrowing = 1.0 / widened;
            let mut row: Vec<f64> =
                (start..end).map(|x| bicubic_filter((x as f64 - center + 0.5) * narrowing)).collect();
            let total: f64 = row.iter().sum();
            if total != 0.0 {
                row.iter_mut().for_each(|weight| *weight /= total);
            }
            first.push(start);
            weights.push(row.into_iter().map(&convert).collect());
        }
        Self { first, weights }
    }

    /// The number of output pixels.
    fn len(&self) -> usize {
        self.first.len()
    }
}

/// Keys' cubic convolution with a = -0.5.
fn bicubic_filter(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Resizes interleaved samples of `channels` (1 or 3) channels; an axis that keeps its length is not changed.
///
/// 8-bit samples are clipped to 0..=255 after each pass; floating-point samples may overshoot.
///
/// # Panics
/// If the number of samples does not fit, a size is 0, or `channels` is neither 1 nor 3.
pub fn bicubic<T: Sample>(samples: &[T], from: Size, channels: usize, to: Size) -> Vec<T> {
    assert_eq!(samples.len(), from.width * from.height * channels, "samples fit the size");
    assert!(to.width > 0 && to.height > 0, "a picture has pixels");
    let resized_rows = (from.width != to.width).then(|| {
        let taps = Taps::new(from.width, to.width, T::weight);
        match channels {
            1 => horizontal::<T, 1>(samples, from.width, &taps),
            3 => horizontal::<T, 3>(samples, from.width, &taps),
            _ => panic!("a picture has 1 or 3 channels"),
        }
    });
    if from.height == to.height {
        return resized_rows.unwrap_or_else(|| samples.to_vec());
    }
    let taps = Taps::new(from.height, to.height, T::weight);
    vertical(resized_rows.as_deref().unwrap_or(samples), to.width * channels, &taps)
}

/// Resizes each row of `width` pixels to `taps.len()` pixels.
fn horizontal<T: Sample, const C: usize>(samples: &[T], width: usize, taps: &Taps<T::Weight>) -> Vec<T> {
    let mut out = Vec::with_capacity(samples.len() / width * taps.len());
    for row in samples.chunks_exact(width * C) {
        for (&first, weights) in taps.first.iter().zip(&taps.weights) {
            let mut sums = [T::START; C];
            for (pixel, &weight) in row[first * C..].chunks_exact(C).zip(weights) {
                for channel in 0..C {
                    sums[channel] = pixel[channel].add(sums[channel], weight);
                }
            }
            out.extend(sums.map(T::finish));
        }
    }
    out
}

/// Resizes a picture with rows of `length` samples to `taps.len()` rows.
fn vertical<T: Sample>(samples: &[T], length: usize, taps: &Taps<T::Weight>) -> Vec<T> {
    let mut out = Vec::with_capacity(length * taps.len());
    let mut sums = vec![T::START; length];
    for (&first, weights) in taps.first.iter().zip(&taps.weights) {
        sums.fill(T::START);
        for (row, &weight) in samples[first * length..].chunks_exact(length).zip(weights) {
            for (sum, &sample) in sums.iter_mut().zip(row) {
                *sum = sample.add(*sum, weight);
            }
        }
        out.extend(sums.iter().map(|&sum| T::finish(sum)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_one_at_zero_and_zero_at_whole_numbers() {
        assert_eq!([0.0, 1.0, -1.0, 2.0, 5.0].map(bicubic_filter), [1.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(bicubic_filter(0.5), 0.5625);
        assert_eq!(bicubic_filter(-1.5), -0.0625);
    }

    #[test]
    fn a_constant_picture_stays_constant() {
        let (from, to) = (Size { width: 7, height: 5 }, Size { width: 3, height: 11 });
        assert!(bicubic(&[200u8; 35], from, 1, to).iter().all(|&value| value == 200));
        assert!(bicubic(&[0.25f32; 105], from, 3, to).iter().all(|&value| (value - 0.25).abs() < 1e-6));
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let size = Size { width: 2, height: 2 };
        assert_eq!(bicubic(&[1u8, 2, 3, 4], size, 1, size), [1, 2, 3, 4]);
    }

    #[test]
    fn one_pixel_grows_to_many() {
        let (from, to) = (Size { width: 1, height: 1 }, Size { width: 3, height: 2 });
        assert_eq!(bicubic(&[9u8, 8, 7], from, 3, to), [9, 8, 7].repeat(6));
    }
}
