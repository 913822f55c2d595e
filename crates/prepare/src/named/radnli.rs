//! RadNLI (Miura et al., 2021; docs/layouts.md, section 12).

use std::collections::HashMap;
use std::sync::Arc;

use ptu_data::DataError;
use ptu_data::record::Split;

use super::helpers::collapsed;
use super::{DatasetRows, Description, mednli, mimic_cxr};
use crate::draft::{Draft, RemainingWork};
use crate::raw::{Entry, Raw};

pub const ABOUT: Description = Description {
    name: "radnli",
    title: "RadNLI: natural language inference in radiology reports",
    what: "Pairs of sentences from reports of MIMIC-CXR. It has no pairs for training; pseudo-labelled pairs \
           (created with ysmiura/ifcc) and the pairs of MedNLI are used for training if they are in the same folder.",
    licence: "PhysioNet credentialed health data licence",
    access: "credentialed: https://physionet.org/content/radnli-report-inference/1.0.0",
    layout: "\
radnli_dev_v1.jsonl  radnli_test_v1.jsonl
radnli_pseudo-train.jsonl           optional: created with ysmiura/ifcc; or radnli_pseudo-train_indexes.jsonl
mimic_cxr_sectioned.csv             needed for the file of indexes
mednli/mli_train_v1.jsonl           optional: pairs of MedNLI for training",
    records: "one for each pair; entailment, contradiction or neutral as the label `relation`",
    splits: "as published; train contains the training pairs in the same folder",
    counts: "480 / 480 pairs for validation and test; 6,000 pseudo-labelled pairs",
    citation: "Miura et al., NAACL 2021; doi 10.13026/mmab-c762",
    tars: &[],
};

pub fn open(raw: &Arc<Raw>) -> Result<DatasetRows, DataError> {
    let held_out = [("radnli_dev_v1.jsonl", Split::Validate), ("radnli_test_v1.jsonl", Split::Test)];
    raw.require(&held_out.map(|(name, _)| [name]).each_ref().map(|names| names.as_slice()))?;
    let (mut rows, mut tables, mut preprocessing) = (vec![], vec![], vec!["validate and test are those published"]);
    let pseudo_labelled = raw.find(&["radnli_pseudo-train.jsonl"]);
    let indexes = raw.find(&["radnli_pseudo-train_indexes.jsonl", "resources/radnli_pseudo-train_indexes.jsonl"]);
    match (pseudo_labelled, indexes) {
        (Some(file), _) => {
            mednli::read(&file, "radnli", Split::Train, &mut rows)?;
            tables.push(file);
        }
        (None, Some(file)) => {
            let first = rows.len();
            mednli::read(&file, "radnli", Split::Train, &mut rows)?;
            let sections = raw.need(&["mimic_cxr_sectioned.csv"])?;
            let bad = resolve(&mut rows[first..], &sections)?;
            rows.extend(bad);
            tables.extend([file, sections]);
        }
        _ => {}
    }
    if let Some(file) = raw.find(&["mednli/mli_train_v1.jsonl", "mli_train_v1.jsonl"]) {
        mednli::read(&file, "mednli", Split::Train, &mut rows)?;
        tables.push(file);
    }
    if tables.is_empty() {
        preprocessing.push("there are no training pairs: the folder has neither pseudo-labelled pairs nor MedNLI");
    } else {
        preprocessing
            .push("train contains the pseudo-labelled pairs and the pairs of MedNLI that were in the same folder");
    }
    for (name, split) in held_out {
        let file = raw.need(&[name])?;
        mednli::read(&file, "radnli", split, &mut rows)?;
        tables.push(file);
    }
    preprocessing.push("sentences are trimmed and end with a full stop");
    Ok(DatasetRows::published_splits(rows, tables, &preprocessing))
}

/// Replaces references such as `s50000001,549:594` (a study, and a range of characters in its findings) by the sentences. Returns
/// the rows of the table of sections that cannot be read.
fn resolve(rows: &mut [Draft], sections: &Entry) -> Result<Vec<Draft>, DataError> {
    let mut findings_by_study: HashMap<String, String> = HashMap::new();
    let parse_reference = |sentence: &str| {
        let (study, range) = sentence.trim_end_matches('.').split_once(',')?;
        let (start, end) = range.split_once(':')?;
        Some((study.to_string(), start.parse::<usize>().ok()?, end.parse::<usize>().ok()?))
    };
    for row in rows.iter() {
        if let RemainingWork::Read(record, _) = &row.work {
            let pair = record.sentences.iter().flat_map(|pair| [&pair.premise, &pair.hypothesis]);
            findings_by_study.extend(pair.filter_map(|sentence| Some((parse_reference(sentence)?.0, String::new()))));
        }
    }
    let bad = mimic_cxr::read_sectioned(sections, |study, _, findings| {
        if let Some(text) = findings_by_study.get_mut(study) {
            *text = collapsed_untrimmed(findings);
        }
    })?;
    for row in rows.iter_mut() {
        let RemainingWork::Read(record, _) = &mut row.work else { continue };
        let Some(pair) = &mut record.sentences else { continue };
        let mut bad = None;
        for sentence in [&mut pair.premise, &mut pair.hypothesis] {
            let found = parse_reference(sentence).and_then(|(study, start, end)| {
                let text: String =
                    findings_by_study.get(&study)?.chars().skip(start).take(end.saturating_sub(start)).collect();
                (!text.trim().is_empty()).then_some(text)
            });
            match found {
                Some(text) => *sentence = collapsed(&text),
                None => bad = Some(format!("`{}` is not in the sectioned reports", ptu_data::shortened(sentence, 60))),
            }
        }
        if let Some(cause) = bad {
            row.work = RemainingWork::Bad(cause);
        }
    }
    Ok(bad)
}

/// The text with each run of white space replaced by one blank, not trimmed: the ranges count characters of this form.
fn collapsed_untrimmed(text: &str) -> String {
    let (mut all, mut blank) = (String::with_capacity(text.len()), false);
    for one in text.chars() {
        if !one.is_whitespace() {
            all.push(one);
        } else if !blank {
            all.push(' ');
        }
        blank = one.is_whitespace();
    }
    all
}
