//! All blocks of a data set into its shards: what records have in common is found first, so that it can be left out.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::Path;

use ptu_data::DataError;
use ptu_data::files::name_digest;
use ptu_data::manifest::{Common, IN_ANOTHER_SPLIT, Manifest, Overlap};
use ptu_data::record::{Record, Split};
use ptu_data::shard::{EXAMPLES, ShardWriter, WriterOptions, read_shard};

use crate::blocks::{BLOCK_ROWS, Done, Note};
use crate::common::{Finding, Marked, Number, each, findings, sorted};
use crate::prepared::{Duplicates, Progress, Stage};

/// Share of the progress until it is known what records have in common.
const COMPARED: f64 = 0.3;

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
    let mut writer = ShardWriter::create(out, options)?;
    let work = parts.first().map(|part| &part.work);
    let rows = work.and_then(|work| work.rows).unwrap_or_default();
    if let Some(work) = work {
        work.noted.iter().for_each(|(what, count)| writer.note(what, *count));
        work.details.iter().for_each(|(what, told)| writer.details(what, told.clone()));
        writer.table(work.columns.clone(), work.told.clone());
        work.overlaps.iter().for_each(|overlap| writer.overlap(overlap.clone()));
    }
    let blocks = rows.div_ceil(BLOCK_ROWS);
    // All blocks are read twice to be compared.
    let (compared, skipped) = (Cell::new(0), Cell::new(0));
    let marked = || {
        let told = |note: &Note| {
            compared.update(|count| count + note.marks.values().map(|marks| marks.len() as u64).sum::<u64>());
            skipped.update(|count| count + note.skipped.len() as u64);
            let (records, skipped) = (compared.get() / 2, skipped.get() / 2);
            let share = COMPARED * ((records + skipped) as f64 / rows as f64).min(1.0);
            progress(Progress { stage: Stage::Compare, records, skipped, share });
        };
        marked(parts, blocks, told)
    };
    let place = writer.scratch().to_path_buf();
    let findings = findings((&place, rows), marked)?;
    let mut joining =
        Joining { writer, duplicates, findings: findings.peekable(), number: 0, written: 0, found: BTreeMap::new() };
    let written = (0..blocks).filter_map(|block| Some((block, part_of(parts, block)?))).flat_map(|(block, part)| {
        let patients = joining.block(part, block);
        let share = COMPARED + (1.0 - COMPARED) * (block + 1) as f64 / blocks as f64;
        let (records, skipped) = (joining.written, joining.writer.skipped() as u64);
        progress(Progress { stage: Stage::Write, records, skipped, share });
        each(patients)
    });
    // Records are written as their patients are asked for.
    let mut last = None;
    let mut patients = BTreeMap::<Split, u64>::new();
    for patient in sorted((&place, rows), written)? {
        let patient: (Split, u128) = patient?;
        if last.replace(patient) != Some(patient) {
            *patients.entry(patient.0).or_default() += 1;
        }
    }
    joining.finish(patients)
}

fn part_of(parts: &[Done], block: u64) -> Option<&Done> {
    parts.iter().find(|part| part.has(block))
}

/// All records of these blocks, as they are compared; each note is told before its records.
fn marked(parts: &[Done], blocks: u64, told: impl Fn(&Note)) -> impl Iterator<Item = Result<Marked, DataError>> {
    let notes = (0..blocks).filter_map(|block| Some(part_of(parts, block)?.note(block)));
    let marks = move |mut note: Note| {
        told(&note);
        let splits = note.shards.iter().map(|shard| shard.split);
        let of = |split| note.marks.remove(&split).unwrap_or_default().into_iter().map(move |mark| (split, mark));
        splits.flat_map(of).collect()
    };
    let marks = notes.flat_map(move |note| each(note.map(&marks)));
    (0..).zip(marks).map(|(number, marked)| marked.map(|(split, mark)| (number, split, mark)))
}

/// Records on their way from blocks to shards.
struct Joining<F: Iterator<Item = Result<(Number, Finding), DataError>>> {
    writer: ShardWriter,
    duplicates: Duplicates,
    findings: Peekable<F>,
    number: Number,
    written: u64,
    found: BTreeMap<(Common, [Split; 2]), Found>,
}

#[derive(Default)]
struct Found {
    count: u64,
    removed: u64,
    examples: Vec<String>,
}

impl<F: Iterator<Item = Result<(Number, Finding), DataError>>> Joining<F> {
    /// Writes the records of a block; returns the patients of those that were kept.
    fn block(&mut self, part: &Done, block: u64) -> Result<Vec<(Split, u128)>, DataError> {
        let note = part.note(block)?;
        note.skipped.into_iter().for_each(|skipped| self.writer.skip(skipped.place, skipped.cause));
        for (what, told) in note.noted {
            self.writer.note(&what, told.len() as u64);
            self.writer.details(&what, told);
        }
        let mut patients = vec![];
        for shard in &note.shards {
            read_shard(&part.folder, shard, &mut |record| {
                patients.extend(self.record(record)?);
                Ok(())
            })?;
        }
        Ok(patients)
    }

    fn record(&mut self, record: Record) -> Result<Option<(Split, u128)>, DataError> {
        let mut left_out = None;
        let mut shared = vec![];
        while let Some(finding) =
            self.findings.next_if(|one| one.as_ref().map_or(true, |(number, _)| *number == self.number))
        {
            match finding?.1 {
                Finding::SameId => left_out = Some("its id was there before".to_string()),
                Finding::Shared(Common::Patient, [first, second]) if !self.writer.shares_patients() => {
                    let Record { id, patient, .. } = record;
                    return Err(DataError::PatientInTwoSplits { patient, first, second, id });
                }
                Finding::Shared(of, splits) => shared.push((of, splits)),
            }
        }
        self.number += 1;
        let removable = |(of, [first, second]): &(Common, [Split; 2])| {
            self.duplicates == Duplicates::Removed && first != second && matches!(of, Common::Image | Common::NearImage)
        };
        if let Some((_, [_, with])) = shared.iter().rfind(|one| removable(one)) {
            left_out = Some(format!("{IN_ANOTHER_SPLIT}`{with}` too"));
        }
        for one in shared {
            let removed = u64::from(removable(&one));
            let found = self.found.entry(one).or_default();
            found.count += 1;
            found.removed += removed;
            if left_out.is_none() && found.examples.len() < EXAMPLES {
                found.examples.push(if one.0 == Common::Patient { record.patient.clone() } else { record.id.clone() });
            }
        }
        if let Some(cause) = left_out {
            self.writer.skip(record.id, cause);
            return Ok(None);
        }
        let patient = (record.split, name_digest(&record.patient));
        self.writer.put(record)?;
        self.written += 1;
        Ok(Some(patient))
    }

    fn finish(self, patients: BTreeMap<Split, u64>) -> Result<Manifest, DataError> {
        let Self { mut writer, findings, found, .. } = self;
        // They are sorted in the folder that is published now.
        drop(findings);
        patients.into_iter().for_each(|(split, count)| writer.count_patients(split, count));
        for ((of, splits), Found { count, removed, examples }) in found {
            writer.overlap(Overlap { of, splits, count, removed, examples });
        }
        writer.finish()
    }
}
