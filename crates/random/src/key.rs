//! The name of a draw: a moment of a run ([`Key`]) and what the numbers are for ([`Place`]).

use crate::{Stream, philox};

/// What a stream of numbers is used for. Two places never share numbers.
///
/// The discriminants are part of every run's identity: never renumber them, only add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Place {
    /// Initial weights; the index is a hash of the parameter's name.
    Weights = 1,
    /// Order of the records in an epoch; the index is the epoch.
    Order = 2,
    /// Which source a place in a batch draws from.
    Source = 3,
    /// Which text and which sentence of a record is taken.
    Sentence = 4,
    /// Random resized crop.
    Crop = 5,
    /// Masked words.
    Mask = 6,
    /// False images of image-text matching.
    Partners = 7,
    /// Dropout masks; the index counts the calls within a step.
    Dropout = 8,
    /// Resampling for confidence intervals.
    Bootstrap = 9,
    /// The phantom corpus; the index is the record.
    Phantom = 10,
    /// Assignment of patients to splits.
    Split = 11,
    /// Fixed random projections of prompt queries.
    Projection = 12,
    /// Which records an evaluation or a page shows or scores.
    Sample = 13,
    /// Patches that are kept of an image in training; the index is the image's row.
    Patches = 14,
    /// Words that are left out of a text in training.
    Words = 15,
}

/// A moment of a run: seed, step and rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    seed: u64,
    step: u64,
    rank: u32,
}

impl Key {
    /// The start of a run (step 0, rank 0).
    pub fn new(seed: u64) -> Self {
        Self { seed, step: 0, rank: 0 }
    }

    /// The same run at another step.
    pub fn at(self, step: u64) -> Self {
        Self { step, ..self }
    }

    /// The same step on another rank.
    pub fn rank(self, rank: u32) -> Self {
        Self { rank, ..self }
    }

    /// The numbers for one use; `index` tells apart the users of one place (a record, a layer, an epoch).
    pub fn stream(self, place: Place, index: u64) -> Stream {
        let halves = |x: u64| [x as u32, (x >> 32) as u32];
        let ([step_low, step_high], [low, high]) = (halves(self.step), halves(index));
        let [a, b, c, d] = philox::block([step_low, step_high, self.rank, place as u32], halves(self.seed));
        let [k0, k1, h0, h1] = philox::block([low, high, c, d], [a, b]);
        Stream::new([k0, k1], [h0, h1])
    }
}

/// A 64-bit hash of a name (FNV-1a), for the `index` of [`Key::stream`]; stable over versions and platforms.
pub fn index_of(name: impl AsRef<[u8]>) -> u64 {
    let bytes = name.as_ref().iter();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_the_name_changes_the_numbers() {
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
    fn names_hash_as_fnv() {
        // Test vectors of the FNV reference: the empty string and "foobar".
        assert_eq!(index_of(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(index_of("foobar"), 0x8594_4171_f739_67e8);
    }
}
