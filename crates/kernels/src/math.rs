//! exp and the normal distribution in f32, without branches, so that loops that use them vectorise.

/// `e^x` with an error of about 2 units in the last place. `x` is clamped to [-87, 88]: the result is never below about the
/// smallest normal number and never above about the largest number of f32.
///
/// Range reduction and polynomial are those of `expf` in the Cephes Math Library (Moshier, 1984-1992).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    // Adding 1.5 * 2^23 rounds to the nearest integer, which is then in the lowest bits.
    let shifted = x * std::f32::consts::LOG2_E + 12_582_912.0;
    let n = shifted - 12_582_912.0;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_2e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 5e-1;
    let y = p * r * r + r + 1.0;
    y * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// Error function with an error of about one unit in the last place.
///
/// The coefficients are those of N. Juffa's single-precision `erff` (published with his answers on error functions in CUDA): a
/// polynomial near 0, elsewhere one minus the exponential of a polynomial. Both are computed, and one is selected.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let (t, s) = (x.abs(), x * x);
    let mut far = -1.728_534_7e-5 * t + 3.831_971_3e-4;
    far = far * s + (-3.883_964_4e-3 * t + 2.425_462_2e-2);
    far = far * t - 1.067_778_8e-1;
    far = far * t - 6.348_467e-1;
    far = far * t - 1.287_175_1e-1;
    far = far * t - t;
    let mut near = -5.967_617e-4;
    near = near * s + 4.991_194_2e-3;
    near = near * s - 2.676_812e-2;
    near = near * s + 1.128_192_5e-1;
    near = near * s - 3.761_253_4e-1;
    near = near * s + 1.283_791_7e-1;
    if t > 0.927_734_4 { (1.0 - exp(far)).copysign(x) } else { near * x + x }
}

/// Cumulative distribution function and density of the standard normal distribution, `(Phi(x), phi(x))`.
#[inline(always)]
pub fn normal(x: f32) -> (f32, f32) {
    (0.5 + 0.5 * erf(x * std::f32::consts::FRAC_1_SQRT_2), exp(-0.5 * x * x) * 0.398_942_3)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_to_the_standard_library() {
        for step in -86_000..88_000 {
            let x = step as f32 * 1e-3;
            let right = f64::from(x).exp();
            assert!((f64::from(exp(x)) / right - 1.0).abs() < 3e-7, "e^{x}");
        }
    }

    /// The expected values are those of `scipy.stats.norm.cdf` 1.17.
    #[test]
    fn the_cumulative_distribution_is_close_to_scipy() {
        for (x, right) in
            [(0.0f32, 0.5), (1.0, 0.841_344_7), (-1.0, 0.158_655_25), (2.5, 0.993_790_3), (-4.0, 3.167_124_2e-5)]
        {
            assert!((normal(x).0 - right).abs() < 1e-7, "{x}: {} {right}", normal(x).0);
        }
        assert!((normal(0.0).1 - 0.398_942_3).abs() < 1e-7);
    }
}
