//! Fusion: two streams that attend to each other (SPEC 1).
//!
//! Shapes: b batch, n image tokens, t text tokens, d width.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::config::FusionConfig;
use crate::layer::{CrossLayer, Dropout, Linear, Mask, Stream};

/// Layers and poolers of both streams.
#[derive(Module, Debug)]
pub struct Fusion {
    /// Layers of the image stream.
    pub image: Vec<CrossLayer>,
    /// Layers of the text stream.
    pub text: Vec<CrossLayer>,
    /// Pooler of the image stream.
    pub image_pooler: Linear,
    /// Pooler of the text stream.
    pub text_pooler: Linear,
}

/// Both streams before or between layers.
#[derive(Clone, Debug)]
struct Streams {
    image: Tensor<3>,
    text: Tensor<3>,
    mask: Option<Mask>,
}

impl Streams {
    fn image(&self) -> Stream<'_> {
        Stream { tokens: &self.image, mask: None }
    }

    fn text(&self) -> Stream<'_> {
        Stream { tokens: &self.text, mask: self.mask.as_ref() }
    }
}

impl Fusion {
    /// Fusion of the configured sizes.
    pub fn new(config: &FusionConfig, device: &Device) -> Self {
        let &FusionConfig { width: d, layers, heads, eps } = config;
        let stream = || (0..layers).map(|_| CrossLayer::new(d, heads, eps, device)).collect();
        Self {
            image: stream(),
            text: stream(),
            image_pooler: Linear::new(d, d, device),
            text_pooler: Linear::new(d, d, device),
        }
    }

    /// Every token of both streams: `image [b, n, d]`, `text [b, t, d]` -> the same shapes.
    pub fn all(&self, image: Tensor<3>, text: Tensor<3>, mask: Option<Mask>, dropout: &Dropout) -> [Tensor<3>; 2] {
        let streams = self.before_last(Streams { image, text, mask }, dropout);
        let Streams { image, text, .. } = self.layer(self.image.len() - 1, streams, dropout);
        [image, text]
    }

    /// Pooled first tokens, text first: `[b, 2d]`. The last layer is computed for those tokens only.
    pub fn pooled(&self, image: Tensor<3>, text: Tensor<3>, mask: Option<Mask>, dropout: &Dropout) -> Tensor<2> {
        let (streams, last) = (self.before_last(Streams { image, text, mask }, dropout), self.image.len() - 1);
        let first = |x: &Tensor<3>| x.clone().narrow(1, 0, 1);
        let text = self.text[last].forward(first(&streams.text), streams.text(), streams.image(), dropout);
        let image = self.image[last].forward(first(&streams.image), streams.image(), streams.text(), dropout);
        self.pool(image, text)
    }

    /// Every text token, `[b, t, d]`, where nobody reads the image stream: its last layer is left out.
    pub fn text(&self, image: Tensor<3>, text: Tensor<3>, mask: Option<Mask>, dropout: &Dropout) -> Tensor<3> {
        let (streams, last) = (self.before_last(Streams { image, text, mask }, dropout), self.image.len() - 1);
        self.text[last].forward(streams.text.clone(), streams.text(), streams.image(), dropout)
    }

    /// First token of each stream, `[b, n, d]` and `[b, t, d]`, through its pooler: `[b, 2d]`, text first.
    pub fn pool(&self, image: Tensor<3>, text: Tensor<3>) -> Tensor<2> {
        let pool = |x: Tensor<3>, pooler: &Linear| pooler.forward(x.narrow(1, 0, 1).squeeze_dim::<2>(1)).tanh();
        Tensor::cat(vec![pool(text, &self.text_pooler), pool(image, &self.image_pooler)], 1)
    }

    fn before_last(&self, mut streams: Streams, dropout: &Dropout) -> Streams {
        for index in 0..self.image.len() - 1 {
            streams = self.layer(index, streams, dropout);
        }
        streams
    }

    /// One layer of both streams; each reads the other's state from before the layer.
    fn layer(&self, index: usize, streams: Streams, dropout: &Dropout) -> Streams {
        let text = self.text[index].forward(streams.text.clone(), streams.text(), streams.image(), dropout);
        let image = self.image[index].forward(streams.image.clone(), streams.image(), streams.text(), dropout);
        Streams { image, text, ..streams }
    }
}
