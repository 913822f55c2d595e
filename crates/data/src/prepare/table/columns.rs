//! Which column of a table means what.

use std::path::Path;

use crate::error::DataError;
use crate::raw::row::listed;

/// Names of columns; what is `None` or empty is found by its usual names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnNames {
    /// Path of the image: `image`, `image_path`, `file`, `filename`, `file_name`.
    pub image: Option<String>,
    /// Texts, in order: `text`, `texts`, `report`, `caption`, `note`, or `findings` and `impression`.
    pub texts: Vec<String>,
    /// Unique name of the record: `id`; else the number of its line.
    pub id: Option<String>,
    /// Unit of the splits: `patient`, `patient_id`, `subject_id`; else the image's path, else the id.
    pub patient: Option<String>,
    /// `train`, `validate` or `test`: `split`; else drawn by a hash of the patient.
    pub split: Option<String>,
    /// Labels: `label`, `labels`.
    pub labels: Vec<String>,
}

/// Usual names, by which columns are found in any case of letters; the first group that is there wins.
const IMAGE: &[&[&str]] = &[&["image"], &["image_path"], &["file"], &["filename"], &["file_name"]];
const TEXTS: &[&[&str]] = &[&["text"], &["texts"], &["report"], &["caption"], &["note"], &["findings", "impression"]];
const ID: &[&[&str]] = &[&["id"]];
const PATIENT: &[&[&str]] = &[&["patient"], &["patient_id"], &["subject_id"]];
const SPLIT: &[&[&str]] = &[&["split"]];
const LABELS: &[&[&str]] = &[&["label"], &["labels"]];
const QUESTION: &[&[&str]] = &[&["question"]];
const ANSWER: &[&[&str]] = &[&["answer"]];
const ANSWER_TYPE: &[&[&str]] = &[&["answer_type"]];
const PREMISE: &[&[&str]] = &[&["premise"]];
const HYPOTHESIS: &[&[&str]] = &[&["hypothesis"]];

/// A column of this name holds several labels, parted by `|`.
pub const SEVERAL: &str = "labels";

/// Positions of the columns that are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    pub names: Vec<String>,
    pub image: Option<usize>,
    pub texts: Vec<usize>,
    pub id: Option<usize>,
    pub patient: Option<usize>,
    pub split: Option<usize>,
    pub labels: Vec<usize>,
    /// Question and answer.
    pub question: Option<[usize; 2]>,
    /// Whether the answer is one of few.
    pub answer_type: Option<usize>,
    /// Premise and hypothesis.
    pub sentences: Option<[usize; 2]>,
    /// Columns without another use.
    pub fields: Vec<usize>,
}

impl Columns {
    /// Finds the columns in a header.
    ///
    /// # Errors
    /// When a named column is not there, when a used one is there twice, or when there is neither an image nor a text nor a
    /// pair of sentences.
    pub fn find(header: &[String], wanted: &ColumnNames, table: &Path) -> Result<Self, DataError> {
        let wrong = |cause: String| DataError::Table { path: table.to_path_buf(), cause };
        let all = |names: &[String], usual: &[&[&str]]| -> Result<Vec<usize>, DataError> {
            let found = if names.is_empty() {
                usual.iter().map(|group| positions(header, group)).find(|found| !found.is_empty()).unwrap_or_default()
            } else {
                let place = |name: &String| {
                    let missing = || wrong(format!("there is no column `{name}`; it has {}", listed(header)));
                    header.iter().position(|column| column == name).ok_or_else(missing)
                };
                names.iter().map(place).collect::<Result<_, _>>()?
            };
            match found.iter().find(|place| header.iter().filter(|name| **name == header[**place]).count() > 1) {
                Some(place) => Err(wrong(format!("column `{}` is there twice; rename one", header[*place]))),
                None => Ok(found),
            }
        };
        let one = |name: &Option<String>, usual| Ok(all(name.as_slice(), usual)?.first().copied());
        let both = |first, second| match (one(&None, first)?, one(&None, second)?) {
            (Some(first), Some(second)) => Ok(Some([first, second])),
            _ => Ok(None),
        };
        let columns = Self {
            names: header.to_vec(),
            image: one(&wanted.image, IMAGE)?,
            texts: all(&wanted.texts, TEXTS)?,
            id: one(&wanted.id, ID)?,
            patient: one(&wanted.patient, PATIENT)?,
            split: one(&wanted.split, SPLIT)?,
            labels: all(&wanted.labels, LABELS)?,
            question: both(QUESTION, ANSWER)?,
            answer_type: one(&None, ANSWER_TYPE)?,
            sentences: both(PREMISE, HYPOTHESIS)?,
            fields: vec![],
        };
        if columns.image.is_none() && columns.texts.is_empty() && columns.sentences.is_none() {
            return Err(wrong(format!(
                "it has neither an image nor a text column: it has {}; call them `image` and `text`, or name them with \
                 `--image` and `--text`",
                listed(header)
            )));
        }
        Ok(Self { fields: columns.unused(&columns.labels), ..columns })
    }

    /// With every column as a label that has no other use and whose name stands once.
    pub fn with_all_labels(self) -> Self {
        Self { labels: self.unused(&[]), fields: vec![], ..self }
    }

    /// Whether a record needs what stands in a column, which a field is not.
    pub fn needs(&self, column: usize) -> bool {
        self.used().chain(self.labels.iter().copied()).any(|used| used == column)
    }

    /// Columns with a use, but for labels and fields.
    fn used(&self) -> impl Iterator<Item = usize> {
        let single = [self.image, self.id, self.patient, self.split, self.answer_type].into_iter().flatten();
        let pairs = [self.question, self.sentences].into_iter().flatten().flatten();
        single.chain(pairs).chain(self.texts.iter().copied())
    }

    /// Columns whose name stands once and which are neither `taken` nor anything but labels.
    fn unused(&self, taken: &[usize]) -> Vec<usize> {
        let used: Vec<usize> = self.used().chain(taken.iter().copied()).collect();
        let once = |place: &usize| self.names.iter().filter(|name| **name == self.names[*place]).count() == 1;
        (0..self.names.len()).filter(|place| !used.contains(place) && once(place)).collect()
    }
}

fn positions(header: &[String], names: &[&str]) -> Vec<usize> {
    names.iter().filter_map(|name| header.iter().position(|column| column.eq_ignore_ascii_case(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(header: &[&str], wanted: &ColumnNames) -> Result<Columns, String> {
        let header: Vec<String> = header.iter().map(|name| name.to_string()).collect();
        Columns::find(&header, wanted, Path::new("t.csv")).map_err(|error| error.to_string())
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
    fn all_other_columns_can_be_labels() {
        let columns = find(&["image", "age", "text", "x", "sex", "x"], &ColumnNames::default()).unwrap();
        assert_eq!(columns.with_all_labels().labels, [1, 4]);
    }

    #[test]
    fn named_columns_are_used_or_missed() {
        let wanted =
            ColumnNames { texts: vec!["b".into(), "a".into()], labels: vec!["c".into()], ..Default::default() };
        let columns = find(&["a", "b", "c"], &wanted).unwrap();
        assert_eq!((columns.texts, columns.labels), (vec![1, 0], vec![2]));
        let error = find(&["a", "c"], &wanted).unwrap_err();
        assert_eq!(error, "table `t.csv`: there is no column `b`; it has `a`, `c`");
        let error = find(&["text", "x", "text"], &ColumnNames::default()).unwrap_err();
        assert!(error.contains("column `text` is there twice"), "{error}");
        let error = find(&["x", "y"], &ColumnNames::default()).unwrap_err();
        assert!(error.contains("neither an image nor a text column: it has `x`, `y`"), "{error}");
    }
}
