//! One row of a table of any kind, and the limits for tables: without them, a single file could use all memory.

use ptu_data::shortened;

use super::encoded::decode_base64_image;

/// The longest row, in bytes.
pub const ROW_LIMIT: usize = 8 << 20;

/// The largest number of columns.
pub const COLUMN_LIMIT: usize = 10_000;

/// The values of one column in one row: empty if the value is missing, several values for a JSON list.
pub type Cell = Vec<String>;

/// One row, with its cells in the order of the header.
pub struct Row {
    /// The line on which it starts, or its number in a list, from 1.
    pub line: u64,
    /// The cells, or why the row cannot be read.
    pub cells: Result<Vec<Cell>, RowError>,
    /// The images that the row itself contains, at most one for each column.
    pub images: Vec<InlineImage>,
    /// Values that are not read. Their cells are empty, or contain the value if it is only doubtful.
    pub unread: Vec<Unread>,
}

/// The content of a row that could be read, with the fields as in [`Row`].
#[derive(Default)]
pub struct RowContent {
    /// The cells.
    pub cells: Vec<Cell>,
    /// The images that the row contains.
    pub images: Vec<InlineImage>,
    /// Values that are not read.
    pub unread: Vec<Unread>,
}

impl RowContent {
    /// The content of a row that has only cells.
    pub fn of(cells: Vec<Cell>) -> Self {
        Self { cells, ..Self::default() }
    }
}

/// A value that is not read. If its column is used, the row cannot be used; otherwise the value is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The position of its column.
    pub column: usize,
    /// The cause and what to do, as words that follow the name of the column in a message.
    pub cause: String,
}

/// A column of a table, with what the file says about its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its cells contain.
    pub holds: ColumnContent,
    /// Whether its values are numbers of classes.
    pub numbers: Numbers,
}

/// Whether the values of a column are integers, and whether the file names the classes with these numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbers {
    /// The values are not integers, or the file does not say so.
    #[default]
    No,
    /// Integers.
    Whole,
    /// Integers; each is read as the name of its class.
    Classes,
}

/// What the cells of a column contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnContent {
    /// Texts, numbers, or lists of them, each as a [`Cell`].
    Values,
    /// Image files, each as an [`InlineImage`], or paths of image files, each as a cell.
    Images,
    /// Values that are not read, each as an empty [`Cell`]; with the cause and what to do, as in [`Unread`].
    Unread(String),
}

impl Column {
    /// A column of values.
    pub fn values(name: impl Into<String>) -> Self {
        Self { name: name.into(), holds: ColumnContent::Values, numbers: Numbers::No }
    }
}

/// An encoded image file that is stored in a table.
pub struct InlineImage {
    /// Position of its column.
    pub column: usize,
    /// The bytes of the file.
    pub bytes: Vec<u8>,
    /// Whether its cell is the name that the image has in the table. Otherwise, the name was generated from the row number.
    pub named: bool,
}

impl Row {
    /// Takes the image of a column: an image file, or a text that is an image file in base64. `None` if the column has a path or
    /// no value.
    pub fn take_image(&mut self, column: usize) -> Option<InlineImage> {
        if let Some(place) = self.images.iter().position(|image| image.column == column) {
            return Some(self.images.swap_remove(place));
        }
        let [text] = self.cells.as_mut().ok()?.get_mut(column)?.as_mut_slice() else { return None };
        let bytes = decode_base64_image(text)?;
        *text = format!("row-{}", self.line);
        Some(InlineImage { column, bytes, named: false })
    }

    /// A row that was read, or the reason why it could not be read.
    pub fn read(line: u64, content: Result<RowContent, RowError>) -> Self {
        match content {
            Ok(RowContent { cells, images, unread }) => Self { line, cells: Ok(cells), images, unread },
            Err(bad) => Self { line, cells: Err(bad), images: vec![], unread: vec![] },
        }
    }

    /// The text of a column without surrounding white space; empty if it is missing.
    pub fn get(&self, column: usize) -> &str {
        let cells = self.cells.as_ref().ok();
        cells.and_then(|cells| cells.get(column)?.first()).map_or("", |text| text.trim())
    }
}

/// The reason why a row cannot be read.
#[derive(Debug)]
pub struct RowError {
    /// The line on which the row starts, or its number in a list, from 1.
    pub line: u64,
    /// The cause and what to do.
    pub cause: String,
}

/// The names of the columns for a message, shortened, because a file that is not a table can have very long ones.
pub fn listed(header: &[String]) -> String {
    let names: Vec<String> = header.iter().take(30).map(|name| format!("`{}`", shortened(name, 40))).collect();
    let rest = if header.len() > 30 { format!(" and {} more", header.len() - 30) } else { String::new() };
    format!("{}{rest}", names.join(", "))
}
