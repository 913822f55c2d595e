//! Head of masked image modelling: pixels of the patches that were removed (specification, section 3.4).

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use ptu_input::Images;
use ptu_kernels::{Packed, Pass, rows};

use crate::config::{MimConfig, ModelConfig};
use crate::image::cut;
use crate::layer::{LayerNorm, Linear, VitBlock, constant};

/// Added to the variance of the pixels of a patch.
const VARIANCE_EPS: f64 = 1e-6;

/// MIM head: a linear layer, mask tokens in the places of the patches that were removed, fixed positions, blocks of a vision transformer,
/// a layer norm, a linear layer to the pixels of a patch.
#[derive(Module, Debug)]
pub struct MimHead {
    /// Linear layer from the width of the fusion to that of the head.
    pub embed: Linear,
    /// What stands for a patch that was removed, `[width]`.
    pub mask_token: Param<Tensor<1>>,
    /// The blocks.
    pub blocks: Vec<VitBlock>,
    /// Layer norm after the blocks.
    pub norm: LayerNorm,
    /// Linear layer to the pixels of a patch, `[width, 3 * patch * patch]`.
    pub pixels: Linear,
    side: usize,
    grid: usize,
}

impl MimHead {
    /// A head with the configured sizes.
    pub(super) fn new(mim: &MimConfig, config: &ModelConfig, device: &Device) -> Self {
        let (blocks, side) = (mim.blocks(), config.image.patch);
        Self {
            embed: Linear::new(config.fusion.width, mim.width, device),
            mask_token: constant(0.0, [mim.width], device),
            blocks: (0..mim.layers).map(|_| VitBlock::new(&blocks, device)).collect(),
            norm: LayerNorm::new(mim.width, blocks.eps, device),
            pixels: Linear::new(mim.width, 3 * side * side, device),
            side,
            grid: config.image.grid(),
        }
    }

    /// The pixels of the patches that were removed, image by image: `[removed patches, 3 * patch * patch]`. `states` are those of the first
    /// token and of the patches that were kept of each image, `kept` their numbers in ascending order.
    pub fn forward(&self, states: &Packed, kept: &[Vec<usize>], pass: &Pass) -> Tensor<2> {
        let (p, width, device) = (self.grid * self.grid, self.mask_token.dims()[0], self.mask_token.val().device());
        let tokens = self.embed.forward(states.tokens.clone(), pass);
        let mask = tokens.dims()[0];
        // Every image has its first token and all patches; the last row of the table is the mask token.
        let sequences = states.starts().into_iter().zip(kept);
        let index = sequences.flat_map(|(start, kept)| {
            let patch = move |patch: usize| kept.binary_search(&patch).map_or(mask, |place| start + 1 + place);
            std::iter::once(start).chain((0..p).map(patch))
        });
        let tokens = rows(vec![tokens, self.mask_token.val().unsqueeze()], Arc::new(index.collect()));
        let positions = TensorData::new(positions(self.grid, width), [1 + p, width]);
        let places = (0..kept.len()).flat_map(|_| 0..=p).collect();
        let tokens = tokens + rows(vec![Tensor::from_data(positions, &device)], Arc::new(places));
        let x = self.blocks.iter().fold(Packed::new(tokens, vec![1 + p; kept.len()]), |x, block| {
            pass.block(block, &[&x], |block, x, pass| block.forward(x[0], pass))
        });
        let removed = removed(kept, p).flat_map(|(image, patch)| [image * (1 + p) + 1 + patch]).collect();
        let removed = rows(vec![x.tokens], Arc::new(removed));
        self.pixels.forward(self.norm.forward(removed), pass)
    }

    /// What the head has to predict of the first images: the pixels of each patch that was removed, less their mean, divided by their
    /// deviation: `[removed patches, 3 * patch * patch]`.
    ///
    /// # Panics
    /// If the images have no pixels, because the outputs of the encoder are known.
    pub fn targets(&self, images: &Images, kept: &[Vec<usize>]) -> Tensor<2> {
        let p = self.grid * self.grid;
        let mut removed_of: Vec<Vec<usize>> = vec![vec![]; kept.len()];
        removed(kept, p).for_each(|(image, patch)| removed_of[image].push(patch));
        let first = Images {
            count: kept.len(),
            side: images.side,
            planes: images.planes[..kept.len() * 3 * images.side * images.side].to_vec(),
            outputs: None,
        };
        let mut patches = cut(&first, self.side, &removed_of);
        let size = 3 * self.side * self.side;
        patches.chunks_exact_mut(size).for_each(standardise);
        let count = patches.len() / size;
        Tensor::from_data(TensorData::new(patches, [count, size]), &self.mask_token.val().device())
    }
}

/// The image and the number of each patch that was removed.
fn removed(kept: &[Vec<usize>], p: usize) -> impl Iterator<Item = (usize, usize)> {
    let of_image = move |(image, kept): (usize, &Vec<usize>)| {
        let kept = kept.clone();
        (0..p).filter(move |patch| kept.binary_search(patch).is_err()).map(move |patch| (image, patch))
    };
    kept.iter().enumerate().flat_map(of_image)
}

/// Pixels less their mean, divided by the root of their (unbiased) variance.
fn standardise(pixels: &mut [f32]) {
    let count = pixels.len() as f64;
    let mean = pixels.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let variance = pixels.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let scale = (variance + VARIANCE_EPS).sqrt().recip();
    pixels.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) * scale) as f32);
}

/// Fixed positions of the first token (0) and of a grid of patches: `[1 + grid * grid, width]`. The first half of the width encodes the row, the
/// second half the column, each by sines and then cosines of frequencies from 1 down to 1 / 10,000.
fn positions(grid: usize, width: usize) -> Vec<f32> {
    let quarter = width / 4;
    let encode = |place: usize| {
        let angle = move |number: usize| place as f64 / 10_000f64.powf(number as f64 / quarter as f64);
        let sines = (0..quarter).map(move |number| angle(number).sin() as f32);
        sines.chain((0..quarter).map(move |number| angle(number).cos() as f32))
    };
    let patches = (0..grid * grid).flat_map(|patch| encode(patch / grid).chain(encode(patch % grid)));
    std::iter::repeat_n(0.0, width).chain(patches).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_sines_and_cosines_of_row_and_column() {
        let found = positions(3, 8);
        assert_eq!(found.len(), 10 * 8);
        assert_eq!(found[..8], [0.0; 8]);
        // The patch in row 1, column 2.
        let (row, column) = (1.0f64, 2.0f64);
        let expected = [row, row / 100.0].map(f64::sin).into_iter().chain([row, row / 100.0].map(f64::cos));
        let expected = expected.chain([column, column / 100.0].map(f64::sin));
        let expected: Vec<f64> = expected.chain([column, column / 100.0].map(f64::cos)).collect();
        assert!(found[6 * 8..7 * 8].iter().zip(&expected).all(|(x, y)| (f64::from(*x) - y).abs() < 1e-6));
    }

    #[test]
    fn removed_patches_are_those_that_are_not_kept() {
        let found: Vec<(usize, usize)> = removed(&[vec![1, 2], vec![0, 3]], 4).collect();
        assert_eq!(found, [(0, 0), (0, 3), (1, 1), (1, 2)]);
    }

    #[test]
    fn pixels_are_standardised_by_the_unbiased_variance() {
        let mut pixels = [1.0, 2.0, 3.0];
        standardise(&mut pixels);
        assert!(pixels.iter().zip([-1.0, 0.0, 1.0]).all(|(x, y)| (x - y).abs() < 1e-5), "{pixels:?}");
        let mut flat = [5.0; 4];
        standardise(&mut flat);
        assert_eq!(flat, [0.0; 4]);
    }
}
