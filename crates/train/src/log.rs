//! The log of a run: a file with one JSON object per line. The scalars for TensorBoard are in `tensorboard.rs`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use indexmap::{IndexMap, IndexSet};
use ptu_model::names::Role;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// A line of `log.jsonl`. Its content does not depend on the clock or on the load of the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A training step.
    Step {
        /// Counted from 0.
        step: u64,
        /// Weighted sum of the losses.
        loss: f64,
        /// L2 norm of the gradient before clipping.
        gradient_norm: f64,
        /// The same for each part of the network.
        #[serde(default)]
        gradient_norms: BTreeMap<Role, f64>,
        /// Learning rate of the backbone.
        learning_rate: f64,
        /// The result of each objective that could use the batch, by name.
        objectives: IndexMap<String, ObjectiveLine>,
        /// Number of records in the batch, by source.
        sources: BTreeMap<String, u64>,
        /// Number of records that no objective could use, by their kind or source; omitted when there are none.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        unused: BTreeMap<String, u64>,
        /// Other counts of the objectives, by name; counts of 0 are omitted.
        #[serde(flatten)]
        counts: BTreeMap<String, u64>,
    },
    /// A step whose loss or gradient was not finite: no weight was changed.
    Skipped {
        /// Counted from 0.
        step: u64,
        /// Ids of the records in the batch.
        ids: Vec<String>,
    },
    /// Scores on the validation split.
    #[serde(skip)]
    Validation {
        /// Steps done.
        step: u64,
        /// The scores, in the form that the task reads ([`Task::validated`](crate::task::Task::validated)).
        fields: Fields,
        /// Whether the model is the best so far.
        best: bool,
    },
    /// An event of the task's own: what it has counted.
    #[serde(skip)]
    Task {
        /// Name of the event.
        event: String,
        /// Steps done.
        step: u64,
        /// Its values.
        fields: Fields,
    },
}

/// Named values of a task, as a JSON object. In a line of the log they stand after event and step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(String);

impl Fields {
    /// Serializes a struct, a map or an enum whose variants contain values.
    pub fn of(values: &impl Serialize) -> Self {
        Self(json(values))
    }

    /// Deserializes the values; `None` when they do not have the form of `T`.
    pub fn get<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.0).ok()
    }

    /// The values without braces and with a comma before them; empty when there are no values.
    fn inner(&self) -> String {
        match self.0.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            None | Some("") => String::new(),
            Some(inner) => format!(",{inner}"),
        }
    }
}

impl Event {
    /// The number of the step, from 0; for validations and events of tasks, the number of steps done before.
    pub fn step(&self) -> u64 {
        match self {
            Self::Step { step, .. }
            | Self::Skipped { step, .. }
            | Self::Validation { step, .. }
            | Self::Task { step, .. } => *step,
        }
    }

    /// The number of steps that are done after this event.
    pub fn steps_done(&self) -> u64 {
        match self {
            Self::Step { .. } | Self::Skipped { .. } => self.step() + 1,
            Self::Validation { .. } | Self::Task { .. } => self.step(),
        }
    }

    /// The event as a line of the log, without the line break.
    pub fn line(&self) -> String {
        match self {
            Self::Validation { step, fields, best } => {
                format!("{{\"event\":\"validation\",\"step\":{step}{},\"best\":{best}}}", fields.inner())
            }
            Self::Task { event, step, fields } => {
                format!("{{\"event\":{},\"step\":{step}{}}}", json(event), fields.inner())
            }
            Self::Step { .. } | Self::Skipped { .. } => json(self),
        }
    }

    /// Parses a line of the log.
    fn read(line: &str) -> Result<Self, serde_json::Error> {
        let Head { event, step } = serde_json::from_str(line)?;
        if let "step" | "skipped" = event.as_str() {
            return serde_json::from_str(line);
        }
        let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)?;
        ["event", "step"].iter().for_each(|name| drop(object.remove(*name)));
        if event == "validation" {
            let best = object.remove("best").and_then(|best| best.as_bool()).unwrap_or(false);
            return Ok(Self::Validation { step, fields: Fields::of(&object), best });
        }
        Ok(Self::Task { event, step, fields: Fields::of(&object) })
    }
}

/// The fields that every line has.
#[derive(Deserialize)]
struct Head {
    event: String,
    step: u64,
}

fn json(values: &impl Serialize) -> String {
    serde_json::to_string(values).expect("log lines are plain data with string keys")
}

/// The names of all objectives in these events, in the order of their first appearance.
pub fn objectives(events: &[Event]) -> IndexSet<&String> {
    let mut names = IndexSet::new();
    for event in events {
        if let Event::Step { objectives, .. } = event {
            names.extend(objectives.keys());
        }
    }
    names
}

/// The result of one objective in one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveLine {
    /// Mean loss, without the objective's weight.
    pub loss: f64,
    /// Share of right answers; omitted for objectives whose answers are not right or wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Number of scored answers.
    pub scored: usize,
}

/// A line of `timing.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Counted from 0.
    pub step: u64,
    /// Seconds of the whole step.
    pub seconds: f64,
    /// Records per second.
    pub records_per_second: f64,
    /// Seconds spent waiting for the data loader.
    pub waiting: f64,
    /// Seconds of each objective's forward pass: the time of its head, plus its part of the time that all objectives share, in
    /// proportion to its number of tokens in the fusion.
    pub forward: IndexMap<String, f64>,
    /// Seconds of the backward pass.
    pub backward: f64,
    /// Seconds of the update.
    pub update: f64,
}

impl Timing {
    /// The timing as a line of the file, without the line break.
    pub fn line(&self) -> String {
        json(self)
    }
}

/// A file that grows by whole lines and can be cut back to the length that a saved state has recorded.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Lines {
    /// Opens a file and cuts it to `length` bytes. What a killed run wrote after its last saved state is removed, because the
    /// resumed run writes it again.
    ///
    /// # Errors
    /// When the file cannot be opened, or is shorter than `length`.
    pub fn open(path: &Path, length: u64) -> Result<Self, TrainError> {
        let error = |source| TrainError::File { action: "open", path: path.into(), source };
        let mut file = File::options().create(true).truncate(false).write(true).open(path).map_err(error)?;
        let found = file.metadata().map_err(error)?.len();
        if found < length {
            return Err(TrainError::Damaged {
                path: path.into(),
                cause: format!("it has {found} bytes, but the saved state expects {length}"),
            });
        }
        file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0))).map_err(error)?;
        Ok(Self { path: path.into(), file, length })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When it cannot be written (for example because the disk is full).
    pub fn write(&mut self, line: &str) -> Result<(), TrainError> {
        self.append(format!("{line}\n").as_bytes())
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

    /// Makes sure that all lines are on the disk, and returns the length of the file in bytes.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn sync(&mut self) -> Result<u64, TrainError> {
        self.file.sync_all().map_err(|source| TrainError::File { action: "sync", path: self.path.clone(), source })?;
        Ok(self.length)
    }
}

/// Reads the events of a run. An incomplete last line (of a killed run) is ignored.
///
/// # Errors
/// When the file cannot be read, or a line is not an event.
pub fn read_events(path: &Path) -> Result<Vec<Event>, TrainError> {
    read_lines(path, Event::read)
}

/// Reads the timings of a run, in the same way as [`read_events`].
///
/// # Errors
/// When the file cannot be read, or a line is not a timing.
pub fn read_timings(path: &Path) -> Result<Vec<Timing>, TrainError> {
    read_lines(path, |line| serde_json::from_str(line))
}

fn read_lines<T>(path: &Path, read: fn(&str) -> Result<T, serde_json::Error>) -> Result<Vec<T>, TrainError> {
    let text =
        fs::read_to_string(path).map_err(|source| TrainError::File { action: "read", path: path.into(), source })?;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .enumerate()
        .map(|(line, json)| {
            read(json).map_err(|error| TrainError::Damaged {
                path: path.into(),
                cause: format!("line {}: {error}", line + 1),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_after_the_saved_state_are_removed_and_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let line = |step| Event::Skipped { step, ids: vec!["a".into()] };
        let mut lines = Lines::open(&path, 0).unwrap();
        lines.write(&line(0).line()).unwrap();
        let saved = lines.sync().unwrap();
        lines.write(&line(1).line()).unwrap();
        drop(lines);
        let mut lines = Lines::open(&path, saved).unwrap();
        lines.write(&line(1).line()).unwrap();
        assert_eq!(read_events(&path).unwrap(), [line(0), line(1)]);
        assert!(Lines::open(&path, 10_000).unwrap_err().to_string().contains("saved state expects 10000"));
    }

    #[test]
    fn an_incomplete_last_line_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        fs::write(&path, "{\"event\":\"skipped\",\"step\":3,\"ids\":[]}\n{\"event\":\"sk").unwrap();
        assert_eq!(read_events(&path).unwrap().len(), 1);
        fs::write(&path, "{\"event\":\"coffee\"}\n").unwrap();
        assert!(read_events(&path).unwrap_err().to_string().contains("line 1"));
    }

    #[test]
    fn events_survive_writing_and_reading() {
        let step = Event::Step {
            step: 7,
            loss: 0.5,
            gradient_norm: 1.0,
            gradient_norms: BTreeMap::new(),
            learning_rate: 1e-4,
            objectives: ["mlm", "itc"]
                .map(|name| (name.into(), ObjectiveLine { loss: 0.5, accuracy: None, scored: 3 }))
                .into(),
            sources: BTreeMap::from([("a".into(), 4)]),
            unused: BTreeMap::new(),
            counts: BTreeMap::from([("without_partner".into(), 2)]),
        };
        let fields = || Fields::of(&BTreeMap::from([("score", 0.5)]));
        let validation = Event::Validation { step: 8, fields: fields(), best: true };
        let own = Event::Task { event: "prompts".into(), step: 8, fields: Fields::of(&BTreeMap::<String, u8>::new()) };
        for (event, line) in [
            (
                step,
                "{\"event\":\"step\",\"step\":7,\"loss\":0.5,\"gradient_norm\":1.0,\"gradient_norms\":{},\
                 \"learning_rate\":0.0001,\"objectives\":{\"mlm\":{\"loss\":0.5,\"scored\":3},\"itc\":{\"loss\":0.5,\
                 \"scored\":3}},\"sources\":{\"a\":4},\"without_partner\":2}",
            ),
            (validation, "{\"event\":\"validation\",\"step\":8,\"score\":0.5,\"best\":true}"),
            (own, "{\"event\":\"prompts\",\"step\":8}"),
        ] {
            assert_eq!(event.line(), line);
            assert_eq!(Event::read(line).unwrap(), event);
        }
        assert_eq!(fields().get::<BTreeMap<String, f64>>().unwrap()["score"], 0.5);
    }
}
