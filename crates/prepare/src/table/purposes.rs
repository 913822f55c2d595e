//! Describes the purpose of each column of a table to the user.

use std::path::Path;

use ptu_data::columns::{Purpose, TableColumn};
use ptu_data::shortened;

use super::columns::Columns;
use super::command::TableCommand;

/// Usual names of columns that group records. Records with the same value in such a column should be in one split.
const GROUP_COLUMN_NAMES: [&str; 33] = [
    "group",
    "group_id",
    "groups",
    "study",
    "study_id",
    "studyid",
    "case",
    "case_id",
    "caseid",
    "pmcid",
    "pmc_id",
    "pmc",
    "pmid",
    "paper",
    "paper_id",
    "article",
    "article_id",
    "doi",
    "subject",
    "subjectid",
    "patientid",
    "patient id",
    "patient_name",
    "participant",
    "participant_id",
    "person",
    "person_id",
    "mrn",
    "accession",
    "accession_number",
    "exam",
    "exam_id",
    "encounter_id",
];

/// At most this many column names are listed in one line.
const MAX_NAMES: usize = 30;

impl Columns {
    /// Each column with its purpose, in the order of the table.
    pub fn purposes(&self) -> Vec<TableColumn> {
        (0..self.names.len()).map(|index| self.column_use(index)).collect()
    }

    /// The column at this position, with its purpose.
    pub fn column_use(&self, index: usize) -> TableColumn {
        let name = self.names[index].clone();
        let is = |column: Option<usize>| column == Some(index);
        let is_in_pair = |pair: Option<[usize; 2]>, which: usize| pair.is_some_and(|pair| pair[which] == index);
        let purposes = [
            (Purpose::Image, is(self.image)),
            (Purpose::Text, self.texts.contains(&index)),
            (Purpose::Id, is(self.id)),
            (Purpose::Patient, is(self.patient)),
            (Purpose::Split, is(self.split)),
            (Purpose::Label, self.labels.contains(&index)),
            (Purpose::Question, is(self.question)),
            (Purpose::Answer, is(self.answer)),
            (Purpose::AnswerType, is(self.answer_type)),
            (Purpose::Premise, is_in_pair(self.sentences, 0)),
            (Purpose::Hypothesis, is_in_pair(self.sentences, 1)),
            (Purpose::Field, self.fields.contains(&index)),
        ];
        let found = purposes.into_iter().find(|(_, is_used)| *is_used);
        let taken_for = found.map_or(Purpose::Left, |(purpose, _)| purpose);
        let why = self.unused.get(&index).filter(|_| taken_for == Purpose::Left).cloned();
        TableColumn { name, taken_for, why }
    }

    /// Columns whose names show that they may group records that should be in one split. Empty if a column gives the patient.
    pub fn group_columns(&self) -> Vec<usize> {
        let is_group = |index: &usize| {
            let key = ptu_input::text::name_key(&self.names[*index]);
            GROUP_COLUMN_NAMES.iter().any(|group| key.eq_ignore_ascii_case(group))
        };
        match self.patient {
            Some(_) => vec![],
            None => self.fields.iter().chain(self.unused.keys()).copied().filter(is_group).collect(),
        }
    }

    /// Lines for the user: the purpose of each column, and the unused columns. `has_file_splits` says whether the names of the
    /// table's files give the splits.
    pub fn lines(&self, table: &Path, has_file_splits: bool) -> Vec<String> {
        let purposes = self.purposes();
        let columns_of = |purpose: Purpose| {
            let columns = purposes.iter().filter(move |column| column.taken_for == purpose);
            let text = |column: &TableColumn| match &column.why {
                Some(reason) => format!("`{}` ({reason})", shortened(&column.name, 40)),
                None => format!("`{}`", shortened(&column.name, 40)),
            };
            let all: Vec<String> = columns.map(text).collect();
            let listed = all.len().min(MAX_NAMES);
            let rest = if all.len() > listed { format!(" and {} more", all.len() - listed) } else { String::new() };
            (!all.is_empty()).then(|| format!("{}{rest}", all[..listed].join(", ")))
        };
        let mut lines = vec![format!("columns of {}:", table.display())];
        let mut line = |purpose: Purpose, otherwise: Option<String>| {
            let text = columns_of(purpose).or(otherwise);
            lines.extend(text.map(|text| format!("  {:12} {text}", purpose.name())));
        };
        let none = || Some("none".to_string());
        line(Purpose::Image, none());
        line(Purpose::Text, none().filter(|_| self.sentences.is_none()));
        line(Purpose::Id, Some("none; an id is the name of the table and the line of the record".into()));
        line(Purpose::Patient, Some(self.without_patient()));
        line(
            Purpose::Split,
            match (self.command, has_file_splits) {
                (TableCommand::Embed | TableCommand::Predict, _) => None,
                (_, true) => Some("none; given by the names of files and folders".into()),
                (_, false) => Some("none; chosen by a hash of the patient".into()),
            },
        );
        line(Purpose::Label, none());
        let pairs = [Purpose::Question, Purpose::Answer, Purpose::AnswerType, Purpose::Premise, Purpose::Hypothesis];
        pairs.into_iter().for_each(|purpose| line(purpose, None));
        line(Purpose::Field, none());
        line(Purpose::Left, None);
        lines
    }

    /// What counts as the patient if no column gives it.
    fn without_patient(&self) -> String {
        let patient = match (self.image, self.command) {
            (Some(_), _) => "none; each image counts as one patient, and so does each record without an image",
            (None, _) => "none; each record counts as one patient",
        };
        let groups = self.group_columns();
        let Some(first) = groups.first() else { return patient.into() };
        let names: Vec<String> =
            groups.iter().map(|index| format!("`{}`", shortened(&self.names[*index], 40))).collect();
        let cure = self.command.how_to_select(Purpose::Patient, &self.names[*first]);
        format!("{patient}. If records with the same {} must be in one split, {cure}", names.join(" or "))
    }
}
