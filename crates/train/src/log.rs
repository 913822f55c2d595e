//! The log of a run: one JSON object a line, and scalars for TensorBoard.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use indexmap::{IndexMap, IndexSet};
use ptu_model::names::Role;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::TrainError;

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
        /// Each objective that found something to do, by name.
        objectives: IndexMap<String, ObjectiveLine>,
        /// Records drawn, by source.
        sources: BTreeMap<String, u64>,
        /// Records that no objective could use, by source; left out when there are none.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        unused: BTreeMap<String, u64>,
        /// What objectives counted besides, by name, where it is not 0.
        #[serde(flatten)]
        counts: BTreeMap<String, u64>,
    },
    /// A step whose loss or gradient was not finite: no weight moved.
    Skipped {
        /// Counted from 0.
        step: u64,
        /// Records of the batch.
        ids: Vec<String>,
    },
    /// Scores on the validation split.
    #[serde(skip)]
    Validation {
        /// Steps done.
        step: u64,
        /// What was found, as the task reads it ([`Task::validated`](crate::task::Task::validated)).
        fields: Fields,
        /// Whether it is the best so far.
        best: bool,
    },
    /// What a task counted of its own.
    #[serde(skip)]
    Task {
        /// Its name.
        event: String,
        /// Steps done.
        step: u64,
        /// What it says.
        fields: Fields,
    },
}

/// Named values of a task's own, in a line of the log beside its event and step: a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(String);

impl Fields {
    /// Of a struct or an enum whose variants hold values.
    pub fn of(values: &impl Serialize) -> Self {
        Self(json(values))
    }

    /// Read as what they were made of; `None` where they are something else.
    pub fn get<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.0).ok()
    }

    /// Without the braces, and with a comma before; nothing where there are none.
    fn inner(&self) -> String {
        match self.0.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            None | Some("") => String::new(),
            Some(inner) => format!(",{inner}"),
        }
    }
}

impl Event {
    /// The step that it belongs to, or the steps that were done then.
    pub fn step(&self) -> u64 {
        match self {
            Self::Step { step, .. }
            | Self::Skipped { step, .. }
            | Self::Validation { step, .. }
            | Self::Task { step, .. } => *step,
        }
    }

    /// Steps that are done with it.
    pub fn steps_done(&self) -> u64 {
        match self {
            Self::Step { .. } | Self::Skipped { .. } => self.step() + 1,
            Self::Validation { .. } | Self::Task { .. } => self.step(),
        }
    }

    /// Its line of the log, without the end.
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

/// What every line has.
#[derive(Deserialize)]
struct Head {
    event: String,
    step: u64,
}

fn json(values: &impl Serialize) -> String {
    serde_json::to_string(values).expect("log lines are plain data with string keys")
}

/// Names of all objectives that events tell of, in their order.
pub fn objectives(events: &[Event]) -> IndexSet<&String> {
    let mut names = IndexSet::new();
    for event in events {
        if let Event::Step { objectives, .. } = event {
            names.extend(objectives.keys());
        }
    }
    names
}

/// One objective in one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveLine {
    /// Mean, unweighted.
    pub loss: f64,
    /// Share of right answers; left out where an answer is not right or wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Answers scored.
    pub scored: usize,
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
    pub forward: IndexMap<String, f64>,
    /// Seconds of the backward pass.
    pub backward: f64,
    /// Seconds of the update.
    pub update: f64,
}

impl Timing {
    /// Its line, without the end.
    pub fn line(&self) -> String {
        json(self)
    }
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
    read_lines(path, Event::read)
}

/// Reads the timings of a run, as [`read_events`].
///
/// # Errors
/// As there.
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
            read(json)
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
        lines.write(&line(0).line()).unwrap();
        let saved = lines.sync().unwrap();
        lines.write(&line(1).line()).unwrap();
        drop(lines);
        let mut lines = Lines::open(&path, saved).unwrap();
        lines.write(&line(1).line()).unwrap();
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

    #[test]
    fn lines_are_read_as_they_were_written() {
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
