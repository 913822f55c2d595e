//! Scores of a model on records that it has not seen: zero-shot retrieval both ways, matching, masked words, each with a
//! 95 % interval by patient and with what chance would give (SPEC 7).

mod gallery;
mod rerank;
mod run;
mod scores;

use ptu_infer::{Embedder, Vectors};
use ptu_metrics::{Answer, Resampling, bootstrap, bootstrap_mean, majority_share};
use ptu_model::{Model, ModelConfig, Pass};
use ptu_random::Key;

pub use gallery::{Gallery, GalleryOptions, Pair, Query};
pub use rerank::rerank;
pub use run::{EvaluateOptions, Evaluated, evaluate, mean_r10};
pub use scores::{Direction, Retrieval, Score, Scores};

use crate::TrainError;
use crate::batch::{MaskedTexts, StepBatch};
use crate::objective::ObjectiveKind;
use crate::shared::Shared;
use crate::step::StepPlan;

/// Records that go through the model at once.
const BATCH: usize = 16;

/// Who finds whom in a gallery.
#[derive(Clone, Debug)]
pub struct Found {
    image_to_text: Ranking,
    text_to_image: Ranking,
}

/// What every query of one direction finds.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// By contrast, `[queries, items]` row by row.
    pub similarity: Vec<f32>,
    /// Place of each query's best hit, from 0; `None` without one.
    pub ranks: Vec<Option<usize>>,
}

impl Found {
    /// What images find, or what texts find.
    pub fn of(&self, query: Query) -> &Ranking {
        match query {
            Query::Image => &self.image_to_text,
            Query::Text => &self.text_to_image,
        }
    }
}

/// Embeds each image and each text of a gallery alone, and compares all with all.
///
/// # Errors
/// A model without contrast head, or inputs that do not fit it.
pub fn search(
    model: &Model,
    config: &ModelConfig,
    gallery: &Gallery,
    done: &mut dyn FnMut(usize),
) -> Result<Found, TrainError> {
    let embedder = Embedder::new(model, config);
    let images: Vec<_> = gallery.records.iter().map(|record| &record.image).collect();
    let texts: Vec<_> = gallery.records.iter().map(|record| &record.text).collect();
    let images: Vectors = embedder.images(&images, BATCH, done)?;
    let count = images.len();
    let texts: Vectors = embedder.texts(&texts, BATCH, &mut |texts| done(count + texts))?;
    let ranking = |query, similarity: Vec<f32>| {
        let ranks = ptu_metrics::ranks(&similarity, count, |asking, item| gallery.is_hit(query, asking, item));
        Ranking { similarity, ranks }
    };
    Ok(Found {
        image_to_text: ranking(Query::Image, images.similarity(&texts)),
        text_to_image: ranking(Query::Text, texts.similarity(&images)),
    })
}

/// Retrieval scores of a search.
pub fn retrieval(gallery: &Gallery, found: &Found, resampling: &Resampling) -> Retrieval {
    let (size, groups) = (gallery.records.len(), gallery.patients());
    let direction = |query| {
        let ranks = &found.of(query).ranks;
        let counts = ptu_metrics::hits_per_query(size, size, |asking, item| gallery.is_hit(query, asking, item));
        let recall = |k| {
            let interval = bootstrap_mean(&ptu_metrics::found_at(k, ranks), &groups, resampling);
            Score::new(ptu_metrics::recall_at(k, ranks), interval, ptu_metrics::chance_recall_at(k, size, &counts))
        };
        let median = |rows: &[usize]| ptu_metrics::median_rank(&rows.iter().map(|&row| ranks[row]).collect::<Vec<_>>());
        Direction {
            r1: recall(1),
            r5: recall(5),
            r10: recall(10),
            median_rank: Score::new(
                ptu_metrics::median_rank(ranks),
                bootstrap(&groups, median, resampling),
                ptu_metrics::chance_median_rank(size, &counts),
            ),
        }
    };
    Retrieval { records: size, image_to_text: direction(Query::Image), text_to_image: direction(Query::Text) }
}

/// All scores of a gallery.
///
/// # Errors
/// As [`search`].
pub fn score(
    model: &Model,
    config: &ModelConfig,
    gallery: &Gallery,
    key: Key,
    done: &mut dyn FnMut(usize),
) -> Result<(Scores, Found), TrainError> {
    let found = search(model, config, gallery, done)?;
    let resampling = Resampling::new(key);
    let retrieval = retrieval(gallery, &found, &resampling);
    let mut asked = Asked::default();
    let mut finished = 2 * gallery.records.len();
    for (number, rows) in gallery.rows().chunks(BATCH).enumerate() {
        answer(model, gallery, rows, key.at(number as u64), &mut asked);
        finished += rows.len();
        done(finished);
    }
    Ok((
        Scores { retrieval, itm: asked.itm.score(gallery, &resampling), mlm: asked.mlm.score(gallery, &resampling) },
        found,
    ))
}

/// Answers to both kinds of questions.
#[derive(Default)]
struct Asked {
    itm: Answers,
    mlm: Answers,
}

/// Answers to one kind of question: whether right, of which record, and what would have been right.
#[derive(Default)]
struct Answers {
    right: Vec<Option<f64>>,
    rows: Vec<usize>,
    truths: Vec<u32>,
}

impl Answers {
    fn extend(&mut self, right: &[bool], rows: impl IntoIterator<Item = usize>, truths: impl IntoIterator<Item = u32>) {
        self.right.extend(right.iter().map(|right| Some(f64::from(u8::from(*right)))));
        self.rows.extend(rows);
        self.truths.extend(truths);
    }

    fn score(&self, gallery: &Gallery, resampling: &Resampling) -> Score {
        let groups: Vec<&str> = self.rows.iter().map(|&row| gallery.records[row].patient.as_str()).collect();
        let answers: Vec<Answer<u32>> = self.truths.iter().map(|&right| Answer { given: right, right }).collect();
        let interval = bootstrap_mean(&self.right, &groups, resampling);
        let count = self.right.len();
        let value = (count > 0).then(|| self.right.iter().flatten().sum::<f64>() / count as f64);
        Score::new(value, interval, majority_share(&answers))
    }
}

/// Asks the heads of matching and masked words about some records of a gallery.
fn answer(model: &Model, gallery: &Gallery, rows: &[usize], key: Key, asked: &mut Asked) {
    let records: Vec<_> = rows.iter().map(|&row| &gallery.records[row]).collect();
    let images = ptu_input::Images::collect(records.iter().map(|record| &record.image));
    let texts = ptu_input::Texts::collect(records.iter().map(|record| record.text.ids.as_slice()));
    let masked = ptu_input::Texts::collect(records.iter().map(|record| record.masked.ids.as_slice()));
    let labels = records.iter().flat_map(|record| record.masked.labels.iter().copied()).collect();
    let batch = StepBatch {
        images,
        texts,
        masked_pairs: MaskedTexts { texts: masked, labels },
        image_hashes: records.iter().map(|record| record.image_hash).collect(),
        text_hashes: records.iter().map(|record| record.text_hash).collect(),
        ..StepBatch::default()
    };
    let off = Pass::off();
    let objectives = [ObjectiveKind::Mlm, ObjectiveKind::Itm].map(|kind| (kind, 1.0)).into();
    let plan = StepPlan { objectives, ..StepPlan::default() };
    let shared = Shared::new(model, &batch, &plan, &off, key);
    if let Some(loss) = ObjectiveKind::Itm.loss(&shared) {
        asked.itm.extend(
            &loss.answers,
            rows.iter().copied(),
            shared.partners().matched.iter().map(|&matched| u32::from(matched)),
        );
    }
    if let Some(loss) = ObjectiveKind::Mlm.loss(&shared) {
        let places = batch.masked_pairs.places();
        let rows = places.iter().zip(rows).flat_map(|(places, &row)| places.iter().map(move |_| row));
        asked.mlm.extend(&loss.answers, rows, batch.masked_pairs.classes().map(|class| class as u32));
    }
}
