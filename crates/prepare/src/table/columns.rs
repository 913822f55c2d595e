//! Which column of a table means what.

use std::collections::BTreeMap;
use std::path::Path;

use ptu_data::columns::Purpose;
use ptu_data::{DataError, shortened};
use ptu_input::text::name_key;

use super::command::TableCommand;
use crate::raw::row::{Column, Holds, listed};

/// Names of columns; what is `None` or empty is found by its usual names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnNames {
    /// Path of the image: `image`, `image_path`, `file`, `filename`, `file_name`; in parquet also the one column of images.
    pub image: Option<String>,
    /// Texts, in order: `text`, `texts`, `report`, `caption`, `note`, or `findings` and `impression`.
    pub texts: Vec<String>,
    /// Unique name of the record: `id`; else the number of its line.
    pub id: Option<String>,
    /// Unit of the splits: `patient`, `patient_id`, `subject_id`; else the image, else the id.
    pub patient: Option<String>,
    /// `train`, `validate` or `test`: `split`; else drawn by a hash of the patient.
    pub split: Option<String>,
    /// Labels: `label`, `labels`.
    pub labels: Vec<String>,
    /// Columns that are kept as fields; `None` for all that have no other use.
    pub fields: Option<Vec<String>>,
}

/// Usual names, by which columns are found in any case of letters; the first group that is there wins.
type Usual = &'static [&'static [&'static str]];

const IMAGE: Usual = &[&["image"], &["image_path"], &["file"], &["filename"], &["file_name"]];
const TEXTS: Usual = &[&["text"], &["texts"], &["report"], &["caption"], &["note"], &["findings", "impression"]];
const ID: Usual = &[&["id"]];
const PATIENT: Usual = &[&["patient"], &["patient_id"], &["subject_id"]];
const SPLIT: Usual = &[&["split"]];
const LABELS: Usual = &[&["label"], &["labels"]];
const QUESTION: Usual = &[&["question"]];
const ANSWER: Usual = &[&["answer"]];
const ANSWER_TYPE: Usual = &[&["answer_type"]];
const PREMISE: Usual = &[&["premise"]];
const HYPOTHESIS: Usual = &[&["hypothesis"]];

/// Of [`IMAGE`], names that are meant for the image and for no other file.
const SURE: usize = 2;

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
    /// Columns without another use that are kept.
    pub fields: Vec<usize>,
    /// Columns that are not kept, and why.
    pub left: BTreeMap<usize, String>,
    /// Whose options messages name.
    pub command: TableCommand,
}

/// What is looked through for columns.
struct Header<'a> {
    columns: &'a [Column],
    table: &'a Path,
    command: TableCommand,
}

impl Columns {
    /// Finds the columns of a table.
    ///
    /// # Errors
    /// When a named column is not there, when a used one is there twice or in two cases of letters, when it holds what it
    /// cannot be used for, or when there is neither an image nor a text nor a pair of sentences.
    pub fn find(
        columns: &[Column],
        wanted: &ColumnNames,
        (table, command): (&Path, TableCommand),
    ) -> Result<Self, DataError> {
        let header = Header { columns, table, command };
        let one = |name: &Option<String>, purpose, usual: Usual| {
            Ok::<_, DataError>(header.all(name.as_slice(), purpose, usual)?.first().copied())
        };
        let both = |first: (Purpose, Usual), second: (Purpose, Usual)| match (
            one(&None, first.0, first.1)?,
            one(&None, second.0, second.1)?,
        ) {
            (Some(first), Some(second)) => Ok::<_, DataError>(Some([first, second])),
            _ => Ok(None),
        };
        let mut found = Self {
            names: columns.iter().map(|column| column.name.clone()).collect(),
            image: match &wanted.image {
                Some(name) => Some(header.named(name, Purpose::Image)?),
                None => header.image()?,
            },
            texts: header.all(&wanted.texts, Purpose::Text, TEXTS)?,
            id: one(&wanted.id, Purpose::Id, ID)?,
            patient: one(&wanted.patient, Purpose::Patient, PATIENT)?,
            split: one(&wanted.split, Purpose::Split, SPLIT)?,
            labels: header.all(&wanted.labels, Purpose::Label, LABELS)?,
            question: both((Purpose::Question, QUESTION), (Purpose::Answer, ANSWER))?,
            answer_type: one(&None, Purpose::AnswerType, ANSWER_TYPE)?,
            sentences: both((Purpose::Premise, PREMISE), (Purpose::Hypothesis, HYPOTHESIS))?,
            fields: vec![],
            left: BTreeMap::new(),
            command,
        };
        if found.image.is_none() && found.texts.is_empty() && found.sentences.is_none() {
            return Err(header.without());
        }
        found.share_out(&header, wanted.fields.as_deref())?;
        Ok(found)
    }

    /// Columns without another use become fields, or are left with the reason.
    fn share_out(&mut self, header: &Header<'_>, wanted: Option<&[String]>) -> Result<(), DataError> {
        let named = match wanted {
            Some(names) => {
                Some(names.iter().map(|name| header.named(name, Purpose::Field)).collect::<Result<Vec<_>, _>>()?)
            }
            None => None,
        };
        let used = self.used();
        for place in (0..self.names.len()).filter(|place| !used.contains(place)) {
            let why = match (&header.columns[place].holds, &named) {
                (Holds::Images, _) => Some("images; one image a record is taken".to_string()),
                (Holds::Unread(cause), _) => Some(cause.clone()),
                (Holds::Values, _) if header.same(place) > 1 => Some("is there twice; rename one to keep both".into()),
                (Holds::Values, Some(named)) if !named.contains(&place) => Some("not asked for".into()),
                (Holds::Values, _) => None,
            };
            match why {
                Some(why) => drop(self.left.insert(place, why)),
                None => self.fields.push(place),
            }
        }
        Ok(())
    }

    /// Whether a record needs what stands in a column, which a field is not.
    pub fn needs(&self, column: usize) -> bool {
        self.used().contains(&column)
    }

    /// Columns that have a use.
    fn used(&self) -> Vec<usize> {
        let single = [self.image, self.id, self.patient, self.split, self.answer_type].into_iter().flatten();
        let pairs = [self.question, self.sentences].into_iter().flatten().flatten();
        single.chain(pairs).chain(self.texts.iter().copied()).chain(self.labels.iter().copied()).collect()
    }
}

impl Header<'_> {
    fn wrong(&self, cause: String) -> DataError {
        DataError::Table { path: self.table.to_path_buf(), cause }
    }

    fn name(&self, place: usize) -> String {
        shortened(&self.columns[place].name, 40)
    }

    fn listed(&self) -> String {
        listed(&self.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>())
    }

    /// How many columns have this one's name, in any form of Unicode.
    fn same(&self, place: usize) -> usize {
        let key = name_key(&self.columns[place].name);
        self.columns.iter().filter(|column| name_key(&column.name) == key).count()
    }

    /// The named columns, or those of usual names: of the first group that is there.
    fn all(&self, names: &[String], purpose: Purpose, usual: Usual) -> Result<Vec<usize>, DataError> {
        if !names.is_empty() {
            return names.iter().map(|name| self.named(name, purpose)).collect();
        }
        for group in usual {
            let found: Vec<usize> =
                group.iter().filter_map(|name| self.usual(name, purpose).transpose()).collect::<Result<_, _>>()?;
            // Labels help but are not needed; what else cannot be read is.
            match found.iter().map(|place| self.fit(*place, purpose)).collect::<Result<Vec<_>, _>>() {
                Ok(found) if found.is_empty() => {}
                Ok(found) => return Ok(found),
                Err(_) if purpose == Purpose::Label => {}
                Err(error) => return Err(error),
            }
        }
        Ok(vec![])
    }

    /// The column that the user named: as it is written, else in another form of Unicode.
    fn named(&self, name: &str, purpose: Purpose) -> Result<usize, DataError> {
        let exact = self.columns.iter().position(|column| column.name == name);
        let alike = || self.columns.iter().position(|column| name_key(&column.name) == name_key(name));
        let place = exact.or_else(alike).ok_or_else(|| DataError::NoColumn {
            path: self.table.to_path_buf(),
            column: shortened(name, 40),
            option: self.command.option(purpose),
            there: self.listed(),
        })?;
        if self.same(place) > 1 {
            return Err(self.wrong(format!("column `{}` is there twice; rename one", self.name(place))));
        }
        self.fit(place, purpose)
    }

    /// The column of a usual name.
    fn usual(&self, name: &str, purpose: Purpose) -> Result<Option<usize>, DataError> {
        let is = |place: &usize| name_key(&self.columns[*place].name).eq_ignore_ascii_case(name);
        let found: Vec<usize> = (0..self.columns.len()).filter(is).collect();
        match found.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(*only)),
            [first, ..] if self.same(*first) == found.len() => {
                Err(self.wrong(format!("column `{}` is there twice; rename one", self.name(*first))))
            }
            [first, ..] => {
                let names: Vec<String> = found.iter().map(|place| format!("`{}`", self.name(*place))).collect();
                let cure = match self.command.option(purpose) {
                    Some(_) => self.command.take(purpose, &self.columns[*first].name),
                    None => "rename all but one".into(),
                };
                let cause = format!(
                    "columns {} may each be the {}; {cure}, or another of them",
                    names.join(" and "),
                    purpose.name()
                );
                Err(self.wrong(cause))
            }
        }
    }

    /// The image's column: of a usual name, or the one that holds images.
    fn image(&self) -> Result<Option<usize>, DataError> {
        let holds = |place: &usize| self.columns[*place].holds == Holds::Images;
        let images: Vec<usize> = (0..self.columns.len()).filter(holds).collect();
        let mut usual = vec![];
        for (sure, name) in IMAGE.iter().enumerate().map(|(rank, group)| (rank < SURE, group[0])) {
            usual.extend(self.usual(name, Purpose::Image)?.map(|place| (sure, place)));
        }
        let of_images = usual.iter().find(|(_, place)| images.contains(place));
        let first = usual.first().copied();
        match (of_images, first, images.as_slice()) {
            (Some((_, place)), ..) => Ok(Some(*place)),
            (None, Some((true, place)), _) | (None, Some((false, place)), []) => {
                self.fit(place, Purpose::Image).map(Some)
            }
            (None, _, [only]) => Ok(Some(*only)),
            (None, None, []) => Ok(None),
            (None, _, [first, ..]) => {
                let names: Vec<String> = images.iter().map(|place| format!("`{}`", self.name(*place))).collect();
                let cure = self.command.take(Purpose::Image, &self.columns[*first].name);
                Err(self.wrong(format!("columns {} all hold images; {cure}, or another of them", names.join(" and "))))
            }
        }
    }

    /// Refuses a column that cannot be used so.
    fn fit(&self, place: usize, purpose: Purpose) -> Result<usize, DataError> {
        let (name, purpose_name) = (self.name(place), purpose.name());
        match (&self.columns[place].holds, purpose) {
            (Holds::Values, _) | (Holds::Images, Purpose::Image) => Ok(place),
            (Holds::Images, _) => Err(self.wrong(format!(
                "column `{name}` holds images, it cannot be taken for {purpose_name}; name another column"
            ))),
            (Holds::Unread(cause), _) => Err(self.wrong(format!(
                "column `{name}` is taken for {purpose_name}, but {cause}; rename it if it is something else"
            ))),
        }
    }

    /// There is nothing to make records of.
    fn without(&self) -> DataError {
        let options = [Purpose::Image, Purpose::Text].map(|purpose| self.command.option(purpose));
        let cure = match options {
            [Some(image), Some(text)] => format!(", or name them with `{image}` and `{text}`"),
            _ => String::new(),
        };
        self.wrong(format!(
            "it has neither an image nor a text column: it has {}; call them `image` and `text`{cure}",
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
        let place = (Path::new("t.csv"), TableCommand::Prepare);
        Columns::find(columns, wanted, place).map_err(|error| error.to_string())
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
    fn other_columns_are_fields_as_far_as_they_are_wanted() {
        let header = ["image", "age", "text", "x", "sex", "x"];
        let columns = find(&header, &ColumnNames::default()).unwrap();
        assert_eq!(columns.fields, [1, 4]);
        assert!(columns.left[&3].contains("there twice") && columns.left[&5].contains("there twice"), "{columns:?}");
        let wanted = |fields: &[&str]| ColumnNames {
            fields: Some(fields.iter().map(|name| name.to_string()).collect()),
            ..Default::default()
        };
        let columns = find(&header, &wanted(&["sex"])).unwrap();
        assert_eq!((columns.fields.as_slice(), columns.left[&1].as_str()), (&[4][..], "not asked for"));
        assert_eq!(find(&header, &wanted(&[])).unwrap().fields, [0; 0]);
        assert!(find(&header, &wanted(&["x"])).unwrap_err().contains("column `x` is there twice"));
        assert!(find(&header, &wanted(&["y"])).unwrap_err().contains("there is no column `y`"));
    }

    #[test]
    fn named_columns_are_used_or_missed() {
        let wanted =
            ColumnNames { texts: vec!["b".into(), "a".into()], labels: vec!["c".into()], ..Default::default() };
        let columns = find(&["a", "b", "c"], &wanted).unwrap();
        assert_eq!((columns.texts, columns.labels), (vec![1, 0], vec![2]));
        let error = find(&["a", "c"], &wanted).unwrap_err();
        assert_eq!(error, "table `t.csv`: there is no column `b`, which `--text` names; it has `a`, `c`");
        let error = find(&["text", "x", "text"], &ColumnNames::default()).unwrap_err();
        assert!(error.contains("column `text` is there twice"), "{error}");
        let error = find(&["x", "y"], &ColumnNames::default()).unwrap_err();
        assert!(error.contains("neither an image nor a text column: it has `x`, `y`"), "{error}");
    }

    #[test]
    fn one_name_in_two_cases_is_asked_about() {
        for (header, purpose) in [
            (["Image", "image", "text"], "`Image` and `image` may each be the image; pass `--image Image`"),
            (["text", "TEXT", "image"], "`text` and `TEXT` may each be the text; pass `--text text`"),
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
        assert!(error.contains("is there twice"), "{error}");
    }

    #[test]
    fn columns_of_images_are_known_by_what_they_hold() {
        let column = |name: &str, holds: Holds| Column { holds, ..Column::values(name) };
        let images = |name: &str| column(name, Holds::Images);
        let unread = |name: &str| column(name, Holds::Unread("is of type Map".into()));
        let plain = ColumnNames::default();
        let columns = found(&[images("scan"), Column::values("file_name"), Column::values("text")], &plain).unwrap();
        assert_eq!((columns.image, columns.fields), (Some(0), vec![1]));
        let columns = found(&[images("mask"), images("image"), Column::values("text")], &plain).unwrap();
        assert_eq!((columns.image, columns.left[&0].as_str()), (Some(1), "images; one image a record is taken"));
        let both = [images("mask"), images("scan"), Column::values("text")];
        let error = found(&both, &plain).unwrap_err();
        assert!(error.contains("columns `mask` and `scan` all hold images; pass `--image mask`"), "{error}");
        let wanted = ColumnNames { image: Some("mask".into()), ..Default::default() };
        assert_eq!(found(&both, &wanted).unwrap().image, Some(0));
        // What is needed and cannot be read stops; what is not needed, and a label that nobody named, does not.
        let columns = found(&[unread("boxes"), unread("label"), Column::values("text")], &plain).unwrap();
        assert_eq!((columns.labels.len(), columns.left.len()), (0, 2));
        for (header, wanted) in [
            ([unread("image"), Column::values("text")], plain.clone()),
            ([unread("patient"), Column::values("text")], plain.clone()),
            ([unread("class"), Column::values("text")], ColumnNames { labels: vec!["class".into()], ..plain.clone() }),
            ([images("scan"), Column::values("x")], ColumnNames { texts: vec!["scan".into()], ..plain.clone() }),
        ] {
            let error = found(&header, &wanted).unwrap_err();
            assert!(error.contains("is taken for") || error.contains("cannot be taken for"), "{error}");
        }
    }
}
