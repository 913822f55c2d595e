//! MedNLI (Romanov and Shivade, 2018; docs/layouts.md, section 11).

use std::sync::Arc;

use ptu_data::DataError;
use ptu_data::record::{Label, SentencePair, Split};

use super::parts::{at, record};
use super::{Description, Opened};
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
    records: "one a pair; entailment, contradiction or neutral as the label `relation`",
    splits: "as published; the files name no patients",
    counts: "11,232 / 1,395 / 1,422 pairs",
    citation: "Romanov and Shivade, EMNLP 2018; doi 10.13026/C2RS98",
    tars: &[],
};

const FILES: [(&str, Split); 3] =
    [("mli_train_v1.jsonl", Split::Train), ("mli_dev_v1.jsonl", Split::Validate), ("mli_test_v1.jsonl", Split::Test)];

pub fn open(raw: &Arc<Raw>) -> Result<Opened, DataError> {
    raw.require(&FILES.map(|(name, _)| [name]).each_ref().map(|names| names.as_slice()))?;
    let (mut rows, mut tables) = (vec![], vec![]);
    for (name, split) in FILES {
        let file = raw.need(&[name])?;
        read(&file, ABOUT.name, split, &mut rows)?;
        tables.push(file);
    }
    let told = ["splits are those published", "sentences are trimmed and end with a full stop"];
    Ok(Opened::published(rows, tables, &told))
}

/// Reads the pairs of a file of this form.
pub fn read(file: &Entry, source: &str, split: Split, rows: &mut Vec<Draft>) -> Result<(), DataError> {
    let mut lines = Jsonl::open(file)?;
    while let Some(object) = lines.object()? {
        let place = at(file, lines.line());
        let object = match object {
            Ok(object) => serde_json::Value::Object(object),
            Err(bad) => {
                rows.push(Draft::bad(place, bad.cause));
                continue;
            }
        };
        let word = |key: &str| super::parts::word(&object, key);
        let pair = SentencePair { premise: stopped(&word("sentence1")), hypothesis: stopped(&word("sentence2")) };
        let (id, label) = (word("pairID") + &word("pair_id"), word("gold_label"));
        rows.push(match label.as_str() {
            _ if pair.premise.is_empty() || pair.hypothesis.is_empty() => Draft::bad(place, "a sentence is missing"),
            "entailment" | "contradiction" | "neutral" => {
                let id = if id.is_empty() { lines.line().to_string() } else { id };
                let mut record = record(source, format!("{split}/{id}"), split);
                record.sentences = Some(pair);
                record.labels = vec![Label::new("relation", label)];
                Draft::read(place, record, None)
            }
            "-" => Draft::bad(place, "readers did not agree on the relation"),
            other => Draft::bad(place, format!("`{}` is no relation", ptu_data::shortened(other, 40))),
        });
    }
    Ok(())
}

/// Trimmed, with a full stop at its end; an empty one stays so.
fn stopped(sentence: &str) -> String {
    match sentence.trim() {
        "" => String::new(),
        sentence if sentence.ends_with('.') => sentence.to_string(),
        sentence => format!("{sentence}."),
    }
}
