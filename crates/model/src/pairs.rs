//! What goes into a fusion and what is read of it, whatever the fusion.

use ptu_kernels::Packed;

/// Which states of an image and its text are read behind the fusion; the last layer computes no others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Read {
    /// The first token of each stream, for the poolers.
    Pooled,
    /// Tokens of the text, by their ascending places in it.
    Text(Vec<usize>),
    /// Every token of both.
    All,
}

/// Pairs on their way into the fusion, by the numbers of their sequences, and what is read of each.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// Of each pair its image.
    pub images: Vec<usize>,
    /// Of each pair its text.
    pub texts: Vec<usize>,
    /// What is read of it.
    pub read: Vec<Read>,
}

/// What was read of both streams, one sequence a pair of sequences that went in.
#[derive(Clone, Debug)]
pub struct Fused {
    /// Of the image stream; sequences may be empty.
    pub image: Packed,
    /// Of the text stream.
    pub text: Packed,
}

impl Read {
    /// Places in an image's tokens, and in a text's.
    pub(crate) fn places(&self, image: usize, text: usize) -> [Vec<usize>; 2] {
        match self {
            Self::Pooled => [vec![0], vec![0]],
            Self::Text(places) => [vec![], places.clone()],
            Self::All => [(0..image).collect(), (0..text).collect()],
        }
    }
}
