//! The scores that every gallery gets: retrieval, image-text matching and masked words, each if the model has the head for it.

use std::collections::BTreeMap;

use ptu_metrics::Resampling;
use ptu_model::{Heads, StandIn};
use ptu_random::Key;

use crate::EvaluateError;
use crate::features::GalleryFeatures;
use crate::matching::matching;
use crate::measure::Measure;
use crate::rerank::rank_all;
use crate::retrieval::{RetrievalMeasures, RetrievalResults, search};
use crate::scores::{MaskedWords, Scores, names};
use crate::words::ImageContext;

/// The scores that every gallery gets, the measures they were computed from, and the retrieval results.
pub struct Scored {
    /// The scores.
    pub scores: Scores,
    /// The measure of each score, by the name of the score.
    pub measures: BTreeMap<String, Measure>,
    /// Retrieval results; `None` if the model has neither a retrieval head nor an ITC head.
    pub retrieval: Option<RetrievalResults>,
    /// Retrieval results after reranking by matching; `None` if it was not requested.
    pub reranked: Option<RetrievalResults>,
}

/// Computes the scores of retrieval, image-text matching and masked words, each if the model has the head for it. `done` is
/// called with the number of finished pairs, counted once for each pass over the gallery.
///
/// # Errors
/// If inputs do not fit the model.
pub fn score(features: &GalleryFeatures<'_>, key: Key, done: &mut dyn FnMut(usize)) -> Result<Scored, EvaluateError> {
    let (gallery, heads) = (features.gallery, &features.embedder.model.heads);
    let (resampling, size) = (Resampling::new(key), gallery.records.len());
    let mut scored = Scored {
        scores: Scores { pairs: size, ..Scores::default() },
        measures: BTreeMap::new(),
        retrieval: None,
        reranked: None,
    };
    let mut count = 0;
    let found = match (heads.retrieval.is_some(), heads.itc.is_some()) {
        (true, _) => Some(rank_all(features.embedder, gallery, done)?),
        (false, true) => Some(search(features, done)?),
        (false, false) => None,
    };
    if let Some(found) = found {
        count = retrieval_passes(heads) * size;
        let measures = RetrievalMeasures::of(gallery, &found);
        scored.scores.retrieval = Some(measures.score(gallery, &resampling));
        scored.measures = measures.named("");
        scored.retrieval = Some(found);
    }
    if heads.itm.is_some() {
        let itm = matching(features.embedder, gallery, key)?;
        count += MATCHING * size;
        done(count);
        scored.scores.itm = Some(itm.score(gallery, &resampling));
        scored.measures.insert(names::ITM.into(), itm);
    }
    if heads.mlm.is_some() {
        let mut predict = |name: &str, context| {
            let predictions = features.words(context)?;
            count += size;
            done(count);
            let scores = predictions.scores(gallery, &resampling);
            scored.measures.insert(format!("{}{name}", names::MLM), predictions.right.clone());
            scored.measures.insert(format!("{}{name}", names::PERPLEXITY), predictions.negative_log_likelihood.clone());
            Ok::<_, EvaluateError>(scores)
        };
        scored.scores.mlm = Some(MaskedWords {
            own_image: predict("", ImageContext::Own)?,
            wrong_image: predict(names::WRONG_IMAGE, ImageContext::Wrong)?,
            no_image: predict(names::NO_IMAGE, ImageContext::Missing(StandIn::Prompts))?,
        });
    }
    Ok(scored)
}

/// Number of passes over all pairs for [`search`].
const SEARCH: usize = 2;
/// Number of passes for [`rank_all`], which are counted in images.
const RANKING: usize = 1;
/// Number of passes for image-text matching.
const MATCHING: usize = 1;
/// Number of passes for masked words: with the own image, with a wrong image, without an image.
const WORDS: usize = 3;

/// Number of passes over all pairs for [`score`].
pub(crate) fn passes(heads: &Heads) -> usize {
    let each = [(heads.itm.is_some(), MATCHING), (heads.mlm.is_some(), WORDS)];
    let others: usize = each.into_iter().filter(|(has_head, _)| *has_head).map(|(_, passes)| passes).sum();
    retrieval_passes(heads) + others
}

/// Number of passes for retrieval.
fn retrieval_passes(heads: &Heads) -> usize {
    match (heads.retrieval.is_some(), heads.itc.is_some()) {
        (true, _) => RANKING,
        (false, true) => SEARCH,
        (false, false) => 0,
    }
}
