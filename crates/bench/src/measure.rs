//! Times and their range, memory, and the peak rate of matrix products on this machine.

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// The times of several calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Seconds of each call, in order.
    pub seconds: Vec<f64>,
}

impl Timing {
    /// Calls `work` `warmup` times without timing, then `rounds` times with timing.
    pub fn of(warmup: usize, rounds: usize, mut work: impl FnMut()) -> Self {
        (0..warmup).for_each(|_| work());
        let timed = |_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        };
        Self { seconds: (0..rounds).map(timed).collect() }
    }

    /// The median; for an even number of calls the mean of the two middle values; `None` without calls.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let above = sorted.get(sorted.len() / 2)?;
        Some((above + sorted[(sorted.len() - 1) / 2]) / 2.0)
    }

    /// How many times as long these calls take as those of `other`: the median over rounds, in each of which both were called once; `None`
    /// without calls.
    pub fn ratio_to(&self, other: &Self) -> Option<f64> {
        let ratios = self.seconds.iter().zip(&other.seconds).map(|(own, other)| own / other);
        Self { seconds: ratios.collect() }.median()
    }

    /// The minimum and the maximum; `None` without calls.
    pub fn range(&self) -> Option<[f64; 2]> {
        let least = self.seconds.iter().copied().reduce(f64::min)?;
        Some([least, self.seconds.iter().copied().reduce(f64::max)?])
    }
}

/// Peak resident memory of this process, in MiB; `None` if the system does not report it.
pub fn peak_memory() -> Option<f64> {
    mebibytes("VmHWM:")
}

/// Current resident memory of this process, in MiB; `None` if the system does not report it.
pub fn resident_memory() -> Option<f64> {
    mebibytes("VmRSS:")
}

fn mebibytes(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

/// Resets the peak memory, if the system supports it.
pub fn reset_peak_memory() {
    // Only Linux has this file; on other systems the peak remains that of the whole process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Floating point operations per second of one large f32 matrix product, with the threads of this process. A training step
/// cannot be faster.
pub fn peak_products(device: &Device) -> f64 {
    const SIDE: usize = 1536;
    let values = |seed: f32| (0..SIDE * SIDE).map(|index| (index as f32 * seed).sin()).collect::<Vec<f32>>();
    let matrix = |seed| Tensor::<2>::from_data(TensorData::new(values(seed), [SIDE, SIDE]), device);
    let (x, w) = (matrix(0.37), matrix(0.71));
    let timing = Timing::of(1, 8, || {
        let _ = ptu_kernels::linear(x.clone(), w.clone(), None, ptu_kernels::ComputePrecision::F32).into_data();
    });
    let least = timing.range().map_or(f64::INFINITY, |[least, _]| least);
    2.0 * (SIDE as f64).powi(3) / least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value() {
        let of = |seconds: &[f64]| Timing { seconds: seconds.to_vec() };
        assert_eq!(of(&[3.0, 1.0, 2.0]).median(), Some(2.0));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]).median(), Some(2.5));
        assert_eq!(of(&[4.0, 1.0]).range(), Some([1.0, 4.0]));
        assert_eq!((of(&[]).median(), of(&[]).range()), (None, None));
    }

    #[test]
    fn only_timed_calls_are_counted() {
        let mut calls = 0;
        assert_eq!(Timing::of(2, 3, || calls += 1).seconds.len(), 3);
        assert_eq!(calls, 5);
    }

    #[test]
    fn the_peak_covers_the_memory_in_use() {
        let Some(before) = peak_memory() else { return };
        let values = vec![1u8; 64 << 20];
        assert!(values.iter().map(|x| u64::from(*x)).sum::<u64>() > 0);
        assert!(peak_memory().unwrap() >= before.min(32.0));
    }
}
