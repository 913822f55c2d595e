//! Tables of the tasks, with the split of each record.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::real::{PUBLISHED_SPLIT, Splits, csv_rows, download, of, questions};

/// Words that name a modality in a caption. A caption that names exactly one of the six is used.
const MODALITIES: [(&str, &[&str]); 6] = [
    ("CT", &["ct", "computed tomography", "computerized tomography"]),
    ("MR", &["mr", "mri", "magnetic resonance"]),
    ("X-ray", &["x ray", "xray", "radiograph", "radiographs", "radiography", "roentgenogram"]),
    (
        "ultrasound",
        &[
            "ultrasound",
            "ultrasonography",
            "ultrasonographic",
            "sonography",
            "sonogram",
            "echocardiography",
            "echocardiogram",
        ],
    ),
    ("angiography", &["angiography", "angiogram", "angiograms", "angiographic"]),
    ("PET", &["pet", "positron emission tomography"]),
];

/// Labels of `nih` that at least this many patients have are scored.
const PATIENTS: usize = 50;

/// Questions of VQA-RAD with their images, or without them; split by image, or as published without `splits`.
pub fn vqa_questions(folder: &Path, splits: Option<&Splits>, with_images: bool) -> Result<Vec<Value>, String> {
    let record = |question: &_| {
        let image = of(question, "image_name");
        let split = match splits {
            Some(splits) => splits.of("vqa-rad", image)?.to_string(),
            None => of(question, PUBLISHED_SPLIT).to_string(),
        };
        let mut record = json!({
            "id": format!("{}-{}", image.trim_end_matches(".jpg"), of(question, "qid")), "patient": image,
            "question": of(question, "question"), "answer": of(question, "answer"),
            "answer_type": of(question, "answer_type").to_lowercase(), "split": split,
        });
        match with_images {
            true => record["image"] = json!(folder.join("images").join(image)),
            // A record needs an image or a text.
            false => record["text"] = record["question"].clone(),
        }
        Some(record)
    };
    Ok(questions(folder)?.iter().filter_map(record).collect())
}

/// Images of VQA-RAD with the body part that they show.
pub fn organs(folder: &Path, splits: &Splits) -> Result<Vec<Value>, String> {
    let (mut seen, mut records) = (BTreeSet::new(), vec![]);
    for question in questions(folder)? {
        let image = of(&question, "image_name");
        let Some(split) = splits.of("vqa-rad", image) else { continue };
        if seen.insert(image.to_string()) {
            let path = folder.join("images").join(image);
            records
                .push(json!({ "id": image, "patient": image, "image": path, "organ": of(&question, "image_organ"), "split": split }));
        }
    }
    Ok(records)
}

/// Chest films of children: normal, bacterial or viral.
pub fn kermany(folder: &Path, splits: &Splits) -> Result<Vec<Value>, String> {
    let record = |row: &_| {
        let image = of(row, "image");
        let patient = kermany_patient(image)?;
        let split = splits.of("kermany", &patient)?;
        Some(json!({
            "id": image, "patient": patient, "image": folder.join(image), "class": of(row, "label"), "split": split,
        }))
    };
    Ok(csv_rows(&folder.join("labels.csv"))?.iter().filter_map(record).collect())
}

/// The patient in a file name: `person78_bacteria_12.jpg` -> `person78_bacteria`, `NORMAL2-IM-0095-0001.jpg` -> `NORMAL2-IM-0095`.
fn kermany_patient(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    let (separator, parts) =
        if name.starts_with("person") { ('_', 2) } else { ('-', 2 + usize::from(name.starts_with("NORMAL2"))) };
    let found: Vec<&str> = name.split(separator).take(parts).collect();
    (found.len() == parts).then(|| found.join(&separator.to_string()))
}

/// Chest films of `nih` with the labels that enough patients have; also returns these labels.
pub fn nih(folder: &Path, splits: &Splits) -> Result<(Vec<Value>, Vec<String>), String> {
    let rows = csv_rows(&folder.join("labels.csv"))?;
    let found = |label: &str, row: &_| of(row, "nih_finding_labels").split('|').any(|own| own.trim() == label);
    let all: BTreeSet<&str> =
        rows.iter().flat_map(|row| of(row, "nih_finding_labels").split('|')).map(str::trim).collect();
    let patients = |label: &str| {
        rows.iter().filter(|row| found(label, row)).map(|row| of(row, "patient_id")).collect::<BTreeSet<_>>().len()
    };
    let labels: Vec<String> = all.into_iter().filter(|label| patients(label) >= PATIENTS).map(String::from).collect();
    let record = |row: &_| {
        let (image, patient) = (of(row, "image"), of(row, "patient_id"));
        let mut record = json!({
            "id": image, "patient": patient, "image": folder.join(image), "split": splits.of("nih", patient)?,
        });
        for label in &labels {
            record[label] = json!(if found(label, row) { "positive" } else { "negative" });
        }
        Some(record)
    };
    Ok((rows.iter().filter_map(record).collect(), labels))
}

/// Chest films of `covid-cxr` with a finding: COVID-19 or not. The patients of a fold are `test`; every second patient of the next fold is
/// `validate`.
pub fn covid(folder: &Path, splits: &Splits, fold: usize, folds: usize) -> Result<Vec<Value>, String> {
    let next = splits.fold("covid-cxr", (fold + 1) % folds);
    let (test, validate): (BTreeSet<&String>, BTreeSet<&String>) =
        (splits.fold("covid-cxr", fold).iter().collect(), next.iter().step_by(2).collect());
    let record = |row: &_| {
        let (image, finding, patient) = (of(row, "image"), of(row, "finding"), of(row, "patient").to_string());
        if ["", "todo", "Unknown"].contains(&finding) {
            return None;
        }
        let split = match () {
            () if test.contains(&patient) => "test",
            () if validate.contains(&patient) => "validate",
            () => "train",
        };
        let state = if finding.contains("COVID-19") { "positive" } else { "negative" };
        Some(json!({
            "id": image, "patient": patient, "image": folder.join(image), "COVID-19": state, "split": split,
        }))
    };
    Ok(csv_rows(&folder.join("metadata.csv"))?.iter().filter_map(record).collect())
}

/// Figures of `roco-cc` whose caption names exactly one modality.
pub fn modalities(folder: &Path, splits: &Splits) -> Result<Vec<Value>, String> {
    let record = |row: &_| {
        let (image, article) = (of(row, "image"), of(row, "group"));
        Some(json!({
            "id": image, "patient": article, "image": folder.join(image), "modality": modality(of(row, "text"))?,
            "split": splits.of("roco-cc", article)?,
        }))
    };
    Ok(csv_rows(&folder.join("table.csv"))?.iter().filter_map(record).collect())
}

/// The only modality that a caption names; `None` if it names none or several.
fn modality(caption: &str) -> Option<&'static str> {
    let is_word = |letter: char| letter.is_alphanumeric();
    let words: Vec<String> =
        caption.split(|letter| !is_word(letter)).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    let text = format!(" {} ", words.join(" "));
    let mut named = MODALITIES.iter().filter(|(_, words)| words.iter().any(|word| text.contains(&format!(" {word} "))));
    let found = named.next()?.0;
    named.next().is_none().then_some(found)
}

/// The folder of the reports of Open-i, unpacked from the archive in the package `torchxrayvision` if it is not there.
pub fn openi_reports(root: &Path, folder: &Path) -> Result<std::path::PathBuf, String> {
    let raw = folder.join("openi-raw");
    let archive = raw.join("NLMCXR_reports.tgz");
    if archive.exists() {
        return Ok(raw);
    }
    let packages = folder.join("packages");
    download(&root.join("tools/real/requirements-openi.txt"), &packages)?;
    fs::create_dir_all(&raw).map_err(|error| format!("`{}`: {error}", raw.display()))?;
    fs::copy(packages.join("torchxrayvision/data/NLMCXR_reports.tgz"), &archive)
        .map_err(|error| format!("`{}`: {error}", archive.display()))?;
    Ok(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_names_one_modality_or_none() {
        assert_eq!(modality("Axial CT scan of the chest"), Some("CT"));
        assert_eq!(modality("Chest X-ray showing a nodule"), Some("X-ray"));
        assert_eq!(modality("T2-weighted MRI (magnetic resonance)"), Some("MR"));
        assert_eq!(modality("CT angiography of the aorta"), None);
        assert_eq!(modality("Effect of actin on pets"), None);
    }

    #[test]
    fn patients_are_in_the_names_of_the_films() {
        for (path, patient) in [
            ("test/person100_bacteria_475.jpg", "person100_bacteria"),
            ("train/NORMAL2-IM-0095-0001.jpg", "NORMAL2-IM-0095"),
            ("train/IM-0122-0001.jpeg", "IM-0122"),
        ] {
            assert_eq!(kermany_patient(path).as_deref(), Some(patient));
        }
    }
}
