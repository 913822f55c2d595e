//! The steps from a [`Picture`] to the model's planes, as data that is stored with the weights (specification,
//! section 5).

use ptu_random::Stream;
use serde::{Deserialize, Serialize};

use super::augment::{MAX_MAGNITUDE, MAX_OPERATIONS, Operation};
use super::raster::{Picture, Samples};
use super::resample::Size;
use crate::InputError;
use crate::batch::Image;

/// CLIP's mean of red, green and blue in [0, 1] (specification, section 5).
pub const CLIP_MEAN: [f32; 3] = [0.48145466, 0.4578275, 0.40821073];

/// CLIP's deviation of red, green and blue in [0, 1] (specification, section 5).
#[expect(clippy::excessive_precision, reason = "the published digits")]
pub const CLIP_DEVIATION: [f32; 3] = [0.26862954, 0.26130258, 0.27577711];

/// The largest side that a transform may give, in pixels.
pub const MAX_TRANSFORM_SIDE: usize = 4096;

/// The most pixels between two steps: a picture thinner than about 1 : 400 would grow beyond it.
const MAX_STEP_PIXELS: usize = 40_000_000;

/// How often a random crop is drawn before the central one is taken (torchvision's number).
const CROP_TRIES: usize = 10;

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Transform {
    /// Resizes so that the shorter side is `size` (bicubic, antialiased); the longer is rounded down.
    ResizeShort {
        /// Pixels.
        size: usize,
    },
    /// Resizes to a square, whatever the picture's sides (bicubic, antialiased): nothing is cut off, shapes are squeezed.
    Resize {
        /// Pixels a side.
        size: usize,
    },
    /// Cuts the central square.
    CenterCrop {
        /// Pixels a side.
        size: usize,
    },
    /// Cuts a random part and resizes it to a square (torchvision's rule; bicubic, antialiased).
    RandomResizedCrop {
        /// Pixels a side.
        size: usize,
        /// Least and greatest share of the area.
        scale: [f64; 2],
        /// Least and greatest width / height, drawn evenly on a logarithmic scale.
        ratio: [f64; 2],
    },
    /// Changes a picture by random operations: brighter, turned, shifted.
    RandAugment {
        /// How many, one after another.
        operations: usize,
        /// How strong, 0 to 30.
        magnitude: f64,
    },
    /// Subtracts the mean and divides by the deviation, for red, green and blue in [0, 1]. The last step.
    Normalize {
        /// Means.
        mean: [f32; 3],
        /// Deviations, above 0.
        deviation: [f32; 3],
    },
}

impl Transform {
    /// Whether it draws random numbers.
    fn is_random(&self) -> bool {
        matches!(self, Self::RandomResizedCrop { .. } | Self::RandAugment { .. })
    }
}

/// The lists for training and for everything else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// In training.
    pub train: Vec<Transform>,
    /// In evaluation, search and serving: no random step.
    pub evaluate: Vec<Transform>,
}

/// How a picture becomes a square outside training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// The central square; what lies beside it is cut off (published).
    #[default]
    Crop,
    /// All of it, squeezed to a square: for pictures whose edges matter.
    Squeeze,
}

/// How pictures are changed in training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augment {
    /// Least and greatest share of the picture's area that is cut out.
    pub scale: [f64; 2],
    /// Operations of RandAugment, one after another; 0 for none.
    pub operations: usize,
    /// How strong they are, 0 to 30.
    pub magnitude: f64,
}

impl Default for Augment {
    /// As published: RandAugment is off, and would be of magnitude 9.
    fn default() -> Self {
        Self { scale: [0.9, 1.0], operations: 0, magnitude: 9.0 }
    }
}

impl Preprocess {
    /// The published lists for pictures of `size` pixels a side (specification, section 5).
    pub fn clip(size: usize) -> Self {
        Self::new(size, Fit::default(), Augment::default())
    }

    /// The published lists, but for how pictures become squares and are changed in training.
    pub fn new(size: usize, fit: Fit, augment: Augment) -> Self {
        let fitted = match fit {
            Fit::Crop => vec![Transform::ResizeShort { size }, Transform::CenterCrop { size }],
            Fit::Squeeze => vec![Transform::Resize { size }],
        };
        let Augment { scale, operations, magnitude } = augment;
        let normalize = Transform::Normalize { mean: CLIP_MEAN, deviation: CLIP_DEVIATION };
        let change = (operations > 0).then_some(Transform::RandAugment { operations, magnitude });
        let crop = Transform::RandomResizedCrop { size, scale, ratio: [3.0 / 4.0, 4.0 / 3.0] };
        Self {
            train: change.into_iter().chain([crop, normalize.clone()]).collect(),
            evaluate: fitted.into_iter().chain([normalize]).collect(),
        }
    }

    /// The side of the images that both lists give, in pixels.
    ///
    /// # Errors
    /// If a list is invalid (as [`side`] says), the sides differ, or `evaluate` has a random step.
    pub fn side(&self) -> Result<usize, InputError> {
        let (train, evaluate) = (side(&self.train)?, side(&self.evaluate)?);
        if train != evaluate {
            return Err(invalid(format!(
                "`train` gives {train} pixels a side, `evaluate` {evaluate}; make them equal"
            )));
        }
        if self.evaluate.iter().any(Transform::is_random) {
            return Err(invalid("`evaluate` has a random step; use resize_short and center_crop there".into()));
        }
        Ok(train)
    }
}

/// The side of the square images that a list gives, in pixels.
///
/// # Errors
/// If a size, scale, ratio or deviation is out of range, nothing makes a square, or a step follows `normalize`.
pub fn side(steps: &[Transform]) -> Result<usize, InputError> {
    let (mut side, mut normalized) = (None, false);
    for (place, step) in steps.iter().enumerate() {
        let wrong = |cause: &str| invalid(format!("step {}: {cause}", place + 1));
        if normalized {
            return Err(wrong("nothing may follow `normalize`; put it last"));
        }
        match *step {
            Transform::ResizeShort { size }
            | Transform::Resize { size }
            | Transform::CenterCrop { size }
            | Transform::RandomResizedCrop { size, .. }
                if size == 0 || size > MAX_TRANSFORM_SIDE =>
            {
                return Err(wrong(&format!("`size` is {size}; it must lie within 1 and {MAX_TRANSFORM_SIDE}")));
            }
            Transform::ResizeShort { .. } => side = None,
            Transform::Resize { size } | Transform::CenterCrop { size } => side = Some(size),
            Transform::RandomResizedCrop { size, scale, ratio } => {
                if !(scale[0] > 0.0 && scale[0] <= scale[1] && scale[1] <= 1.0) {
                    return Err(wrong("`scale` must be two shares of the area, ascending, above 0, at most 1"));
                }
                if !(ratio[0] > 0.0 && ratio[0] <= ratio[1] && ratio[1].is_finite()) {
                    return Err(wrong("`ratio` must be two numbers above 0, ascending"));
                }
                side = Some(size);
            }
            Transform::RandAugment { operations, magnitude } => {
                if !(1..=MAX_OPERATIONS).contains(&operations) || !(0.0..=MAX_MAGNITUDE).contains(&magnitude) {
                    return Err(wrong(&format!(
                        "`operations` must lie within 1 and {MAX_OPERATIONS}, `magnitude` within 0 and {MAX_MAGNITUDE}"
                    )));
                }
            }
            Transform::Normalize { mean, deviation } => {
                let sound = mean.iter().all(|value| value.is_finite())
                    && deviation.iter().all(|value| value.is_finite() && *value > 0.0);
                if !sound {
                    return Err(wrong("`mean` must be finite, `deviation` finite and above 0"));
                }
                normalized = true;
            }
        }
    }
    side.ok_or_else(|| invalid("it gives no square; end it with a crop (and `normalize`)".into()))
}

/// Puts a picture through the steps: grey is repeated to RGB, samples lie in [0, 1] and are normalised, channel first.
///
/// Equal pictures, steps and streams give equal images, bit for bit. Only random steps draw from the `stream`.
///
/// # Errors
/// If the list is invalid (as [`side`] says), a random step has no stream, or the picture is too small or too thin.
pub fn apply(steps: &[Transform], picture: Picture, stream: Option<&mut Stream>) -> Result<Image, InputError> {
    let side = side(steps)?;
    let (mut picture, mut stream) = (picture, stream);
    let (mut mean, mut deviation) = ([0.0; 3], [1.0; 3]);
    for step in steps {
        match *step {
            Transform::ResizeShort { size } => picture = resize_short(&picture, size)?,
            Transform::Resize { size } => picture = picture.resize(Size { width: size, height: size }),
            Transform::CenterCrop { size } => picture = center_crop(&picture, size)?,
            Transform::RandomResizedCrop { size, scale, ratio } => {
                let part = random_part(picture.size(), scale, ratio, drawing("random_resized_crop", &mut stream)?);
                picture = picture.crop(part.left, part.top, part.size).resize(Size { width: size, height: size });
            }
            Transform::RandAugment { operations, magnitude } => {
                for _ in 0..operations {
                    picture = Operation::draw(magnitude, drawing("rand_augment", &mut stream)?).apply(&picture);
                }
            }
            Transform::Normalize { mean: means, deviation: deviations } => (mean, deviation) = (means, deviations),
        }
    }
    Ok(Image { side, planes: planes(&picture, mean, deviation) })
}

/// The random numbers that a step draws from.
fn drawing<'a>(step: &str, stream: &'a mut Option<&mut Stream>) -> Result<&'a mut Stream, InputError> {
    let cause = || format!("`{step}` needs random numbers; outside training use the `evaluate` list");
    stream.as_deref_mut().ok_or_else(|| invalid(cause()))
}

/// A part of a picture.
struct Part {
    left: usize,
    top: usize,
    size: Size,
}

fn invalid(cause: String) -> InputError {
    InputError::Transforms { cause }
}

fn unfit(picture: &Picture, step: &'static str, cause: &'static str) -> InputError {
    InputError::Unfit { width: picture.width(), height: picture.height(), step, cause }
}

/// Resizes so that the shorter side is `size`; the longer is rounded down (torchvision's rule).
///
/// # Errors
/// A picture so thin that it would grow beyond bounds.
pub fn resize_short(picture: &Picture, size: usize) -> Result<Picture, InputError> {
    let Size { width, height } = picture.size();
    let short = width.min(height);
    let to = Size { width: size * width / short, height: size * height / short };
    if to.width * to.height > MAX_STEP_PIXELS {
        return Err(unfit(picture, "resize_short", "it is too thin; leave its record out"));
    }
    Ok(picture.resize(to))
}

fn center_crop(picture: &Picture, size: usize) -> Result<Picture, InputError> {
    let Size { width, height } = picture.size();
    if width < size || height < size {
        return Err(unfit(picture, "center_crop", "it is smaller than the crop; put `resize_short` before it"));
    }
    Ok(picture.crop(central(width, size), central(height, size), Size { width: size, height: size }))
}

/// Where a central crop begins: Python rounds halves to even, and torchvision with it.
fn central(length: usize, size: usize) -> usize {
    ((length - size) as f64 / 2.0).round_ties_even() as usize
}

/// torchvision's rule for `RandomResizedCrop`: some tries, then the largest central part of an allowed ratio.
fn random_part(from: Size, scale: [f64; 2], ratio: [f64; 2], stream: &mut Stream) -> Part {
    let (width, height) = (from.width as f64, from.height as f64);
    for _ in 0..CROP_TRIES {
        let area = width * height * stream.between(scale[0], scale[1]);
        let aspect = stream.between(ratio[0].ln(), ratio[1].ln()).exp();
        let part_width = (area * aspect).sqrt().round_ties_even();
        let part_height = (area / aspect).sqrt().round_ties_even();
        if part_width >= 1.0 && part_width <= width && part_height >= 1.0 && part_height <= height {
            let size = Size { width: part_width as usize, height: part_height as usize };
            let top = stream.below(from.height - size.height + 1);
            let left = stream.below(from.width - size.width + 1);
            return Part { left, top, size };
        }
    }
    let clamped = |length: f64, most: usize| (length.round_ties_even() as usize).clamp(1, most);
    let size = if width / height < ratio[0] {
        Size { width: from.width, height: clamped(width / ratio[0], from.height) }
    } else if width / height > ratio[1] {
        Size { width: clamped(height * ratio[1], from.width), height: from.height }
    } else {
        from
    };
    Part { left: (from.width - size.width) / 2, top: (from.height - size.height) / 2, size }
}

/// Red, green and blue planes, normalised.
fn planes(picture: &Picture, mean: [f32; 3], deviation: [f32; 3]) -> Vec<f32> {
    let mut planes = Vec::with_capacity(3 * picture.width() * picture.height());
    for color in 0..3 {
        let from = if picture.channels() == 3 { color } else { 0 };
        let normal = |value: f32| (value - mean[color]) / deviation[color];
        match picture.samples() {
            Samples::Bytes(samples) => {
                let samples = samples.iter().skip(from).step_by(picture.channels());
                planes.extend(samples.map(|&value| normal(f32::from(value) / 255.0)));
            }
            Samples::Unit(samples) => {
                planes.extend(samples.iter().skip(from).step_by(picture.channels()).map(|&value| normal(value)));
            }
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use ptu_random::{Key, Place};

    use super::*;

    fn grey(width: usize, height: usize) -> Picture {
        let samples = (0..width * height).map(|at| (at * 7 % 251) as u8).collect();
        Picture::new(Size { width, height }, 1, samples)
    }

    fn stream(index: u64) -> Stream {
        Key::new(1).stream(Place::Crop, index)
    }

    #[test]
    fn squeezed_pictures_keep_their_edges() {
        let mut samples = vec![0u8; 64 * 16];
        for row in samples.chunks_exact_mut(64) {
            row[..8].fill(255); // what a central square of 16 pixels does not hold
        }
        let picture = || Picture::new(Size { width: 64, height: 16 }, 1, samples.clone());
        let of = |fit| {
            let lists = Preprocess::new(16, fit, Augment::default());
            assert_eq!(lists.side().unwrap(), 16);
            let planes = apply(&lists.evaluate, picture(), None).unwrap().planes;
            (planes[0], planes[8])
        };
        let ((edge, middle), (cut, beside)) = (of(Fit::Squeeze), of(Fit::Crop));
        assert!(edge > middle + 1.0 && cut == beside, "{edge} {middle} {cut} {beside}");
    }

    #[test]
    fn the_published_lists_give_their_size() {
        let lists = Preprocess::clip(24);
        assert_eq!(lists.side().unwrap(), 24);
        for (width, height) in [(40, 31), (31, 40), (5, 9), (24, 24)] {
            let evaluated = apply(&lists.evaluate, grey(width, height), None).unwrap();
            let trained = apply(&lists.train, grey(width, height), Some(&mut stream(0))).unwrap();
            assert_eq!((evaluated.side, evaluated.planes.len()), (24, 3 * 24 * 24));
            assert_eq!((trained.side, trained.planes.len()), (24, 3 * 24 * 24));
        }
    }

    #[test]
    fn normalising_is_by_channel() {
        let picture = Picture::new(Size { width: 1, height: 1 }, 3, vec![0, 255, 51]);
        let steps = [
            Transform::CenterCrop { size: 1 },
            Transform::Normalize { mean: [0.5, 0.0, 0.1], deviation: [0.5, 2.0, 0.1] },
        ];
        let planes = apply(&steps, picture, None).unwrap().planes;
        assert_eq!(planes[..2], [-1.0, 0.5]);
        assert!((planes[2] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn grey_is_repeated() {
        let image = apply(&[Transform::CenterCrop { size: 2 }], grey(2, 2), None).unwrap();
        assert_eq!(image.planes[..4], image.planes[4..8]);
        assert_eq!(image.planes[..4], image.planes[8..]);
        assert_eq!(image.planes[1], 7.0 / 255.0);
    }

    #[test]
    fn the_crop_is_central_with_halves_to_even() {
        // torchvision: int(round((5 - 2) / 2.0)) is 2, int(round((3 - 2) / 2.0)) is 0.
        assert_eq!((central(5, 2), central(3, 2), central(4, 2)), (2, 0, 1));
    }

    #[test]
    fn random_parts_keep_to_scale_and_ratio() {
        let from = Size { width: 200, height: 150 };
        let (mut areas, mut lefts) = (vec![], std::collections::BTreeSet::new());
        for index in 0..500 {
            let part = random_part(from, [0.5, 0.8], [0.75, 4.0 / 3.0], &mut stream(index));
            assert!(part.left + part.size.width <= 200 && part.top + part.size.height <= 150);
            let area = (part.size.width * part.size.height) as f64 / 30_000.0;
            let ratio = part.size.width as f64 / part.size.height as f64;
            assert!((0.49..0.81).contains(&area) && (0.73..1.36).contains(&ratio), "{area} {ratio}");
            areas.push(area);
            lefts.insert(part.left);
        }
        let mean = areas.iter().sum::<f64>() / 500.0;
        // Not 0.65: large flat parts do not fit. By torchvision's rule in NumPy over 400,000 draws, +- 0.004 for 500.
        assert!((mean - 0.6271).abs() < 0.015, "{mean}");
        assert!(lefts.len() > 30);
    }

    #[test]
    fn thin_pictures_take_the_central_part() {
        let wide = random_part(Size { width: 1000, height: 10 }, [0.9, 1.0], [0.75, 4.0 / 3.0], &mut stream(0));
        assert_eq!((wide.left, wide.top, wide.size), (493, 0, Size { width: 13, height: 10 }));
        let high = random_part(Size { width: 9, height: 900 }, [0.9, 1.0], [0.75, 4.0 / 3.0], &mut stream(0));
        assert_eq!((high.left, high.top, high.size), (0, 444, Size { width: 9, height: 12 }));
    }

    #[test]
    fn one_stream_gives_one_crop() {
        let steps = Preprocess::clip(16).train;
        let of = |index| apply(&steps, grey(64, 48), Some(&mut stream(index))).unwrap();
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
    }

    #[test]
    fn changes_come_before_the_crop_and_draw_from_the_stream() {
        let lists = Preprocess::new(16, Fit::Crop, Augment { operations: 2, ..Augment::default() });
        assert_eq!(lists.train[0], Transform::RandAugment { operations: 2, magnitude: 9.0 });
        assert_eq!(lists.train[1..], Preprocess::clip(16).train);
        assert_eq!(lists.evaluate, Preprocess::clip(16).evaluate);
        let of = |index| {
            apply(
                &lists.train[..1].iter().chain(&lists.evaluate[..2]).cloned().collect::<Vec<_>>(),
                grey(64, 48),
                Some(&mut stream(index)),
            )
            .unwrap()
        };
        assert_eq!(of(3), of(3));
        let different = (0..20).filter(|index| of(*index) != of(20 + index)).count();
        assert!(different > 15, "{different}");
    }

    #[test]
    fn wrong_lists_are_refused() {
        let message = |steps: &[Transform]| apply(steps, grey(4, 4), None).unwrap_err().to_string();
        assert!(message(&[]).contains("no square"));
        assert!(message(&[Transform::ResizeShort { size: 0 }]).contains("step 1: `size` is 0"));
        assert!(message(&[Transform::CenterCrop { size: usize::MAX }]).contains("within 1 and 4096"));
        assert!(message(&Preprocess::clip(4).train).contains("needs random numbers"));
        assert!(message(&[Transform::CenterCrop { size: 8 }]).contains("4 x 4 pixels"));
        let flat = Transform::Normalize { mean: [0.0; 3], deviation: [0.0; 3] };
        assert!(message(&[Transform::CenterCrop { size: 2 }, flat]).contains("above 0"));
        let normalize = Transform::Normalize { mean: [0.0; 3], deviation: [1.0; 3] };
        assert!(message(&[normalize, Transform::CenterCrop { size: 2 }]).contains("put it last"));
        let crop = Transform::RandomResizedCrop { size: 4, scale: [0.9, f64::NAN], ratio: [1.0, 1.0] };
        assert!(message(&[crop]).contains("`scale`"));
        let change = Transform::RandAugment { operations: 2, magnitude: 31.0 };
        assert!(message(&[change]).contains("`magnitude` within 0 and 30"));
        let mut lists = Preprocess::clip(8);
        lists.train = Preprocess::clip(9).train;
        assert!(lists.side().unwrap_err().to_string().contains("make them equal"));
        lists.evaluate.clone_from(&lists.train);
        assert!(lists.side().unwrap_err().to_string().contains("random step"));
    }

    #[test]
    fn a_thread_of_pixels_is_refused_not_blown_up() {
        let error = apply(&Preprocess::clip(288).evaluate, grey(1, 20_000), None).unwrap_err();
        assert!(error.to_string().contains("too thin"));
    }

    #[test]
    fn lists_are_stored_as_json_and_misspellings_refused() {
        let lists = Preprocess::clip(288);
        let json = serde_json::to_string(&lists).unwrap();
        assert!(json.contains(r#"{"op":"resize_short","size":288}"#), "{json}");
        assert_eq!(serde_json::from_str::<Preprocess>(&json).unwrap(), lists);
        let wrong = r#"{"train":[],"evaluate":[{"op":"center_crop","sise":2}]}"#;
        assert!(serde_json::from_str::<Preprocess>(wrong).is_err());
        assert!(serde_json::from_str::<Preprocess>(r#"{"train":[{"op":"spin"}],"evaluate":[]}"#).is_err());
    }
}
