//! Principal components of vectors.

use nalgebra::{DMatrix, SymmetricEigen};

/// The leading principal components of some vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct PrincipalComponents {
    /// For each component, the coordinate of each vector along it, from the mean of all; components with the largest variance come first.
    pub coordinates: Vec<Vec<f64>>,
    /// For each component, the share of the variance of the vectors, 0 to 1.
    pub shares: Vec<f64>,
}

impl PrincipalComponents {
    /// At most `most` components of the rows of `values`, each `width` wide. Components without variance are left out; `None` if the rows do
    /// not vary at all, or a value is not finite.
    ///
    /// # Panics
    /// If `values` does not have whole rows.
    pub fn of(values: &[f32], width: usize, most: usize) -> Option<Self> {
        assert!(width > 0 && values.len().is_multiple_of(width), "`values` must have whole rows of `width` values");
        let rows = values.len() / width;
        if rows == 0 || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut vectors = DMatrix::from_fn(rows, width, |row, column| f64::from(values[row * width + column]));
        for mut column in vectors.column_iter_mut() {
            let mean = column.mean();
            column.add_scalar_mut(-mean);
        }
        // The smaller of both matrices of products has the same leading eigenvalues.
        let is_wide = width > rows;
        let products = if is_wide { &vectors * vectors.transpose() } else { vectors.transpose() * &vectors };
        let eigen = SymmetricEigen::new(products);
        let value = |which: usize| eigen.eigenvalues[which].max(0.0);
        let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
        order.sort_by(|one, other| value(*other).total_cmp(&value(*one)));
        let all: f64 = order.iter().map(|which| value(*which)).sum();
        let kept: Vec<usize> = order.into_iter().take(most).filter(|which| value(*which) > 1e-9 * all).collect();
        let coordinates = |which: &usize| -> Vec<f64> {
            let vector = eigen.eigenvectors.column(*which);
            match is_wide {
                true => vector.iter().map(|x| x * value(*which).sqrt()).collect(),
                false => (&vectors * vector).iter().copied().collect(),
            }
        };
        (all > 1e-12 && !kept.is_empty()).then(|| Self {
            coordinates: kept.iter().map(coordinates).collect(),
            shares: kept.iter().map(|which| value(*which) / all).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_a_plane_keep_their_distances_whichever_side_is_longer() {
        // Four corners of a rectangle of 4 by 2 in a plane of five dimensions.
        let corner = |x: f32, y: f32| [x, y, 7.0, -1.0, 0.5];
        let corners = [corner(0.0, 0.0), corner(4.0, 0.0), corner(0.0, 2.0), corner(4.0, 2.0)].concat();
        for repeated in [1, 3] {
            let found = PrincipalComponents::of(&corners.repeat(repeated), 5, 4).unwrap();
            assert_eq!((found.coordinates.len(), found.coordinates[0].len()), (2, 4 * repeated), "a plane");
            assert!((found.shares[0] - 0.8).abs() < 1e-9 && (found.shares[1] - 0.2).abs() < 1e-9, "{found:?}");
            let apart = |which: usize| (found.coordinates[which][0] - found.coordinates[which][3]).abs();
            assert!((apart(0) - 4.0).abs() < 1e-9 && (apart(1) - 2.0).abs() < 1e-9, "{found:?}");
        }
        assert_eq!(PrincipalComponents::of(&[1.0; 12], 3, 2), None, "all rows are equal");
        assert_eq!(PrincipalComponents::of(&[1.0, f32::NAN], 1, 2), None);
        assert_eq!(PrincipalComponents::of(&[], 3, 2), None);
    }
}
