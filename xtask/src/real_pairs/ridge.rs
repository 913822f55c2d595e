//! The baseline `ridge`: a linear map from image features to text features in closed form, with a penalty chosen on `validate`.

use nalgebra::{DMatrix, RowDVector};

use super::features::{PairFeatures, Scale, without};
use super::ranks::Found;

/// The penalties that are tried, as multiples of the mean variance of a feature times the number of pairs.
const PENALTIES: [f64; 9] = [1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0];

/// A linear map from images to texts.
#[derive(Clone)]
pub struct Ridge {
    scale: Scale,
    /// Mean of the texts, each scaled to length 1.
    mean: RowDVector<f64>,
    map: DMatrix<f64>,
    /// The penalty, and what the map finds in `validate` with it.
    pub penalty: f64,
    pub on_validate: f64,
}

impl Ridge {
    /// The map that is fitted on `train`, with the penalty that finds most in `validate`.
    pub fn fit(train: &PairFeatures, validate: &PairFeatures) -> Result<Self, String> {
        let scale = Scale::of(&train.images);
        let (x, texts) = (scale.apply(&train.images), unit_rows(&train.texts));
        let mean = texts.row_mean();
        let y = without(&texts, &mean);
        let (covariance, both) = (x.tr_mul(&x), x.tr_mul(&y));
        let mut fitted = Self { scale, mean, map: DMatrix::zeros(0, 0), penalty: 0.0, on_validate: f64::NEG_INFINITY };
        for penalty in PENALTIES {
            let penalised = &covariance + DMatrix::identity(x.ncols(), x.ncols()) * (penalty * x.nrows() as f64);
            let map = penalised.cholesky().ok_or("the features have no covariance")?.solve(&both);
            let tried = Self { map, penalty, ..fitted.clone() };
            let on_validate = Found::of(&validate.records, &tried.similarity(validate)).value();
            if on_validate > fitted.on_validate {
                fitted = Self { on_validate, ..tried };
            }
        }
        Ok(fitted)
    }

    /// The cosine similarity of mapped images (rows) with texts (columns).
    pub fn similarity(&self, pairs: &PairFeatures) -> DMatrix<f64> {
        let images = unit_rows(&(self.scale.apply(&pairs.images) * &self.map));
        let texts = unit_rows(&without(&unit_rows(&pairs.texts), &self.mean));
        images * texts.transpose()
    }
}

/// The rows, each scaled to length 1.
pub fn unit_rows(x: &DMatrix<f64>) -> DMatrix<f64> {
    let mut x = x.clone();
    for mut row in x.row_iter_mut() {
        let length = row.norm().max(1e-12);
        row /= length;
    }
    x
}

#[cfg(test)]
mod tests {
    use ptu_random::{Key, Place};

    use super::super::features::FeatureRecord;
    use super::*;

    /// Pairs whose texts are a linear function of their images, with noise.
    fn pairs(count: usize, seed: u64) -> PairFeatures {
        let mut stream = Key::new(seed).stream(Place::Sample, 0);
        let images = DMatrix::from_fn(count, 12, |_, _| stream.normal());
        let map = DMatrix::from_fn(12, 8, |row, column| ((row * 5 + column * 3) % 7) as f64 - 3.0);
        let noise = DMatrix::from_fn(count, 8, |_, _| 0.5 * stream.normal());
        let records = (0..count).map(|place| FeatureRecord { id: place.to_string(), patient: place.to_string() });
        PairFeatures { records: records.collect(), texts: &images * map + noise, images }
    }

    #[test]
    fn a_linear_relation_is_found() {
        let (fitted, asked) = (Ridge::fit(&pairs(200, 1), &pairs(60, 2)).unwrap(), pairs(60, 3));
        let found = Found::of(&asked.records, &fitted.similarity(&asked)).value();
        assert!(found > 0.9 && fitted.on_validate > 0.9, "{found} {}", fitted.on_validate);
    }
}
