//! What a data set is, for people: licence, access, layout, citation.

use serde::Serialize;

/// A data set in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The name that commands use.
    pub name: &'static str,
    /// What it is called in papers.
    pub title: &'static str,
    /// What it holds.
    pub what: &'static str,
    /// What may be done with it.
    pub licence: &'static str,
    /// Where and how it is had.
    pub access: &'static str,
    /// The layout that is expected, as a tree; archives may be packed or unpacked.
    pub layout: &'static str,
    /// What becomes of it.
    pub records: &'static str,
    /// Where its splits come from.
    pub splits: &'static str,
    /// Counts as published.
    pub counts: &'static str,
    /// The paper.
    pub citation: &'static str,
    /// Beginnings of the names of archives that must be unpacked from front to end.
    #[serde(skip)]
    pub(crate) tars: &'static [&'static str],
}

impl Description {
    /// The description of a name; `None` where there is no such data set.
    pub fn of(name: &str) -> Option<&'static Self> {
        Self::all().find(|about| about.name == name)
    }

    /// All data sets that `prepare` knows.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        super::Dataset::ALL.into_iter().map(super::Dataset::description).chain([&TABLE])
    }

    /// For the card of a folder of shards, in Markdown.
    pub fn markdown(&self) -> String {
        let Self { title, what, licence, access, records, splits, counts, citation, .. } = self;
        format!(
            "{title}. {what}\n\n- Licence: {licence}\n- Access: {access}\n- Records: {records}\n- Splits: {splits}\n\
             - Counts as published: {counts}\n- Citation: {citation}\n"
        )
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let Self { name, title, what, licence, access, layout, records, splits, counts, citation, .. } = self;
        format!(
            "{name}: {title}\n\n{what}\n\nLicence   {licence}\nAccess    {access}\nRecords   {records}\nSplits    {splits}\n\
             Counts    {counts}\nCitation  {citation}\n\nLayout (packed or unpacked):\n{layout}\n"
        )
    }
}

/// Anybody's own pairs.
const TABLE: Description = Description {
    name: "table",
    title: "your own images, texts and labels",
    what: "A CSV, TSV, JSONL, JSON or parquet file with one record a row: an image (its path, or in parquet its bytes), texts \
           about it, labels, a question, a pair of sentences.",
    licence: "yours",
    access: "write it",
    layout: "\
pairs.csv                 or a folder with metadata.csv or labels.csv, or with files by split (see below); columns by their usual
                          names, or named by options
  image                   path relative to the table (also image_path, file, filename, file_name)
  text                    also texts, report, caption, note, or findings and impression
  id                      unique; else the number of the line
  patient                 unit of the splits (also patient_id, subject_id); else the image (its path; within parquet its
                          bytes), else the id
  split                   train, validate or test; else drawn by a hash of the patient
  label                   also labels: several, parted by |
  question, answer        and answer_type (open, closed)
  premise, hypothesis     a pair of sentences, its relation as label
  (any other)             kept as a field
images/0001.png
or, as on Hugging Face, files or folders named after their split, images within:
data/train-00000-of-00001.parquet  data/test-00000-of-00001.parquet",
    records: "one a row; an image, texts, or both",
    splits: "those of the table or of the files' names, or our own: a hash of the patient, 80 % train, 10 % validate, 10 % test",
    counts: "-",
    citation: "-",
    tars: &[],
};
