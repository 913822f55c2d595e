//! Points and weights of an integral over [0, 1] by Gauss and Legendre, as Captum has them: with equal steps, changes near the baseline would
//! be missed.

/// The points in ascending order, each with its weight; the weights sum to 1. Polynomials up to degree `2 * count - 1` are integrated
/// exactly.
pub fn points(count: usize) -> Vec<(f64, f64)> {
    let n = count as f64;
    let of = |number: usize| {
        // Newton's method from a close guess of the root of the Legendre polynomial (Abramowitz and Stegun, 22.16.6).
        let mut x = -(std::f64::consts::PI * (number as f64 + 0.75) / (n + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..100 {
            let (value, derivative) = legendre(count, x);
            slope = derivative;
            let step = value / derivative;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        ((x + 1.0) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..count).map(of).collect()
}

/// Value and derivative of the Legendre polynomial of a degree.
fn legendre(degree: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=degree {
        let k = k as f64;
        (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
    }
    (value, degree as f64 * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_weights_are_those_of_numpy() {
        // numpy.polynomial.legendre.leggauss(4), moved from [-1, 1] to [0, 1].
        let expected = [
            (0.069_431_844_202_973_71, 0.173_927_422_568_726_9),
            (0.330_009_478_207_571_9, 0.326_072_577_431_273_1),
            (0.669_990_521_792_428_1, 0.326_072_577_431_273_1),
            (0.930_568_155_797_026_3, 0.173_927_422_568_726_9),
        ];
        for ((x, weight), (point, expected)) in points(4).into_iter().zip(expected) {
            assert!((x - point).abs() < 1e-14 && (weight - expected).abs() < 1e-14, "{x} {weight}");
        }
        assert_eq!(points(1), [(0.5, 1.0)]);
    }

    #[test]
    fn polynomials_are_integrated_exactly() {
        for count in [2, 7, 32, 200] {
            let found: f64 = points(count).into_iter().map(|(x, weight)| weight * x.powi(3)).sum();
            assert!((found - 0.25).abs() < 1e-13, "{count}: {found}");
        }
    }
}
