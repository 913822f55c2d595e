//! Zero-shot retrieval: who finds whom in a gallery, both ways.

use std::collections::BTreeMap;

use ptu_metrics::Resampling;

use crate::EvaluateError;
use crate::features::GalleryFeatures;
use crate::gallery::{Gallery, Query};
use crate::measure::{Kind, Measure};
use crate::scores::{Direction, Retrieval, names};

/// Galleries of so many pairs or less: R@10 is 1 there, whatever a model does.
pub const ALL_FOUND: usize = 10;

/// Who finds whom in a gallery.
#[derive(Clone, Debug)]
pub struct RetrievalResults {
    pub(crate) image_to_text: Ranking,
    pub(crate) text_to_image: Ranking,
}

/// What every query of one direction finds.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// By contrast, `[queries, items]` row by row.
    pub similarity: Vec<f32>,
    /// Place of each query's best hit, from 0; `None` without one.
    pub ranks: Vec<Option<usize>>,
}

impl RetrievalResults {
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
pub fn search(features: &GalleryFeatures<'_>, done: &mut dyn FnMut(usize)) -> Result<RetrievalResults, EvaluateError> {
    let gallery = features.gallery;
    let images = features.images(done)?;
    let count = images.len();
    let texts = features.texts(&mut |texts| done(count + texts))?;
    let ranking = |query, similarity: Vec<f32>| {
        let ranks = ptu_metrics::ranks(&similarity, count, |asking, item| gallery.is_hit(query, asking, item));
        Ranking { similarity, ranks }
    };
    Ok(RetrievalResults {
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
    fn of(gallery: &Gallery, found: &RetrievalResults, query: Query) -> Self {
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
pub(crate) struct RetrievalMeasures {
    image_to_text: DirectionMeasures,
    text_to_image: DirectionMeasures,
}

impl RetrievalMeasures {
    pub fn of(gallery: &Gallery, found: &RetrievalResults) -> Self {
        let direction = |query| DirectionMeasures::of(gallery, found, query);
        Self { image_to_text: direction(Query::Image), text_to_image: direction(Query::Text) }
    }

    pub fn score(&self, gallery: &Gallery, resampling: &Resampling) -> Retrieval {
        let [image_to_text, text_to_image] =
            [&self.image_to_text, &self.text_to_image].map(|measures| measures.score(gallery, resampling));
        Retrieval { image_to_text, text_to_image }
    }

    /// The measures by the names of their scores, with a suffix.
    pub fn named(self, suffix: &str) -> BTreeMap<String, Measure> {
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
pub fn retrieval(gallery: &Gallery, found: &RetrievalResults, resampling: &Resampling) -> Retrieval {
    RetrievalMeasures::of(gallery, found).score(gallery, resampling)
}
