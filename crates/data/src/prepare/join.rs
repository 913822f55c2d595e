//! All blocks of a data set into its shards: what records have in common is found first, so that it can be left out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use ptu_input::image::Looks;
use serde::{Deserialize, Serialize};

use super::Progress;
use super::blocks::{BLOCK_ROWS, Done, Note};
use crate::error::DataError;
use crate::manifest::{Common, Manifest, Overlap};
use crate::record::Split;
use crate::shard::{EXAMPLES, ShardWriter, WriterOptions, read_shard};

/// Pictures that differ in so many of 256 places at most look alike.
const ALIKE: u32 = 7;

/// Pictures with one band of bits in common that are compared with each other; where there are more, the band says nothing.
const BAND_LIMIT: usize = 2_000;

/// What to do with records that another split has too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// They are told.
    #[default]
    Reported,
    /// Those of `train` are left out, and those of `validate` that `test` has.
    Removed,
}

/// Where a record stands: its number among all, in the order of blocks and splits.
type Number = u32;

/// Writes the shards of all blocks to `out`.
///
/// # Errors
/// When parts are missing or do not belong together, when a block is damaged, or when the system refuses.
pub(crate) fn join(
    parts: &[Done],
    out: &Path,
    (options, duplicates): (WriterOptions, Duplicates),
    progress: &dyn Fn(Progress),
) -> Result<Manifest, DataError> {
    let work = parts.first().map(|part| &part.work);
    let blocks = work.and_then(|work| work.rows).unwrap_or_default().div_ceil(BLOCK_ROWS);
    let of = |block: u64| parts.iter().find(|part| part.has(block));
    let mut keys = Keys::default();
    for block in 0..blocks {
        let Some(part) = of(block) else { continue };
        keys.add(&part.note(block)?);
    }
    let mut writer = ShardWriter::create(out, options)?;
    let removed = keys.compare(duplicates);
    if let Some(work) = work {
        work.noted.iter().for_each(|(what, count)| writer.note(what, *count));
        work.overlaps.iter().for_each(|overlap| writer.overlap(overlap.clone()));
    }
    let (mut number, mut written): (Number, u64) = (0, 0);
    for block in 0..blocks {
        let Some(part) = of(block) else { continue };
        let note = part.note(block)?;
        note.skipped.into_iter().for_each(|skipped| writer.skip(skipped.place, skipped.cause));
        note.noted.iter().for_each(|(what, count)| writer.note(what, *count));
        for shard in &note.shards {
            read_shard(&part.folder, shard, &mut |record| {
                if let Some(with) = removed.get(&number) {
                    writer.skip(record.id.clone(), format!("its image is one of `{with}` too"));
                } else {
                    keys.tell(number, &record.id);
                    let id = record.id.clone();
                    match writer.write(record) {
                        Ok(()) => written += 1,
                        Err(DataError::DuplicateId(_)) => writer.skip(id, "its id was there before"),
                        Err(error) => return Err(error),
                    }
                }
                number += 1;
                Ok(())
            })?;
        }
        let share = (block + 1) as f64 / blocks as f64;
        progress(Progress { records: written, skipped: writer.skipped() as u64, share });
    }
    keys.overlaps().into_iter().for_each(|overlap| writer.overlap(overlap));
    writer.finish()
}

/// What all records are compared by.
#[derive(Default)]
struct Keys {
    splits: Vec<Split>,
    images: Vec<u64>,
    texts: Vec<u64>,
    looks: Vec<Looks>,
    /// Records with a picture, in order; as long as `looks`.
    pictured: Vec<Number>,
    found: BTreeMap<(Common, [Split; 2]), Found>,
}

#[derive(Default)]
struct Found {
    numbers: HashSet<Number>,
    removed: u64,
    examples: Vec<String>,
}

impl Keys {
    fn add(&mut self, note: &Note) {
        // 64 of their bits: two of a million that differ are taken for equal once in 40 million times.
        let number = |text: &Option<String>| {
            let start = text.as_deref().and_then(|text| text.get(..16));
            start.map_or(0, |start| u64::from_str_radix(start, 16).unwrap_or(0))
        };
        for shard in &note.shards {
            for mark in note.marks.get(&shard.split).into_iter().flatten() {
                if let Some(looks) = mark.looks.as_deref().and_then(bits) {
                    self.pictured.push(self.splits.len() as Number);
                    self.looks.push(looks);
                }
                self.splits.push(shard.split);
                self.images.push(number(&mark.image));
                self.texts.push(number(&mark.text));
            }
        }
    }

    /// Finds what is common; returns the records to be left out, with the split that has them too.
    fn compare(&mut self, duplicates: Duplicates) -> HashMap<Number, Split> {
        let images = equal(&self.images);
        let texts = equal(&self.texts);
        for (common, groups) in [(Common::Image, images), (Common::Text, texts)] {
            for group in groups {
                self.note_group(common, &group);
            }
        }
        for (one, other) in self.alike() {
            self.note_group(Common::NearImage, &[one, other]);
        }
        let mut removed = HashMap::new();
        if duplicates == Duplicates::Removed {
            for ((common, [first, second]), found) in &mut self.found {
                if first != second && matches!(common, Common::Image | Common::NearImage) {
                    found.removed = found.numbers.len() as u64;
                    removed.extend(found.numbers.iter().map(|number| (*number, *second)));
                }
            }
        }
        // What follows needs only what was found: it is the most that is in memory here.
        (self.images, self.texts, self.looks, self.pictured) = (vec![], vec![], vec![], vec![]);
        removed
    }

    /// Notes, for each pair of splits in a group, the records of the earlier split; within a split, all but the first.
    fn note_group(&mut self, common: Common, group: &[Number]) {
        let all: BTreeSet<Split> = group.iter().map(|number| self.splits[*number as usize]).collect();
        let mut seen = BTreeSet::new();
        for &one in group {
            let split = self.splits[one as usize];
            for &later in all.iter().filter(|other| **other > split) {
                self.found.entry((common, [split, later])).or_default().numbers.insert(one);
            }
            if !seen.insert(split) && common != Common::NearImage {
                self.found.entry((common, [split, split])).or_default().numbers.insert(one);
            }
        }
    }

    /// Pairs of records in different splits whose pictures look alike, though they are not equal.
    fn alike(&self) -> Vec<(Number, Number)> {
        let mut pairs = HashSet::new();
        for band in 0..8 {
            let bits = |Looks(bits): &Looks| u32::from_be_bytes(std::array::from_fn(|byte| bits[band * 4 + byte]));
            let mut order: Vec<(u32, u32)> =
                self.looks.iter().zip(0..).map(|(looks, place)| (bits(looks), place)).collect();
            order.sort_unstable();
            let groups = order.chunk_by(|one, other| one.0 == other.0);
            for group in groups.filter(|group| (2..=BAND_LIMIT).contains(&group.len())) {
                let group: Vec<usize> = group.iter().map(|(_, place)| *place as usize).collect();
                for (after, &one) in group.iter().enumerate() {
                    for &other in &group[after + 1..] {
                        let (first, second) = (self.pictured[one], self.pictured[other]);
                        let differ = self.splits[first as usize] != self.splits[second as usize]
                            && self.images[first as usize] != self.images[second as usize];
                        if differ && self.looks[one].distance(&self.looks[other]) <= ALIKE {
                            pairs.insert((first, second));
                        }
                    }
                }
            }
        }
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_unstable();
        pairs
    }

    /// Keeps the name of a record that is in some overlap, as an example.
    fn tell(&mut self, number: Number, id: &str) {
        for found in self.found.values_mut().filter(|found| found.numbers.contains(&number)) {
            if found.examples.len() < EXAMPLES {
                found.examples.push(id.to_string());
            }
        }
    }

    fn overlaps(self) -> Vec<Overlap> {
        let overlap = |((of, splits), found): ((Common, [Split; 2]), Found)| {
            let Found { numbers, removed, examples } = found;
            Overlap { of, splits, count: numbers.len() as u64, removed, examples }
        };
        self.found.into_iter().map(overlap).collect()
    }
}

/// Groups of two and more equal values; 0 is no value.
fn equal(values: &[u64]) -> Vec<Vec<Number>> {
    let mut order: Vec<Number> = (0..values.len() as Number).filter(|number| values[*number as usize] != 0).collect();
    order.sort_unstable_by_key(|number| (values[*number as usize], *number));
    let groups = order.chunk_by(|one, other| values[*one as usize] == values[*other as usize]);
    groups.filter(|group| group.len() > 1).map(<[Number]>::to_vec).collect()
}

fn bits(text: &str) -> Option<Looks> {
    let mut bits = [0; 32];
    for (place, byte) in bits.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    Some(Looks(bits))
}
