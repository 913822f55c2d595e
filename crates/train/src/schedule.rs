//! The schedule of the learning rate (specification, section 4).

use serde::{Deserialize, Serialize};

/// How the rate falls after warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Linearly to 0, as published.
    #[default]
    Linear,
    /// Along half a cosine wave to 0.
    Cosine,
}

/// Linear warm-up, then decay to 0 at the last step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Number of steps of the schedule.
    pub steps: u64,
    /// Number of warm-up steps.
    pub warmup: u64,
    /// How the rate falls after the warm-up.
    pub decay: Decay,
}

impl Schedule {
    /// A schedule whose number of warm-up steps is a share of all steps, rounded down.
    pub fn new(steps: u64, warmup_share: f64, decay: Decay) -> Self {
        Self { steps, warmup: (warmup_share * steps as f64).floor() as u64, decay }
    }

    /// The factor of the learning rate at a step, counted from 0.
    pub fn factor(&self, step: u64) -> f64 {
        if step < self.warmup {
            return step as f64 / self.warmup as f64;
        }
        let left = self.steps.saturating_sub(step) as f64 / (self.steps - self.warmup).max(1) as f64;
        match self.decay {
            Decay::Linear => left,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * (1.0 - left)).cos()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_and_falls_to_zero() {
        let schedule = Schedule::new(25, 0.1, Decay::Linear);
        assert_eq!(schedule.warmup, 2, "rounded down");
        let factors: Vec<f64> = [0, 1, 2, 24, 25].map(|step| schedule.factor(step)).to_vec();
        assert_eq!(factors, [0.0, 0.5, 1.0, 1.0 / 23.0, 0.0]);
    }

    #[test]
    fn cosine_is_half_way_in_the_middle() {
        let schedule = Schedule::new(110, 0.1, Decay::Cosine);
        assert_eq!(schedule.factor(11), 1.0);
        assert!((Schedule::new(100, 0.0, Decay::Cosine).factor(50) - 0.5).abs() < 1e-12);
        assert!(schedule.factor(110) < 1e-12);
    }

    #[test]
    fn without_warm_up_the_first_step_runs_at_full_rate() {
        assert_eq!(Schedule::new(5, 0.1, Decay::Linear).factor(0), 1.0);
    }
}
