//! Which record stands at which place of which step: pure functions of seed, sizes, weights and place.
//!
//! Nothing here is consumed, so a run resumes at any step without history, and n ranks with batches of b draw together
//! exactly what one rank with a batch of n x b draws.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};

use ptu_random::{Key, Place};

use crate::error::DataError;

/// Orders that one source keeps at a time: a batch crosses at most one epoch's end unless the source is tiny.
const KEPT_EPOCHS: usize = 2;

/// Epochs with their orders, the latest first.
type KeptOrders = VecDeque<(u64, Arc<[u32]>)>;

/// Shares are fractions of this.
const WHOLE: u64 = 1 << 32;

/// The order of one epoch of one source: a uniformly random permutation of `0..len`.
///
/// `source` is the source's number in the recipe; it takes the rank's place in the key, as all ranks share one order.
pub fn epoch_order(seed: u64, source: u32, epoch: u64, len: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..len).collect();
    Key::new(seed).rank(source).stream(Place::Order, epoch).shuffle(&mut order);
    order
}

/// This process among those that train together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// From 0.
    pub index: u32,
    /// Number of processes, at least 1.
    pub count: u32,
}

impl Rank {
    /// The only process.
    pub const ALONE: Self = Self { index: 0, count: 1 };

    /// Number of the draw for a place in this rank's batch of a step, over all ranks and steps.
    pub fn draw(self, step: u64, batch: usize, place: usize) -> u64 {
        let (batch, place) = (batch as u64, place as u64);
        (step * u64::from(self.count) + u64::from(self.index)) * batch + place
    }
}

/// The size of one source and how much of it is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Number of records.
    pub len: usize,
    /// 1 draws the source in proportion to its size; 2 twice as often as that.
    pub weight: f64,
}

/// Where one draw falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Number of the source.
    pub source: usize,
    /// How often the source has been gone through before.
    pub epoch: u64,
    /// The record's position in the source.
    pub record: usize,
}

/// Several sources drawn from in fixed proportion, weight times size each.
///
/// The sources are interleaved evenly, without chance: after any number of draws each source has had its share to
/// within the number of sources (times the run, where several records in a row come from one). Each then goes through its own
/// epochs, so no record comes twice before all of its source came once.
#[derive(Debug)]
pub struct Mixture {
    seed: u64,
    /// Draws in a row that fall into one source.
    run: u64,
    lens: Vec<u32>,
    /// For each source but the last: its share, in fractions of [`WHOLE`], of the draws that earlier sources left over.
    shares: Vec<u64>,
    kept: Vec<Mutex<KeptOrders>>,
}

impl Mixture {
    /// Fixes the proportions. `run` draws in a row fall into one source: 1, or the records that all ranks together take a
    /// step, so that a batch is of one source.
    ///
    /// # Errors
    /// When there is no source, when one is empty or too long, or when a weight is not a positive number.
    pub fn new(seed: u64, sources: &[Share], run: NonZeroU64) -> Result<Self, DataError> {
        let wrong = |cause: String| DataError::Setting { name: "data", cause };
        if sources.is_empty() || sources.len() > 1 << 16 {
            return Err(wrong(format!("there are {} sources; name between 1 and 65,536 folders", sources.len())));
        }
        let (mut lens, mut parts) = (vec![], vec![]);
        for (number, &Share { len, weight }) in sources.iter().enumerate() {
            let number = number + 1;
            match u32::try_from(len) {
                Ok(len) if len > 0 => lens.push(len),
                _ => return Err(wrong(format!("source {number} has {len} records; it needs 1 to 4,294,967,295"))),
            }
            if !(weight.is_finite() && weight > 0.0) {
                return Err(wrong(format!("source {number} has weight {weight}; write a number above 0")));
            }
            parts.push(weight * len as f64);
        }
        let share = |place: usize| -> u64 {
            let rest: f64 = parts[place..].iter().sum();
            ((parts[place] / rest * WHOLE as f64).round() as u64).clamp(1, WHOLE - 1)
        };
        let shares = (0..parts.len() - 1).map(share).collect();
        let kept = lens.iter().map(|_| Mutex::default()).collect();
        Ok(Self { seed, run: run.get(), lens, shares, kept })
    }

    /// The record of the draw with this number (see [`Rank::draw`]).
    pub fn draw(&self, number: u64) -> Draw {
        let (source, runs) = self.source_of(number / self.run);
        let earlier = runs * self.run + number % self.run;
        let len = u64::from(self.lens[source]);
        let (epoch, position) = (earlier / len, (earlier % len) as usize);
        Draw { source, epoch, record: self.order(source, epoch)[position] as usize }
    }

    /// Records of each source among the first `count` draws.
    pub fn counts(&self, count: u64) -> Vec<u64> {
        let mut left = count / self.run;
        let mut runs: Vec<u64> = self.shares.iter().map(|&share| take(&mut left, share)).collect();
        runs.push(left);
        let mut counts: Vec<u64> = runs.iter().map(|runs| runs * self.run).collect();
        counts[self.source_of(count / self.run).0] += count % self.run;
        counts
    }

    /// The source of a run of draws, and how many earlier runs that source had.
    ///
    /// Sources are asked in turn: of the runs left over by those before it, the first n give a source `n x share`,
    /// rounded. One more raises that by 0 or 1, so exactly one source takes each run and the counts need no history.
    fn source_of(&self, run: u64) -> (usize, u64) {
        let mut left = run;
        for (source, &share) in self.shares.iter().enumerate() {
            let (mut before, mut after) = (left, left + 1);
            let earlier = take(&mut before, share);
            if take(&mut after, share) > earlier {
                return (source, earlier);
            }
            left = before;
        }
        (self.shares.len(), left)
    }

    fn order(&self, source: usize, epoch: u64) -> Arc<[u32]> {
        // A thread that panicked while it held the lock left whole entries: the list is still good.
        let mut kept = self.kept[source].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, order)) = kept.iter().find(|(of, _)| *of == epoch) {
            return Arc::clone(order);
        }
        let order: Arc<[u32]> = epoch_order(self.seed, source as u32, epoch, self.lens[source]).into();
        kept.truncate(KEPT_EPOCHS - 1);
        kept.push_front((epoch, Arc::clone(&order)));
        order
    }
}

/// Splits `left` draws: returns the share, leaves the rest.
fn take(left: &mut u64, share: u64) -> u64 {
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
    fn an_epoch_is_a_permutation_that_seed_source_and_epoch_change() {
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
    fn every_record_comes_once_an_epoch() {
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
    fn shares_hold_after_any_number_of_draws() {
        // Parts 300, 300 and 0.3: even a tiny source is drawn, and none is ever off by more than the number of sources.
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
    fn ranks_together_draw_what_one_large_batch_draws() {
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
        // Far into a run nothing overflows and the answer comes as fast.
        assert!(mixture.draw(1 << 45).epoch > 1 << 38);
    }

    #[test]
    fn settings_that_cannot_work_are_told() {
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
