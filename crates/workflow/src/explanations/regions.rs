//! The regions of the findings of phantom records.

use std::path::Path;

use ptu_data::{DataError, ShardFolder, Source, Split};
use ptu_input::Picture;
use ptu_input::image::resample::Size;
use ptu_model::ModelConfig;
use ptu_prepare::phantom;
use ptu_random::Key;

use crate::WorkflowError;

/// The seeds with which a corpus may have been drawn; the right one draws the pictures of its records.
const SEEDS: std::ops::Range<u64> = 0..100;
/// Number of training records by which the most frequent patch is found.
const TRAINING: usize = 1_000;
/// What the ids of phantom records begin with.
const PREFIX: &str = "phantom-";

/// Draws the regions of a phantom corpus.
pub struct Regions {
    key: Key,
    /// Side of the pictures in pixels.
    side: usize,
    /// Patches in a row of the model's image.
    grid: usize,
}

impl Regions {
    /// The regions of the records of a folder; `None` if they are no phantom records, or were drawn by another version.
    pub fn of(shards: &ShardFolder, config: &ModelConfig) -> Result<Option<Self>, DataError> {
        if shards.manifest().dataset != "phantom" {
            return Ok(None);
        }
        let mut first = None;
        for position in 0..shards.len() {
            let record = shards.get(position)?;
            if let (Some(image), Some(index)) = (record.image, index(&record.id)) {
                first = Picture::decode(&image.bytes, &record.id).ok().map(|picture| (picture, index));
                break;
            }
        }
        // Pictures that were resized afterwards are not square, or smaller than the smallest that is drawn.
        let drawn = |(picture, _): &(Picture, u64)| picture.width() == picture.height() && picture.width() >= 32;
        let Some((picture, index)) = first.filter(drawn) else { return Ok(None) };
        let typed = &shards.manifest().made_by.arguments;
        let seed = typed.iter().skip_while(|word| *word != "--seed").nth(1).and_then(|seed| seed.parse().ok());
        let side = picture.width();
        let draws = |seed: &u64| {
            let drawn = phantom::generate(Key::new(*seed), index, side).picture.grey;
            let drawn = Picture::new(Size { width: side, height: side }, 1, drawn);
            drawn.content_hash() == picture.content_hash()
        };
        let seed = seed.into_iter().chain(SEEDS).find(draws);
        let grid = config.image.size / config.image.patch;
        Ok(seed.map(|seed| Self { key: Key::new(seed), side, grid }))
    }

    /// For each patch of the picture of a record, whether its finding shows in it. `None` for a normal picture.
    pub fn patches(&self, id: &str) -> Option<Vec<bool>> {
        let region = phantom::region(self.key, index(id)?, self.side)?;
        let mut patches = vec![false; self.grid * self.grid];
        for (place, _) in region.iter().enumerate().filter(|(_, inside)| **inside) {
            let (row, column) = (place / self.side, place % self.side);
            patches[row * self.grid / self.side * self.grid + column * self.grid / self.side] = true;
        }
        Some(patches)
    }

    /// The patch that lies in most regions of training records.
    pub fn most_frequent(&self, folder: &Path) -> Result<Option<usize>, WorkflowError> {
        let ids = ShardFolder::open(folder, Split::Train)?.ids()?;
        let mut counts = vec![0usize; self.grid * self.grid];
        for region in ids.iter().take(TRAINING).filter_map(|id| self.patches(id)) {
            counts.iter_mut().zip(region).for_each(|(count, inside)| *count += usize::from(inside));
        }
        Ok(counts.iter().enumerate().max_by_key(|(_, count)| **count).map(|(place, _)| place))
    }
}

/// The patches in the centre: one, or four if no patch is in the middle.
pub fn centre(patches: usize) -> Vec<usize> {
    let grid = patches.isqrt();
    let middle = if grid % 2 == 1 { vec![grid / 2] } else { vec![grid / 2 - 1, grid / 2] };
    middle.iter().flat_map(|row| middle.iter().map(move |column| row * grid + column)).collect()
}

fn index(id: &str) -> Option<u64> {
    id.strip_prefix(PREFIX)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_is_one_patch_or_four() {
        assert_eq!(centre(9), [4]);
        assert_eq!(centre(16), [5, 6, 9, 10]);
        assert_eq!(index("phantom-0000012"), Some(12));
        assert_eq!(index("other-12"), None);
    }
}
