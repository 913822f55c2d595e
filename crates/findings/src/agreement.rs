//! Agreement of the findings of generated reports with those of the true ones.

use crate::observation::{Findings, Observation, Status};

/// How often an observation is positive in both reports or in one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Positive in both reports.
    pub true_positive: usize,
    /// Positive in the generated report alone.
    pub false_positive: usize,
    /// Positive in the true report alone.
    pub false_negative: usize,
}

impl Counts {
    /// Share of the generated report's positives that are right; `None` if it has none.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.true_positive, self.true_positive + self.false_positive)
    }

    /// Share of the true report's positives that are found; `None` if it has none.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.true_positive, self.true_positive + self.false_negative)
    }

    /// F1, `2 tp / (2 tp + fp + fn)`; `None` if neither report has a positive.
    pub fn f1(&self) -> Option<f64> {
        let twice = 2 * self.true_positive;
        ratio(twice, twice + self.false_positive + self.false_negative)
    }

    /// Counts one report.
    pub fn add(&mut self, generated: bool, truth: bool) {
        match (generated, truth) {
            (true, true) => self.true_positive += 1,
            (true, false) => self.false_positive += 1,
            (false, true) => self.false_negative += 1,
            (false, false) => {}
        }
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The mean of F1 over observations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MacroF1 {
    /// The mean over the observations that are positive somewhere; `None` if there is none.
    pub value: Option<f64>,
    /// How many observations are left out because they are positive in no report of either side.
    pub left_out: usize,
}

/// Counts of positive findings in generated reports against those in the true reports.
///
/// Only `Positive` counts: uncertain, negative and not mentioned are all "not positive", as in the published scores of
/// report generation ("clinical efficacy"; Chen et al., 2020).
#[derive(Debug, Clone, Default)]
pub struct FindingAgreement {
    counts: [Counts; 14],
    reports: usize,
}

impl FindingAgreement {
    /// Adds one report: what is found in the generated text and in the true one.
    pub fn add(&mut self, generated: &Findings, truth: &Findings) {
        self.reports += 1;
        for observation in Observation::ALL {
            let positive = |findings: &Findings| findings.status(observation) == Status::Positive;
            self.counts[observation as usize].add(positive(generated), positive(truth));
        }
    }

    /// How many reports were added.
    pub fn reports(&self) -> usize {
        self.reports
    }

    /// The counts of one observation.
    pub fn counts(&self, observation: Observation) -> Counts {
        self.counts[observation as usize]
    }

    /// F1 of the counts summed over `observations`; `None` if none of them is positive anywhere.
    pub fn micro_f1(&self, observations: &[Observation]) -> Option<f64> {
        let mut sum = Counts::default();
        for counts in observations.iter().map(|it| self.counts(*it)) {
            sum.true_positive += counts.true_positive;
            sum.false_positive += counts.false_positive;
            sum.false_negative += counts.false_negative;
        }
        sum.f1()
    }

    /// The mean of F1 over `observations`, and how many of them have no F1 and are left out.
    pub fn macro_f1(&self, observations: &[Observation]) -> MacroF1 {
        let defined: Vec<f64> = observations.iter().filter_map(|it| self.counts(*it).f1()).collect();
        let value = (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64);
        MacroF1 { value, left_out: observations.len() - defined.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Observation::{Atelectasis, Cardiomegaly, Edema, Fracture, PleuralEffusion};

    fn positive(observations: &[Observation]) -> Findings {
        let mut findings = Findings::default();
        for observation in observations {
            findings.mention(*observation, Status::Positive);
        }
        findings
    }

    #[test]
    fn f1_by_hand() {
        let mut agreement = FindingAgreement::default();
        agreement.add(&positive(&[Cardiomegaly, Edema]), &positive(&[Cardiomegaly, PleuralEffusion]));
        agreement.add(&positive(&[Cardiomegaly]), &positive(&[]));
        agreement.add(&positive(&[]), &positive(&[Cardiomegaly, Fracture]));
        agreement.add(&positive(&[Cardiomegaly, Fracture]), &positive(&[Cardiomegaly, Fracture]));
        assert_eq!(agreement.reports(), 4);
        let cardiomegaly = agreement.counts(Cardiomegaly);
        assert_eq!(cardiomegaly, Counts { true_positive: 2, false_positive: 1, false_negative: 1 });
        assert_eq!(cardiomegaly.precision(), Some(2.0 / 3.0));
        assert_eq!(agreement.counts(Edema).recall(), None, "the true reports have no edema");
        assert_eq!(agreement.counts(Edema).f1(), Some(0.0));
        assert_eq!(agreement.counts(Atelectasis).f1(), None);
        // Cardiomegaly 4/6, edema 0, effusion 0, fracture 2/3; ten others are left out.
        let all = agreement.macro_f1(&Observation::ALL);
        assert_eq!((all.value, all.left_out), (Some((2.0 / 3.0 + 2.0 / 3.0) / 4.0), 10));
        // tp 3, fp 2, fn 3 over all; tp 2, fp 2, fn 2 over the five.
        assert_eq!(agreement.micro_f1(&Observation::ALL), Some(6.0 / 11.0));
        assert_eq!(agreement.micro_f1(&Observation::COMPETITION), Some(0.5));
        assert_eq!(agreement.macro_f1(&[Atelectasis]), MacroF1 { value: None, left_out: 1 });
        assert_eq!(FindingAgreement::default().micro_f1(&Observation::ALL), None);
    }

    #[test]
    fn only_positive_counts() {
        let mut uncertain = Findings::default();
        uncertain.mention(Edema, Status::Uncertain);
        let mut agreement = FindingAgreement::default();
        agreement.add(&uncertain, &positive(&[Edema]));
        assert_eq!(agreement.counts(Edema), Counts { false_negative: 1, ..Counts::default() });
    }
}
