//! Ranks of true partners, and their scores beside those of a baseline.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use nalgebra::DMatrix;
use serde_json::{Value, json};

use super::features::FeatureRecord;
use crate::paired::PairedScore;
use crate::process::json_lines;

/// The number of results in which the true partner must be found.
const WITHIN: usize = 10;

/// For each record whether its text is among the first results for its image, and its image among those for its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    ids: Vec<String>,
    patients: Vec<String>,
    /// The mean of both directions of each record: 0, 0.5 or 1.
    values: Vec<f64>,
}

impl Found {
    /// By similarities of images (rows) with texts (columns); record `i` has row `i` and column `i`. Of equal similarities, the true
    /// partner comes last.
    pub fn of(records: &[FeatureRecord], similarity: &DMatrix<f64>) -> Self {
        let found = |own: f64, all: &mut dyn Iterator<Item = f64>| {
            let before = all.filter(|other| *other >= own).count();
            f64::from(u8::from(before <= WITHIN)) / 2.0
        };
        let values = (0..records.len()).map(|place| {
            let own = similarity[(place, place)];
            found(own, &mut similarity.row(place).iter().copied())
                + found(own, &mut similarity.column(place).iter().copied())
        });
        let of = |get: fn(&FeatureRecord) -> &String| records.iter().map(|record| get(record).clone()).collect();
        Self { ids: of(|record| &record.id), patients: of(|record| &record.patient), values: values.collect() }
    }

    /// By the file `ranks.jsonl` that `ptunifier evaluate --trec` writes: the search by contrast, or its results after reranking.
    pub fn read(path: &Path, reranked: bool) -> Result<Self, String> {
        let mut all = BTreeMap::<String, (String, f64)>::new();
        for line in json_lines(path)? {
            let of = |key: &str| line[key].as_str().unwrap_or_default().to_string();
            if of("direction").ends_with("-reranked") != reranked {
                continue;
            }
            let is_found = line["rank"].as_u64().is_some_and(|rank| rank <= WITHIN as u64);
            all.entry(of("id")).or_insert((of("patient"), 0.0)).1 += f64::from(u8::from(is_found)) / 2.0;
        }
        let mut found = Self { ids: vec![], patients: vec![], values: vec![] };
        for (id, (patient, value)) in all {
            found.ids.push(id);
            found.patients.push(patient);
            found.values.push(value);
        }
        Ok(found)
    }

    /// As JSON, for [`Self::from_json`].
    pub fn to_json(&self) -> Value {
        json!({ "ids": self.ids, "patients": self.patients, "values": self.values })
    }

    /// By the JSON of [`Self::to_json`]; `None` if it is something else.
    pub fn from_json(value: &Value) -> Option<Self> {
        let texts = |key: &str| serde_json::from_value::<Vec<String>>(value[key].clone()).ok();
        let values = serde_json::from_value(value["values"].clone()).ok()?;
        Some(Self { ids: texts("ids")?, patients: texts("patients")?, values })
    }

    /// What a random order finds, in the mean.
    pub fn chance(&self) -> Self {
        let chance = WITHIN.min(self.ids.len()) as f64 / self.ids.len().max(1) as f64;
        Self { values: vec![chance; self.ids.len()], ..self.clone() }
    }

    /// R@10, the mean of both directions.
    pub fn value(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len().max(1) as f64
    }

    /// The same records in the order of `ids`.
    fn ordered(&self, ids: &[String]) -> Result<Vec<f64>, String> {
        let value = |id: &String| {
            let place = self.ids.iter().position(|own| own == id);
            place.map(|place| self.values[place]).ok_or_else(|| format!("record `{id}` has no rank"))
        };
        ids.iter().map(value).collect()
    }
}

/// R@10 of a model beside a baseline, on the same records, with intervals by article.
pub struct Comparison {
    name: String,
    score: PairedScore,
}

impl Comparison {
    /// Compares a model with a baseline.
    pub fn of(name: &str, model: &Found, baseline: &Found) -> Result<Self, String> {
        let others = baseline.ordered(&model.ids)?;
        if others.len() != baseline.ids.len() {
            return Err(format!("{name}: the model and the baseline ranked other records"));
        }
        let mean = |values: &[f64], records: &[usize]| {
            let sum: f64 = records.iter().map(|record| values[*record]).sum();
            (!records.is_empty()).then(|| sum / records.len() as f64)
        };
        let score = PairedScore::of(
            &model.patients,
            |records: &[usize]| mean(&model.values, records),
            |records: &[usize]| mean(&others, records),
        );
        Ok(Self { name: name.into(), score })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "real-pairs {} metric R@10 {}", self.name, self.score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: usize) -> Vec<FeatureRecord> {
        (0..count).map(|place| FeatureRecord { id: format!("r{place}"), patient: format!("p{place}") }).collect()
    }

    #[test]
    fn the_true_partner_must_be_among_the_first_ten() {
        // Image 0 is most similar to its own text; image 1 is less similar to its text than to twenty others.
        let mut similarity = DMatrix::from_element(30, 30, 0.5);
        (0..30).for_each(|place| similarity[(place, place)] = 1.0);
        similarity[(1, 1)] = 0.6;
        (5..25).for_each(|text| similarity[(1, text)] = 0.9);
        let found = Found::of(&records(30), &similarity);
        assert_eq!((found.values[0], found.values[1]), (1.0, 0.5));
        // Equal similarities find nothing beyond the first ten.
        assert_eq!(Found::of(&records(30), &DMatrix::from_element(30, 30, 0.1)).value(), 0.0);
        assert_eq!(Found::from_json(&found.to_json()), Some(found.clone()));
        assert!((found.chance().value() - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_model_is_compared_with_a_baseline_on_the_same_records() {
        let records = records(40);
        let good = Found::of(&records, &DMatrix::identity(40, 40));
        let line = Comparison::of("contrast-chance", &good, &good.chance()).unwrap().to_string();
        let start =
            "real-pairs contrast-chance metric R@10 n 40 value 1.0000 1.0000 1.0000 baseline 0.2500 diff 0.7500 ";
        assert!(line.starts_with(start), "{line}");
        let fewer = Found::of(&records[..39], &DMatrix::identity(39, 39));
        assert!(Comparison::of("x", &good, &fewer).is_err() && Comparison::of("x", &fewer, &good).is_err());
    }
}
