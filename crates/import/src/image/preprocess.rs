//! The image transforms of a published encoder, from the files beside its weights.

use ptu_input::image::{Augment, CLIP_DEVIATION, CLIP_MEAN, Fit, Preprocess, Transform};
use serde_json::Value;

use super::ImageOptions;
use super::layout::Program;
use super::sizes::Found;
use crate::error::ImportError;
use crate::report::Assumed;
use crate::settings;

/// How pictures become inputs, as a file describes it.
struct Steps {
    mean: [f32; 3],
    deviation: [f32; 3],
    fit: Fit,
    /// Size of the shorter side before the central square is cut out, as a share of the square's side.
    shorter: f64,
    /// Whether images are resized with another filter than the bicubic one, which is the only one here.
    has_other_filter: bool,
}

impl Found<'_> {
    /// The transforms for images of `size` pixels; `None` if neither the options nor a file give mean and standard deviation.
    ///
    /// # Errors
    /// When a file is not JSON.
    pub(crate) fn preprocess(
        &self,
        size: usize,
        options: &ImageOptions,
        assumed: &mut Vec<Assumed>,
    ) -> Result<Option<Preprocess>, ImportError> {
        let mut steps = self.steps(assumed)?;
        if steps.as_ref().is_some_and(|steps| steps.has_other_filter) {
            let because = "images are always resized so, although the file beside the weights names another filter";
            assumed.push(Assumed { key: "resampling", value: "bicubic".into(), because });
        }
        if let Some([mean, deviation]) = options.normalisation {
            let found =
                steps.unwrap_or(Steps { mean, deviation, fit: Fit::default(), shorter: 1.0, has_other_filter: false });
            steps = Some(Steps { mean, deviation, ..found });
        }
        Ok(steps.map(|steps| steps.build(size)))
    }

    fn steps(&self, assumed: &mut Vec<Assumed>) -> Result<Option<Steps>, ImportError> {
        if let Some(file) = settings::read(&self.source.beside("preprocessor_config.json"))? {
            return Ok(transformers(&file));
        }
        if let Some(file) = settings::read(&self.source.beside("open_clip_config.json"))? {
            return Ok(Some(open_clip(&file["preprocess_cfg"])));
        }
        let timm = timm(&self.source.config["pretrained_cfg"]);
        if timm.is_none() && self.layout.program == Program::OpenClip {
            let because = "those of CLIP, because no file beside the weights gives others";
            assumed.push(Assumed { key: "mean and standard deviation", value: "CLIP".into(), because });
            return Ok(Some(open_clip(&Value::Null)));
        }
        Ok(timm)
    }
}

/// `preprocessor_config.json` of `transformers`.
fn transformers(file: &Value) -> Option<Steps> {
    let (mean, deviation) = (colours(&file["image_mean"])?, colours(&file["image_std"])?);
    let side = |value: &Value, key: &str| value.as_u64().or(value[key].as_u64()).map(|side| side as f64);
    let crops = file["do_center_crop"].as_bool().unwrap_or(!file["crop_size"].is_null());
    let shortest = side(&file["size"], "shortest_edge");
    let (fit, shorter) = match (crops, shortest, side(&file["crop_size"], "height")) {
        (true, Some(shortest), Some(crop)) if crop > 0.0 => (Fit::Crop, shortest / crop),
        (true, ..) => (Fit::Crop, 1.0),
        (false, ..) if file["size"]["shortest_edge"].is_null() => (Fit::Squeeze, 1.0),
        (false, ..) => (Fit::Crop, 1.0),
    };
    // Numbers of Pillow; 3 is the bicubic filter.
    let has_other_filter = file["resample"].as_u64().is_some_and(|filter| filter != 3);
    Some(Steps { mean, deviation, fit, shorter, has_other_filter })
}

/// `preprocess_cfg` of `open_clip`; what is not given is as in CLIP.
fn open_clip(file: &Value) -> Steps {
    let fit = if file["resize_mode"] == "squash" { Fit::Squeeze } else { Fit::Crop };
    let (mean, deviation) =
        (colours(&file["mean"]).unwrap_or(CLIP_MEAN), colours(&file["std"]).unwrap_or(CLIP_DEVIATION));
    Steps { mean, deviation, fit, shorter: 1.0, has_other_filter: has_other_filter(file) }
}

/// `pretrained_cfg` of `timm`.
fn timm(file: &Value) -> Option<Steps> {
    let share = file["crop_pct"].as_f64().filter(|share| (0.1..=1.0).contains(share)).unwrap_or(1.0);
    let fit = if file["crop_mode"] == "squash" { Fit::Squeeze } else { Fit::Crop };
    let (mean, deviation) = (colours(&file["mean"])?, colours(&file["std"])?);
    Some(Steps { mean, deviation, fit, shorter: 1.0 / share, has_other_filter: has_other_filter(file) })
}

/// Whether the settings of `open_clip` or `timm` name a filter, and not the bicubic one.
fn has_other_filter(file: &Value) -> bool {
    file["interpolation"].as_str().is_some_and(|filter| filter != "bicubic")
}

fn colours(value: &Value) -> Option<[f32; 3]> {
    #[expect(clippy::cast_possible_truncation, reason = "the numbers have few digits")]
    let numbers: Vec<f32> = value.as_array()?.iter().filter_map(Value::as_f64).map(|number| number as f32).collect();
    numbers.try_into().ok()
}

impl Steps {
    /// The transforms of evaluation as described, and those of training of this project with the same normalisation.
    fn build(&self, size: usize) -> Preprocess {
        let mut preprocess = Preprocess::new(size, self.fit, Augment::default());
        for step in preprocess.train.iter_mut().chain(&mut preprocess.evaluate) {
            match step {
                Transform::Normalize { mean, deviation } => (*mean, *deviation) = (self.mean, self.deviation),
                Transform::ResizeShort { size } => *size = (*size as f64 * self.shorter.max(1.0)).floor() as usize,
                _ => {}
            }
        }
        preprocess
    }
}
