//! The files of a table: one that was named, or those of a folder by the splits that their names tell.
//!
//! Words and separators are those of `datasets` (Hugging Face), in any case of letters: `train`, `training`; `validation`, `valid`,
//! `val`, `dev`; `test`, `testing`, `eval`, `evaluation`, and `validate`, parted from the rest of the name of a file or folder by
//! `-`, `.`, `_`, a blank or a digit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ptu_data::DataError;
use ptu_data::manifest::Skipped;
use ptu_data::record::Split;
use walkdir::WalkDir;

/// Endings of tables that are read.
const TABLES: [&str; 6] = ["parquet", "csv", "tsv", "jsonl", "ndjson", "json"];

/// Endings of other files that hold records, or may hold tables.
const OTHERS: [&str; 16] = [
    "arrow", "feather", "orc", "avro", "xlsx", "xls", "ods", "gz", "zip", "tar", "tgz", "xz", "zst", "bz2", "7z", "db",
];

/// Files that describe a data set, as `datasets` writes them.
const ABOUT: [&str; 4] = ["dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"];

/// Levels of folders that are looked into.
const DEPTH: usize = 5;

/// Names of files and tables in a message.
const NAMED: usize = 6;

/// One file of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The split that its name or its folder tells.
    pub split: Option<Split>,
}

/// The files of a table.
#[derive(Debug, PartialEq, Eq)]
pub struct TableFiles {
    /// Those that are read, by split and name.
    pub files: Vec<TableFile>,
    /// Files of the folder that are passed over, and why.
    pub left: Vec<Skipped>,
}

/// What is counted of files that are passed over.
pub const FILES_LEFT: &str = "files-passed-over";

impl TableFiles {
    /// The table itself, or what a folder holds: one table, or files by split, as on Hugging Face.
    ///
    /// # Errors
    /// When the folder holds no table, several tables, or files of which two splits or kinds can be meant; it names them.
    pub fn find(table: &Path) -> Result<Self, DataError> {
        if !table.is_dir() {
            return Ok(Self { files: vec![TableFile { path: table.to_path_buf(), split: None }], left: vec![] });
        }
        let found = Found::within(table)?;
        if let Some(only) = found.usual() {
            let cause = |_: &Path| format!("`{}` is taken; name this file itself if it is the table", name_of(&only));
            let others = found.tables.iter().filter(|path| path.parent() == Some(table) && **path != only);
            let left = found.told(others, cause);
            return Ok(Self { files: vec![TableFile { path: only, split: None }], left });
        }
        let mut named = vec![];
        for path in &found.tables {
            if let Some(split) = found.split(path)? {
                named.push(TableFile { path: path.clone(), split: Some(split) });
            }
        }
        let files = match named.is_empty() {
            true => found.tables.iter().map(|path| TableFile { path: path.clone(), split: None }).collect(),
            false => named,
        };
        if files.is_empty() {
            return Err(found.wrong(
                "the folder has no `metadata.csv` (or .tsv, .jsonl, .json, .parquet), no `labels.csv` and no \
                 `train-*.parquet`; name the table itself"
                    .into(),
            ));
        }
        found.of_one_kind(&files)?;
        found.of_one_folder(&files)?;
        let taken: BTreeSet<&Path> = files.iter().map(|file| file.path.as_path()).collect();
        let others = found.tables.iter().chain(&found.others).filter(|path| !taken.contains(path.as_path()));
        let cause = |path: &Path| match found.tables.iter().any(|table| table == path) {
            true => "its name tells no split; begin it with `train`, `validation` or `test`, or name the file itself",
            false => "it is no table that is read",
        };
        let left = found.told(others, |path| cause(path).into());
        let mut files = files;
        files.sort_by(|one, other| (one.split, &one.path).cmp(&(other.split, &other.path)));
        Ok(Self { files, left })
    }

    /// Whether names tell splits.
    pub fn published(&self) -> bool {
        self.files.iter().any(|file| file.split.is_some())
    }

    /// Which files are of which split, and which are passed over, in lines for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![];
        if self.files.len() > 1 || self.published() {
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

/// What a folder holds, by path.
struct Found<'a> {
    folder: &'a Path,
    tables: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

impl<'a> Found<'a> {
    /// Looks for tables in a folder and those below; hidden ones are left alone.
    fn within(folder: &'a Path) -> Result<Self, DataError> {
        let hidden = |name: &str| name.starts_with('.') || name.starts_with("__");
        let walk = WalkDir::new(folder).max_depth(DEPTH).sort_by_file_name().into_iter();
        let walk = walk.filter_entry(|entry| entry.depth() == 0 || !hidden(&entry.file_name().to_string_lossy()));
        let mut found = Self { folder, tables: vec![], others: vec![] };
        for entry in walk {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(folder).to_path_buf();
                DataError::io("list", &path)(error.into())
            })?;
            let (path, ending) = (entry.path(), ending_of(entry.path()));
            let about = ABOUT.contains(&name_of(path).as_str());
            // Downloads of Hugging Face are links to files.
            if about || entry.file_type().is_dir() || !path.is_file() {
                continue;
            }
            if TABLES.contains(&ending.as_str()) {
                found.tables.push(path.to_path_buf());
            } else if OTHERS.contains(&ending.as_str()) {
                found.others.push(path.to_path_buf());
            }
        }
        Ok(found)
    }

    /// The table that describes a folder of images.
    fn usual(&self) -> Option<PathBuf> {
        let names = ["metadata", "labels"].into_iter();
        let mut names =
            names.flat_map(|name| ["csv", "tsv", "jsonl", "json", "parquet"].map(|ending| format!("{name}.{ending}")));
        names.find_map(|name| self.tables.iter().find(|path| **path == self.folder.join(&name)).cloned())
    }

    fn wrong(&self, cause: String) -> DataError {
        DataError::Table { path: self.folder.to_path_buf(), cause }
    }

    /// The path below the folder.
    fn below(&self, path: &Path) -> String {
        path.strip_prefix(self.folder).unwrap_or(path).display().to_string()
    }

    fn told<'p>(&self, paths: impl Iterator<Item = &'p PathBuf>, cause: impl Fn(&Path) -> String) -> Vec<Skipped> {
        paths.map(|path| Skipped { place: self.below(path), cause: cause(path) }).collect()
    }

    /// The split that the name of a file and those of its folders tell.
    fn split(&self, path: &Path) -> Result<Option<Split>, DataError> {
        let below = path.strip_prefix(self.folder).unwrap_or(path);
        let splits: BTreeSet<Split> =
            below.components().flat_map(|part| splits_of(&part.as_os_str().to_string_lossy())).collect();
        let splits: Vec<Split> = splits.into_iter().collect();
        match splits.as_slice() {
            [] => Ok(None),
            [split] => Ok(Some(*split)),
            [first, second, ..] => Err(self.wrong(format!(
                "the name of `{}` tells `{first}` and `{second}`; rename it, or name the table itself",
                self.below(path)
            ))),
        }
    }

    /// Refuses tables of which one may be a copy of the other.
    fn of_one_kind(&self, files: &[TableFile]) -> Result<(), DataError> {
        let kinds: BTreeSet<String> = files.iter().map(|file| ending_of(&file.path)).collect();
        if kinds.len() < 2 {
            return Ok(());
        }
        let one =
            |kind: &String| files.iter().find(|file| ending_of(&file.path) == *kind).map(|file| self.below(&file.path));
        let names: Vec<String> = kinds.iter().filter_map(one).collect();
        Err(self.wrong(format!("the folder has tables of several kinds, {}; name one of them itself", listed(&names))))
    }

    /// Refuses the tables of several configurations: folders that are no splits.
    fn of_one_folder(&self, files: &[TableFile]) -> Result<(), DataError> {
        let home = |file: &TableFile| -> PathBuf {
            let folder = file.path.parent().and_then(|folder| folder.strip_prefix(self.folder).ok());
            let parts = folder.unwrap_or(Path::new("")).components();
            parts.filter(|part| splits_of(&part.as_os_str().to_string_lossy()).is_empty()).collect()
        };
        let homes: BTreeSet<PathBuf> = files.iter().map(home).collect();
        if homes.len() < 2 {
            return Ok(());
        }
        let names: Vec<String> = homes.iter().map(|home| self.folder.join(home).display().to_string()).collect();
        Err(self.wrong(format!("the folder has several tables, in {}; name one of these folders", listed(&names))))
    }
}

/// The splits that a name tells.
fn splits_of(name: &str) -> BTreeSet<Split> {
    let name = name.to_lowercase();
    let words = name.split(|letter: char| "-._ ".contains(letter) || letter.is_ascii_digit());
    let split = |word: &str| match word {
        "eval" | "evaluation" => Some(Split::Test),
        word => word.parse().ok(),
    };
    words.filter_map(split).collect()
}

/// The ending of a file's name; of a packed table that of the table.
fn ending_of(path: &Path) -> String {
    let ending = |path: &Path| path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let within = path.file_stem().map(|stem| ending(Path::new(stem))).unwrap_or_default();
    let packed = ending(path) == "gz" && within != "parquet" && TABLES.contains(&within.as_str());
    if packed { within } else { ending(path) }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Names for a message.
fn listed(names: &[String]) -> String {
    let rest = if names.len() > NAMED { format!(" and {} more", names.len() - NAMED) } else { String::new() };
    let names: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    format!("{}{rest}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Files of a folder as they are found: their names and splits, and those passed over.
    fn find(names: &[&str]) -> Result<(Vec<String>, Vec<String>), String> {
        let here = tempfile::tempdir().unwrap();
        for name in names {
            let path = here.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let found = TableFiles::find(here.path()).map_err(|error| error.to_string())?;
        let below = |file: &TableFile| file.path.strip_prefix(here.path()).unwrap().display().to_string();
        let told = |file: &TableFile| format!("{}={}", below(file), file.split.map_or("-", Split::name));
        Ok((found.files.iter().map(told).collect(), found.left.into_iter().map(|left| left.place).collect()))
    }

    #[test]
    fn words_are_those_of_datasets() {
        use Split::{Test, Train, Validate};
        let told = |name: &str| splits_of(name).into_iter().collect::<Vec<_>>();
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
            assert_eq!(told(name), [split], "{name}");
        }
        // `datasets` 4.0 passes over these as well.
        for name in ["testA-00000-of-00001", "holdout-0", "trainval", "devel", "restval", "contest", "retrain"] {
            assert_eq!(told(name), [], "{name}");
        }
        assert_eq!(told("train_test"), [Train, Test]);
    }

    #[test]
    fn files_are_of_splits_or_told() {
        let (files, left) = find(&[
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
        assert_eq!(left, ["holdout-0.parquet", "more.csv", "testA-00000-of-00001.parquet", "old.zip"]);
    }

    #[test]
    fn folders_tell_splits_too() {
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
        // No name tells a split: all of it is one table, whose splits are drawn.
        assert_eq!(of(&["part-1.parquet", "part-0.parquet"]), ["part-0.parquet=-", "part-1.parquet=-"]);
        assert_eq!(of(&["pairs.csv", "images/0.png"]), ["pairs.csv=-"]);
        let (files, left) = find(&["metadata.csv", "labels.csv", "train.csv", "deep/er/x.csv"]).unwrap();
        assert_eq!((files, left), (vec!["metadata.csv=-".to_string()], vec!["labels.csv".into(), "train.csv".into()]));
    }

    #[test]
    fn what_can_be_meant_twice_is_refused() {
        for (names, parts) in [
            (&["en/train-0.parquet", "de/train-0.parquet"][..], &["several tables", "/en`", "/de`"][..]),
            (&["train-0.parquet", "data/test-0.parquet"], &["several tables", "/data`"]),
            (&["train.csv", "train.parquet"], &["several kinds", "`train.csv`, `train.parquet`"]),
            (&["test/train-0.parquet"], &["`test/train-0.parquet` tells `train` and `test`"]),
            (&["images/0.png"], &["has no `metadata.csv`"]),
        ] {
            let error = find(names).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
