//! Turns a row of a table into a record. The cells are read, checked and combined here, row by row; the image is read and decoded
//! later, on any thread.

use std::collections::HashMap;
use std::path::Path;

use ptu_data::columns::Purpose;
use ptu_data::files::{digest, name_digest};
use ptu_data::record::{Label, Question, Record, RecordImage, Section, SentencePair, Split};
use ptu_data::shortened;
use ptu_input::text::name_key;

use super::TableOptions;
use super::columns::Columns;
use super::command::TableCommand;
use super::missing_values::MissingValues;
use super::statistics::{RecordSummary, TableStatistics};
use crate::Shares;
use crate::draft::{Draft, MissingImagePolicy, RemainingWork, RowPosition};
use crate::raw::row::{Cell, InlineImage, Row};

/// Maximum length of a text, in bytes: 15 times the longest report of common corpora. A longer text must be a mistake.
pub const TEXT_LIMIT: usize = 100_000;

/// Maximum length of an id, patient, label or field, in bytes.
const NAME_LIMIT: usize = 1_000;

/// Builds records from the rows of a table, one after another. It stores the ids and patients of earlier rows and thus finds
/// repeated ids, and patients that are in two splits.
pub struct RecordBuilder {
    source: String,
    shares: Shares,
    allow_missing: bool,
    columns: Columns,
    /// By the hash of an id: its line.
    ids: HashMap<u128, u64>,
    /// By the hash of a patient: the split and the line of its first record.
    patients: HashMap<u128, (Split, u64)>,
    statistics: TableStatistics,
    missing: MissingValues,
}

/// What the rows of a file need to know about the file.
pub struct FileContext<'a> {
    /// The paths of images are relative to this folder.
    pub folder: &'a Path,
    /// Number of lines in the earlier files of the table.
    pub lines_before: u64,
    /// The split that the name of the file gives, if any.
    pub split: Option<Split>,
}

impl RecordBuilder {
    /// A builder for the rows of one table.
    pub fn new(source: &str, options: &TableOptions, columns: Columns) -> Self {
        Self {
            source: source.to_string(),
            shares: options.shares,
            allow_missing: options.allow_missing,
            ids: HashMap::new(),
            patients: HashMap::new(),
            statistics: TableStatistics::new(&columns),
            missing: MissingValues::new(&columns),
            columns,
        }
    }

    /// The purpose of a column.
    pub fn purpose_of(&self, column: usize) -> Purpose {
        self.columns.column_use(column).taken_for
    }

    /// True if a column gives the split.
    pub fn has_split(&self) -> bool {
        self.columns.split.is_some()
    }

    /// Sentences for the user and the manifest about all rows together. Must be called after the last row.
    ///
    /// # Errors
    /// The cause, when no record has an image although a column contains paths of images.
    pub fn remarks(&self) -> Result<Vec<String>, String> {
        match self.statistics.missed_image_column(&self.columns) {
            Some(cause) => Err(cause),
            None => Ok([self.missing.remarks(&self.columns), self.statistics.remarks(&self.columns)].concat()),
        }
    }

    /// Reads the cells of a row. The image is read later.
    pub fn draft(&mut self, mut row: Row, position: RowPosition, file: &FileContext<'_>) -> Draft {
        // An image in any other column is not the image of this record.
        let inline = self.columns.image.and_then(|column| row.take_image(column));
        let unread = row.unread.iter().find(|unread| self.columns.needs(unread.column));
        let unread = unread.map(|unread| format!("`{}` {}", self.columns.names[unread.column], unread.cause));
        let record = match (row.cells, unread) {
            (Ok(_), Some(cause)) => Err(cause),
            (Ok(mut cells), None) => {
                for unread in &row.unread {
                    self.statistics.add_unread(&self.columns, unread, &cells, &position);
                }
                self.missing.clear(&self.columns, &mut cells, &position);
                self.record(row.line, file, inline.as_ref(), &cells)
            }
            (Err(bad), _) => Err(bad.cause),
        };
        let work = match (record, inline) {
            // An image that is stored in the table needs no file.
            (Ok(mut record), Some(inline)) => {
                if let Some(image) = &mut record.image {
                    image.bytes = inline.bytes;
                }
                RemainingWork::Read(Box::new(record), None)
            }
            (Ok(record), None) if record.image.is_some() => {
                RemainingWork::Find(Box::new(record), file.folder.to_path_buf())
            }
            (Ok(record), None) => RemainingWork::Read(Box::new(record), None),
            (Err(cause), _) => RemainingWork::Bad(cause),
        };
        Draft { position, work, missing_image: MissingImagePolicy::Error }
    }

    fn record(
        &mut self,
        line: u64,
        file: &FileContext<'_>,
        inline: Option<&InlineImage>,
        cells: &[Cell],
    ) -> Result<Record, String> {
        let line = file.lines_before + line;
        let id = match self.columns.id {
            Some(column) => self.required_name(column, cells)?,
            None => format!("{}:{line}", self.source),
        };
        if let Some(first) = self.ids.insert(name_digest(&id), line) {
            return Err(format!("id `{id}` is also the id of line {first}; give each record its own id"));
        }
        let image = self.image(inline, cells)?;
        let texts = self.texts(cells)?;
        let sentences = self.sentences(cells)?;
        if image.is_none() && texts.is_empty() && sentences.is_none() {
            return Err("the record has neither an image nor a text; fill one of them or remove the row".into());
        }
        let patient = match (self.columns.patient, &image, inline) {
            (Some(column), ..) => self.required_name(column, cells)?,
            // Images within a table often all have the same name, so that only their bytes distinguish them.
            (None, Some(path), Some(inline)) if inline.named && !name_key(path).is_empty() => {
                format!("image:{:032x}", digest(&inline.bytes))
            }
            (None, Some(path), None) => path.clone(),
            _ => id.clone(),
        };
        let split = self.split(line, &patient, file.split, cells)?;
        let summary = RecordSummary { line, has_image: image.is_some(), patient: name_digest(&patient), split };
        self.statistics.add_row(&self.columns, cells, &summary);
        let image = image.map(|path| RecordImage { bytes: vec![], path: Some(path).filter(|path| !path.is_empty()) });
        Ok(Record {
            sections: self.sections(cells),
            target: None,
            labels: self.named_values(&self.columns.labels, "label", cells)?,
            questions: self.questions(&id, cells)?,
            fields: self.named_values(&self.columns.fields, "field", cells)?,
            id,
            patient,
            image,
            texts,
            sentences,
            split,
            source: self.source.clone(),
            ..Record::default()
        })
    }

    /// The value of a column, which must have at most one value. The error names the column.
    fn value<'c>(&self, column: usize, cells: &'c [Cell]) -> Result<Option<&'c str>, String> {
        match cells[column].as_slice() {
            [] => Ok(None),
            [value] => Ok(Some(value.trim())),
            values => {
                let (name, count) = (&self.columns.names[column], values.len());
                Err(format!("`{name}` has {count} values, but only one is allowed"))
            }
        }
    }

    /// The value of a column of ids or patients. It is an error if the cell is empty.
    fn required_name(&self, column: usize, cells: &[Cell]) -> Result<String, String> {
        let name = &self.columns.names[column];
        let value = self.value(column, cells)?.filter(|value| !name_key(value).is_empty());
        match value {
            None => {
                let problem = self.describe_missing(column);
                Err(format!("{problem}; each record needs a value: fill the cell, or remove the column"))
            }
            Some(value) if value.len() > NAME_LIMIT => {
                Err(format!("`{name}` is {} bytes long, at most {NAME_LIMIT} are allowed", value.len()))
            }
            Some(value) => Ok(value.to_string()),
        }
    }

    /// The path of the image. For an image that is stored in the table it is the name of the image, which may be empty.
    fn image(&self, inline: Option<&InlineImage>, cells: &[Cell]) -> Result<Option<String>, String> {
        let Some(column) = self.columns.image else { return Ok(None) };
        match self.value(column, cells)? {
            None => Ok(inline.map(|_| String::new())),
            Some(path) if inline.is_some() || !name_key(path).is_empty() => Ok(Some(path.to_string())),
            Some(_) if self.allow_missing => Ok(None),
            Some(_) => Err(self.empty_cell(column, "an image")),
        }
    }

    fn texts(&self, cells: &[Cell]) -> Result<Vec<String>, String> {
        let (mut texts, mut empty) = (vec![], None);
        for &column in &self.columns.texts {
            for text in &cells[column] {
                let text = text.trim();
                // The key of a text that has only invisible characters is empty.
                if name_key(text).is_empty() {
                    empty = Some(column);
                } else if text.len() > TEXT_LIMIT {
                    let name = &self.columns.names[column];
                    let start = shortened(text, 40);
                    return Err(format!(
                        "`{name}` is a text of {} bytes (`{start}`), at most {TEXT_LIMIT} are allowed; shorten it",
                        text.len()
                    ));
                } else {
                    texts.push(text.to_string());
                }
            }
        }
        match empty {
            Some(column) if texts.is_empty() && !self.allow_missing => Err(self.empty_cell(column, "a text")),
            _ => Ok(texts),
        }
    }

    /// The error for an empty cell in a column of images or texts; `modality` is "an image" or "a text".
    fn empty_cell(&self, column: usize, modality: &str) -> String {
        let problem = self.describe_missing(column);
        match self.columns.command {
            TableCommand::Prepare => {
                format!("{problem}; fill it, or pass `--allow-missing` to allow records without {modality}")
            }
            TableCommand::Quickstart | TableCommand::Embed | TableCommand::Predict => {
                format!("{problem}; fill it, or remove the row")
            }
        }
    }

    /// Says for an error that the value of a column is missing.
    fn describe_missing(&self, column: usize) -> String {
        let name = &self.columns.names[column];
        match self.missing.word(column) {
            Some(word) => format!("`{name}` says `{word}`, which stands for a missing value"),
            None => format!("`{name}` is empty"),
        }
    }

    /// The section of each text, according to the name of its column. Empty if no text has a known section.
    fn sections(&self, cells: &[Cell]) -> Vec<Section> {
        let of = |column: &usize| {
            let section = Section::of(&self.columns.names[*column].to_lowercase()).unwrap_or_default();
            let filled = cells[*column].iter().filter(|text| !name_key(text).is_empty()).count();
            std::iter::repeat_n(section, filled)
        };
        let sections: Vec<Section> = self.columns.texts.iter().flat_map(of).collect();
        if sections.iter().all(|section| *section == Section::Text) { vec![] } else { sections }
    }

    /// The question of a row with its answer, which is empty if it is not known; none if there is no question.
    fn questions(&self, id: &str, cells: &[Cell]) -> Result<Vec<Question>, String> {
        let word = |column: Option<usize>| match column {
            Some(column) => Ok::<_, String>(self.value(column, cells)?.unwrap_or_default().to_string()),
            None => Ok(String::new()),
        };
        let (question, answer) = (word(self.columns.question)?, word(self.columns.answer)?);
        match (question.is_empty(), answer.is_empty()) {
            (true, true) => return Ok(vec![]),
            (true, false) => {
                return Err("an answer without a question; fill in the question, or empty the answer".into());
            }
            (false, _) => {}
        }
        let closed = match self.columns.answer_type {
            Some(column) => word(Some(column))?.eq_ignore_ascii_case("closed"),
            None => ["yes", "no"].contains(&ptu_input::text::normal_answer(&answer).as_str()),
        };
        Ok(vec![Question { id: id.to_string(), question, answer, closed, category: String::new() }])
    }

    /// The premise and the hypothesis of a row; none if both are empty.
    fn sentences(&self, cells: &[Cell]) -> Result<Option<SentencePair>, String> {
        let Some([premise, hypothesis]) = self.columns.sentences else { return Ok(None) };
        let word = |column: usize| Ok::<_, String>(self.value(column, cells)?.unwrap_or_default().to_string());
        let (premise, hypothesis) = (word(premise)?, word(hypothesis)?);
        match (premise.is_empty(), hypothesis.is_empty()) {
            (true, true) => Ok(None),
            (false, false) => Ok(Some(SentencePair { premise, hypothesis })),
            _ => Err("a premise without a hypothesis, or a hypothesis without a premise; fill both or none".into()),
        }
    }

    /// The values of these columns that are not empty, each with the name of its column.
    fn named_values(&self, columns: &[usize], kind: &str, cells: &[Cell]) -> Result<Vec<Label>, String> {
        let mut values = vec![];
        for &column in columns {
            let name = &self.columns.names[column];
            for value in cells[column].iter().map(|value| value.trim()).filter(|value| !value.is_empty()) {
                if value.len() > NAME_LIMIT {
                    return Err(format!(
                        "{kind} `{name}` is {} bytes long, at most {NAME_LIMIT} are allowed",
                        value.len()
                    ));
                }
                values.push(Label { name: name.clone(), value: value.to_string() });
            }
        }
        Ok(values)
    }

    /// The split of a record: from the column, else from the file's name (`file_split`), else drawn by a hash of the patient.
    fn split(&mut self, line: u64, patient: &str, file_split: Option<Split>, cells: &[Cell]) -> Result<Split, String> {
        let Some(column) = self.columns.split else {
            return Ok(file_split.unwrap_or_else(|| self.shares.split_of("table", patient)));
        };
        let word = self.value(column, cells)?.unwrap_or_default();
        if name_key(word).is_empty() {
            return Err(format!("{}; write `train`, `validate` or `test`", self.describe_missing(column)));
        }
        let split: Split = name_key(word).parse().map_err(|error: ptu_data::UnknownSplit| error.to_string())?;
        if let Some(other) = file_split.filter(|other| *other != split) {
            let name = shortened(&self.columns.names[column], 40);
            return Err(format!("`{name}` says `{split}`, but the file's name says `{other}`; correct one of them"));
        }
        let (first, first_line) = *self.patients.entry(name_digest(patient)).or_insert((split, line));
        // Files that were published by split may share patients. This is reported once for all files together.
        if first != split && file_split.is_none() {
            return Err(format!(
                "patient `{patient}` is in split `{split}` here and in `{first}` on line {first_line}; put all records \
                 of a patient into one split"
            ));
        }
        Ok(split)
    }
}
