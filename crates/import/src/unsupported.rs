//! Encoders that a model of this project cannot describe. They are refused by name.

use std::fmt;

use crate::source::Source;

/// What an encoder has that cannot be described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// Rotary position embeddings, as in DINOv3.
    RotaryPositions,
    /// Convolutions or batch norms: not a transformer.
    Convolutional,
    /// An MLP with a gate (SwiGLU), as in DINOv2 giant.
    GatedMlp,
    /// Relative position biases, as in BEiT, Swin or MPNet.
    RelativePositions,
    /// Position embeddings that are not absolute and learned.
    PositionKind(String),
    /// An activation of another kind.
    Activation(String),
    /// An MLP whose hidden layer is not four times as wide as the text encoder.
    TextMlpWidth {
        /// Width of the hidden layer.
        found: usize,
        /// Four times the width.
        expected: usize,
    },
    /// Another number of token types than the style of the text encoder has.
    TokenTypes(usize),
    /// Patches of images that do not have three channels, or that are not square.
    Patches(Vec<usize>),
    /// Position embeddings that do not form a square grid.
    PositionGrid(usize),
}

impl fmt::Display for Unsupported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RotaryPositions => formatter.write_str("it has rotary position embeddings, which are not supported"),
            Self::Convolutional => {
                formatter.write_str("it is a convolutional network; only transformers are supported")
            }
            Self::GatedMlp => formatter.write_str("its MLPs have a gate (SwiGLU), which is not supported"),
            Self::RelativePositions => formatter.write_str("it has relative position biases, which are not supported"),
            Self::PositionKind(kind) => write!(formatter, "its positions are `{kind}`; only `absolute` is supported"),
            Self::Activation(name) => write!(formatter, "its activation is `{name}`, which is not supported here"),
            Self::TextMlpWidth { found, expected } => write!(
                formatter,
                "the hidden layer of its MLPs has width {found}; only four times the width of the encoder, {expected}, is \
                 supported"
            ),
            Self::TokenTypes(rows) => {
                write!(formatter, "it has {rows} token types; RoBERTa with one and BERT with two are supported")
            }
            Self::Patches(shape) => {
                write!(
                    formatter,
                    "its patch embedding has shape {shape:?}; square patches of three channels are supported"
                )
            }
            Self::PositionGrid(rows) => {
                write!(formatter, "its {rows} position embeddings do not form a square grid, which is not supported")
            }
        }
    }
}

/// Parts of names that show what is not supported, most specific first.
const SIGNS: &[(&str, Unsupported)] = &[
    ("rope", Unsupported::RotaryPositions),
    ("rotary", Unsupported::RotaryPositions),
    ("mlp.weights_in", Unsupported::GatedMlp),
    ("mlp.w12", Unsupported::GatedMlp),
    ("mlp.fc1_g", Unsupported::GatedMlp),
    ("mlp.gate_proj", Unsupported::GatedMlp),
    ("relative_position_bias", Unsupported::RelativePositions),
    ("relative_attention_bias", Unsupported::RelativePositions),
    ("attn.rel_pos", Unsupported::RelativePositions),
];

/// The tensor below `prefix` that shows that its encoder is not supported, and what it shows.
pub(crate) fn sign(source: &Source, prefix: &str) -> Option<(String, Unsupported)> {
    let below = || source.names().filter(|name| name.starts_with(prefix));
    SIGNS
        .iter()
        .find_map(|(part, what)| below().find(|name| name.contains(part)).map(|name| (name.to_string(), what.clone())))
}

/// The tensor that shows that a file without any known layout holds a convolutional network or an encoder of DINOv3.
pub(crate) fn sign_of_unknown(source: &Source) -> Option<(String, Unsupported)> {
    let dino = source.names().find(|name| name.ends_with("embeddings.patch_embeddings.weight"));
    if let Some(name) = dino.filter(|_| source.names().any(|name| name.ends_with("embeddings.register_tokens"))) {
        return Some((name.to_string(), Unsupported::RotaryPositions));
    }
    let norm = source.names().find(|name| name.ends_with("running_mean"));
    let mut kernels = source.names().filter(|name| source.shape(name).is_some_and(|shape| shape.len() == 4));
    let (first, second) = (kernels.next(), kernels.next());
    // A vision transformer has one convolution, the patch embedding.
    let name = norm.or(second.and(first))?;
    Some((name.to_string(), Unsupported::Convolutional))
}
