//! The output folder of a quickstart. The options are saved in it first, so that the same command can continue there later,
//! and a different command is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ptu_input::files::TEMPORARY;
use ptu_model::files;
use ptu_prepare::table::ColumnNames;
use ptu_train::folder::{holds_others, lock};
use serde::{Deserialize, Serialize};

use super::{Corpus, OwnTable, QuickstartOptions, RUN};
use crate::WorkflowError;

/// The file with the saved options.
const REQUEST_FILE: &str = "quickstart.json";
/// The file that is locked while a process works in the folder.
const LOCK: &str = "lock";
/// The temporary folder in which shards are prepared; it may remain if the process was killed.
const PREPARING: &str = ".data.prepare";
/// The largest file of saved options that is read, in bytes.
const MAX_REQUEST_BYTES: u64 = 1 << 20;

/// Everything that determines the result of a quickstart.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    version: String,
    /// The value of each command line option.
    options: BTreeMap<String, String>,
    /// SHA-256 of the table, if it is a file.
    table: Option<String>,
}

/// The option that names the table.
const TABLE: &str = "--table";

/// Options that do not describe the corpus.
const OTHER_OPTIONS: [&str; 4] = ["--init", "--seed", "--minutes", "--set"];

impl Request {
    fn of(options: &QuickstartOptions) -> Result<Self, WorkflowError> {
        let (mut values, table) = match &options.corpus {
            Corpus::Phantom(pairs) => (BTreeMap::from([("--pairs".to_string(), pairs.to_string())]), None),
            Corpus::Table(own) => (table_options(own), hash(&own.path)?),
        };
        values.insert("--seed".into(), options.seed.to_string());
        values.extend(options.minutes.map(|minutes| ("--minutes".into(), minutes.to_string())));
        if let Some(init) = &options.init {
            values.insert("--init".into(), format!("{} {}", init.image.display(), init.text.display()));
        }
        if !options.overrides.is_empty() {
            values.insert("--set".into(), options.overrides.join(" "));
        }
        Ok(Self { version: env!("CARGO_PKG_VERSION").into(), options: values, table })
    }

    /// Lists the differences from the saved request, by the option names of the command.
    fn differences(&self, before: &Self) -> Vec<String> {
        let mut differences = vec![];
        if before.version != self.version {
            differences.push(format!("the version of ptunifier ({}, now {})", before.version, self.version));
        }
        let other_corpus = before.options.contains_key(TABLE) != self.options.contains_key(TABLE);
        if other_corpus {
            differences.push(format!("the corpus ({}, now {})", before.corpus(), self.corpus()));
        }
        let names: BTreeSet<&String> = before.options.keys().chain(self.options.keys()).collect();
        for name in names.into_iter().filter(|name| !other_corpus || OTHER_OPTIONS.contains(&name.as_str())) {
            let value = |request: &'_ Self| request.options.get(name).cloned().unwrap_or_else(|| "not given".into());
            if value(before) != value(self) {
                differences.push(format!("`{name}` ({}, now {})", value(before), value(self)));
            }
        }
        if before.options.get(TABLE) == self.options.get(TABLE) && before.table != self.table {
            differences.push("the table, which has changed since then".into());
        }
        differences
    }

    fn corpus(&self) -> String {
        self.options.get(TABLE).map_or("phantom pairs".into(), |path| format!("table `{path}`"))
    }
}

/// The options that describe a table, by the option names of the command; for options that `quickstart` does not have, the
/// names of `prepare table`.
fn table_options(own: &OwnTable) -> BTreeMap<String, String> {
    let OwnTable { path, columns, validate, test, skip_bad } = own;
    // The same path for every spelling, such as `./pairs.csv` or a path through a symbolic link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    let ColumnNames { image, texts, id, patient, split, labels, fields } = columns;
    let all = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
    let values = [
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
    values.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?))).collect()
}

/// SHA-256 of a file, in hexadecimal; `None` for a folder.
fn hash(path: &Path) -> Result<Option<String>, WorkflowError> {
    let error = |source| WorkflowError::File { action: "read", path: path.into(), source };
    let file = File::open(path).map_err(error)?;
    if !file.metadata().map_err(error)?.is_file() {
        return Ok(None);
    }
    ptu_data::sha256(file).map(Some).map_err(error)
}

/// The output folder and the paths in it. It is locked, so that no other process works in it.
pub(super) struct OutputFolder {
    pub data: PathBuf,
    pub run: PathBuf,
    /// The run that is fine-tuned on questions.
    pub ask: PathBuf,
    pub vectors: PathBuf,
    /// A held-out image of the phantom corpus.
    pub example: PathBuf,
    pub page: PathBuf,
    /// The lock is held until this value is dropped.
    _lock: File,
}

impl OutputFolder {
    /// Opens and locks a new or empty folder, a folder in which the same command was started, or one in which a command has not
    /// written results yet.
    ///
    /// # Errors
    /// If the folder holds other files, belongs to a different command, or is in use.
    pub fn open(options: &QuickstartOptions) -> Result<Self, WorkflowError> {
        let out = &options.out;
        let request = Request::of(options)?;
        let error = |action| move |source| WorkflowError::File { action, path: out.clone(), source };
        fs::create_dir_all(out).map_err(error("create"))?;
        let file = out.join(REQUEST_FILE);
        let own_file = |name: &str| [LOCK, REQUEST_FILE, PREPARING].contains(&name) || name.starts_with(TEMPORARY);
        let has_results = || holds_others(out, own_file).map_err(error("read"));
        if has_results()? && !file.exists() {
            return Err(WorkflowError::NotEmpty { path: out.clone() });
        }
        let lock = lock(&out.join(LOCK), out)?;
        if file.exists() && has_results()? {
            let refused = |cause| WorkflowError::OtherCommand { path: out.clone(), cause };
            let before: Request = serde_json::from_slice(&files::read(&file, MAX_REQUEST_BYTES)?)
                .map_err(|error| refused(format!("its `{REQUEST_FILE}` cannot be read ({error})")))?;
            let differences = request.differences(&before);
            if !differences.is_empty() {
                return Err(refused(format!("these differ: {}", differences.join(", "))));
            }
        } else {
            files::write_bytes(&file, &serde_json::to_vec_pretty(&request).expect("strings can be written as JSON"))?;
        }
        let names = ["data", RUN, "ask", "vectors.parquet", "example.png", "report.html"];
        let [data, run, ask, vectors, example, page] = names.map(|name| out.join(name));
        Ok(Self { data, run, ask, vectors, example, page, _lock: lock })
    }
}
