//! The validation of pre-training: retrieval, and the losses of all objectives, on the validation split.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ptu_data::{MaskedTexts, TrainBatch};
use ptu_evaluate::{Gallery, ValidationScore};
use ptu_infer::Embedder;
use ptu_input::{Batch, Image, Images, Slot, Texts};
use ptu_model::Model;
use ptu_random::Key;
use ptu_train::log::Fields;
use ptu_train::recipe::{ItmConfig, MlmConfig};
use ptu_train::step::losses;
use ptu_train::task::{Validated, Validator};
use ptu_train::{Recipe, TrainError};
use serde::{Deserialize, Serialize};

use super::StepPlan;

/// The pairs of the validation split, and what is computed of them.
pub(super) struct HeldOut {
    pub gallery: Gallery,
    plan: StepPlan,
    /// Number of pairs that are contrasted with each other, as in training.
    batch: usize,
}

/// The result of a validation, as in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOutScore {
    /// The score by which the best model is chosen.
    #[serde(flatten)]
    pub score: ValidationScore,
    /// The mean loss of each objective, without dropout, and `total`, their weighted sum. Empty in logs of earlier versions, and if a batch
    /// has more pairs than the split.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub losses: BTreeMap<String, f64>,
}

impl HeldOut {
    /// Objectives of a recipe on these pairs.
    pub fn new(gallery: Gallery, recipe: &Recipe) -> Self {
        let of_recipe = StepPlan::of(recipe);
        // All texts count, where a step of the training uses some of them only.
        let plan =
            StepPlan { mlm: MlmConfig { share: 1.0 }, itm: ItmConfig { share: 1.0, ..of_recipe.itm }, ..of_recipe };
        Self { gallery, plan, batch: recipe.train.batch / recipe.train.accumulate }
    }

    /// Mean losses over whole batches of the training's size.
    fn losses(&self, model: &Model, key: Key) -> Result<BTreeMap<String, f64>, TrainError> {
        let (embedder, rows) = (self.embedder(model), self.gallery.rows());
        let (mut sums, mut batches) = (BTreeMap::<String, f64>::new(), 0);
        for (number, rows) in rows.chunks_exact(self.batch.max(1)).enumerate() {
            let found =
                losses(model, &self.train_batch(embedder, rows)?, &self.plan.objectives(), key.at(number as u64));
            let each = found.objectives.into_iter().map(|(name, result)| (name, result.loss));
            for (name, loss) in each.chain([("total".to_string(), found.total)]) {
                *sums.entry(name).or_default() += loss;
            }
            batches += 1;
        }
        sums.values_mut().for_each(|sum| *sum /= f64::from(batches.max(1)));
        Ok(sums)
    }

    /// The model, whose encoded images are kept.
    fn embedder<'m>(&self, model: &'m Model) -> Embedder<'m> {
        let embedder = Embedder::new(model);
        self.gallery.encoded.start(model, embedder.precision);
        embedder
    }

    /// Images of some pairs. Where removed patches are predicted, the pixels are needed, else the outputs of the encoder.
    fn images(&self, embedder: Embedder<'_>, rows: &[usize]) -> Result<Vec<Image>, TrainError> {
        Ok(match self.plan.models_images() {
            true => self.gallery.images(rows)?,
            false => self.gallery.encoded_images(embedder, rows)?,
        })
    }

    /// Some pairs as a batch of training.
    fn train_batch(&self, embedder: Embedder<'_>, rows: &[usize]) -> Result<TrainBatch, TrainError> {
        let pairs = || rows.iter().map(|row| &self.gallery.records[*row]);
        let texts = Texts::collect(pairs().map(|pair| pair.text.ids.as_slice()));
        let masked: Vec<_> = pairs().map(|pair| Some(pair.masked.clone())).collect();
        Ok(TrainBatch {
            masked_pairs: MaskedTexts::from_rows(&masked, &texts),
            batch: Batch {
                pair_images: Images::collect(&self.images(embedder, rows)?),
                pair_texts: texts,
                order: (0..rows.len()).map(Slot::Pair).collect(),
                ..Batch::default()
            },
            image_hashes: pairs().map(|pair| pair.image_hash).collect(),
            text_hashes: pairs().map(|pair| pair.text_hash).collect(),
            ..TrainBatch::default()
        })
    }

    /// The result for the training loop.
    pub fn validated(score: &HeldOutScore) -> Validated {
        let mut validated = Validated { fields: Fields::of(score), ..score.score.validated() };
        if let Some(total) = score.losses.get("total") {
            validated.line = format!("{}, loss {total:.3}", validated.line);
        }
        validated
    }
}

impl Validator for HeldOut {
    fn validate(&self, model: &Model, key: Key) -> Result<Validated, TrainError> {
        let score = ValidationScore::of(model, &self.gallery, key)?;
        Ok(Self::validated(&HeldOutScore { score, losses: self.losses(model, key)? }))
    }

    fn forecast(&self, model: &Model, key: Key) -> Result<Duration, TrainError> {
        let (of_score, start) = (self.gallery.forecast(model, key)?, Instant::now());
        let (rows, part) = (self.gallery.rows(), self.batch.min(self.gallery.records.len()));
        let batch = self.train_batch(self.embedder(model), &rows[..part])?;
        losses(model, &batch, &self.plan.objectives(), key);
        Ok(of_score + start.elapsed().mul_f64(rows.len() as f64 / part.max(1) as f64))
    }
}
