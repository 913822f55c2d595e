//! The outputs of a frozen image encoder are computed once, before the first step, and stored in the run folder.
//!
//! They are the same in each step: the encoder has no dropout, its weights do not change, and without random crops neither do its
//! images. Prompts in place of a missing image go through the encoder in each step, because training may change them.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use ptu_data::files::digest;
use ptu_data::image_cache::{CacheHeader, ImageCacheWriter, ImageIndex, Unusable};
use ptu_data::{CacheFormat, DataError, ImageCache, Preparation, WeightedSource};
use ptu_input::files::write_atomically;
use ptu_input::{ImageFile, Images};
use ptu_kernels::ComputePrecision;
use ptu_model::names::{IMAGE_ENCODER, Name};
use ptu_model::{ImageOutputSizes, ModelConfig, WeightVisitor};
use rayon::prelude::*;
use serde_json::json;

use super::Observer;
use super::session::Session;
use crate::step::StepConfig;
use crate::{Recipe, TrainError, folder};

/// Number of images that the encoder processes at a time. It is fixed, so that a file that is computed again has the same bytes.
const IMAGES: usize = 16;
/// Number of records whose images are compared between two reports of the progress.
const RECORDS: usize = 1024;
/// The version of how outputs are computed: it changes whenever the bytes of the file would change.
const VERSION: u32 = 1;

/// Why the outputs of a frozen image encoder are computed in each step.
enum NoCache {
    Off,
    TrainedLater,
    RandomImages,
    PatchDropout,
    NoImages,
    TooManyImages,
    Limit { needed: u64, limit: u64 },
}

impl NoCache {
    /// The reason why outputs cannot be cached with these settings.
    fn of(recipe: &Recipe, config: &ModelConfig, preparation: &Preparation) -> Option<Self> {
        match () {
            () if !recipe.train.cache => Some(Self::Off),
            () if !recipe.freezes_image_encoder(config) => Some(Self::TrainedLater),
            () if preparation.sentence_pairs => Some(Self::NoImages),
            () if preparation.preprocess().is_random() => Some(Self::RandomImages),
            () if recipe.train.patch_keep < 1.0 => Some(Self::PatchDropout),
            () => None,
        }
    }

    /// The end of the sentence "the outputs of the frozen image encoder are computed in each step: ...".
    fn cause(&self) -> String {
        match self {
            Self::Off => "train.cache is false".into(),
            Self::TrainedLater => "it is trained later (train.freeze_steps)".into(),
            Self::RandomImages => {
                "training changes the images at random (to cache them, set augment.crop = false and augment.operations = 0)"
                    .into()
            }
            Self::PatchDropout => "train.patch_keep drops patches at random".into(),
            Self::NoImages => "the task reads no images".into(),
            Self::TooManyImages => "there are too many images for one file".into(),
            Self::Limit { needed, limit } => {
                let [needed, limit] = [*needed, *limit].map(size_of_file);
                format!("a file of them needs {needed}, and train.cache_limit is {limit}")
            }
        }
    }
}

impl Session<'_> {
    /// Opens the file with the outputs of a frozen image encoder, and computes it first if there is none. The loader then reads
    /// outputs from it and decodes no images. A note says whether and why.
    ///
    /// # Errors
    /// When an image cannot be read or decoded, or the file cannot be written.
    pub(super) fn open_image_cache(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let config = self.model().config();
        if !self.recipe.frozen(config, self.progress.step).image {
            return Ok(());
        }
        let cache = match NoCache::of(&self.recipe, config, &self.preparation) {
            Some(cause) => Err(cause),
            None => {
                // Nothing is lost if the process ends during this work: it is done again.
                observer.saves(false);
                let cache = self.image_cache(observer);
                observer.saves(true);
                cache?
            }
        };
        match cache {
            Ok(cache) => {
                observer.note(&format!(
                    "the outputs of the frozen image encoder for {} images are cached as {} ({}): training computes them once",
                    cache.images(),
                    CacheFormat::F16.name(),
                    size_of_file(cache.bytes())
                ));
                self.progress.image_cache = Some(CacheFormat::F16);
                self.preparation.image_cache = Some(Arc::new(cache));
            }
            Err(cause) => observer
                .note(&format!("the outputs of the frozen image encoder are computed in each step: {}", cause.cause())),
        }
        Ok(())
    }

    /// The file in the run folder; it is computed if there is none that can be used.
    fn image_cache(&self, observer: &mut dyn Observer) -> Result<Result<ImageCache, NoCache>, TrainError> {
        let (path, key) = (self.folder.join(folder::IMAGE_CACHE), self.image_cache_key());
        match ImageCache::open(&path, &key) {
            Ok(cache) => return Ok(Ok(cache)),
            Err(Unusable::Absent) => {}
            Err(Unusable::Foreign) => observer.note(&format!(
                "`{}` was computed for another model, other data or other settings: it is computed again",
                path.display()
            )),
            Err(Unusable::Damaged(cause)) => {
                observer.note(&format!("`{}` is damaged ({cause}): it is computed again", path.display()));
            }
        }
        let Some(index) = ImageIndex::of(&image_digests(&self.sources, observer)?) else {
            return Ok(Err(NoCache::TooManyImages));
        };
        if index.images().is_empty() {
            return Ok(Err(NoCache::NoImages));
        }
        let ImageOutputSizes { tokens, width, query } = self.model().image_output_sizes();
        let records = self.sources.iter().map(|source| source.source.len()).collect();
        let side = self.model().config().image.size;
        let header =
            CacheHeader { key: key.clone(), side, tokens, width, query, records, images: index.images().len() };
        let limit = self.recipe.train.cache_limit;
        match header.bytes() {
            Some(needed) if needed <= limit => self.write_image_cache(&path, header, &index, observer)?,
            needed => return Ok(Err(NoCache::Limit { needed: needed.unwrap_or(u64::MAX), limit })),
        }
        let failed = |cause| TrainError::ImageCache {
            path: path.clone(),
            size: "just written".into(),
            source: io::Error::other(format!("it cannot be read back: {cause:?}")),
        };
        Ok(Ok(ImageCache::open(&path, &key).map_err(failed)?))
    }

    /// A hash of everything that the outputs and the order of the records depend on.
    fn image_cache_key(&self) -> String {
        let mut weights = EncoderDigest(vec![]);
        self.model().visit_weights(&mut weights);
        let (config, recipe) = (self.model().config(), &self.recipe);
        let all = json!({
            "version": VERSION,
            "weights": format!("{:032x}", digest(&weights.0)),
            "image": config.image,
            "query": config.text_prompts,
            "transforms": self.preparation.train_transforms,
            "precision": format!("{:?}", self.precision()),
            "data": self.progress.data,
            "records": self.sources.iter().map(|source| source.source.len()).collect::<Vec<_>>(),
            "task": recipe.task,
            "share": recipe.finetune.share,
            "seed": recipe.seed,
        });
        format!("{:032x}", digest(all.to_string()))
    }

    fn precision(&self) -> ComputePrecision {
        StepConfig::of(&self.recipe).precision
    }

    /// Computes the outputs of all images of the index and writes them.
    fn write_image_cache(
        &self,
        path: &Path,
        header: CacheHeader,
        index: &ImageIndex,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let (mut failed, all) = (None, index.images().len() as u64);
        let size = size_of_file(header.bytes().unwrap_or(0));
        let (model, precision) = (self.model().valid(), self.precision());
        let write = |temporary: &Path| -> io::Result<()> {
            let file = BufWriter::with_capacity(1 << 20, File::create(temporary)?);
            let mut writer = ImageCacheWriter::start(file, header.clone(), index)?;
            for (number, images) in index.images().chunks(IMAGES).enumerate() {
                observer.working("image encoder", (number * IMAGES) as u64, all);
                let (hashes, images) = decode(&self.sources, &self.preparation, images).map_err(|error| {
                    failed = Some(error);
                    io::Error::other("an image cannot be read")
                })?;
                writer.add(&hashes, &model.image_outputs(&images, precision))?;
            }
            observer.working("image encoder", all, all);
            writer.finish().map(|_| ())
        };
        let written = write_atomically(path, write);
        match (written, failed) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(error)) => Err(error),
            (Err(source), None) => Err(TrainError::ImageCache { path: path.into(), size, source }),
        }
    }
}

/// Decodes the images of some records: the hashes of their pixels, and the images as training sees them.
fn decode(
    sources: &[WeightedSource],
    preparation: &Preparation,
    records: &[(usize, usize)],
) -> Result<(Vec<u64>, Images), TrainError> {
    let image = |&(source, position): &(usize, usize)| {
        let source = &sources[source].source;
        let record = source.get(position)?;
        let failed =
            |error| DataError::Record { id: record.id.clone(), source_name: source.name().into(), source: error };
        let file = record
            .image
            .as_ref()
            .map(|image| ImageFile { bytes: &image.bytes, name: image.path.as_deref().unwrap_or(&record.id) });
        let transforms = &preparation.train_transforms;
        let processed = preparation.processor.input_with(transforms, None, file, None).map_err(failed)?;
        let found = processed.and_then(|one| one.image_hash.zip(one.input.image().cloned()));
        // The index names only records with an image.
        found.ok_or_else(|| DataError::OutOfRange {
            source_name: source.name().into(),
            index: position,
            len: source.len(),
        })
    };
    let decoded = records.par_iter().map(image).collect::<Result<Vec<_>, DataError>>()?;
    let hashes = decoded.iter().map(|(hash, _)| *hash).collect();
    Ok((hashes, Images::collect(decoded.iter().map(|(_, image)| image))))
}

/// A size like `0.3 MB` or `4.1 GB`.
fn size_of_file(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    if megabytes < 1000.0 { format!("{megabytes:.1} MB") } else { format!("{:.1} GB", megabytes / 1000.0) }
}

/// A hash of the bytes of the image of each record of each source.
fn image_digests(
    sources: &[WeightedSource],
    observer: &mut dyn Observer,
) -> Result<Vec<Vec<Option<u128>>>, TrainError> {
    let all: usize = sources.iter().map(|source| source.source.len()).sum();
    let (mut digests, mut done) = (vec![], 0);
    for source in sources.iter().map(|source| &source.source) {
        let mut of_source = Vec::with_capacity(source.len());
        while of_source.len() < source.len() {
            observer.working("images", done as u64, all as u64);
            let next = of_source.len()..source.len().min(of_source.len() + RECORDS);
            done += next.len();
            let digest = |position| Ok(source.get(position)?.image.map(|image| digest(&image.bytes)));
            of_source.extend(next.into_par_iter().map(digest).collect::<Result<Vec<_>, DataError>>()?);
        }
        digests.push(of_source);
    }
    observer.working("images", all as u64, all as u64);
    Ok(digests)
}

/// Collects the names and hashes of the weights of the image encoder.
struct EncoderDigest(Vec<u8>);

impl WeightVisitor for EncoderDigest {
    fn visit<const D: usize>(&mut self, name: Name, param: &Param<Tensor<D>>) {
        if name.path.starts_with(IMAGE_ENCODER) {
            let values: Vec<f32> = param.val().into_data().try_into_vec().expect("the model computes in f32");
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            self.0.extend(name.path.bytes());
            self.0.extend(digest(bytes).to_le_bytes());
        }
    }
}
