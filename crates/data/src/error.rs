//! The errors of this crate: each names the file or record, the cause and, where one is known, the remedy.

use std::io;
use std::path::{Path, PathBuf};

use crate::record::Split;

/// The reason why data could not be prepared, opened or loaded.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system reported an error (also when the disk is full).
    #[error("cannot {action} `{path}`: {source}", path = path.display())]
    Io {
        /// The attempted action, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The output folder already contains something.
    #[error("`{path}` exists and is not an empty folder: name another folder", path = .0.display())]
    NotEmpty(PathBuf),
    /// Another process is writing to the same folder.
    #[error("another process is writing `{path}`: wait for its end, or name another folder", path = .0.display())]
    Busy(PathBuf),
    /// The folder is not a folder of shards, or it was not finished.
    #[error("`{path}` has no `manifest.json`, so it is not a folder of shards: create one with `prepare`", path = .0.display())]
    NoManifest(PathBuf),
    /// The manifest has invalid or missing content.
    #[error("manifest `{path}`: {cause}; run `prepare` again with this version", path = path.display())]
    Manifest {
        /// The file of the manifest.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A column has another type than the type that this version writes.
    #[error("shard `{path}`: column `{column}` is {found}, not {wanted}; create it with `prepare`", path = path.display())]
    Schema {
        /// The shard.
        path: PathBuf,
        /// The first column that differs.
        column: String,
        /// Its type in the file, or `absent`.
        found: String,
        /// The type this version writes.
        wanted: String,
    },
    /// The bytes of a shard differ from the prepared bytes.
    #[error("shard `{path}` is damaged: its SHA-256 is {found}, the manifest says {wanted}; copy it again or run `prepare` again", path = path.display())]
    Hash {
        /// The shard.
        path: PathBuf,
        /// The hash of the bytes in the file.
        found: String,
        /// The hash in the manifest.
        wanted: String,
    },
    /// A shard does not contain what the manifest says, or it cannot be read as parquet.
    #[error("shard `{path}`: {cause}; run `prepare` again", path = path.display())]
    Shard {
        /// The shard.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A file or folder named by the user cannot be used.
    #[error("`{path}` {cause}", path = path.display())]
    Input {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A file of vectors cannot be used.
    #[error("vectors `{path}`: {cause}", path = path.display())]
    Vectors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what would be correct.
        cause: String,
    },
    /// A split without records was requested.
    #[error("`{path}` has no records in split `{split}`: {cure}", path = path.display())]
    NoRecords {
        /// The folder of shards.
        path: PathBuf,
        /// The split that is empty.
        split: Split,
        /// Which splits have records, or what to change.
        cure: String,
    },
    /// One patient is in two splits. A model could memorise the patient, and the scores would be too high.
    #[error(
        "patient `{patient}` is in two splits: `{first}` and `{second}` (record `{id}`); put all records of a patient into one split"
    )]
    PatientInTwoSplits {
        /// The patient.
        patient: String,
        /// The split in which the patient was seen first.
        first: Split,
        /// The split of the later record.
        second: Split,
        /// The later record.
        id: String,
    },
    /// Two records have one id.
    #[error("id `{0}` occurs twice; give each record its own id")]
    DuplicateId(String),
    /// A requested record does not exist.
    #[error("record {index} of `{source_name}` was requested, but it has only {len} records (0 is the first)")]
    OutOfRange {
        /// The source's name.
        source_name: String,
        /// The requested position.
        index: usize,
        /// The number of records.
        len: usize,
    },
    /// The image or the text of a record cannot be used.
    #[error("record `{id}` of `{source_name}`: {source}")]
    Record {
        /// The record's id.
        id: String,
        /// The source's name.
        source_name: String,
        /// What is wrong with its image or text.
        source: ptu_input::InputError,
    },
    /// A setting has a value that cannot work.
    #[error("`{name}`: {cause}")]
    Setting {
        /// The name of the setting for the caller.
        name: &'static str,
        /// What is wrong with it, and what would be correct.
        cause: String,
    },
    /// A loader thread failed. This is a bug; it is reported as an error so that the program does not crash.
    #[error("a loader thread failed at step {step}: {cause}; please report this")]
    Worker {
        /// The step that the thread worked on.
        step: u64,
        /// The message of the panic.
        cause: String,
    },
    /// A download does not have the folder layout of its data set.
    #[error(
        "`{path}` does not contain {missing}; `prepare --describe` shows the expected layout{other}",
        path = path.display(),
        missing = missing.join(", "),
        other = if *parquet { "; parquet files, such as Hugging Face's copies, are read by `prepare table`" } else { "" }
    )]
    Layout {
        /// The download.
        path: PathBuf,
        /// Each missing file, with the names that it may have.
        missing: Vec<String>,
        /// Whether the download has parquet files instead.
        parquet: bool,
    },
    /// No row of a data set can be used.
    #[error("`{source_name}`: {cause}")]
    Nothing {
        /// The data set's name.
        source_name: String,
        /// The reason.
        cause: String,
    },
    /// A table cannot be used at all.
    #[error("table `{path}`: {cause}", path = path.display())]
    Table {
        /// The table.
        path: PathBuf,
        /// What is wrong, and what would be correct.
        cause: String,
    },
    /// No record of the raw data can be used.
    #[error("no usable record was found ({skipped} were skipped): correct the skipped records, or name other data")]
    NothingUsable {
        /// Records that could not be used.
        skipped: usize,
    },
    /// The user named a column that the table does not have.
    #[error("table `{path}`: there is no column `{column}`{}; it has {there}", option_clause(*option), path = path.display())]
    NoColumn {
        /// The table.
        path: PathBuf,
        /// The column.
        column: String,
        /// The option that names it, where the command has one.
        option: Option<&'static str>,
        /// The columns of the table.
        there: String,
    },
    /// A row of a table cannot be converted to a record.
    #[error("table `{path}`, line {line}: {cause}", path = path.display())]
    Row {
        /// The table.
        path: PathBuf,
        /// The line on which the row starts, from 1.
        line: u64,
        /// What is wrong, and what would be correct.
        cause: String,
    },
}

fn option_clause(option: Option<&str>) -> String {
    option.map_or(String::new(), |option| format!(", which `{option}` names"))
}

impl DataError {
    /// Whether the user's request itself is wrong: a setting with an impossible value, or a column that does not exist. In these
    /// cases a command ends with the exit code of wrong arguments.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Setting { .. } | Self::NoColumn { .. })
    }

    /// Wraps an error of the operating system; for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

/// Returns at most `limit` characters of a text from outside, with control characters escaped, for use in messages.
pub fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}...", text[..end].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}
