//! The outputs of a frozen image encoder, or of its frozen first blocks, are computed once, before the first step, and stored in the run
//! folder.
//!
//! They are the same in each step: the encoder has no dropout, its weights do not change, and without random crops neither do its
//! images. Prompts in place of a missing image go through the encoder in each step, because training may change them.
//!
//! Outputs that another run has are copied from its file: that of the run from which training starts, and those of the runs beside this
//! one, such as other seeds. Each run keeps a file of its own, so that any of them can be deleted.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::Module;
use ptu_data::files::digest;
use ptu_data::image_cache::{CacheHeader, ImageCacheWriter, ImageIndex, Unusable};
use ptu_data::{CacheFormat, DataError, ImageCache, Preparation, WeightedSource};
use ptu_input::files::write_atomically;
use ptu_input::{ImageFile, Images};
use ptu_kernels::ComputePrecision;
use ptu_model::{Frozen, ImageOutputSizes, ModelConfig};
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
const VERSION: u32 = 2;

/// Why the outputs of a frozen image encoder are computed in each step.
enum NoCache {
    Off,
    TrainedLater,
    RandomImages,
    PatchDropout,
    MaskedImages,
    NoImages,
    Limit { needed: u64, limit: u64 },
}

impl NoCache {
    /// The reason why outputs cannot be cached with these settings.
    fn of(recipe: &Recipe, config: &ModelConfig, preparation: &Preparation) -> Option<Self> {
        match () {
            () if !recipe.train.cache => Some(Self::Off),
            () if recipe.frozen_image_encoder(config) == Frozen::Nothing => Some(Self::TrainedLater),
            () if preparation.sentence_pairs => Some(Self::NoImages),
            () if preparation.preprocess().is_random() => Some(Self::RandomImages),
            () if recipe.train.patch_keep < 1.0 => Some(Self::PatchDropout),
            () if config.mim.is_some() => Some(Self::MaskedImages),
            () => None,
        }
    }

    /// The end of the sentence "the outputs of the frozen image encoder (or: of its frozen blocks) are computed in each step: ...".
    fn cause(&self) -> String {
        match self {
            Self::Off => "train.cache is false".into(),
            Self::TrainedLater => "it is trained later (train.freeze_steps)".into(),
            Self::RandomImages => {
                "training changes the images at random (to cache them, set augment.crop = false and augment.operations = 0)"
                    .into()
            }
            Self::PatchDropout => "train.patch_keep drops patches at random".into(),
            Self::MaskedImages => "masked image modelling removes patches at random".into(),
            Self::NoImages => "the task reads no images".into(),
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
        let part = match self.recipe.frozen(config, self.progress.step).image {
            Frozen::Nothing => return Ok(()),
            Frozen::Layers(1) => "the first block of the image encoder, which is frozen,".into(),
            Frozen::Layers(count) => format!("the first {count} blocks of the image encoder, which are frozen,"),
            Frozen::All => "the frozen image encoder".to_string(),
        };
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
                    "the outputs of {part} for {} images are cached as {} ({}): training computes them once",
                    cache.images(),
                    CacheFormat::F16.name(),
                    size_of_file(cache.bytes())
                ));
                self.progress.image_cache = Some(CacheFormat::F16);
                self.preparation.image_cache = Some(Arc::new(cache));
            }
            Err(cause) => observer.note(&format!("the outputs of {part} are computed in each step: {}", cause.cause())),
        }
        Ok(())
    }

    /// The file in the run folder; it is computed if there is none that can be used.
    fn image_cache(&self, observer: &mut dyn Observer) -> Result<Result<ImageCache, NoCache>, TrainError> {
        let path = self.folder.join(folder::IMAGE_CACHE);
        let (encoder, data) = (self.encoder_key(), self.data_key());
        match ImageCache::open(&path, &encoder) {
            Ok(cache) if cache.is_for(&data) => return Ok(Ok(cache)),
            Err(Unusable::Absent) => {}
            Ok(_) | Err(Unusable::Foreign) => observer.note(&format!(
                "`{}` was computed for another model, other data or other settings: it is computed again",
                path.display()
            )),
            Err(Unusable::Damaged(cause)) => {
                observer.note(&format!("`{}` is damaged ({cause}): it is computed again", path.display()));
            }
        }
        let index = ImageIndex::of(&image_digests(&self.sources, observer)?);
        let images = index.digests().len();
        if images == 0 {
            return Ok(Err(NoCache::NoImages));
        }
        let blocks = self.cached_blocks();
        let ImageOutputSizes { tokens, width, query } = self.model().image_output_sizes(blocks);
        let side = self.model().config().image.size;
        let header = CacheHeader { encoder: encoder.clone(), data, side, blocks, tokens, width, query, images };
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
        Ok(Ok(ImageCache::open(&path, &encoder).map_err(failed)?))
    }

    /// Number of blocks of the image encoder whose outputs are cached; `None` for all of it.
    fn cached_blocks(&self) -> Option<usize> {
        self.recipe.frozen_image_encoder(self.model().config()).part()
    }

    /// A hash of everything that the outputs for an image depend on.
    fn encoder_key(&self) -> String {
        let (config, blocks) = (self.model().config(), self.cached_blocks());
        let all = json!({
            "version": VERSION,
            "weights": self.model().image_encoder_digest(blocks),
            "image": config.image,
            "query": config.text_prompts,
            "transforms": self.preparation.train_transforms,
            "precision": format!("{:?}", self.precision()),
            "blocks": blocks,
        });
        format!("{:032x}", digest(all.to_string()))
    }

    /// A hash of everything that decides which images are needed.
    fn data_key(&self) -> String {
        let recipe = &self.recipe;
        let all = json!({
            "data": self.progress.data,
            "records": self.sources.iter().map(|source| source.source.len()).collect::<Vec<_>>(),
            "task": recipe.task,
            "share": recipe.finetune.share,
            "seed": recipe.seed,
        });
        format!("{:032x}", digest(all.to_string()))
    }

    /// The files of other runs with outputs of the same encoder.
    fn other_caches(&self, encoder: &str) -> Vec<ImageCache> {
        let start = self.recipe.finetune.model.as_ref().or(self.recipe.model.init.model.as_ref());
        let of_start = start.into_iter().flat_map(|path| [Some(path.as_path()), path.parent()]).flatten();
        let mut folders: Vec<PathBuf> = of_start.map(Path::to_path_buf).collect();
        // `a/run` has the parent `a`, and `run` has the parent ``, which stands for the working directory.
        let beside = self.folder.path().parent().map(|parent| Path::new(".").join(parent).read_dir());
        let mut beside: Vec<PathBuf> =
            beside.into_iter().flatten().flatten().flatten().map(|entry| entry.path()).collect();
        beside.sort();
        folders.extend(beside);
        folders.iter().filter_map(|folder| ImageCache::open(&folder.join(folder::IMAGE_CACHE), encoder).ok()).collect()
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
        let (mut failed, mut copied, all) = (None, 0, index.digests().len());
        let size = size_of_file(header.bytes().unwrap_or(0));
        let (model, precision) = (self.model().valid(), self.precision());
        let others = self.other_caches(&header.encoder);
        let write = |temporary: &Path| -> io::Result<()> {
            let file = BufWriter::with_capacity(1 << 20, File::create(temporary)?);
            let mut writer = ImageCacheWriter::start(file, header.clone(), index.digests())?;
            for (number, digests) in index.digests().chunks(IMAGES).enumerate() {
                observer.working("image encoder", (number * IMAGES) as u64, all as u64);
                let mut rows =
                    digests.iter().map(|digest| known_row(&others, *digest)).collect::<io::Result<Vec<_>>>()?;
                let records = &index.records()[number * IMAGES..][..digests.len()];
                let is_new = |(record, row): (&(usize, usize), &Option<Vec<u8>>)| row.is_none().then_some(*record);
                let new: Vec<_> = records.iter().zip(&rows).filter_map(is_new).collect();
                copied += digests.len() - new.len();
                if !new.is_empty() {
                    let (hashes, images) = decode(&self.sources, &self.preparation, &new).map_err(|error| {
                        failed = Some(error);
                        io::Error::other("an image cannot be read")
                    })?;
                    let outputs = model.image_outputs(&images, header.blocks, precision);
                    for (index, row) in rows.iter_mut().filter(|row| row.is_none()).enumerate() {
                        *row = Some(header.row(hashes[index], &outputs, index)?);
                    }
                }
                rows.iter().flatten().try_for_each(|row| writer.add(row))?;
            }
            observer.working("image encoder", all as u64, all as u64);
            writer.finish().map(|_| ())
        };
        let written = write_atomically(path, write);
        if copied > 0 {
            observer.note(&format!(
                "the outputs for {copied} of {all} images are copied from other runs of the same encoder"
            ));
        }
        match (written, failed) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(error)) => Err(error),
            (Err(source), None) => Err(TrainError::ImageCache { path: path.into(), size, source }),
        }
    }
}

/// The row of an image in the first of these files that has it.
fn known_row(files: &[ImageCache], digest: u128) -> io::Result<Option<Vec<u8>>> {
    files.iter().find_map(|file| file.row(digest).transpose()).transpose()
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
