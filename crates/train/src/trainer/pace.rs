//! Estimates how long a run will take.

use crate::Recipe;

/// The time that a step and a validation take on this machine, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// Seconds of a step.
    pub step: f64,
    /// Seconds of a validation.
    pub validation: f64,
}

impl Pace {
    /// Seconds of a run from step `from` to its end, including validations.
    pub fn training(&self, recipe: &Recipe, from: u64) -> f64 {
        let steps = recipe.train.steps.saturating_sub(from) as f64;
        let validations = match recipe.train.validate_every {
            0 => 0.0,
            every => (steps / every as f64).ceil(),
        };
        steps * self.step + validations * self.validation
    }

    /// A sentence about the time of a run from step `from` to its end. Validations of which the time is not known are not included, and
    /// the sentence says so.
    pub fn forecast(&self, recipe: &Recipe, from: u64) -> String {
        let validations = match (recipe.train.validate_every, self.validation) {
            (0, _) => String::new(),
            (_, 0.0) => " without validation".into(),
            (_, seconds) => format!(" with validations of about {seconds:.1} s each"),
        };
        let steps = recipe.train.steps.saturating_sub(from);
        let total = format_duration(self.training(recipe, from));
        format!("{steps} steps of about {:.2} s each: {total} in total{validations}", self.step)
    }
}

/// Formats a duration for people: `12 s`, `4 min 10 s`, `3 h 2 min`.
pub fn format_duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, ..) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn durations_are_written_in_at_most_two_units() {
        assert_eq!(format_duration(12.4), "12 s");
        assert_eq!(format_duration(59.7), "1 min 0 s");
        assert_eq!(format_duration(3_725.0), "1 h 2 min");
        assert_eq!(format_duration(90_000.0), "1 d 1 h");
    }

    #[test]
    fn the_time_of_a_run_includes_its_validations() {
        let text = "data = [\"a\"]\n[train]\nsteps = 100\nbatch = 4\nvalidate_every = 30\n";
        let recipe = Recipe::parse(text, Path::new("r.toml"), &[]).unwrap();
        let pace = Pace { step: 2.0, validation: 5.0 };
        assert_eq!(pace.training(&recipe, 0), 200.0 + 4.0 * 5.0);
        assert_eq!(pace.training(&recipe, 90), 20.0 + 5.0);
        assert_eq!(pace.training(&recipe, 100), 0.0);
        let text = pace.forecast(&recipe, 0);
        assert_eq!(text, "100 steps of about 2.00 s each: 3 min 40 s in total with validations of about 5.0 s each");
        assert!(Pace { validation: 0.0, ..pace }.forecast(&recipe, 0).ends_with("in total without validation"));
    }
}
