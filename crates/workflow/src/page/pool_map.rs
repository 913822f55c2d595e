//! A map of a prompt pool: its vectors by their two leading principal components.

use std::path::Path;

use ptu_checkpoint::Checkpoint;
use ptu_metrics::PrincipalComponents;
use ptu_report::PoolMap;
use ptu_train::folder;

/// The most rows of a pool that are shown; of a larger pool the first ones.
const ROWS: usize = 4096;

/// The vectors of a pool of the last model of a run, with how often each was selected; `None` if the model is not there any more, has no
/// such weight, or its vectors do not differ. `weights` are the names that the vectors may have.
pub fn pool_map(run: &Path, weights: &[&str], counts: &[(usize, u64)]) -> Option<PoolMap> {
    let checkpoint = Checkpoint::open(&run.join(folder::BUNDLE).join(ptu_model::WEIGHTS)).ok()?;
    let name = weights.iter().find(|name| checkpoint.info(name).is_some())?;
    let [rows, width] = checkpoint.info(name)?.shape[..] else { return None };
    let values = checkpoint.read(name).ok()?;
    of_vectors(&values, (rows.min(ROWS), width), counts)
}

fn of_vectors(values: &[f32], (rows, width): (usize, usize), counts: &[(usize, u64)]) -> Option<PoolMap> {
    if rows < 3 || width < 2 {
        return None;
    }
    let components = PrincipalComponents::of(&values[..rows * width], width, 2)?;
    let [x, y] = components.coordinates.as_slice() else { return None };
    let mut times = vec![0; rows];
    counts.iter().filter(|(row, _)| *row < rows).for_each(|(row, count)| times[*row] = *count);
    Some(PoolMap {
        points: x.iter().zip(y).zip(times).map(|((x, y), times)| (*x, *y, times)).collect(),
        shares: [components.shares[0], components.shares[1]],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_that_lie_in_a_plane_keep_their_distances() {
        // Four corners of a rectangle of 4 by 2 in a plane of five dimensions.
        let corner = |x: f32, y: f32| [x, y, 7.0, -1.0, 0.5];
        let corners = [corner(0.0, 0.0), corner(4.0, 0.0), corner(0.0, 2.0), corner(4.0, 2.0)];
        for repeated in [1, 3] {
            let values: Vec<f32> = (0..repeated).flat_map(|_| corners.concat()).collect();
            let map = of_vectors(&values, (4 * repeated, 5), &[(1, 9)]).unwrap();
            assert_eq!((map.points.len(), map.points[1].2, map.points[0].2), (4 * repeated, 9, 0));
            assert!((map.shares[0] - 0.8).abs() < 1e-9 && (map.shares[1] - 0.2).abs() < 1e-9, "{:?}", map.shares);
            let [one, other] = [map.points[0], map.points[3]];
            assert!(((one.0 - other.0).abs() - 4.0).abs() < 1e-9 && ((one.1 - other.1).abs() - 2.0).abs() < 1e-9);
        }
        assert_eq!(of_vectors(&[1.0; 12], (4, 3), &[]), None, "all vectors are equal");
        assert_eq!(of_vectors(&[1.0, 2.0], (2, 1), &[]), None);
    }
}
