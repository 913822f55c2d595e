//! What a folder holds, file by file: taken, left out with a cause, or counted and told.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use ptu_data::DataError;
use ptu_data::manifest::MANIFEST_FILE;
use ptu_input::FileForm;
use walkdir::WalkDir;

use super::{IMAGES, Part, TEXTS, has_ending, is_table};

/// Tables and folders of shards that are named; of more than these their number is told.
const NAMED: usize = 3;

/// Endings of files that stand beside images and tell of them or of the folder; they are no inputs where they hold text.
const NOTES: [&str; 26] = [
    "json", "md", "rst", "xml", "html", "htm", "css", "js", "yaml", "yml", "toml", "ini", "cfg", "log", "py", "ipynb",
    "r", "m", "sh", "bat", "bib", "md5", "sha1", "sha256", "bval", "bvec",
];

/// Names of such files.
const NOTE_NAMES: [&str; 8] =
    ["README", "LICENSE", "LICENCE", "NOTICE", "CHANGES", "CHANGELOG", "MD5SUMS", "SHA256SUMS"];

/// What systems leave in folders, besides all whose name begins with a dot.
const OF_SYSTEMS: [&str; 6] =
    ["Thumbs.db", "ehthumbs.db", "desktop.ini", "__MACOSX", "$RECYCLE.BIN", "System Volume Information"];

/// Why a file is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is neither an image that is read nor a text.
    Form(FileForm),
    /// Any other cause, in words that go on from its name.
    Words(String),
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self {
            Self::Words(words) => return formatter.write_str(words),
            Self::Form(form) => form,
        };
        match form {
            FileForm::Unknown => formatter.write_str(
                "is of a kind that is not known: save an image as PNG, a text as `.txt`, or move the file elsewhere",
            ),
            FileForm::Text | FileForm::Utf16 | FileForm::Xml | FileForm::WebPage => {
                write!(formatter, "is {form} without the ending `.txt`: save it as `.txt` (UTF-8) to embed it")
            }
            FileForm::Document(_) => {
                write!(formatter, "is {form}, which is not read: save its text as `.txt`, its pictures as PNG")
            }
            _ => write!(formatter, "is {form}, which is not read (PNG, JPEG, TIFF and WebP are): {}", form.cure()),
        }
    }
}

/// What a folder holds that is neither taken nor left out as an input that somebody may miss.
pub(super) struct Beside {
    folder: PathBuf,
    tables: Several,
    shards: Several,
    /// By ending or name.
    notes: BTreeMap<String, u64>,
    hidden: u64,
}

/// The first of several paths, and how many there are.
#[derive(Default)]
struct Several {
    first: Vec<PathBuf>,
    count: usize,
}

impl Several {
    fn push(&mut self, path: PathBuf) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(path);
        }
    }

    /// `a`, `b` and 3 more
    fn words(&self) -> String {
        let names: Vec<String> = self.first.iter().map(|path| format!("`{}`", path.display())).collect();
        match self.count - self.first.len() {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }
}

/// What a file of a folder is taken for.
enum Kind {
    Image,
    Text,
    Table,
    /// A note, by its ending or name.
    Note(String),
    Left(Why),
}

/// What a folder and those below it hold, by path.
///
/// # Errors
/// When the folder itself cannot be read; of what lies in it, each that cannot be read is left out with its cause.
pub(super) fn search(folder: &Path) -> Result<(Vec<Part>, Beside), DataError> {
    let (none, all) = (Several::default, folder.to_path_buf());
    let mut beside = Beside { folder: all, tables: none(), shards: none(), notes: BTreeMap::new(), hidden: 0 };
    let mut parts = vec![];
    let mut walk = WalkDir::new(folder).min_depth(1).follow_links(true).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                match error.path().filter(|path| *path != folder).map(Path::to_path_buf) {
                    Some(path) if is_hidden(&path) => beside.hidden += 1,
                    Some(path) => {
                        let why = Why::Words(unreachable(&path, &error));
                        parts.push(Part::Left { path, why });
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
            beside.hidden += 1;
        } else if is_shards {
            beside.shards.push(path);
        } else if !is_folder {
            match kind(&path) {
                Kind::Image => parts.push(Part::Image(path)),
                Kind::Text => parts.push(Part::Text(path)),
                Kind::Left(why) => parts.push(Part::Left { path, why }),
                Kind::Table => beside.tables.push(path),
                Kind::Note(name) => *beside.notes.entry(name).or_default() += 1,
            }
        }
    }
    Ok((parts, beside))
}

/// Why something cannot be reached, in words that go on from its name.
fn unreachable(path: &Path, error: &walkdir::Error) -> String {
    if let Some(ancestor) = error.loop_ancestor() {
        return format!("is a link to `{}`, the folder that it lies in: remove the link", ancestor.display());
    }
    match error.io_error() {
        Some(error) => no_file(path, error),
        None => format!("cannot be read ({error})"),
    }
}

/// Why what has this path cannot be read; the system's error says it, unless it is a link.
pub(super) fn no_file(path: &Path, error: &std::io::Error) -> String {
    let is_link = fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink());
    match error.kind() {
        std::io::ErrorKind::NotFound if is_link => {
            "is a link to something that is not there: mend the link or remove it".into()
        }
        std::io::ErrorKind::PermissionDenied => format!("cannot be read ({error}): allow this user to read it"),
        _ if is_link => format!("is a link that cannot be followed ({error}): mend the link or remove it"),
        _ => format!("cannot be read ({error})"),
    }
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || OF_SYSTEMS.iter().any(|known| known.eq_ignore_ascii_case(&name))
}

/// By its ending where that is one of an image, a text or a table; else by its first bytes.
fn kind(path: &Path) -> Kind {
    let is_json = has_ending(path, &["json"]);
    if has_ending(path, &TEXTS) {
        return Kind::Text;
    } else if has_ending(path, &IMAGES) {
        return Kind::Image;
    } else if is_table(path) && !is_json {
        return Kind::Table;
    }
    let start = match first_bytes(path) {
        Ok(start) => start,
        Err(words) => return Kind::Left(Why::Words(words)),
    };
    match form(path, &start) {
        FileForm::Picture("PNG" | "JPEG" | "TIFF" | "WebP") => Kind::Image,
        FileForm::Text | FileForm::Utf16 if is_json && is_list(&start) => Kind::Table,
        form @ (FileForm::Text | FileForm::Utf16 | FileForm::Xml | FileForm::WebPage) => match note(path) {
            Some(name) => Kind::Note(name),
            None => Kind::Left(Why::Form(form)),
        },
        form => Kind::Left(Why::Form(form)),
    }
}

fn first_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| no_file(path, &error);
    // To open a pipe would wait for ever.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err("is no file".into());
    }
    let mut start = vec![];
    let read = File::open(path).and_then(|file| file.take(FileForm::ENOUGH as u64).read_to_end(&mut start));
    read.map(|_| start).map_err(failed)
}

/// The form by the first bytes; of research formats whose bytes say less than their ending, by both.
fn form(path: &Path, start: &[u8]) -> FileForm {
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

/// Whether JSON is a list, as a table is.
fn is_list(start: &[u8]) -> bool {
    let marks = |byte: &u8| !(byte.is_ascii_whitespace() || [0, 0xEF, 0xBB, 0xBF, 0xFE, 0xFF].contains(byte));
    start.iter().copied().find(marks) == Some(b'[')
}

/// What a note is counted as: `.md`, `README`.
fn note(path: &Path) -> Option<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ending = NOTES.iter().find(|ending| has_ending(path, &[ending])).map(|ending| format!(".{ending}"));
    ending.or_else(|| NOTE_NAMES.iter().find(|known| known.eq_ignore_ascii_case(&name)).map(|name| name.to_string()))
}

impl Beside {
    /// A line for each kind of thing, for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let folder = self.folder.display();
        let mut lines = vec![];
        let kinds = [("tables", "rows", &self.tables), ("folders of shards", "records", &self.shards)];
        for (what, hold, several) in kinds {
            if let Some(first) = several.first.first() {
                let (all, first) = (several.words(), first.display());
                lines.push(format!(
                    "`{folder}` holds {what}, which are not read with it: {all}; to take the {hold} of one, name it: \
                     `ptunifier embed MODEL {first} --out FILE`"
                ));
            }
        }
        let notes = self.notes.iter().map(|(name, count)| format!("{count} {name}"));
        let hidden = (self.hidden > 0).then(|| format!("{} hidden", self.hidden));
        let others: Vec<String> = notes.chain(hidden).collect();
        if !others.is_empty() {
            let others = others.join(", ");
            lines.push(format!("`{folder}` holds files beside images and texts, which are not read: {others}"));
        }
        lines
    }

    /// Why nothing is taken of the folder.
    pub(super) fn nothing(&self) -> DataError {
        let named = self.tables.first.iter().chain(&self.shards.first).next();
        let cure = match named {
            Some(path) => format!(
                "; tables and shards are read where they are named: `ptunifier embed MODEL {} --out FILE`",
                path.display()
            ),
            None => "; name a folder that does, or a table".into(),
        };
        let cause = format!("holds no image (PNG, JPEG, TIFF, WebP) and no `.txt` file{cure}");
        DataError::Input { path: self.folder.clone(), cause }
    }
}
