//! Times text-to-image retrieval: by contrastive similarity, by the matching score of every candidate, or of a shortlist.

use std::time::Instant;

use burn::tensor::Device;
use ptu_evaluate::{EvaluateOptions, GalleryFeatures, Retrieval, evaluate, rerank, retrieval, search};
use ptu_infer::{Embedder, Matcher, Vectors};
use ptu_input::{Image, Text};
use ptu_metrics::Resampling;
use ptu_model::{Bundle, Model, ModelConfig, ModelError, Preset};
use ptu_random::{Key, Place, Stream};
use serde::Serialize;

use crate::BenchError;
use crate::measure::Timing;
use crate::step::{TOKENS, config, images};

/// The number of candidates that are encoded at once, which limits memory.
const CHUNK: usize = 64;

/// The options of the benchmark.
#[derive(Clone, Debug)]
pub struct RankOptions {
    /// The model size.
    pub preset: Preset,
    /// The numbers of candidates to time.
    pub candidates: Vec<usize>,
    /// The number of candidates that are re-ranked by the fusion after the contrastive ranking.
    pub shortlist: usize,
    /// Number of timed queries.
    pub rounds: usize,
    /// The random seed of weights and data.
    pub seed: u64,
    /// The device, without gradients.
    pub device: Device,
}

/// The results for one number of candidates, in seconds per query. The vectors of the candidates are already computed, as in
/// an index.
#[derive(Clone, Debug, Serialize)]
pub struct RankResult {
    /// The number of candidates.
    pub candidates: usize,
    /// Ranking by contrastive similarity only.
    pub contrast: Timing,
    /// Ranking by contrastive similarity; the best candidates are re-ranked by the fusion.
    pub shortlist: Timing,
    /// Ranking by the fusion of the query with every candidate (published).
    pub all: Timing,
}

/// Times all ways of ranking; `report` gets progress messages.
///
/// # Errors
/// If sizes do not fit each other.
pub fn rank(options: &RankOptions, report: &mut dyn FnMut(&str)) -> Result<Vec<RankResult>, BenchError> {
    let config = config(options.preset);
    let model = Model::new(&config, Key::new(options.seed), &options.device)?;
    let mut stream = Key::new(options.seed).stream(Place::Sample, 0);
    // The candidates are copies of a few images, because the content does not change the time.
    let pictures: Vec<Image> = (0..8).map(|_| picture(&config, &mut stream)).collect();
    let words = (0..TOKENS.min(config.text.longest())).map(|_| 4 + stream.below(config.text.vocabulary - 5) as u32);
    let query = Text { ids: words.collect(), words: vec![] };
    let mut results = vec![];
    for &count in &options.candidates {
        report(&format!("{count} candidates"));
        let index = Vectors {
            width: config.fusion.width,
            values: (0..count * config.fusion.width).map(|_| stream.normal() as f32).collect(),
        };
        let candidates: Vec<&Image> = (0..count).map(|number| &pictures[number % pictures.len()]).collect();
        let rank_query = RankQuery { model: &model, text: &query };
        // One untimed call of each, so that the timed calls cannot fail.
        rank_query.contrast(&index)?;
        rank_query.fuse(&candidates[..count.min(1)])?;
        let time = |rounds: usize, work: &dyn Fn() -> Result<(), ModelError>| {
            Timing::of(0, rounds, || work().expect("the inputs fitted the model in the untimed call"))
        };
        let shortlist = || {
            let mut order: Vec<usize> = (0..count).collect();
            let similarity = rank_query.contrast(&index)?;
            order.sort_by(|a, b| similarity[*b].total_cmp(&similarity[*a]));
            let best: Vec<&Image> = order.iter().take(options.shortlist).map(|number| candidates[*number]).collect();
            rank_query.fuse(&best).map(drop)
        };
        results.push(RankResult {
            candidates: count,
            contrast: time(options.rounds, &|| rank_query.contrast(&index).map(drop)),
            shortlist: time(options.rounds, &shortlist),
            all: time(options.rounds.min(3), &|| rank_query.fuse(&candidates).map(drop)),
        });
    }
    Ok(results)
}

fn picture(config: &ModelConfig, stream: &mut Stream) -> Image {
    Image::new(config.image.size, images(config, 1, stream).planes)
}

/// One text query and the model that ranks the candidates.
struct RankQuery<'a> {
    model: &'a Model,
    text: &'a Text,
}

impl RankQuery<'_> {
    /// The contrastive similarity of the query with every vector of the index.
    fn contrast(&self, index: &Vectors) -> Result<Vec<f32>, ModelError> {
        Ok(Embedder::new(self.model).texts(&[self.text], 1, &mut |_| ())?.similarity(index))
    }

    /// The matching scores of the query with the candidates.
    fn fuse(&self, candidates: &[&Image]) -> Result<Vec<f32>, ModelError> {
        let mut scores = vec![];
        for chunk in candidates.chunks(CHUNK) {
            let matcher = Matcher::new(Embedder::new(self.model), chunk, &[self.text], CHUNK)?;
            let pairs: Vec<(usize, usize)> = (0..chunk.len()).map(|image| (image, 0)).collect();
            scores.extend(matcher.scores(&pairs, CHUNK));
        }
        Ok(scores)
    }
}

/// Scores and time of each way of ranking, on the held-out pairs of a run, in both directions.
#[derive(Clone, Debug, Serialize)]
pub struct RankQuality {
    /// The name of the gallery.
    pub gallery: String,
    /// Ranking by contrastive similarity only.
    pub contrast: Way,
    /// Ranking by contrastive similarity; the best candidates are re-ranked by the fusion.
    pub shortlist: Way,
    /// Ranking by the fusion of every pair (published).
    pub all: Way,
}

/// The result of one way of ranking.
#[derive(Clone, Debug, Serialize)]
pub struct Way {
    /// The retrieval scores.
    pub retrieval: Retrieval,
    /// Seconds for all queries of the gallery, including encoding.
    pub seconds: f64,
}

/// Ranks the test pairs of a run in all three ways; `report` gets progress messages.
///
/// # Errors
/// If files cannot be read, or if the model does not have the heads.
pub fn quality(
    options: &EvaluateOptions,
    shortlist: usize,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<RankQuality>, BenchError> {
    let bundle = Bundle::load(&options.bundle, &options.device)?;
    let embedder = Embedder::new(&bundle.model);
    let mut all = vec![];
    for evaluated in evaluate(options, &mut |_, _, _| ())? {
        report(&format!("{}: {} pairs", evaluated.name, evaluated.gallery.records.len()));
        let resampling = Resampling::new(Key::new(options.seed));
        let timed = |keep: Option<usize>| {
            let start = Instant::now();
            let mut rankings = search(&GalleryFeatures::new(embedder, &evaluated.gallery), &mut |_| ())?;
            if let Some(keep) = keep {
                rankings = rerank(embedder, &evaluated.gallery, &rankings, keep)?;
            }
            let seconds = start.elapsed().as_secs_f64();
            Ok::<Way, BenchError>(Way { retrieval: retrieval(&evaluated.gallery, &rankings, &resampling), seconds })
        };
        all.push(RankQuality {
            gallery: evaluated.name.clone(),
            contrast: timed(None)?,
            shortlist: timed(Some(shortlist))?,
            all: timed(Some(usize::MAX))?,
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_timed_for_every_number() {
        let options = RankOptions {
            preset: Preset::Tiny,
            candidates: vec![3, 6],
            shortlist: 2,
            rounds: 2,
            seed: 0,
            device: Device::flex(),
        };
        let results = rank(&options, &mut |_| ()).unwrap();
        assert_eq!(results.iter().map(|result| result.candidates).collect::<Vec<_>>(), [3, 6]);
        for result in results {
            let counts = [&result.contrast, &result.shortlist, &result.all].map(|timing| timing.seconds.len());
            assert_eq!(counts, [2, 2, 2]);
        }
    }
}
