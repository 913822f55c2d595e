//! Reads the rows of a table of any kind, one after another.

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
use super::separated::{Csv, ScannedCsv};
use super::text::{Text, form, not_text};

/// A reader of the rows of a table.
pub struct Rows {
    header: Vec<String>,
    columns: Vec<Column>,
    notices: Vec<String>,
    hint: Option<String>,
    reader: TableReader,
}

/// The reader for the format of the file.
enum TableReader {
    Csv(Box<Csv>),
    Jsonl(Jsonl),
    List(Items),
    Parquet(Box<Parquet>),
}

impl Rows {
    /// Opens a table. Files `.jsonl`, `.ndjson` and `.json` contain one JSON object per line, or a list of objects; `.parquet`
    /// files contain columns. In all other files, the fields are separated by the comma, tab, semicolon or vertical bar that the
    /// first line uses. Text files may be compressed with gzip.
    ///
    /// A text file is read once as a whole when it is opened, because its first rows need not have all columns, and because the
    /// notices are about all rows.
    ///
    /// # Errors
    /// When the file cannot be read, is empty, is not UTF-8, or has a header that cannot be used.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let wrong = |cause: &str| DataError::Table { path: path.to_path_buf(), cause: cause.to_string() };
        let about = fs::metadata(path).map_err(DataError::io("open", path))?;
        if !about.is_file() {
            return Err(wrong("it is not a file; name the CSV or JSONL file itself"));
        }
        let form = first_bytes(path)?;
        let gzipped = form == FileForm::Packed(Packing::Gzip);
        let ending = ending(path, gzipped);
        if form == FileForm::Columns("Parquet") || ending == "parquet" {
            if gzipped {
                return Err(wrong("it is compressed with gzip, which is not supported for Parquet; unpack it"));
            }
            if let Some(cause) = not_text(form).filter(|_| form != FileForm::Columns("Parquet")) {
                return Err(wrong(&cause));
            }
            let (parquet, columns, notices) = Parquet::open(path)?;
            return Ok(Self::new(columns, notices, TableReader::Parquet(Box::new(parquet))));
        }
        let entry = if gzipped { Entry::gzipped(path) } else { Entry::file(path) };
        match ending.as_str() {
            "json" | "jsonl" | "ndjson" => Self::json(&entry, &ending),
            _ => {
                let ScannedCsv { csv, columns, notices, hint } = Csv::open_scanned(&entry)?;
                Ok(Self { hint, ..Self::new(columns, notices, TableReader::Csv(Box::new(csv))) })
            }
        }
    }

    fn new(columns: Vec<Column>, notices: Vec<String>, reader: TableReader) -> Self {
        let header = columns.iter().map(|column| column.name.clone()).collect();
        Self { header, columns, notices, hint: None, reader }
    }

    /// Opens a JSON file. Its first character decides whether it is a list of objects or has one object per line.
    fn json(entry: &Entry, ending: &str) -> Result<Self, DataError> {
        let text = Text::open(entry)?;
        if text.start.trim_ascii().is_empty() {
            return Err(DataError::Table { path: text.path, cause: "it is empty; it must hold rows".into() });
        }
        let is_list = match (text.first(), ending) {
            (b'[', _) => true,
            (b'{', "json") => {
                refuse_single_object(text)?;
                false
            }
            (_, ending) => ending == "json",
        };
        if is_list {
            let keys = Items::keys(entry)?;
            return Ok(Self::new(keys.columns(), keys.notices("item"), TableReader::List(Items::open(entry)?)));
        }
        let keys = Jsonl::keys(entry)?;
        Ok(Self::new(keys.columns(), keys.notices("line"), TableReader::Jsonl(Jsonl::open(entry)?)))
    }

    /// The columns, in the order of the cells, with what the file says about their content.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// What was skipped, and how values were interpreted, when the file was opened; one sentence each, for the user.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// What may be wrong with the file if its columns cannot be used, as words that follow the cause in a message.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The next row; `None` after the last.
    ///
    /// # Errors
    /// When the file cannot be read further. A problem in a single row is reported in the row instead.
    pub fn next(&mut self) -> Result<Option<Row>, DataError> {
        match &mut self.reader {
            TableReader::Csv(csv) => csv.next(),
            TableReader::Jsonl(jsonl) => jsonl.next(&self.header),
            TableReader::List(items) => items.next(&self.header),
            TableReader::Parquet(parquet) => parquet.next(),
        }
    }

    /// Reads only the row with this number, from 1, of a parquet file. `None` for other kinds of tables, and if the file has fewer
    /// rows.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn row(&self, line: u64) -> Result<Option<Row>, DataError> {
        match &self.reader {
            TableReader::Parquet(parquet) => parquet.row(line),
            TableReader::Csv(_) | TableReader::Jsonl(_) | TableReader::List(_) => Ok(None),
        }
    }

    /// Whether [`Rows::row`] can read a row by its number.
    pub fn has_numbers(&self) -> bool {
        matches!(self.reader, TableReader::Parquet(_))
    }

    /// The share of the file that has been read, from 0 to 1.
    pub fn share(&self) -> f64 {
        match &self.reader {
            TableReader::Csv(csv) => csv.share(),
            TableReader::Jsonl(jsonl) => jsonl.share(),
            TableReader::List(items) => items.share(),
            TableReader::Parquet(parquet) => parquet.share(),
        }
    }
}

/// The form of a file, found from its first bytes.
fn first_bytes(path: &Path) -> Result<FileForm, DataError> {
    let mut first = vec![];
    let file = Entry::file(path).open()?;
    file.take(FileForm::ENOUGH as u64).read_to_end(&mut first).map_err(DataError::io("read", path))?;
    Ok(form(&first))
}

/// The ending of a file name in lower case; for `a.csv.gz`, it is `csv`.
fn ending(path: &Path, gzipped: bool) -> String {
    let ending = |path: &Path| path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match ending(path).as_str() {
        "gz" | "gzip" if gzipped => ending(Path::new(path.file_stem().unwrap_or_default())),
        other => other.to_string(),
    }
}

/// Refuses a file that is a single object with a table in another form, or with a table in one of its fields. A file whose first
/// object is a record is not refused.
fn refuse_single_object(mut text: Text) -> Result<(), DataError> {
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
            "it is an object of objects ({}), with columns or records by their names; write a list of objects, as \
             pandas writes it with `to_json(orient=\"records\")`",
            listed(&names)
        )
    } else if all(b'[') {
        let what = if begins.iter().any(|begin| holds_rows(&begin)) { "probably splits" } else { "columns" };
        format!(
            "it is an object of lists ({}), {what}; write a list of objects, each with the name of its split if there \
             are splits",
            listed(&names)
        )
    } else if let Some((name, _)) = begins.iter().find(holds_rows) {
        format!("it is an object with a list under `{name}`; write only this list of objects to the file")
    } else {
        return Ok(());
    };
    Err(DataError::Table { path: text.path, cause })
}

#[cfg(test)]
mod tests;
