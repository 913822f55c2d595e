//! Data leakage: whether a model has learned from the pairs that it is to be scored on.
//!
//! An image counts as known if its pixels are those of an image that the model has learned from, in whatever file, table or
//! name. Pairs with known images are refused. A text counts as known if it is the same word for word. A known text alone is not
//! refused, because in radiology many reports of different patients are equal ("no acute disease"); the number of such texts is
//! reported.
//!
//! Bundles contain hashes of the images and texts ([`Learned`]). For bundles of earlier versions, which have no hashes, records
//! are compared by their ids, if the training data is available, and only records with the same image count as known.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use ptu_data::{InputForm, Manifest, Record, ShardFolder, Source, Split};
use ptu_infer::task::{Predicted, TaskDescription};
use ptu_input::Picture;
use ptu_input::text::text_hash;
use ptu_model::{Learned, TrainedOn};
use serde::{Deserialize, Serialize};

use crate::gallery::{Gallery, Pair};
use crate::{EvaluateError, EvaluateOptions};

/// How pairs were compared with the training data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComparedBy {
    /// By hashes of all images and texts that the model has learned from.
    Hashes,
    /// By ids of records, if the training data is available.
    Ids,
}

/// How many pairs of a gallery a model has learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingOverlap {
    /// How the pairs were compared with the training data.
    pub by: ComparedBy,
    /// Number of pairs whose image is an image of the training data.
    pub images: usize,
    /// Number of pairs with a text that is, word for word, a text of the training data.
    pub texts: usize,
}

/// A record that a task reads: its id, and hashes of what the model saw of it.
pub struct ReadRecord<'a> {
    /// Id of the record.
    pub id: &'a str,
    /// Hash of the pixels of its image; `None` if the model saw none.
    pub image: Option<u64>,
    /// Hash of its text; `None` if the model saw none.
    pub text: Option<u64>,
}

impl<'a> ReadRecord<'a> {
    /// What a task reads of predicted records. Questions are not among it: many records have the same one.
    pub fn of(task: &TaskDescription, predicted: &'a [Predicted]) -> Vec<Self> {
        let reads_texts = !matches!(task.input, InputForm::Image | InputForm::Question);
        let of = |one: &'a Predicted| Self {
            id: &one.record.id,
            image: one.image_hash,
            text: one.text_hash.filter(|_| reads_texts),
        };
        predicted.iter().map(of).collect()
    }
}

/// What is known about the data that a model has learned from.
pub struct TrainingHistory<'a> {
    /// The data, each with the hash of its manifest.
    pub trained_on: &'a [TrainedOn],
    /// Hashes of the images and texts; `None` for a bundle without hashes.
    pub learned: Option<&'a Learned>,
    /// Folders of the data, if they are known.
    pub folders: &'a [PathBuf],
}

/// The known pairs of a gallery.
struct KnownPairs {
    by: ComparedBy,
    /// Rows of the gallery whose image is known.
    images: Vec<usize>,
    /// Number of pairs with a known text.
    texts: usize,
}

impl TrainingHistory<'_> {
    /// Refuses the split that the model was trained on, and other data in the place of the run's own, before any record is read.
    ///
    /// # Errors
    /// [`EvaluateError::Learned`], [`EvaluateError::Replaced`].
    pub fn check_split(&self, path: &Path, options: &EvaluateOptions) -> Result<(), EvaluateError> {
        let (manifest, split) = (Manifest::read(path)?, options.split);
        match self.is_training_data(&manifest) {
            true if split == Split::Train => {
                Err(EvaluateError::Learned { path: path.into(), cause: format!("all records of its split `{split}`") })
            }
            // Models of earlier versions do not name their data.
            false if options.is_own_data && !self.trained_on.is_empty() => {
                Err(EvaluateError::Replaced { path: path.into() })
            }
            _ => Ok(()),
        }
    }

    /// True if the model was trained on the data of this manifest.
    fn is_training_data(&self, manifest: &Manifest) -> bool {
        let hash = manifest.hash();
        self.trained_on.iter().any(|data| data.manifest == hash)
    }

    /// Counts the known images and texts of a gallery, and gives notes about them for the user. Refuses a gallery with known
    /// images, unless `forced` is true or the gallery is another split of the training data: such images were reported by
    /// `prepare`, and the splits are scored as they were published.
    ///
    /// # Errors
    /// [`EvaluateError::Learned`], or an error of training data that cannot be read.
    pub fn check(
        &self,
        path: &Path,
        source: &ShardFolder,
        gallery: &Gallery,
        forced: bool,
    ) -> Result<(TrainingOverlap, Vec<String>), EvaluateError> {
        let manifest = source.manifest();
        let known = match self.learned {
            Some(learned) => by_hashes(learned, gallery),
            None => self.by_ids(manifest, gallery)?,
        };
        let (all, images, texts) = (gallery.records.len(), known.images.len(), known.texts);
        let mut notes = vec![];
        if images > 0 {
            let first = &gallery.records[known.images[0]];
            let example = match self.training_record(first)? {
                Some((id, folder)) => format!("`{}`, which is `{id}` of `{}`", first.id, folder.display()),
                None => format!("`{}`", first.id),
            };
            let cause = format!("the images of {images} of {all} pairs, among them {example}");
            if !(forced || (source.split() != Split::Train && self.is_training_data(manifest))) {
                return Err(EvaluateError::Learned { path: path.into(), cause });
            }
            notes.push(format!("the model was trained on {cause}; it may have memorised them"));
        }
        if texts > 0 {
            notes.push(format!(
                "{texts} of {all} texts are word for word equal to texts that the model was trained on, which is \
                 common for short reports; it may have memorised them"
            ));
        }
        if known.by == ComparedBy::Ids {
            notes.push(
                "this bundle has no hashes of its training data (an earlier version wrote it, or they were deleted), \
                 so only the ids of records were compared, and only with training data that was found"
                    .into(),
            );
        }
        Ok((TrainingOverlap { by: known.by, images, texts }, notes))
    }

    /// The same check for records that a task reads, by hashes alone. Records that have no image are refused by their texts: if more
    /// than half of them are known, which is more than short reports have in common by chance.
    ///
    /// # Errors
    /// [`EvaluateError::Learned`].
    pub fn check_records(
        &self,
        path: &Path,
        source: &ShardFolder,
        records: &[ReadRecord<'_>],
        forced: bool,
    ) -> Result<(TrainingOverlap, Vec<String>), EvaluateError> {
        let Some(learned) = self.learned else {
            let note = "this bundle contains no hashes of its training data, so records were not compared with it";
            return Ok((TrainingOverlap { by: ComparedBy::Ids, images: 0, texts: 0 }, vec![note.into()]));
        };
        let known = |part: &str, of: &dyn Fn(&ReadRecord<'_>) -> Option<bool>| {
            let all: Vec<(&str, bool)> = records.iter().filter_map(|one| Some((one.id, of(one)?))).collect();
            let known: Vec<&str> = all.iter().filter(|(_, is_known)| *is_known).map(|(id, _)| *id).collect();
            let first = known.first().map_or("", |first| *first);
            let cause = format!("the {part} of {} of {} records, among them `{first}`", known.len(), all.len());
            (known.len(), all.len(), cause)
        };
        let images = known("images", &|one| Some(learned.images.contains(&one.image?)));
        let texts = known("texts", &|one| Some(learned.texts.contains(&one.text?)));
        let overlap = TrainingOverlap { by: ComparedBy::Hashes, images: images.0, texts: texts.0 };
        let may_score = forced || (source.split() != Split::Train && self.is_training_data(source.manifest()));
        let mut notes = vec![];
        for ((count, _, cause), is_refused) in
            [(&images, images.0 > 0), (&texts, images.1 == 0 && 2 * texts.0 > texts.1)]
        {
            if is_refused && !may_score {
                return Err(EvaluateError::Learned { path: path.into(), cause: cause.clone() });
            }
            if *count > 0 {
                notes.push(format!("the model was trained on {cause}; it may have memorised them"));
            }
        }
        Ok((overlap, notes))
    }

    /// Compares the pairs with the training records of the same id. A text or image is known if that record has it too.
    fn by_ids(&self, manifest: &Manifest, gallery: &Gallery) -> Result<KnownPairs, EvaluateError> {
        let (mut images, mut texts) = (HashSet::new(), HashSet::new());
        // In the training data itself no comparison is needed: each patient is in one split only.
        let is_other = !self.is_training_data(manifest);
        for (_, folder) in self.training_folders().filter(|(other, _)| is_other && other.source == manifest.source) {
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
        Ok(KnownPairs { by: ComparedBy::Ids, images, texts: texts.len() })
    }

    /// Folders that contain the training data. Folders that were moved or changed since the training are not in the result.
    fn training_folders(&self) -> impl Iterator<Item = (Manifest, &PathBuf)> {
        let read = |folder: &'_ PathBuf| Manifest::read(folder).ok();
        let opened = self.folders.iter().filter_map(move |folder| Some((read(folder)?, folder)));
        opened.filter(|(manifest, _)| self.is_training_data(manifest))
    }

    /// The training record that has a pair's image, for a message. It is searched among records with the same id or text.
    fn training_record(&self, pair: &Pair) -> Result<Option<(String, PathBuf)>, EvaluateError> {
        for (_, folder) in self.training_folders() {
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

/// Largest number of training records whose images are compared to find the one to name in a message.
const CANDIDATES: usize = 50;

/// Compares the pairs with the hashes of the training data.
fn by_hashes(learned: &Learned, gallery: &Gallery) -> KnownPairs {
    let knows_text = |pair: &&Pair| {
        learned.texts.contains(&pair.text_hash) || pair.own_texts.iter().any(|text| learned.texts.contains(text))
    };
    let images = gallery.records.iter().enumerate().filter(|(_, pair)| learned.images.contains(&pair.image_hash));
    KnownPairs {
        by: ComparedBy::Hashes,
        images: images.map(|(row, _)| row).collect(),
        texts: gallery.records.iter().filter(knows_text).count(),
    }
}

/// True if the record and the pair have a text in common.
fn shares_text(record: &Record, pair: &Pair) -> bool {
    record.texts.iter().any(|text| pair.own_texts.contains(&text_hash(text.trim())))
}

/// True if the record has the image of the pair.
fn has_image(record: &Record, pair: &Pair) -> bool {
    let picture = record.image.as_ref().and_then(|image| Picture::decode(&image.bytes, &record.id).ok());
    picture.is_some_and(|picture| picture.content_hash() == pair.image_hash)
}
