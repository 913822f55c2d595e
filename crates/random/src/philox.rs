//! Philox 4x32-10, a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//!
//! It is used because a block is a pure function of a counter and a key: there is no state to save or to share between threads.

const MULTIPLY: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Four random words for one counter under one key.
#[inline]
pub fn block(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    blocks(counter.map(|word| [word]), key).map(|[word]| word)
}

/// [`block`] for `N` counters at once: `result[word][counter]`, in a form that compilers turn into vector instructions.
#[inline(always)]
pub fn blocks<const N: usize>([mut x0, mut x1, mut x2, mut x3]: [[u32; N]; 4], key: [u32; 2]) -> [[u32; N]; 4] {
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        for lane in 0..N {
            let left = u64::from(MULTIPLY[0]) * u64::from(x0[lane]);
            let right = u64::from(MULTIPLY[1]) * u64::from(x2[lane]);
            x0[lane] = (right >> 32) as u32 ^ x1[lane] ^ k0;
            x1[lane] = right as u32;
            x2[lane] = (left >> 32) as u32 ^ x3[lane] ^ k1;
            x3[lane] = left as u32;
        }
        (k0, k1) = (k0.wrapping_add(WEYL[0]), k1.wrapping_add(WEYL[1]));
    }
    [x0, x1, x2, x3]
}

#[cfg(test)]
mod tests {
    use super::block;

    /// The test vectors published with Random123 (`kat_vectors`, philox4x32 10 rounds).
    #[test]
    fn blocks_equal_published_test_vectors() {
        assert_eq!(block([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(block([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            block([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}
