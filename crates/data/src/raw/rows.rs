//! Rows of a table of any kind, each read within a bound, so that no file can take all memory.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::json_lines::Jsonl;
use super::parquet::Parquet;
use super::separated::Csv;
use super::{Entry, json_list};
use crate::error::{DataError, shortened};

/// The longest row, in bytes.
pub const ROW_LIMIT: usize = 8 << 20;

/// The most columns.
pub const COLUMN_LIMIT: usize = 10_000;

/// Rows of a JSONL file that are looked at for the names of its columns.
pub const LOOKED_AT: usize = 1_000;

/// Values of one column in one row: none where it is missing, several where a JSON list stands.
pub type Cell = Vec<String>;

/// One row, its cells in the order of the header.
pub struct Row {
    /// Where it starts, from 1.
    pub line: u64,
    /// The cells, or why the row cannot be read.
    pub cells: Result<Vec<Cell>, Bad>,
    /// An image within the row itself.
    pub image: Option<InlineImage>,
}

/// The encoded file of an image that stands in a table.
pub struct InlineImage {
    /// Position of its column.
    pub column: usize,
    /// The file.
    pub bytes: Vec<u8>,
    /// Whether its cell is a name that it had, not one that was made up.
    pub named: bool,
}

impl Row {
    /// The text of a column; empty where it is missing.
    pub fn get(&self, column: usize) -> &str {
        let cells = self.cells.as_ref().ok();
        cells.and_then(|cells| cells.get(column)?.first()).map_or("", |text| text.trim())
    }
}

/// A row that cannot become a record.
#[derive(Debug)]
pub struct Bad {
    /// Where it starts, from 1.
    pub line: u64,
    /// Cause and cure.
    pub cause: String,
}

/// The rows of a table.
pub struct Rows {
    header: Vec<String>,
    kind: Kind,
    /// Bytes of the file.
    total: u64,
    /// Rows that were read.
    count: u64,
}

enum Kind {
    Csv(Csv),
    Jsonl(Jsonl),
    /// Items of a JSON list, with the number of the next, from 1.
    List(std::vec::IntoIter<Value>, u64),
    Parquet(Parquet),
}

impl Rows {
    /// Opens a table: `.jsonl` and `.ndjson` hold one JSON object a line, `.json` a list of them, `.parquet` columns, anything
    /// else is separated by the comma, tab or semicolon that its first line uses.
    ///
    /// # Errors
    /// When the file cannot be read, is empty, is not UTF-8, or has a header that is none.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let wrong = |cause: &str| DataError::Table { path: path.to_path_buf(), cause: cause.to_string() };
        let about = fs::metadata(path).map_err(DataError::io("open", path))?;
        if !about.is_file() {
            return Err(wrong("it is no file; name the CSV or JSONL file itself"));
        }
        let entry = Entry::file(path);
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        let (kind, header) = if extension == "parquet" {
            let (parquet, header) = Parquet::open(path)?;
            (Kind::Parquet(parquet), header)
        } else if extension == "json" {
            let items = json_list(&entry)?;
            let keys = items.iter().take(LOOKED_AT).filter_map(Value::as_object).flat_map(|item| item.keys().cloned());
            let header: Vec<String> = keys.collect::<BTreeSet<_>>().into_iter().take(COLUMN_LIMIT).collect();
            (Kind::List(items.into_iter(), 1), header)
        } else if extension == "jsonl" || extension == "ndjson" {
            let mut start = vec![];
            entry.open()?.take(2).read_to_end(&mut start).map_err(DataError::io("read", path))?;
            check_start(&start, path)?;
            (Kind::Jsonl(Jsonl::open(&entry)?), Jsonl::header(&entry)?)
        } else {
            let csv = Csv::open(&entry)?;
            let header = csv.header().to_vec();
            (Kind::Csv(csv), header)
        };
        Ok(Self { header, kind, total: about.len(), count: 0 })
    }

    /// Names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The next row; `None` after the last.
    ///
    /// # Errors
    /// When the file cannot be read on; what is wrong with one row is told in the row.
    pub fn next(&mut self) -> Result<Option<Row>, DataError> {
        let row = self.read()?;
        self.count += u64::from(row.is_some());
        Ok(row)
    }

    /// How many rows were read.
    pub fn count(&self) -> u64 {
        self.count
    }

    fn read(&mut self) -> Result<Option<Row>, DataError> {
        match &mut self.kind {
            Kind::Csv(csv) => csv.next(),
            Kind::Jsonl(jsonl) => jsonl.next(&self.header),
            Kind::List(items, number) => {
                let Some(item) = items.next() else { return Ok(None) };
                let line = *number;
                *number += 1;
                let cells = match item {
                    Value::Object(object) => cells(object, &self.header, line),
                    _ => {
                        Err(Bad { line, cause: "the item is no object; write `{\"image\": .., \"text\": ..}`".into() })
                    }
                };
                Ok(Some(Row { line, cells, image: None }))
            }
            Kind::Parquet(parquet) => parquet.next(),
        }
    }

    /// Share of the file that has been read.
    pub fn share(&self) -> f64 {
        let read = match &self.kind {
            Kind::Csv(csv) => csv.read_bytes(),
            Kind::Jsonl(jsonl) => jsonl.read_bytes(),
            Kind::List(items, number) => return *number as f64 / (*number + items.len() as u64) as f64,
            Kind::Parquet(parquet) => return parquet.share(),
        };
        (read as f64 / self.total.max(1) as f64).min(1.0)
    }
}

/// Refuses what cannot be read as text.
pub fn check_start(start: &[u8], path: &Path) -> Result<(), DataError> {
    let wrong = |cause: &str| Err(DataError::Table { path: path.to_path_buf(), cause: cause.to_string() });
    if start.trim_ascii().is_empty() {
        return wrong("it is empty; its first line must name the columns");
    }
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        return wrong("it is UTF-16; save it as UTF-8");
    }
    Ok(())
}

/// The values of an object in the order of the header.
pub fn cells(mut object: serde_json::Map<String, Value>, header: &[String], line: u64) -> Result<Vec<Cell>, Bad> {
    header.iter().map(|name| cell(name, object.remove(name).unwrap_or_default(), line)).collect()
}

/// A JSON value as the texts of a cell.
fn cell(name: &str, value: Value, line: u64) -> Result<Cell, Bad> {
    let one = |value: Value| match value {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => {
            let cause = format!("`{}` holds a nested value; write a text, or a list of texts", shortened(name, 40));
            Err(Bad { line, cause })
        }
    };
    match value {
        Value::Null => Ok(vec![]),
        Value::Array(items) => items.into_iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

/// The columns for a message; a file that is no table has strange ones, so they are shortened.
pub fn listed(header: &[String]) -> String {
    let names: Vec<String> = header.iter().take(30).map(|name| format!("`{}`", shortened(name, 40))).collect();
    let rest = if header.len() > 30 { format!(" and {} more", header.len() - 30) } else { String::new() };
    format!("{}{rest}", names.join(", "))
}
