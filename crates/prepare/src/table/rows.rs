//! Reads the rows of a table, file by file, as records whose images are read later.

use std::path::{Path, PathBuf};

use ptu_data::DataError;
use ptu_data::columns::Purpose;
use ptu_data::record::RecordImage;

use super::columns::{ColumnNames, Columns};
use super::command::TableCommand;
use super::files::{TableFile, TableFiles};
use super::record::{FileContext, RecordBuilder};
use super::{TableOptions, source_name};
use crate::draft::{Draft, RowPosition};
use crate::raw::row::{Numbers, Row};
use crate::raw::rows::Rows;
use crate::run::DraftSource;

/// The rows of a table.
pub(crate) struct TableRows {
    table: PathBuf,
    rows: Rows,
    builder: RecordBuilder,
    files: Vec<TableFile>,
    /// The index of the file that is being read.
    file: usize,
    /// Number of lines in the files before it.
    lines_before: u64,
    /// The last line of this file that was read.
    line: u64,
    /// Sentences for the user about the files.
    notices: Vec<String>,
}

impl TableRows {
    /// Opens the first file of a table. Also returns its columns.
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
        let columns = Columns::find(rows.columns(), &options.columns, first, options.command);
        let columns = columns.map_err(|error| with_hint(error, rows.hint()))?;
        let notices = rows.notices().to_vec();
        let builder = RecordBuilder::new(&source_name(table, options), options, columns.clone());
        let table = table.to_path_buf();
        Ok((Self { table, rows, builder, files, file: 0, lines_before: 0, line: 0, notices }, columns))
    }

    /// Opens a table whose rows are inputs of a model. Its columns are found by their usual names, and a row may lack its image or its
    /// text. Also returns lines for the user about the columns; errors name the options of `command`.
    ///
    /// # Errors
    /// As [`TableRows::open`].
    pub(crate) fn open_as_inputs(
        table: &Path,
        fields: Option<&[String]>,
        command: TableCommand,
    ) -> Result<(Self, Vec<String>), DataError> {
        let columns = ColumnNames { fields: fields.map(<[String]>::to_vec), ..ColumnNames::default() };
        let options = TableOptions { columns, command, allow_missing: true, ..TableOptions::default() };
        let files = TableFiles::find(table)?.files;
        let (rows, columns) = Self::open(table, files, &options)?;
        let lines = columns.lines(table, false);
        Ok((rows, lines))
    }

    /// True if a column gives the split of each record.
    pub(crate) fn has_split(&self) -> bool {
        self.builder.has_split()
    }

    /// True if an image that is stored in a row can be read again by the number of the row ([`TableImages`]).
    pub(crate) fn images_can_be_reread(&self) -> bool {
        self.rows.has_numbers()
    }

    /// Compares the columns of the next file with those of the current one. In one file the numbers of a column may be read as
    /// names of classes, and in the other as plain numbers; then one class would have two values, which is an error.
    fn check_classes(&mut self, rows: &Rows, path: &Path) -> Result<(), DataError> {
        let columns = self.rows.columns().iter().zip(rows.columns()).enumerate();
        let both = [Numbers::Whole, Numbers::Classes];
        for (column, (before, now)) in columns {
            let differ = both.contains(&before.numbers) && both.contains(&now.numbers) && before.numbers != now.numbers;
            let purpose = self.builder.purpose_of(column);
            if differ && purpose != Purpose::Left {
                let (with_names, without) = match now.numbers {
                    Numbers::Classes => (path, self.files[self.file].path.as_path()),
                    _ => (self.files[self.file].path.as_path(), path),
                };
                let cause = format!(
                    "`{}` has names of classes in the metadata of `{}` and numbers without names in `{}`, so that one class would \
                     have two values; write the names into both, or name one table by itself",
                    now.name,
                    with_names.display(),
                    without.display()
                );
                // Models do not learn from fields, so a field is kept as it is read, with a notice.
                match purpose {
                    Purpose::Field => self.notices.push(cause),
                    _ => return Err(DataError::Table { path: path.to_path_buf(), cause }),
                }
            }
        }
        Ok(())
    }

    /// The position of a row, for messages.
    fn position(&self, row: &Row) -> RowPosition {
        match self.files.as_slice() {
            [TableFile { split: None, .. }] => RowPosition::Line(row.line),
            files => {
                let path = &files[self.file].path;
                // Several folders may have files of the same name, so the path below the folder is given.
                let folder = if self.table.is_dir() { self.table.as_path() } else { Path::new("") };
                let name = path.strip_prefix(folder).unwrap_or(path).display();
                RowPosition::Named(format!("{name} row {}", row.line))
            }
        }
    }
}

/// Adds to an error about the columns what may be wrong with the file.
fn with_hint(mut error: DataError, hint: Option<&str>) -> DataError {
    if let (DataError::Table { cause: message, .. } | DataError::NoColumn { there: message, .. }, Some(hint)) =
        (&mut error, hint)
    {
        message.push_str("; ");
        message.push_str(hint);
    }
    error
}

/// A parquet file that contains images, opened to read single images again.
pub(crate) struct TableImages {
    rows: Rows,
    column: Option<usize>,
}

impl TableImages {
    /// Opens a table whose rows were embedded.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub(crate) fn open(table: &Path) -> Result<Self, DataError> {
        let rows = Rows::open(table)?;
        let column = Columns::find(rows.columns(), &ColumnNames::default(), table, TableCommand::Embed)?.image;
        Ok(Self { rows, column })
    }

    /// The image in this row, counted from 1; `None` if there is no such row or no image in it.
    ///
    /// # Errors
    /// When the table can no longer be read.
    pub(crate) fn read(&self, row: u64) -> Result<Option<RecordImage>, DataError> {
        let image = |mut row: Row| row.take_image(self.column?);
        let found = self.rows.row(row)?.and_then(image);
        Ok(found.map(|image| RecordImage { bytes: image.bytes, path: None }))
    }
}

impl DraftSource for TableRows {
    fn next(&mut self) -> Result<Option<Draft>, DataError> {
        loop {
            if let Some(row) = self.rows.next()? {
                self.line = self.line.max(row.line);
                let position = self.position(&row);
                let TableFile { path, split } = &self.files[self.file];
                let folder = path.parent().unwrap_or(Path::new(""));
                let file = FileContext { folder, lines_before: self.lines_before, split: *split };
                return Ok(Some(self.builder.draft(row, position, &file)));
            }
            let Some(next) = self.files.get(self.file + 1) else { return Ok(None) };
            let rows = Rows::open(&next.path)?;
            // The types of a column may differ from file to file, but the names may not.
            let names = |rows: &Rows| rows.columns().iter().map(|column| column.name.clone()).collect::<Vec<_>>();
            if names(&rows) != names(&self.rows) {
                let path = self.files[self.file].path.display();
                let cause = format!("its columns differ from those of `{path}`; name only one of the tables");
                return Err(DataError::Table { path: next.path.clone(), cause });
            }
            let path = next.path.clone();
            self.check_classes(&rows, &path)?;
            self.notices.extend(
                rows.notices().iter().filter(|notice| !self.notices.contains(notice)).cloned().collect::<Vec<_>>(),
            );
            self.lines_before += self.line;
            (self.rows, self.line) = (rows, 0);
            self.file += 1;
        }
    }

    fn share(&self, _: u64) -> f64 {
        (self.file as f64 + self.rows.share()) / self.files.len() as f64
    }

    fn remarks(&self) -> Result<Vec<String>, DataError> {
        let remarks = self.builder.remarks().map_err(|cause| DataError::Table { path: self.table.clone(), cause })?;
        Ok(self.notices.iter().cloned().chain(remarks).collect())
    }
}
