//! MedPix 2.0 (Siragusa et al., 2025; docs/layouts.md, section 5).

use std::collections::HashMap;
use std::sync::Arc;

use ptu_data::DataError;
use ptu_data::record::{Label, Section, Split};
use serde_json::Value;

use super::parts::{self, image, push, record, with_image, word};
use super::{Description, Opened};
use crate::draft::{Draft, Place, WithoutImage};
use crate::raw::Raw;

pub const ABOUT: Description = Description {
    name: "medpix",
    title: "MedPix 2.0: teaching cases with CT and MR images",
    what: "Cases of NLM's MedPix, cleaned: images with captions, findings, diagnosis, place in the body.",
    licence: "not stated by its authors; made from NLM's open MedPix",
    access: "open: CHILab1/MedPix-2.0 on GitHub",
    layout: "\
MedPix-2-0/
  Case_topic.json  Descriptions.json
  images/MPX1009_synpic46283.png
  splitted_dataset/uid_list.json",
    records: "one an image; caption and the case's findings (3 words or more) as texts; type, place and its category as \
              labels; diagnosis, age, sex, plane and modality as fields; the patient is the case",
    splits: "as published, by case",
    counts: "2,050 images (1,653 / 197 / 200) of 671 cases (535 / 67 / 69); 1,062 CT, 988 MR",
    citation: "Siragusa et al., Data Science and Engineering 2025, doi 10.1007/s41019-025-00297-8",
    tars: &[],
};

pub fn open(raw: &Arc<Raw>) -> Result<Opened, DataError> {
    let names = ["Descriptions.json", "Case_topic.json"];
    let lists = ["splitted_dataset/uid_list.json", "uid_list.json"];
    raw.require(&[&names[..1], &names[1..], &lists])?;
    let [descriptions, cases, list] = [raw.need(&names[..1])?, raw.need(&names[1..])?, raw.need(&lists)?];
    let mut splits = HashMap::new();
    let all = parts::json(&list)?;
    for (key, split) in [("train", Split::Train), ("dev", Split::Validate), ("test", Split::Test)] {
        for case in all.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            splits.insert(case.to_string(), split);
        }
    }
    let mut told: HashMap<String, (String, String)> = HashMap::new();
    for case in parts::list(&cases)? {
        let about = case.get("Case").unwrap_or(&Value::Null);
        told.insert(word(&case, "U_id"), (said(about, "Findings"), said(about, "Title")));
    }
    let mut rows = vec![];
    for (number, item) in parts::list(&descriptions)?.iter().enumerate() {
        let (case, name) = (word(item, "U_id"), word(item, "image"));
        let place =
            Place::Named(if name.is_empty() { format!("Descriptions.json item {number}") } else { name.clone() });
        let Some(&split) = splits.get(&case).filter(|_| !name.is_empty()) else {
            rows.push(Draft::bad(place, format!("`uid_list.json` has no split for case `{case}`")));
            continue;
        };
        let about = item.get("Description").unwrap_or(&Value::Null);
        let mut record = record(ABOUT.name, name.clone(), split);
        record.patient.clone_from(&case);
        push(&mut record, Section::Caption, &said(about, "Caption"));
        let (findings, diagnosis) = told.get(&case).cloned().unwrap_or_default();
        push(&mut record, Section::Findings, &findings);
        let labels = [("type", "Type"), ("category", "Location Category"), ("location", "Location")];
        record.labels = filled(labels.map(|(name, key)| (name, said(item, key))));
        record.fields = filled([
            ("diagnosis", diagnosis),
            ("age", said(about, "Age")),
            ("sex", said(about, "Sex")),
            ("plane", said(about, "Plane")),
            ("modality", said(about, "Modality")),
        ]);
        let file = format!("images/{name}.png");
        let mut draft = with_image(place, record, image(raw, &[&file, &format!("images/{name}")]));
        draft.without_image = WithoutImage::TextsKept;
        rows.push(draft);
    }
    let told = ["splits are those published, by case", "texts of fewer than 3 words are dropped"];
    Ok(Opened::published(rows, vec![descriptions, cases, list], &told))
}

/// A value, where it says anything.
fn said(object: &Value, key: &str) -> String {
    let word = word(object, key);
    if word == "N/A" { String::new() } else { word }
}

fn filled<const N: usize>(named: [(&str, String); N]) -> Vec<Label> {
    let filled = named.into_iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(name, value)| Label::new(name, value)).collect()
}
