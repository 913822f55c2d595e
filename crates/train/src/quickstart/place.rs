//! The folder of a quickstart: what was asked for stands in it first, so that the same command goes on in it, and no other.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ptu_input::files::TEMPORARY;
use serde::{Deserialize, Serialize};

use super::{Corpus, OwnTable, QuickstartOptions};
use crate::folder::{holds_others, lock};
use crate::{TrainError, files};

/// What was asked for.
const ASKED: &str = "quickstart.json";
const LOCK: &str = "lock";
/// The largest such file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// All that decides what a quickstart does.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    version: String,
    corpus: String,
    /// Hash of the table, where it is a file.
    table: Option<String>,
    seed: u64,
    minutes: Option<u32>,
    set: Vec<String>,
}

impl Asked {
    fn of(options: &QuickstartOptions) -> Result<Self, TrainError> {
        let table = match &options.corpus {
            Corpus::Phantom(_) => None,
            Corpus::Table(own) => hash(&own.path)?,
        };
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").into(),
            corpus: match &options.corpus {
                Corpus::Phantom(pairs) => format!("{pairs} phantom pairs"),
                Corpus::Table(own) => {
                    let path = std::path::absolute(&own.path).unwrap_or_else(|_| own.path.clone());
                    format!("{:?}", OwnTable { path, ..own.clone() })
                }
            },
            table,
            seed: options.seed,
            minutes: options.minutes,
            set: options.overrides.clone(),
        })
    }

    /// What is not as it was, in the words of the command.
    fn differs(&self, before: &Self) -> Vec<String> {
        let text = |minutes: Option<u32>| minutes.map_or("none".into(), |minutes| minutes.to_string());
        let mut differs = vec![];
        let mut compare = |what: &str, before: String, now: String| {
            if before != now {
                differs.push(format!("{what} ({before}, now {now})"));
            }
        };
        compare("the version of ptunifier", before.version.clone(), self.version.clone());
        compare("the corpus", before.corpus.clone(), self.corpus.clone());
        compare("--seed", before.seed.to_string(), self.seed.to_string());
        compare("--minutes", text(before.minutes), text(self.minutes));
        compare("--set", before.set.join(" "), self.set.join(" "));
        if before.table != self.table {
            differs.push("the table, which has changed meanwhile".into());
        }
        differs
    }
}

/// SHA-256 of a file, in hexadecimal; `None` of a folder.
fn hash(path: &Path) -> Result<Option<String>, TrainError> {
    let error = |source| TrainError::File { action: "read", path: path.into(), source };
    let file = File::open(path).map_err(error)?;
    if !file.metadata().map_err(error)?.is_file() {
        return Ok(None);
    }
    ptu_data::sha256(file).map(Some).map_err(error)
}

/// A folder that only this process works in.
pub(super) struct Place {
    pub data: PathBuf,
    pub run: PathBuf,
    pub vectors: PathBuf,
    pub page: PathBuf,
    /// Held as long as the work goes on.
    _lock: File,
}

impl Place {
    /// Takes a new or empty folder, or one that the same command has begun in.
    ///
    /// # Errors
    /// A folder with something else in it, one of another command, one in use.
    pub fn take(options: &QuickstartOptions) -> Result<Self, TrainError> {
        let out = &options.out;
        let asked = Asked::of(options)?;
        let error = |action| move |source| TrainError::File { action, path: out.clone(), source };
        fs::create_dir_all(out).map_err(error("make"))?;
        let file = out.join(ASKED);
        let ours = |name: &str| name == LOCK || name.starts_with(TEMPORARY);
        if holds_others(out, ours).map_err(error("read"))? && !file.exists() {
            return Err(TrainError::NotEmpty { path: out.clone() });
        }
        let lock = lock(&out.join(LOCK), out)?;
        if file.exists() {
            let wrong = |cause| TrainError::Quickstarted { path: out.clone(), cause };
            let before: Asked = serde_json::from_slice(&files::read(&file, LARGEST)?)
                .map_err(|error| wrong(format!("its `{ASKED}` cannot be read ({error})")))?;
            let differs = asked.differs(&before);
            if !differs.is_empty() {
                return Err(wrong(format!("it differs in {}", differs.join(", "))));
            }
        } else {
            files::write_bytes(&file, &serde_json::to_vec_pretty(&asked).expect("plain data"))?;
        }
        let [data, run, vectors, page] = ["data", "run", "vectors.parquet", "report.html"].map(|name| out.join(name));
        Ok(Self { data, run, vectors, page, _lock: lock })
    }
}
