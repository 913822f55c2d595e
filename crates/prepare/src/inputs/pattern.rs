//! What a pattern such as `scans/*.png` matches.

use std::path::{Path, PathBuf};

use ptu_data::DataError;

use super::Part;
use super::folder::{Why, no_file};

/// What a pattern matches.
#[derive(Default)]
pub(super) struct Matched {
    /// Files, by path.
    pub(super) files: Vec<PathBuf>,
    /// What it matches besides that cannot be read.
    pub(super) left: Vec<Part>,
    /// What is told of the rest.
    pub(super) told: Option<String>,
}

/// What a pattern matches; names that begin with a dot only where it says so.
///
/// # Errors
/// When it is no pattern, or matches nothing.
pub(super) fn matching(pattern: &Path) -> Result<Matched, DataError> {
    let nothing = |cause: String| DataError::Input { path: pattern.to_path_buf(), cause };
    let words = pattern.to_string_lossy();
    if !words.contains(['*', '?', '[']) {
        return Err(nothing(match pattern.is_symlink() {
            true => "is a link to something that is not there: mend the link or name a file".into(),
            false => "is not there".into(),
        }));
    }
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let paths =
        glob::glob_with(&words, options).map_err(|error| nothing(format!("is no pattern ({error}); correct it")))?;
    let (mut matched, mut folders) = (Matched::default(), 0);
    for found in paths {
        let (path, why) = match found {
            Ok(path) => match std::fs::metadata(&path) {
                Ok(about) if about.is_file() => {
                    matched.files.push(path);
                    continue;
                }
                Ok(about) if about.is_dir() => {
                    folders += 1;
                    continue;
                }
                Ok(_) => (path, "is no file".into()),
                Err(error) => {
                    let why = no_file(&path, &error);
                    (path, why)
                }
            },
            Err(error) => (error.path().to_path_buf(), no_file(error.path(), error.error())),
        };
        matched.left.push(Part::Left { path, why: Why::Words(why) });
    }
    // What lies within the folders matches `**` itself.
    if folders > 0 && !words.contains("**") {
        let cure = "name them, or write `**/`, to take what they hold";
        matched.told = Some(format!("`{words}` matches folders too ({folders}), which are not searched: {cure}"));
    }
    match (matched.files.is_empty() && matched.left.is_empty(), folders) {
        (true, 0) => Err(nothing("matches no file".into())),
        (true, _) => Err(nothing(format!("matches no file, only folders ({folders}); name them to search them"))),
        _ => Ok(matched),
    }
}
