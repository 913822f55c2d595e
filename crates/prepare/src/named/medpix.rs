//! MedPix 2.0 (Siragusa et al., 2025; docs/layouts.md, section 5).

use std::collections::HashMap;
use std::sync::Arc;

use ptu_data::DataError;
use ptu_data::record::{Label, Section, Split};
use serde_json::Value;

use super::helpers::{self, find_image, new_record, push_text, string_value, with_image};
use super::{DatasetRows, Description};
use crate::draft::{Draft, MissingImagePolicy, RowPosition};
use crate::raw::Raw;

pub const ABOUT: Description = Description {
    name: "medpix",
    title: "MedPix 2.0: teaching cases with CT and MR images",
    what: "Cases from NLM's MedPix, cleaned: images with captions, findings, diagnosis and place in the body.",
    licence: "not stated by its authors; made from NLM's open MedPix",
    access: "open: CHILab1/MedPix-2.0 on GitHub",
    layout: "\
MedPix-2-0/
  Case_topic.json  Descriptions.json
  images/MPX1009_synpic46283.png
  splitted_dataset/uid_list.json",
    records: "one for each image; caption and the case's findings (3 words or more) as texts; type, place and its \
              category as labels; diagnosis, age, sex, plane and modality as fields; the patient is the case",
    splits: "as published, by case",
    counts: "2,050 images (1,653 / 197 / 200) of 671 cases (535 / 67 / 69); 1,062 CT, 988 MR",
    citation: "Siragusa et al., Data Science and Engineering 2025, doi 10.1007/s41019-025-00297-8",
    tars: &[],
};

pub fn open(raw: &Arc<Raw>) -> Result<DatasetRows, DataError> {
    let names = ["Descriptions.json", "Case_topic.json"];
    let lists = ["splitted_dataset/uid_list.json", "uid_list.json"];
    raw.require(&[&names[..1], &names[1..], &lists])?;
    let [descriptions, cases, list] = [raw.need(&names[..1])?, raw.need(&names[1..])?, raw.need(&lists)?];
    let mut splits = HashMap::new();
    let all = helpers::json(&list)?;
    for (key, split) in [("train", Split::Train), ("dev", Split::Validate), ("test", Split::Test)] {
        for case in all.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            splits.insert(case.to_string(), split);
        }
    }
    // Findings and title of each case.
    let mut cases_by_id: HashMap<String, (String, String)> = HashMap::new();
    for case in helpers::list(&cases)? {
        let texts = case.get("Case").unwrap_or(&Value::Null);
        cases_by_id
            .insert(string_value(&case, "U_id"), (stated_value(texts, "Findings"), stated_value(texts, "Title")));
    }
    let mut rows = vec![];
    for (number, item) in helpers::list(&descriptions)?.iter().enumerate() {
        let (case, name) = (string_value(item, "U_id"), string_value(item, "image"));
        let position =
            RowPosition::Named(if name.is_empty() { format!("Descriptions.json item {number}") } else { name.clone() });
        let Some(&split) = splits.get(&case).filter(|_| !name.is_empty()) else {
            rows.push(Draft::bad(position, format!("`uid_list.json` has no split for case `{case}`")));
            continue;
        };
        let description = item.get("Description").unwrap_or(&Value::Null);
        let mut record = new_record(ABOUT.name, name.clone(), split);
        record.patient.clone_from(&case);
        push_text(&mut record, Section::Caption, &stated_value(description, "Caption"));
        let (findings, diagnosis) = cases_by_id.get(&case).cloned().unwrap_or_default();
        push_text(&mut record, Section::Findings, &findings);
        let names = [("type", "Type"), ("category", "Location Category"), ("location", "Location")];
        record.labels = labels(names.map(|(name, key)| (name, stated_value(item, key))));
        record.fields = labels([
            ("diagnosis", diagnosis),
            ("age", stated_value(description, "Age")),
            ("sex", stated_value(description, "Sex")),
            ("plane", stated_value(description, "Plane")),
            ("modality", stated_value(description, "Modality")),
        ]);
        let file = format!("images/{name}.png");
        let mut draft = with_image(position, record, find_image(raw, &[&file, &format!("images/{name}")]));
        draft.missing_image = MissingImagePolicy::KeepTexts;
        rows.push(draft);
    }
    let preprocessing = ["splits are those published, by case", "texts of fewer than 3 words are dropped"];
    Ok(DatasetRows::published_splits(rows, vec![descriptions, cases, list], &preprocessing))
}

/// A value; empty if it is missing or `N/A`.
fn stated_value(object: &Value, key: &str) -> String {
    let value = string_value(object, key);
    if value == "N/A" { String::new() } else { value }
}

/// Labels from names and values, without the empty values.
fn labels<const N: usize>(named: [(&str, String); N]) -> Vec<Label> {
    let filled = named.into_iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(name, value)| Label::new(name, value)).collect()
}
