//! The transforms from a [`Picture`] to the input planes of the model. They are data that is stored with the weights
//! (specification, section 5).

use ptu_random::Stream;
use serde::{Deserialize, Serialize};

use super::augment::{MAX_MAGNITUDE, MAX_OPERATIONS, Operation};
use super::raster::{Picture, Samples};
use super::resample::Size;
use crate::InputError;
use crate::batch::Image;

/// CLIP's mean of red, green and blue in [0, 1] (specification, section 5).
pub const CLIP_MEAN: [f32; 3] = [0.48145466, 0.4578275, 0.40821073];

/// CLIP's standard deviation of red, green and blue in [0, 1] (specification, section 5).
#[expect(clippy::excessive_precision, reason = "the published digits")]
pub const CLIP_DEVIATION: [f32; 3] = [0.26862954, 0.26130258, 0.27577711];

/// The largest width and height that a transform may give, in pixels.
pub const MAX_TRANSFORM_SIDE: usize = 4096;

/// The largest number of pixels between two steps. A picture thinner than about 1 : 400 would become larger than this.
const MAX_STEP_PIXELS: usize = 40_000_000;

/// The number of attempts to find a random crop before the central crop is used (as in torchvision).
const CROP_TRIES: usize = 10;

/// One transform step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Transform {
    /// Resizes so that the shorter side is `size` (bicubic, antialiased); the longer side is rounded down.
    ResizeShort {
        /// Pixels.
        size: usize,
    },
    /// Resizes to a square of any picture (bicubic, antialiased): nothing is cut off, but the aspect ratio changes.
    Resize {
        /// Pixels a side.
        size: usize,
    },
    /// Crops the central square.
    CenterCrop {
        /// Pixels a side.
        size: usize,
    },
    /// Crops a random region and resizes it to a square (as in torchvision; bicubic, antialiased).
    RandomResizedCrop {
        /// Pixels a side.
        size: usize,
        /// The smallest and largest share of the picture's area.
        scale: [f64; 2],
        /// The smallest and largest aspect ratio (width / height), sampled uniformly on a logarithmic scale.
        ratio: [f64; 2],
    },
    /// Changes the picture by random operations: RandAugment.
    RandAugment {
        /// The number of operations, one after another.
        operations: usize,
        /// The strength of the operations, 0 to 30.
        magnitude: f64,
    },
    /// Subtracts the mean and divides by the standard deviation, for red, green and blue in [0, 1]. It must be the last step.
    Normalize {
        /// The means of red, green and blue.
        mean: [f32; 3],
        /// The standard deviations of red, green and blue, above 0.
        deviation: [f32; 3],
    },
}

impl Transform {
    /// Whether the step needs random numbers.
    fn is_random(&self) -> bool {
        matches!(self, Self::RandomResizedCrop { .. } | Self::RandAugment { .. })
    }
}

/// The transforms for training and for everything else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// The steps in training.
    pub train: Vec<Transform>,
    /// The steps in evaluation, search and serving, without random steps.
    pub evaluate: Vec<Transform>,
}

/// How a picture is made square outside training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Crop the central square; the rest is cut off (as published).
    #[default]
    Crop,
    /// Resize the complete picture to a square, so that nothing is cut off: for pictures with important edges.
    Squeeze,
}

/// The augmentation of pictures in training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augment {
    /// Whether a random region of the picture is cropped. If not, the transforms of evaluation are used in its place.
    pub crop: bool,
    /// The smallest and largest share of the picture's area that a random crop keeps.
    pub scale: [f64; 2],
    /// The number of RandAugment operations, one after another; 0 for none.
    pub operations: usize,
    /// The strength of these operations, 0 to 30.
    pub magnitude: f64,
}

impl Default for Augment {
    /// The published values: RandAugment is off; if it is turned on, its magnitude is 9.
    fn default() -> Self {
        Self { crop: true, scale: [0.9, 1.0], operations: 0, magnitude: 9.0 }
    }
}

impl Preprocess {
    /// The published transforms for pictures of `size` x `size` pixels (specification, section 5).
    pub fn clip(size: usize) -> Self {
        Self::new(size, Fit::default(), Augment::default())
    }

    /// The published transforms, with another `fit` and another augmentation.
    pub fn new(size: usize, fit: Fit, augment: Augment) -> Self {
        let fitted = match fit {
            Fit::Crop => vec![Transform::ResizeShort { size }, Transform::CenterCrop { size }],
            Fit::Squeeze => vec![Transform::Resize { size }],
        };
        let normalize = Transform::Normalize { mean: CLIP_MEAN, deviation: CLIP_DEVIATION };
        Self::with_training(fitted.into_iter().chain([normalize]).collect(), size, augment)
    }

    /// The same transforms with the mean and standard deviation of others; unchanged if the others have none.
    pub fn normalised_as(mut self, other: &Self) -> Self {
        let is_normalise = |step: &&Transform| matches!(step, Transform::Normalize { .. });
        if let Some(normalise) = other.evaluate.iter().find(is_normalise) {
            for step in self.train.iter_mut().chain(&mut self.evaluate).filter(|step| is_normalise(&&**step)) {
                *step = normalise.clone();
            }
        }
        self
    }

    /// These transforms of evaluation, and those of training with this augmentation and the same normalisation.
    fn with_training(evaluate: Vec<Transform>, size: usize, augment: Augment) -> Self {
        let Augment { crop, scale, operations, magnitude } = augment;
        let change = (operations > 0).then_some(Transform::RandAugment { operations, magnitude });
        let square = match crop {
            true => {
                let normalize = evaluate.iter().filter(|step| matches!(step, Transform::Normalize { .. })).cloned();
                let crop = Transform::RandomResizedCrop { size, scale, ratio: [3.0 / 4.0, 4.0 / 3.0] };
                std::iter::once(crop).chain(normalize).collect()
            }
            false => evaluate.clone(),
        };
        Self { train: change.into_iter().chain(square).collect(), evaluate }
    }

    /// Whether the transforms of training have a random step, so that they give another image of the same picture each time.
    pub fn is_random(&self) -> bool {
        self.train.iter().any(Transform::is_random)
    }

    /// The same transforms for another size, with another augmentation in training. The normalisation stays.
    pub fn resized(&self, to: usize, augment: Augment) -> Self {
        let mut evaluate = self.evaluate.clone();
        for step in &mut evaluate {
            match step {
                Transform::ResizeShort { size }
                | Transform::Resize { size }
                | Transform::CenterCrop { size }
                | Transform::RandomResizedCrop { size, .. } => *size = to,
                Transform::RandAugment { .. } | Transform::Normalize { .. } => {}
            }
        }
        Self::with_training(evaluate, to, augment)
    }

    /// The width and height of the square images that both lists give, in pixels.
    ///
    /// # Errors
    /// If a list is invalid (as [`side`] says), the sides differ, or `evaluate` has a random step.
    pub fn side(&self) -> Result<usize, InputError> {
        let (train, evaluate) = (side(&self.train)?, side(&self.evaluate)?);
        if train != evaluate {
            return Err(invalid(format!(
                "`train` gives images of {train} x {train} pixels, `evaluate` {evaluate} x {evaluate}; make them equal"
            )));
        }
        if self.evaluate.iter().any(Transform::is_random) {
            return Err(invalid("`evaluate` has a random step; use resize_short and center_crop there".into()));
        }
        Ok(train)
    }
}

/// The width and height of the square images that a list of steps gives, in pixels.
///
/// # Errors
/// If a size, scale, ratio or deviation is out of range, if no step makes a square, or if a step follows `normalize`.
pub fn side(steps: &[Transform]) -> Result<usize, InputError> {
    let (mut side, mut normalized) = (None, false);
    for (index, step) in steps.iter().enumerate() {
        let wrong = |cause: &str| invalid(format!("step {}: {cause}", index + 1));
        if normalized {
            return Err(wrong("no step may follow `normalize`; put it last"));
        }
        match *step {
            Transform::ResizeShort { size }
            | Transform::Resize { size }
            | Transform::CenterCrop { size }
            | Transform::RandomResizedCrop { size, .. }
                if size == 0 || size > MAX_TRANSFORM_SIDE =>
            {
                return Err(wrong(&format!("`size` is {size}; it must be between 1 and {MAX_TRANSFORM_SIDE}")));
            }
            Transform::ResizeShort { .. } => side = None,
            Transform::Resize { size } | Transform::CenterCrop { size } => side = Some(size),
            Transform::RandomResizedCrop { size, scale, ratio } => {
                if !(scale[0] > 0.0 && scale[0] <= scale[1] && scale[1] <= 1.0) {
                    return Err(wrong("`scale` must be two shares of the area in ascending order, above 0, at most 1"));
                }
                if !(ratio[0] > 0.0 && ratio[0] <= ratio[1] && ratio[1].is_finite()) {
                    return Err(wrong("`ratio` must be two numbers above 0 in ascending order"));
                }
                side = Some(size);
            }
            Transform::RandAugment { operations, magnitude } => {
                if !(1..=MAX_OPERATIONS).contains(&operations) || !(0.0..=MAX_MAGNITUDE).contains(&magnitude) {
                    return Err(wrong(&format!(
                        "`operations` must be between 1 and {MAX_OPERATIONS}, `magnitude` between 0 and {MAX_MAGNITUDE}"
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
    side.ok_or_else(|| invalid("it does not give square images; end it with a crop (and `normalize`)".into()))
}

/// Applies the steps to a picture and returns normalised planes, channel first. A grey picture is repeated to RGB, and
/// samples are scaled to [0, 1].
///
/// Equal pictures, steps and streams give equal images, bit for bit. Only random steps use `stream`.
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
                let stream = required_stream("random_resized_crop", &mut stream)?;
                let region = random_crop_region(picture.size(), scale, ratio, stream);
                picture = picture.crop(region.left, region.top, region.size).resize(Size { width: size, height: size });
            }
            Transform::RandAugment { operations, magnitude } => {
                for _ in 0..operations {
                    picture = Operation::draw(magnitude, required_stream("rand_augment", &mut stream)?).apply(&picture);
                }
            }
            Transform::Normalize { mean: means, deviation: deviations } => (mean, deviation) = (means, deviations),
        }
    }
    Ok(Image::new(side, planes(&picture, mean, deviation)))
}

/// The random numbers for a step; an error if there are none.
fn required_stream<'a>(step: &str, stream: &'a mut Option<&mut Stream>) -> Result<&'a mut Stream, InputError> {
    let cause = || format!("`{step}` needs random numbers; outside training, use the `evaluate` list");
    stream.as_deref_mut().ok_or_else(|| invalid(cause()))
}

/// The region of a picture that is cropped.
struct CropRegion {
    left: usize,
    top: usize,
    size: Size,
}

fn invalid(cause: String) -> InputError {
    InputError::Transforms { cause }
}

fn not_applicable(picture: &Picture, step: &'static str, cause: &'static str) -> InputError {
    InputError::Unfit { width: picture.width(), height: picture.height(), step, cause }
}

/// Resizes so that the shorter side is `size`; the longer side is rounded down (as in torchvision).
///
/// # Errors
/// When the picture is so thin that the result would be too large.
pub fn resize_short(picture: &Picture, size: usize) -> Result<Picture, InputError> {
    let Size { width, height } = picture.size();
    let short = width.min(height);
    let to = Size { width: size * width / short, height: size * height / short };
    if to.width * to.height > MAX_STEP_PIXELS {
        return Err(not_applicable(picture, "resize_short", "it is too thin; remove its record"));
    }
    Ok(picture.resize(to))
}

fn center_crop(picture: &Picture, size: usize) -> Result<Picture, InputError> {
    let Size { width, height } = picture.size();
    if width < size || height < size {
        return Err(not_applicable(
            picture,
            "center_crop",
            "it is smaller than the crop; put `resize_short` before it",
        ));
    }
    Ok(picture.crop(center_offset(width, size), center_offset(height, size), Size { width: size, height: size }))
}

/// The start of a central crop. Halves are rounded to even, as in Python and so in torchvision.
fn center_offset(length: usize, size: usize) -> usize {
    ((length - size) as f64 / 2.0).round_ties_even() as usize
}

/// The rule of torchvision's `RandomResizedCrop`: some random attempts, then the largest central region with an allowed
/// aspect ratio.
fn random_crop_region(from: Size, scale: [f64; 2], ratio: [f64; 2], stream: &mut Stream) -> CropRegion {
    let (width, height) = (from.width as f64, from.height as f64);
    for _ in 0..CROP_TRIES {
        let area = width * height * stream.between(scale[0], scale[1]);
        let aspect = stream.between(ratio[0].ln(), ratio[1].ln()).exp();
        let crop_width = (area * aspect).sqrt().round_ties_even();
        let crop_height = (area / aspect).sqrt().round_ties_even();
        if crop_width >= 1.0 && crop_width <= width && crop_height >= 1.0 && crop_height <= height {
            let size = Size { width: crop_width as usize, height: crop_height as usize };
            let top = stream.below(from.height - size.height + 1);
            let left = stream.below(from.width - size.width + 1);
            return CropRegion { left, top, size };
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
    CropRegion { left: (from.width - size.width) / 2, top: (from.height - size.height) / 2, size }
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
    fn resizing_to_a_square_keeps_the_edges() {
        let mut samples = vec![0u8; 64 * 16];
        for row in samples.chunks_exact_mut(64) {
            row[..8].fill(255); // outside the central square of 16 pixels
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
    fn without_crops_training_sees_the_images_of_evaluation() {
        let augment = Augment { crop: false, ..Augment::default() };
        for lists in [Preprocess::new(24, Fit::Squeeze, augment), Preprocess::clip(16).resized(24, augment)] {
            assert_eq!((&lists.train, lists.is_random(), lists.side().unwrap()), (&lists.evaluate, false, 24));
        }
        let changed = Preprocess::new(24, Fit::Crop, Augment { operations: 1, ..augment });
        assert!(changed.is_random() && changed.train[1..] == changed.evaluate);
        assert!(Preprocess::clip(24).is_random());
    }

    #[test]
    fn the_published_transforms_give_their_size() {
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
    fn the_center_crop_rounds_halves_to_even() {
        // torchvision: int(round((5 - 2) / 2.0)) is 2, int(round((3 - 2) / 2.0)) is 0.
        assert_eq!((center_offset(5, 2), center_offset(3, 2), center_offset(4, 2)), (2, 0, 1));
    }

    #[test]
    fn random_crops_keep_scale_and_ratio() {
        let from = Size { width: 200, height: 150 };
        let (mut areas, mut lefts) = (vec![], std::collections::BTreeSet::new());
        for index in 0..500 {
            let region = random_crop_region(from, [0.5, 0.8], [0.75, 4.0 / 3.0], &mut stream(index));
            assert!(region.left + region.size.width <= 200 && region.top + region.size.height <= 150);
            let area = (region.size.width * region.size.height) as f64 / 30_000.0;
            let ratio = region.size.width as f64 / region.size.height as f64;
            assert!((0.49..0.81).contains(&area) && (0.73..1.36).contains(&ratio), "{area} {ratio}");
            areas.push(area);
            lefts.insert(region.left);
        }
        let mean = areas.iter().sum::<f64>() / 500.0;
        // The mean is not 0.65, because large flat regions do not fit. 0.6271 is the mean of 400,000 samples with
        // torchvision's rule in NumPy; the standard error for 500 samples is 0.004.
        assert!((mean - 0.6271).abs() < 0.015, "{mean}");
        assert!(lefts.len() > 30);
    }

    #[test]
    fn thin_pictures_use_the_central_crop() {
        let wide = random_crop_region(Size { width: 1000, height: 10 }, [0.9, 1.0], [0.75, 4.0 / 3.0], &mut stream(0));
        assert_eq!((wide.left, wide.top, wide.size), (493, 0, Size { width: 13, height: 10 }));
        let high = random_crop_region(Size { width: 9, height: 900 }, [0.9, 1.0], [0.75, 4.0 / 3.0], &mut stream(0));
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
    fn rand_augment_comes_before_the_crop_and_uses_the_stream() {
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
    fn invalid_transforms_are_refused() {
        let message = |steps: &[Transform]| apply(steps, grey(4, 4), None).unwrap_err().to_string();
        assert!(message(&[]).contains("not give square images"));
        assert!(message(&[Transform::ResizeShort { size: 0 }]).contains("step 1: `size` is 0"));
        assert!(message(&[Transform::CenterCrop { size: usize::MAX }]).contains("between 1 and 4096"));
        assert!(message(&Preprocess::clip(4).train).contains("needs random numbers"));
        assert!(message(&[Transform::CenterCrop { size: 8 }]).contains("4 x 4 pixels"));
        let flat = Transform::Normalize { mean: [0.0; 3], deviation: [0.0; 3] };
        assert!(message(&[Transform::CenterCrop { size: 2 }, flat]).contains("above 0"));
        let normalize = Transform::Normalize { mean: [0.0; 3], deviation: [1.0; 3] };
        assert!(message(&[normalize, Transform::CenterCrop { size: 2 }]).contains("put it last"));
        let crop = Transform::RandomResizedCrop { size: 4, scale: [0.9, f64::NAN], ratio: [1.0, 1.0] };
        assert!(message(&[crop]).contains("`scale`"));
        let change = Transform::RandAugment { operations: 2, magnitude: 31.0 };
        assert!(message(&[change]).contains("`magnitude` between 0 and 30"));
        let mut lists = Preprocess::clip(8);
        lists.train = Preprocess::clip(9).train;
        assert!(lists.side().unwrap_err().to_string().contains("make them equal"));
        lists.evaluate.clone_from(&lists.train);
        assert!(lists.side().unwrap_err().to_string().contains("random step"));
    }

    #[test]
    fn a_very_thin_picture_is_refused() {
        let error = apply(&Preprocess::clip(288).evaluate, grey(1, 20_000), None).unwrap_err();
        assert!(error.to_string().contains("too thin"));
    }

    #[test]
    fn transforms_are_stored_as_json_and_misspellings_are_refused() {
        let lists = Preprocess::clip(288);
        let json = serde_json::to_string(&lists).unwrap();
        assert!(json.contains(r#"{"op":"resize_short","size":288}"#), "{json}");
        assert_eq!(serde_json::from_str::<Preprocess>(&json).unwrap(), lists);
        let wrong = r#"{"train":[],"evaluate":[{"op":"center_crop","sise":2}]}"#;
        assert!(serde_json::from_str::<Preprocess>(wrong).is_err());
        assert!(serde_json::from_str::<Preprocess>(r#"{"train":[{"op":"spin"}],"evaluate":[]}"#).is_err());
    }
}
