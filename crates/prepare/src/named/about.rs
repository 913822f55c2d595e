//! Descriptions of data sets for the user: licence, access, layout, citation.

use serde::Serialize;

/// The description of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The name of the data set in commands.
    pub name: &'static str,
    /// The title, as papers use it.
    pub title: &'static str,
    /// What the data set contains.
    pub what: &'static str,
    /// The licence under which it may be used.
    pub licence: &'static str,
    /// Where and how to get it.
    pub access: &'static str,
    /// The expected layout of the download, as a tree. Archives may be packed or unpacked.
    pub layout: &'static str,
    /// What its records consist of.
    pub records: &'static str,
    /// Where its splits come from.
    pub splits: &'static str,
    /// The published counts of images, reports, questions or other items.
    pub counts: &'static str,
    /// The paper to cite.
    pub citation: &'static str,
    /// Beginnings of the names of archives that can only be unpacked as a whole (tar archives).
    #[serde(skip)]
    pub(crate) tars: &'static [&'static str],
}

impl Description {
    /// The description of the data set with this name; `None` if there is no such data set.
    pub fn of(name: &str) -> Option<&'static Self> {
        Self::all().find(|about| about.name == name)
    }

    /// The descriptions of all data sets that `prepare` knows.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        super::Dataset::ALL.into_iter().map(super::Dataset::description).chain([&TABLE])
    }

    /// The description in Markdown, for the card of a folder of shards.
    pub fn markdown(&self) -> String {
        let Self { title, what, licence, access, records, splits, counts, citation, .. } = self;
        format!(
            "{title}. {what}\n\n- Licence: {licence}\n- Access: {access}\n- Records: {records}\n- Splits: {splits}\n\
             - Counts as published: {counts}\n- Citation: {citation}\n"
        )
    }

    /// The description as plain text, for a terminal.
    pub fn text(&self) -> String {
        let Self { name, title, what, licence, access, layout, records, splits, counts, citation, .. } = self;
        format!(
            "{name}: {title}\n\n{what}\n\nLicence   {licence}\nAccess    {access}\nRecords   {records}\nSplits    {splits}\n\
             Counts    {counts}\nCitation  {citation}\n\nLayout (packed or unpacked):\n{layout}\n"
        )
    }
}

/// A table of the user.
const TABLE: Description = Description {
    name: "table",
    title: "your own images, texts and labels",
    what: "A CSV, TSV, JSONL, JSON or parquet file with one record in each row: an image (its path, or in parquet its bytes), \
           texts about the image, labels, a question, a pair of sentences.",
    licence: "yours",
    access: "you provide it",
    layout: "\
pairs.csv                 or a folder with metadata.csv or labels.csv, or with one file for each split (see below); columns are
                          found by the names below, or given by options
  image                   path relative to the table (also image_path, file, filename, file_name)
  text                    also texts, report, caption, note, or findings and impression
  id                      unique; without this column, the number of the line
  patient                 all records of a patient are in one split (also patient_id, subject_id); without this column, the
                          image (its path; in parquet its bytes), or the id if there is no image
  split                   train, validate or test; without this column, chosen by a hash of the patient
  label                   also labels: several labels, separated by |
  question, answer        also answer_type (open, closed)
  premise, hypothesis     a pair of sentences; the label is their relation
  (any other)             kept as a field
images/0001.png
or, as on Hugging Face, files or folders named after their split, which contain the images:
data/train-00000-of-00001.parquet  data/test-00000-of-00001.parquet",
    records: "one for each row; an image, texts, or both",
    splits: "from the table or from the names of the files, otherwise by a hash of the patient: 80 % train, 10 % \
             validate, 10 % test",
    counts: "-",
    citation: "-",
    tars: &[],
};
