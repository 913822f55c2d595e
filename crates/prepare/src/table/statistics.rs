//! Statistics over all rows of a table, in little memory. They show columns that may group records although the user named no
//! patient column, and columns that contain paths of images but are not used as the image.

use std::collections::{BTreeMap, HashMap};

use ptu_data::columns::Purpose;
use ptu_data::files::name_digest;
use ptu_data::record::Split;
use ptu_data::shortened;

use super::columns::Columns;
use super::command::TableCommand;
use crate::draft::RowPosition;
use crate::raw::row::{Cell, Unread};

/// At most this many columns are observed.
const MAX_COLUMNS: usize = 64;

/// At most this many different values of a column are stored. If a column has more, a sample of them is stored, chosen by hash.
const MAX_VALUES: usize = 4096;

/// If a value occurs in more rows than this on average, the column gives a category of records and not a group such as a patient.
const MAX_ROWS_PER_VALUE: u64 = 10;

/// At most this many columns are reported.
const MAX_COLUMNS_REPORTED: usize = 3;

/// Extensions of image files.
const IMAGE_EXTENSIONS: [&str; 14] =
    ["png", "jpg", "jpeg", "jpe", "jfif", "tif", "tiff", "webp", "bmp", "gif", "dcm", "jp2", "avif", "heic"];

/// Statistics over the rows that were read so far.
pub struct TableStatistics {
    /// Number of records with an image.
    with_image: u64,
    /// The observed columns. The columns whose names show that they may group records come first.
    columns: Vec<(usize, ColumnStatistics)>,
    /// The number of such columns.
    group_columns: usize,
    /// For each column of fields: the number of values that could not be read (key `false`) or that are doubtful but kept (key
    /// `true`), and a description of the first such value with its position.
    unread: BTreeMap<(usize, bool), (u64, String)>,
}

/// Statistics over the values of one column.
#[derive(Default)]
struct ColumnStatistics {
    /// Number of values that are not empty.
    filled: u64,
    /// Number of values that look like paths of images.
    image_paths: u64,
    /// Number of values that cannot name a group: long texts, ages, measurements.
    not_groups: u64,
    /// The first value that looks like the path of an image, and its row.
    first_image_path: Option<(String, u64)>,
    /// Only values whose hash ends in at least this many zero bits are stored.
    zero_bits: u32,
    /// The stored values by their hash.
    values: HashMap<u64, ValueStatistics>,
}

/// Statistics over the records with one value in a column.
struct ValueStatistics {
    /// The patient and the split of the first record.
    patient: u128,
    split: Split,
    /// True if the records belong to several patients.
    several_patients: bool,
    /// True if the records are in several splits.
    several_splits: bool,
}

/// The numbers of different values of a column; they are estimates if only a sample of the values is stored.
struct ValueCounts {
    values: u64,
    /// Values whose records belong to several patients.
    several_patients: u64,
    /// Values whose records are in several splits.
    several_splits: u64,
}

/// What the statistics need to know of the record that a row became.
pub struct RecordSummary {
    /// The line of the row.
    pub line: u64,
    /// True if the record has an image.
    pub has_image: bool,
    /// Hash of the patient.
    pub patient: u128,
    /// The split of the record.
    pub split: Split,
}

impl TableStatistics {
    /// Empty statistics for a table with these columns.
    pub fn new(columns: &Columns) -> Self {
        let groups = columns.group_columns();
        let others = columns.fields.iter().copied().filter(|column| !groups.contains(column));
        let observed = groups.iter().copied().chain(others).take(MAX_COLUMNS);
        Self {
            with_image: 0,
            columns: observed.map(|column| (column, ColumnStatistics::default())).collect(),
            group_columns: groups.len(),
            unread: BTreeMap::new(),
        }
    }

    /// Adds a row that became a record.
    pub fn add_row(&mut self, columns: &Columns, cells: &[Cell], record: &RecordSummary) {
        self.with_image += u64::from(record.has_image);
        if columns.patient.is_some() && self.with_image > 0 {
            return;
        }
        for (column, statistics) in &mut self.columns {
            let [value] = cells[*column].as_slice() else { continue };
            let value = value.trim();
            if !value.is_empty() {
                statistics.add(value, record);
            }
        }
    }

    /// Adds a value of a field that could not be read, or could be read only with doubt. Values of other columns are ignored.
    pub fn add_unread(&mut self, columns: &Columns, unread: &Unread, cells: &[Cell], position: &RowPosition) {
        if columns.fields.contains(&unread.column) {
            let first = || (0, format!("{position}: it {}", unread.cause));
            let kept = cells.get(unread.column).is_some_and(|cell| cell.iter().any(|value| !value.is_empty()));
            self.unread.entry((unread.column, kept)).or_insert_with(first).0 += 1;
        }
    }

    /// An error if no record has an image although a column contains paths of images.
    pub fn missed_image_column(&self, columns: &Columns) -> Option<String> {
        if self.with_image > 0 {
            return None;
        }
        let has_image_paths = |one: &ColumnStatistics| one.image_paths > 0 && 2 * one.image_paths >= one.filled;
        let fields = self.columns.iter().filter(|(column, _)| columns.fields.contains(column));
        let (column, found) = fields.filter(|(_, one)| has_image_paths(one)).min_by_key(|(column, _)| *column)?;
        let (name, (value, line)) = (&columns.names[*column], found.first_image_path.as_ref()?);
        let problem = match columns.image {
            None => "no column is used as the image".to_string(),
            Some(image) => format!("no record has an image in `{}`", shortened(&columns.names[image], 40)),
        };
        let texts_only = match columns.command {
            TableCommand::Quickstart | TableCommand::Predict => "",
            TableCommand::Prepare | TableCommand::Embed => "; or pass `--no-fields` if you only want the texts",
        };
        Some(format!(
            "{problem}, although the values of `{}` look like paths of images (`{}` on line {line}): {}{texts_only}",
            shortened(name, 40),
            shortened(value, 80),
            columns.command.how_to_select(Purpose::Image, name)
        ))
    }

    /// Sentences for the user and the manifest about values that are not kept or doubtful. If no column gives the patient, also
    /// sentences about columns whose values occur with several patients.
    pub fn remarks(&self, columns: &Columns) -> Vec<String> {
        let unread = self.unread.iter().map(|((column, kept), (count, first))| {
            let name = shortened(&columns.names[*column], 40);
            let (values, are) = if *count == 1 { ("value", "is") } else { ("values", "are") };
            let fate = if *kept { "kept, but doubtful" } else { "not kept" };
            format!("{count} {values} of `{name}` {are} {fate}, the first on {first}")
        });
        unread.chain(self.group_remarks(columns)).collect()
    }

    /// Sentences about columns that may group records although no column gives the patient.
    fn group_remarks(&self, columns: &Columns) -> Vec<String> {
        if columns.patient.is_some() {
            return vec![];
        }
        let remark = |(rank, (column, one)): (usize, &(usize, ColumnStatistics))| {
            let counts = one.counts();
            // A value that all records share does not group them.
            let has_few_rows_per_value = counts.values * MAX_ROWS_PER_VALUE >= one.filled;
            let looks_like_group = has_few_rows_per_value && 2 * one.not_groups < one.filled;
            let may_group = counts.values > 1 && (rank < self.group_columns || looks_like_group);
            // A column of image paths names images, not groups.
            (counts.several_patients > 0 && may_group && one.image_paths == 0).then(|| {
                let name = shortened(&columns.names[*column], 40);
                let ValueCounts { values, several_patients: shared, several_splits: split } = counts;
                let about = if one.zero_bits > 0 { "about " } else { "" };
                let splits = match columns.command {
                    TableCommand::Embed | TableCommand::Predict => String::new(),
                    _ if split == 0 => String::new(),
                    _ => format!(", {split} of them in more than one split"),
                };
                format!(
                    "no column names the patient, and {about}{shared} of the {values} values of `{name}` occur in \
                     several records{splits}; if records with the same `{name}` belong together, {}",
                    columns.command.how_to_select(Purpose::Patient, &columns.names[*column])
                )
            })
        };
        self.columns.iter().enumerate().filter_map(remark).take(MAX_COLUMNS_REPORTED).collect()
    }
}

impl ColumnStatistics {
    fn add(&mut self, value: &str, record: &RecordSummary) {
        self.filled += 1;
        if is_image_path(value) {
            self.image_paths += 1;
            self.first_image_path.get_or_insert_with(|| (value.to_string(), record.line));
        }
        self.not_groups += u64::from(cannot_be_group(value));
        let key = name_digest(value) as u64;
        if key.trailing_zeros() < self.zero_bits {
            return;
        }
        let first = ValueStatistics {
            patient: record.patient,
            split: record.split,
            several_patients: false,
            several_splits: false,
        };
        let known = self.values.entry(key).or_insert(first);
        known.several_patients |= known.patient != record.patient;
        known.several_splits |= known.split != record.split;
        if self.values.len() > MAX_VALUES {
            self.zero_bits += 1;
            let zero_bits = self.zero_bits;
            self.values.retain(|key, _| key.trailing_zeros() >= zero_bits);
        }
    }

    /// Counts the different values of the column.
    fn counts(&self) -> ValueCounts {
        let count = |wanted: fn(&ValueStatistics) -> bool| {
            (self.values.values().filter(|value| wanted(value)).count() as u64) << self.zero_bits
        };
        ValueCounts {
            values: count(|_| true),
            several_patients: count(|value| value.several_patients),
            several_splits: count(|value| value.several_splits),
        }
    }
}

/// True if a value is too long for a name, or is a small number such as an age or a measurement.
fn cannot_be_group(value: &str) -> bool {
    let number = value.parse().is_ok_and(|number: f64| number.abs() < 1000.0 || number.fract() != 0.0);
    number || value.len() > 64 || value.split_whitespace().count() > 4
}

/// True if a value has the extension of an image file.
fn is_image_path(value: &str) -> bool {
    let extension = value.rsplit_once('.').map_or("", |(_, extension)| extension);
    value.len() <= 1_000 && IMAGE_EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}
