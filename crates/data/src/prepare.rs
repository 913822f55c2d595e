//! Raw data into folders of shards: one module for each kind of raw data.

pub mod phantom;
pub mod table;

use crate::error::DataError;

/// How far a preparation has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Records written.
    pub records: u64,
    /// Records left out.
    pub skipped: u64,
    /// Share of the raw data that has been read, 0 to 1.
    pub share: f64,
}

/// Which part of the patients goes to which split, where the raw data does not say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Share of the patients for validation.
    pub validate: f64,
    /// Share of the patients for testing.
    pub test: f64,
    /// Which patients these are.
    pub seed: u64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { validate: 0.1, test: 0.1, seed: 0 }
    }
}

impl Shares {
    /// Refuses shares that are no shares.
    ///
    /// # Errors
    /// When one is below 0 or both together are above 1.
    pub fn check(self) -> Result<(), DataError> {
        let Self { validate, test, .. } = self;
        if validate >= 0.0 && test >= 0.0 && validate + test <= 1.0 {
            return Ok(());
        }
        let cause =
            format!("validate {validate} and test {test} are no shares; write numbers from 0 to 1, together at most 1");
        Err(DataError::Setting { name: "shares", cause })
    }

    /// The split of a patient, a pure function of the seed and the patient's name: adding patients moves none.
    pub fn split_of(self, patient: &str) -> crate::Split {
        let place =
            ptu_random::Key::new(self.seed).stream(ptu_random::Place::Split, ptu_random::index_of(patient)).unit();
        if place < self.test {
            crate::Split::Test
        } else if place < self.test + self.validate {
            crate::Split::Validate
        } else {
            crate::Split::Train
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Split;

    #[test]
    fn patients_are_split_in_proportion_and_for_good() {
        let shares = Shares { validate: 0.2, test: 0.1, seed: 3 };
        let mut counts = [0; 3];
        for patient in 0..10_000 {
            let split = shares.split_of(&patient.to_string());
            assert_eq!(split, shares.split_of(&patient.to_string()));
            counts[Split::ALL.iter().position(|one| *one == split).unwrap()] += 1;
        }
        assert!((6_850..7_150).contains(&counts[0]) && (1_880..2_120).contains(&counts[1]), "{counts:?}");
        let all_test = Shares { validate: 0.0, test: 1.0, seed: 3 };
        assert_eq!(all_test.split_of("x"), Split::Test);
        for (validate, test) in [(-0.1, 0.0), (0.6, 0.5), (f64::NAN, 0.0)] {
            let error = Shares { validate, test, seed: 0 }.check().unwrap_err().to_string();
            assert!(error.contains("are no shares"), "{error}");
        }
        shares.check().unwrap();
    }
}
