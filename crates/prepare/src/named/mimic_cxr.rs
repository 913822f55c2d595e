//! MIMIC-CXR-JPG with the reports of MIMIC-CXR (Johnson et al., 2019; docs/layouts.md, section 3).

mod report;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ptu_data::DataError;
use ptu_data::record::{Finding, Label, Section, Split};
use serde_json::Value;

use super::helpers::{self, find_image, finding_labels, line_position, new_record, push_text, with_image};
use super::{DatasetRows, Description};
use crate::draft::{Draft, MissingImagePolicy, RowPosition};
use crate::raw::row::Row;
use crate::raw::separated::Csv;
use crate::raw::{Entry, Raw};

pub const ABOUT: Description = Description {
    name: "mimic-cxr",
    title: "MIMIC-CXR-JPG: chest radiographs of Beth Israel Deaconess with reports",
    what: "Chest radiographs as JPEG, free-text reports in sections, labels of 14 findings read from the reports. \
           `___` replaces words that were removed to protect privacy.",
    licence: "PhysioNet credentialed health data licence 1.5.0",
    access: "credentialed: https://physionet.org/content/mimic-cxr-jpg (images, tables) and mimic-cxr (mimic-cxr-reports.zip)",
    layout: "\
mimic-cxr-2.0.0-metadata.csv.gz  mimic-cxr-2.0.0-split.csv.gz  mimic-cxr-2.0.0-chexpert.csv.gz     (also unpacked)
mimic-cxr-reports.zip                          or files/p10/p10000001/s50000001.txt
files/p10/p10000001/s50000001/<dicom_id>.jpg   (also .png)
mimic_cxr_sectioned.csv.gz                     optional: reports in sections, used instead of the reports
annotation.json                                optional: the split of R2Gen",
    records: "one for each frontal image (AP or PA); impression and findings (3 words or more) as texts, 14 labels \
              (positive, negative, uncertain, unmentioned); study, view and `images-of-study` as fields; if the \
              image is missing, the record has only the texts",
    splits: "as published, by patient; or R2Gen's",
    counts: "377,110 images, 227,835 studies, 65,379 patients; images 368,960 / 2,991 / 5,159",
    citation: "Johnson et al., Scientific Data 6, 317 (2019); arXiv 1901.07042",
    tars: &[],
};

/// The findings of `chexpert.csv`, in the order of its columns.
const FINDINGS: [&str; 14] = [
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
];

/// Largest size of a report in bytes; real reports have 10,000.
const REPORT_LIMIT: u64 = 1 << 20;

/// The names that a table may have, depending on the version of the data set.
fn table_names(table: &str) -> [String; 4] {
    let version = |version: &str| format!("mimic-cxr-{version}-{table}.csv");
    let deep = |version: &str, folder: &str| format!("mimic-cxr-jpg/{folder}/mimic-cxr-{version}-{table}.csv");
    [version("2.0.0"), version("2.1.0"), deep("2.0.0", "2.0.0"), deep("2.0.0", "2.1.0")]
}

/// The content of the tables, except the table with one row for each image.
struct Tables {
    splits: HashMap<String, Split>,
    labels: HashMap<u64, [Finding; 14]>,
    /// Number of images of each study.
    images: HashMap<u64, u32>,
    /// Impression and findings of each study, if there is a table of sections.
    sections: Option<HashMap<u64, [String; 2]>>,
    /// Rows of these tables that cannot be used.
    unusable_rows: Vec<Draft>,
}

pub fn open(raw: &Arc<Raw>) -> Result<DatasetRows, DataError> {
    let wanted = ["metadata", "split", "chexpert"].map(table_names);
    let wanted = wanted.each_ref().map(|names| names.each_ref().map(String::as_str));
    raw.require(&wanted.each_ref().map(|names| names.as_slice()))?;
    let [metadata, split, chexpert] = [raw.need(&wanted[0])?, raw.need(&wanted[1])?, raw.need(&wanted[2])?];
    let sectioned = raw.find(&["mimic_cxr_sectioned.csv"]);
    let r2gen = raw.find(&["annotation.json"]);
    let mut tables = Tables::read(&metadata, &split, &chexpert, sectioned.as_ref())?;
    if let Some(file) = &r2gen {
        tables.splits = annotated_splits(file)?;
    }
    let total = tables.images.values().map(|count| u64::from(*count)).sum();
    let bad = std::mem::take(&mut tables.unusable_rows);
    let mut csv = Csv::open(&metadata)?;
    let columns = csv.need(["dicom_id", "subject_id", "study_id", "ViewPosition"])?;
    let rows = {
        let (raw, metadata) = (Arc::clone(raw), metadata.clone());
        std::iter::from_fn(move || match csv.next() {
            Err(error) => Some(Err(error)),
            Ok(row) => row.map(|row| {
                let position = line_position(&metadata, row.line);
                Ok(draft(&raw, &tables, position.clone(), &row, columns)
                    .unwrap_or_else(|cause| Draft::bad(position, cause)))
            }),
        })
    };
    let preprocessing = [
        if r2gen.is_some() {
            "splits are those of R2Gen's `annotation.json`"
        } else {
            "splits are those published, by patient"
        },
        "only frontal images (AP, PA); texts of fewer than 3 words are dropped",
        match sectioned.is_some() {
            true => "sections are those of `mimic_cxr_sectioned.csv`",
            false => "sections are found by the headings of the reports",
        },
    ];
    let files = [Some(metadata), Some(split), Some(chexpert), sectioned, r2gen].into_iter().flatten().collect();
    let opened = DatasetRows::published_splits(vec![], files, &preprocessing);
    Ok(DatasetRows { rows: Box::new(bad.into_iter().map(Ok).chain(rows)), total, ..opened })
}

impl Tables {
    fn read(
        metadata: &Entry,
        split: &Entry,
        chexpert: &Entry,
        sectioned_file: Option<&Entry>,
    ) -> Result<Self, DataError> {
        let mut all = Self {
            splits: HashMap::new(),
            labels: HashMap::new(),
            images: HashMap::new(),
            sections: None,
            unusable_rows: vec![],
        };
        let mut csv = Csv::open(split)?;
        let [id, word] = csv.need(["dicom_id", "split"])?;
        while let Some(row) = csv.next()? {
            match row.get(word).parse::<Split>() {
                Ok(split) => drop(all.splits.insert(row.get(id).to_string(), split)),
                Err(error) => all.unusable_rows.push(Draft::bad(line_position(split, row.line), error.to_string())),
            }
        }
        let mut csv = Csv::open(metadata)?;
        let [study] = csv.need(["study_id"])?;
        while let Some(row) = csv.next()? {
            if let Ok(study) = row.get(study).parse() {
                *all.images.entry(study).or_default() += 1;
            }
        }
        let mut csv = Csv::open(chexpert)?;
        let [study] = csv.need(["study_id"])?;
        let columns = csv.need(FINDINGS)?;
        while let Some(row) = csv.next()? {
            let named: Vec<(String, usize)> = FINDINGS.iter().map(|name| name.to_string()).zip(columns).collect();
            match (row.get(study).parse(), finding_labels(&row, &named)) {
                (Ok(study), Ok(_)) => {
                    let found = columns.map(|column| Finding::of(row.get(column)).unwrap_or(Finding::Unmentioned));
                    all.labels.insert(study, found);
                }
                (_, Err(cause)) => all.unusable_rows.push(Draft::bad(line_position(chexpert, row.line), cause)),
                (Err(_), _) => {
                    all.unusable_rows.push(Draft::bad(line_position(chexpert, row.line), "`study_id` is not a number"))
                }
            }
        }
        if let Some(file) = sectioned_file {
            let mut sections = HashMap::new();
            all.unusable_rows.extend(read_sectioned(file, |study, impression, findings| {
                if let Ok(study) = study.trim_start_matches('s').parse() {
                    sections.insert(study, [impression.to_string(), findings.to_string()]);
                }
            })?);
            all.sections = Some(sections);
        }
        Ok(all)
    }
}

/// The draft of an image from its row; `columns` are the columns of id, subject, study and view.
fn draft(raw: &Raw, tables: &Tables, position: RowPosition, row: &Row, columns: [usize; 4]) -> Result<Draft, String> {
    row.cells.as_ref().map_err(|bad| bad.cause.clone())?;
    let [id, subject, study, view] = columns.map(|column| row.get(column));
    if view != "PA" && view != "AP" {
        return Err("its view is not PA or AP".into());
    }
    let number: u64 =
        study.parse().map_err(|_| format!("`study_id` is `{}`, not a number", ptu_data::shortened(study, 40)))?;
    if subject.len() < 2 || id.is_empty() || !subject.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("it has no `dicom_id` or no `subject_id` of digits".into());
    }
    let split = *tables.splits.get(id).ok_or("it is not in the table of splits")?;
    let labels = tables.labels.get(&number).ok_or("its study has no labels in the table of CheXpert")?;
    let folder = format!("files/p{}/p{subject}/s{study}", &subject[..2]);
    let [impression, findings] = match &tables.sections {
        Some(sections) => sections.get(&number).cloned().ok_or("its study is not in the sectioned reports")?,
        None => {
            let names = [
                format!("{folder}.txt"),
                format!("mimic-cxr/2.0.0/{folder}.txt"),
                format!("mimic-cxr-reports/{folder}.txt"),
            ];
            let file = raw.find(&names.each_ref().map(String::as_str)).ok_or("its report is missing")?;
            let bytes = file.bytes(REPORT_LIMIT).map_err(|unread| format!("its report {}", unread.cause()))?;
            report::sections(&String::from_utf8_lossy(&bytes))
        }
    };
    let mut record = new_record(ABOUT.name, id, split);
    record.patient = subject.to_string();
    push_text(&mut record, Section::Impression, &impression);
    push_text(&mut record, Section::Findings, &findings);
    if record.texts.is_empty() {
        return Err("its report has no impression or findings of 3 words or more".into());
    }
    record.labels = FINDINGS.iter().zip(labels).map(|(name, finding)| Label::new(*name, finding.name())).collect();
    let images = tables.images.get(&number).copied().unwrap_or(1);
    record.fields =
        vec![Label::new("study", study), Label::new("view", view), Label::new("images-of-study", images.to_string())];
    let files = ["jpg", "png", "dcm"].map(|ending| format!("{folder}/{id}.{ending}"));
    let deep = files.each_ref().map(|name| format!("mimic-cxr-jpg/2.0.0/{name}"));
    let names: Vec<&str> = files.iter().chain(&deep).map(String::as_str).collect();
    let mut draft = with_image(position, record, find_image(raw, &names));
    draft.missing_image = MissingImagePolicy::KeepTexts;
    Ok(draft)
}

/// Reads `mimic_cxr_sectioned.csv` and calls `take` for each row with the study (with its `s`), the impression and the findings.
/// Returns the rows that cannot be read.
///
/// # Errors
/// When the file cannot be read, or a column is missing.
pub fn read_sectioned(file: &Entry, mut take: impl FnMut(&str, &str, &str)) -> Result<Vec<Draft>, DataError> {
    let (mut csv, mut bad) = (Csv::open(file)?, vec![]);
    let [study, impression, findings] = csv.need(["study", "impression", "findings"])?;
    while let Some(row) = csv.next()? {
        if let Err(error) = &row.cells {
            bad.push(Draft::bad(line_position(file, row.line), error.cause.clone()));
            continue;
        }
        let whole = |column: usize| {
            let cells = row.cells.as_ref().ok();
            cells.and_then(|cells| cells.get(column)?.first()).map_or("", String::as_str)
        };
        take(row.get(study), whole(impression), whole(findings));
    }
    Ok(bad)
}

/// The split of each image in an `annotation.json` of R2Gen.
fn annotated_splits(file: &Entry) -> Result<HashMap<String, Split>, DataError> {
    let all: BTreeMap<String, Value> = match helpers::json(file)? {
        Value::Object(all) => all.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    let mut splits = HashMap::new();
    for (key, split) in [("train", Split::Train), ("val", Split::Validate), ("test", Split::Test)] {
        let items = all.get(key).and_then(Value::as_array).into_iter().flatten();
        splits.extend(items.map(|item| (helpers::string_value(item, "id"), split)));
    }
    Ok(splits)
}
