//! Image encoder: the vision transformer of CLIP without its last block (specification, section 1).
//!
//! Shapes: b images, p patches, n = 1 + p image tokens, d is the width.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use ptu_input::Images;
use ptu_kernels::{Packed, Pass, rows};
use rayon::prelude::*;

use crate::config::ImageConfig;
use crate::layer::{ClipBlock, LayerNorm, Linear, constant};

/// The image encoder: patch embedding, transformer blocks, and a layer norm on every token.
#[derive(Module, Debug)]
pub struct ImageEncoder {
    /// Patch embedding, a convolution computed as a matrix product: `[3 * patch * patch, d]`.
    pub patch: Linear,
    /// Class embedding, `[d]`.
    pub class: Param<Tensor<1>>,
    /// Position embeddings, `[1 + p, d]`; row 0 is for the class token.
    pub positions: Param<Tensor<2>>,
    /// Layer norm before the blocks (`ln_pre`).
    pub norm_before: LayerNorm,
    /// The blocks that are used.
    pub blocks: Vec<ClipBlock>,
    /// Layer norm after the blocks (`ln_post`).
    pub norm_after: LayerNorm,
    side: usize,
}

impl ImageEncoder {
    /// An encoder with the configured sizes.
    pub fn new(config: &ImageConfig, device: &Device) -> Self {
        let &ImageConfig { patch, width: d, eps, .. } = config;
        let tokens = 1 + config.grid() * config.grid();
        Self {
            patch: Linear::without_bias(3 * patch * patch, d, device),
            class: constant(0.0, [d], device),
            positions: constant(0.0, [tokens, d], device),
            norm_before: LayerNorm::new(d, eps, device),
            blocks: (0..config.used_layers()).map(|_| ClipBlock::new(d, eps, device)).collect(),
            norm_after: LayerNorm::new(d, eps, device),
            side: patch,
        }
    }

    /// Class token, patch embeddings and position embeddings: `b` sequences of `1 + p` tokens. Only the patches that `pass`
    /// selects are embedded.
    ///
    /// # Panics
    /// If the images have no pixels, because the outputs of the encoder are known.
    pub fn embed(&self, images: &Images, pass: &Pass) -> Packed {
        let (b, grid) = (images.count, images.side / self.side);
        assert_eq!(images.planes.len(), b * 3 * images.side * images.side, "these images have no pixels to embed");
        let (p, device) = (grid * grid, self.class.val().device());
        let kept = pass.patches(b, p).unwrap_or_else(|| vec![(0..p).collect(); b]);
        let p = kept.first().map_or(0, Vec::len); // the same number for each image
        // A convolution whose stride equals its kernel size is one matrix product over the patches.
        let patches = TensorData::new(cut(images, self.side, &kept), [b * p, 3 * self.side * self.side]);
        let positions = kept.iter().flatten().map(|patch| 1 + patch).collect();
        let positions = rows(vec![self.positions.val()], Arc::new(positions));
        let patches = self.patch.forward_onto(positions, Tensor::from_data(patches, &device), pass); // [b * p, d]
        let index = (0..b).flat_map(|image| std::iter::once(0).chain(1 + image * p..1 + (image + 1) * p));
        let tokens = rows(vec![self.class_token(), patches], Arc::new(index.collect()));
        Packed::new(tokens, vec![1 + p; b])
    }

    /// The class token with its position embedding, `[1, d]`: the first token of images and of prompts in place of an image.
    pub fn class_token(&self) -> Tensor<2> {
        self.class.val().unsqueeze::<2>() + self.positions.val().narrow(0, 0, 1)
    }

    /// Runs `ln_pre`, all blocks, and `ln_post` on every token: `[rows, d] -> [rows, d]`.
    pub fn encode(&self, x: &Packed, pass: &Pass) -> Packed {
        let mut x = x.with(self.norm_before.forward(x.tokens.clone()));
        for block in &self.blocks {
            x = pass.block(block, &[&x], |block, x, pass| block.forward(x[0], pass));
        }
        x.with(self.norm_after.forward(x.tokens.clone()))
    }
}

/// Cuts the selected patches (the same number for each image) out of all images: `[b * p, 3 * s * s]`. The values of a patch
/// are in the order of the convolution's weight: channel, row, column.
fn cut(images: &Images, s: usize, kept: &[Vec<usize>]) -> Vec<f32> {
    let (side, grid) = (images.side, images.side / s);
    let (size, p) = (3 * s * s, kept.first().map_or(0, Vec::len));
    let mut patches = vec![0.0; images.count * p * size];
    if patches.is_empty() {
        return patches;
    }
    let of_images = patches.par_chunks_mut(p * size).zip(images.planes.par_chunks(3 * side * side)).zip(kept);
    of_images.for_each(|((patches, planes), kept)| {
        for (number, patch) in kept.iter().zip(patches.chunks_exact_mut(size)) {
            let (row, column) = (number / grid * s, number % grid * s);
            for (line, values) in patch.chunks_exact_mut(s).enumerate() {
                let (channel, line) = (line / s, line % s);
                let start = (channel * side + row + line) * side + column;
                values.copy_from_slice(&planes[start..start + s]);
            }
        }
    });
    patches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_cut_channel_by_channel() {
        // Two images of 4 x 4 pixels, patches of 2 x 2: the value of a pixel is its index in the array.
        let images = Images { count: 2, side: 4, planes: (0..96).map(|index| index as f32).collect(), outputs: None };
        let all: Vec<Vec<usize>> = vec![(0..4).collect(); 2];
        let patches = cut(&images, 2, &all);
        assert_eq!(patches.len(), 96);
        assert_eq!(patches[..12], [0.0, 1.0, 4.0, 5.0, 16.0, 17.0, 20.0, 21.0, 32.0, 33.0, 36.0, 37.0]);
        assert_eq!(patches[12..16], [2.0, 3.0, 6.0, 7.0]);
        assert_eq!(patches[48..52], [48.0, 49.0, 52.0, 53.0]);
        assert!(cut(&Images::default(), 2, &[]).is_empty());
        assert_eq!(cut(&images, 2, &[vec![1], vec![0]]), [&patches[12..24], &patches[48..60]].concat());
    }
}
