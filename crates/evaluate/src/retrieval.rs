//! Retrieval in a gallery, from images to texts and from texts to images: zero-shot by the contrastive (ITC) head, or by the ranking
//! score of all pairs.

use std::collections::BTreeMap;

use ptu_metrics::Resampling;

use crate::EvaluateError;
use crate::features::GalleryFeatures;
use crate::gallery::{Gallery, Query};
use crate::measure::{Aggregation, Measure};
use crate::scores::{Direction, Retrieval, names};

/// Galleries with this number of pairs or fewer always have an R@10 of 1.
pub const ALL_FOUND: usize = 10;

/// Retrieval results of a gallery in both directions.
#[derive(Clone, Debug)]
pub struct RetrievalResults {
    pub(crate) image_to_text: Ranking,
    pub(crate) text_to_image: Ranking,
}

/// Retrieval results of all queries of one direction.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// The score of each candidate, `[queries, candidates]`, row by row: cosine similarity in the contrastive space, or the ranking
    /// score of the pair.
    pub similarity: Vec<f32>,
    /// Rank of each query's best hit, from 0; `None` if the query has no hit.
    pub ranks: Vec<Option<usize>>,
}

impl RetrievalResults {
    /// The results for queries of this modality.
    pub fn of(&self, query: Query) -> &Ranking {
        match query {
            Query::Image => &self.image_to_text,
            Query::Text => &self.text_to_image,
        }
    }
}

impl RetrievalResults {
    /// The results for a score of each pair, `[images, texts]`, row by row.
    pub(crate) fn of_pairs(gallery: &Gallery, scores: Vec<f32>) -> Self {
        let size = gallery.records.len();
        let turned: Vec<f32> = (0..size * size).map(|cell| scores[cell % size * size + cell / size]).collect();
        Self {
            image_to_text: Ranking::of(gallery, Query::Image, scores),
            text_to_image: Ranking::of(gallery, Query::Text, turned),
        }
    }
}

impl Ranking {
    /// The ranks that follow from the scores of all candidates.
    fn of(gallery: &Gallery, query: Query, similarity: Vec<f32>) -> Self {
        let ranks =
            ptu_metrics::ranks(&similarity, gallery.records.len(), |row, item| gallery.is_hit(query, row, item));
        Self { similarity, ranks }
    }
}

/// Embeds each image and each text of a gallery without the other modality, and compares every image with every text. `done` is
/// called with the number of finished inputs, images first.
///
/// # Errors
/// If the model has no ITC head, or inputs do not fit the model.
pub fn search(features: &GalleryFeatures<'_>, done: &mut dyn FnMut(usize)) -> Result<RetrievalResults, EvaluateError> {
    let gallery = features.gallery;
    let images = features.images(done)?;
    let count = images.len();
    let texts = features.texts(&mut |texts| done(count + texts))?;
    Ok(RetrievalResults {
        image_to_text: Ranking::of(gallery, Query::Image, images.similarity(&texts)),
        text_to_image: Ranking::of(gallery, Query::Text, texts.similarity(&images)),
    })
}

/// The measures from which the scores of one direction are computed.
struct DirectionMeasures {
    recalls: [(usize, Measure); 3],
    median_rank: Measure,
    mrr: Measure,
}

impl DirectionMeasures {
    fn of(gallery: &Gallery, results: &RetrievalResults, query: Query) -> Self {
        let (size, ranks) = (gallery.records.len(), &results.of(query).ranks);
        let counts = ptu_metrics::hits_per_query(size, size, |row, item| gallery.is_hit(query, row, item));
        let recalls = [1, 5, 10].map(|k| {
            let chance = ptu_metrics::chance_recall_at(k, size, &counts);
            (k, Measure::of_rows(ptu_metrics::found_at(k, ranks), chance))
        });
        let ranks_from_1 = ranks.iter().map(|rank| rank.map(|rank| rank as f64 + 1.0)).collect();
        let median_rank = Measure::of_rows(ranks_from_1, ptu_metrics::chance_median_rank(size, &counts));
        let chance = ptu_metrics::chance_mean_reciprocal_rank(size, &counts);
        let mrr = Measure::of_rows(ptu_metrics::reciprocal_ranks(ranks), chance);
        Self { recalls, median_rank: Measure { aggregation: Aggregation::Median, ..median_rank }, mrr }
    }

    fn score(&self, gallery: &Gallery, resampling: &Resampling) -> Direction {
        let [r1, r5, r10] = self.recalls.each_ref().map(|(_, measure)| measure.score(gallery, resampling));
        let [median_rank, mrr] = [&self.median_rank, &self.mrr].map(|measure| measure.score(gallery, resampling));
        Direction { r1, r5, r10, median_rank, mrr }
    }
}

/// The measures from which the retrieval scores of both directions are computed.
pub(crate) struct RetrievalMeasures {
    image_to_text: DirectionMeasures,
    text_to_image: DirectionMeasures,
}

impl RetrievalMeasures {
    pub fn of(gallery: &Gallery, results: &RetrievalResults) -> Self {
        let direction = |query| DirectionMeasures::of(gallery, results, query);
        Self { image_to_text: direction(Query::Image), text_to_image: direction(Query::Text) }
    }

    pub fn score(&self, gallery: &Gallery, resampling: &Resampling) -> Retrieval {
        let [image_to_text, text_to_image] =
            [&self.image_to_text, &self.text_to_image].map(|measures| measures.score(gallery, resampling));
        Retrieval { image_to_text, text_to_image }
    }

    /// The measures by the names of their scores; `suffix` is added to each name.
    pub fn named(self, suffix: &str) -> BTreeMap<String, Measure> {
        let mut named = BTreeMap::new();
        for (name, measures) in [(names::IMAGE_TO_TEXT, self.image_to_text), (names::TEXT_TO_IMAGE, self.text_to_image)]
        {
            named.extend(measures.recalls.map(|(k, measure)| (format!("{name} R@{k}{suffix}"), measure)));
            named.insert(format!("{name} {}{suffix}", names::MEDIAN_RANK), measures.median_rank);
            named.insert(format!("{name} {}{suffix}", names::MRR), measures.mrr);
        }
        named
    }
}

/// The retrieval scores of search results.
pub fn retrieval(gallery: &Gallery, results: &RetrievalResults, resampling: &Resampling) -> Retrieval {
    RetrievalMeasures::of(gallery, results).score(gallery, resampling)
}
