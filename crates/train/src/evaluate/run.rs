//! A bundle scored on shard folders, each a gallery of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use ptu_data::{DataError, Preparation, Records, ShardFolder, Source, Split};
use ptu_infer::Embedder;
use ptu_input::Picture;
use ptu_metrics::{Cell, Resampling, bootstrap_mean_of_means};
use ptu_model::{Bundle, Heads};
use ptu_random::Key;

use super::labels::{Given, LabelProbes};
use super::missing::MissingHalves;
use super::{
    Found, Gallery, GalleryOptions, LabelScores, Measure, Query, Score, Scored, Scores, leak, names, passes, recalls,
    rerank, retrieval, score,
};
use crate::objective::ObjectiveKind;
use crate::recipe::EvaluateConfig;
use crate::{Recipe, TrainError, folder};

/// What is scored on what.
#[derive(Clone, Debug)]
pub struct EvaluateOptions {
    /// Folder of the bundle.
    pub bundle: PathBuf,
    /// Shard folders.
    pub data: Vec<PathBuf>,
    /// Which of their splits.
    pub split: Split,
    /// Which text, how many pairs at most, which label makes hits.
    pub config: EvaluateConfig,
    /// Draws records, masks, partners, resamples.
    pub seed: u64,
    /// What computes.
    pub device: Device,
    /// Ranks this many of the nearest anew by matching, besides.
    pub rerank: Option<usize>,
    /// Takes more and more halves away, besides.
    pub missing: bool,
    /// Scores even what the model has learned from.
    pub force: bool,
    /// Folders of the data that the model was trained on, where they are known.
    pub training: Vec<PathBuf>,
}

/// Scores on one gallery, and what they were made of.
pub struct Evaluated {
    /// Name of the source, and of the gallery where it has several.
    pub name: String,
    /// The scores.
    pub scores: Scores,
    /// The pairs.
    pub gallery: Gallery,
    /// Similarities, where the model has learned to compare.
    pub found: Option<Found>,
    /// What the scores that are means are made of, by their names.
    pub measures: BTreeMap<String, Measure>,
    source: Arc<ShardFolder>,
}

impl Evaluated {
    /// The picture of a pair as a small PNG, for a page; `None` where it cannot be read any more.
    pub fn thumbnail(&self, row: usize, side: usize) -> Option<Vec<u8>> {
        let record = self.source.get(self.gallery.records[row].record).ok()?;
        let image = record.image?;
        Some(Picture::decode(&image.bytes, &record.id).ok()?.thumbnail_png(side))
    }
}

impl EvaluateOptions {
    /// The bundle of a run on the data of its recipe, or any bundle on the folders named. `path` is a run folder or a
    /// bundle; `data` replaces the recipe's.
    ///
    /// # Errors
    /// A path that is neither; a bundle without a recipe and without data.
    pub fn of(path: &Path, data: Vec<PathBuf>, split: Split, device: Device) -> Result<Self, TrainError> {
        let recipe = path.join(folder::RECIPE);
        let (bundle, recipe) = if recipe.exists() {
            (path.join(folder::BUNDLE), Some(folder::recipe(path)?))
        } else {
            (path.to_path_buf(), None)
        };
        let training = |recipe: &Recipe| recipe.data.iter().map(|entry| entry.path.clone()).collect::<Vec<_>>();
        let training = recipe.as_ref().map_or(vec![], training);
        let data = match (recipe.is_some(), data.is_empty()) {
            (true, true) => training.clone(),
            (false, true) => return Err(TrainError::NoData { path: path.into() }),
            (_, false) => data,
        };
        let seed = recipe.as_ref().map_or(0, |recipe| recipe.seed);
        let config = recipe.map_or_else(EvaluateConfig::default, |recipe| recipe.evaluate);
        let (rerank, missing, force) = (None, false, false);
        Ok(Self { bundle, data, split, config, seed, device, rerank, missing, force, training })
    }

    /// Refuses what a model cannot be asked, before anything is computed.
    fn check(&self, heads: &Heads) -> Result<(), TrainError> {
        let (itc, itm, mlm) = (heads.itc.is_some(), heads.itm.is_some(), heads.mlm.is_some());
        let (no_labels, by_sentences) = (self.config.labels.is_empty(), self.config.sentence.is_some());
        let cannot = |asked, objective| Err(TrainError::NotLearned { asked, objective });
        match (self.rerank.is_some(), self.missing) {
            (true, _) if !itc => cannot("ranking anew what was found", ObjectiveKind::Itc),
            (true, _) if !itm => cannot("ranking anew by matching", ObjectiveKind::Itm),
            (_, true) if no_labels && !mlm => {
                cannot("taking halves away without a label for probes", ObjectiveKind::Mlm)
            }
            _ if by_sentences && !no_labels && !itc => cannot("finding classes by sentences", ObjectiveKind::Itc),
            _ => Ok(()),
        }
    }
}

/// Scores a bundle on each folder; `done` is told (pairs finished, pairs in all) of the folder at hand.
///
/// # Errors
/// Files that cannot be read, a folder without pairs in the split, records that the model has learned from, scores on request
/// that need what it has not learned.
pub fn evaluate(
    options: &EvaluateOptions,
    done: &mut dyn FnMut(&str, usize, usize),
) -> Result<Vec<Evaluated>, TrainError> {
    let bundle = Bundle::load(&options.bundle, &options.device)?;
    options.check(&bundle.model.heads)?;
    let tokenizer = Arc::new(bundle.tokenizer.clone());
    let preparation = Preparation::new(tokenizer, bundle.preprocess.clone(), bundle.max_tokens);
    let gallery_options = GalleryOptions {
        text: options.config.text.choice(options.seed),
        limit: options.config.gallery,
        hits: options.config.hits.clone(),
        by: options.config.by.clone(),
        seed: options.seed,
    };
    let mut evaluated = vec![];
    for path in &options.data {
        if !options.force {
            leak::check(path, options.split, &bundle.trained_on, &options.training)?;
        }
        let source = Arc::new(ShardFolder::open(path, options.split)?);
        for (part, gallery) in Gallery::read(source.as_ref(), &preparation, &gallery_options)?.split() {
            let name = if part.is_empty() { source.name().to_string() } else { format!("{} {part}", source.name()) };
            let all = passes(&bundle.model.heads) * gallery.records.len();
            let mut told = |count| done(&name, count, all);
            let key = Key::new(options.seed);
            let mut scored = score(&bundle.model, &bundle.config, &gallery, key, &mut told)?;
            let further = Further { options, bundle: &bundle, preparation: &preparation, gallery: &gallery, path };
            further.score(&mut scored)?;
            let Scored { scores, measures, found } = scored;
            evaluated.push(Evaluated { name, scores, gallery, found, measures, source: Arc::clone(&source) });
        }
    }
    Ok(evaluated)
}

/// What is scored only when it is asked for.
struct Further<'a> {
    options: &'a EvaluateOptions,
    bundle: &'a Bundle,
    preparation: &'a Preparation,
    gallery: &'a Gallery,
    path: &'a Path,
}

impl Further<'_> {
    fn score(&self, scored: &mut Scored) -> Result<(), TrainError> {
        let Self { options, bundle, gallery, .. } = *self;
        let resampling = Resampling::new(Key::new(options.seed));
        if let Some((keep, found)) = options.rerank.zip(scored.found.as_ref()) {
            let reranked = rerank(&bundle.model, &bundle.config, gallery, found, keep)?;
            scored.measures.extend(recalls(&reranked, ", reranked"));
            scored.scores.reranked = Some(retrieval(gallery, &reranked, &resampling));
        }
        if options.config.labels.is_empty() && !options.missing {
            return Ok(());
        }
        // Without records to learn from there is nothing to fit a probe to, but words can still be asked for.
        let train: Box<dyn Source> = match ShardFolder::open(self.path, Split::Train) {
            Ok(train) => Box::new(train),
            Err(DataError::NoRecords { .. }) => Box::new(Records { name: "none".into(), records: vec![] }),
            Err(error) => return Err(error.into()),
        };
        for label in &options.config.labels {
            self.label(label, train.as_ref(), &resampling, scored)?;
        }
        if options.missing {
            let halves = MissingHalves {
                gallery,
                train: train.as_ref(),
                preparation: self.preparation,
                text: options.config.text.choice(options.seed),
                labels: &options.config.labels,
                key: Key::new(options.seed),
            };
            scored.scores.missing = halves.curves(self.embedder())?;
        }
        Ok(())
    }

    fn embedder(&self) -> Embedder<'_> {
        Embedder::new(&self.bundle.model, &self.bundle.config)
    }

    fn label(
        &self,
        label: &str,
        train: &dyn Source,
        resampling: &Resampling,
        scored: &mut Scored,
    ) -> Result<(), TrainError> {
        let Self { options, gallery, preparation, .. } = *self;
        let (text, key) = (options.config.text.choice(options.seed), Key::new(options.seed));
        let source = (train, preparation);
        let Some(probes) = LabelProbes::fit(self.embedder(), source, (label, text), gallery, key)? else {
            return Err(TrainError::Label { path: self.path.into(), label: label.into() });
        };
        let measures = probes.ask(self.embedder(), gallery, Given::Both)?;
        let score = |measure: &Measure| measure.score(gallery, resampling);
        let mut scores = LabelScores {
            fitted: probes.fitted,
            asked: probes.truths.iter().flatten().count(),
            by_sentences: None,
            neighbours: score(&measures.neighbours),
            linear: score(&measures.linear),
            classes: probes.classes.clone(),
        };
        if let Some(sentence) = &options.config.sentence {
            let measure = probes.by_sentences(self.embedder(), preparation, gallery, sentence)?;
            scores.by_sentences = Some(score(&measure));
            scored.measures.insert(format!("{label}{}", names::BY_SENTENCES), measure);
        }
        scored.measures.insert(format!("{label}{}", names::NEIGHBOURS), measures.neighbours);
        scored.measures.insert(format!("{label}{}", names::LINEAR), measures.linear);
        scored.scores.labels.insert(label.into(), scores);
        Ok(())
    }
}

/// Mean R@10 over galleries and directions, each weighing the same; patients (or images) are resampled for all of them at
/// once. Undefined where the model has not learned to compare.
pub fn mean_r10(evaluated: &[Evaluated], seed: u64) -> Score {
    let parts: Vec<(Vec<Option<f64>>, Vec<&str>)> = evaluated
        .iter()
        .filter_map(|evaluated| Some((evaluated.found.as_ref()?, &evaluated.gallery)))
        .flat_map(|(found, gallery)| {
            [Query::Image, Query::Text]
                .map(|query| (ptu_metrics::found_at(10, &found.of(query).ranks), gallery.patients()))
        })
        .collect();
    let cells: Vec<Cell<'_, &str>> = parts.iter().map(|(values, groups)| Cell { values, groups }).collect();
    let interval = bootstrap_mean_of_means(&cells, &Resampling::new(Key::new(seed)));
    let directions = || {
        let retrievals = evaluated.iter().filter_map(|evaluated| evaluated.scores.retrieval);
        retrievals.flat_map(|retrieval| [retrieval.image_to_text.r10, retrieval.text_to_image.r10])
    };
    let mean = |of: fn(Score) -> Option<f64>| {
        let values: Option<Vec<f64>> = directions().map(of).collect();
        values.filter(|values| !values.is_empty()).map(|values| values.iter().sum::<f64>() / values.len() as f64)
    };
    Score::new(mean(|score| score.value), interval, mean(|score| score.chance))
}
