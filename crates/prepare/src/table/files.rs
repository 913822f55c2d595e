//! The files of a table: the file that the user named, or the files of a folder. In a folder, the names of files and folders give
//! the splits.
//!
//! The words for the splits and their separators are those of `datasets` (Hugging Face), in upper or lower case: `train`,
//! `training`; `validation`, `valid`, `val`, `dev`; `test`, `testing`, `eval`, `evaluation`; and, in addition, `validate`. A word
//! is separated from the rest of the name of a file or folder by `-`, `.`, `_`, a blank or a digit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ptu_data::DataError;
use ptu_data::manifest::Skipped;
use ptu_data::record::Split;
use walkdir::WalkDir;

/// Extensions of the tables that can be read.
const TABLE_EXTENSIONS: [&str; 6] = ["parquet", "csv", "tsv", "jsonl", "ndjson", "json"];

/// Extensions of other files that contain records or may contain tables. They cannot be read and are reported.
const OTHER_DATA_EXTENSIONS: [&str; 16] = [
    "arrow", "feather", "orc", "avro", "xlsx", "xls", "ods", "gz", "zip", "tar", "tgz", "xz", "zst", "bz2", "7z", "db",
];

/// Files in which `datasets` describes a data set; they are not tables.
const DATASET_INFO_FILES: [&str; 4] = ["dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"];

/// Maximum depth of folders that are searched.
const MAX_DEPTH: usize = 5;

/// At most this many names of files or tables are listed in a message.
const MAX_NAMES: usize = 6;

/// One file of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFile {
    /// The path of the file.
    pub path: PathBuf,
    /// The split that the name of the file or of its folder gives, if any.
    pub split: Option<Split>,
}

/// The files of a table.
#[derive(Debug, PartialEq, Eq)]
pub struct TableFiles {
    /// The files that are read, sorted by split and path.
    pub files: Vec<TableFile>,
    /// Files of the folder that are skipped, with the reason.
    pub skipped: Vec<Skipped>,
}

/// The key under which the manifest counts and lists skipped files.
pub const FILES_LEFT: &str = "files-passed-over";

impl TableFiles {
    /// The file itself; or, for a folder, its only table or its files by split, as on Hugging Face.
    ///
    /// # Errors
    /// When the folder contains no table, several tables, tables of several formats, or a file whose name gives two splits. The
    /// error names the files.
    pub fn find(table: &Path) -> Result<Self, DataError> {
        if !table.is_dir() {
            return Ok(Self { files: vec![TableFile { path: table.to_path_buf(), split: None }], skipped: vec![] });
        }
        let folder = FolderTables::search(table)?;
        if let Some(only) = folder.metadata_table() {
            let cause =
                |_: &Path| format!("`{}` is used as the table; if this file is the table, name it", name_of(&only));
            let others = folder.tables.iter().filter(|path| path.parent() == Some(table) && **path != only);
            let skipped = folder.skipped(others, cause);
            return Ok(Self { files: vec![TableFile { path: only, split: None }], skipped });
        }
        let mut with_split = vec![];
        for path in &folder.tables {
            if let Some(split) = folder.split_of(path)? {
                with_split.push(TableFile { path: path.clone(), split: Some(split) });
            }
        }
        let files = match with_split.is_empty() {
            true => folder.tables.iter().map(|path| TableFile { path: path.clone(), split: None }).collect(),
            false => with_split,
        };
        if files.is_empty() {
            return Err(folder.error(
                "the folder has no `metadata.csv` (or .tsv, .jsonl, .json, .parquet), no `labels.csv` and no \
                 `train-*.parquet`; name the table itself"
                    .into(),
            ));
        }
        folder.check_one_format(&files)?;
        folder.check_one_table(&files)?;
        let used: BTreeSet<&Path> = files.iter().map(|file| file.path.as_path()).collect();
        let others = folder.tables.iter().chain(&folder.others).filter(|path| !used.contains(path.as_path()));
        let cause = |path: &Path| match folder.tables.iter().any(|table| table == path) {
            true => "its name gives no split; begin it with `train`, `validation` or `test`, or name the file itself",
            false => "it is not a table of a supported format",
        };
        let skipped = folder.skipped(others, |path| cause(path).into());
        let mut files = files;
        files.sort_by(|one, other| (one.split, &one.path).cmp(&(other.split, &other.path)));
        Ok(Self { files, skipped })
    }

    /// True if the names of the files give the splits.
    pub fn have_splits(&self) -> bool {
        self.files.iter().any(|file| file.split.is_some())
    }

    /// Lines for the user: the files of each split. Empty for a single file without a split.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![];
        if self.files.len() > 1 || self.have_splits() {
            let mut splits: BTreeMap<Option<Split>, Vec<String>> = BTreeMap::new();
            self.files.iter().for_each(|file| splits.entry(file.split).or_default().push(name_of(&file.path)));
            lines.push("files:".to_string());
            for (split, names) in splits {
                let split = split.map_or("no split", Split::name);
                lines.push(format!("  {split:12} {}", listed(&names)));
            }
        }
        lines
    }
}

/// The tables of a folder and of the folders below it, sorted by path.
struct FolderTables<'a> {
    folder: &'a Path,
    tables: Vec<PathBuf>,
    /// Files that may contain records but cannot be read.
    others: Vec<PathBuf>,
}

impl<'a> FolderTables<'a> {
    /// Searches a folder and the folders below it for tables. Hidden files and folders are ignored.
    fn search(folder: &'a Path) -> Result<Self, DataError> {
        let hidden = |name: &str| name.starts_with('.') || name.starts_with("__");
        let walk = WalkDir::new(folder).max_depth(MAX_DEPTH).sort_by_file_name().into_iter();
        let walk = walk.filter_entry(|entry| entry.depth() == 0 || !hidden(&entry.file_name().to_string_lossy()));
        let mut found = Self { folder, tables: vec![], others: vec![] };
        for entry in walk {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(folder).to_path_buf();
                DataError::io("list", &path)(error.into())
            })?;
            let (path, extension) = (entry.path(), extension_of(entry.path()));
            let is_info = DATASET_INFO_FILES.contains(&name_of(path).as_str());
            // Files that Hugging Face downloads are links; `is_file` follows them.
            if is_info || entry.file_type().is_dir() || !path.is_file() {
                continue;
            }
            if TABLE_EXTENSIONS.contains(&extension.as_str()) {
                found.tables.push(path.to_path_buf());
            } else if OTHER_DATA_EXTENSIONS.contains(&extension.as_str()) {
                found.others.push(path.to_path_buf());
            }
        }
        Ok(found)
    }

    /// The table that describes a folder of images: `metadata.*` or `labels.*`.
    fn metadata_table(&self) -> Option<PathBuf> {
        let names = ["metadata", "labels"].into_iter();
        let extensions = ["csv", "tsv", "jsonl", "json", "parquet"];
        let mut names = names.flat_map(|name| extensions.map(|extension| format!("{name}.{extension}")));
        names.find_map(|name| self.tables.iter().find(|path| **path == self.folder.join(&name)).cloned())
    }

    fn error(&self, cause: String) -> DataError {
        DataError::Table { path: self.folder.to_path_buf(), cause }
    }

    /// The path relative to the folder.
    fn relative(&self, path: &Path) -> String {
        path.strip_prefix(self.folder).unwrap_or(path).display().to_string()
    }

    /// These files as skipped files, each with its reason.
    fn skipped<'p>(&self, paths: impl Iterator<Item = &'p PathBuf>, cause: impl Fn(&Path) -> String) -> Vec<Skipped> {
        paths.map(|path| Skipped { place: self.relative(path), cause: cause(path) }).collect()
    }

    /// The split that the names of a file and of its folders give.
    fn split_of(&self, path: &Path) -> Result<Option<Split>, DataError> {
        let relative = path.strip_prefix(self.folder).unwrap_or(path);
        let splits: BTreeSet<Split> =
            relative.components().flat_map(|part| splits_in_name(&part.as_os_str().to_string_lossy())).collect();
        let splits: Vec<Split> = splits.into_iter().collect();
        match splits.as_slice() {
            [] => Ok(None),
            [split] => Ok(Some(*split)),
            [first, second, ..] => Err(self.error(format!(
                "the name of `{}` means both `{first}` and `{second}`; rename it, or name the table itself",
                self.relative(path)
            ))),
        }
    }

    /// Checks that all files have the same format. Of two formats, one file may be a copy of the other.
    fn check_one_format(&self, files: &[TableFile]) -> Result<(), DataError> {
        let formats: BTreeSet<String> = files.iter().map(|file| extension_of(&file.path)).collect();
        if formats.len() < 2 {
            return Ok(());
        }
        let example = |format: &String| files.iter().find(|file| extension_of(&file.path) == *format);
        let names = formats.iter().filter_map(example).map(|file| self.relative(&file.path));
        let names = listed(&names.collect::<Vec<_>>());
        Err(self.error(format!("the folder has tables in several formats, {names}; name one of them itself")))
    }

    /// Checks that all files belong to one table. Files in different folders are different tables (configurations of a data set),
    /// unless the names of the folders give splits.
    fn check_one_table(&self, files: &[TableFile]) -> Result<(), DataError> {
        let table_folder = |file: &TableFile| -> PathBuf {
            let folder = file.path.parent().and_then(|folder| folder.strip_prefix(self.folder).ok());
            let parts = folder.unwrap_or(Path::new("")).components();
            parts.filter(|part| splits_in_name(&part.as_os_str().to_string_lossy()).is_empty()).collect()
        };
        let folders: BTreeSet<PathBuf> = files.iter().map(table_folder).collect();
        if folders.len() < 2 {
            return Ok(());
        }
        let names: Vec<String> = folders.iter().map(|folder| self.folder.join(folder).display().to_string()).collect();
        Err(self.error(format!("the folder has several tables, in {}; name one of these folders", listed(&names))))
    }
}

/// The splits that a name contains as words.
fn splits_in_name(name: &str) -> BTreeSet<Split> {
    let name = name.to_lowercase();
    let words = name.split(|letter: char| "-._ ".contains(letter) || letter.is_ascii_digit());
    let split = |word: &str| match word {
        "eval" | "evaluation" => Some(Split::Test),
        word => word.parse().ok(),
    };
    words.filter_map(split).collect()
}

/// The extension of a file's name, in lower case. For a compressed table (`.csv.gz`) it is the extension of the table.
fn extension_of(path: &Path) -> String {
    let extension = |path: &Path| path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let inner = path.file_stem().map(|stem| extension(Path::new(stem))).unwrap_or_default();
    let is_packed = extension(path) == "gz" && inner != "parquet" && TABLE_EXTENSIONS.contains(&inner.as_str());
    if is_packed { inner } else { extension(path) }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The first names, and the number of the others, for a message.
fn listed(names: &[String]) -> String {
    let rest = if names.len() > MAX_NAMES { format!(" and {} more", names.len() - MAX_NAMES) } else { String::new() };
    let names: Vec<String> = names.iter().take(MAX_NAMES).map(|name| format!("`{name}`")).collect();
    format!("{}{rest}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Creates a folder with these files and searches it. Returns the files with their splits, and the skipped files.
    fn find(names: &[&str]) -> Result<(Vec<String>, Vec<String>), String> {
        let here = tempfile::tempdir().unwrap();
        for name in names {
            let path = here.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let found = TableFiles::find(here.path()).map_err(|error| error.to_string())?;
        let relative = |file: &TableFile| file.path.strip_prefix(here.path()).unwrap().display().to_string();
        let with_split = |file: &TableFile| format!("{}={}", relative(file), file.split.map_or("-", Split::name));
        let skipped = found.skipped.into_iter().map(|skipped| skipped.place).collect();
        Ok((found.files.iter().map(with_split).collect(), skipped))
    }

    #[test]
    fn words_for_splits_are_those_of_datasets() {
        use Split::{Test, Train, Validate};
        let splits = |name: &str| splits_in_name(name).into_iter().collect::<Vec<_>>();
        for (name, split) in [
            ("train-00000-of-00001", Train),
            ("TRAINING", Train),
            ("my_train_data", Train),
            ("train0", Train),
            ("valid2-0", Validate),
            ("Validation 1", Validate),
            ("dev.old", Validate),
            ("val", Validate),
            ("validate-00000", Validate),
            ("eval-0", Test),
            ("evaluation", Test),
            ("x.testing", Test),
        ] {
            assert_eq!(splits(name), [split], "{name}");
        }
        // `datasets` 4.0 ignores these names too.
        for name in ["testA-00000-of-00001", "holdout-0", "trainval", "devel", "restval", "contest", "retrain"] {
            assert_eq!(splits(name), [], "{name}");
        }
        assert_eq!(splits("train_test"), [Train, Test]);
    }

    #[test]
    fn files_without_a_split_are_reported_as_skipped() {
        let (files, skipped) = find(&[
            "train-00000-of-00001.parquet",
            "eval-00000-of-00001.parquet",
            "holdout-0.parquet",
            "testA-00000-of-00001.parquet",
            "valid2-0.parquet",
            "more.csv",
            "old.zip",
            "README.md",
            "dataset_infos.json",
            ".hidden.parquet",
        ])
        .unwrap();
        let wanted =
            ["train-00000-of-00001.parquet=train", "valid2-0.parquet=validate", "eval-00000-of-00001.parquet=test"];
        assert_eq!(files, wanted);
        assert_eq!(skipped, ["holdout-0.parquet", "more.csv", "testA-00000-of-00001.parquet", "old.zip"]);
    }

    #[test]
    fn names_of_folders_give_splits_too() {
        let of = |names: &[&str]| find(names).unwrap().0;
        assert_eq!(
            of(&["train/0000.parquet", "Test/0000.parquet"]),
            ["train/0000.parquet=train", "Test/0000.parquet=test"]
        );
        assert_eq!(of(&["default/train/0.parquet", "default/validation/0.parquet"]).len(), 2);
        assert_eq!(of(&["data/test-0.parquet"]), ["data/test-0.parquet=test"]);
        assert_eq!(of(&["train/metadata.csv", "test/metadata.csv"]).len(), 2);
        assert_eq!(of(&["train.csv", "val.csv", "images/0.png"]), ["train.csv=train", "val.csv=validate"]);
        assert_eq!(of(&["train.csv.gz", "test.csv"]).len(), 2);
        // No name gives a split: all files are one table, and its splits are drawn.
        assert_eq!(of(&["part-1.parquet", "part-0.parquet"]), ["part-0.parquet=-", "part-1.parquet=-"]);
        assert_eq!(of(&["pairs.csv", "images/0.png"]), ["pairs.csv=-"]);
        let (files, skipped) = find(&["metadata.csv", "labels.csv", "train.csv", "deep/er/x.csv"]).unwrap();
        assert_eq!(files, ["metadata.csv=-"]);
        assert_eq!(skipped, ["labels.csv", "train.csv"]);
    }

    #[test]
    fn ambiguous_folders_are_errors() {
        for (names, parts) in [
            (&["en/train-0.parquet", "de/train-0.parquet"][..], &["several tables", "/en`", "/de`"][..]),
            (&["train-0.parquet", "data/test-0.parquet"], &["several tables", "/data`"]),
            (&["train.csv", "train.parquet"], &["several formats", "`train.csv`, `train.parquet`"]),
            (&["test/train-0.parquet"], &["`test/train-0.parquet` means both `train` and `test`"]),
            (&["images/0.png"], &["has no `metadata.csv`"]),
        ] {
            let error = find(names).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
