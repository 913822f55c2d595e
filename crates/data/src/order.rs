//! The sampling order: which record is used at which position of which step. These are pure functions of the seed, the sizes and
//! weights of the sources, and the position.
//!
//! They have no state that changes, so a run can resume at any step without the earlier ones. And n ranks with batches of b
//! records sample together exactly the records that one rank with a batch of n x b records samples.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};

use ptu_random::{Key, Place};

use crate::error::DataError;

/// The number of epochs whose order is cached for each source. A batch crosses at most one end of an epoch, unless the source is
/// tiny.
const CACHED_EPOCHS: usize = 2;

/// Epochs with their orders, the most recent first.
type CachedOrders = VecDeque<(u64, Arc<[u32]>)>;

/// The denominator of the shares: a share of this number is 100 %.
const WHOLE: u64 = 1 << 32;

/// The order of one epoch of one source: a uniformly random permutation of `0..len`.
///
/// `source` is the number of the source in the recipe. It is used as the rank in the random key, because all ranks share one
/// order.
pub fn epoch_order(seed: u64, source: u32, epoch: u64, len: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..len).collect();
    Key::new(seed).rank(source).stream(Place::Order, epoch).shuffle(&mut order);
    order
}

/// This process among the processes that train together (as `rank` and `world_size` in `torch.distributed`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// The number of this process, from 0.
    pub index: u32,
    /// The number of processes, at least 1.
    pub count: u32,
}

impl Rank {
    /// The only process.
    pub const ALONE: Self = Self { index: 0, count: 1 };

    /// The number of the sample at position `place` of this rank's batch in a step, counted over all ranks and steps from 0.
    pub fn draw(self, step: u64, batch: usize, place: usize) -> u64 {
        let (batch, place) = (batch as u64, place as u64);
        (step * u64::from(self.count) + u64::from(self.index)) * batch + place
    }
}

/// The size of one source and its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Number of records.
    pub len: usize,
    /// Weight 1 samples the source in proportion to its size, weight 2 twice as often as that.
    pub weight: f64,
}

/// One sampled record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Number of the source.
    pub source: usize,
    /// How often all records of the source have been used before.
    pub epoch: u64,
    /// The record's position in the source.
    pub record: usize,
}

/// A mixture of several sources, sampled in fixed proportions: weight times size for each source.
///
/// The sources are interleaved evenly and without randomness: after any number of samples, the count of each source differs from
/// its share by at most the number of sources (times `run`, if several consecutive records come from one source). Each source has
/// its own epochs: no record is used a second time before all records of its source were used once.
#[derive(Debug)]
pub struct Mixture {
    seed: u64,
    /// The number of consecutive samples from one source.
    run: u64,
    lens: Vec<u32>,
    /// For each source except the last: its share, in fractions of [`WHOLE`], of the samples that remain after the earlier
    /// sources.
    shares: Vec<u64>,
    cached: Vec<Mutex<CachedOrders>>,
}

impl Mixture {
    /// Computes the proportions. `run` consecutive samples come from one source: 1, or the number of records that all ranks
    /// together use in a step, so that each batch comes from one source.
    ///
    /// # Errors
    /// When there is no source, when one is empty or too long, or when a weight is not a positive number.
    pub fn new(seed: u64, sources: &[Share], run: NonZeroU64) -> Result<Self, DataError> {
        let wrong = |cause: String| DataError::Setting { name: "data", cause };
        if sources.is_empty() || sources.len() > 1 << 16 {
            return Err(wrong(format!("there are {} sources; name between 1 and 65,536 folders", sources.len())));
        }
        let (mut lens, mut weighted_lens) = (vec![], vec![]);
        for (number, &Share { len, weight }) in sources.iter().enumerate() {
            let number = number + 1;
            match u32::try_from(len) {
                Ok(len) if len > 0 => lens.push(len),
                _ => return Err(wrong(format!("source {number} has {len} records; it needs 1 to 4,294,967,295"))),
            }
            if !(weight.is_finite() && weight > 0.0) {
                return Err(wrong(format!("source {number} has weight {weight}; write a number above 0")));
            }
            weighted_lens.push(weight * len as f64);
        }
        let share = |place: usize| -> u64 {
            let rest: f64 = weighted_lens[place..].iter().sum();
            ((weighted_lens[place] / rest * WHOLE as f64).round() as u64).clamp(1, WHOLE - 1)
        };
        let shares = (0..weighted_lens.len() - 1).map(share).collect();
        let cached = lens.iter().map(|_| Mutex::default()).collect();
        Ok(Self { seed, run: run.get(), lens, shares, cached })
    }

    /// The record of the sample with this number (see [`Rank::draw`]).
    pub fn draw(&self, number: u64) -> Draw {
        let (source, runs) = self.source_of(number / self.run);
        let earlier = runs * self.run + number % self.run;
        let len = u64::from(self.lens[source]);
        let (epoch, position) = (earlier / len, (earlier % len) as usize);
        Draw { source, epoch, record: self.order(source, epoch)[position] as usize }
    }

    /// The number of records from each source among the first `count` samples.
    pub fn counts(&self, count: u64) -> Vec<u64> {
        let mut left = count / self.run;
        let mut runs: Vec<u64> = self.shares.iter().map(|&share| take_share(&mut left, share)).collect();
        runs.push(left);
        let mut counts: Vec<u64> = runs.iter().map(|runs| runs * self.run).collect();
        counts[self.source_of(count / self.run).0] += count % self.run;
        counts
    }

    /// The source of the run of samples with this number, and how many earlier runs that source had.
    ///
    /// The sources are checked in order. Each source gets `n x share`, rounded, of the n runs that remain after the earlier
    /// sources. One more run increases this number by 0 or 1, so exactly one source gets each run, and no history is needed.
    fn source_of(&self, run: u64) -> (usize, u64) {
        let mut left = run;
        for (source, &share) in self.shares.iter().enumerate() {
            let (mut before, mut after) = (left, left + 1);
            let earlier = take_share(&mut before, share);
            if take_share(&mut after, share) > earlier {
                return (source, earlier);
            }
            left = before;
        }
        (self.shares.len(), left)
    }

    /// The order of one epoch of one source, from the cache where it is there.
    fn order(&self, source: usize, epoch: u64) -> Arc<[u32]> {
        // If a thread panicked while it held the lock, all entries are still complete, so the list can be used.
        let mut cached = self.cached[source].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, order)) = cached.iter().find(|(number, _)| *number == epoch) {
            return Arc::clone(order);
        }
        let order: Arc<[u32]> = epoch_order(self.seed, source as u32, epoch, self.lens[source]).into();
        cached.truncate(CACHED_EPOCHS - 1);
        cached.push_front((epoch, Arc::clone(&order)));
        order
    }
}

/// Divides `left` samples: returns the part that belongs to `share`, and leaves the rest in `left`.
fn take_share(left: &mut u64, share: u64) -> u64 {
    let taken = ((u128::from(*left) * u128::from(share) + u128::from(WHOLE / 2)) >> 32) as u64;
    *left -= taken;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixture(sources: &[(usize, f64)]) -> Mixture {
        let sources: Vec<Share> = sources.iter().map(|&(len, weight)| Share { len, weight }).collect();
        Mixture::new(5, &sources, NonZeroU64::MIN).unwrap()
    }

    #[test]
    fn an_epoch_is_a_permutation_that_depends_on_seed_source_and_epoch() {
        let base = epoch_order(1, 0, 0, 100);
        let mut sorted = base.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<u32>>());
        assert_eq!(base, epoch_order(1, 0, 0, 100));
        for other in [epoch_order(2, 0, 0, 100), epoch_order(1, 1, 0, 100), epoch_order(1, 0, 1, 100)] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn every_record_is_used_once_per_epoch() {
        let mixture = mixture(&[(30, 1.0), (7, 2.0), (500, 0.1)]);
        let mut seen: Vec<Vec<Vec<usize>>> = vec![vec![]; 3];
        for number in 0..2_000 {
            let Draw { source, epoch, record } = mixture.draw(number);
            let epochs = &mut seen[source];
            epochs.resize(epochs.len().max(epoch as usize + 1), vec![]);
            epochs[epoch as usize].push(record);
        }
        for (source, len) in [30, 7, 500].into_iter().enumerate() {
            let (last, whole) = seen[source].split_last().unwrap();
            assert!(last.len() <= len && whole.len() >= usize::from(source < 2), "source {source}");
            for epoch in whole {
                let mut sorted = epoch.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..len).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn shares_are_right_after_any_number_of_samples() {
        // Proportions 300, 300 and 0.3: even a tiny source is sampled, and no count differs from its share by more than the
        // number of sources.
        let sources = [(300, 1.0), (100, 3.0), (3, 0.1)];
        let mixture = mixture(&sources);
        let total: f64 = sources.iter().map(|(len, weight)| *len as f64 * weight).sum();
        let mut counted = vec![0; 3];
        for number in 0..20_000 {
            assert_eq!(counted, mixture.counts(number));
            counted[mixture.draw(number).source] += 1;
            for (count, (len, weight)) in counted.iter().zip(sources) {
                let due = (number + 1) as f64 * len as f64 * weight / total;
                assert!((*count as f64 - due).abs() < 2.0, "{counted:?} after {number}, due {due}");
            }
        }
        assert!(counted[2] >= 9, "{counted:?}");
    }

    #[test]
    fn whole_batches_come_from_one_source_and_keep_shares_and_epochs() {
        let sources = [Share { len: 30, weight: 1.0 }, Share { len: 7, weight: 2.0 }, Share { len: 50, weight: 1.0 }];
        let mixture = Mixture::new(5, &sources, NonZeroU64::new(8).unwrap()).unwrap();
        let (mut counted, mut first_epoch) = (vec![0; 3], vec![vec![]; 3]);
        for number in 0..4_000 {
            assert_eq!(counted, mixture.counts(number));
            let draw = mixture.draw(number);
            assert_eq!(draw.source, mixture.draw(number / 8 * 8).source);
            counted[draw.source] += 1;
            if draw.epoch == 0 {
                first_epoch[draw.source].push(draw.record);
            }
        }
        for (source, share) in sources.iter().enumerate() {
            first_epoch[source].sort_unstable();
            assert_eq!(first_epoch[source], (0..share.len).collect::<Vec<_>>());
            let due = 4_000.0 * share.len as f64 * share.weight / 94.0;
            assert!((counted[source] as f64 - due).abs() < 16.0, "{counted:?}, due {due}");
        }
    }

    #[test]
    fn ranks_together_sample_what_one_large_batch_samples() {
        let mixture = mixture(&[(50, 1.0), (20, 1.0)]);
        let alone: Vec<Draw> = (0..3)
            .flat_map(|step| (0..8).map(move |place| (step, place)))
            .map(|(step, place)| mixture.draw(Rank::ALONE.draw(step, 8, place)))
            .collect();
        let mut together = vec![];
        for step in 0..3 {
            for index in 0..4 {
                let rank = Rank { index, count: 4 };
                together.extend((0..2).map(|place| mixture.draw(rank.draw(step, 2, place))));
            }
        }
        assert_eq!(alone, together);
        // Very late samples cause no overflow and are computed as fast as early ones.
        assert!(mixture.draw(1 << 45).epoch > 1 << 38);
    }

    #[test]
    fn invalid_settings_are_refused() {
        let fails = |sources: &[Share], with: &str| {
            let error = Mixture::new(1, sources, NonZeroU64::MIN).unwrap_err().to_string();
            assert!(error.contains(with), "{error}");
        };
        fails(&[], "there are 0 sources");
        fails(&[Share { len: 1, weight: 1.0 }, Share { len: 0, weight: 1.0 }], "source 2 has 0 records");
        fails(&[Share { len: 1, weight: -1.0 }], "source 1 has weight -1; write a number above 0");
        fails(&[Share { len: 1, weight: f64::NAN }], "weight NaN");
    }
}
