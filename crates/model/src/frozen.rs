//! Encoders whose weights are not trained, as a whole or up to a layer.

use burn::module::Module;

use crate::Model;

/// Which part of an encoder is frozen: its weights are not trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Frozen {
    /// None of it, or weights behind which something is trained whose gradients need a pass through all of it.
    #[default]
    Nothing,
    /// The embedding and this many layers, at least one.
    Layers(usize),
    /// All of it.
    All,
}

/// What is frozen of the encoders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrozenEncoders {
    /// Of the image encoder.
    pub image: Frozen,
    /// Of the text encoder.
    pub text: Frozen,
}

impl Frozen {
    /// Number of frozen layers of an encoder with `all` layers.
    pub fn layers(self, all: usize) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Layers(count) => count,
            Self::All => all,
        }
    }

    /// Number of frozen layers if only a part of the encoder is frozen.
    pub fn part(self) -> Option<usize> {
        match self {
            Self::Layers(count) => Some(count),
            Self::Nothing | Self::All => None,
        }
    }
}

impl Model {
    /// The model with these parts frozen: their weights get no gradients, so that the backward pass does not compute them. The gradients
    /// of all other weights, and of prompts that go through a frozen encoder, stay the same. What is not named gets gradients again.
    pub fn with_frozen(mut self, frozen: FrozenEncoders) -> Self {
        let FrozenEncoders { image, text } = frozen;
        // The embedding is frozen as a whole, or not at all.
        self.image = self.image.set_require_grad(image == Frozen::Nothing);
        self.text = self.text.set_require_grad(text == Frozen::Nothing);
        self.image.norm_after = self.image.norm_after.map(|norm| norm.set_require_grad(image != Frozen::All));
        self.image.blocks = with_frozen_layers(self.image.blocks, image);
        self.text.layers = with_frozen_layers(self.text.layers, text);
        self
    }
}

/// Says of each layer whether it gets gradients.
fn with_frozen_layers<M: Module>(layers: Vec<M>, frozen: Frozen) -> Vec<M> {
    let count = frozen.layers(layers.len());
    layers.into_iter().enumerate().map(|(index, layer)| layer.set_require_grad(index >= count)).collect()
}
