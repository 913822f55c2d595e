//! Features of frozen encoders: the vectors of `ptunifier embed --space encoder`, with the splits of their records.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use nalgebra::{DMatrix, DVector, RowDVector};
use serde_json::Value;

/// Features of images and texts of the same records, row by row.
pub struct PairFeatures {
    /// The records.
    pub records: Vec<FeatureRecord>,
    /// Output of the image encoder for the first token, and the mean for all tokens.
    pub images: DMatrix<f64>,
    /// Mean of the outputs of the text encoder for all tokens.
    pub texts: DMatrix<f64>,
}

/// A record of which there are features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureRecord {
    /// Its id.
    pub id: String,
    /// Its patient or article.
    pub patient: String,
}

impl PairFeatures {
    /// Reads the pairs of one split from the vectors of images and of texts (JSON lines).
    pub fn read(images: &Path, texts: &Path, split: &str) -> Result<Self, String> {
        let ((records, images), (others, texts)) = (rows(images, split)?, rows(texts, split)?);
        if records != others || records.is_empty() {
            return Err(format!("the features of images and texts in `{split}` are not of the same records"));
        }
        // The first half is the output for the first token, which is not used of texts: sentence encoders are trained for the mean.
        let half = texts.first().map_or(0, Vec::len) / 2;
        let texts: Vec<Vec<f64>> = texts.into_iter().map(|mut row| row.split_off(half)).collect();
        Ok(Self { records, images: matrix(&images), texts: matrix(&texts) })
    }

    /// These records, then others.
    pub fn and(&self, others: &Self) -> Self {
        let both = |one: &DMatrix<f64>, other: &DMatrix<f64>| {
            let rows: Vec<_> = one.row_iter().chain(other.row_iter()).collect();
            DMatrix::from_rows(&rows)
        };
        Self {
            records: [self.records.as_slice(), &others.records].concat(),
            images: both(&self.images, &others.images),
            texts: both(&self.texts, &others.texts),
        }
    }

    /// The same records with scaled features of images and of texts.
    pub fn scaled(&self, [images, texts]: &[Scale; 2]) -> Self {
        Self { records: self.records.clone(), images: images.apply(&self.images), texts: texts.apply(&self.texts) }
    }
}

/// Mean and standard deviation of each feature.
#[derive(Clone)]
pub struct Scale {
    mean: RowDVector<f64>,
    deviation: DVector<f64>,
}

impl Scale {
    /// Those of some features.
    pub fn of(x: &DMatrix<f64>) -> Self {
        let mean = x.row_mean();
        let variance = without(x, &mean).column_iter().map(|column| column.norm_squared() / x.nrows() as f64).collect();
        Self { mean, deviation: DVector::from_vec(variance).map(|variance: f64| variance.sqrt().max(1e-9)) }
    }

    /// Features minus this mean, divided by this deviation.
    pub fn apply(&self, x: &DMatrix<f64>) -> DMatrix<f64> {
        let mut scaled = without(x, &self.mean);
        for (mut column, deviation) in scaled.column_iter_mut().zip(&self.deviation) {
            column /= *deviation;
        }
        scaled
    }
}

/// The rows minus a row.
pub fn without(x: &DMatrix<f64>, row: &RowDVector<f64>) -> DMatrix<f64> {
    let mut x = x.clone();
    x.row_iter_mut().for_each(|mut each| each -= row);
    x
}

fn matrix(rows: &[Vec<f64>]) -> DMatrix<f64> {
    let width = rows.first().map_or(0, Vec::len);
    DMatrix::from_row_iterator(rows.len(), width, rows.iter().flatten().copied())
}

/// The records of a split and their vectors. The first line of the file is its header.
fn rows(path: &Path, split: &str) -> Result<(Vec<FeatureRecord>, Vec<Vec<f64>>), String> {
    let failed = |cause: String| format!("`{}`: {cause}", path.display());
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let (mut records, mut vectors) = (vec![], vec![]);
    for line in BufReader::new(file).lines().skip(1) {
        let line = line.map_err(|error| failed(error.to_string()))?;
        let row: Value = serde_json::from_str(&line).map_err(|error| failed(error.to_string()))?;
        if row["split"] != split {
            continue;
        }
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_string();
        records.push(FeatureRecord { id: text("id"), patient: text("patient") });
        vectors.push(row["vector"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect());
    }
    Ok((records, vectors))
}
