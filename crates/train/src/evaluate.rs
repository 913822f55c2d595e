//! Scores of a model on records that it has not seen: zero-shot retrieval both ways, matching, masked words, each with a
//! 95 % interval by patient and with what chance would give (specification, section 7).

mod compare;
mod features;
mod gallery;
mod judged;
pub mod labels;
pub mod leak;
mod measure;
pub mod missing;
mod named;
mod opened;
mod options;
mod rerank;
mod run;
mod save;
pub(crate) mod scored_on;
mod scores;
pub mod words;

use std::collections::BTreeMap;

use ptu_data::TrainBatch;
use ptu_infer::Embedder;
use ptu_input::{Batch, Images, Texts};
use ptu_kernels::Pass;
use ptu_metrics::{Answer, Resampling, majority_share};
use ptu_model::{Heads, StandIn};
use ptu_random::Key;

pub use compare::{Difference, Spread, compare, spread};
pub use features::{GalleryFeatures, Given, TrainFeatures};
pub use gallery::{Gallery, GalleryOptions, Pair, Query};
pub use judged::Judged;
pub use measure::{Kind, Measure};
pub use options::EvaluateOptions;
pub use rerank::rerank;
pub use run::{Evaluated, evaluate, mean_r10};
pub use save::{Kept, Saved};
pub use scored_on::ScoredOn;
pub use scores::{Direction, LabelScores, MaskedWords, Retrieval, Score, Scores, names};

use crate::TrainError;
use crate::forward::StepForward;
use crate::loss::Itm;
use crate::objective::Objective;
use crate::recipe::PartnerChoice;
use words::Beside;

/// Galleries of so many pairs or less: R@10 is 1 there, whatever a model does.
pub const ALL_FOUND: usize = 10;

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
pub fn search(features: &GalleryFeatures<'_>, done: &mut dyn FnMut(usize)) -> Result<Found, TrainError> {
    let gallery = features.gallery;
    let images = features.images(done)?;
    let count = images.len();
    let texts = features.texts(&mut |texts| done(count + texts))?;
    let ranking = |query, similarity: Vec<f32>| {
        let ranks = ptu_metrics::ranks(&similarity, count, |asking, item| gallery.is_hit(query, asking, item));
        Ranking { similarity, ranks }
    };
    Ok(Found {
        image_to_text: ranking(Query::Image, images.similarity(&texts)),
        text_to_image: ranking(Query::Text, texts.similarity(&images)),
    })
}

/// What the scores of a direction are made of.
struct DirectionMeasures {
    recalls: [(usize, Measure); 3],
    median_rank: Measure,
}

impl DirectionMeasures {
    fn of(gallery: &Gallery, found: &Found, query: Query) -> Self {
        let (size, ranks) = (gallery.records.len(), &found.of(query).ranks);
        let counts = ptu_metrics::hits_per_query(size, size, |asking, item| gallery.is_hit(query, asking, item));
        let recalls = [1, 5, 10].map(|k| {
            let chance = ptu_metrics::chance_recall_at(k, size, &counts);
            (k, Measure::of_rows(ptu_metrics::found_at(k, ranks), chance))
        });
        let places = ranks.iter().map(|rank| rank.map(|place| place as f64 + 1.0)).collect();
        let median_rank = Measure::of_rows(places, ptu_metrics::chance_median_rank(size, &counts));
        Self { recalls, median_rank: Measure { kind: Kind::Median, ..median_rank } }
    }

    fn score(&self, gallery: &Gallery, resampling: &Resampling) -> Direction {
        let [r1, r5, r10] = self.recalls.each_ref().map(|(_, measure)| measure.score(gallery, resampling));
        Direction { r1, r5, r10, median_rank: self.median_rank.score(gallery, resampling) }
    }
}

/// What the retrieval scores of a search are made of, both ways.
struct RetrievalMeasures {
    image_to_text: DirectionMeasures,
    text_to_image: DirectionMeasures,
}

impl RetrievalMeasures {
    fn of(gallery: &Gallery, found: &Found) -> Self {
        let direction = |query| DirectionMeasures::of(gallery, found, query);
        Self { image_to_text: direction(Query::Image), text_to_image: direction(Query::Text) }
    }

    fn score(&self, gallery: &Gallery, resampling: &Resampling) -> Retrieval {
        let [image_to_text, text_to_image] =
            [&self.image_to_text, &self.text_to_image].map(|measures| measures.score(gallery, resampling));
        Retrieval { image_to_text, text_to_image }
    }

    /// The measures by the names of their scores, with a suffix.
    fn named(self, suffix: &str) -> BTreeMap<String, Measure> {
        let mut named = BTreeMap::new();
        for (name, measures) in [(names::IMAGE_TO_TEXT, self.image_to_text), (names::TEXT_TO_IMAGE, self.text_to_image)]
        {
            named.extend(measures.recalls.map(|(k, measure)| (format!("{name} R@{k}{suffix}"), measure)));
            named.insert(format!("{name} {}{suffix}", names::MEDIAN_RANK), measures.median_rank);
        }
        named
    }
}

/// Retrieval scores of a search.
pub fn retrieval(gallery: &Gallery, found: &Found, resampling: &Resampling) -> Retrieval {
    RetrievalMeasures::of(gallery, found).score(gallery, resampling)
}

/// Scores that every gallery gets, what they are made of by their names, and who found whom.
pub struct Scored {
    /// The scores.
    pub scores: Scores,
    /// What they are made of.
    pub measures: BTreeMap<String, Measure>,
    /// Similarities, where the model has learned to compare.
    pub found: Option<Found>,
}

/// Retrieval, matching and masked words: whatever the model has a head for.
///
/// # Errors
/// Inputs that do not fit the model.
pub fn score(features: &GalleryFeatures<'_>, key: Key, done: &mut dyn FnMut(usize)) -> Result<Scored, TrainError> {
    let (gallery, heads) = (features.gallery, &features.embedder.model.heads);
    let (resampling, size) = (Resampling::new(key), gallery.records.len());
    let mut scored =
        Scored { scores: Scores { pairs: size, ..Scores::default() }, measures: BTreeMap::new(), found: None };
    let mut count = 0;
    if heads.itc.is_some() {
        let found = search(features, done)?;
        count = SEARCH * size;
        let measures = RetrievalMeasures::of(gallery, &found);
        scored.scores.retrieval = Some(measures.score(gallery, &resampling));
        scored.measures = measures.named("");
        scored.found = Some(found);
    }
    if heads.itm.is_some() {
        let itm = matching(features.embedder, gallery, key);
        count += MATCHING * size;
        done(count);
        scored.scores.itm = Some(itm.score(gallery, &resampling));
        scored.measures.insert(names::ITM.into(), itm);
    }
    if heads.mlm.is_some() {
        let mut guess = |name: &str, beside| {
            let guesses = features.words(beside)?;
            count += size;
            done(count);
            let scores = guesses.scores(gallery, &resampling);
            scored.measures.insert(format!("{}{name}", names::MLM), guesses.right.clone());
            scored.measures.insert(format!("{}{name}", names::PERPLEXITY), guesses.surprise.clone());
            Ok::<_, TrainError>(scores)
        };
        scored.scores.mlm = Some(MaskedWords {
            own_image: guess("", Beside::Own)?,
            wrong_image: guess(names::WRONG_IMAGE, Beside::Wrong)?,
            no_image: guess(names::NO_IMAGE, Beside::Missing(StandIn::Prompts))?,
        });
    }
    Ok(scored)
}

/// Passes over all pairs that [`search`] takes.
const SEARCH: usize = 2;
/// Passes that matching takes.
const MATCHING: usize = 1;
/// Passes that masked words take: with the image, with a wrong one, with none.
const WORDS: usize = 3;

/// Passes over all pairs that [`score`] takes.
fn passes(heads: &Heads) -> usize {
    let each = [(heads.itc.is_some(), SEARCH), (heads.itm.is_some(), MATCHING), (heads.mlm.is_some(), WORDS)];
    each.into_iter().filter(|(there, _)| *there).map(|(_, passes)| passes).sum()
}

/// Asks the head of matching about every text of a gallery, half of them beside a false image.
fn matching(embedder: Embedder<'_>, gallery: &Gallery, key: Key) -> Measure {
    let (mut measure, mut truths, rows) = (Measure::default(), vec![], gallery.rows());
    for (number, rows) in rows.chunks(BATCH).enumerate() {
        let records: Vec<_> = rows.iter().map(|&row| &gallery.records[row]).collect();
        let arrays = Batch {
            pair_images: Images::collect(records.iter().map(|record| &record.image)),
            pair_texts: Texts::collect(records.iter().map(|record| record.text.ids.as_slice())),
            ..Batch::default()
        };
        let batch = TrainBatch {
            batch: arrays,
            image_hashes: records.iter().map(|record| record.image_hash).collect(),
            text_hashes: records.iter().map(|record| record.text_hash).collect(),
            ..TrainBatch::default()
        };
        let (off, itm) = (Pass::off().with(embedder.products), Itm { partners: PartnerChoice::Random });
        let key = key.at(number as u64);
        let step = StepForward::new(embedder.model, &batch, [itm.pairs(&batch, key)], &off, key);
        if let Some(loss) = itm.loss(&step) {
            measure.values.extend(loss.answers.iter().map(|right| Some(f64::from(u8::from(*right)))));
            measure.rows.extend_from_slice(rows);
            truths.extend(itm.partners(&step).matched.iter().map(|&right| Answer { given: right, right }));
        }
    }
    measure.chance = majority_share(&truths);
    measure
}
