//! Loops over slices: vectorised for this processor, and run on all cores in chunks whose size depends only on the shape.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::fresh::{fresh, fresh_pair};

/// Runs `work` on a thread of rayon's pool. There each parallel loop starts at once; outside the pool, every loop would first
/// have to wake a thread.
pub fn in_pool<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| work())
}

/// Runs `work` in the version that was compiled for the vector units of this processor; all versions give the same results.
///
/// Only inlined code is compiled for these vector units. Closures inside `work` therefore need `#[inline(always)]`, and values
/// must be passed as `argument`. A closure that is called by value, or a function passed by its name, may not be inlined, and its
/// loops are then not vectorised.
#[inline(always)]
pub fn vectorised<A, T>(argument: A, work: impl FnMut(A) -> T) -> T {
    struct Work<A, F>(A, F);
    impl<A, T, F: FnMut(A) -> T> WithSimd for Work<A, F> {
        type Output = T;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> T {
            let Self(argument, mut work) = self;
            work(argument)
        }
    }
    Arch::new().dispatch(Work(argument, work))
}

/// Number of values that one task handles.
pub const CHUNK: usize = 1 << 13;
/// Number of partial sums, so that sums vectorise. It is fixed, so that results do not depend on the processor.
const LANES: usize = 16;

/// Number of rows of width `d` that one task handles.
pub fn rows_a_task(d: usize) -> usize {
    (CHUNK / d.max(1)).max(1)
}

/// Applies `f` to each value.
pub fn map(x: &[f32], f: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    fresh(x.len(), CHUNK, |start, y| {
        vectorised(
            y,
            #[inline(always)]
            |y| {
                let x = &x[start..][..y.len()];
                y.write_each(
                    #[inline(always)]
                    |i| f(x[i]),
                )
            },
        )
    })
}

/// Applies `f` to each value; `f` returns two values.
pub fn map_to_two(x: &[f32], f: impl Fn(f32) -> [f32; 2] + Sync) -> [Vec<f32>; 2] {
    fresh_pair([x.len(); 2], [CHUNK; 2], |start, first, second| {
        vectorised(
            (first, second),
            #[inline(always)]
            |(first, second)| {
                let x = &x[start..][..first.len()];
                first.write_both(
                    second,
                    #[inline(always)]
                    |i| f(x[i]),
                )
            },
        )
    })
}

/// Applies `f` to each pair of values of `x` and `other`.
pub fn map_pair(x: &[f32], other: &[f32], f: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
    fresh(x.len(), CHUNK, |start, y| {
        vectorised(
            y,
            #[inline(always)]
            |y| {
                let [x, other] = [x, other].map(|values| &values[start..][..y.len()]);
                y.write_each(
                    #[inline(always)]
                    |i| f(x[i], other[i]),
                )
            },
        )
    })
}

/// Sum of `f` over the values, in f64. Means and projections are subtracted from the values that they were computed from; in f32,
/// what remains of a gradient could be mostly rounding error.
#[inline(always)]
pub fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(f(*x));
        }
    }
    let mut last = 0.0;
    for x in rest {
        last += f64::from(f(*x));
    }
    last + lanes.iter().sum::<f64>()
}

/// Dot product in f64, for the same reason as [`sum`].
#[inline(always)]
pub fn dot(x: &[f32], y: &[f32]) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let ((whole_x, rest_x), (whole_y, rest_y)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in whole_x.iter().zip(whole_y) {
        for lane in 0..LANES {
            lanes[lane] += f64::from(x[lane]) * f64::from(y[lane]);
        }
    }
    let rest: f64 = rest_x.iter().zip(rest_y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    rest + lanes.iter().sum::<f64>()
}

/// The largest value; NaN is ignored.
#[inline(always)]
pub fn largest(x: &[f32]) -> f32 {
    let mut lanes = [f32::MIN; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > lane { *x } else { *lane };
        }
    }
    rest.iter().chain(&lanes).fold(f32::MIN, |largest, x| largest.max(*x))
}

/// Multiplies `x` by `factors`, in place.
pub fn scale(x: &mut [f32], factors: &[f32]) {
    vectorised(
        x,
        #[inline(always)]
        |x| {
            for (x, factor) in x.iter_mut().zip(factors) {
                *x *= factor;
            }
        },
    );
}

/// Sum of each column of a matrix with rows of `d` values, `[rows, d] -> [d]`.
pub fn column_sums(x: &[f32], d: usize) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = x
        .par_chunks(rows_a_task(d) * d)
        .map(|rows| {
            let mut sums = vec![0.0f32; d];
            vectorised(
                &mut sums,
                #[inline(always)]
                |sums| {
                    for row in rows.chunks_exact(d) {
                        add(sums, row);
                    }
                },
            );
            sums
        })
        .collect();
    let mut sums = vec![0.0; d];
    parts.iter().for_each(|part| add(&mut sums, part));
    sums
}

/// Adds `x` to `sums`.
#[inline(always)]
pub fn add(sums: &mut [f32], x: &[f32]) {
    for (sum, x) in sums.iter_mut().zip(x) {
        *sum += x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the right feature of `pulp`, all loops would run without the newer vector units, and only a benchmark would
    /// show it.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn loops_are_compiled_for_this_processor() {
        assert_eq!(matches!(Arch::new(), Arch::Scalar), crate::units::vector_units().is_empty());
    }

    #[test]
    fn the_largest_value_is_found_at_every_index() {
        for index in 0..50 {
            let mut x: Vec<f32> = (0..50).map(|number| -(number as f32)).collect();
            x[index] = 7.0;
            assert_eq!((largest(&x), largest(&x[..index])), (7.0, if index > 0 { 0.0 } else { f32::MIN }));
        }
        assert_eq!(largest(&[f32::NAN, 1.0, f32::NAN]), 1.0);
    }
}
