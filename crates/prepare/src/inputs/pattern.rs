//! Finds the files that match a pattern such as `scans/*.png`.

use std::path::{Path, PathBuf};

use ptu_data::DataError;

use super::InputSource;
use super::folder::{SkipReason, read_error_reason};

/// The paths that a pattern matches.
#[derive(Default)]
pub(super) struct PatternMatches {
    /// Files, sorted by path.
    pub(super) files: Vec<PathBuf>,
    /// Paths that cannot be read; they are inputs that are skipped.
    pub(super) skipped: Vec<InputSource>,
    /// A sentence for the user about folders that the pattern matches.
    pub(super) note: Option<String>,
}

/// Finds the files that match a pattern. Names that begin with a dot match only if the pattern has the dot too.
///
/// # Errors
/// When the pattern is not valid or matches nothing, or when a name without wildcards does not exist.
pub(super) fn match_pattern(pattern: &Path) -> Result<PatternMatches, DataError> {
    let error = |cause: String| DataError::Input { path: pattern.to_path_buf(), cause };
    let text = pattern.to_string_lossy();
    if !text.contains(['*', '?', '[']) {
        return Err(error(match pattern.is_symlink() {
            true => "is a link to a file that does not exist: correct the link or name a file".into(),
            false => "is not there".into(),
        }));
    }
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let invalid = |cause: glob::PatternError| error(format!("is not a valid pattern ({cause}); correct it"));
    let paths = glob::glob_with(&text, options).map_err(invalid)?;
    let (mut matched, mut folders) = (PatternMatches::default(), 0);
    for found in paths {
        let (path, reason) = match found {
            Ok(path) => match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => {
                    matched.files.push(path);
                    continue;
                }
                Ok(metadata) if metadata.is_dir() => {
                    folders += 1;
                    continue;
                }
                Ok(_) => (path, "is not a file".into()),
                Err(error) => {
                    let reason = read_error_reason(&path, &error);
                    (path, reason)
                }
            },
            Err(error) => (error.path().to_path_buf(), read_error_reason(error.path(), error.error())),
        };
        matched.skipped.push(InputSource::Skipped { path, reason: SkipReason::Other(reason) });
    }
    // A pattern with `**` matches the files within the folders too.
    if folders > 0 && !text.contains("**") {
        let cure = "to use the files in them, name the folders, or write `**/`";
        matched.note = Some(format!("`{text}` matches folders too ({folders}), which are not searched: {cure}"));
    }
    match (matched.files.is_empty() && matched.skipped.is_empty(), folders) {
        (true, 0) => Err(error("matches no file".into())),
        (true, _) => Err(error(format!("matches no file, only folders ({folders}); name them to search them"))),
        _ => Ok(matched),
    }
}
