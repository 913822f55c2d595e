//! One row of a table of any kind, and the bounds within which tables are read, so that no file can take all memory.

use ptu_data::shortened;

use super::encoded::of_base64;

/// The longest row, in bytes.
pub const ROW_LIMIT: usize = 8 << 20;

/// The most columns.
pub const COLUMN_LIMIT: usize = 10_000;

/// Values of one column in one row: none where it is missing, several where a JSON list stands.
pub type Cell = Vec<String>;

/// One row, its cells in the order of the header.
pub struct Row {
    /// Where it starts, from 1.
    pub line: u64,
    /// The cells, or why the row cannot be read.
    pub cells: Result<Vec<Cell>, Bad>,
    /// Images within the row itself, at most one a column.
    pub images: Vec<InlineImage>,
    /// Values that are not read; their cells are empty, or hold what is doubtful.
    pub unread: Vec<Unread>,
}

/// What a row holds, as [`Row`] has it.
#[derive(Default)]
pub struct Content {
    /// The cells.
    pub cells: Vec<Cell>,
    /// Images within the row.
    pub images: Vec<InlineImage>,
    /// Values that are not read.
    pub unread: Vec<Unread>,
}

impl Content {
    /// Values alone.
    pub fn of(cells: Vec<Cell>) -> Self {
        Self { cells, ..Self::default() }
    }
}

/// A value that is not read: of no use it stops nothing, of use it makes the row a bad one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Position of its column.
    pub column: usize,
    /// Cause and cure, as words that go on from the column's name.
    pub cause: String,
}

/// A column of a table, as far as the file says what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its cells hold.
    pub holds: Holds,
    /// Whether they are numbers of classes.
    pub numbers: Numbers,
}

/// Whether the values of a column are whole numbers, and whether the file names the classes that they stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbers {
    /// They are none, or the file does not say so.
    #[default]
    No,
    /// Whole numbers.
    Whole,
    /// Whole numbers, each of which is read as the name of its class.
    Classes,
}

/// What the cells of a column hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Texts, numbers, or lists of them: each a [`Cell`].
    Values,
    /// Files of images, or their paths: each an [`InlineImage`], or a cell with the path.
    Images,
    /// Values that are not read, each an empty [`Cell`]; cause and cure, as in [`Unread`].
    Unread(String),
}

impl Column {
    /// A column of values.
    pub fn values(name: impl Into<String>) -> Self {
        Self { name: name.into(), holds: Holds::Values, numbers: Numbers::No }
    }
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
    /// Takes the image that stands in a column: its file, or a text that is one in base64. `None` for a path, or for nothing.
    pub fn take_image(&mut self, column: usize) -> Option<InlineImage> {
        if let Some(place) = self.images.iter().position(|image| image.column == column) {
            return Some(self.images.swap_remove(place));
        }
        let [text] = self.cells.as_mut().ok()?.get_mut(column)?.as_mut_slice() else { return None };
        let bytes = of_base64(text)?;
        *text = format!("row-{}", self.line);
        Some(InlineImage { column, bytes, named: false })
    }

    /// A row that was read, or why it could not be.
    pub fn read(line: u64, content: Result<Content, Bad>) -> Self {
        match content {
            Ok(Content { cells, images, unread }) => Self { line, cells: Ok(cells), images, unread },
            Err(bad) => Self { line, cells: Err(bad), images: vec![], unread: vec![] },
        }
    }

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

/// The columns for a message; a file that is no table has strange ones, so they are shortened.
pub fn listed(header: &[String]) -> String {
    let names: Vec<String> = header.iter().take(30).map(|name| format!("`{}`", shortened(name, 40))).collect();
    let rest = if header.len() > 30 { format!(" and {} more", header.len() - 30) } else { String::new() };
    format!("{}{rest}", names.join(", "))
}
