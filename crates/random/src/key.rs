//! What identifies a stream of random numbers: a step of a run ([`Key`]) and the purpose of the numbers ([`Place`]).

use crate::{Stream, philox};

/// The purpose of a stream of random numbers. Streams for different purposes are independent.
///
/// The numeric values determine the random numbers of every run: never change them, only add new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Place {
    /// Initial weights; the index is a hash of the parameter's name.
    Weights = 1,
    /// Order of the records in an epoch; the index is the number of the epoch.
    Order = 2,
    /// The data source that a position in a batch is sampled from.
    Source = 3,
    /// The text and the sentence that is sampled from a record.
    Sentence = 4,
    /// Random resized crop.
    Crop = 5,
    /// Words to mask.
    Mask = 6,
    /// Negatives of image-text matching: images that do not belong to the text.
    Partners = 7,
    /// Dropout masks; the index is the number of the call within a step.
    Dropout = 8,
    /// Resampling for confidence intervals.
    Bootstrap = 9,
    /// The phantom corpus; the index is the number of the record.
    Phantom = 10,
    /// Assignment of patients to splits.
    Split = 11,
    /// Fixed random projections of prompt queries.
    Projection = 12,
    /// Records that are sampled for an evaluation or for display on a page.
    Sample = 13,
    /// Patches of an image that are used in a training step; the index is the row of the image.
    Patches = 14,
    /// Words that are removed from a text in training.
    Words = 15,
    /// Exchanges of two models in a permutation test; the index is the number of the permutation.
    Permutation = 16,
    /// Tokens that are sampled when a text is generated; the index is the number of the input.
    Generation = 17,
    /// Latents at which codes of a codebook restart that are not used; the index is that of the level.
    Codes = 18,
    /// Patches that masked image modelling leaves; the index is the row, and above it the group of images.
    MaskedPatches = 19,
    /// The image or the texts that a record loses; the index is a hash of its id.
    Missing = 20,
}

/// A step of a run on one rank: seed, step and rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    seed: u64,
    step: u64,
    rank: u32,
}

impl Key {
    /// The key of step 0 on rank 0 of a run with this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, step: 0, rank: 0 }
    }

    /// The key of another step of the same run.
    pub fn at(self, step: u64) -> Self {
        Self { step, ..self }
    }

    /// The key of the same step on another rank.
    pub fn rank(self, rank: u32) -> Self {
        Self { rank, ..self }
    }

    /// The stream of random numbers for one purpose; `index` distinguishes several streams for the same purpose (for example by
    /// record, layer or epoch).
    pub fn stream(self, place: Place, index: u64) -> Stream {
        let low_and_high = |x: u64| [x as u32, (x >> 32) as u32];
        let ([step_low, step_high], [low, high]) = (low_and_high(self.step), low_and_high(index));
        let [a, b, c, d] = philox::block([step_low, step_high, self.rank, place as u32], low_and_high(self.seed));
        let [k0, k1, h0, h1] = philox::block([low, high, c, d], [a, b]);
        Stream::new([k0, k1], [h0, h1])
    }
}

/// A 64-bit hash of a name (FNV-1a), for use as the `index` of [`Key::stream`]; it is the same in all versions and on all
/// platforms.
pub fn index_of(name: impl AsRef<[u8]>) -> u64 {
    let bytes = name.as_ref().iter();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_the_key_changes_the_numbers() {
        let base = Key::new(1).at(2).rank(3).stream(Place::Mask, 4).next_u64();
        let others = [
            Key::new(9).at(2).rank(3).stream(Place::Mask, 4),
            Key::new(1).at(9).rank(3).stream(Place::Mask, 4),
            Key::new(1).at(2).rank(9).stream(Place::Mask, 4),
            Key::new(1).at(2).rank(3).stream(Place::Crop, 4),
            Key::new(1).at(2).rank(3).stream(Place::Mask, 9),
            Key::new(1 << 40).at(2).rank(3).stream(Place::Mask, 4),
            Key::new(1).at(2 << 40).rank(3).stream(Place::Mask, 4),
        ];
        for mut other in others {
            assert_ne!(base, other.next_u64());
        }
    }

    #[test]
    fn hashes_equal_the_fnv_reference() {
        // Test vectors of the FNV reference: the empty string and "foobar".
        assert_eq!(index_of(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(index_of("foobar"), 0x8594_4171_f739_67e8);
    }
}
