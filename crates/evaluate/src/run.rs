//! Evaluates a bundle on folders of shards. Each folder is a gallery of its own, or several if a label splits it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ptu_data::{DataError, Preparation, Records, ShardFolder, Source, Split};
use ptu_infer::Embedder;
use ptu_input::Picture;
use ptu_kernels::ComputePrecision;
use ptu_metrics::{Cell, Resampling, bootstrap_mean_of_means};
use ptu_model::Bundle;
use ptu_random::Key;

use crate::EvaluateError;
use crate::evaluation_folder::EvaluationFolder;
use crate::features::{AvailableModalities, GalleryFeatures, TrainFeatures};
use crate::fidelity::{FidelityPart, FidelityReport, MemoryFile, Studied, TrainingMemory};
use crate::gallery::{Gallery, GalleryOptions, Query};
use crate::label_check;
use crate::labels::LabelProbes;
use crate::leak::TrainingHistory;
use crate::measure::Measure;
use crate::missing::MissingModalityCurves;
use crate::options::EvaluateOptions;
use crate::rerank::rerank;
use crate::retrieval::{RetrievalMeasures, RetrievalResults};
use crate::score::{Scored, passes, score};
use crate::scored_on::{RetrievalProtocol, ScoredOn};
use crate::scores::{LabelScores, Score, Scores, names};

/// The scores on one gallery, and the measures they were computed from.
pub struct Evaluated {
    /// Name of the source, followed by the name of the gallery if the source has several.
    pub name: String,
    /// The scores.
    pub scores: Scores,
    /// The pairs.
    pub gallery: Gallery,
    /// Retrieval results; `None` if the model has neither a retrieval head nor an ITC head.
    pub retrieval: Option<RetrievalResults>,
    /// Retrieval results after reranking by matching, if it was requested. Their similarities are those before it.
    pub reranked: Option<RetrievalResults>,
    /// The measure of each score, by the name of the score.
    pub measures: BTreeMap<String, Measure>,
    source: Arc<ShardFolder>,
}

impl Evaluated {
    /// The picture of a pair as a small PNG, for a page; `None` if it cannot be read any more.
    pub fn thumbnail(&self, row: usize, side: usize) -> Option<Vec<u8>> {
        let record = self.source.get(self.gallery.records[row].record).ok()?;
        let image = record.image?;
        Some(Picture::decode(&image.bytes, &record.id).ok()?.thumbnail_png(side))
    }
}

/// A gallery that is ready to be scored.
struct SelectedGallery {
    /// Position of its folder.
    folder: usize,
    gallery: Gallery,
    scored_on: ScoredOn,
}

/// Scores a bundle on each folder. `done` is called with the name of the gallery, the number of finished pairs and the number
/// of all pairs, both counted once for each pass over the gallery.
///
/// # Errors
/// These are found before anything is scored: files that cannot be read, a folder without pairs in the split, labels that no
/// record has, records that the model has learned from, and requested scores that need an objective that the model was not
/// trained with.
pub fn evaluate(
    options: &EvaluateOptions,
    done: &mut dyn FnMut(&str, usize, usize),
) -> Result<Vec<Evaluated>, EvaluateError> {
    let bundle = Bundle::load(&options.bundle, &options.device)?;
    options.check(&bundle.model.heads)?;
    let evaluator = Evaluator::new(options, &bundle)?;
    let folders = evaluator.open_folders()?;
    let notes = label_check::check(options, &folders)?;
    let mut selected = vec![];
    for (position, folder) in folders.iter().enumerate() {
        selected.extend(evaluator.select_galleries(position, folder, &notes)?);
    }
    let nothing = Records { name: "none".into(), records: vec![] };
    let mut train: Vec<TrainFeatures<'_>> =
        folders.iter().map(|folder| evaluator.train_features(folder, &nothing)).collect();
    let score = |one: SelectedGallery| evaluator.score(&folders[one.folder], &mut train[one.folder], one, done);
    selected.into_iter().map(score).collect()
}

/// Compares completed pairs with real ones in each gallery: see [`FidelityReport`]. `memory` is a file with the vectors of the training pairs,
/// which is written if it does not exist; it is for one folder of data. `done` is called with the name of the source and what is being
/// computed.
///
/// # Errors
/// As [`evaluate`]; also if a folder has no pairs in its training split.
pub fn fidelity(
    options: &EvaluateOptions,
    memory: Option<&Path>,
    done: &mut dyn FnMut(&str, FidelityPart),
) -> Result<Vec<FidelityReport>, EvaluateError> {
    // The training split is needed as for scores with missing modalities.
    let options = &EvaluateOptions { missing: true, ..options.clone() };
    let bundle = Bundle::load(&options.bundle, &options.device)?;
    let evaluator = Evaluator::new(options, &bundle)?;
    let folders = evaluator.open_folders()?;
    if let (Some(path), true) = (memory, folders.len() > 1) {
        let cause = "it is for one folder of data, and there are several".to_string();
        return Err(EvaluateError::Memory { path: path.into(), cause });
    }
    let notes = label_check::check(options, &folders)?;
    let mut reports = vec![];
    for (position, folder) in folders.iter().enumerate() {
        let selected = evaluator.select_galleries(position, folder, &notes)?;
        let train = folder.train.as_ref().ok_or_else(|| EvaluateError::NoTraining { path: folder.path.clone() })?;
        let source: &dyn Source = train;
        let (embedder, key) = (evaluator.embedder(), Key::new(options.seed));
        let text = options.config.text.choice(options.seed);
        let name = folder.source.name();
        let file = memory.map(|path| MemoryFile {
            path: path.into(),
            model: evaluator.model.clone(),
            data: train.manifest().hash(),
            settings: format!("seed {}, texts {text:?}", options.seed),
        });
        let records = (source, &evaluator.preparation, text);
        let memory = TrainingMemory::read(embedder, records, key, file.as_ref(), &mut |pairs| {
            done(name, FidelityPart::Memory(pairs));
        })?;
        let memory = memory.ok_or_else(|| EvaluateError::NoTraining { path: folder.path.clone() })?;
        let mut features = TrainFeatures::new(embedder, source, &evaluator.preparation, text);
        for SelectedGallery { gallery, scored_on, .. } in selected {
            let probes = evaluator.probes(folder, &mut features, &gallery)?;
            let studied = Studied { embedder, gallery: &gallery, memory: &memory, probes: &probes, key };
            let (fidelity, differences) = studied.fidelity(&mut |part| done(name, part))?;
            reports.push(FidelityReport { scored_on, training_pairs: memory.len(), fidelity, differences });
        }
    }
    Ok(reports)
}

/// A model and the options of its evaluation.
struct Evaluator<'a> {
    options: &'a EvaluateOptions,
    bundle: &'a Bundle,
    /// The bundle's fingerprint.
    model: String,
    preparation: Preparation,
}

impl<'a> Evaluator<'a> {
    fn new(options: &'a EvaluateOptions, bundle: &'a Bundle) -> Result<Self, EvaluateError> {
        let (model, preparation) = (Bundle::fingerprint(&options.bundle)?, ptu_infer::preparation(bundle));
        Ok(Self { options, bundle, model, preparation })
    }
}

impl Evaluator<'_> {
    fn training_history(&self) -> TrainingHistory<'_> {
        let Bundle { trained_on, learned, .. } = self.bundle;
        TrainingHistory { trained_on, learned: learned.as_ref(), folders: &self.options.training }
    }

    /// Opens the folders of the options. Refuses the split that the model was trained on, unless this is forced.
    fn open_folders(&self) -> Result<Vec<EvaluationFolder>, EvaluateError> {
        let Self { options, .. } = self;
        let mut folders = vec![];
        for path in &options.data {
            if !options.force {
                self.training_history().check_split(path, options)?;
            }
            let source = Arc::new(ShardFolder::open(path, options.split)?);
            let needs_probes = !options.config.labels.is_empty() || options.missing;
            // Without a training split no probe can be fitted, but masked words can still be scored.
            let train = match needs_probes.then(|| ShardFolder::open(path, Split::Train)) {
                Some(Ok(train)) => Some(train),
                None | Some(Err(DataError::NoRecords { .. })) => None,
                Some(Err(error)) => return Err(error.into()),
            };
            folders.push(EvaluationFolder { path: path.clone(), source, train });
        }
        Ok(folders)
    }

    /// Reads the galleries of a folder. Refuses those that the model has learned from, unless this is forced.
    fn select_galleries(
        &self,
        position: usize,
        folder: &EvaluationFolder,
        notes: &[String],
    ) -> Result<Vec<SelectedGallery>, EvaluateError> {
        let Self { options, .. } = self;
        let config = &options.config;
        let gallery_options = GalleryOptions {
            text: config.text.choice(options.seed),
            limit: config.gallery,
            hits: config.hits.clone(),
            by: config.by.clone(),
            seed: options.seed,
        };
        let source: Arc<dyn Source> = Arc::clone(&folder.source) as _;
        let gallery = Gallery::read(&source, &self.preparation, &gallery_options)?;
        let manifest = folder.source.manifest();
        let pairs_of_split = manifest.counts(options.split).pairs;
        let mut selected = vec![];
        for (name, gallery) in gallery.split() {
            let history = self.training_history();
            let (known, leak_notes) = history.check(&folder.path, &folder.source, &gallery, options.force)?;
            let scored_on = ScoredOn {
                source: folder.source.name().to_string(),
                gallery: name,
                manifest: manifest.hash(),
                split: options.split,
                pairs: gallery.records.len(),
                of: config.by.is_none().then_some(pairs_of_split),
                seed: options.seed,
                text: config.text,
                hits: config.hits.clone(),
                by: config.by.clone(),
                protocol: self.protocol(),
                precision: if options.precision == ComputePrecision::F32 { "f32".into() } else { "bf16".into() },
                model: self.model.clone(),
                known,
                notes: notes.iter().cloned().chain(leak_notes).collect(),
            };
            selected.push(SelectedGallery { folder: position, gallery, scored_on });
        }
        Ok(selected)
    }

    /// How the model compares queries and candidates.
    fn protocol(&self) -> RetrievalProtocol {
        match self.bundle.model.heads.retrieval {
            Some(_) => RetrievalProtocol::Ranking,
            None => RetrievalProtocol::Contrast,
        }
    }

    fn embedder(&self) -> Embedder<'_> {
        Embedder { precision: self.options.precision, ..Embedder::new(&self.bundle.model) }
    }

    /// Features of the training split, to which probes are fitted; of `nothing` if the folder has no training split.
    fn train_features<'a>(&'a self, folder: &'a EvaluationFolder, nothing: &'a Records) -> TrainFeatures<'a> {
        let source: &dyn Source = folder.train.as_ref().map_or(nothing, |train| train);
        let text = self.options.config.text.choice(self.options.seed);
        TrainFeatures::new(self.embedder(), source, &self.preparation, text)
    }

    fn score(
        &self,
        folder: &EvaluationFolder,
        train: &mut TrainFeatures<'_>,
        selected: SelectedGallery,
        done: &mut dyn FnMut(&str, usize, usize),
    ) -> Result<Evaluated, EvaluateError> {
        let SelectedGallery { gallery, scored_on, .. } = selected;
        let name = match scored_on.gallery.as_str() {
            "" => scored_on.source.clone(),
            gallery => format!("{} {gallery}", scored_on.source),
        };
        let all = passes(&self.bundle.model.heads) * gallery.records.len();
        let mut report = |count| done(&name, count, all);
        let features = GalleryFeatures::new(self.embedder(), &gallery);
        let mut scored = score(&features, Key::new(self.options.seed), &mut report)?;
        self.score_on_request(folder, train, &features, &mut scored)?;
        drop(features);
        let Scored { mut scores, measures, retrieval, reranked } = scored;
        scores.scored_on = Some(scored_on);
        Ok(Evaluated { name, scores, gallery, retrieval, reranked, measures, source: Arc::clone(&folder.source) })
    }

    /// Adds the scores that are computed only if they are requested: reranking, probes of labels, missing modalities.
    fn score_on_request(
        &self,
        folder: &EvaluationFolder,
        train: &mut TrainFeatures<'_>,
        features: &GalleryFeatures<'_>,
        scored: &mut Scored,
    ) -> Result<(), EvaluateError> {
        let (options, gallery, key) = (self.options, features.gallery, Key::new(self.options.seed));
        if let Some((keep, found)) = options.rerank.zip(scored.retrieval.as_ref()) {
            let reranked = rerank(self.embedder(), gallery, found, keep)?;
            let measures = RetrievalMeasures::of(gallery, &reranked);
            scored.scores.reranked = Some(measures.score(gallery, &Resampling::new(key)));
            scored.measures.extend(measures.named(names::RERANKED));
            scored.scores.rerank = Some(keep);
            scored.reranked = Some(reranked);
        }
        let probes = self.probes(folder, train, gallery)?;
        for probes in &probes {
            self.score_label(probes, features, scored)?;
        }
        if options.missing {
            scored.scores.missing = MissingModalityCurves { features, probes: &probes, key }.curves()?;
        }
        Ok(())
    }

    /// Probes of the labels of the options.
    fn probes(
        &self,
        folder: &EvaluationFolder,
        train: &mut TrainFeatures<'_>,
        gallery: &Gallery,
    ) -> Result<Vec<LabelProbes>, EvaluateError> {
        let fit = |label: &String| {
            let fitted = LabelProbes::fit(train, gallery, label, Key::new(self.options.seed))?;
            fitted.ok_or_else(|| EvaluateError::Label { path: folder.path.clone(), label: label.clone() })
        };
        self.options.config.labels.iter().map(fit).collect()
    }

    /// Adds the scores of one label.
    fn score_label(
        &self,
        probes: &LabelProbes,
        features: &GalleryFeatures<'_>,
        scored: &mut Scored,
    ) -> Result<(), EvaluateError> {
        let (config, label, resampling) =
            (&self.options.config, &probes.name, Resampling::new(Key::new(self.options.seed)));
        let measures = probes.evaluate(features, AvailableModalities::Both)?;
        let score = |measure: &Measure| measure.score(features.gallery, &resampling);
        let mut scores = LabelScores {
            fitted: probes.fitted,
            evaluated: probes.truths.iter().flatten().count(),
            by_sentences: None,
            sentences: config.sentence.clone(),
            neighbours: score(&measures.neighbours),
            linear: score(&measures.linear),
            classes: probes.classes.clone(),
        };
        if !config.sentence.is_empty() {
            let measure = probes.by_sentences(features, &self.preparation.processor, &config.sentence)?;
            scores.by_sentences = Some(score(&measure));
            scored.measures.insert(format!("{label}{}", names::BY_SENTENCES), measure);
        }
        scored.measures.insert(format!("{label}{}", names::NEIGHBOURS), measures.neighbours);
        scored.measures.insert(format!("{label}{}", names::LINEAR), measures.linear);
        scored.scores.labels.insert(label.clone(), scores);
        Ok(())
    }
}

/// Mean R@10 over galleries and directions, all with equal weight. For the confidence interval, patients (or images) are
/// resampled in all galleries and directions together. Undefined if the model has no retrieval results.
pub fn mean_r10(evaluated: &[Evaluated], seed: u64) -> Score {
    let parts: Vec<(Vec<Option<f64>>, Vec<&str>)> = evaluated
        .iter()
        .filter_map(|evaluated| Some((evaluated.retrieval.as_ref()?, &evaluated.gallery)))
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
