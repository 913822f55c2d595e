//! The rows of a table, file by file, as records whose images are still to be read.

use std::path::{Path, PathBuf};

use ptu_data::DataError;
use ptu_data::columns::Purpose;
use ptu_data::record::RecordImage;

use super::columns::{ColumnNames, Columns};
use super::command::TableCommand;
use super::files::{TableFile, TableFiles};
use super::record::{Assembler, Within};
use super::{TableOptions, source_name};
use crate::draft::{Draft, Place};
use crate::raw::row::{Numbers, Row};
use crate::raw::rows::Rows;
use crate::run::Drafts;

/// The rows of a table.
pub(crate) struct TableRows {
    table: PathBuf,
    rows: Rows,
    assembler: Assembler,
    files: Vec<TableFile>,
    /// Which of them is read.
    file: usize,
    /// Lines of those before it, and the last line of this one.
    before: u64,
    line: u64,
    /// What was worth to be told of each file.
    notices: Vec<String>,
}

impl TableRows {
    /// Opens the first file; also returns its columns.
    ///
    /// # Errors
    /// When it cannot be read, or lacks columns.
    pub(crate) fn open(
        table: &Path,
        files: Vec<TableFile>,
        options: &TableOptions,
    ) -> Result<(Self, Columns), DataError> {
        let first = files.first().map_or(table, |file| &file.path);
        let rows = Rows::open(first)?;
        let columns = Columns::find(rows.columns(), &options.columns, (first, options.command));
        let columns = columns.map_err(|error| hinted(error, rows.hint()))?;
        let notices = rows.notices().to_vec();
        let assembler = Assembler::new(&source_name(table, options), options, columns.clone());
        let table = table.to_path_buf();
        Ok((Self { table, rows, assembler, files, file: 0, before: 0, line: 0, notices }, columns))
    }

    /// A table that is embedded: columns have usual names, and a half may be missing. Also returns what is told of it.
    ///
    /// # Errors
    /// As [`TableRows::open`].
    pub(crate) fn embedded(table: &Path, fields: Option<&[String]>) -> Result<(Self, Vec<String>), DataError> {
        let columns = ColumnNames { fields: fields.map(<[String]>::to_vec), ..ColumnNames::default() };
        let options =
            TableOptions { columns, command: TableCommand::Embed, allow_missing: true, ..TableOptions::default() };
        let files = TableFiles::find(table)?.files;
        let (rows, columns) = Self::open(table, files, &options)?;
        let lines = columns.lines(table, false);
        Ok((rows, lines))
    }

    /// Whether a column says the split of each record.
    pub(crate) fn has_split(&self) -> bool {
        self.assembler.has_split()
    }

    /// Whether an image that stands in a row is found again ([`TableImages`]).
    pub(crate) fn images_are_found(&self) -> bool {
        self.rows.has_numbers()
    }

    /// Refuses a file whose numbers would be read as they are while those of the file before are read as names of classes, or
    /// the other way round: one class would have two values.
    fn check_classes(&mut self, rows: &Rows, path: &Path) -> Result<(), DataError> {
        let columns = self.rows.columns().iter().zip(rows.columns()).enumerate();
        let both = [Numbers::Whole, Numbers::Classes];
        for (place, (before, now)) in columns {
            let differ = both.contains(&before.numbers) && both.contains(&now.numbers) && before.numbers != now.numbers;
            let purpose = self.assembler.taken_for(place);
            if differ && purpose != Purpose::Left {
                let (named, other) = match now.numbers {
                    Numbers::Classes => (path, self.files[self.file].path.as_path()),
                    _ => (self.files[self.file].path.as_path(), path),
                };
                let cause = format!(
                    "`{}` has names of classes in the metadata of `{}` and numbers without names in `{}`, so that one class would \
                     have two values; write the names into both, or name one table by itself",
                    now.name,
                    named.display(),
                    other.display()
                );
                // A field is kept as it is read; nothing is learned from it.
                match purpose {
                    Purpose::Field => self.notices.push(cause),
                    _ => return Err(DataError::Table { path: path.to_path_buf(), cause }),
                }
            }
        }
        Ok(())
    }

    /// Where a row stands.
    fn place(&self, row: &Row) -> Place {
        match self.files.as_slice() {
            [TableFile { split: None, .. }] => Place::Line(row.line),
            files => {
                let path = &files[self.file].path;
                // Of files of one name in several folders, the folder tells which it is.
                let folder = if self.table.is_dir() { self.table.as_path() } else { Path::new("") };
                let name = path.strip_prefix(folder).unwrap_or(path).display();
                Place::Named(format!("{name} row {}", row.line))
            }
        }
    }
}

/// A refusal of the columns with what may be wrong with the file.
fn hinted(mut error: DataError, hint: Option<&str>) -> DataError {
    if let (DataError::Table { cause: told, .. } | DataError::NoColumn { there: told, .. }, Some(hint)) =
        (&mut error, hint)
    {
        told.push_str("; ");
        told.push_str(hint);
    }
    error
}

/// A parquet file whose images stand in it, to read one of them again.
pub(crate) struct TableImages {
    rows: Rows,
    column: Option<usize>,
}

impl TableImages {
    /// Opens a table that was embedded.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn open(table: &Path) -> Result<Self, DataError> {
        let rows = Rows::open(table)?;
        let column = Columns::find(rows.columns(), &ColumnNames::default(), (table, TableCommand::Embed))?.image;
        Ok(Self { rows, column })
    }

    /// The image in the row of this number, from 1.
    ///
    /// # Errors
    /// When the table cannot be read any more.
    pub(crate) fn read(&self, row: u64) -> Result<Option<RecordImage>, DataError> {
        let image = |mut row: Row| row.take_image(self.column?);
        let found = self.rows.row(row)?.and_then(image);
        Ok(found.map(|image| RecordImage { bytes: image.bytes, path: None }))
    }
}

impl Drafts for TableRows {
    fn next(&mut self) -> Result<Option<Draft>, DataError> {
        loop {
            if let Some(row) = self.rows.next()? {
                self.line = self.line.max(row.line);
                let place = self.place(&row);
                let TableFile { path, split } = &self.files[self.file];
                let folder = path.parent().unwrap_or(Path::new(""));
                let within = Within { folder, before: self.before, split: *split };
                return Ok(Some(self.assembler.draft(row, place, &within)));
            }
            let Some(next) = self.files.get(self.file + 1) else { return Ok(None) };
            let rows = Rows::open(&next.path)?;
            // What a column holds may differ from file to file; each row says what it has.
            let names = |rows: &Rows| rows.columns().iter().map(|column| column.name.clone()).collect::<Vec<_>>();
            if names(&rows) != names(&self.rows) {
                let path = self.files[self.file].path.display();
                let cause = format!("its columns are not those of `{path}`; name one table by itself");
                return Err(DataError::Table { path: next.path.clone(), cause });
            }
            let path = next.path.clone();
            self.check_classes(&rows, &path)?;
            self.notices.extend(
                rows.notices().iter().filter(|notice| !self.notices.contains(notice)).cloned().collect::<Vec<_>>(),
            );
            self.before += self.line;
            (self.rows, self.line) = (rows, 0);
            self.file += 1;
        }
    }

    fn share(&self, _: u64) -> f64 {
        (self.file as f64 + self.rows.share()) / self.files.len() as f64
    }

    fn told(&self) -> Result<Vec<String>, DataError> {
        let seen = self.assembler.told().map_err(|cause| DataError::Table { path: self.table.clone(), cause })?;
        Ok(self.notices.iter().cloned().chain(seen).collect())
    }
}
