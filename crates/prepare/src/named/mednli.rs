//! MedNLI (Romanov and Shivade, 2018; docs/layouts.md, section 11).

use std::sync::Arc;

use ptu_data::DataError;
use ptu_data::record::{Label, SentencePair, Split};

use super::helpers::{line_position, new_record};
use super::{DatasetRows, Description};
use crate::draft::Draft;
use crate::raw::json_lines::Jsonl;
use crate::raw::{Entry, Raw};

pub const ABOUT: Description = Description {
    name: "mednli",
    title: "MedNLI: natural language inference in clinical notes",
    what: "Pairs of sentences: a premise from a note of MIMIC-III, and a hypothesis that a physician wrote.",
    licence: "PhysioNet credentialed health data licence",
    access: "credentialed: https://physionet.org/content/mednli/1.0.0",
    layout: "\
mli_train_v1.jsonl  mli_dev_v1.jsonl  mli_test_v1.jsonl",
    records: "one for each pair; entailment, contradiction or neutral as the label `relation`",
    splits: "as published; the files name no patients",
    counts: "11,232 / 1,395 / 1,422 pairs",
    citation: "Romanov and Shivade, EMNLP 2018; doi 10.13026/C2RS98",
    tars: &[],
};

const FILES: [(&str, Split); 3] =
    [("mli_train_v1.jsonl", Split::Train), ("mli_dev_v1.jsonl", Split::Validate), ("mli_test_v1.jsonl", Split::Test)];

pub fn open(raw: &Arc<Raw>) -> Result<DatasetRows, DataError> {
    raw.require(&FILES.map(|(name, _)| [name]).each_ref().map(|names| names.as_slice()))?;
    let (mut rows, mut tables) = (vec![], vec![]);
    for (name, split) in FILES {
        let file = raw.need(&[name])?;
        read(&file, ABOUT.name, split, &mut rows)?;
        tables.push(file);
    }
    let preprocessing = ["splits are those published", "sentences are trimmed and end with a full stop"];
    Ok(DatasetRows::published_splits(rows, tables, &preprocessing))
}

/// Adds the pairs of a file in the form of MedNLI to `rows`.
pub fn read(file: &Entry, source: &str, split: Split, rows: &mut Vec<Draft>) -> Result<(), DataError> {
    let mut lines = Jsonl::open(file)?;
    while let Some(object) = lines.object()? {
        let position = line_position(file, lines.line());
        let object = match object {
            Ok(object) => serde_json::Value::Object(object),
            Err(bad) => {
                rows.push(Draft::bad(position, bad.cause));
                continue;
            }
        };
        let value = |key: &str| super::helpers::string_value(&object, key);
        let pair = SentencePair {
            premise: with_full_stop(&value("sentence1")),
            hypothesis: with_full_stop(&value("sentence2")),
        };
        let (id, label) = (value("pairID") + &value("pair_id"), value("gold_label"));
        rows.push(match label.as_str() {
            _ if pair.premise.is_empty() || pair.hypothesis.is_empty() => Draft::bad(position, "a sentence is missing"),
            "entailment" | "contradiction" | "neutral" => {
                let id = if id.is_empty() { lines.line().to_string() } else { id };
                let mut record = new_record(source, format!("{split}/{id}"), split);
                record.sentences = Some(pair);
                record.labels = vec![Label::new("relation", label)];
                Draft::read(position, record, None)
            }
            "-" => Draft::bad(position, "the annotators did not agree on the relation"),
            other => Draft::bad(position, format!("`{}` is not a relation", ptu_data::shortened(other, 40))),
        });
    }
    Ok(())
}

/// The sentence, trimmed, with a full stop at its end. An empty sentence stays empty.
fn with_full_stop(sentence: &str) -> String {
    match sentence.trim() {
        "" => String::new(),
        sentence if sentence.ends_with('.') => sentence.to_string(),
        sentence => format!("{sentence}."),
    }
}
