//! The contents of a file of vectors, counted row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::bail;
use ptu_data::manifest::MANIFEST_FILE;
use ptu_data::vectors::{VectorReader, VectorRow, VectorsHeader};
use ptu_infer::embed::{Embedded, noted};
use serde::Serialize;

/// At most so many different values of a name, and different names, are counted.
const COUNTED: usize = 10_000;

/// Digits of a hash that are shown.
const DIGITS: usize = 12;

/// A file of vectors.
#[derive(Serialize)]
pub struct Vectors {
    path: PathBuf,
    #[serde(flatten)]
    header: VectorsHeader,
    rows: u64,
    /// Number of rows by modality, by data set, and by split where it is known.
    modalities: BTreeMap<&'static str, u64>,
    sources: BTreeMap<String, u64>,
    splits: BTreeMap<&'static str, u64>,
    /// Labels and fields by name: rows that have one, and different values.
    labels: BTreeMap<String, Values>,
    fields: BTreeMap<String, Values>,
    /// Inputs that could not be used.
    #[serde(rename = "left_out")]
    skipped: usize,
    /// Texts that were truncated to the model's limit.
    cut: u64,
}

/// How many rows have a value of a name.
#[derive(Default, Serialize)]
struct Values {
    rows: u64,
    /// Different ones; no more than 10,000 are counted.
    different: usize,
    #[serde(skip)]
    seen: BTreeSet<String>,
}

impl Vectors {
    /// Counts a file that `embed` wrote.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| folder.join(MANIFEST_FILE).exists()) {
            bail!("`{}` is part of a folder of shards; name the folder: `{}`", path.display(), folder.display());
        }
        if path.extension().is_none_or(|ending| ending != "parquet") {
            bail!(
                "`{}` is not a .parquet file; of files, only .parquet files of `embed` can be inspected",
                path.display()
            );
        }
        let reader = VectorReader::open(path)?;
        let Embedded { skipped, cut, .. } = noted(&reader);
        let mut vectors = Self {
            path: path.into(),
            header: reader.header().clone(),
            rows: reader.rows(),
            modalities: BTreeMap::new(),
            sources: BTreeMap::new(),
            splits: BTreeMap::new(),
            labels: BTreeMap::new(),
            fields: BTreeMap::new(),
            skipped: skipped.len(),
            cut,
        };
        for rows in reader {
            rows?.iter().for_each(|row| vectors.add(row));
        }
        Ok(vectors)
    }

    fn add(&mut self, row: &VectorRow) {
        *self.modalities.entry(row.modality.name()).or_default() += 1;
        if self.sources.len() < COUNTED || self.sources.contains_key(&row.source) {
            *self.sources.entry(row.source.clone()).or_default() += 1;
        }
        if let Some(split) = row.split {
            *self.splits.entry(split.name()).or_default() += 1;
        }
        for (counts, labels) in [(&mut self.labels, &row.labels), (&mut self.fields, &row.fields)] {
            let names: BTreeSet<&str> = labels.iter().map(|label| label.name.as_str()).collect();
            for name in names {
                if counts.len() < COUNTED || counts.contains_key(name) {
                    counts.entry(name.to_string()).or_default().rows += 1;
                }
            }
            for label in labels {
                if let Some(values) = counts.get_mut(&label.name)
                    && values.seen.len() < COUNTED
                    && values.seen.insert(label.value.clone())
                {
                    values.different += 1;
                }
            }
        }
    }

    /// Lines for people.
    pub fn lines(&self) -> Vec<String> {
        let model: String = self.header.model.chars().take(DIGITS).collect();
        let space = serde_json::to_value(self.header.space).ok();
        let space = space.as_ref().and_then(|space| space.as_str()).unwrap_or_default();
        let mut lines = vec![format!(
            "vectors {}: {} of {} numbers, space {space}, model {model}, written by version {}",
            self.path.display(),
            self.rows,
            self.header.width,
            self.header.version
        )];
        let counts = |what: &str, counts: Vec<String>| format!("  {what:10}{}", counts.join(", "));
        let modalities = self.modalities.iter().map(|(modality, count)| format!("{count} of {modality}"));
        lines.push(counts("modalities", modalities.collect()));
        lines.push(counts("sources", self.sources.iter().map(|(name, count)| format!("{name} {count}")).collect()));
        if !self.splits.is_empty() {
            lines.push(counts("splits", self.splits.iter().map(|(name, count)| format!("{name} {count}")).collect()));
        }
        for (what, names) in [("label", &self.labels), ("field", &self.fields)] {
            for (name, Values { rows, different, .. }) in names {
                let more = if *different == COUNTED { "at least " } else { "" };
                lines.push(format!("  {what:10}`{name}`: {rows} rows, {more}{different} different values"));
            }
        }
        if self.skipped > 0 {
            lines.push(format!("  skipped   {} inputs could not be used", self.skipped));
        }
        if self.cut > 0 {
            lines.push(format!("  truncated {} texts are longer than the model's limit", self.cut));
        }
        lines
    }
}
