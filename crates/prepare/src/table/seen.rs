//! What all rows of a table show together, in little memory: values that belong together though nobody said so, and paths of
//! pictures in a column that is not taken for the image.

use std::collections::{BTreeMap, HashMap};

use ptu_data::columns::Purpose;
use ptu_data::files::name_digest;
use ptu_data::record::Split;
use ptu_data::shortened;

use super::columns::Columns;
use super::command::TableCommand;
use crate::draft::Place;
use crate::raw::row::{Cell, Unread};

/// Columns that are watched.
const COLUMNS: usize = 64;

/// Different values of a column that are remembered; of more, a fair sample is.
const VALUES: usize = 4096;

/// A column whose values stand for more rows than this on average names a kind of record, not what belongs together.
const ROWS_A_VALUE: u64 = 10;

/// Columns that are told at most.
const TOLD: usize = 3;

/// Endings of the names of pictures.
const PICTURES: [&str; 14] =
    ["png", "jpg", "jpeg", "jpe", "jfif", "tif", "tiff", "webp", "bmp", "gif", "dcm", "jp2", "avif", "heic"];

/// What the rows showed so far.
pub struct Seen {
    with_image: u64,
    /// Columns, those first whose names say that their values belong together.
    columns: Vec<(usize, Watched)>,
    /// How many of them are such.
    groups: usize,
    /// Columns of fields with values that are not read, or are kept though something is wrong with them (then true): how many, and
    /// the first with its place.
    unread: BTreeMap<(usize, bool), (u64, String)>,
}

/// One column.
#[derive(Default)]
struct Watched {
    filled: u64,
    pictures: u64,
    /// Values that name no group: prose, ages, measures.
    others: u64,
    /// The first value that looks like the path of a picture, and its row.
    first_picture: Option<(String, u64)>,
    /// Values are remembered whose hash ends in so many zeros.
    level: u32,
    values: HashMap<u64, Value>,
}

/// One value of a column.
struct Value {
    patient: u128,
    split: Split,
    /// Whether records of it have several patients.
    patients: bool,
    /// Whether they are in several splits.
    splits: bool,
}

impl Seen {
    /// Of a table with these columns.
    pub fn new(columns: &Columns) -> Self {
        let groups = columns.groups();
        let others = columns.fields.iter().copied().filter(|place| !groups.contains(place));
        let watched = groups.iter().copied().chain(others).take(COLUMNS);
        Self {
            with_image: 0,
            columns: watched.map(|place| (place, Watched::default())).collect(),
            groups: groups.len(),
            unread: BTreeMap::new(),
        }
    }

    /// Takes note of a row that became a record.
    pub fn row(
        &mut self,
        columns: &Columns,
        cells: &[Cell],
        (line, with_image, patient, split): (u64, bool, u128, Split),
    ) {
        self.with_image += u64::from(with_image);
        if columns.patient.is_some() && self.with_image > 0 {
            return;
        }
        for (place, watched) in &mut self.columns {
            let [value] = cells[*place].as_slice() else { continue };
            let value = value.trim();
            if !value.is_empty() {
                watched.add(value, line, patient, split);
            }
        }
    }

    /// Takes note of a value that is not read as it should be and that the record does not need.
    pub fn unread(&mut self, columns: &Columns, unread: &Unread, cells: &[Cell], place: &Place) {
        if columns.fields.contains(&unread.column) {
            let first = || (0, format!("{place}: it {}", unread.cause));
            let kept = cells.get(unread.column).is_some_and(|cell| cell.iter().any(|value| !value.is_empty()));
            self.unread.entry((unread.column, kept)).or_insert_with(first).0 += 1;
        }
    }

    /// Why there is no pair, where a column was meant for the image.
    pub fn overlooked(&self, columns: &Columns) -> Option<String> {
        if self.with_image > 0 {
            return None;
        }
        let looks = |one: &Watched| one.pictures > 0 && 2 * one.pictures >= one.filled;
        let kept = self.columns.iter().filter(|(place, _)| columns.fields.contains(place));
        let (place, found) = kept.filter(|(_, one)| looks(one)).min_by_key(|(place, _)| *place)?;
        let (name, (value, line)) = (&columns.names[*place], found.first_picture.as_ref()?);
        let instead = match columns.image {
            None => "no column is taken for the image".to_string(),
            Some(image) => format!("no record has an image in `{}`", shortened(&columns.names[image], 40)),
        };
        let alone = match columns.command {
            TableCommand::Quickstart => "",
            TableCommand::Prepare | TableCommand::Embed => "; or pass `--no-fields` if texts alone are meant",
        };
        Some(format!(
            "{instead}, though the values of `{}` look like paths of pictures (`{}` on line {line}): {}{alone}",
            shortened(name, 40),
            shortened(value, 80),
            columns.command.take(Purpose::Image, name)
        ))
    }

    /// What is worth to be told: values that are not kept, and columns whose values stand for several patients, where nobody named the patient.
    pub fn told(&self, columns: &Columns) -> Vec<String> {
        let unread = self.unread.iter().map(|((column, kept), (count, first))| {
            let name = shortened(&columns.names[*column], 40);
            let (values, are) = if *count == 1 { ("value", "is") } else { ("values", "are") };
            let fate = if *kept { "kept, though doubtful" } else { "not kept" };
            format!("{count} {values} of `{name}` {are} {fate}, the first on {first}")
        });
        unread.chain(self.groups_told(columns)).collect()
    }

    fn groups_told(&self, columns: &Columns) -> Vec<String> {
        if columns.patient.is_some() {
            return vec![];
        }
        let told = |(rank, (place, one)): (usize, &(usize, Watched))| {
            let (values, shared, split) = one.counts();
            // What all records have in common parts nothing.
            let fits = values > 1
                && (rank < self.groups || (values * ROWS_A_VALUE >= one.filled && 2 * one.others < one.filled));
            // A path of a picture names the picture.
            (shared > 0 && fits && one.pictures == 0).then(|| {
                let name = shortened(&columns.names[*place], 40);
                let about = if one.level > 0 { "about " } else { "" };
                let splits = match columns.command {
                    TableCommand::Embed => String::new(),
                    _ if split == 0 => String::new(),
                    _ => format!(", {split} of them in more than one split"),
                };
                format!(
                    "no column names the patient, and {about}{shared} of the {values} values of `{name}` stand for several \
                     records{splits}; if `{name}` says what belongs together, {}",
                    columns.command.take(Purpose::Patient, &columns.names[*place])
                )
            })
        };
        self.columns.iter().enumerate().filter_map(told).take(TOLD).collect()
    }
}

impl Watched {
    fn add(&mut self, value: &str, line: u64, patient: u128, split: Split) {
        self.filled += 1;
        if is_picture(value) {
            self.pictures += 1;
            self.first_picture.get_or_insert_with(|| (value.to_string(), line));
        }
        self.others += u64::from(is_no_group(value));
        let key = name_digest(value) as u64;
        if key.trailing_zeros() < self.level {
            return;
        }
        let known = self.values.entry(key).or_insert(Value { patient, split, patients: false, splits: false });
        known.patients |= known.patient != patient;
        known.splits |= known.split != split;
        if self.values.len() > VALUES {
            self.level += 1;
            let level = self.level;
            self.values.retain(|key, _| key.trailing_zeros() >= level);
        }
    }

    /// How many different values there are, how many of them stand for several patients, and how many are in several splits.
    fn counts(&self) -> (u64, u64, u64) {
        let of = |wanted: fn(&Value) -> bool| {
            (self.values.values().filter(|value| wanted(value)).count() as u64) << self.level
        };
        (of(|_| true), of(|value| value.patients), of(|value| value.splits))
    }
}

/// Whether a value is longer than names are, or a small number as ages and measures are.
fn is_no_group(value: &str) -> bool {
    let number = value.parse().is_ok_and(|number: f64| number.abs() < 1000.0 || number.fract() != 0.0);
    number || value.len() > 64 || value.split_whitespace().count() > 4
}

/// Whether a value has the ending of a picture's file.
fn is_picture(value: &str) -> bool {
    let ending = value.rsplit_once('.').map_or("", |(_, ending)| ending);
    value.len() <= 1_000 && PICTURES.iter().any(|picture| ending.eq_ignore_ascii_case(picture))
}
