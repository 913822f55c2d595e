//! Whether a model has learned from what it is to be scored on.
//!
//! An image counts as known when its pixels are those of an image that was learned from, whatever file, table or name it comes
//! from: pairs with known images are refused. A text counts as known when it is the same, word for word. That alone refuses
//! nothing, since in radiology many reports read alike ("no acute disease") whoever they are about: it is told, with the count.
//!
//! Bundles carry hashes of both ([`Learned`]). For those of earlier versions records are compared by their names, where the
//! training data is at hand, and only those whose image is the same are known.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use ptu_data::{Manifest, Record, ShardFolder, Source, Split};
use ptu_input::Picture;
use ptu_input::text::text_hash;
use ptu_model::{Learned, TrainedOn};
use serde::{Deserialize, Serialize};

use crate::EvaluateError;
use crate::gallery::{Gallery, Pair};

/// How it was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LookedFor {
    /// By hashes of all that was learned from.
    Hashes,
    /// By names of records, where the training data is at hand.
    Ids,
}

/// What of a gallery a model has learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// How it was looked for.
    pub by: LookedFor,
    /// Pairs whose image was learned from.
    pub images: usize,
    /// Pairs one of whose texts was learned from, word for word.
    pub texts: usize,
}

/// What a model is known to have learned from.
pub struct Past<'a> {
    /// Data, by the hash of its manifest.
    pub trained_on: &'a [TrainedOn],
    /// Hashes; `None` in a bundle without.
    pub learned: Option<&'a Learned>,
    /// Folders of the data, where they are known.
    pub folders: &'a [PathBuf],
}

/// The pairs of a gallery that are known, by their places in it.
struct Found {
    by: LookedFor,
    images: Vec<usize>,
    texts: usize,
}

impl Past<'_> {
    /// Refuses the very split that was learned from, before anything of it is read.
    ///
    /// # Errors
    /// [`EvaluateError::Learned`].
    pub fn check_split(&self, path: &Path, manifest: &Manifest, split: Split) -> Result<(), EvaluateError> {
        if split == Split::Train && self.is_own(manifest) {
            return Err(EvaluateError::Learned { path: path.into(), cause: format!("all of its split `{split}`") });
        }
        Ok(())
    }

    fn is_own(&self, manifest: &Manifest) -> bool {
        let hash = manifest.hash();
        self.trained_on.iter().any(|data| data.manifest == hash)
    }

    /// Counts what is known of a gallery, and refuses images that are, unless it is `forced` or they lie in another split of the
    /// data that was learned from: then `prepare` has told of them, and their splits are as they were published.
    ///
    /// # Errors
    /// [`EvaluateError::Learned`]; training data that cannot be read.
    pub fn check(
        &self,
        path: &Path,
        source: &ShardFolder,
        gallery: &Gallery,
        forced: bool,
    ) -> Result<(Known, Vec<String>), EvaluateError> {
        let manifest = source.manifest();
        let found = match self.learned {
            Some(learned) => by_hashes(learned, gallery),
            None => self.by_ids(manifest, gallery)?,
        };
        let (all, images, texts) = (gallery.records.len(), found.images.len(), found.texts);
        let mut notes = vec![];
        if images > 0 {
            let first = &gallery.records[found.images[0]];
            let example = match self.original(first)? {
                Some((id, folder)) => format!("`{}`, which is `{id}` of `{}`", first.id, folder.display()),
                None => format!("`{}`", first.id),
            };
            let cause = format!("the images of {images} of {all} pairs, among them {example}");
            if !(forced || (source.split() != Split::Train && self.is_own(manifest))) {
                return Err(EvaluateError::Learned { path: path.into(), cause });
            }
            notes.push(format!("the model has learned from {cause}: what it says of them it may know by heart"));
        }
        if texts > 0 {
            notes.push(format!(
                "{texts} of {all} texts are word for word among those that the model has learned from, as short reports often are: \
                 what it says of these words it may know by heart"
            ));
        }
        if found.by == LookedFor::Ids {
            notes.push(
                "this bundle holds no hashes of what it has learned from (it is of an earlier version, or they were deleted): only names of \
                 records were compared, with training data that is at hand"
                    .into(),
            );
        }
        Ok((Known { by: found.by, images, texts }, notes))
    }

    /// Records of the same name in data that was learned from; known are those whose image is the same.
    fn by_ids(&self, manifest: &Manifest, gallery: &Gallery) -> Result<Found, EvaluateError> {
        let (mut images, mut texts) = (HashSet::new(), HashSet::new());
        // Patients of the data itself are in one split each.
        let elsewhere = !self.is_own(manifest);
        for (_, folder) in self.training().filter(|(other, _)| elsewhere && other.source == manifest.source) {
            let train = ShardFolder::open(folder, Split::Train)?;
            let places: HashMap<String, usize> =
                train.ids()?.into_iter().enumerate().map(|(place, id)| (id, place)).collect();
            for (row, pair) in gallery.records.iter().enumerate() {
                let Some(place) = places.get(&pair.id) else { continue };
                let record = train.get(*place)?;
                if shares_text(&record, pair) {
                    texts.insert(row);
                }
                if has_image(&record, pair) {
                    images.insert(row);
                }
            }
        }
        let mut images: Vec<usize> = images.into_iter().collect();
        images.sort_unstable();
        Ok(Found { by: LookedFor::Ids, images, texts: texts.len() })
    }

    /// Folders that hold what was learned from. What the model was trained on may be elsewhere by now: then nothing is said.
    fn training(&self) -> impl Iterator<Item = (Manifest, &PathBuf)> {
        let read = |folder: &'_ PathBuf| Manifest::read(folder).ok();
        let opened = self.folders.iter().filter_map(move |folder| Some((read(folder)?, folder)));
        opened.filter(|(manifest, _)| self.is_own(manifest))
    }

    /// The record that a pair's image was learned from, for a message: looked for among those of the same name or text.
    fn original(&self, pair: &Pair) -> Result<Option<(String, PathBuf)>, EvaluateError> {
        for (_, folder) in self.training() {
            let Ok(train) = ShardFolder::open(folder, Split::Train) else { continue };
            let (mut place, mut candidates) = (0, vec![]);
            train.each_without_image(&mut |record| {
                if candidates.len() < CANDIDATES && (record.id == pair.id || shares_text(&record, pair)) {
                    candidates.push(place);
                }
                place += 1;
            })?;
            for place in candidates {
                let record = train.get(place)?;
                if has_image(&record, pair) {
                    return Ok(Some((record.id, folder.clone())));
                }
            }
        }
        Ok(None)
    }
}

/// Training records whose images are compared to name one of them.
const CANDIDATES: usize = 50;

fn by_hashes(learned: &Learned, gallery: &Gallery) -> Found {
    let knows_text = |pair: &&Pair| {
        learned.texts.contains(&pair.text_hash) || pair.own_texts.iter().any(|text| learned.texts.contains(text))
    };
    let images = gallery.records.iter().enumerate().filter(|(_, pair)| learned.images.contains(&pair.image_hash));
    Found {
        by: LookedFor::Hashes,
        images: images.map(|(row, _)| row).collect(),
        texts: gallery.records.iter().filter(knows_text).count(),
    }
}

fn shares_text(record: &Record, pair: &Pair) -> bool {
    record.texts.iter().any(|text| pair.own_texts.contains(&text_hash(text.trim())))
}

fn has_image(record: &Record, pair: &Pair) -> bool {
    let picture = record.image.as_ref().and_then(|image| Picture::decode(&image.bytes, &record.id).ok());
    picture.is_some_and(|picture| picture.content_hash() == pair.image_hash)
}
