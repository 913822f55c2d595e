//! CheXpert (Irvin et al., 2019; docs/layouts.md, section 9).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ptu_data::DataError;
use ptu_data::record::{Label, Split};

use super::helpers::{as_strs, find_image, finding_labels, line_position, new_record, with_image};
use super::{DatasetRows, Description};
use crate::draft::{Draft, RowPosition};
use crate::raw::row::Row;
use crate::raw::separated::Csv;
use crate::raw::{Entry, Raw};
use crate::shares::sort_key;

pub const ABOUT: Description = Description {
    name: "chexpert",
    title: "CheXpert: chest radiographs of Stanford with labels of 14 findings",
    what: "Chest radiographs; labels of train were read from reports by rules, those of `valid.csv` were given by \
           radiologists.",
    licence: "Stanford's research use agreement",
    access: "after registration: https://aimi.stanford.edu (also the small version)",
    layout: "\
CheXpert-v1.0-small/
  train.csv  valid.csv
  train/patient00001/study1/view1_frontal.jpg
  valid/patient64541/study1/view1_frontal.jpg
or the full version: CheXpert-v1.0 batch 1 (validate & csv)/  batch 2 (train 1)/  batch 3 (train 2)/  batch 4 (train 3)/",
    records: "one for each frontal image; 14 labels (positive, negative, uncertain, unmentioned); sex, age and \
              projection as fields",
    splits: "test is `valid.csv`; `train.csv` is split by a hash: 5 x 200 exclusive positives form a zero-shot set \
             (split test, field `subset`), then patients go to validate until it has 5,000 images. The field `share` \
             marks the first 1 % and 10 % of train",
    counts: "223,414 + 234 images, frontal 191,027 + 202; 64,540 + 200 patients",
    citation: "Irvin et al., AAAI 2019, arXiv 1901.07031",
    tars: &[],
};

const FINDINGS: [&str; 14] = [
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
];

/// The findings of the zero-shot set.
const TARGETS: [&str; 5] = ["Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion"];

/// Number of images of each finding in the zero-shot set.
const ZERO_SHOT_IMAGES: usize = 200;
/// Number of images for validation.
const VALIDATION_IMAGES: usize = 5_000;

/// A frontal image of `train.csv`.
struct Frontal {
    path: String,
    patient: String,
    /// Index in [`TARGETS`] of the only positive finding. `None` if any other finding except `No Finding` is positive or
    /// uncertain, or if the positive finding is not a target.
    target: Option<usize>,
}

pub fn open(raw: &Arc<Raw>) -> Result<DatasetRows, DataError> {
    let batch = "CheXpert-v1.0 batch 1 (validate & csv)";
    let [train, valid] = ["train.csv", "valid.csv"].map(|name| [name.to_string(), format!("{batch}/{name}")]);
    let wanted = [&train, &valid].map(|names| [names[0].as_str(), names[1].as_str()]);
    raw.require(&wanted.each_ref().map(|names| names.as_slice()))?;
    let [train, valid] = [raw.need(&wanted[0])?, raw.need(&wanted[1])?];
    let plan = Arc::new(SplitPlan::of(&train)?);
    let total = plan.total;
    let files = [(train.clone(), false), (valid.clone(), true)];
    let rows = {
        let (raw, mut files, mut open) = (Arc::clone(raw), files.into_iter(), None::<TableReader>);
        std::iter::from_fn(move || {
            loop {
                if open.is_none() {
                    let (file, test) = files.next()?;
                    match TableReader::open(file, test) {
                        Ok(reader) => open = Some(reader),
                        Err(error) => return Some(Err(error)),
                    }
                }
                match open.as_mut()?.next(&raw, &plan).transpose() {
                    Some(row) => return Some(row),
                    None => open = None,
                }
            }
        })
    };
    let preprocessing = [
        "lateral images are skipped",
        "test is `valid.csv`; 5 x 200 exclusive positives of `train.csv` are set aside as a zero-shot set; validate \
         is chosen by a hash of the patient",
    ];
    let opened = DatasetRows::own_splits(vec![], vec![train, valid], &preprocessing);
    Ok(DatasetRows { rows: Box::new(rows), total, ..opened })
}

/// The splits of the images of `train.csv`.
struct SplitPlan {
    /// Paths of the images of the zero-shot set.
    zero_shot: HashSet<String>,
    /// Patients for validation.
    validate: HashSet<String>,
    /// Patients of the zero-shot set. Their other images are not used.
    put_aside: HashSet<String>,
    /// Patients in the first 1 % and 10 % of train.
    shares: HashMap<String, &'static str>,
    total: u64,
}

impl SplitPlan {
    fn of(file: &Entry) -> Result<Self, DataError> {
        let mut csv = Csv::open(file)?;
        let columns = Columns::find(&csv)?;
        let (mut frontals, mut total) = (vec![], 0);
        while let Some(row) = csv.next()? {
            total += 1;
            if let (Some(path), true) = (path_from_split(row.get(columns.path)), row.get(columns.side) == "Frontal") {
                frontals.push(Frontal { patient: patient(path), target: columns.target(&row), path: path.to_string() });
            }
        }
        let mut zero_shot = HashSet::new();
        for target in 0..TARGETS.len() {
            let of =
                frontals.iter().filter(|frontal| frontal.target == Some(target)).map(|frontal| frontal.path.as_str());
            let mut candidates: Vec<&str> = of.collect();
            candidates.sort_by_cached_key(|path| sort_key("chexpert5x200", 42, path));
            let most = ZERO_SHOT_IMAGES.min(candidates.len() / 2);
            zero_shot.extend(candidates.into_iter().take(most).map(str::to_string));
        }
        let zero_shot_frontals = frontals.iter().filter(|frontal| zero_shot.contains(&frontal.path));
        let put_aside: HashSet<String> = zero_shot_frontals.map(|frontal| frontal.patient.clone()).collect();
        let mut patients: BTreeMap<([u8; 32], &str), usize> = BTreeMap::new();
        for frontal in frontals.iter().filter(|frontal| !put_aside.contains(&frontal.patient)) {
            *patients.entry((sort_key("chexpert", 42, &frontal.patient), &frontal.patient)).or_default() += 1;
        }
        let all: usize = patients.values().sum();
        let validation_images = VALIDATION_IMAGES.min(all / 10);
        let (mut validate, mut train, mut taken) = (HashSet::new(), vec![], 0);
        for (&(_, patient), &images) in &patients {
            if taken < validation_images {
                taken += images;
                validate.insert(patient.to_string());
            } else {
                train.push((patient, images));
            }
        }
        let train_images: usize = train.iter().map(|(_, images)| images).sum();
        let (mut shares, mut seen) = (HashMap::new(), 0);
        for (patient, images) in train {
            if seen * 10 >= train_images {
                break;
            }
            shares.insert(patient.to_string(), if seen * 100 < train_images { "0.01" } else { "0.1" });
            seen += images;
        }
        Ok(Self { zero_shot, validate, put_aside, shares, total })
    }
}

struct Columns {
    path: usize,
    side: usize,
    findings: Vec<(String, usize)>,
    fields: Vec<(&'static str, usize)>,
}

impl Columns {
    fn find(csv: &Csv) -> Result<Self, DataError> {
        let [path, side] = csv.need(["Path", "Frontal/Lateral"])?;
        let findings = FINDINGS.iter().map(|name| name.to_string()).zip(csv.need(FINDINGS)?).collect();
        let fields = [("sex", "Sex"), ("age", "Age"), ("projection", "AP/PA")];
        let fields = fields.iter().filter_map(|(name, column)| Some((*name, csv.column(column)?))).collect();
        Ok(Self { path, side, findings, fields })
    }

    /// The target that is the only positive finding of a row; `None` if another finding is positive or uncertain.
    fn target(&self, row: &Row) -> Option<usize> {
        let positive: BTreeSet<&str> = self
            .findings
            .iter()
            .filter(|(name, column)| name != "No Finding" && !["", "0.0", "0"].contains(&row.get(*column)))
            .map(|(name, column)| if ["1.0", "1"].contains(&row.get(*column)) { name.as_str() } else { "uncertain" })
            .collect();
        let only = positive.iter().next().filter(|_| positive.len() == 1)?;
        TARGETS.iter().position(|target| target == only)
    }
}

/// The path from `train/` or `valid/` on.
fn path_from_split(path: &str) -> Option<&str> {
    let start = ["train/patient", "valid/patient"].iter().find_map(|start| path.find(start));
    start.map(|start| &path[start..]).or_else(|| path.find("patient").map(|start| &path[start..]))
}

fn patient(path: &str) -> String {
    path.split('/').find(|part| part.starts_with("patient")).unwrap_or(path).to_string()
}

/// Reads the rows of `train.csv` or `valid.csv`.
struct TableReader {
    file: Entry,
    csv: Csv,
    columns: Columns,
    /// Whether it is `valid.csv`, whose images are for testing.
    test: bool,
}

impl TableReader {
    fn open(file: Entry, test: bool) -> Result<Self, DataError> {
        let csv = Csv::open(&file)?;
        let columns = Columns::find(&csv)?;
        Ok(Self { file, csv, columns, test })
    }

    fn next(&mut self, raw: &Raw, plan: &SplitPlan) -> Result<Option<Draft>, DataError> {
        let Some(row) = self.csv.next()? else { return Ok(None) };
        let position = line_position(&self.file, row.line);
        Ok(Some(match self.draft(&row, position.clone(), raw, plan) {
            Ok(draft) => draft,
            Err(cause) => Draft::bad(position, cause),
        }))
    }

    fn draft(&self, row: &Row, position: RowPosition, raw: &Raw, plan: &SplitPlan) -> Result<Draft, String> {
        row.cells.as_ref().map_err(|bad| bad.cause.clone())?;
        let columns = &self.columns;
        let path = path_from_split(row.get(columns.path)).ok_or("its path names no patient")?;
        if row.get(columns.side) != "Frontal" {
            return Err("it is not a frontal image".into());
        }
        let patient = patient(path);
        let (split, subset) = match self.test {
            true => (Split::Test, Some("official")),
            _ if plan.zero_shot.contains(path) => (Split::Test, Some("zero-shot")),
            _ if plan.put_aside.contains(&patient) => {
                return Err("another image of its patient is in the zero-shot set".into());
            }
            _ if plan.validate.contains(&patient) => (Split::Validate, None),
            _ => (Split::Train, None),
        };
        let mut record = new_record(ABOUT.name, path, split);
        record.labels = finding_labels(row, &columns.findings)?;
        let fields = columns.fields.iter().map(|(name, column)| Label::new(*name, row.get(*column)));
        record.fields = fields.filter(|field| !field.value.is_empty()).collect();
        record.fields.extend(subset.map(|subset| Label::new("subset", subset)));
        if split == Split::Train {
            record.fields.extend(plan.shares.get(&patient).map(|share| Label::new("share", *share)));
        }
        record.patient = patient;
        let below = path.split_once('/').map_or(path, |(_, below)| below);
        let batches = ["1 (validate & csv)/valid", "1 (validate & csv)", "2 (train 1)", "3 (train 2)", "4 (train 3)"];
        let names: Vec<String> = std::iter::once(path.to_string())
            .chain(batches.map(|one| format!("CheXpert-v1.0 batch {one}/{below}")))
            .collect();
        Ok(with_image(position, record, find_image(raw, &as_strs(&names))))
    }
}
