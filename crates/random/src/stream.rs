//! A stream of random numbers, and the distributions that are drawn from it.

use crate::philox;

/// An endless sequence of random numbers, always the same for the same key, place and index. Cheap to create; not for
/// cryptography.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    high: [u32; 2],
    next: u64,
    block: [u32; 4],
    used: usize,
}

impl Stream {
    pub(crate) fn new(key: [u32; 2], high: [u32; 2]) -> Self {
        Self { key, high, next: 0, block: [0; 4], used: 4 }
    }

    /// The next 32 random bits.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.block = self.block_at(self.next);
            self.next += 1;
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// Block number `index` of four random words, without advancing the stream. With it, threads can fill parts of one large
    /// array.
    #[inline]
    pub fn block_at(&self, index: u64) -> [u32; 4] {
        philox::block([index as u32, (index >> 32) as u32, self.high[0], self.high[1]], self.key)
    }

    /// [`Self::block_at`] for `N` indices from `first` on: word `w` of block `first + i` is `result[w][i]`. For loops over large
    /// arrays: with vector instructions, several blocks are computed at once.
    #[inline(always)]
    pub fn blocks_at<const N: usize>(&self, first: u64) -> [[u32; N]; 4] {
        let index = |lane| first.wrapping_add(lane as u64);
        let low = std::array::from_fn(|lane| index(lane) as u32);
        let high = std::array::from_fn(|lane| (index(lane) >> 32) as u32);
        philox::blocks([low, high, [self.high[0]; N], [self.high[1]; N]], self.key)
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) | u64::from(self.next_u32()) << 32
    }

    /// A uniform number in [0, 1) with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A uniform number in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A uniform integer in 0..count, without bias (Lemire's method of multiplication and rejection).
    ///
    /// # Panics
    /// If `count` is 0.
    pub fn below(&mut self, count: usize) -> usize {
        assert!(count > 0, "cannot draw from an empty range");
        let count = count as u64;
        let reject = count.wrapping_neg() % count;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(count);
            if product as u64 >= reject {
                return (product >> 64) as usize;
            }
        }
    }

    /// A normal number with mean 0 and standard deviation 1 (Box-Muller transform).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// One of the items, each with equal probability; `None` if there are no items.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        (!items.is_empty()).then(|| &items[self.below(items.len())])
    }

    /// A random index, with probability proportional to its weight; `None` if no weight is positive.
    pub fn weighted(&mut self, weights: &[f64]) -> Option<usize> {
        let total: f64 = weights.iter().filter(|weight| **weight > 0.0).sum();
        let mut left = self.unit() * total;
        let mut last = None;
        for (index, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            last = Some(index);
            left -= weight;
            if left < 0.0 {
                break;
            }
        }
        last
    }

    /// Puts the items into a random order; all orders are equally likely (Fisher-Yates shuffle).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }

    /// Draws `count` of the numbers below `all` (all of them if there are fewer), in ascending order; all choices are equally likely.
    pub fn subset(&mut self, count: usize, all: usize) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..all).collect();
        self.shuffle(&mut numbers);
        numbers.truncate(count);
        numbers.sort_unstable();
        numbers
    }
}

#[cfg(test)]
mod tests {
    use crate::{Key, Place};

    fn stream(seed: u64) -> super::Stream {
        Key::new(seed).stream(Place::Sample, 0)
    }

    #[test]
    fn normal_has_mean_zero_and_standard_deviation_one() {
        let mut stream = stream(1);
        let draws: Vec<f64> = (0..200_000).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        let beyond_two = draws.iter().filter(|x| x.abs() > 2.0).count() as f64 / draws.len() as f64;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "mean {mean}, variance {variance}");
        assert!((beyond_two - 0.0455).abs() < 0.003, "{beyond_two} beyond two standard deviations");
    }

    #[test]
    fn below_is_uniform() {
        let (mut stream, mut counts) = (stream(2), [0usize; 7]);
        (0..70_000).for_each(|_| counts[stream.below(7)] += 1);
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    #[test]
    fn weighted_follows_the_weights_and_skips_zeros() {
        let (mut stream, mut counts) = (stream(3), [0usize; 4]);
        (0..10_000).for_each(|_| counts[stream.weighted(&[0.0, 1.0, 3.0, 0.0]).unwrap()] += 1);
        assert_eq!((counts[0], counts[3]), (0, 0));
        assert!((7_200..7_800).contains(&counts[2]), "{counts:?}");
        assert_eq!(stream.weighted(&[0.0, -1.0]), None);
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..100).collect();
        stream(4).shuffle(&mut items);
        assert!(items.iter().enumerate().any(|(index, item)| index != *item));
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn blocks_can_be_requested_in_any_order() {
        let mut forward = stream(5);
        let words: Vec<u32> = (0..12).map(|_| forward.next_u32()).collect();
        assert_eq!(stream(5).block_at(2), words[8..12]);
        let side_by_side = stream(5).blocks_at::<3>(u64::from(u32::MAX) - 1);
        for (lane, index) in (u64::from(u32::MAX) - 1..).take(3).enumerate() {
            assert_eq!(side_by_side.map(|word| word[lane]), stream(5).block_at(index), "{index}");
        }
    }
}
