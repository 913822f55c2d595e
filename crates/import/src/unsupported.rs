//! Encoders that a model of this project cannot describe. They are refused by name.

use std::fmt;

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
