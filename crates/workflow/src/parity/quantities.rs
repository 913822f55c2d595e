//! Comparison of tensors of this implementation with tensors of the reference implementation.

/// The largest permitted difference from the reference.
#[derive(Clone, Copy)]
struct Tolerance {
    /// The largest permitted error, relative to the largest absolute value of the reference.
    limit: f64,
    /// The smallest divisor of the relative error.
    min_divisor: f64,
}

/// For values, losses and the trajectory of losses.
const VALUES: Tolerance = Tolerance { limit: 1e-4, min_divisor: 1e-30 };
/// For gradients. Some are zero in exact arithmetic and hold only rounding errors, so the divisor has a lower bound.
const GRADIENTS: Tolerance = Tolerance { limit: 1e-4, min_divisor: 1e-4 };
/// For weights after training.
const WEIGHTS_AFTER: Tolerance = Tolerance { limit: 3e-5, min_divisor: 1e-30 };

/// The results of a comparison.
#[derive(Debug, Default)]
pub struct Quantities {
    /// The number of compared tensors.
    pub count: usize,
    /// The largest relative error, scaled so that 1e-4 is the limit of every quantity.
    pub worst: f64,
    /// The name of the quantity with the largest error.
    pub worst_name: String,
    /// Messages about quantities beyond their limit.
    pub failures: Vec<String>,
}

impl Quantities {
    /// Compares values by their largest error, relative to the largest absolute value of the reference.
    pub fn values(&mut self, name: &str, ours: &[f32], theirs: &[f32]) {
        self.compare(name, ours, theirs, VALUES);
    }

    /// As [`Self::values`], with a divisor of at least 1e-4.
    pub fn gradient(&mut self, name: &str, ours: &[f32], theirs: &[f32]) {
        self.compare(name, ours, theirs, GRADIENTS);
    }

    /// As [`Self::values`], with the limit of weights after training.
    pub fn weights_after(&mut self, name: &str, ours: &[f32], theirs: &[f32]) {
        self.compare(name, ours, theirs, WEIGHTS_AFTER);
    }

    fn compare(&mut self, name: &str, ours: &[f32], theirs: &[f32], Tolerance { limit, min_divisor }: Tolerance) {
        if ours.len() != theirs.len() {
            self.fail(name, format!("{} values, expected {}", ours.len(), theirs.len()));
            return;
        }
        let largest = theirs.iter().fold(min_divisor, |largest, x| largest.max(f64::from(x.abs())));
        let errors = ours.iter().zip(theirs).map(|(x, y)| (f64::from(*x) - f64::from(*y)).abs());
        // A NaN must fail, and `max` would drop it.
        let error = errors.fold(0.0, |worst: f64, x| if x.is_nan() { f64::INFINITY } else { worst.max(x) }) / largest;
        self.record(name, error / limit * VALUES.limit);
        if error > limit {
            self.failures.push(format!("{name} is off by {error:.2e}, limit {limit:.0e}"));
        }
    }

    /// Compares values that must be equal, such as selected indices.
    pub fn same<T: PartialEq + std::fmt::Debug>(&mut self, name: &str, ours: &T, theirs: &T) {
        self.record(name, 0.0);
        if ours != theirs {
            self.failures.push(format!("{name} differs: {ours:?}, expected {theirs:?}"));
        }
    }

    /// Records a quantity that cannot be compared, as a failure.
    pub fn fail(&mut self, name: &str, cause: String) {
        self.record(name, f64::INFINITY);
        self.failures.push(format!("{name}: {cause}"));
    }

    /// Counts a quantity and keeps the largest error.
    fn record(&mut self, name: &str, error: f64) {
        self.count += 1;
        if error >= self.worst {
            (self.worst, self.worst_name) = (error, name.into());
        }
    }

    /// Adds the count and the largest error of another case.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.worst = self.worst.max(other.worst);
    }
}
