//! Fidelity of completed pairs as a measure of a study.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ptu_data::Split;
use ptu_evaluate::fidelity::FidelityReport;
use ptu_evaluate::{EvaluateOptions, fidelity};
use ptu_model::files;

use super::StudyError;
use super::result::Measured;

/// The largest such file, in bytes.
const LARGEST: u64 = 1 << 24;

/// The file in a run with its fidelity on a split, with probes of these labels.
fn file(run: &Path, split: Split, labels: &[String]) -> PathBuf {
    let of = ptu_random::index_of(labels.join("\0"));
    run.join(format!("study-fidelity-{split}-{of:016x}.json"))
}

/// Computes the fidelity of a run, unless it is there already.
pub(super) fn compute(run: &Path, labels: &[String], options: &EvaluateOptions) -> Result<(), StudyError> {
    let path = file(run, options.split, labels);
    if path.exists() {
        return Ok(());
    }
    let mut options = options.clone();
    options.config.labels = labels.to_vec();
    let reports = fidelity(&options, None, &mut |_, _| {})?;
    let json = serde_json::to_vec(&reports).expect("numbers and names can be written as JSON");
    Ok(files::write_bytes(&path, &json)?)
}

/// The values of a run, by names such as `texts, prompts, cosine`; of layers `texts, prompts, layer 2 cosine`. Empty if there is no file.
pub(super) fn read(run: &Path, measured: &Measured) -> Result<BTreeMap<String, Option<f64>>, StudyError> {
    let Some(labels) = &measured.fidelity_labels else { return Ok(BTreeMap::new()) };
    let path = file(run, measured.split, labels);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let bytes = files::read(&path, LARGEST)?;
    let reports: Vec<FidelityReport> = serde_json::from_slice(&bytes)
        .map_err(|error| StudyError::Result { path: path.clone(), cause: error.to_string() })?;
    let mut values = BTreeMap::new();
    for one in reports.iter().flat_map(|report| &report.fidelity) {
        let mut put = |name: &str, value: Option<f64>| {
            values.insert(format!("{}, {}, {name}", one.removed.name(), one.completion.name()), value);
        };
        one.scores.iter().for_each(|(name, score)| put(name, score.value));
        one.calibration.iter().for_each(|(label, error)| put(&format!("{label} calibration error"), *error));
        put("CKA", one.cka);
        for layer in &one.layers {
            let number = layer.layer;
            put(&format!("layer {number} cosine"), layer.cosine);
            put(&format!("layer {number} CKA"), layer.cka);
            put(&format!("layer {number} bits"), layer.bits);
        }
    }
    Ok(values)
}
