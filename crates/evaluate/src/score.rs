//! What every gallery is scored by: retrieval, matching and masked words, whatever the model has a head for.

use std::collections::BTreeMap;

use ptu_metrics::Resampling;
use ptu_model::{Heads, StandIn};
use ptu_random::Key;

use crate::EvaluateError;
use crate::features::GalleryFeatures;
use crate::matching::matching;
use crate::measure::Measure;
use crate::retrieval::{RetrievalMeasures, RetrievalResults, search};
use crate::scores::{MaskedWords, Scores, names};
use crate::words::ImageContext;

/// Scores that every gallery gets, what they are made of by their names, and who found whom.
pub struct Scored {
    /// The scores.
    pub scores: Scores,
    /// What they are made of.
    pub measures: BTreeMap<String, Measure>,
    /// Similarities, where the model has learned to compare.
    pub found: Option<RetrievalResults>,
}

/// Retrieval, matching and masked words: whatever the model has a head for.
///
/// # Errors
/// Inputs that do not fit the model.
pub fn score(features: &GalleryFeatures<'_>, key: Key, done: &mut dyn FnMut(usize)) -> Result<Scored, EvaluateError> {
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
            Ok::<_, EvaluateError>(scores)
        };
        scored.scores.mlm = Some(MaskedWords {
            own_image: guess("", ImageContext::Own)?,
            wrong_image: guess(names::WRONG_IMAGE, ImageContext::Wrong)?,
            no_image: guess(names::NO_IMAGE, ImageContext::Missing(StandIn::Prompts))?,
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
pub(crate) fn passes(heads: &Heads) -> usize {
    let each = [(heads.itc.is_some(), SEARCH), (heads.itm.is_some(), MATCHING), (heads.mlm.is_some(), WORDS)];
    each.into_iter().filter(|(there, _)| *there).map(|(_, passes)| passes).sum()
}
