//! Image encoder: a vision transformer, as published that of CLIP without its last block (specification, section 1).
//!
//! Shapes: b images, p patches, n = 1 + p image tokens, d is the width.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use ptu_input::Images;
use ptu_kernels::{NetworkPart, Packed, Pass, rows};
use rayon::prelude::*;

use crate::config::ImageConfig;
use crate::layer::{LayerNorm, Linear, VitBlock, constant};
use crate::means;

/// The image encoder: patch embedding, transformer blocks, and a layer norm on every token.
#[derive(Module, Debug)]
pub struct ImageEncoder {
    /// Patch embedding, a convolution computed as a matrix product: `[3 * patch * patch, d]`.
    pub patch: Linear,
    /// Class embedding, `[d]`.
    pub class: Option<Param<Tensor<1>>>,
    /// Position embeddings, `[1 + p, d]`; row 0 is for the class token. `[p, d]` without a class token.
    pub positions: Param<Tensor<2>>,
    /// Register tokens, `[registers, d]`.
    pub registers: Option<Param<Tensor<2>>>,
    /// Layer norm before the blocks (`ln_pre`).
    pub norm_before: Option<LayerNorm>,
    /// The blocks that are used.
    pub blocks: Vec<VitBlock>,
    /// Layer norm after the blocks (`ln_post`); `None` if there are no blocks.
    pub norm_after: Option<LayerNorm>,
    side: usize,
    grid: usize,
    merge: usize,
}

impl ImageEncoder {
    /// An encoder with the configured sizes.
    pub fn new(config: &ImageConfig, device: &Device) -> Self {
        let &ImageConfig { patch, width: d, eps, class_token, registers, .. } = config;
        let patch_size = 3 * patch * patch;
        let positions = usize::from(class_token) + config.grid() * config.grid();
        Self {
            patch: match config.patch_bias {
                true => Linear::new(patch_size, d, device),
                false => Linear::without_bias(patch_size, d, device),
            },
            class: class_token.then(|| constant(0.0, [d], device)),
            positions: constant(0.0, [positions, d], device),
            registers: (registers > 0).then(|| constant(0.0, [registers, d], device)),
            norm_before: config.pre_norm.then(|| LayerNorm::new(d, eps, device)),
            blocks: (0..config.used_layers()).map(|_| VitBlock::new(config, device)).collect(),
            norm_after: (config.used_layers() > 0).then(|| LayerNorm::new(d, eps, device)),
            side: patch,
            grid: config.grid(),
            merge: config.merge,
        }
    }

    /// Class token, patch embeddings and position embeddings: `b` sequences of `1 + p` tokens (`p` without a class token). Only these
    /// patches of each image are embedded, or, without a list, those that `pass` selects.
    ///
    /// # Panics
    /// If the images have no pixels, because the outputs of the encoder are known, or the lists differ in length.
    pub fn embed(&self, images: &Images, patches: Option<&[Vec<usize>]>, pass: &Pass) -> Packed {
        let (b, grid) = (images.count, images.side / self.side);
        assert_eq!(images.planes.len(), b * 3 * images.side * images.side, "these images have no pixels to embed");
        let (p, first, device) = (grid * grid, self.special_tokens(), self.positions.val().device());
        let kept = patches.map(<[Vec<usize>]>::to_vec).or_else(|| pass.patches(b, p));
        let kept = kept.unwrap_or_else(|| vec![(0..p).collect(); b]);
        let p = kept.first().map_or(0, Vec::len); // the same number for each image
        // A convolution whose stride equals its kernel size is one matrix product over the patches.
        let patches = TensorData::new(cut(images, self.side, &kept), [b * p, 3 * self.side * self.side]);
        let positions = kept.iter().flatten().map(|patch| first + patch).collect();
        let positions = rows(vec![self.positions.val()], Arc::new(positions));
        let patches = self.patch.forward_onto(positions, Tensor::from_data(patches, &device), pass); // [b * p, d]
        let Some(class) = self.class_token() else { return Packed::new(patches, vec![p; b]) };
        let index = (0..b).flat_map(|image| std::iter::once(0).chain(1 + image * p..1 + (image + 1) * p));
        let tokens = rows(vec![class, patches], Arc::new(index.collect()));
        Packed::new(tokens, vec![1 + p; b])
    }

    /// The class token with its position embedding, `[1, d]`: the first token of images and of prompts in place of an image. `None`
    /// if the encoder has none.
    pub fn class_token(&self) -> Option<Tensor<2>> {
        let class = self.class.as_ref()?.val().unsqueeze::<2>();
        Some(class + self.positions.val().narrow(0, 0, 1))
    }

    /// Number of tokens before the patches, or before the prompts in their place, after [`Self::embed`].
    pub fn special_tokens(&self) -> usize {
        usize::from(self.class.is_some())
    }

    /// Runs `ln_pre`, all blocks, and `ln_post` on every token (no blocks: no `ln_post`): `[rows, d] -> [rows of the result, d]`. Registers take part in the blocks
    /// and are removed then. If there is no class token, the mean of all tokens of a sequence is put before them, so that each
    /// result has one token more than its patches or prompts.
    pub fn encode(&self, x: &Packed, pass: &Pass) -> Packed {
        self.last_blocks(self.first_blocks(x, self.blocks.len(), pass), self.blocks.len(), pass)
    }

    /// Runs `ln_pre` and the first `count` blocks on every token; registers are among the tokens of the result, behind the class token.
    pub fn first_blocks(&self, x: &Packed, count: usize, pass: &Pass) -> Packed {
        pass.enter(NetworkPart::ImageEncoder);
        let mut x = self.with_registers(x);
        if let Some(norm) = &self.norm_before {
            x = x.with(norm.forward(x.tokens.clone()));
        }
        run_blocks(&self.blocks[..count], x, pass)
    }

    /// The rest of [`Self::encode`], for the result of [`Self::first_blocks`].
    pub fn last_blocks(&self, x: Packed, count: usize, pass: &Pass) -> Packed {
        pass.enter(NetworkPart::ImageEncoder);
        let mut x = run_blocks(&self.blocks[count..], x, pass);
        if let Some(norm) = &self.norm_after {
            x = x.with(norm.forward(x.tokens.clone()));
        }
        let x = self.without_registers(&x);
        if self.class.is_some() { x } else { means::before(&x) }
    }

    /// Averages the outputs for squares of patches (`image.merge`) of the first `images` sequences, which are images with all patches.
    pub fn merged(&self, x: Packed, images: usize) -> Packed {
        let (k, grid) = (self.merge, self.grid);
        if k == 1 || images == 0 {
            return x;
        }
        let (of_images, others) = (x.select(0..images), x.select(images..x.count()));
        let cells = grid.div_ceil(k);
        // The rows that are at the same place of their squares; the first token of an image is in each of them.
        // A square at the right or lower edge that has fewer patches repeats its last ones.
        let at = |down: usize, right: usize| {
            let patch = move |cell: usize| {
                let (row, column) = (cell / cells * k + down, cell % cells * k + right);
                1 + row.min(grid - 1) * grid + column.min(grid - 1)
            };
            let of_image = move |start: usize| {
                std::iter::once(start).chain((0..cells * cells).map(move |cell| start + patch(cell)))
            };
            let index = of_images.starts().into_iter().flat_map(of_image).collect();
            rows(vec![of_images.tokens.clone()], Arc::new(index))
        };
        let places = (0..k).flat_map(|down| (0..k).map(move |right| (down, right)));
        let sum = places.map(|(down, right)| at(down, right)).reduce(|sum, next| sum + next).expect("k is at least 1");
        let merged = Packed::new(sum.div_scalar((k * k) as f64), vec![1 + cells * cells; images]);
        Packed::cat(&[merged, others])
    }

    /// Inserts the registers behind the class token of each sequence.
    fn with_registers(&self, x: &Packed) -> Packed {
        let Some(registers) = &self.registers else { return x.clone() };
        let (count, all, special) = (registers.dims()[0], x.tokens.dims()[0], self.special_tokens());
        let sequences = x.starts().into_iter().zip(x.lengths.iter());
        let index = sequences.flat_map(|(start, length)| {
            (start..start + special).chain(all..all + count).chain(start + special..start + length)
        });
        let tokens = rows(vec![x.tokens.clone(), registers.val()], Arc::new(index.collect()));
        Packed::new(tokens, x.lengths.iter().map(|length| length + count).collect())
    }

    /// Removes the registers of each sequence.
    fn without_registers(&self, x: &Packed) -> Packed {
        let Some(registers) = &self.registers else { return x.clone() };
        let (count, special) = (registers.dims()[0], self.special_tokens());
        let sequences = x.starts().into_iter().zip(x.lengths.iter());
        let index = sequences
            .flat_map(|(start, length)| (start..start + special).chain(start + special + count..start + length));
        x.pick(index.collect(), x.lengths.iter().map(|length| length - count).collect())
    }
}

fn run_blocks(blocks: &[VitBlock], x: Packed, pass: &Pass) -> Packed {
    blocks.iter().fold(x, |x, block| pass.block(block, &[&x], |block, x, pass| block.forward(x[0], pass)))
}

/// Cuts the selected patches (the same number for each image) out of all images: `[b * p, 3 * s * s]`. The values of a patch
/// are in the order of the convolution's weight: channel, row, column.
pub(crate) fn cut(images: &Images, s: usize, kept: &[Vec<usize>]) -> Vec<f32> {
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
    fn squares_of_patches_are_averaged() {
        let config = ImageConfig { merge: 2, ..ImageConfig::clip(32, 8, 64, 2) };
        let encoder = ImageEncoder::new(&config, &Device::flex());
        // Two images of 4 x 4 patches and prompts of three tokens, each token with its number as its only value.
        let values: Vec<f32> = (0..17 + 17 + 3).map(|row| row as f32).collect();
        let tokens = Tensor::<2>::from_data(TensorData::new(values, [37, 1]), &Device::flex());
        let found = encoder.merged(Packed::new(tokens, vec![17, 17, 3]), 2);
        assert_eq!(*found.lengths, [config.tokens(), 5, 3]);
        let values: Vec<f32> = found.tokens.into_data().try_into_vec().unwrap();
        // The patches 1, 2, 5 and 6 of the first image are one square.
        assert_eq!(values, [0.0, 3.5, 5.5, 11.5, 13.5, 17.0, 20.5, 22.5, 28.5, 30.5, 34.0, 35.0, 36.0]);
    }

    #[test]
    fn squares_at_the_edge_repeat_their_last_patches() {
        let config = ImageConfig { merge: 2, ..ImageConfig::clip(24, 8, 64, 2) };
        let encoder = ImageEncoder::new(&config, &Device::flex());
        let values: Vec<f32> = (0..10).map(|row| row as f32).collect();
        let tokens = Tensor::<2>::from_data(TensorData::new(values, [10, 1]), &Device::flex());
        let found = encoder.merged(Packed::new(tokens, vec![10]), 1);
        assert_eq!(*found.lengths, [config.tokens()]);
        let values: Vec<f32> = found.tokens.into_data().try_into_vec().unwrap();
        assert_eq!(values, [0.0, 3.0, 4.5, 7.5, 9.0]);
    }

    #[test]
    fn registers_are_inserted_behind_the_class_token_and_removed() {
        for class_token in [true, false] {
            let config = ImageConfig { registers: 2, class_token, ..ImageConfig::clip(16, 8, 64, 2) };
            let mut encoder = ImageEncoder::new(&config, &Device::flex());
            encoder.registers = Some(Param::from_tensor(Tensor::full([2, 64], 7.0, &Device::flex())));
            let x = Packed::new(Tensor::ones([5, 64], &Device::flex()), vec![2, 3]);
            let with = encoder.with_registers(&x);
            assert_eq!(*with.lengths, [4, 5]);
            let values: Vec<f32> = with.tokens.clone().into_data().try_into_vec().unwrap();
            let is_register: Vec<bool> = values.chunks(64).map(|token| token[0] > 1.0).collect();
            let first = usize::from(class_token);
            assert_eq!(is_register[..4], [first == 0, true, first == 1, false]);
            let without = encoder.without_registers(&with);
            assert_eq!((&*without.lengths, without.tokens.into_data()), (&*x.lengths, x.tokens.into_data()));
        }
    }

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
