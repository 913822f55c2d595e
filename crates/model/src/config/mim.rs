//! Masked image modelling: which states its head reads, and the size of the head.

use serde::{Deserialize, Serialize};

use super::{FusionConfig, HeadKind, ImageConfig, ModelConfig, ensure, limits};
use crate::ModelError;

/// Masked image modelling (specification, section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MimConfig {
    /// Share of the patches that are removed before the image encoder.
    pub ratio: f64,
    /// Number of layers of the fusion after which the states of the image are read.
    pub after: usize,
    /// Width of the head.
    pub width: usize,
    /// Number of blocks of the head.
    pub layers: usize,
    /// Number of attention heads of these blocks.
    pub heads: usize,
}

impl MimConfig {
    /// As in the published program, with a fusion of these sizes: the states after its third layer, or after its last one if it has fewer.
    pub fn published(fusion: &FusionConfig) -> Self {
        Self { ratio: 0.75, after: fusion.layers.min(3), width: 384, layers: 4, heads: 6 }
    }

    /// The configuration of the blocks of the head, which are those of CLIP.
    pub fn blocks(&self) -> ImageConfig {
        let Self { width, layers, heads, .. } = *self;
        ImageConfig { heads: Some(heads), drop_last: 0, ..ImageConfig::clip(0, 1, width, layers) }
    }

    /// Number of patches of `all` that are left.
    pub fn kept(&self, all: usize) -> usize {
        (((1.0 - self.ratio) * all as f64).round() as usize).clamp(1, all)
    }
}

impl ModelConfig {
    /// Checks the sizes of the head of masked image modelling, if there is one.
    pub(super) fn check_mim(&self) -> Result<(), ModelError> {
        let Some(mim) = &self.mim else {
            let has_head = self.heads.contains(&HeadKind::Mim);
            return ensure(!has_head, "mim", "is missing, but the model has this head".into());
        };
        let rule = format!("is {}; it must be above 0 and below 1", mim.ratio);
        ensure(mim.ratio > 0.0 && mim.ratio < 1.0, "mim.ratio", rule)?;
        let rule = format!("is {}; it must be between 1 and fusion.layers, {}", mim.after, self.fusion.layers);
        ensure((1..=self.fusion.layers).contains(&mim.after), "mim.after", rule)?;
        limits::check("mim.layers", mim.layers, limits::LAYERS)?;
        limits::check("mim.width", mim.width, limits::WIDTH)?;
        // Half of the width is for rows and half for columns, each with sines and cosines.
        let rule = format!("is {}; it must be a multiple of 4 and of mim.heads, {}", mim.width, mim.heads);
        ensure(mim.width.is_multiple_of(4) && mim.heads > 0 && mim.width.is_multiple_of(mim.heads), "mim.width", rule)?;
        let rule = format!(
            "is {}; masked image modelling needs the outputs for single patches, so it must be 1",
            self.image.merge
        );
        ensure(self.image.merge == 1, "image.merge", rule)?;
        let grid = self.image.grid();
        let rule = format!("is {}; masked image modelling needs at least two patches", self.image.size);
        ensure(grid * grid > 1, "image.size", rule)
    }
}
