//! From recorded attention to the relevance of patches and words.

use ptu_kernels::{NetworkPart, RecordedAttention};
use ptu_model::ModelConfig;

use crate::matrix::{Matrix, through};

/// The relevance of each patch, and of each token of the text, of one input.
pub struct Relevance {
    pub patches: Vec<f32>,
    pub tokens: Vec<f32>,
}

/// What was recorded of the pass, by part.
pub struct Recorded<'r> {
    config: &'r ModelConfig,
    all: &'r [RecordedAttention],
}

impl<'r> Recorded<'r> {
    pub fn new(config: &'r ModelConfig, all: &'r [RecordedAttention]) -> Self {
        Self { config, all }
    }

    /// The matrices of one input in a part, layer by layer.
    fn matrices(&self, part: NetworkPart, crosses: bool, index: usize) -> impl DoubleEndedIterator<Item = &'r [f32]> {
        let is_asked = move |call: &&RecordedAttention| call.part == Some(part) && call.crosses == crosses;
        self.all.iter().filter(is_asked).map(move |call| call.relevance[index].as_slice())
    }

    /// The relevance of input number `index`. `tokens` are those of its image and of its text at the end of the encoders.
    pub fn of(&self, index: usize, [image, text]: [usize; 2]) -> Relevance {
        let [of_image, of_text] = self.fused(index, [image, text]);
        let of_image = self.before_merging(of_image);
        let of_text = self.without_mean(of_text);
        let special = usize::from(self.config.image.class_token);
        let mut patches = self.image_input(of_image, index);
        patches.drain(..special);
        let tokens = self.encoder_input(of_text, NetworkPart::TextEncoder, index);
        Relevance { patches, tokens }
    }

    /// The relevance of the tokens that come into the fusion: how much both first tokens at its end, which are pooled, owe to them
    /// (Chefer et al., equations 6 to 11).
    fn fused(&self, index: usize, tokens: [usize; 2]) -> [Vec<f32>; 2] {
        match self.config.fusion.kind.is_single_stream() {
            true => self.in_one_stream(index, tokens),
            false => self.in_two_streams(index, tokens),
        }
    }

    /// As [`Self::fused`], where the text and the image behind it are one sequence.
    fn in_one_stream(&self, index: usize, [image, text]: [usize; 2]) -> [Vec<f32>; 2] {
        let size = text + image;
        // Both first tokens are pooled: that of the text, and that of the image behind it.
        let mut pooled = vec![0.0; size];
        (pooled[0], pooled[text]) = (1.0, 1.0);
        let layers = self.matrices(NetworkPart::SingleStream, false, index).rev();
        let mut of_text = layers.fold(pooled, |row, attention| through(row, &Matrix::of(attention, size, size)));
        let of_image = of_text.split_off(text);
        [of_image, of_text]
    }

    fn in_two_streams(&self, index: usize, [image, text]: [usize; 2]) -> [Vec<f32>; 2] {
        let layers = |part, crosses| self.matrices(part, crosses, index);
        let own = layers(NetworkPart::ImageStream, false).zip(layers(NetworkPart::TextStream, false));
        let cross = layers(NetworkPart::ImageStream, true).zip(layers(NetworkPart::TextStream, true));
        let (mut ii, mut tt) = (Matrix::identity(image), Matrix::identity(text));
        let (mut it, mut ti) = (Matrix::zeros(image, text), Matrix::zeros(text, image));
        for ((own_image, own_text), (cross_image, cross_text)) in own.zip(cross) {
            let (own_image, own_text) = (Matrix::of(own_image, image, image), Matrix::of(own_text, text, text));
            let (cross_image, cross_text) = (Matrix::of(cross_image, image, text), Matrix::of(cross_text, text, image));
            let after = |own: &Matrix, before: &Matrix| before.clone().plus(&own.times(before));
            let [of_ii, of_it] = [after(&own_image, &ii), after(&own_image, &it)];
            let [of_tt, of_ti] = [after(&own_text, &tt), after(&own_text, &ti)];
            // A stream attends to the other one as it was before this layer.
            let mixed = |own: &Matrix, cross: &Matrix, other: &Matrix| {
                own.normalised().transposed().times(cross).times(&other.normalised())
            };
            let next_it = of_it.plus(&mixed(&of_ii, &cross_image, &tt));
            let next_ti = of_ti.plus(&mixed(&of_tt, &cross_text, &ii));
            let next_ii = of_ii.plus(&cross_image.times(&ti));
            let next_tt = of_tt.plus(&cross_text.times(&it));
            (ii, tt, it, ti) = (next_ii, next_tt, next_it, next_ti);
        }
        let sum = |one: &Matrix, other: &Matrix| one.row(0).iter().zip(other.row(0)).map(|(x, y)| x + y).collect();
        [sum(&ii, &ti), sum(&tt, &it)]
    }

    /// The relevance of the mean of all tokens, which was added to the first one, goes to all tokens.
    fn without_mean(&self, mut tokens: Vec<f32>) -> Vec<f32> {
        if self.config.fusion.add_mean {
            let share = tokens[0] / tokens.len() as f32;
            tokens.iter_mut().for_each(|token| *token += share);
        }
        tokens
    }

    /// The relevance of the outputs of the image encoder, which were averaged in squares (`image.merge`).
    fn before_merging(&self, merged: Vec<f32>) -> Vec<f32> {
        let image = &self.config.image;
        let merged = self.without_mean(merged);
        let (side, grid) = (image.merge, image.size / image.patch);
        let cells = grid.div_ceil(side);
        if side == 1 || merged.len() != 1 + cells * cells {
            return merged;
        }
        let mut tokens = vec![0.0; 1 + grid * grid];
        tokens[0] = merged[0];
        for (cell, value) in merged[1..].iter().enumerate() {
            for (down, right) in (0..side).flat_map(|down| (0..side).map(move |right| (down, right))) {
                let row = (cell / cells * side + down).min(grid - 1);
                let column = (cell % cells * side + right).min(grid - 1);
                tokens[1 + row * grid + column] += value / (side * side) as f32;
            }
        }
        tokens
    }

    /// The relevance of the inputs of the image encoder, with its class token.
    fn image_input(&self, mut outputs: Vec<f32>, index: usize) -> Vec<f32> {
        let image = &self.config.image;
        let special = usize::from(image.class_token);
        if special == 0 {
            // The first output is the mean of all others.
            let mean = outputs.remove(0) / outputs.len().max(1) as f32;
            outputs.iter_mut().for_each(|token| *token += mean);
        }
        // Registers stand behind the class token, and are no outputs.
        outputs.splice(special..special, std::iter::repeat_n(0.0, image.registers));
        let mut inputs = self.encoder_input(outputs, NetworkPart::ImageEncoder, index);
        inputs.drain(special..special + image.registers);
        inputs
    }

    /// The relevance of the inputs of an encoder.
    fn encoder_input(&self, outputs: Vec<f32>, part: NetworkPart, index: usize) -> Vec<f32> {
        let size = outputs.len();
        let layers = self.matrices(part, false, index).rev();
        layers.fold(outputs, |row, attention| through(row, &Matrix::of(attention, size, size)))
    }
}
