//! What each column of a table is taken for, in words.

use std::path::Path;

use ptu_data::columns::{Purpose, TableColumn};
use ptu_data::shortened;

use super::columns::Columns;
use super::command::TableCommand;

/// Names that a column often has whose values belong together, in one split.
const GROUPS: [&str; 33] = [
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

/// Names of one line.
const NAMES: usize = 30;

impl Columns {
    /// Each column with what it is taken for, in the order of the table.
    pub fn uses(&self) -> Vec<TableColumn> {
        (0..self.names.len()).map(|place| self.of(place)).collect()
    }

    /// One of them, by its place.
    pub fn of(&self, place: usize) -> TableColumn {
        let name = self.names[place].clone();
        let is = |one: Option<usize>| one == Some(place);
        let within = |pair: Option<[usize; 2]>, which: usize| pair.is_some_and(|pair| pair[which] == place);
        let taken = [
            (Purpose::Image, is(self.image)),
            (Purpose::Text, self.texts.contains(&place)),
            (Purpose::Id, is(self.id)),
            (Purpose::Patient, is(self.patient)),
            (Purpose::Split, is(self.split)),
            (Purpose::Label, self.labels.contains(&place)),
            (Purpose::Question, within(self.question, 0)),
            (Purpose::Answer, within(self.question, 1)),
            (Purpose::AnswerType, is(self.answer_type)),
            (Purpose::Premise, within(self.sentences, 0)),
            (Purpose::Hypothesis, within(self.sentences, 1)),
            (Purpose::Field, self.fields.contains(&place)),
        ];
        let taken_for = taken.into_iter().find(|(_, taken)| *taken).map_or(Purpose::Left, |(purpose, _)| purpose);
        let why = self.left.get(&place).filter(|_| taken_for == Purpose::Left).cloned();
        TableColumn { name, taken_for, why }
    }

    /// Columns that may say what belongs together in one split, where no column is taken for the patient.
    pub fn groups(&self) -> Vec<usize> {
        let is_group = |place: &usize| {
            let key = ptu_input::text::name_key(&self.names[*place]);
            GROUPS.iter().any(|group| key.eq_ignore_ascii_case(group))
        };
        match self.patient {
            Some(_) => vec![],
            None => self.fields.iter().chain(self.left.keys()).copied().filter(is_group).collect(),
        }
    }

    /// What is taken for what and what is left, in lines for people.
    pub fn lines(&self, table: &Path, published: bool) -> Vec<String> {
        let uses = self.uses();
        let of = |purpose: Purpose| {
            let found = uses.iter().filter(move |column| column.taken_for == purpose);
            let told = |column: &TableColumn| match &column.why {
                Some(why) => format!("`{}` ({why})", shortened(&column.name, 40)),
                None => format!("`{}`", shortened(&column.name, 40)),
            };
            let all: Vec<String> = found.map(told).collect();
            let rest = if all.len() > NAMES { format!(" and {} more", all.len() - NAMES) } else { String::new() };
            (!all.is_empty()).then(|| format!("{}{rest}", all[..all.len().min(NAMES)].join(", ")))
        };
        let mut lines = vec![format!("columns of {}:", table.display())];
        let mut line = |purpose: Purpose, otherwise: Option<String>| {
            let told = of(purpose).or(otherwise);
            lines.extend(told.map(|told| format!("  {:12} {told}", purpose.name())));
        };
        let none = || Some("none".to_string());
        line(Purpose::Image, none());
        line(Purpose::Text, none().filter(|_| self.sentences.is_none()));
        line(Purpose::Id, Some("none; a record is named by the table and its line".into()));
        line(Purpose::Patient, Some(self.without_patient()));
        line(
            Purpose::Split,
            match (self.command, published) {
                (TableCommand::Embed, _) => None,
                (_, true) => Some("none; those that the names of files and folders tell".into()),
                (_, false) => Some("none; drawn by a hash of the patient".into()),
            },
        );
        line(Purpose::Label, none());
        let pairs = [Purpose::Question, Purpose::Answer, Purpose::AnswerType, Purpose::Premise, Purpose::Hypothesis];
        pairs.into_iter().for_each(|purpose| line(purpose, None));
        line(Purpose::Field, none());
        line(Purpose::Left, None);
        lines
    }

    fn without_patient(&self) -> String {
        let own = match (self.image, self.command) {
            (Some(_), _) => "none; an image is its own patient, a record without image too",
            (None, _) => "none; each record is its own patient",
        };
        let groups = self.groups();
        let Some(first) = groups.first() else { return own.into() };
        let names: Vec<String> =
            groups.iter().map(|place| format!("`{}`", shortened(&self.names[*place], 40))).collect();
        let cure = self.command.take(Purpose::Patient, &self.names[*first]);
        format!("{own}. If {} says what belongs together in one split, {cure}", names.join(" or "))
    }
}
