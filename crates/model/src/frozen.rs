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
    /// Whether layer `index` is frozen.
    fn has_layer(self, index: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::Layers(count) => index < count,
            Self::All => true,
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
        let trained = |frozen: Frozen| move |index| !frozen.has_layer(index);
        self.image.blocks = set_each(self.image.blocks, trained(image));
        self.text.layers = set_each(self.text.layers, trained(text));
        self
    }
}

/// Says of each layer whether it gets gradients.
fn set_each<M: Module>(layers: Vec<M>, is_trained: impl Fn(usize) -> bool) -> Vec<M> {
    layers.into_iter().enumerate().map(|(index, layer)| layer.set_require_grad(is_trained(index))).collect()
}
