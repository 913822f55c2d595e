//! Image-text matching (ITM): how well the ITM head separates true pairs from pairs with a negative image.

use ptu_data::TrainBatch;
use ptu_infer::Embedder;
use ptu_input::{Batch, Images, Texts};
use ptu_kernels::Pass;
use ptu_metrics::{Answer, majority_share};
use ptu_random::Key;
use ptu_train::forward::StepForward;
use ptu_train::loss::Itm;
use ptu_train::objective::Objective;
use ptu_train::recipe::ItmConfig;

use crate::EvaluateError;
use crate::gallery::{BATCH, Gallery};
use crate::measure::Measure;

/// Evaluates the ITM head on every text of a gallery; half of the texts are paired with a negative image.
///
/// # Errors
/// If an image cannot be read any more.
pub(crate) fn matching(embedder: Embedder<'_>, gallery: &Gallery, key: Key) -> Result<Measure, EvaluateError> {
    let (mut measure, mut truths, rows) = (Measure::default(), vec![], gallery.rows());
    gallery.encoded.start(embedder.model, embedder.precision);
    for (number, rows) in rows.chunks(BATCH).enumerate() {
        let records: Vec<_> = rows.iter().map(|&row| &gallery.records[row]).collect();
        let arrays = Batch {
            pair_images: Images::collect(&gallery.encoded_images(embedder, rows)?),
            pair_texts: Texts::collect(records.iter().map(|record| record.text.ids.as_slice())),
            ..Batch::default()
        };
        let batch = TrainBatch {
            batch: arrays,
            image_hashes: records.iter().map(|record| record.image_hash).collect(),
            text_hashes: records.iter().map(|record| record.text_hash).collect(),
            ..TrainBatch::default()
        };
        let (off, itm) = (Pass::off().with(embedder.precision), Itm(ItmConfig::default()));
        let key = key.at(number as u64);
        let step = StepForward::new(embedder.model, &batch, [itm.pairs(&batch, key)], &off, key);
        if let Some(loss) = itm.loss(&step) {
            measure.values.extend(loss.answers.iter().map(|right| Some(f64::from(u8::from(*right)))));
            measure.rows.extend_from_slice(rows);
            truths.extend(itm.partners(&step).matched.iter().map(|&right| Answer { given: right, right }));
        }
    }
    measure.chance = majority_share(&truths);
    Ok(measure)
}
