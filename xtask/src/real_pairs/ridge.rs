//! The baseline `ridge`: a linear map from image features to text features in closed form, with a penalty chosen on `validate`.

use nalgebra::DMatrix;

use super::features::{PairFeatures, Scale, without};
use super::ranks::Found;

/// The penalties that are tried, as multiples of the mean variance of a feature times the number of pairs.
const PENALTIES: [f64; 9] = [1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0];

/// Finds partners in `asked` by the map that is fitted on `train`, with the penalty that finds most in `validate`. Also returns this penalty and
/// what it finds in `validate`.
pub fn ridge(train: &PairFeatures, validate: &PairFeatures, asked: &PairFeatures) -> Result<(Found, f64, f64), String> {
    let scale = Scale::of(&train.images);
    let (x, texts) = (scale.apply(&train.images), unit_rows(&train.texts));
    let mean = texts.row_mean();
    let y = without(&texts, &mean);
    let (covariance, both) = (x.tr_mul(&x), x.tr_mul(&y));
    let mut best: Option<(f64, f64, DMatrix<f64>)> = None;
    for penalty in PENALTIES {
        let penalised = &covariance + DMatrix::identity(x.ncols(), x.ncols()) * (penalty * x.nrows() as f64);
        let map = penalised.cholesky().ok_or("the features have no covariance")?.solve(&both);
        let found = finds(&scale, &mean, &map, validate).value();
        if best.as_ref().is_none_or(|(value, ..)| found > *value) {
            best = Some((found, penalty, map));
        }
    }
    let (found, penalty, map) = best.ok_or("no penalty was tried")?;
    Ok((finds(&scale, &mean, &map, asked), penalty, found))
}

/// Which partners the cosine similarity of mapped images with texts finds.
fn finds(scale: &Scale, mean: &nalgebra::RowDVector<f64>, map: &DMatrix<f64>, pairs: &PairFeatures) -> Found {
    let images = unit_rows(&(scale.apply(&pairs.images) * map));
    let texts = unit_rows(&without(&unit_rows(&pairs.texts), mean));
    Found::of(&pairs.records, &(images * texts.transpose()))
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
        let (found, _, on_validate) = ridge(&pairs(200, 1), &pairs(60, 2), &pairs(60, 3)).unwrap();
        assert!(found.value() > 0.9 && on_validate > 0.9, "{} {on_validate}", found.value());
    }
}
