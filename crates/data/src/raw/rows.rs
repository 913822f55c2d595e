//! The rows of a table of any kind.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::json_lines::{Jsonl, cells};
use super::parquet::Parquet;
use super::row::{Bad, COLUMN_LIMIT, Column, LOOKED_AT, Row, check_start};
use super::separated::Csv;
use super::{Entry, json_list};
use crate::error::DataError;

/// The rows of a table.
pub struct Rows {
    header: Vec<String>,
    columns: Vec<Column>,
    notices: Vec<String>,
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
        let (kind, columns) = if extension == "parquet" {
            let (parquet, columns) = Parquet::open(path)?;
            (Kind::Parquet(parquet), columns)
        } else if extension == "json" {
            let items = json_list(&entry)?;
            let keys = items.iter().take(LOOKED_AT).filter_map(Value::as_object).flat_map(|item| item.keys().cloned());
            let keys = keys.collect::<BTreeSet<_>>().into_iter().take(COLUMN_LIMIT);
            let columns = keys.map(Column::values).collect();
            (Kind::List(items.into_iter(), 1), columns)
        } else if extension == "jsonl" || extension == "ndjson" {
            let mut start = vec![];
            entry.open()?.take(2).read_to_end(&mut start).map_err(DataError::io("read", path))?;
            check_start(&start, path)?;
            let columns = Jsonl::header(&entry)?.into_iter().map(Column::values).collect();
            (Kind::Jsonl(Jsonl::open(&entry)?), columns)
        } else {
            let csv = Csv::open(&entry)?;
            let columns = csv.header().iter().map(Column::values).collect();
            (Kind::Csv(csv), columns)
        };
        let columns: Vec<Column> = columns;
        let header = columns.iter().map(|column| column.name.clone()).collect();
        Ok(Self { header, columns, notices: vec![], kind, total: about.len(), count: 0 })
    }

    /// Names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The columns, in the order of [`Rows::header`], with what they hold as far as the file says.
    #[expect(dead_code, reason = "the choice of columns asks for it")]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// What was passed over or concluded when the file was opened, each a sentence for the user.
    #[expect(dead_code, reason = "`prepare table` tells them")]
    pub fn notices(&self) -> &[String] {
        &self.notices
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
                Ok(Some(Row { line, cells, images: vec![], unread: vec![] }))
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
