//! Finds the image file that a table names. The path may be written for another system or in another form of Unicode, or the
//! value may not be a path at all.

use std::path::{Path, PathBuf};

use ptu_data::files::{IMAGE_LIMIT, Unread, read_bounded};
use ptu_data::shortened;
use ptu_input::text::name_key;
use unicode_normalization::UnicodeNormalization;

/// Key under which paths with backslashes are counted whose file was found with `/` instead.
pub(crate) const BACKSLASHES: &str = "paths-with-backslashes";

/// Key under which paths are counted whose file was found in another form of Unicode, or without the blanks and invisible
/// characters around the path.
pub(crate) const OTHER_FORM: &str = "paths-in-another-form";

/// Longest path in bytes; a longer value is not a path on any system.
const PATH_LIMIT: usize = 4096;

/// The file of an image.
pub(crate) struct FoundImage {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Its path.
    pub(crate) path: PathBuf,
    /// The key and the sentence for the manifest, if the file was not found by the path exactly as the table has it.
    pub(crate) note: Option<(&'static str, String)>,
}

/// Reads the file whose path a table has, relative to `folder`. The path is first tried exactly as it is written, then in the
/// spellings of other systems.
///
/// # Errors
/// A complete sentence: what is wrong, and how to correct it.
pub(crate) fn read(folder: &Path, written: &str) -> Result<FoundImage, String> {
    let shown = || shortened(written, 200);
    if let Some(cause) = not_a_path(written) {
        return Err(format!("image `{}` {cause}", shown()));
    }
    match read_bounded(&folder.join(written), IMAGE_LIMIT) {
        Ok(bytes) => return Ok(FoundImage { bytes, path: folder.join(written), note: None }),
        Err(Unread::Because(cause)) => return Err(format!("image `{}` {cause}", folder.join(written).display())),
        Err(Unread::Absent) => {}
    }
    for (kind, other) in other_spellings(folder, written) {
        let path = folder.join(&other);
        if let Ok(bytes) = read_bounded(&path, IMAGE_LIMIT) {
            return Ok(FoundImage {
                bytes,
                path,
                note: Some((kind, format!("image `{}` is read from `{other}`", shown()))),
            });
        }
    }
    Err(match other_system(written) {
        Some(cause) => format!("image `{}` {cause}", shown()),
        None => {
            let path = folder.join(written);
            format!("image `{}` is not there; paths are relative to the table's folder", path.display())
        }
    })
}

/// The reason why a value cannot be the path of a local file: it is a web address, or the encoded image itself.
fn not_a_path(written: &str) -> Option<String> {
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
            "is a `data:` address, the picture itself as text; write it into a file, and the file's path here".into(),
        );
    }
    (written.len() > PATH_LIMIT).then(|| {
        format!(
            "is not a path ({} bytes long); if it is the picture in base64, write it into a file, and the file's \
             path here",
            written.len()
        )
    })
}

/// What shows that a path, whose file does not exist, was written for another system.
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
            "begins with `~`, which only a shell expands; write paths relative to the table's folder or from the root",
        );
    }
    written.contains('\\').then_some(
        "is not there, and neither is it with `/` in the place of `\\`; paths are relative to the table's folder",
    )
}

/// Other spellings of a path, each with the key under which it is counted.
fn other_spellings(folder: &Path, written: &str) -> Vec<(&'static str, String)> {
    let mut all = vec![];
    let slashed = written.replace('\\', "/");
    if slashed != written {
        all.push((BACKSLASHES, slashed.clone()));
    }
    let bare = name_key(&slashed).into_owned();
    if bare != slashed || !bare.is_ascii() {
        all.push((OTHER_FORM, existing_form(folder, &bare)));
    }
    all
}

/// The path in the form of Unicode that exists on disk. Each folder and the file are tried in the composed form (NFC) and, if
/// that does not exist, in the decomposed form (NFD).
fn existing_form(folder: &Path, written: &str) -> String {
    let mut found = String::new();
    for part in written.split_inclusive('/') {
        let composed = format!("{found}{}", part.nfc());
        let decomposed = format!("{found}{}", part.nfd());
        let exists = |path: &str| folder.join(path).symlink_metadata().is_ok();
        found = if !exists(&composed) && exists(&decomposed) { decomposed } else { composed };
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn paths_of_other_systems_are_found_or_reported() {
        let here = tempfile::tempdir().unwrap();
        let folder = here.path();
        fs::create_dir(folder.join("bilder u\u{308}")).unwrap();
        fs::write(folder.join("bilder u\u{308}/\u{f6}.png"), "1").unwrap();
        fs::write(folder.join("a b.png"), "2").unwrap();
        fs::write(folder.join("c\\d.png"), "3").unwrap();
        let found = |written: &str| read(folder, written).map(|found| (found.bytes[0], found.note.map(|note| note.0)));
        assert_eq!(found("a b.png"), Ok((b'2', None)));
        assert_eq!(found("c\\d.png"), Ok((b'3', None)), "the path exactly as it is written comes first");
        // A composed path of a decomposed folder, a decomposed path of a composed file, and both together with a backslash.
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
            ("~/0.png", "only a shell expands"),
            ("data:image/png;base64,iVBORw0KGgo=", "`data:` address"),
            (&"iVBORw0KGgo".repeat(1000), "11000 bytes long"),
            (".", "is not a file"),
        ] {
            let error = found(written).unwrap_err();
            assert!(error.contains(cause), "{written:.40}: {error}");
        }
    }
}
