//! What can go wrong with data: which file, which record, and the cure where one is known.

use std::io;
use std::path::{Path, PathBuf};

use crate::record::Split;

/// Why data could not be prepared, opened or loaded.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused (also a full disk).
    #[error("cannot {action} `{path}`: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The folder to be written holds something already.
    #[error("`{path}` exists and is not an empty folder: name another folder", path = .0.display())]
    NotEmpty(PathBuf),
    /// Another process is writing the same folder.
    #[error("another process is writing `{path}`: wait for it, or name another folder", path = .0.display())]
    Busy(PathBuf),
    /// The folder is none of ours, or was not finished.
    #[error("`{path}` has no `manifest.json`, so it is no folder of shards: make one with `prepare`", path = .0.display())]
    NoManifest(PathBuf),
    /// The manifest does not say what it must.
    #[error("manifest `{path}`: {cause}; run `prepare` again with this version", path = path.display())]
    Manifest {
        /// The manifest's file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A column is not what this version writes.
    #[error("shard `{path}`: column `{column}` is {found}, not {wanted}; make the shards with `prepare`", path = path.display())]
    Schema {
        /// The shard.
        path: PathBuf,
        /// The first column that differs.
        column: String,
        /// Its type there, or `absent`.
        found: String,
        /// The type this version writes.
        wanted: String,
    },
    /// The bytes are not those that were prepared.
    #[error("shard `{path}` is damaged: its SHA-256 is {found}, the manifest says {wanted}; copy it again or run `prepare` again", path = path.display())]
    Hash {
        /// The shard.
        path: PathBuf,
        /// The hash of the bytes there.
        found: String,
        /// The hash in the manifest.
        wanted: String,
    },
    /// A shard does not hold what the manifest says, or cannot be read as parquet.
    #[error("shard `{path}`: {cause}; run `prepare` again", path = path.display())]
    Shard {
        /// The shard.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A named file or folder that cannot be used.
    #[error("`{path}` {cause}", path = path.display())]
    Input {
        /// What was named.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A file of vectors that cannot be used.
    #[error("vectors `{path}`: {cause}", path = path.display())]
    Vectors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what would be right.
        cause: String,
    },
    /// A split without records was asked for.
    #[error("`{path}` has no records in split `{split}`: {cure}", path = path.display())]
    NoRecords {
        /// The folder of shards.
        path: PathBuf,
        /// The split that is empty.
        split: Split,
        /// Which splits there are, or what to change.
        cure: String,
    },
    /// The same patient in two splits would let a score be learned by heart.
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
    #[error("id `{0}` occurs twice; give each record its own")]
    DuplicateId(String),
    /// A record was asked for that is not there.
    #[error("record {index} of `{source_name}` was asked for, which has {len} records")]
    OutOfRange {
        /// The source's name.
        source_name: String,
        /// The position asked for.
        index: usize,
        /// The number of records.
        len: usize,
    },
    /// A record whose image cannot be used.
    #[error("record `{id}` of `{source_name}`: {source}")]
    Record {
        /// The record's id.
        id: String,
        /// The source's name.
        source_name: String,
        /// What is wrong with its image or text.
        source: ptu_input::InputError,
    },
    /// A setting that cannot work.
    #[error("`{name}`: {cause}")]
    Setting {
        /// The setting, as the caller knows it.
        name: &'static str,
        /// What is wrong with it and what would be right.
        cause: String,
    },
    /// A loader thread failed; this is a bug, told instead of a crash.
    #[error("a loader thread failed at step {step}: {cause}; please report this")]
    Worker {
        /// The step it worked on.
        step: u64,
        /// The panic's message.
        cause: String,
    },
    /// A download that is not laid out as its data set is.
    #[error(
        "`{path}` lacks {missing}; `prepare --describe` shows the layout that is expected{other}",
        path = path.display(),
        missing = missing.join(", "),
        other = if *parquet { "; parquet files, such as Hugging Face's copies, are read by `prepare table`" } else { "" }
    )]
    Layout {
        /// The download.
        path: PathBuf,
        /// Each file that is missing, with the names that it may have.
        missing: Vec<String>,
        /// Whether parquet files are there instead.
        parquet: bool,
    },
    /// A data set of which not one row can be used.
    #[error("`{source_name}`: {cause}")]
    Nothing {
        /// The data set's name.
        source_name: String,
        /// Why.
        cause: String,
    },
    /// A table that cannot be used as a whole.
    #[error("table `{path}`: {cause}", path = path.display())]
    Table {
        /// The table.
        path: PathBuf,
        /// What is wrong and what would be right.
        cause: String,
    },
    /// Raw data of which nothing can be used.
    #[error("no record was left to write, and {skipped} were skipped: mend them, or name other data")]
    NothingUsable {
        /// Records that could not be used.
        skipped: usize,
    },
    /// A column was named that a table does not have.
    #[error("table `{path}`: there is no column `{column}`{}; it has {there}", named_by(*option), path = path.display())]
    NoColumn {
        /// The table.
        path: PathBuf,
        /// The column.
        column: String,
        /// The option that names it, where the command has one.
        option: Option<&'static str>,
        /// The columns that there are.
        there: String,
    },
    /// A row of a table that cannot become a record.
    #[error("table `{path}`, line {line}: {cause}", path = path.display())]
    Row {
        /// The table.
        path: PathBuf,
        /// The line on which the row starts, from 1.
        line: u64,
        /// What is wrong and what would be right.
        cause: String,
    },
}

fn named_by(option: Option<&str>) -> String {
    option.map_or(String::new(), |option| format!(", which `{option}` names"))
}

impl DataError {
    /// Whether what was asked is wrong in itself: a setting that cannot work, a column that is not there. Commands end with the
    /// exit code of wrong arguments then.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Setting { .. } | Self::NoColumn { .. })
    }

    /// Wraps a system error; for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

/// At most `limit` characters of a foreign text, for messages.
pub fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}...", text[..end].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}
