//! What records have in common, found by sorting on disk: memory does not grow with the number of records.

use std::cmp::Reverse;
use std::io;
use std::path::Path;

use ext_sort::{ExternalSorter, LimitedBufferBuilder, SortError};
use ptu_data::DataError;
use ptu_data::manifest::Common;
use ptu_data::record::Split;
use ptu_input::image::Looks;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::draft::RecordMark;

/// Pictures that differ in so many of 256 places at most look alike.
const ALIKE: u32 = 7;

/// So many bands of their bits: two pictures that look alike are equal in at least one.
const BANDS: u32 = 8;

/// Pictures with one band in common that are compared with each other; where there are more, the band says nothing.
const BAND_LIMIT: usize = 2_000;

/// What is sorted in memory at once: some 10 MB.
const CHUNK: u64 = 100_000;

/// Files that are merged at once; beyond that, chunks grow.
const CHUNKS: u64 = 400;

/// Where a record stands: its number among all, in the order of blocks and splits.
pub(crate) type Number = u64;

/// A record, as it is compared with others.
pub(crate) type Marked = (Number, Split, RecordMark);

/// What a record has in common with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Finding {
    /// It is in the first of these splits, and the second has it too; of a patient that two splits have, one record tells.
    Shared(Common, [Split; 2]),
    /// A record before it has its id.
    SameId,
}

/// All that records have in common, in their order.
///
/// `marked` begins to tell the records anew each time; `folder` is where large sets are sorted.
///
/// # Errors
/// When a record cannot be told, or when the system refuses.
pub(crate) fn findings<M: Iterator<Item = Result<Marked, DataError>>>(
    (folder, records): (&Path, u64),
    mut marked: impl FnMut() -> M,
) -> Result<impl Iterator<Item = Result<(Number, Finding), DataError>>, DataError> {
    let keys = marked().flat_map(|one| each(one.map(keys)));
    let equal = equal(sorted((folder, records.saturating_mul(4)), keys)?);
    let bands = marked().flat_map(|one| each(one.map(bands)));
    let alike = alike(sorted((folder, records.saturating_mul(BANDS.into())), bands)?);
    let mut last = None;
    let all = sorted((folder, records), equal.chain(alike))?;
    // Pictures that look alike are found once a band.
    Ok(all.filter(move |one| match one {
        Ok(one) => last.replace(*one) != Some(*one),
        Err(_) => true,
    }))
}

/// Sorts any number of items in little memory; the files are in a folder of their own within `folder`.
///
/// # Errors
/// When an item is an error, or when the system refuses.
pub(crate) fn sorted<T: Ord + Send + Serialize + DeserializeOwned>(
    (folder, about): (&Path, u64),
    items: impl Iterator<Item = Result<T, DataError>>,
) -> Result<impl Iterator<Item = Result<T, DataError>>, DataError> {
    let refused = |error: io::Error| DataError::io("sort in", folder)(error);
    let chunk = CHUNK.max(about / CHUNKS);
    let buffer = LimitedBufferBuilder::new(usize::try_from(chunk).unwrap_or(usize::MAX), false);
    let told = |error| match error {
        SortError::InputError(error) => error,
        SortError::IO(error) | SortError::TempDir(error) => refused(error),
        error => refused(io::Error::other(error.to_string())),
    };
    let sorter = ExternalSorter::<T, DataError>::new(None, Some(folder), buffer, None).map_err(told)?;
    let merged = sorter.sort(items).map_err(told)?;
    let folder = folder.to_path_buf();
    Ok(merged.map(move |item| {
        // Its folder is removed when the sorter is dropped.
        let _kept = &sorter;
        item.map_err(|error| DataError::io("sort in", &folder)(io::Error::other(error.to_string())))
    }))
}

/// By what records are equal; those of later splits come first, so that what they have is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Key {
    Image(u128, Reverse<Split>),
    Text(u128, Reverse<Split>),
    Patient(u128, Reverse<Split>),
    Id(u128),
}

impl Key {
    /// What it compares, and its value.
    fn value(self) -> (Option<Common>, u128) {
        match self {
            Self::Image(value, _) => (Some(Common::Image), value),
            Self::Text(value, _) => (Some(Common::Text), value),
            Self::Patient(value, _) => (Some(Common::Patient), value),
            Self::Id(value) => (None, value),
        }
    }
}

/// A picture under one band of its bits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Band {
    band: u32,
    bits: u32,
    number: Number,
    split: Split,
    image: u128,
    looks: Looks,
}

fn keys((number, split, mark): Marked) -> Vec<(Key, Number)> {
    let later = Reverse(split);
    let image = mark.image.map(|value| Key::Image(value, later));
    let text = mark.text.map(|value| Key::Text(value, later));
    let names = [Key::Patient(mark.patient, later), Key::Id(mark.id)];
    image.into_iter().chain(text).chain(names).map(|key| (key, number)).collect()
}

fn bands((number, split, mark): Marked) -> Vec<Band> {
    let (Some(looks), Some(image)) = (mark.looks, mark.image) else { return vec![] };
    let bits = |band: u32| (looks.0[(band / 4) as usize] >> (32 * (band % 4))) as u32;
    (0..BANDS).map(|band| Band { band, bits: bits(band), number, split, image, looks }).collect()
}

/// Each of some items, or the error in their place.
pub(crate) fn each<T>(items: Result<Vec<T>, DataError>) -> Vec<Result<T, DataError>> {
    match items {
        Ok(items) => items.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

/// What records of equal keys share: for each split after theirs that has it, and where their own has it before.
fn equal(
    sorted: impl Iterator<Item = Result<(Key, Number), DataError>>,
) -> impl Iterator<Item = Result<(Number, Finding), DataError>> {
    let mut group = None;
    let mut splits: Vec<Split> = vec![];
    sorted.flat_map(move |entry| {
        let (key, number) = match entry {
            Ok(entry) => entry,
            Err(error) => return vec![Err(error)],
        };
        let first_of_all = group.replace(key.value()) != Some(key.value());
        if first_of_all {
            splits.clear();
        }
        let (Key::Image(_, Reverse(split)) | Key::Text(_, Reverse(split)) | Key::Patient(_, Reverse(split))) = key
        else {
            return if first_of_all { vec![] } else { vec![Ok((number, Finding::SameId))] };
        };
        let first = splits.last() != Some(&split);
        if first {
            splits.push(split);
        }
        let told = |with: &&Split| match key {
            Key::Patient(..) => first && **with != split,
            _ => !first || **with != split,
        };
        let common = key.value().0;
        let shared = |with: &Split| common.map(|common| Ok((number, Finding::Shared(common, [split, *with]))));
        splits.iter().filter(told).filter_map(shared).collect()
    })
}

/// Pictures in different splits that look alike, though they are not equal: the one of the earlier split shares it.
fn alike(
    sorted: impl Iterator<Item = Result<Band, DataError>>,
) -> impl Iterator<Item = Result<(Number, Finding), DataError>> {
    let mut sorted = sorted.peekable();
    std::iter::from_fn(move || {
        let first = match sorted.next()? {
            Ok(first) => first,
            Err(error) => return Some(vec![Err(error)]),
        };
        let mut group = vec![first];
        let mut many = 1;
        let of = (group[0].band, group[0].bits);
        while let Some(next) = sorted.next_if(|next| next.as_ref().is_ok_and(|next| (next.band, next.bits) == of)) {
            many += 1;
            group.extend(next.ok().filter(|_| many <= BAND_LIMIT));
        }
        let group = if many > BAND_LIMIT { vec![] } else { group };
        let told = group.iter().flat_map(|one| {
            let later = Split::ALL.into_iter().filter(|later| *later > one.split);
            let shared = later.filter(|later| group.iter().any(|two| two.split == *later && one.looks_like(two)));
            shared.map(|later| Ok((one.number, Finding::Shared(Common::NearImage, [one.split, later]))))
        });
        Some(told.collect())
    })
    .flatten()
}

impl Band {
    fn looks_like(&self, other: &Self) -> bool {
        self.image != other.image && self.looks.distance(&other.looks) <= ALIKE
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use ptu_data::files::digest;

    /// Records whose values are drawn from few.
    fn marked(count: u64) -> Vec<Marked> {
        let draw = |number: u64, place: u64, among: u64| digest(format!("{number} {place}")) as u64 % among;
        let mark = |number: u64| {
            let image = draw(number, 0, 3 * count / 2);
            let many = u128::from(image).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            // A few pictures look like that of number 0.
            let looks = if image < 300 { [u128::MAX, (1 << (image % 10)) - 1] } else { [many, !many.rotate_left(31)] };
            RecordMark {
                id: draw(number, 1, 20 * count).into(),
                patient: draw(number, 2, 5 * count).into(),
                image: (!number.is_multiple_of(9)).then_some(image.into()),
                looks: (!number.is_multiple_of(9)).then_some(Looks(looks)),
                text: (!number.is_multiple_of(5)).then(|| draw(number, 3, count / 3).into()),
            }
        };
        let split = |number: u64| Split::ALL[draw(number, 4, 3) as usize];
        (0..count).map(|number| (number, split(number), mark(number))).collect()
    }

    /// A kind of value (none for ids) and a value.
    type Value = (Option<Common>, u128);

    /// The same by comparing in memory, from the definitions alone.
    fn wanted(all: &[Marked]) -> Vec<(Number, Finding)> {
        let mut wanted = vec![];
        let mut groups: BTreeMap<Value, Vec<(Number, Split)>> = BTreeMap::new();
        for (number, split, mark) in all {
            let of = [
                (Some(Common::Image), mark.image),
                (Some(Common::Text), mark.text),
                (Some(Common::Patient), Some(mark.patient)),
                (None, Some(mark.id)),
            ];
            for (common, value) in of {
                value.into_iter().for_each(|value| groups.entry((common, value)).or_default().push((*number, *split)));
            }
        }
        for ((common, _), members) in groups {
            for (place, (number, split)) in members.iter().enumerate() {
                let before = members[..place].iter().any(|one| one.1 == *split);
                match common {
                    None if place > 0 => wanted.push((*number, Finding::SameId)),
                    None => {}
                    Some(common) => {
                        let later = Split::ALL.into_iter().filter(|later| later > split);
                        let later = later.filter(|later| members.iter().any(|one| one.1 == *later));
                        let later = later.filter(|_| common != Common::Patient || !before);
                        wanted.extend(later.map(|later| (*number, Finding::Shared(common, [*split, later]))));
                        if before && common != Common::Patient {
                            wanted.push((*number, Finding::Shared(common, [*split, *split])));
                        }
                    }
                }
            }
        }
        let near: Vec<&Marked> =
            all.iter().filter(|one| one.2.looks.is_some_and(|looks| looks.0[0] == u128::MAX)).collect();
        for one in &near {
            for other in near.iter().filter(|other| other.1 > one.1 && other.2.image != one.2.image) {
                if one.2.looks.unwrap().distance(&other.2.looks.unwrap()) <= ALIKE {
                    wanted.push((one.0, Finding::Shared(Common::NearImage, [one.1, other.1])));
                }
            }
        }
        wanted.sort();
        wanted.dedup();
        wanted
    }

    #[test]
    fn findings_are_those_of_comparing_in_memory() {
        let here = tempfile::tempdir().unwrap();
        for count in [50, 30_000] {
            let all = marked(count);
            let found = findings((here.path(), count), || all.clone().into_iter().map(Ok)).unwrap();
            let found: Vec<_> = found.map(Result::unwrap).collect();
            let wanted = wanted(&all);
            for common in [Common::Image, Common::NearImage, Common::Text, Common::Patient] {
                let of = |one: &&(Number, Finding)| matches!(one.1, Finding::Shared(of, _) if of == common);
                assert!(count == 50 || wanted.iter().filter(of).count() > 10, "{common:?}");
            }
            assert!(count == 50 || wanted.iter().any(|one| one.1 == Finding::SameId));
            assert_eq!(found, wanted);
            assert!(std::fs::read_dir(here.path()).unwrap().next().is_none(), "nothing is left in the folder");
        }
    }

    #[test]
    fn errors_of_records_come_through() {
        let here = tempfile::tempdir().unwrap();
        let broken = || std::iter::once(Err(DataError::DuplicateId("a".into())));
        let found = findings((here.path(), 1), broken);
        assert!(matches!(found.err(), Some(DataError::DuplicateId(id)) if id == "a"));
        let absent = here.path().join("absent");
        let found = findings((&absent, 1), || marked(1).into_iter().map(Ok));
        assert!(found.err().unwrap().to_string().contains("absent"));
    }
}
