//! The rows of a table of any kind.

use std::fs;
use std::io::Read;
use std::path::Path;

use ptu_data::DataError;
use ptu_input::{FileForm, Packing};

use super::Entry;
use super::json_items::Items;
use super::json_lines::Jsonl;
use super::json_text::outline;
use super::parquet::Parquet;
use super::row::{Column, ROW_LIMIT, Row, listed};
use super::separated::{Csv, Surveyed};
use super::text::{Text, form, not_text};

/// The rows of a table.
pub struct Rows {
    header: Vec<String>,
    columns: Vec<Column>,
    notices: Vec<String>,
    hint: Option<String>,
    kind: Kind,
}

enum Kind {
    Csv(Box<Csv>),
    Jsonl(Jsonl),
    List(Items),
    Parquet(Box<Parquet>),
}

impl Rows {
    /// Opens a table: `.jsonl`, `.ndjson` and `.json` hold one JSON object a line, or a list of them; `.parquet` columns; anything
    /// else is separated by the comma, tab, semicolon or bar that its first line uses. Texts may be packed with gzip.
    ///
    /// All of a text is read once to find what it has: neither its columns nor what is told of it is concluded from its beginning.
    ///
    /// # Errors
    /// When the file cannot be read, is empty, is not UTF-8, or has a header that is none.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let wrong = |cause: &str| DataError::Table { path: path.to_path_buf(), cause: cause.to_string() };
        let about = fs::metadata(path).map_err(DataError::io("open", path))?;
        if !about.is_file() {
            return Err(wrong("it is no file; name the CSV or JSONL file itself"));
        }
        let form = first_bytes(path)?;
        let gzipped = form == FileForm::Packed(Packing::Gzip);
        let ending = ending(path, gzipped);
        if form == FileForm::Columns("Parquet") || ending == "parquet" {
            if gzipped {
                return Err(wrong("it is packed with gzip; unpack it"));
            }
            if let Some(cause) = not_text(form).filter(|_| form != FileForm::Columns("Parquet")) {
                return Err(wrong(&cause));
            }
            let (parquet, columns, notices) = Parquet::open(path)?;
            return Ok(Self::new(columns, notices, Kind::Parquet(Box::new(parquet))));
        }
        let entry = if gzipped { Entry::gzipped(path) } else { Entry::file(path) };
        match ending.as_str() {
            "json" | "jsonl" | "ndjson" => Self::json(&entry, &ending),
            _ => {
                let Surveyed { csv, columns, notices, hint } = Csv::surveyed(&entry)?;
                Ok(Self { hint, ..Self::new(columns, notices, Kind::Csv(Box::new(csv))) })
            }
        }
    }

    fn new(columns: Vec<Column>, notices: Vec<String>, kind: Kind) -> Self {
        let header = columns.iter().map(|column| column.name.clone()).collect();
        Self { header, columns, notices, hint: None, kind }
    }

    /// A list or objects a line, whichever it is by its first character.
    fn json(entry: &Entry, ending: &str) -> Result<Self, DataError> {
        let text = Text::open(entry)?;
        if text.start.trim_ascii().is_empty() {
            return Err(DataError::Table { path: text.path, cause: "it is empty; it must hold rows".into() });
        }
        let is_list = match (text.first(), ending) {
            (b'[', _) => true,
            (b'{', "json") => {
                one_object(text)?;
                false
            }
            (_, ending) => ending == "json",
        };
        if is_list {
            let keys = Items::keys(entry)?;
            return Ok(Self::new(keys.columns(), keys.notices("item"), Kind::List(Items::open(entry)?)));
        }
        let keys = Jsonl::keys(entry)?;
        Ok(Self::new(keys.columns(), keys.notices("line"), Kind::Jsonl(Jsonl::open(entry)?)))
    }

    /// The columns, in the order of the cells, with what they hold as far as the file says.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// What was passed over or concluded when the file was opened, each a sentence for the user.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// What may be wrong with the file where its columns are of no use, as words that follow the cause.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The next row; `None` after the last.
    ///
    /// # Errors
    /// When the file cannot be read on; what is wrong with one row is told in the row.
    pub fn next(&mut self) -> Result<Option<Row>, DataError> {
        match &mut self.kind {
            Kind::Csv(csv) => csv.next(),
            Kind::Jsonl(jsonl) => jsonl.next(&self.header),
            Kind::List(items) => items.next(&self.header),
            Kind::Parquet(parquet) => parquet.next(),
        }
    }

    /// The row of this number of a parquet file, from 1, without those before it; `None` of other kinds of tables, and where there
    /// are fewer rows.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn row(&self, line: u64) -> Result<Option<Row>, DataError> {
        match &self.kind {
            Kind::Parquet(parquet) => parquet.row(line),
            Kind::Csv(_) | Kind::Jsonl(_) | Kind::List(_) => Ok(None),
        }
    }

    /// Whether [`Rows::row`] finds rows.
    pub fn has_numbers(&self) -> bool {
        matches!(self.kind, Kind::Parquet(_))
    }

    /// Share of the file that has been read.
    pub fn share(&self) -> f64 {
        match &self.kind {
            Kind::Csv(csv) => csv.share(),
            Kind::Jsonl(jsonl) => jsonl.share(),
            Kind::List(items) => items.share(),
            Kind::Parquet(parquet) => parquet.share(),
        }
    }
}

/// What a file is by its first bytes.
fn first_bytes(path: &Path) -> Result<FileForm, DataError> {
    let mut first = vec![];
    let file = Entry::file(path).open()?;
    file.take(FileForm::ENOUGH as u64).read_to_end(&mut first).map_err(DataError::io("read", path))?;
    Ok(form(&first))
}

/// How a name ends, in small letters; of `a.csv.gz` it is `csv`.
fn ending(path: &Path, gzipped: bool) -> String {
    let ending = |path: &Path| path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match ending(path).as_str() {
        "gz" | "gzip" if gzipped => ending(Path::new(path.file_stem().unwrap_or_default())),
        other => other.to_string(),
    }
}

/// Refuses a file that is one object which holds a table in another form, or holds it in a field; a record, or the first of several,
/// is no such object.
fn one_object(mut text: Text) -> Result<(), DataError> {
    let mut bytes = vec![];
    let read = text.reader.by_ref().take(ROW_LIMIT as u64).read_to_end(&mut bytes);
    read.map_err(DataError::io("read", &text.path))?;
    let whole = String::from_utf8_lossy(&bytes);
    let begins: Vec<(String, Vec<u8>)> = outline(&whole);
    let names: Vec<String> = begins.iter().map(|(name, _)| name.clone()).collect();
    let all = |mark: u8| !begins.is_empty() && begins.iter().all(|(_, begin)| begin.first() == Some(&mark));
    let holds_rows = |(_, begin): &&(String, Vec<u8>)| begin == b"[{";
    let cause = if all(b'{') {
        format!(
            "it is an object of objects ({}), columns or records by their names; a list of objects is wanted, as pandas \
             writes it with `to_json(orient=\"records\")`",
            listed(&names)
        )
    } else if all(b'[') {
        let what = if begins.iter().any(|begin| holds_rows(&begin)) { "splits, as it seems" } else { "columns" };
        format!(
            "it is an object of lists ({}), {what}; a list of objects is wanted, each with the name of its split where \
             there are splits",
            listed(&names)
        )
    } else if let Some((name, _)) = begins.iter().find(holds_rows) {
        format!("it is an object with a list under `{name}`; write that list of objects alone")
    } else {
        return Ok(());
    };
    Err(DataError::Table { path: text.path, cause })
}

#[cfg(test)]
mod tests;
