//! RSNA Pneumonia Detection Challenge (Shih et al., 2019; docs/layouts.md, section 10).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ptu_data::record::{Label, Split};
use ptu_data::{DataError, shortened};
use serde_json::Value;

use super::helpers::{self, find_image, line_position, new_record, numpy_permutation, with_image};
use super::{Choice, DatasetRows, Description, Details, NamedOptions, ROWS_SKIPPED};
use crate::draft::{Draft, RowPosition};
use crate::raw::separated::Csv;
use crate::raw::{Entry, Raw};
use crate::shares::{bucket, sort_key};

pub const ABOUT: Description = Description {
    name: "rsna",
    title: "RSNA pneumonia detection challenge",
    what: "Frontal chest radiographs of NIH's ChestX-ray14, in which radiologists marked opacities that may be pneumonia.",
    licence: "the challenge's rules: non-commercial research",
    access: "after accepting the rules: https://www.kaggle.com/c/rsna-pneumonia-detection-challenge",
    layout:
        "\
stage_2_train_labels.csv
stage_2_detailed_class_info.csv                   optional
stage_2_train_images/<patientId>.png or .jpg      converted from the .dcm files, which cannot be read yet
pneumonia-challenge-dataset-mappings_2018.json    optional: names the NIH patients, so that no patient is in two splits",
    records: "one for each image; `pneumonia` (0, 1) and the class as labels, boxes (x, y, width, height of 1024) as \
              fields",
    splits: "by a hash of the id: 70 % train, 15 % validate, 15 % test; a `patientId` identifies an image, so \
             without the mapping one person may be in two splits. The field `share` marks the first 1 % and 10 % of \
             train. `--published-split` uses the split of published code",
    counts: "26,684 images, 6,012 with pneumonia, 30,227 rows",
    citation: "Shih et al., Radiology: Artificial Intelligence 2019, doi 10.1148/ryai.2019180041",
    tars: &[],
};

/// The labels of an image.
#[derive(Default)]
struct LabelledImage {
    positive: bool,
    boxes: Vec<String>,
    class: String,
}

pub fn open(raw: &Arc<Raw>, options: &NamedOptions) -> Result<DatasetRows, DataError> {
    let labels = raw.need(&["stage_2_train_labels.csv"])?;
    let (mut cases, mut rows) = read_labels(&labels)?;
    let (mut details, mut tables) = (Details::default(), vec![labels]);
    if let Some(file) = raw.find(&["stage_2_detailed_class_info.csv"]) {
        add_classes(&file, &mut cases, &mut details)?;
        tables.push(file);
    }
    let mut patients = HashMap::new();
    if let Some(file) = raw.find(&["pneumonia-challenge-dataset-mappings_2018.json"]) {
        patients = nih_patients(&file)?;
        tables.push(file);
    }
    let published = options.has(Choice::PublishedSplit);
    let ids: Vec<&String> = cases.keys().collect();
    let patient = |id: &str| patients.get(id).cloned().unwrap_or_else(|| id.to_string());
    let splits: HashMap<&str, Split> = match published {
        true => published_split(&ids),
        false => ids.iter().map(|id| (id.as_str(), split_by_hash(&patient(id)))).collect(),
    };
    let shares = train_shares(ids.iter().filter(|id| splits.get(id.as_str()) == Some(&Split::Train)));
    for (id, case) in &cases {
        let split = splits.get(id.as_str()).copied().unwrap_or_default();
        let mut record = new_record(ABOUT.name, id, split);
        record.patient = patient(id);
        record.labels.push(Label::new("pneumonia", if case.positive { "1" } else { "0" }));
        if !case.class.is_empty() {
            record.labels.push(Label::new("class", &case.class));
        }
        record.fields = case.boxes.iter().map(|coordinates| Label::new("box", coordinates)).collect();
        record.fields.extend(shares.get(id.as_str()).map(|share| Label::new("share", *share)));
        let names = ["png", "jpg", "jpeg", "dcm"].map(|ending| format!("stage_2_train_images/{id}.{ending}"));
        rows.push(with_image(
            RowPosition::Named(id.clone()),
            record,
            find_image(raw, &names.each_ref().map(String::as_str)),
        ));
    }
    let split_sentence = match (published, patients.is_empty()) {
        (true, _) => "splits are those of published code (a permutation of the ids)",
        (false, true) => "splits are chosen by a hash of the image's id: one person may be in two splits",
        (false, false) => "splits are chosen by a hash of the NIH patient",
    };
    Ok(DatasetRows { published, details, ..DatasetRows::own_splits(rows, tables, &[split_sentence]) })
}

/// Reads the images by id, with their boxes. Returns also the rows that cannot be used.
fn read_labels(labels: &Entry) -> Result<(BTreeMap<String, LabelledImage>, Vec<Draft>), DataError> {
    let (mut cases, mut rows): (BTreeMap<String, LabelledImage>, _) = (BTreeMap::new(), vec![]);
    let mut csv = Csv::open(labels)?;
    let [id, x, y, width, height, target] = csv.need(["patientId", "x", "y", "width", "height", "Target"])?;
    while let Some(row) = csv.next()? {
        let target = row.get(target);
        let known = row.cells.is_ok() && ["0", "1"].contains(&target) && !row.get(id).is_empty();
        if !known {
            let cause =
                row.cells.err().map_or("it has no `patientId`, or no `Target` of 0 or 1".into(), |bad| bad.cause);
            rows.push(Draft::bad(line_position(labels, row.line), cause));
            continue;
        }
        let case = cases.entry(row.get(id).to_string()).or_default();
        if target == "1" {
            case.positive = true;
            case.boxes.push([x, y, width, height].map(|column| row.get(column)).join(" "));
        }
    }
    Ok((cases, rows))
}

/// Adds the class of each image.
fn add_classes(
    file: &Entry,
    cases: &mut BTreeMap<String, LabelledImage>,
    details: &mut Details,
) -> Result<(), DataError> {
    let mut csv = Csv::open(file)?;
    let [id, class] = csv.need(["patientId", "class"])?;
    while let Some(row) = csv.next()? {
        match (&row.cells, cases.get_mut(row.get(id))) {
            (Err(bad), _) => details.add(ROWS_SKIPPED, line_position(file, row.line), bad.cause.clone()),
            (Ok(_), Some(case)) => case.class = row.get(class).to_string(),
            (Ok(_), None) => {
                let cause = format!("no label belongs to the image `{}`", shortened(row.get(id), 80));
                details.add("classes-of-unknown-images", line_position(file, row.line), cause);
            }
        }
    }
    Ok(())
}

/// The patient of the NIH collection whom each image shows, by the id of the image.
fn nih_patients(file: &Entry) -> Result<HashMap<String, String>, DataError> {
    let mut patients = HashMap::new();
    for item in helpers::list(file)? {
        let nih: String = helpers::string_value(&item, "img_id");
        let patient = nih.split('_').next().unwrap_or_default().to_string();
        if let (Some(Value::String(id)), false) = (item.get("subset_img_id"), patient.is_empty()) {
            patients.insert(id.clone(), patient);
        }
    }
    Ok(patients)
}

fn split_by_hash(id: &str) -> Split {
    match bucket("rsna", 42, id) {
        0..7_000 => Split::Train,
        7_000..8_500 => Split::Validate,
        _ => Split::Test,
    }
}

/// The split of published code: 30 % of a permutation of the ids are not in train; half of them are for validation, half for
/// testing.
fn published_split<'a>(ids: &[&'a String]) -> HashMap<&'a str, Split> {
    let left_train = (ids.len() * 3).div_ceil(10);
    let order = numpy_permutation(0, ids.len());
    let held_out = numpy_permutation(0, left_train);
    let mut splits: HashMap<&str, Split> = ids.iter().map(|id| (id.as_str(), Split::Train)).collect();
    for (position, &of) in held_out.iter().enumerate() {
        let split = if position < left_train / 2 { Split::Validate } else { Split::Test };
        splits.insert(ids[order[of]].as_str(), split);
    }
    splits
}

/// The ids in the first 1 % and 10 % of train, in the order of their hashes.
fn train_shares<'a>(ids: impl Iterator<Item = &'a &'a String>) -> HashMap<&'a str, &'static str> {
    let mut order: Vec<&str> = ids.map(|id| id.as_str()).collect();
    order.sort_by_cached_key(|id| sort_key("rsna", 42, id));
    let count = order.len();
    let marked = order.into_iter().enumerate().filter_map(|(position, id)| match position {
        _ if position * 100 < count => Some((id, "0.01")),
        _ if position * 10 < count => Some((id, "0.1")),
        _ => None,
    });
    marked.collect()
}
