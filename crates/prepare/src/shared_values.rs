//! Finds values that several records share (images, texts, patients, ids). Records are sorted on disk, so that memory use does
//! not grow with their number.

use std::cmp::Reverse;
use std::io;
use std::path::Path;

use ext_sort::{ExternalSorter, LimitedBufferBuilder, SortError};
use ptu_data::DataError;
use ptu_data::manifest::Common;
use ptu_data::record::Split;
use ptu_input::image::PerceptualHash;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::draft::RecordFingerprint;

/// Two pictures look alike if their perceptual hashes of 256 bits differ in at most this number of bits.
const MAX_DISTANCE: u32 = 7;

/// Number of bands into which the bits of a hash are divided: two pictures that look alike have at least one band in common.
const BAND_COUNT: u32 = 8;

/// Largest number of pictures with one band in common that are compared with each other; if there are more, the band is ignored.
const BAND_LIMIT: usize = 2_000;

/// Items that are sorted in memory at once: about 10 MB.
const CHUNK_ITEMS: u64 = 100_000;

/// Largest number of files that are merged at once; if there would be more, chunks become larger.
const MAX_CHUNKS: u64 = 400;

/// The number of a record among all records, in the order of blocks and splits.
pub(crate) type RecordNumber = u64;

/// What is compared of a record.
pub(crate) type NumberedFingerprint = (RecordNumber, Split, RecordFingerprint);

/// A value that a record has in common with another record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum SharedValue {
    /// The record is in the first of these splits, and a record of the second has the same value (both may be the same split). A
    /// patient who is in two splits is reported for one record only.
    Shared(Common, [Split; 2]),
    /// An earlier record has the same id.
    SameId,
}

/// All values that records share, in the order of the records.
///
/// Each call of `fingerprints` starts again at the first record. `records` is their approximate number. Large sets are sorted in
/// `folder`.
///
/// # Errors
/// When a fingerprint cannot be read, or when the system reports an error.
pub(crate) fn find_shared_values<M: Iterator<Item = Result<NumberedFingerprint, DataError>>>(
    folder: &Path,
    records: u64,
    mut fingerprints: impl FnMut() -> M,
) -> Result<impl Iterator<Item = Result<(RecordNumber, SharedValue), DataError>>, DataError> {
    let keys = fingerprints().flat_map(|one| into_results(one.map(keys)));
    let equal = equal_values(external_sort(folder, records.saturating_mul(4), keys)?);
    let bands = fingerprints().flat_map(|one| into_results(one.map(bands)));
    let similar = similar_images(external_sort(folder, records.saturating_mul(BAND_COUNT.into()), bands)?);
    let mut last = None;
    let all = external_sort(folder, records, equal.chain(similar))?;
    // Two pictures that look alike are found once for each band that they have in common.
    Ok(all.filter(move |one| match one {
        Ok(one) => last.replace(*one) != Some(*one),
        Err(_) => true,
    }))
}

/// Sorts any number of items with little memory, in temporary files in a folder within `folder`. `expected` is the approximate
/// number of items.
///
/// # Errors
/// When an item is an error, or when the system reports an error.
pub(crate) fn external_sort<T: Ord + Send + Serialize + DeserializeOwned>(
    folder: &Path,
    expected: u64,
    items: impl Iterator<Item = Result<T, DataError>>,
) -> Result<impl Iterator<Item = Result<T, DataError>>, DataError> {
    let io_error = |error: io::Error| DataError::io("sort in", folder)(error);
    let chunk = CHUNK_ITEMS.max(expected / MAX_CHUNKS);
    let buffer = LimitedBufferBuilder::new(usize::try_from(chunk).unwrap_or(usize::MAX), false);
    let sort_error = |error| match error {
        SortError::InputError(error) => error,
        SortError::IO(error) | SortError::TempDir(error) => io_error(error),
        error => io_error(io::Error::other(error.to_string())),
    };
    let sorter = ExternalSorter::<T, DataError>::new(None, Some(folder), buffer, None).map_err(sort_error)?;
    let merged = sorter.sort(items).map_err(sort_error)?;
    let folder = folder.to_path_buf();
    Ok(merged.map(move |item| {
        // The sorter must live as long as the iterator: dropping it removes the temporary folder.
        let _sorter = &sorter;
        item.map_err(|error| DataError::io("sort in", &folder)(io::Error::other(error.to_string())))
    }))
}

/// A value by which records are compared. Later splits sort first, so that their values are known when the records of earlier
/// splits follow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Key {
    Image(u128, Reverse<Split>),
    Text(u128, Reverse<Split>),
    Patient(u128, Reverse<Split>),
    Id(u128),
}

impl Key {
    /// The kind of the value (`None` for an id) and the value.
    fn value(self) -> (Option<Common>, u128) {
        match self {
            Self::Image(value, _) => (Some(Common::Image), value),
            Self::Text(value, _) => (Some(Common::Text), value),
            Self::Patient(value, _) => (Some(Common::Patient), value),
            Self::Id(value) => (None, value),
        }
    }
}

/// A picture with one band of the bits of its perceptual hash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Band {
    band: u32,
    bits: u32,
    number: RecordNumber,
    split: Split,
    image: u128,
    perceptual_hash: PerceptualHash,
}

fn keys((number, split, fingerprint): NumberedFingerprint) -> Vec<(Key, RecordNumber)> {
    let later = Reverse(split);
    let image = fingerprint.image.map(|value| Key::Image(value, later));
    let text = fingerprint.text.map(|value| Key::Text(value, later));
    let names = [Key::Patient(fingerprint.patient, later), Key::Id(fingerprint.id)];
    image.into_iter().chain(text).chain(names).map(|key| (key, number)).collect()
}

fn bands((number, split, fingerprint): NumberedFingerprint) -> Vec<Band> {
    let (Some(perceptual_hash), Some(image)) = (fingerprint.perceptual_hash, fingerprint.image) else { return vec![] };
    let bits = |band: u32| (perceptual_hash.0[(band / 4) as usize] >> (32 * (band % 4))) as u32;
    (0..BAND_COUNT).map(|band| Band { band, bits: bits(band), number, split, image, perceptual_hash }).collect()
}

/// The items as results; an error becomes a list of one error.
pub(crate) fn into_results<T>(items: Result<Vec<T>, DataError>) -> Vec<Result<T, DataError>> {
    match items {
        Ok(items) => items.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

/// The shared values of records with equal keys: one for each later split that has the value, and one if an earlier record of
/// the same split has it.
fn equal_values(
    sorted: impl Iterator<Item = Result<(Key, RecordNumber), DataError>>,
) -> impl Iterator<Item = Result<(RecordNumber, SharedValue), DataError>> {
    let mut group = None;
    let mut splits: Vec<Split> = vec![];
    sorted.flat_map(move |entry| {
        let (key, number) = match entry {
            Ok(entry) => entry,
            Err(error) => return vec![Err(error)],
        };
        let first_of_group = group.replace(key.value()) != Some(key.value());
        if first_of_group {
            splits.clear();
        }
        let (Key::Image(_, Reverse(split)) | Key::Text(_, Reverse(split)) | Key::Patient(_, Reverse(split))) = key
        else {
            return if first_of_group { vec![] } else { vec![Ok((number, SharedValue::SameId))] };
        };
        let first = splits.last() != Some(&split);
        if first {
            splits.push(split);
        }
        let is_reported = |with: &&Split| match key {
            Key::Patient(..) => first && **with != split,
            _ => !first || **with != split,
        };
        let common = key.value().0;
        let shared = |with: &Split| common.map(|common| Ok((number, SharedValue::Shared(common, [split, *with]))));
        splits.iter().filter(is_reported).filter_map(shared).collect()
    })
}

/// Pictures of different splits that look alike but are not equal. The picture of the earlier split is reported.
fn similar_images(
    sorted: impl Iterator<Item = Result<Band, DataError>>,
) -> impl Iterator<Item = Result<(RecordNumber, SharedValue), DataError>> {
    let mut sorted = sorted.peekable();
    std::iter::from_fn(move || {
        let first = match sorted.next()? {
            Ok(first) => first,
            Err(error) => return Some(vec![Err(error)]),
        };
        let mut group = vec![first];
        let mut count = 1;
        let band = (group[0].band, group[0].bits);
        while let Some(next) = sorted.next_if(|next| next.as_ref().is_ok_and(|next| (next.band, next.bits) == band)) {
            count += 1;
            group.extend(next.ok().filter(|_| count <= BAND_LIMIT));
        }
        let group = if count > BAND_LIMIT { vec![] } else { group };
        let shared_values = group.iter().flat_map(|one| {
            let later = Split::ALL.into_iter().filter(|later| *later > one.split);
            let shared = later.filter(|later| group.iter().any(|two| two.split == *later && one.looks_like(two)));
            shared.map(|later| Ok((one.number, SharedValue::Shared(Common::NearImage, [one.split, later]))))
        });
        Some(shared_values.collect())
    })
    .flatten()
}

impl Band {
    fn looks_like(&self, other: &Self) -> bool {
        self.image != other.image && self.perceptual_hash.distance(&other.perceptual_hash) <= MAX_DISTANCE
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use ptu_data::files::digest;

    /// Records with random values; there are few different values, so that many are shared.
    fn random_fingerprints(count: u64) -> Vec<NumberedFingerprint> {
        let draw = |number: u64, kind: u64, among: u64| digest(format!("{number} {kind}")) as u64 % among;
        let fingerprint = |number: u64| {
            let image = draw(number, 0, 3 * count / 2);
            let many = u128::from(image).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            // A few pictures look like the one with number 0.
            let hash = if image < 300 { [u128::MAX, (1 << (image % 10)) - 1] } else { [many, !many.rotate_left(31)] };
            RecordFingerprint {
                id: draw(number, 1, 20 * count).into(),
                patient: draw(number, 2, 5 * count).into(),
                image: (!number.is_multiple_of(9)).then_some(image.into()),
                perceptual_hash: (!number.is_multiple_of(9)).then_some(PerceptualHash(hash)),
                text: (!number.is_multiple_of(5)).then(|| draw(number, 3, count / 3).into()),
            }
        };
        let split = |number: u64| Split::ALL[draw(number, 4, 3) as usize];
        (0..count).map(|number| (number, split(number), fingerprint(number))).collect()
    }

    /// A kind of value (none for ids) and a value.
    type Value = (Option<Common>, u128);

    /// The expected result, from a direct comparison in memory.
    fn wanted(all: &[NumberedFingerprint]) -> Vec<(RecordNumber, SharedValue)> {
        let mut wanted = vec![];
        let mut groups: BTreeMap<Value, Vec<(RecordNumber, Split)>> = BTreeMap::new();
        for (number, split, fingerprint) in all {
            let of = [
                (Some(Common::Image), fingerprint.image),
                (Some(Common::Text), fingerprint.text),
                (Some(Common::Patient), Some(fingerprint.patient)),
                (None, Some(fingerprint.id)),
            ];
            for (common, value) in of {
                value.into_iter().for_each(|value| groups.entry((common, value)).or_default().push((*number, *split)));
            }
        }
        for ((common, _), members) in groups {
            for (place, (number, split)) in members.iter().enumerate() {
                let before = members[..place].iter().any(|one| one.1 == *split);
                match common {
                    None if place > 0 => wanted.push((*number, SharedValue::SameId)),
                    None => {}
                    Some(common) => {
                        let later = Split::ALL.into_iter().filter(|later| later > split);
                        let later = later.filter(|later| members.iter().any(|one| one.1 == *later));
                        let later = later.filter(|_| common != Common::Patient || !before);
                        wanted.extend(later.map(|later| (*number, SharedValue::Shared(common, [*split, later]))));
                        if before && common != Common::Patient {
                            wanted.push((*number, SharedValue::Shared(common, [*split, *split])));
                        }
                    }
                }
            }
        }
        let near: Vec<&NumberedFingerprint> =
            all.iter().filter(|one| one.2.perceptual_hash.is_some_and(|hash| hash.0[0] == u128::MAX)).collect();
        for one in &near {
            for other in near.iter().filter(|other| other.1 > one.1 && other.2.image != one.2.image) {
                if one.2.perceptual_hash.unwrap().distance(&other.2.perceptual_hash.unwrap()) <= MAX_DISTANCE {
                    wanted.push((one.0, SharedValue::Shared(Common::NearImage, [one.1, other.1])));
                }
            }
        }
        wanted.sort();
        wanted.dedup();
        wanted
    }

    #[test]
    fn shared_values_match_a_comparison_in_memory() {
        let here = tempfile::tempdir().unwrap();
        for count in [50, 30_000] {
            let all = random_fingerprints(count);
            let found = find_shared_values(here.path(), count, || all.clone().into_iter().map(Ok)).unwrap();
            let found: Vec<_> = found.map(Result::unwrap).collect();
            let wanted = wanted(&all);
            for common in [Common::Image, Common::NearImage, Common::Text, Common::Patient] {
                let of =
                    |one: &&(RecordNumber, SharedValue)| matches!(one.1, SharedValue::Shared(of, _) if of == common);
                assert!(count == 50 || wanted.iter().filter(of).count() > 10, "{common:?}");
            }
            assert!(count == 50 || wanted.iter().any(|one| one.1 == SharedValue::SameId));
            assert_eq!(found, wanted);
            assert!(std::fs::read_dir(here.path()).unwrap().next().is_none(), "nothing is left in the folder");
        }
    }

    #[test]
    fn errors_of_records_are_returned() {
        let here = tempfile::tempdir().unwrap();
        let broken = || std::iter::once(Err(DataError::DuplicateId("a".into())));
        let found = find_shared_values(here.path(), 1, broken);
        assert!(matches!(found.err(), Some(DataError::DuplicateId(id)) if id == "a"));
        let absent = here.path().join("absent");
        let found = find_shared_values(&absent, 1, || random_fingerprints(1).into_iter().map(Ok));
        assert!(found.err().unwrap().to_string().contains("absent"));
    }
}
