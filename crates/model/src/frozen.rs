//! Encoders whose weights are not trained.

use burn::module::Module;

use crate::Model;

/// Which encoders are frozen: no weight of theirs is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrozenEncoders {
    /// The image encoder.
    pub image: bool,
    /// The text encoder.
    pub text: bool,
}

impl Model {
    /// The model with these encoders frozen: their weights get no gradients, so that the backward pass does not compute them. The gradients
    /// of all other weights, and of prompts that go through a frozen encoder, stay the same. An encoder that is not named gets gradients again.
    pub fn with_frozen(mut self, frozen: FrozenEncoders) -> Self {
        self.image = self.image.set_require_grad(!frozen.image);
        self.text = self.text.set_require_grad(!frozen.text);
        self
    }
}
