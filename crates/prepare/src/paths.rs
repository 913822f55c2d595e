//! The path of an image as a table has it: written on another system, in another form of Unicode, or no path at all.

use std::path::{Path, PathBuf};

use ptu_data::files::{IMAGE_LIMIT, Unread, read_bounded};
use ptu_data::shortened;
use ptu_input::text::name_key;
use unicode_normalization::UnicodeNormalization;

/// Paths with the separator of another system, read with the one of this.
pub(crate) const BACKSLASHES: &str = "paths-with-backslashes";

/// Paths whose file has the same name in another form of Unicode, or without blanks and invisible marks around it.
pub(crate) const OTHER_FORM: &str = "paths-in-another-form";

/// A longer value is no path on any system.
const PATH_LIMIT: usize = 4096;

/// An image's file that was found.
pub(crate) struct FoundImage {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// How it was found, where that is not by the path as it is written.
    pub(crate) how: Option<(&'static str, String)>,
}

/// Reads the file that a table names relative to a folder: as it is written, else as another system would write it.
///
/// # Errors
/// Cause and cure, in words that stand by themselves.
pub(crate) fn read(folder: &Path, written: &str) -> Result<FoundImage, String> {
    let short = || shortened(written, 200);
    if let Some(cause) = no_path(written) {
        return Err(format!("image `{}` {cause}", short()));
    }
    match read_bounded(&folder.join(written), IMAGE_LIMIT) {
        Ok(bytes) => return Ok(FoundImage { bytes, path: folder.join(written), how: None }),
        Err(Unread::Because(cause)) => return Err(format!("image `{}` {cause}", folder.join(written).display())),
        Err(Unread::Absent) => {}
    }
    for (how, other) in others(folder, written) {
        let path = folder.join(&other);
        if let Ok(bytes) = read_bounded(&path, IMAGE_LIMIT) {
            return Ok(FoundImage {
                bytes,
                path,
                how: Some((how, format!("image `{}` is read from `{other}`", short()))),
            });
        }
    }
    Err(match other_system(written) {
        Some(cause) => format!("image `{}` {cause}", short()),
        None => {
            let path = folder.join(written);
            format!("image `{}` is not there; paths are relative to the table's folder", path.display())
        }
    })
}

/// Why a value is no path of a file here: an address, or the picture itself.
fn no_path(written: &str) -> Option<String> {
    let start: String = written.chars().take(12).collect::<String>().to_ascii_lowercase();
    let scheme = start.split_once("://").map(|(scheme, _)| scheme);
    let is_scheme = |scheme: &&str| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    match scheme.filter(is_scheme) {
        Some("file") => {
            return Some(
                "is a `file://` address; write the path alone, relative to the table's folder or from the root".into(),
            );
        }
        Some(scheme) => {
            return Some(format!(
                "is a `{scheme}://` address; nothing is downloaded: fetch the picture and write its path"
            ));
        }
        None => {}
    }
    if start.starts_with("data:") {
        return Some(
            "is a `data:` address, the picture itself in letters; write it into a file, and the file's path here"
                .into(),
        );
    }
    (written.len() > PATH_LIMIT).then(|| {
        format!("is no path ({} bytes long); if it is the picture in base64, write it into a file, and the file's path here", written.len())
    })
}

/// What a path that is not there has of another system.
fn other_system(written: &str) -> Option<&'static str> {
    let mut letters = written.chars();
    let (first, second, third) = (letters.next(), letters.next(), letters.next());
    if first.is_some_and(|letter| letter.is_ascii_alphabetic())
        && second == Some(':')
        && matches!(third, Some('\\' | '/'))
    {
        return Some("is a path with the letter of a drive; write paths relative to the table's folder");
    }
    if written.starts_with("\\\\") {
        return Some("is a path of another machine; write paths relative to the table's folder");
    }
    if written.starts_with("~/") {
        return Some(
            "begins with `~`, which only a shell knows; write paths relative to the table's folder or from the root",
        );
    }
    written.contains('\\').then_some(
        "is not there, and neither is it with `/` in the place of `\\`; paths are relative to the table's folder",
    )
}

/// Other ways to write a path.
fn others(folder: &Path, written: &str) -> Vec<(&'static str, String)> {
    let mut all = vec![];
    let slashed = written.replace('\\', "/");
    if slashed != written {
        all.push((BACKSLASHES, slashed.clone()));
    }
    let bare = name_key(&slashed).into_owned();
    if bare != slashed || !bare.is_ascii() {
        all.push((OTHER_FORM, matching(folder, &bare)));
    }
    all
}

/// The path whose folders and file are there in some form of Unicode, each in its own: composed, else decomposed.
fn matching(folder: &Path, written: &str) -> String {
    let mut found = String::new();
    for part in written.split_inclusive('/') {
        let composed = format!("{found}{}", part.nfc());
        let decomposed = format!("{found}{}", part.nfd());
        let there = |path: &str| folder.join(path).symlink_metadata().is_ok();
        found = if !there(&composed) && there(&decomposed) { decomposed } else { composed };
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn paths_of_other_systems_are_found_or_told() {
        let here = tempfile::tempdir().unwrap();
        let folder = here.path();
        fs::create_dir(folder.join("bilder u\u{308}")).unwrap();
        fs::write(folder.join("bilder u\u{308}/\u{f6}.png"), "1").unwrap();
        fs::write(folder.join("a b.png"), "2").unwrap();
        fs::write(folder.join("c\\d.png"), "3").unwrap();
        let found = |written: &str| read(folder, written).map(|found| (found.bytes[0], found.how.map(|how| how.0)));
        assert_eq!(found("a b.png"), Ok((b'2', None)));
        assert_eq!(found("c\\d.png"), Ok((b'3', None)), "a name as it is written comes first");
        // Composed where the folder is decomposed, decomposed where the file is composed, and both with backslashes.
        for written in [
            "bilder \u{fc}/\u{f6}.png",
            "bilder u\u{308}/o\u{308}.png",
            "bilder \u{fc}\\o\u{308}.png",
            "\u{feff}a b.png",
        ] {
            let wanted = if written.contains("a b") { b'2' } else { b'1' };
            assert_eq!(found(written), Ok((wanted, Some(OTHER_FORM))), "{written:?}");
        }
        assert_eq!(found(".\\a b.png"), Ok((b'2', Some(BACKSLASHES))));
        for (written, cause) in [
            ("e.png", "e.png` is not there; paths are relative"),
            ("e\\f.png", "neither is it with `/`"),
            ("file:///data/img/0.png", "`file://` address; write the path alone"),
            ("HTTPS://host/0.png", "`https://` address; nothing is downloaded"),
            ("s3://bucket/0.png", "`s3://` address"),
            ("C:\\data\\0.png", "letter of a drive"),
            ("d:/data/0.png", "letter of a drive"),
            ("\\\\server\\share\\0.png", "of another machine"),
            ("~/0.png", "only a shell knows"),
            ("data:image/png;base64,iVBORw0KGgo=", "`data:` address"),
            (&"iVBORw0KGgo".repeat(1000), "11000 bytes long"),
            (".", "is no file"),
        ] {
            let error = found(written).unwrap_err();
            assert!(error.contains(cause), "{written:.40}: {error}");
        }
    }
}
