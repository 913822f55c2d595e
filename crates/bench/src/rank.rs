//! Ranking: one text looks for its image, by contrast, by the fusion of every pair, or by the fusion of a shortlist.

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

/// Candidates that are encoded at once: bounds memory, whatever their number.
const PART: usize = 64;

/// What is timed.
#[derive(Clone, Debug)]
pub struct RankOptions {
    /// Sizes of the model.
    pub preset: Preset,
    /// Numbers of candidates.
    pub candidates: Vec<usize>,
    /// Candidates that the fusion sees after the contrast chose them.
    pub shortlist: usize,
    /// Timed queries.
    pub rounds: usize,
    /// Draws weights and data.
    pub seed: u64,
    /// What computes, without gradients.
    pub device: Device,
}

/// What was seen for one number of candidates: seconds a query. The candidates' vectors are at hand, as in an index.
#[derive(Clone, Debug, Serialize)]
pub struct RankResult {
    /// How many.
    pub candidates: usize,
    /// By contrast alone.
    pub contrast: Timing,
    /// By contrast, then the best by the fusion.
    pub shortlist: Timing,
    /// Each with the query through the fusion (published).
    pub all: Timing,
}

/// Times the ways to rank.
///
/// # Errors
/// Sizes that do not fit each other.
pub fn rank(options: &RankOptions, told: &mut dyn FnMut(&str)) -> Result<Vec<RankResult>, BenchError> {
    let config = config(options.preset);
    let model = Model::new(&config, Key::new(options.seed), &options.device)?;
    let mut stream = Key::new(options.seed).stream(Place::Sample, 0);
    // Candidates are copies of a few pictures: what is in them changes no time.
    let pictures: Vec<Image> = (0..8).map(|_| picture(&config, &mut stream)).collect();
    let words = (0..TOKENS.min(config.text.longest())).map(|_| 4 + stream.below(config.text.vocabulary - 5) as u32);
    let query = Text { ids: words.collect(), words: vec![] };
    let mut results = vec![];
    for &count in &options.candidates {
        told(&format!("{count} candidates"));
        let index = Vectors {
            width: config.fusion.width,
            values: (0..count * config.fusion.width).map(|_| stream.normal() as f32).collect(),
        };
        let candidates: Vec<&Image> = (0..count).map(|place| &pictures[place % pictures.len()]).collect();
        let asked = Asked { model: &model, query: &query };
        // Once untimed, so that nothing of the inputs can fail later.
        asked.contrast(&index)?;
        asked.fuse(&candidates[..count.min(1)])?;
        let time = |rounds: usize, work: &dyn Fn() -> Result<(), ModelError>| {
            Timing::of(0, rounds, || work().expect("it fitted the model just before"))
        };
        let shortlist = || {
            let mut order: Vec<usize> = (0..count).collect();
            let similarity = asked.contrast(&index)?;
            order.sort_by(|a, b| similarity[*b].total_cmp(&similarity[*a]));
            let best: Vec<&Image> = order.iter().take(options.shortlist).map(|place| candidates[*place]).collect();
            asked.fuse(&best).map(drop)
        };
        results.push(RankResult {
            candidates: count,
            contrast: time(options.rounds, &|| asked.contrast(&index).map(drop)),
            shortlist: time(options.rounds, &shortlist),
            all: time(options.rounds.min(3), &|| asked.fuse(&candidates).map(drop)),
        });
    }
    Ok(results)
}

fn picture(config: &ModelConfig, stream: &mut Stream) -> Image {
    Image { side: config.image.size, planes: images(config, 1, stream).planes }
}

/// One query.
struct Asked<'a> {
    model: &'a Model,
    query: &'a Text,
}

impl Asked<'_> {
    fn contrast(&self, index: &Vectors) -> Result<Vec<f32>, ModelError> {
        Ok(Embedder::new(self.model).texts(&[self.query], 1, &mut |_| ())?.similarity(index))
    }

    fn fuse(&self, candidates: &[&Image]) -> Result<Vec<f32>, ModelError> {
        let mut scores = vec![];
        for part in candidates.chunks(PART) {
            let matcher = Matcher::new(Embedder::new(self.model), part, &[self.query], PART)?;
            let pairs: Vec<(usize, usize)> = (0..part.len()).map(|image| (image, 0)).collect();
            scores.extend(matcher.scores(&pairs, PART));
        }
        Ok(scores)
    }
}

/// How well and how fast each way ranks the held-out pairs of a run, both directions.
#[derive(Clone, Debug, Serialize)]
pub struct RankQuality {
    /// Name of the gallery.
    pub gallery: String,
    /// By contrast alone.
    pub contrast: Way,
    /// By contrast, then the best by the fusion.
    pub shortlist: Way,
    /// Every pair through the fusion (published).
    pub all: Way,
}

/// One way to rank.
#[derive(Clone, Debug, Serialize)]
pub struct Way {
    /// Scores.
    pub retrieval: Retrieval,
    /// Seconds for all queries of the gallery, encoding included.
    pub seconds: f64,
}

/// Ranks the test pairs of a run in all three ways.
///
/// # Errors
/// Files that cannot be read, a model without the heads.
pub fn quality(
    options: &EvaluateOptions,
    shortlist: usize,
    told: &mut dyn FnMut(&str),
) -> Result<Vec<RankQuality>, BenchError> {
    let bundle = Bundle::load(&options.bundle, &options.device)?;
    let embedder = Embedder::new(&bundle.model);
    let mut all = vec![];
    for evaluated in evaluate(options, &mut |_, _, _| ())? {
        told(&format!("{}: {} pairs", evaluated.name, evaluated.gallery.records.len()));
        let resampling = Resampling::new(Key::new(options.seed));
        let timed = |keep: Option<usize>| {
            let start = Instant::now();
            let mut found = search(&GalleryFeatures::new(embedder, &evaluated.gallery), &mut |_| ())?;
            if let Some(keep) = keep {
                found = rerank(embedder, &evaluated.gallery, &found, keep)?;
            }
            let seconds = start.elapsed().as_secs_f64();
            Ok::<Way, BenchError>(Way { retrieval: retrieval(&evaluated.gallery, &found, &resampling), seconds })
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
