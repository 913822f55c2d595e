//! The log of a run: one JSON object a line, and scalars for TensorBoard.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ptu_model::names::Role;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::evaluate::Judged;
use crate::objective::ObjectiveKind;

/// A line of `log.jsonl`. Nothing in it depends on the clock or the machine's load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A step.
    Step {
        /// Counted from 0.
        step: u64,
        /// Weighted sum of the losses.
        loss: f64,
        /// Length of the gradient before clipping.
        gradient_norm: f64,
        /// The same by part of the network.
        #[serde(default)]
        gradient_norms: BTreeMap<Role, f64>,
        /// Learning rate of the backbone.
        learning_rate: f64,
        /// Each objective that found something to do.
        objectives: BTreeMap<ObjectiveKind, ObjectiveLine>,
        /// Records drawn, by source.
        sources: BTreeMap<String, u64>,
        /// Records that no objective could use, by source; left out when there are none.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        unused: BTreeMap<String, u64>,
        /// Texts that should have got a false image and found none; left out when there are none.
        #[serde(default, skip_serializing_if = "is_zero")]
        without_partner: u64,
    },
    /// A step whose loss or gradient was not finite: no weight moved.
    Skipped {
        /// Counted from 0.
        step: u64,
        /// Records of the batch.
        ids: Vec<String>,
    },
    /// How the prompts were used since the last such line.
    Prompts {
        /// Steps done.
        step: u64,
        /// Stand-ins for images.
        image: PoolLine,
        /// Stand-ins for texts.
        text: PoolLine,
    },
    /// Scores on the validation split.
    Validation {
        /// Steps done.
        step: u64,
        /// By what.
        #[serde(flatten)]
        judged: Judged,
        /// Whether it is the best so far.
        best: bool,
    },
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One objective in one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveLine {
    /// Mean, unweighted.
    pub loss: f64,
    /// Share of right answers.
    pub accuracy: f64,
    /// Answers scored.
    pub scored: usize,
}

/// How one pool was used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolLine {
    /// Rows.
    pub size: usize,
    /// Inputs that prompts stood in for.
    pub inputs: u64,
    /// Share of rows that were chosen at least once.
    pub share_chosen: Option<f64>,
    /// Of the distribution over rows; at most log2(size).
    pub entropy_bits: Option<f64>,
    /// Different sets of rows per 1,000 inputs.
    pub sets_per_thousand: Option<f64>,
    /// (row, how often), most used first.
    pub most_used: Vec<(usize, u64)>,
}

/// A line of `timing.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Counted from 0.
    pub step: u64,
    /// Seconds of the whole step.
    pub seconds: f64,
    /// Records a second.
    pub records_per_second: f64,
    /// Seconds spent waiting for the loader.
    pub waiting: f64,
    /// Seconds of each objective's forward pass: its head, and of what the objectives compute together the share of its tokens
    /// in the fusion.
    pub forward: BTreeMap<ObjectiveKind, f64>,
    /// Seconds of the backward pass.
    pub backward: f64,
    /// Seconds of the update.
    pub update: f64,
}

/// A file that grows by whole lines and can be cut back to what a saved state knows.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Lines {
    /// Opens a file and cuts it to `length` bytes; what a killed run wrote beyond its last state is written again.
    ///
    /// # Errors
    /// When it cannot be opened or is shorter.
    pub fn open(path: &Path, length: u64) -> Result<Self, TrainError> {
        let error = |source| TrainError::File { action: "open", path: path.into(), source };
        let mut file = File::options().create(true).truncate(false).write(true).open(path).map_err(error)?;
        let found = file.metadata().map_err(error)?.len();
        if found < length {
            return Err(TrainError::State {
                path: path.into(),
                cause: format!("it has {found} bytes, the saved state knows {length}"),
            });
        }
        file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0))).map_err(error)?;
        Ok(Self { path: path.into(), file, length })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When it cannot be written (a full disk).
    pub fn write(&mut self, line: &impl Serialize) -> Result<(), TrainError> {
        let mut json = serde_json::to_vec(line).expect("log lines are plain data with string keys");
        json.push(b'\n');
        self.append(&json)
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), TrainError> {
        let written = self.file.write_all(bytes);
        written.map_err(|source| TrainError::File { action: "write", path: self.path.clone(), source })?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Makes sure that all lines are on disk; returns the length.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn sync(&mut self) -> Result<u64, TrainError> {
        self.file.sync_all().map_err(|source| TrainError::File { action: "sync", path: self.path.clone(), source })?;
        Ok(self.length)
    }
}

/// Reads the events of a run; a last line without its end (a killed run) is left out.
///
/// # Errors
/// A file that cannot be read or holds something else.
pub fn read_events(path: &Path) -> Result<Vec<Event>, TrainError> {
    read_lines(path)
}

/// Reads the timings of a run, as [`read_events`].
///
/// # Errors
/// As there.
pub fn read_timings(path: &Path) -> Result<Vec<Timing>, TrainError> {
    read_lines(path)
}

fn read_lines<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Vec<T>, TrainError> {
    let text =
        fs::read_to_string(path).map_err(|source| TrainError::File { action: "read", path: path.into(), source })?;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .enumerate()
        .map(|(line, json)| {
            serde_json::from_str(json)
                .map_err(|error| TrainError::State { path: path.into(), cause: format!("line {}: {error}", line + 1) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_a_saved_state_are_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let line = |step| Event::Skipped { step, ids: vec!["a".into()] };
        let mut lines = Lines::open(&path, 0).unwrap();
        lines.write(&line(0)).unwrap();
        let saved = lines.sync().unwrap();
        lines.write(&line(1)).unwrap();
        drop(lines);
        let mut lines = Lines::open(&path, saved).unwrap();
        lines.write(&line(1)).unwrap();
        assert_eq!(read_events(&path).unwrap(), [line(0), line(1)]);
        assert!(Lines::open(&path, 10_000).unwrap_err().to_string().contains("saved state knows 10000"));
    }

    #[test]
    fn a_torn_last_line_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        fs::write(&path, "{\"event\":\"skipped\",\"step\":3,\"ids\":[]}\n{\"event\":\"sk").unwrap();
        assert_eq!(read_events(&path).unwrap().len(), 1);
        fs::write(&path, "{\"event\":\"coffee\"}\n").unwrap();
        assert!(read_events(&path).unwrap_err().to_string().contains("line 1"));
    }
}
