//! Finds the purpose of each column of a table, by the column's name and by the values in it.

use std::collections::BTreeMap;
use std::path::Path;

use ptu_data::columns::Purpose;
use ptu_data::{DataError, shortened};
use ptu_input::text::name_key;

use super::command::TableCommand;
use crate::raw::row::{Column, ColumnContent, listed};

/// The names of the columns for each purpose. If a name is `None` or empty, the column is found by its usual names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnNames {
    /// Path of the image: `image`, `image_path`, `file`, `filename`, `file_name`; in parquet also the only column that contains
    /// images.
    pub image: Option<String>,
    /// Texts, in order: `text`, `texts`, `report`, `caption`, `note`, or `findings` and `impression`.
    pub texts: Vec<String>,
    /// Unique id of the record: `id`; otherwise made of the table's name and the line number.
    pub id: Option<String>,
    /// The patient; all records of one patient are in one split: `patient`, `patient_id`, `subject_id`; otherwise the image, or the
    /// id if there is no image.
    pub patient: Option<String>,
    /// `train`, `validate` or `test`: `split`; otherwise drawn by a hash of the patient.
    pub split: Option<String>,
    /// Labels: `label`, `labels`.
    pub labels: Vec<String>,
    /// Columns that are kept as fields; `None` keeps all columns that have no other purpose.
    pub fields: Option<Vec<String>>,
}

/// The usual names of a column, in upper or lower case. The columns of the first group that the table has are used.
type UsualNames = &'static [&'static [&'static str]];

const IMAGE: UsualNames = &[&["image"], &["image_path"], &["file"], &["filename"], &["file_name"]];
const TEXTS: UsualNames = &[&["text"], &["texts"], &["report"], &["caption"], &["note"], &["findings", "impression"]];
const ID: UsualNames = &[&["id"]];
const PATIENT: UsualNames = &[&["patient"], &["patient_id"], &["subject_id"]];
const SPLIT: UsualNames = &[&["split"]];
const LABELS: UsualNames = &[&["label"], &["labels"]];
const QUESTION: UsualNames = &[&["question"]];
const ANSWER: UsualNames = &[&["answer"]];
const ANSWER_TYPE: UsualNames = &[&["answer_type"]];
const PREMISE: UsualNames = &[&["premise"]];
const HYPOTHESIS: UsualNames = &[&["hypothesis"]];

/// The first names of [`IMAGE`] mean an image. The others may also mean another file.
const UNAMBIGUOUS_IMAGE_NAMES: usize = 2;

/// A column of this name can contain several labels in one cell, separated by `|`.
pub const MULTI_VALUE_COLUMN: &str = "labels";

/// The purposes of the columns of a table, as positions of columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The names of all columns.
    pub names: Vec<String>,
    pub image: Option<usize>,
    pub texts: Vec<usize>,
    pub id: Option<usize>,
    pub patient: Option<usize>,
    pub split: Option<usize>,
    pub labels: Vec<usize>,
    /// The column of the question.
    pub question: Option<usize>,
    /// The column of the answer to the question; without one, the answers are not known.
    pub answer: Option<usize>,
    /// The column that says whether the question is closed, that is, whether its answer is one of few possible answers.
    pub answer_type: Option<usize>,
    /// The columns of the premise and of the hypothesis.
    pub sentences: Option<[usize; 2]>,
    /// Columns without another purpose that are kept as fields.
    pub fields: Vec<usize>,
    /// Columns that are not used, with the reason.
    pub unused: BTreeMap<usize, String>,
    /// The command that reads the table; messages name its options.
    pub command: TableCommand,
}

/// The header of a table, in which columns are searched.
struct Header<'a> {
    columns: &'a [Column],
    table: &'a Path,
    command: TableCommand,
}

impl Columns {
    /// Finds the columns of a table.
    ///
    /// # Errors
    /// When a column named by the user does not exist; when the name of a used column occurs twice, or in two forms of upper and
    /// lower case; when the values of a column do not fit its purpose; or when there is neither an image nor a text nor a pair of
    /// sentences.
    pub fn find(
        columns: &[Column],
        wanted: &ColumnNames,
        table: &Path,
        command: TableCommand,
    ) -> Result<Self, DataError> {
        let header = Header { columns, table, command };
        let one = |name: &Option<String>, purpose, usual: UsualNames| {
            Ok::<_, DataError>(header.find_all(name.as_slice(), purpose, usual)?.first().copied())
        };
        let both = |first: (Purpose, UsualNames), second: (Purpose, UsualNames)| match (
            one(&None, first.0, first.1)?,
            one(&None, second.0, second.1)?,
        ) {
            (Some(first), Some(second)) => Ok::<_, DataError>(Some([first, second])),
            _ => Ok(None),
        };
        let question = one(&None, Purpose::Question, QUESTION)?;
        let mut found = Self {
            names: columns.iter().map(|column| column.name.clone()).collect(),
            image: match &wanted.image {
                Some(name) => Some(header.find_named(name, Purpose::Image)?),
                None => header.find_image()?,
            },
            texts: header.find_all(&wanted.texts, Purpose::Text, TEXTS)?,
            id: one(&wanted.id, Purpose::Id, ID)?,
            patient: one(&wanted.patient, Purpose::Patient, PATIENT)?,
            split: one(&wanted.split, Purpose::Split, SPLIT)?,
            labels: header.find_all(&wanted.labels, Purpose::Label, LABELS)?,
            answer: question.and(one(&None, Purpose::Answer, ANSWER)?),
            question,
            answer_type: one(&None, Purpose::AnswerType, ANSWER_TYPE)?,
            sentences: both((Purpose::Premise, PREMISE), (Purpose::Hypothesis, HYPOTHESIS))?,
            fields: vec![],
            unused: BTreeMap::new(),
            command,
        };
        if found.image.is_none() && found.texts.is_empty() && found.sentences.is_none() {
            return Err(header.no_usable_column());
        }
        found.assign_rest(&header, wanted.fields.as_deref())?;
        Ok(found)
    }

    /// Makes each column without another purpose a field, or lists it as unused with the reason.
    fn assign_rest(&mut self, header: &Header<'_>, wanted: Option<&[String]>) -> Result<(), DataError> {
        let named = match wanted {
            Some(names) => {
                Some(names.iter().map(|name| header.find_named(name, Purpose::Field)).collect::<Result<Vec<_>, _>>()?)
            }
            None => None,
        };
        let used = self.used();
        for index in (0..self.names.len()).filter(|index| !used.contains(index)) {
            let reason = match (&header.columns[index].holds, &named) {
                (ColumnContent::Images, _) => Some("images; only one image per record is used".to_string()),
                (ColumnContent::Unread(cause), _) => Some(cause.clone()),
                (ColumnContent::Values, _) if header.name_count(index) > 1 => {
                    Some("occurs twice; rename one to keep both".into())
                }
                (ColumnContent::Values, Some(named)) if !named.contains(&index) => Some("not requested".into()),
                (ColumnContent::Values, _) => None,
            };
            match reason {
                Some(reason) => drop(self.unused.insert(index, reason)),
                None => self.fields.push(index),
            }
        }
        Ok(())
    }

    /// True if the values of a column are needed for the records. Fields are not needed.
    pub fn needs(&self, column: usize) -> bool {
        self.used().contains(&column)
    }

    /// Columns that have a purpose, except fields.
    fn used(&self) -> Vec<usize> {
        let single = [self.image, self.id, self.patient, self.split, self.question, self.answer, self.answer_type];
        let single = single.into_iter().flatten().chain(self.sentences.into_iter().flatten());
        single.chain(self.texts.iter().copied()).chain(self.labels.iter().copied()).collect()
    }
}

impl Header<'_> {
    fn error(&self, cause: String) -> DataError {
        DataError::Table { path: self.table.to_path_buf(), cause }
    }

    fn name(&self, index: usize) -> String {
        shortened(&self.columns[index].name, 40)
    }

    fn listed(&self) -> String {
        listed(&self.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>())
    }

    /// The number of columns with the same name as this column, in any form of Unicode.
    fn name_count(&self, index: usize) -> usize {
        let key = name_key(&self.columns[index].name);
        self.columns.iter().filter(|column| name_key(&column.name) == key).count()
    }

    /// The columns that the user named, or the columns of the first group of usual names that the table has.
    fn find_all(&self, names: &[String], purpose: Purpose, usual: UsualNames) -> Result<Vec<usize>, DataError> {
        if !names.is_empty() {
            return names.iter().map(|name| self.find_named(name, purpose)).collect();
        }
        for group in usual {
            let found: Vec<usize> =
                group.iter().filter_map(|name| self.find_usual(name, purpose).transpose()).collect::<Result<_, _>>()?;
            // A label column that cannot be read is ignored, because labels are optional. For any other purpose it is an error.
            match found.iter().map(|index| self.check_values(*index, purpose)).collect::<Result<Vec<_>, _>>() {
                Ok(found) if found.is_empty() => {}
                Ok(found) => return Ok(found),
                Err(_) if purpose == Purpose::Label => {}
                Err(error) => return Err(error),
            }
        }
        Ok(vec![])
    }

    /// The column that the user named: the exact name, or the same name in another form of Unicode.
    fn find_named(&self, name: &str, purpose: Purpose) -> Result<usize, DataError> {
        let exact = self.columns.iter().position(|column| column.name == name);
        let equivalent = || self.columns.iter().position(|column| name_key(&column.name) == name_key(name));
        let index = exact.or_else(equivalent).ok_or_else(|| DataError::NoColumn {
            path: self.table.to_path_buf(),
            column: shortened(name, 40),
            option: self.command.option(purpose),
            there: self.listed(),
        })?;
        if self.name_count(index) > 1 {
            return Err(self.error(format!("column `{}` occurs twice; rename one", self.name(index))));
        }
        self.check_values(index, purpose)
    }

    /// The column with this usual name.
    fn find_usual(&self, name: &str, purpose: Purpose) -> Result<Option<usize>, DataError> {
        let is = |index: &usize| name_key(&self.columns[*index].name).eq_ignore_ascii_case(name);
        let found: Vec<usize> = (0..self.columns.len()).filter(is).collect();
        match found.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(*only)),
            [first, ..] if self.name_count(*first) == found.len() => {
                Err(self.error(format!("column `{}` occurs twice; rename one", self.name(*first))))
            }
            [first, ..] => {
                let names: Vec<String> = found.iter().map(|index| format!("`{}`", self.name(*index))).collect();
                let cure = match self.command.option(purpose) {
                    Some(_) => self.command.how_to_select(purpose, &self.columns[*first].name),
                    None => "rename all but one".into(),
                };
                let cause = format!(
                    "columns {} can each be the {}; {cure}, or another of them",
                    names.join(" and "),
                    purpose.name()
                );
                Err(self.error(cause))
            }
        }
    }

    /// The column of the image: one with a usual name, or the only column that contains images.
    fn find_image(&self) -> Result<Option<usize>, DataError> {
        let has_images = |index: &usize| self.columns[*index].holds == ColumnContent::Images;
        let images: Vec<usize> = (0..self.columns.len()).filter(has_images).collect();
        let mut usual = vec![];
        let names = IMAGE.iter().enumerate().map(|(rank, group)| (rank < UNAMBIGUOUS_IMAGE_NAMES, group[0]));
        for (is_unambiguous, name) in names {
            usual.extend(self.find_usual(name, Purpose::Image)?.map(|index| (is_unambiguous, index)));
        }
        let of_images = usual.iter().find(|(_, index)| images.contains(index));
        let first = usual.first().copied();
        match (of_images, first, images.as_slice()) {
            (Some((_, index)), ..) => Ok(Some(*index)),
            (None, Some((true, index)), _) | (None, Some((false, index)), []) => {
                self.check_values(index, Purpose::Image).map(Some)
            }
            (None, _, [only]) => Ok(Some(*only)),
            (None, None, []) => Ok(None),
            (None, _, [first, ..]) => {
                let names: Vec<String> = images.iter().map(|index| format!("`{}`", self.name(*index))).collect();
                let cure = self.command.how_to_select(Purpose::Image, &self.columns[*first].name);
                let names = names.join(" and ");
                Err(self.error(format!("columns {names} all contain images; {cure}, or another of them")))
            }
        }
    }

    /// Returns the column. It is an error if the values of the column do not fit the purpose.
    fn check_values(&self, index: usize, purpose: Purpose) -> Result<usize, DataError> {
        let (name, purpose_name) = (self.name(index), purpose.name());
        match (&self.columns[index].holds, purpose) {
            (ColumnContent::Values, _) | (ColumnContent::Images, Purpose::Image) => Ok(index),
            (ColumnContent::Images, _) => Err(self.error(format!(
                "column `{name}` contains images and cannot be used as {purpose_name}; name another column"
            ))),
            (ColumnContent::Unread(cause), _) => Err(self.error(format!(
                "column `{name}` is used as {purpose_name}, but it {cause}; rename it if it has another purpose"
            ))),
        }
    }

    /// The error for a table without a column that records can be made of.
    fn no_usable_column(&self) -> DataError {
        let options = [Purpose::Image, Purpose::Text].map(|purpose| self.command.option(purpose));
        let cure = match options {
            [Some(image), Some(text)] => format!(", or pass their names with `{image}` and `{text}`"),
            _ => String::new(),
        };
        self.error(format!(
            "it has neither an image nor a text column: it has {}; rename them to `image` and `text`{cure}",
            self.listed()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(header: &[&str], wanted: &ColumnNames) -> Result<Columns, String> {
        let columns: Vec<Column> = header.iter().copied().map(Column::values).collect();
        found(&columns, wanted)
    }

    fn found(columns: &[Column], wanted: &ColumnNames) -> Result<Columns, String> {
        Columns::find(columns, wanted, Path::new("t.csv"), TableCommand::Prepare).map_err(|error| error.to_string())
    }

    #[test]
    fn usual_names_are_found() {
        let columns = find(&["Image", "impression", "subject_id", "findings", "split", "x"], &ColumnNames::default());
        let columns = columns.unwrap();
        assert_eq!((columns.image, &columns.texts[..], columns.patient), (Some(0), &[3, 1][..], Some(2)));
        assert_eq!((columns.split, columns.id, columns.labels.len(), columns.fields), (Some(4), None, 0, vec![5]));
        let columns = find(&["id", "caption", "findings"], &ColumnNames::default()).unwrap();
        assert_eq!((columns.image, columns.texts), (None, vec![1]));
    }

    #[test]
    fn other_columns_become_fields_if_they_are_requested() {
        let header = ["image", "age", "text", "x", "sex", "x"];
        let columns = find(&header, &ColumnNames::default()).unwrap();
        assert_eq!(columns.fields, [1, 4]);
        assert!([3_usize, 5].iter().all(|index| columns.unused[index].contains("occurs twice")), "{columns:?}");
        let wanted = |fields: &[&str]| ColumnNames {
            fields: Some(fields.iter().map(|name| name.to_string()).collect()),
            ..Default::default()
        };
        let columns = find(&header, &wanted(&["sex"])).unwrap();
        assert_eq!((columns.fields.as_slice(), columns.unused[&1].as_str()), (&[4][..], "not requested"));
        assert_eq!(find(&header, &wanted(&[])).unwrap().fields, [0; 0]);
        assert!(find(&header, &wanted(&["x"])).unwrap_err().contains("column `x` occurs twice"));
        assert!(find(&header, &wanted(&["y"])).unwrap_err().contains("there is no column `y`"));
    }

    #[test]
    fn a_missing_column_that_the_user_named_is_an_error() {
        let wanted =
            ColumnNames { texts: vec!["b".into(), "a".into()], labels: vec!["c".into()], ..Default::default() };
        let columns = find(&["a", "b", "c"], &wanted).unwrap();
        assert_eq!((columns.texts, columns.labels), (vec![1, 0], vec![2]));
        let error = find(&["a", "c"], &wanted).unwrap_err();
        assert_eq!(error, "table `t.csv`: there is no column `b`, which `--text` names; it has `a`, `c`");
        let error = find(&["text", "x", "text"], &ColumnNames::default()).unwrap_err();
        assert!(error.contains("column `text` occurs twice"), "{error}");
        let error = find(&["x", "y"], &ColumnNames::default()).unwrap_err();
        assert!(error.contains("neither an image nor a text column: it has `x`, `y`"), "{error}");
    }

    #[test]
    fn one_name_in_upper_and_lower_case_is_an_error() {
        for (header, purpose) in [
            (["Image", "image", "text"], "`Image` and `image` can each be the image; pass `--image Image`"),
            (["text", "TEXT", "image"], "`text` and `TEXT` can each be the text; pass `--text text`"),
            (["patient", "Patient", "text"], "pass `--patient patient`"),
            (["Split", "split", "text"], "pass `--split Split`"),
            (["label", "Label", "text"], "pass `--label label`"),
            (["ID", "id", "text"], "pass `--id ID`"),
            (["Question", "question", "text"], "rename all but one"),
        ] {
            let error = find(&header, &ColumnNames::default()).unwrap_err();
            assert!(error.contains(purpose), "{error}");
        }
        let wanted = ColumnNames { image: Some("image".into()), ..Default::default() };
        let columns = find(&["Image", "image", "text"], &wanted).unwrap();
        assert_eq!((columns.image, columns.fields), (Some(1), vec![0]));
    }

    #[test]
    fn names_are_found_in_any_form_of_unicode() {
        let wanted = ColumnNames { patient: Some("fu\u{308}r".into()), ..Default::default() };
        let columns = find(&["\u{200b}text ", "f\u{fc}r"], &wanted).unwrap();
        assert_eq!((columns.texts, columns.patient), (vec![0], Some(1)));
        let error = find(&["text", "f\u{fc}r", "fu\u{308}r"], &wanted).unwrap_err();
        assert!(error.contains("occurs twice"), "{error}");
    }

    #[test]
    fn image_columns_are_recognised_by_their_values() {
        let column = |name: &str, holds: ColumnContent| Column { holds, ..Column::values(name) };
        let images = |name: &str| column(name, ColumnContent::Images);
        let unread = |name: &str| column(name, ColumnContent::Unread("is of type Map".into()));
        let plain = ColumnNames::default();
        let columns = found(&[images("scan"), Column::values("file_name"), Column::values("text")], &plain).unwrap();
        assert_eq!((columns.image, columns.fields), (Some(0), vec![1]));
        let columns = found(&[images("mask"), images("image"), Column::values("text")], &plain).unwrap();
        assert_eq!(
            (columns.image, columns.unused[&0].as_str()),
            (Some(1), "images; only one image per record is used")
        );
        let both = [images("mask"), images("scan"), Column::values("text")];
        let error = found(&both, &plain).unwrap_err();
        assert!(error.contains("columns `mask` and `scan` all contain images; pass `--image mask`"), "{error}");
        let wanted = ColumnNames { image: Some("mask".into()), ..Default::default() };
        assert_eq!(found(&both, &wanted).unwrap().image, Some(0));
        // A needed column that cannot be read is an error. A column that is not needed, or a label column that the user did not
        // name, is not.
        let columns = found(&[unread("boxes"), unread("label"), Column::values("text")], &plain).unwrap();
        assert_eq!((columns.labels.len(), columns.unused.len()), (0, 2));
        for (header, wanted) in [
            ([unread("image"), Column::values("text")], plain.clone()),
            ([unread("patient"), Column::values("text")], plain.clone()),
            ([unread("class"), Column::values("text")], ColumnNames { labels: vec!["class".into()], ..plain.clone() }),
            ([images("scan"), Column::values("x")], ColumnNames { texts: vec!["scan".into()], ..plain.clone() }),
        ] {
            let error = found(&header, &wanted).unwrap_err();
            assert!(error.contains("is used as") || error.contains("cannot be used as"), "{error}");
        }
    }
}
