//! Input and output of the fusion, independent of the kind of fusion.

use ptu_kernels::Packed;

/// Which hidden states of an image-text pair are read after the fusion. The last layer computes only these.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Read {
    /// The first token of each stream, for the poolers.
    Pooled,
    /// Tokens of the text at these positions, in ascending order.
    Text(Vec<usize>),
    /// Every token of the image and of the text.
    All,
}

/// The pairs that go into the fusion, by the numbers of their sequences, and what is read of each pair.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// The number of the image sequence of each pair.
    pub images: Vec<usize>,
    /// The number of the text sequence of each pair.
    pub texts: Vec<usize>,
    /// What is read of each pair.
    pub read: Vec<Read>,
}

/// Hidden states after the fusion, one sequence in each stream for each pair.
#[derive(Clone, Debug)]
pub struct Fused {
    /// States of the image stream; a sequence may be empty.
    pub image: Packed,
    /// States of the text stream.
    pub text: Packed,
}

impl Read {
    /// The positions to read in an image of `image` tokens and in a text of `text` tokens.
    pub(crate) fn places(&self, image: usize, text: usize) -> [Vec<usize>; 2] {
        match self {
            Self::Pooled => [vec![0], vec![0]],
            Self::Text(places) => [vec![], places.clone()],
            Self::All => [(0..image).collect(), (0..text).collect()],
        }
    }
}
