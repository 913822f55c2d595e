//! The arrays of a training step as a forward pass names them.

use ptu_data::TrainBatch;
use ptu_model::forward::{Inputs, Row};

/// The arrays of a batch in groups. The first group of images and of texts are those of the pairs, so that a plain row number
/// names a pair's.
pub fn inputs(batch: &TrainBatch) -> Inputs<'_> {
    let arrays = &batch.batch;
    Inputs {
        images: vec![&arrays.pair_images, &arrays.images],
        texts: vec![&arrays.pair_texts, &batch.masked_pairs.texts, &batch.masked_texts.texts, &arrays.texts],
    }
}

/// The masked text of a pair, by its row.
pub fn masked_pair(row: usize) -> Row {
    Row { group: 1, row }
}

/// A masked text of a record without an image, by its row.
pub fn masked_text(row: usize) -> Row {
    Row { group: 2, row }
}

/// The image of a record without a text, by its row.
pub fn image_alone(row: usize) -> Row {
    Row { group: 1, row }
}

/// The text of a record without an image, by its row.
pub fn text_alone(row: usize) -> Row {
    Row { group: 3, row }
}
