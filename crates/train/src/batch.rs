//! The arrays of a training batch, numbered as the forward pass refers to them.

use ptu_data::{KeptPatches, TrainBatch};
use ptu_model::ModelConfig;
use ptu_model::forward::{ImageGroup, Inputs, Row};
use ptu_random::Key;

/// The arrays of a batch as the inputs of a forward pass, in groups. The first groups of images and of texts belong to the
/// pairs, so that a row number without a group refers to a pair. `kept` are the patches that masked image modelling leaves.
pub fn inputs<'a>(batch: &'a TrainBatch, kept: &'a KeptPatches) -> Inputs<'a> {
    let arrays = &batch.batch;
    Inputs {
        images: vec![
            ImageGroup::from(&arrays.pair_images),
            ImageGroup::from(&arrays.images),
            ImageGroup { images: &arrays.pair_images, patches: Some(&kept.pairs) },
            ImageGroup { images: &arrays.images, patches: Some(&kept.images) },
        ],
        texts: vec![&arrays.pair_texts, &batch.masked_pairs.texts, &batch.masked_texts.texts, &arrays.texts],
    }
}

/// The masked text of the pair in this row.
pub fn masked_pair(row: usize) -> Row {
    Row { group: 1, row }
}

/// The masked text in this row of the records without an image.
pub fn masked_text(row: usize) -> Row {
    Row { group: 2, row }
}

/// The patches that masked image modelling leaves in this step: as given in the batch, or drawn. None if the model has no head for it.
pub fn kept_patches(batch: &TrainBatch, config: &ModelConfig, key: Key) -> KeptPatches {
    match (&batch.kept_patches, &config.mim) {
        (Some(given), _) => given.clone(),
        (None, Some(mim)) => {
            let all = config.image.grid() * config.image.grid();
            KeptPatches::draw(&batch.batch, mim.kept(all), all, key)
        }
        (None, None) => KeptPatches::default(),
    }
}

/// The image of the pair in this row, without the patches that were removed.
pub fn masked_image(row: usize) -> Row {
    Row { group: 2, row }
}

/// The image in this row of the records without a text, without the patches that were removed.
pub fn masked_image_alone(row: usize) -> Row {
    Row { group: 3, row }
}

/// Whether this is an image without the patches that were removed.
pub fn is_masked(image: Row) -> bool {
    [masked_image(0).group, masked_image_alone(0).group].contains(&image.group)
}

/// The image in this row of the records without a text.
pub fn image_alone(row: usize) -> Row {
    Row { group: 1, row }
}

/// The text in this row of the records without an image, not masked.
pub fn text_alone(row: usize) -> Row {
    Row { group: 3, row }
}
