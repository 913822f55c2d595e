//! Scores and examples of a fine-tuned run, saved in its folder so that pages can show them.

use std::collections::BTreeMap;
use std::path::Path;

use ptu_model::files;
use ptu_report::ExampleGroup;
use ptu_train::folder;

use super::report::TaskReport;
use crate::EvaluateError;
use crate::save::read;

/// The saved results of the last evaluation of a fine-tuned run on its task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedTask {
    /// The reports, by data set.
    pub reports: BTreeMap<String, TaskReport>,
    /// Examples of predictions.
    pub examples: Vec<ExampleGroup>,
}

impl SavedTask {
    /// Writes the results into a run folder and replaces earlier results.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, run: &Path) -> Result<(), EvaluateError> {
        let json = serde_json::to_vec(&self.examples).expect("examples are plain data");
        files::write_bytes(&run.join(folder::TASK_EXAMPLES), &json)?;
        let json = serde_json::to_vec_pretty(&self.reports).expect("reports are plain data with string keys");
        Ok(files::write_bytes(&run.join(folder::TASK_SCORES), &json)?)
    }

    /// Adds the results to those in a run folder: what these were not asked for (the linear probe, scores with missing images or texts, scores of
    /// groups) stays there if it was computed with the same receipt. All else is replaced, and so is a file that cannot be read.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn keep(mut self, run: &Path) -> Result<(), EvaluateError> {
        let mut earlier = Self::read(run).unwrap_or_default().reports;
        for (source, report) in &mut self.reports {
            let Some(old) = earlier.remove(source).filter(|old| old.receipt == report.receipt) else { continue };
            report.probe = report.probe.take().or(old.probe);
            if report.missing.is_empty() {
                report.missing = old.missing;
            }
            for (group, scores) in old.groups {
                report.groups.entry(group).or_insert(scores);
            }
        }
        self.write(run)
    }

    /// Reads the results from a run folder. They are empty if the run was never evaluated on a task; the examples are empty if an earlier
    /// version saved only scores.
    ///
    /// # Errors
    /// If a file cannot be read, or is not a file of scores or examples.
    pub fn read(run: &Path) -> Result<Self, EvaluateError> {
        Ok(Self { reports: read(&run.join(folder::TASK_SCORES))?, examples: read(&run.join(folder::TASK_EXAMPLES))? })
    }
}
