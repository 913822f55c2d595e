//! The arrays of a training batch, numbered as the forward pass refers to them.

use ptu_data::TrainBatch;
use ptu_model::forward::{Inputs, Row};

/// The arrays of a batch as the inputs of a forward pass, in groups. The first groups of images and of texts belong to the
/// pairs, so that a row number without a group refers to a pair.
pub fn inputs(batch: &TrainBatch) -> Inputs<'_> {
    let arrays = &batch.batch;
    Inputs {
        images: vec![&arrays.pair_images, &arrays.images],
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

/// The image in this row of the records without a text.
pub fn image_alone(row: usize) -> Row {
    Row { group: 1, row }
}

/// The text in this row of the records without an image, not masked.
pub fn text_alone(row: usize) -> Row {
    Row { group: 3, row }
}
