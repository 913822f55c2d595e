//! Searches a folder for inputs. Each file is an input, an input that is skipped with a reason, or a file that is only counted
//! and reported.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use ptu_data::DataError;
use ptu_data::manifest::MANIFEST_FILE;
use ptu_input::FileForm;
use walkdir::WalkDir;

use super::{IMAGE_EXTENSIONS, InputSource, TEXT_EXTENSIONS, has_extension, is_table};

/// At most this many tables, and folders of shards, are named; for more, their number is reported.
const MAX_PATHS_NAMED: usize = 3;

/// Extensions of files that accompany images and describe them or the folder. Such files are not inputs if they contain text.
const COMPANION_EXTENSIONS: [&str; 26] = [
    "json", "md", "rst", "xml", "html", "htm", "css", "js", "yaml", "yml", "toml", "ini", "cfg", "log", "py", "ipynb",
    "r", "m", "sh", "bat", "bib", "md5", "sha1", "sha256", "bval", "bvec",
];

/// Names of such files.
const COMPANION_NAMES: [&str; 8] =
    ["README", "LICENSE", "LICENCE", "NOTICE", "CHANGES", "CHANGELOG", "MD5SUMS", "SHA256SUMS"];

/// Files that operating systems create in folders, in addition to files whose names begin with a dot.
const SYSTEM_FILES: [&str; 6] =
    ["Thumbs.db", "ehthumbs.db", "desktop.ini", "__MACOSX", "$RECYCLE.BIN", "System Volume Information"];

/// The reason why a file is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SkipReason {
    /// The format of the file: it is neither a text nor an image that can be read.
    Format(FileForm),
    /// Any other reason: the rest of a sentence that begins with the name of the file.
    Other(String),
}

impl fmt::Display for SkipReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self {
            Self::Other(reason) => return formatter.write_str(reason),
            Self::Format(form) => form,
        };
        match form {
            FileForm::Unknown => formatter.write_str(
                "is in an unknown format: save an image as PNG, a text as `.txt`, or move the file elsewhere",
            ),
            FileForm::Text | FileForm::Utf16 | FileForm::Xml | FileForm::WebPage => {
                write!(formatter, "is {form} without the ending `.txt`: save it as `.txt` (UTF-8) to use it")
            }
            FileForm::Document(_) => {
                write!(formatter, "is {form}, which is not supported: save its text as `.txt`, its pictures as PNG")
            }
            _ => write!(formatter, "is {form}, which is not supported (PNG, JPEG, TIFF and WebP are): {}", form.cure()),
        }
    }
}

/// The files and folders within a folder that are not inputs.
pub(super) struct UnusedFiles {
    folder: PathBuf,
    tables: PathList,
    shards: PathList,
    /// Number of accompanying files by extension or name.
    companions: BTreeMap<String, u64>,
    /// Number of hidden files and folders.
    hidden: u64,
}

/// The first few of several paths, and how many paths there are.
#[derive(Default)]
struct PathList {
    first: Vec<PathBuf>,
    count: usize,
}

impl PathList {
    fn push(&mut self, path: PathBuf) {
        self.count += 1;
        if self.first.len() < MAX_PATHS_NAMED {
            self.first.push(path);
        }
    }

    /// For a message: "`a`, `b` and 3 more".
    fn text(&self) -> String {
        let names: Vec<String> = self.first.iter().map(|path| format!("`{}`", path.display())).collect();
        match self.count - self.first.len() {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }
}

/// How a file in a folder is used.
enum FileKind {
    Image,
    Text,
    Table,
    /// An accompanying file, with its extension or name.
    Companion(String),
    /// An input that is skipped.
    Skipped(SkipReason),
}

/// Searches a folder and all folders below it, sorted by path. Returns the inputs, and the files that are not inputs.
///
/// # Errors
/// When the folder itself cannot be read. A file or folder within it that cannot be read is an input that is skipped with a
/// reason.
pub(super) fn search(folder: &Path) -> Result<(Vec<InputSource>, UnusedFiles), DataError> {
    let mut unused = UnusedFiles {
        folder: folder.to_path_buf(),
        tables: PathList::default(),
        shards: PathList::default(),
        companions: BTreeMap::new(),
        hidden: 0,
    };
    let mut sources = vec![];
    let mut walk = WalkDir::new(folder).min_depth(1).follow_links(true).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                match error.path().filter(|path| *path != folder).map(Path::to_path_buf) {
                    Some(path) if is_hidden(&path) => unused.hidden += 1,
                    Some(path) => {
                        let reason = SkipReason::Other(walk_error_reason(&path, &error));
                        sources.push(InputSource::Skipped { path, reason });
                    }
                    None => return Err(DataError::io("read", folder)(error.into())),
                }
                continue;
            }
        };
        let (is_folder, path) = (entry.file_type().is_dir(), entry.into_path());
        let is_shards = is_folder && path.join(MANIFEST_FILE).is_file();
        if is_folder && (is_shards || is_hidden(&path)) {
            walk.skip_current_dir();
        }
        if is_hidden(&path) {
            unused.hidden += 1;
        } else if is_shards {
            unused.shards.push(path);
        } else if !is_folder {
            match file_kind(&path) {
                FileKind::Image => sources.push(InputSource::Image(path)),
                FileKind::Text => sources.push(InputSource::Text(path)),
                FileKind::Skipped(reason) => sources.push(InputSource::Skipped { path, reason }),
                FileKind::Table => unused.tables.push(path),
                FileKind::Companion(name) => *unused.companions.entry(name).or_default() += 1,
            }
        }
    }
    Ok((sources, unused))
}

/// The reason why the search cannot reach a file or folder: the rest of a sentence that begins with its name.
fn walk_error_reason(path: &Path, error: &walkdir::Error) -> String {
    if let Some(ancestor) = error.loop_ancestor() {
        return format!("is a link to `{}`, a folder that contains the link: remove the link", ancestor.display());
    }
    match error.io_error() {
        Some(error) => read_error_reason(path, error),
        None => format!("cannot be read ({error})"),
    }
}

/// The reason why a file cannot be read: the rest of a sentence that begins with its name. It contains the system's error, unless
/// the path is a link whose target does not exist.
pub(super) fn read_error_reason(path: &Path, error: &std::io::Error) -> String {
    let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    match error.kind() {
        std::io::ErrorKind::NotFound if is_link => {
            "is a link to a file that does not exist: correct or remove the link".into()
        }
        std::io::ErrorKind::PermissionDenied => format!("cannot be read ({error}): allow this user to read it"),
        _ if is_link => format!("is a link that cannot be followed ({error}): correct or remove the link"),
        _ => format!("cannot be read ({error})"),
    }
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || SYSTEM_FILES.iter().any(|known| known.eq_ignore_ascii_case(&name))
}

/// Decides by the extension if it is that of an image, a text or a table, and otherwise by the first bytes of the file.
fn file_kind(path: &Path) -> FileKind {
    let is_json = has_extension(path, &["json"]);
    if has_extension(path, &TEXT_EXTENSIONS) {
        return FileKind::Text;
    } else if has_extension(path, &IMAGE_EXTENSIONS) {
        return FileKind::Image;
    } else if is_table(path) && !is_json {
        return FileKind::Table;
    }
    let start = match first_bytes(path) {
        Ok(start) => start,
        Err(reason) => return FileKind::Skipped(SkipReason::Other(reason)),
    };
    match file_format(path, &start) {
        FileForm::Picture("PNG" | "JPEG" | "TIFF" | "WebP") => FileKind::Image,
        FileForm::Text | FileForm::Utf16 if is_json && is_json_list(&start) => FileKind::Table,
        form @ (FileForm::Text | FileForm::Utf16 | FileForm::Xml | FileForm::WebPage) => match companion_group(path) {
            Some(name) => FileKind::Companion(name),
            None => FileKind::Skipped(SkipReason::Format(form)),
        },
        form => FileKind::Skipped(SkipReason::Format(form)),
    }
}

fn first_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| read_error_reason(path, &error);
    // Opening a pipe would wait for ever.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err("is not a file".into());
    }
    let mut start = vec![];
    let read = File::open(path).and_then(|file| file.take(FileForm::ENOUGH as u64).read_to_end(&mut start));
    read.map(|_| start).map_err(failed)
}

/// The format of a file by its first bytes. For research formats that the first bytes do not identify, the extension is used too.
fn file_format(path: &Path, start: &[u8]) -> FileForm {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let form = FileForm::of(start);
    match form {
        FileForm::Packed(_) if name.ends_with(".nii.gz") => FileForm::Volume("NIfTI"),
        FileForm::Text | FileForm::Unknown if name.ends_with(".mhd") || name.ends_with(".mha") => {
            FileForm::Volume("MetaImage")
        }
        FileForm::Text if name.ends_with(".nhdr") => FileForm::Volume("NRRD"),
        FileForm::Unknown if [".dcm", ".dicom", ".ima"].iter().any(|ending| name.ends_with(ending)) => FileForm::Dicom,
        form => form,
    }
}

/// True if a JSON file contains a list, which is how JSON stores a table.
fn is_json_list(start: &[u8]) -> bool {
    // White space and the bytes of byte order marks and of UTF-16 are ignored.
    let has_meaning = |byte: &u8| !(byte.is_ascii_whitespace() || [0, 0xEF, 0xBB, 0xBF, 0xFE, 0xFF].contains(byte));
    start.iter().copied().find(has_meaning) == Some(b'[')
}

/// The name under which an accompanying file is counted, such as `.md` or `README`; `None` for any other file.
fn companion_group(path: &Path) -> Option<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = COMPANION_EXTENSIONS.iter().find(|extension| has_extension(path, &[extension]));
    let known_name = || COMPANION_NAMES.iter().find(|known| known.eq_ignore_ascii_case(&name));
    extension.map(|extension| format!(".{extension}")).or_else(|| known_name().map(|name| name.to_string()))
}

impl UnusedFiles {
    /// Lines for the user: one for tables, one for folders of shards, one for all other files.
    pub(super) fn notes(&self) -> Vec<String> {
        let folder = self.folder.display();
        let mut lines = vec![];
        let kinds = [("tables", "rows", &self.tables), ("folders of shards", "records", &self.shards)];
        for (kind, contents, paths) in kinds {
            if let Some(first) = paths.first.first() {
                let (all, first) = (paths.text(), first.display());
                lines.push(format!(
                    "`{folder}` contains {kind}, which are not read: {all}; to use the {contents} of one of them, \
                     name it as the input, for example `{first}`"
                ));
            }
        }
        let companions = self.companions.iter().map(|(name, count)| format!("{count} {name}"));
        let hidden = (self.hidden > 0).then(|| format!("{} hidden", self.hidden));
        let others: Vec<String> = companions.chain(hidden).collect();
        if !others.is_empty() {
            let others = others.join(", ");
            lines.push(format!("`{folder}` contains other files, which are not read: {others}"));
        }
        lines
    }

    /// The error for a folder that contains no input.
    pub(super) fn no_input_error(&self) -> DataError {
        let example = self.tables.first.iter().chain(&self.shards.first).next();
        let cure = match example {
            Some(path) => format!(
                "; tables and shards are read only if you name them as the input, for example `{}`",
                path.display()
            ),
            None => "; name a folder that has such files, or a table".into(),
        };
        let cause = format!("contains no image (PNG, JPEG, TIFF, WebP) and no `.txt` file{cure}");
        DataError::Input { path: self.folder.clone(), cause }
    }
}
