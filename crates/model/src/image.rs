//! Image encoder: the visual half of CLIP without its last block (SPEC 1).
//!
//! Shapes: b batch, p patches, n = 1 + p image tokens, d width.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::config::ImageConfig;
use crate::layer::{ClipBlock, LayerNorm, Linear};

/// Patches to tokens, blocks, and a norm on every token.
#[derive(Module, Debug)]
pub struct ImageEncoder {
    /// Patch convolution as a product: `[3 * patch * patch, d]`.
    pub patch: Linear,
    /// Class embedding, `[d]`.
    pub class: Param<Tensor<1>>,
    /// Positions, `[1 + p, d]`; row 0 is the class token's.
    pub positions: Param<Tensor<2>>,
    /// Norm before the blocks.
    pub norm_before: LayerNorm,
    /// Blocks that take part.
    pub blocks: Vec<ClipBlock>,
    /// Norm behind the blocks.
    pub norm_after: LayerNorm,
    side: usize,
}

impl ImageEncoder {
    /// An encoder of the configured sizes.
    pub fn new(config: &ImageConfig, device: &Device) -> Self {
        let &ImageConfig { patch, width: d, eps, .. } = config;
        let tokens = 1 + config.grid() * config.grid();
        Self {
            patch: Linear::without_bias(3 * patch * patch, d, device),
            class: Param::from_tensor(Tensor::zeros([d], device)),
            positions: Param::from_tensor(Tensor::zeros([tokens, d], device)),
            norm_before: LayerNorm::new(d, eps, device),
            blocks: (0..config.used_layers()).map(|_| ClipBlock::new(d, eps, device)).collect(),
            norm_after: LayerNorm::new(d, eps, device),
            side: patch,
        }
    }

    /// Patches and positions, before any block: `pixels [b, 3, h, w] -> [b, n, d]`.
    pub fn embed(&self, pixels: Tensor<4>) -> Tensor<3> {
        let [b, c, height, width] = pixels.dims();
        let (s, rows, columns) = (self.side, height / self.side, width / self.side);
        // A convolution whose stride is its kernel is one product over cut-out patches.
        let patches = pixels
            .reshape([b, c, rows, s, columns, s])
            .permute([0, 2, 4, 1, 3, 5]) //                             [b, rows, columns, c, s, s]
            .reshape([b, rows * columns, c * s * s]);
        let positions = self.positions.val().narrow(0, 1, rows * columns).unsqueeze::<3>();
        Tensor::cat(vec![self.class_token(b), self.patch.forward(patches) + positions], 1) // [b, n, d]
    }

    /// Class embedding and its position, `[b, 1, d]`: what stands in front of patches and of prompts alike.
    pub fn class_token(&self, b: usize) -> Tensor<3> {
        let d = self.class.val().dims()[0];
        let token = self.class.val().unsqueeze::<2>() + self.positions.val().narrow(0, 0, 1);
        token.unsqueeze::<3>().expand([b, 1, d])
    }

    /// All blocks, `ln_post` on every token: `[b, n, d] -> [b, n, d]`.
    pub fn encode(&self, x: Tensor<3>) -> Tensor<3> {
        let mut x = self.norm_before.forward(x);
        for block in &self.blocks {
            x = block.forward(x);
        }
        self.norm_after.forward(x)
    }
}
