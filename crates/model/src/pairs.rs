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
    /// Every token of the image, after the layer that masked image modelling reads (`mim.after`).
    MaskedImage,
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

/// The tokens of each sequence that are read, and the numbers of the sequences of which something is read: of the others keys and values
/// are not needed either.
pub(crate) fn read_tokens(x: &Packed, places: &[Vec<usize>]) -> (Packed, Vec<usize>) {
    let used: Vec<usize> = (0..x.count()).filter(|&which| !places[which].is_empty()).collect();
    let rows = x.starts().into_iter().zip(places).flat_map(|(start, places)| places.iter().map(move |p| start + p));
    (x.pick(rows.collect(), used.iter().map(|&which| places[which].len()).collect()), used)
}

impl Read {
    /// The positions to read in an image of `image` tokens and in a text of `text` tokens.
    pub(crate) fn places(&self, image: usize, text: usize) -> [Vec<usize>; 2] {
        match self {
            Self::Pooled => [vec![0], vec![0]],
            Self::Text(places) => [vec![], places.clone()],
            Self::All => [(0..image).collect(), (0..text).collect()],
            Self::MaskedImage => [(0..image).collect(), vec![]],
        }
    }
}
