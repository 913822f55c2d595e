//! Comparison of ours with theirs.

/// How far ours may be from theirs.
#[derive(Clone, Copy)]
struct Tolerance {
    /// The largest error, relative to the largest of theirs.
    limit: f64,
    /// The divisor is at least this.
    least: f64,
}

/// Values, losses, trajectory.
const VALUES: Tolerance = Tolerance { limit: 1e-4, least: 1e-30 };
/// Gradients: some are zero in exact arithmetic and hold rounding only.
const GRADIENTS: Tolerance = Tolerance { limit: 1e-4, least: 1e-4 };
/// Weights after training.
const WEIGHTS_AFTER: Tolerance = Tolerance { limit: 3e-5, least: 1e-30 };

/// What was compared.
#[derive(Debug, Default)]
pub struct Quantities {
    /// How many tensors.
    pub count: usize,
    /// Largest error over its tolerance, times 1e-4.
    pub worst: f64,
    /// Where that was.
    pub worst_name: String,
    /// What was beyond its limit.
    pub failures: Vec<String>,
}

impl Quantities {
    /// Compares by the largest error relative to the largest of theirs.
    pub fn values(&mut self, name: &str, ours: &[f32], theirs: &[f32]) {
        self.compare(name, ours, theirs, VALUES);
    }

    /// As [`Self::values`], the divisor at least 1e-4.
    pub fn gradient(&mut self, name: &str, ours: &[f32], theirs: &[f32]) {
        self.compare(name, ours, theirs, GRADIENTS);
    }

    /// As [`Self::values`], with the limit of weights after training.
    pub fn weights_after(&mut self, name: &str, ours: &[f32], theirs: &[f32]) {
        self.compare(name, ours, theirs, WEIGHTS_AFTER);
    }

    fn compare(&mut self, name: &str, ours: &[f32], theirs: &[f32], Tolerance { limit, least }: Tolerance) {
        if ours.len() != theirs.len() {
            self.fail(name, format!("{} values, expected {}", ours.len(), theirs.len()));
            return;
        }
        let largest = theirs.iter().fold(least, |largest, x| largest.max(f64::from(x.abs())));
        let off = ours.iter().zip(theirs).map(|(x, y)| (f64::from(*x) - f64::from(*y)).abs());
        // A NaN must fail, and `max` would drop it.
        let error = off.fold(0.0, |worst: f64, x| if x.is_nan() { f64::INFINITY } else { worst.max(x) }) / largest;
        self.note(name, error / limit * VALUES.limit);
        if error > limit {
            self.failures.push(format!("{name} is off by {error:.2e}, limit {limit:.0e}"));
        }
    }

    /// Compares choices, which must be the same.
    pub fn same<T: PartialEq + std::fmt::Debug>(&mut self, name: &str, ours: &T, theirs: &T) {
        self.note(name, 0.0);
        if ours != theirs {
            self.failures.push(format!("{name} differs: {ours:?}, expected {theirs:?}"));
        }
    }

    /// Something that cannot be compared.
    pub fn fail(&mut self, name: &str, cause: String) {
        self.note(name, f64::INFINITY);
        self.failures.push(format!("{name}: {cause}"));
    }

    fn note(&mut self, name: &str, error: f64) {
        self.count += 1;
        if error >= self.worst {
            (self.worst, self.worst_name) = (error, name.into());
        }
    }

    /// Adds those of another case.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.worst = self.worst.max(other.worst);
    }
}
