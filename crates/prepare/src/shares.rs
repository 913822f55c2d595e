//! Assigns patients to splits where the raw data has no splits.

use ptu_data::{DataError, Split};

/// The shares of the patients in each split, where the raw data has no splits. The rest is for training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Share of the patients for validation.
    pub validate: f64,
    /// Share of the patients for testing.
    pub test: f64,
    /// Decides which patients these are.
    pub seed: u64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { validate: 0.1, test: 0.1, seed: 42 }
    }
}

impl Shares {
    /// Checks that the shares are possible.
    ///
    /// # Errors
    /// When one is below 0 or both together are above 1.
    pub fn check(self) -> Result<(), DataError> {
        let Self { validate, test, .. } = self;
        if validate >= 0.0 && test >= 0.0 && validate + test <= 1.0 {
            return Ok(());
        }
        let cause = format!(
            "validate {validate} and test {test} are not valid shares; write numbers from 0 to 1 with a sum of at most 1"
        );
        Err(DataError::Setting { name: "shares", cause })
    }

    /// The split of a patient. It depends only on the seed, the name of the data set and the name of the patient: new patients do
    /// not move others to another split.
    ///
    /// The bucket is the first 8 bytes, modulo 10,000, of the SHA-256 of `<set>:<seed>:<patient>` (the name of the patient in the
    /// form in which names are compared, [`ptu_input::text::name_key`]). The lowest buckets are train, the next are validate, the
    /// highest are test.
    pub fn split_of(self, set: &str, patient: &str) -> Split {
        let fraction = bucket(set, self.seed, &ptu_input::text::name_key(patient)) as f64 / 10_000.0;
        if fraction >= 1.0 - self.test {
            Split::Test
        } else if fraction >= 1.0 - self.test - self.validate {
            Split::Validate
        } else {
            Split::Train
        }
    }
}

/// The bucket of a name, 0 to 9,999, from the hash of `<set>:<seed>:<name>` (docs/layouts.md, section 0).
pub(crate) fn bucket(set: &str, seed: u64, name: &str) -> u64 {
    let hash = sort_key(set, seed, name);
    hash.iter().take(8).fold(0u64, |all, byte| all << 8 | u64::from(*byte)) % 10_000
}

/// The hash by which names are sorted, so that their order does not depend on the order of files.
pub(crate) fn sort_key(set: &str, seed: u64, name: &str) -> [u8; 32] {
    sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), format!("{set}:{seed}:{name}"))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_match_the_documented_values() {
        let vectors = [("chexpert", "patient00001", 2496), ("openi", "CXR1", 1536)];
        for (set, name, wanted) in vectors {
            assert_eq!(bucket(set, 42, name), wanted, "{set}");
        }
        assert_eq!(bucket("rsna", 42, "00000000-0000-4000-8000-000000000001"), 5869);
        assert_eq!(sort_key("chexpert", 42, "patient00001")[..8], 0xbfb1_681a_0dae_3b20_u64.to_be_bytes());
    }

    #[test]
    fn patients_are_split_in_proportion_and_reproducibly() {
        let shares = Shares { validate: 0.2, test: 0.1, seed: 3 };
        let mut counts = [0; 3];
        for patient in 0..10_000 {
            let split = shares.split_of("table", &patient.to_string());
            assert_eq!(split, shares.split_of("table", &patient.to_string()));
            counts[Split::ALL.iter().position(|one| *one == split).unwrap()] += 1;
        }
        assert!((6_850..7_150).contains(&counts[0]) && (1_880..2_120).contains(&counts[1]), "{counts:?}");
        let all_test = Shares { validate: 0.0, test: 1.0, seed: 3 };
        assert_eq!(all_test.split_of("table", "x"), Split::Test);
        for (validate, test) in [(-0.1, 0.0), (0.6, 0.5), (f64::NAN, 0.0)] {
            let error = Shares { validate, test, seed: 0 }.check().unwrap_err().to_string();
            assert!(error.contains("are not valid shares"), "{error}");
        }
        shares.check().unwrap();
    }
}
