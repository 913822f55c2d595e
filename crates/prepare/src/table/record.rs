//! A row as a record: cells are read, checked and joined; the image is read and decoded last, on any thread.

use std::collections::HashMap;
use std::path::Path;

use ptu_data::columns::Purpose;
use ptu_data::files::{digest, name_digest};
use ptu_data::record::{Label, Question, Record, RecordImage, Section, SentencePair, Split};
use ptu_data::shortened;
use ptu_input::text::name_key;

use super::TableOptions;
use super::absent::Absent;
use super::columns::Columns;
use super::command::TableCommand;
use super::seen::Seen;
use crate::Shares;
use crate::draft::{Draft, Place, WithoutImage, Work};
use crate::raw::row::{Cell, InlineImage, Row};

/// The longest text, in bytes: 15 times the longest report of common corpora. More is no report but a mistake.
pub const TEXT_LIMIT: usize = 100_000;

/// The longest id or patient, in bytes.
const NAME_LIMIT: usize = 1_000;

/// Makes records of rows, one after another, and remembers what must not come twice.
pub struct Assembler {
    source: String,
    shares: Shares,
    allow_missing: bool,
    columns: Columns,
    /// Lines by the digest of their id, and of their patient with its split.
    ids: HashMap<u128, u64>,
    patients: HashMap<u128, (Split, u64)>,
    seen: Seen,
    absent: Absent,
}

/// A file of a table, as far as its rows need it.
pub struct Within<'a> {
    /// Where its images' paths begin.
    pub folder: &'a Path,
    /// Lines of the files before it.
    pub before: u64,
    /// The split that its name tells.
    pub split: Option<Split>,
}

impl Assembler {
    /// For the rows of one table.
    pub fn new(source: &str, options: &TableOptions, columns: Columns) -> Self {
        Self {
            source: source.to_string(),
            shares: options.shares,
            allow_missing: options.allow_missing,
            ids: HashMap::new(),
            patients: HashMap::new(),
            seen: Seen::new(&columns),
            absent: Absent::new(&columns),
            columns,
        }
    }

    /// What a column is taken for.
    pub fn taken_for(&self, column: usize) -> Purpose {
        self.columns.of(column).taken_for
    }

    /// Whether a column says the split.
    pub fn has_split(&self) -> bool {
        self.columns.split.is_some()
    }

    /// What all rows together showed; it is asked after the last.
    ///
    /// # Errors
    /// The cause, when there is no image though a column looks like it.
    pub fn told(&self) -> Result<Vec<String>, String> {
        match self.seen.overlooked(&self.columns) {
            Some(cause) => Err(cause),
            None => Ok([self.absent.told(&self.columns), self.seen.told(&self.columns)].concat()),
        }
    }

    /// Reads the cells of a row.
    pub fn draft(&mut self, mut row: Row, place: Place, within: &Within<'_>) -> Draft {
        // Another column's image says nothing of this record.
        let inline = self.columns.image.and_then(|column| row.take_image(column));
        let unread = row.unread.iter().find(|unread| self.columns.needs(unread.column));
        let unread = unread.map(|unread| format!("`{}` {}", self.columns.names[unread.column], unread.cause));
        let record = match (row.cells, unread) {
            (Ok(_), Some(cause)) => Err(cause),
            (Ok(mut cells), None) => {
                row.unread.iter().for_each(|unread| self.seen.unread(&self.columns, unread, &cells, &place));
                self.absent.clear(&self.columns, &mut cells, &place);
                self.record(row.line, within, inline.as_ref(), &cells)
            }
            (Err(bad), _) => Err(bad.cause),
        };
        let work = match (record, inline) {
            // What stands in the table needs no file.
            (Ok(mut record), Some(inline)) => {
                if let Some(image) = &mut record.image {
                    image.bytes = inline.bytes;
                }
                Work::Read(Box::new(record), None)
            }
            (Ok(record), None) if record.image.is_some() => Work::Find(Box::new(record), within.folder.to_path_buf()),
            (Ok(record), None) => Work::Read(Box::new(record), None),
            (Err(cause), _) => Work::Bad(cause),
        };
        Draft { place, work, without_image: WithoutImage::Mistake }
    }

    fn record(
        &mut self,
        line: u64,
        within: &Within<'_>,
        inline: Option<&InlineImage>,
        cells: &[Cell],
    ) -> Result<Record, String> {
        let line = within.before + line;
        let id = match self.columns.id {
            Some(column) => self.name(column, cells)?,
            None => format!("{}:{line}", self.source),
        };
        if let Some(first) = self.ids.insert(name_digest(&id), line) {
            return Err(format!("id `{id}` is that of line {first} too; give each record its own"));
        }
        let image = self.image(inline, cells)?;
        let texts = self.texts(cells)?;
        let sentences = self.sentences(cells)?;
        if image.is_none() && texts.is_empty() && sentences.is_none() {
            return Err("the record has neither an image nor a text; fill one of them or leave the row out".into());
        }
        let patient = match (self.columns.patient, &image, inline) {
            (Some(column), ..) => self.name(column, cells)?,
            // Images within a table are often all called the same: only what they hold tells them apart.
            (None, Some(path), Some(inline)) if inline.named && !name_key(path).is_empty() => {
                format!("image:{:032x}", digest(&inline.bytes))
            }
            (None, Some(path), None) => path.clone(),
            _ => id.clone(),
        };
        let split = self.split(line, &patient, within.split, cells)?;
        self.seen.row(&self.columns, cells, (line, image.is_some(), name_digest(&patient), split));
        let image = image.map(|path| RecordImage { bytes: vec![], path: Some(path).filter(|path| !path.is_empty()) });
        Ok(Record {
            sections: self.sections(cells),
            labels: self.named(&self.columns.labels, "label", cells)?,
            questions: self.questions(&id, cells)?,
            fields: self.named(&self.columns.fields, "field", cells)?,
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

    /// The one value of a column; the column's name tells where a mistake is.
    fn value<'c>(&self, column: usize, cells: &'c [Cell]) -> Result<Option<&'c str>, String> {
        match cells[column].as_slice() {
            [] => Ok(None),
            [value] => Ok(Some(value.trim())),
            values => Err(format!("`{}` holds {} values, it can hold one", self.columns.names[column], values.len())),
        }
    }

    fn name(&self, column: usize, cells: &[Cell]) -> Result<String, String> {
        let name = &self.columns.names[column];
        let value = self.value(column, cells)?.filter(|value| !name_key(value).is_empty());
        match value {
            None => Err(format!("{}; each record needs one, or leave the column out", self.lacks(column))),
            Some(value) if value.len() > NAME_LIMIT => {
                Err(format!("`{name}` is {} bytes long, at most {NAME_LIMIT} are taken", value.len()))
            }
            Some(value) => Ok(value.to_string()),
        }
    }

    /// The path of the image; of one that stands in the table its name, which may be empty.
    fn image(&self, inline: Option<&InlineImage>, cells: &[Cell]) -> Result<Option<String>, String> {
        let Some(column) = self.columns.image else { return Ok(None) };
        match self.value(column, cells)? {
            None => Ok(inline.map(|_| String::new())),
            Some(path) if inline.is_some() || !name_key(path).is_empty() => Ok(Some(path.to_string())),
            Some(_) if self.allow_missing => Ok(None),
            Some(_) => Err(self.empty(column, "an image")),
        }
    }

    fn texts(&self, cells: &[Cell]) -> Result<Vec<String>, String> {
        let (mut texts, mut empty) = (vec![], None);
        for &column in &self.columns.texts {
            for text in &cells[column] {
                let text = text.trim();
                // Of marks that nobody sees, nothing is left.
                if name_key(text).is_empty() {
                    empty = Some(column);
                } else if text.len() > TEXT_LIMIT {
                    let name = &self.columns.names[column];
                    let start = shortened(text, 40);
                    return Err(format!(
                        "`{name}` is a text of {} bytes (`{start}`), at most {TEXT_LIMIT} are taken; cut it",
                        text.len()
                    ));
                } else {
                    texts.push(text.to_string());
                }
            }
        }
        match empty {
            Some(column) if texts.is_empty() && !self.allow_missing => Err(self.empty(column, "a text")),
            _ => Ok(texts),
        }
    }

    fn empty(&self, column: usize, half: &str) -> String {
        let lacks = self.lacks(column);
        match self.columns.command {
            TableCommand::Prepare => {
                format!("{lacks}; fill it, or pass `--allow-missing` if records without {half} are meant")
            }
            TableCommand::Quickstart | TableCommand::Embed => format!("{lacks}; fill it, or leave the row out"),
        }
    }

    /// What stands where a value is missing.
    fn lacks(&self, column: usize) -> String {
        let name = &self.columns.names[column];
        match self.absent.said(column) {
            Some(word) => format!("`{name}` says `{word}`, which stands for a missing value"),
            None => format!("`{name}` is empty"),
        }
    }

    /// What each of the texts is, as far as their columns' names say.
    fn sections(&self, cells: &[Cell]) -> Vec<Section> {
        let of = |column: &usize| {
            let section = Section::of(&self.columns.names[*column].to_lowercase()).unwrap_or_default();
            let filled = cells[*column].iter().filter(|text| !name_key(text).is_empty()).count();
            std::iter::repeat_n(section, filled)
        };
        let sections: Vec<Section> = self.columns.texts.iter().flat_map(of).collect();
        if sections.iter().all(|section| *section == Section::Text) { vec![] } else { sections }
    }

    /// Question and answer of a row; none where both are empty.
    fn questions(&self, id: &str, cells: &[Cell]) -> Result<Vec<Question>, String> {
        let Some([question, answer]) = self.columns.question else { return Ok(vec![]) };
        let word = |column: usize| Ok::<_, String>(self.value(column, cells)?.unwrap_or_default().to_string());
        let (question, answer) = (word(question)?, word(answer)?);
        match (question.is_empty(), answer.is_empty()) {
            (true, true) => return Ok(vec![]),
            (false, false) => {}
            _ => return Err("a question without an answer, or an answer without a question; fill both or none".into()),
        }
        let closed = match self.columns.answer_type {
            Some(column) => word(column)?.eq_ignore_ascii_case("closed"),
            None => ["yes", "no"].contains(&ptu_input::text::normal_answer(&answer).as_str()),
        };
        Ok(vec![Question { id: id.to_string(), question, answer, closed, category: String::new() }])
    }

    fn sentences(&self, cells: &[Cell]) -> Result<Option<SentencePair>, String> {
        let Some([premise, hypothesis]) = self.columns.sentences else { return Ok(None) };
        let word = |column: usize| Ok::<_, String>(self.value(column, cells)?.unwrap_or_default().to_string());
        let (premise, hypothesis) = (word(premise)?, word(hypothesis)?);
        match (premise.is_empty(), hypothesis.is_empty()) {
            (true, true) => Ok(None),
            (false, false) => Ok(Some(SentencePair { premise, hypothesis })),
            _ => Err("a premise without a hypothesis, or the other way round; fill both or none".into()),
        }
    }

    /// Filled cells of these columns, by name.
    fn named(&self, columns: &[usize], kind: &str, cells: &[Cell]) -> Result<Vec<Label>, String> {
        let mut named = vec![];
        for &column in columns {
            let name = &self.columns.names[column];
            for value in cells[column].iter().map(|value| value.trim()).filter(|value| !value.is_empty()) {
                if value.len() > NAME_LIMIT {
                    return Err(format!(
                        "{kind} `{name}` is {} bytes long, at most {NAME_LIMIT} are taken",
                        value.len()
                    ));
                }
                named.push(Label { name: name.clone(), value: value.to_string() });
            }
        }
        Ok(named)
    }

    fn split(&mut self, line: u64, patient: &str, named: Option<Split>, cells: &[Cell]) -> Result<Split, String> {
        let Some(column) = self.columns.split else {
            return Ok(named.unwrap_or_else(|| self.shares.split_of("table", patient)));
        };
        let word = self.value(column, cells)?.unwrap_or_default();
        if name_key(word).is_empty() {
            return Err(format!("{}; write `train`, `validate` or `test`", self.lacks(column)));
        }
        let split: Split = name_key(word).parse().map_err(|error: ptu_data::UnknownSplit| error.to_string())?;
        if let Some(named) = named.filter(|named| *named != split) {
            let name = shortened(&self.columns.names[column], 40);
            return Err(format!("`{name}` says `{split}`, but the file's name `{named}`; rename one of them"));
        }
        let (first, first_line) = *self.patients.entry(name_digest(patient)).or_insert((split, line));
        // Files that somebody published by split may share patients; that is told of all together.
        if first != split && named.is_none() {
            return Err(format!(
                "patient `{patient}` is in split `{split}` here and in `{first}` on line {first_line}; put all records \
                 of a patient into one split"
            ));
        }
        Ok(split)
    }
}
