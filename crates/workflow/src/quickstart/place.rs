//! The folder of a quickstart: what was asked for stands in it first, so that the same command goes on in it, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ptu_input::files::TEMPORARY;
use ptu_model::files;
use ptu_prepare::table::ColumnNames;
use ptu_train::folder::{holds_others, lock};
use serde::{Deserialize, Serialize};

use super::{Corpus, OwnTable, QuickstartOptions};
use crate::WorkflowError;

/// What was asked for.
const ASKED: &str = "quickstart.json";
const LOCK: &str = "lock";
/// Where shards are made, and what is left of it after a kill.
const MAKING: &str = ".data.prepare";
/// The largest such file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// All that decides what a quickstart does.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    version: String,
    /// What was asked for, by the options of the command.
    options: BTreeMap<String, String>,
    /// Hash of the table, where it is a file.
    table: Option<String>,
}

/// The option that names the table.
const TABLE: &str = "--table";

/// Options that do not tell of the corpus.
const OTHERS: [&str; 3] = ["--seed", "--minutes", "--set"];

impl Asked {
    fn of(options: &QuickstartOptions) -> Result<Self, WorkflowError> {
        let (mut given, table) = match &options.corpus {
            Corpus::Phantom(pairs) => (BTreeMap::from([("--pairs".to_string(), pairs.to_string())]), None),
            Corpus::Table(own) => (given(own), hash(&own.path)?),
        };
        given.insert("--seed".into(), options.seed.to_string());
        given.extend(options.minutes.map(|minutes| ("--minutes".into(), minutes.to_string())));
        if !options.overrides.is_empty() {
            given.insert("--set".into(), options.overrides.join(" "));
        }
        Ok(Self { version: env!("CARGO_PKG_VERSION").into(), options: given, table })
    }

    /// What is not as it was, in the words of the command.
    fn differs(&self, before: &Self) -> Vec<String> {
        let mut differs = vec![];
        if before.version != self.version {
            differs.push(format!("the version of ptunifier ({}, now {})", before.version, self.version));
        }
        let other_corpus = before.options.contains_key(TABLE) != self.options.contains_key(TABLE);
        if other_corpus {
            differs.push(format!("the corpus ({}, now {})", before.corpus(), self.corpus()));
        }
        let names: BTreeSet<&String> = before.options.keys().chain(self.options.keys()).collect();
        for name in names.into_iter().filter(|name| !other_corpus || OTHERS.contains(&name.as_str())) {
            let of = |asked: &'_ Self| asked.options.get(name).cloned().unwrap_or_else(|| "not given".into());
            if of(before) != of(self) {
                differs.push(format!("`{name}` ({}, now {})", of(before), of(self)));
            }
        }
        if before.options.get(TABLE) == self.options.get(TABLE) && before.table != self.table {
            differs.push("the table, which has changed meanwhile".into());
        }
        differs
    }

    fn corpus(&self) -> String {
        self.options.get(TABLE).map_or("drawn pairs".into(), |path| format!("table `{path}`"))
    }
}

/// What was said about a table, by the options of the command; those of `prepare table` where `quickstart` has none.
fn given(own: &OwnTable) -> BTreeMap<String, String> {
    let OwnTable { path, columns, validate, test, skip_bad } = own;
    // However it is spelt: as `./pairs.csv`, or through a link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    let ColumnNames { image, texts, id, patient, split, labels, fields } = columns;
    let all = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
    let given = [
        (TABLE, Some(path.display().to_string())),
        ("--image", image.clone()),
        ("--text", all(texts)),
        ("--id", id.clone()),
        ("--patient", patient.clone()),
        ("--split", split.clone()),
        ("--label", all(labels)),
        ("--field", fields.as_ref().map(|fields| fields.join(", "))),
        ("--validate", Some(validate.to_string())),
        ("--test", Some(test.to_string())),
        ("--skip-bad", skip_bad.then(|| "given".into())),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?))).collect()
}

/// SHA-256 of a file, in hexadecimal; `None` of a folder.
fn hash(path: &Path) -> Result<Option<String>, WorkflowError> {
    let error = |source| WorkflowError::File { action: "read", path: path.into(), source };
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
    /// Takes a new or empty folder, or one that the same command has begun in, or one in which a command has made nothing yet.
    ///
    /// # Errors
    /// A folder with something else in it, one of another command, one in use.
    pub fn take(options: &QuickstartOptions) -> Result<Self, WorkflowError> {
        let out = &options.out;
        let asked = Asked::of(options)?;
        let error = |action| move |source| WorkflowError::File { action, path: out.clone(), source };
        fs::create_dir_all(out).map_err(error("make"))?;
        let file = out.join(ASKED);
        let ours = |name: &str| [LOCK, ASKED, MAKING].contains(&name) || name.starts_with(TEMPORARY);
        let made = || holds_others(out, ours).map_err(error("read"));
        if made()? && !file.exists() {
            return Err(WorkflowError::NotEmpty { path: out.clone() });
        }
        let lock = lock(&out.join(LOCK), out)?;
        if file.exists() && made()? {
            let wrong = |cause| WorkflowError::Quickstarted { path: out.clone(), cause };
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
