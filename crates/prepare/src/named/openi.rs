//! Indiana University chest X-rays of Open-i (Demner-Fushman et al., 2016; docs/layouts.md, section 4).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ptu_data::files::Unread;
use ptu_data::record::{Label, Record, Section, Split};
use ptu_data::{DataError, shortened};
use roxmltree::{Document, Node};
use serde_json::Value;

use super::helpers::{as_strs, find_image, new_record, push_text, with_image};
use super::{DatasetRows, Description, Details, ROWS_SKIPPED, helpers};
use crate::draft::{Draft, MissingImagePolicy, RowPosition};
use crate::raw::separated::Csv;
use crate::raw::{Entry, Raw};
use crate::shares::bucket;

pub const ABOUT: Description = Description {
    name: "openi",
    title: "Open-i: chest X-rays of Indiana University with reports",
    what: "Chest radiographs with reports in sections and headings that were assigned by hand. `XXXX` replaces words \
           that were removed to protect privacy.",
    licence: "CC BY-NC-ND 4.0, according to its files",
    access: "open: https://openi.nlm.nih.gov/faq (NLMCXR_reports.tgz, NLMCXR_png.tgz), or raddar's copy on Kaggle",
    layout: "\
ecgen-radiology/1.xml ..               (NLMCXR_reports.tgz)
NLMCXR_png/CXR1_1_IM-0001-3001.png ..  (NLMCXR_png.tgz; also images/); may be missing: reports are then used without images
annotation.json                        optional: the split of R2Gen
or the copy on Kaggle:
indiana_reports.csv  indiana_projections.csv
images/images_normalized/1_IM-0001-4001.dcm.png",
    records: "one for each image, with impression and findings of its report (3 words or more) as texts and headings \
              as labels; a report without an image is a record without an image",
    splits: "by a hash of the report's number: 70 % train, 10 % validate, 20 % test; or R2Gen's",
    counts: "3,955 reports, 3,419 with both sections, 7,470 images",
    citation: "Demner-Fushman et al., JAMIA 23 (2016), doi 10.1093/jamia/ocv080",
    tars: &["NLMCXR_reports", "NLMCXR_png"],
};

/// Largest size of a report in bytes; real reports have 10,000.
const REPORT_LIMIT: u64 = 4 << 20;

/// A report with the names of its images.
#[derive(Default)]
struct Report {
    /// `CXR` and the number.
    id: String,
    findings: String,
    impression: String,
    headings: Vec<String>,
    images: Vec<Picture>,
}

/// An image of a report.
struct Picture {
    id: String,
    /// The paths that its file may have.
    files: Vec<String>,
    view: Option<String>,
}

pub fn open(raw: &Arc<Raw>) -> Result<DatasetRows, DataError> {
    let (mut rows, mut tables, mut details) = (vec![], vec![], Details::default());
    let mut reports: Vec<Report> = vec![];
    if let Some(file) = raw.find(&["indiana_reports.csv"]) {
        let projections = raw.need(&["indiana_projections.csv"])?;
        reports = kaggle_reports(&file, &projections, &mut rows, &mut details)?;
        tables.extend([file, projections]);
    } else {
        let files =
            ["ecgen-radiology", ""].iter().map(|folder| raw.list(folder, ".xml")).find(|found| !found.is_empty());
        let forms = "`ecgen-radiology/*.xml` (of NLMCXR_reports.tgz) or `indiana_reports.csv`";
        let files = files.ok_or_else(|| raw.without(vec![forms.into()]))?;
        let mut files: Vec<(String, Entry)> = files.into_iter().collect();
        files.sort_by_key(|(name, _)| (name.trim_end_matches(".xml").parse::<u64>().unwrap_or(u64::MAX), name.clone()));
        for (name, file) in files {
            match read_report(&file) {
                Ok(report) => reports.push(report),
                Err(cause) => rows.push(Draft::bad(RowPosition::Named(name), cause)),
            }
        }
    }
    let published = match raw.find(&["annotation.json"]) {
        Some(file) => {
            let splits = annotated_splits(&file)?;
            tables.push(file);
            Some(splits)
        }
        None => None,
    };
    let split = |report: &Report| match (&published, bucket("openi", 42, &report.id)) {
        (Some(splits), _) => splits.get(&report.id).copied(),
        (None, 0..7_000) => Some(Split::Train),
        (None, 7_000..8_000) => Some(Split::Validate),
        _ => Some(Split::Test),
    };
    let mut noted = BTreeMap::new();
    for report in &reports {
        let both = !report.findings.is_empty() && !report.impression.is_empty();
        *noted.entry("reports".to_string()).or_default() += 1;
        *noted.entry("reports-with-both-sections".to_string()).or_default() += u64::from(both);
        match split(report) {
            Some(split) => rows.extend(records(raw, report, split)),
            None => rows.push(Draft::bad(RowPosition::Named(report.id.clone()), "it is not in `annotation.json`")),
        }
    }
    let split_sentence = match published.is_some() {
        true => "splits are those of R2Gen's `annotation.json`",
        false => "splits are chosen by a hash of the report's number: 70 % train, 10 % validate, 20 % test",
    };
    let opened = DatasetRows::own_splits(rows, tables, &[split_sentence, "texts of fewer than 3 words are dropped"]);
    Ok(DatasetRows { noted, details, published: published.is_some(), ..opened })
}

/// The records of a report: one for each image, or one without an image.
fn records(raw: &Arc<Raw>, report: &Report, split: Split) -> Vec<Draft> {
    let filled_record = |id: &str| {
        let mut record = new_record(ABOUT.name, id, split);
        record.patient.clone_from(&report.id);
        push_text(&mut record, Section::Impression, &report.impression);
        push_text(&mut record, Section::Findings, &report.findings);
        let headings = report.headings.iter().map(|heading| heading.split('/').next().unwrap_or_default().trim());
        let headings: BTreeSet<&str> = headings.filter(|heading| !heading.is_empty()).collect();
        if headings.contains("No Indexing") || headings.is_empty() {
            record.fields.push(Label::new("indexed", "no"));
        }
        let findings = headings.into_iter().filter(|heading| !["normal", "No Indexing"].contains(heading));
        record.labels = findings.map(|heading| Label::new("finding", heading)).collect();
        record
    };
    let position = RowPosition::Named(report.id.clone());
    if report.images.is_empty() {
        let record: Record = filled_record(&report.id);
        return vec![match record.texts.is_empty() {
            true => Draft::bad(position, "the report has neither an image nor a text of 3 words or more"),
            false => Draft::read(position, record, None),
        }];
    }
    let with_picture = |(number, picture): (usize, &Picture)| {
        let mut record = filled_record(&picture.id);
        record.fields.extend(picture.view.iter().map(|view| Label::new("view", view)));
        let mut draft =
            with_image(RowPosition::Named(picture.id.clone()), record, find_image(raw, &as_strs(&picture.files)));
        // If the images are missing, the texts are kept only once for each report.
        draft.missing_image = if number == 0 { MissingImagePolicy::KeepTexts } else { MissingImagePolicy::Skip };
        draft
    };
    report.images.iter().enumerate().map(with_picture).collect()
}

/// Reads a report of Open-i.
fn read_report(file: &Entry) -> Result<Report, String> {
    let bytes = file.bytes(REPORT_LIMIT).map_err(Unread::cause)?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_string())?;
    let document =
        Document::parse(text.trim_start_matches('\u{feff}')).map_err(|error| format!("is not XML ({error})"))?;
    let named = |name: &'static str| document.descendants().filter(move |node| node.has_tag_name(name));
    let trimmed_text = |node: Node| node.text().unwrap_or_default().trim().to_string();
    let section = |label: &str| {
        let found = named("AbstractText").find(|node| node.attribute("Label") == Some(label));
        found.map(trimmed_text).unwrap_or_default()
    };
    let id = named("uId").find_map(|node| node.attribute("id")).unwrap_or_default().trim().to_string();
    if id.is_empty() {
        return Err("has no `uId`".into());
    }
    let ids: Vec<&str> = named("parentImage").filter_map(|node| node.attribute("id")).collect();
    let picture = |id: &str| {
        let files = ["NLMCXR_png/", "images/", ""].map(|folder| format!("{folder}{id}.png")).to_vec();
        Picture { id: id.to_string(), files, view: None }
    };
    Ok(Report {
        findings: section("FINDINGS"),
        impression: section("IMPRESSION"),
        headings: named("major").map(trimmed_text).collect(),
        images: ids.into_iter().map(picture).collect(),
        id,
    })
}

/// Reads the reports of the copy on Kaggle.
fn kaggle_reports(
    file: &Entry,
    projections: &Entry,
    rows: &mut Vec<Draft>,
    details: &mut Details,
) -> Result<Vec<Report>, DataError> {
    let mut images: HashMap<String, Vec<Picture>> = HashMap::new();
    let mut csv = Csv::open(projections)?;
    let [uid, filename, projection] = csv.need(["uid", "filename", "projection"])?;
    while let Some(row) = csv.next()? {
        if let Err(bad) = &row.cells {
            details.add(ROWS_SKIPPED, helpers::line_position(projections, row.line), bad.cause.clone());
            continue;
        }
        let (uid, name) = (row.get(uid).to_string(), row.get(filename).to_string());
        // Kaggle's `1_IM-0001-4001.dcm.png` is Open-i's `CXR1_1_IM-0001-4001`, every other `2_IM-..` is `CXR2_IM-..`.
        let rest = name.trim_end_matches(".png").trim_end_matches(".dcm");
        let id =
            format!("CXR{uid}_{}", if uid == "1" { rest } else { rest.split_once('_').map_or(rest, |(_, rest)| rest) });
        let files =
            ["images/images_normalized/", "images_normalized/", "images/", ""].map(|folder| format!("{folder}{name}"));
        let view = Some(row.get(projection).to_string()).filter(|view| !view.is_empty());
        images.entry(uid).or_default().push(Picture { id, files: files.to_vec(), view });
    }
    let mut csv = Csv::open(file)?;
    let [uid, mesh, findings, impression] = csv.need(["uid", "MeSH", "findings", "impression"])?;
    let mut reports = vec![];
    while let Some(row) = csv.next()? {
        if let Err(bad) = row.cells {
            rows.push(Draft::bad(helpers::line_position(file, row.line), bad.cause));
            continue;
        }
        let number = row.get(uid).to_string();
        reports.push(Report {
            id: format!("CXR{number}"),
            findings: row.get(findings).to_string(),
            impression: row.get(impression).to_string(),
            headings: row.get(mesh).split(';').map(str::to_string).collect(),
            images: images.remove(&number).unwrap_or_default(),
        });
    }
    let unmatched: BTreeMap<String, Vec<Picture>> = images.into_iter().collect();
    for (number, picture) in
        unmatched.iter().flat_map(|(number, pictures)| pictures.iter().map(move |one| (number, one)))
    {
        let cause = format!("there is no report `{}`", shortened(number, 40));
        details.add("images-without-a-report", shortened(&picture.id, 80), cause);
    }
    Ok(reports)
}

/// The split of each report in an `annotation.json` of R2Gen, whose ids are `CXR2384_IM-0942`.
fn annotated_splits(file: &Entry) -> Result<HashMap<String, Split>, DataError> {
    let all = helpers::json(file)?;
    let mut splits = HashMap::new();
    for (key, split) in [("train", Split::Train), ("val", Split::Validate), ("test", Split::Test)] {
        for item in all.get(key).and_then(Value::as_array).into_iter().flatten() {
            let id = helpers::string_value(item, "id");
            splits.insert(id.split('_').next().unwrap_or_default().to_string(), split);
        }
    }
    Ok(splits)
}
