//! Writes all blocks of a data set to its shards. Values that records share are found first, so that duplicates can be skipped.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::Path;

use ptu_data::DataError;
use ptu_data::files::name_digest;
use ptu_data::manifest::{Common, IN_ANOTHER_SPLIT, Manifest, Overlap};
use ptu_data::record::{Record, Split};
use ptu_data::shard::{EXAMPLES, ShardWriter, WriterOptions, read_shard};

use crate::asked::QuestionCounts;
use crate::blocks::{BLOCK_ROWS, BlockSummary, FinishedPart};
use crate::prepared::{Duplicates, Progress, Stage};
use crate::shared_values::{
    NumberedFingerprint, RecordNumber, SharedValue, external_sort, find_shared_values, into_results,
};

/// Share of the progress that the comparison of the records takes.
const COMPARE_SHARE: f64 = 0.3;

/// Writes the shards of all blocks to `out`.
///
/// # Errors
/// When parts are missing or do not belong together, when a block is damaged, or when the system reports an error.
pub(crate) fn join(
    parts: &[FinishedPart],
    out: &Path,
    options: WriterOptions,
    duplicates: Duplicates,
    progress: &dyn Fn(Progress),
) -> Result<Manifest, DataError> {
    let mut writer = ShardWriter::create(out, options)?;
    let work = parts.first().map(|part| &part.work);
    let rows = work.and_then(|work| work.rows).unwrap_or_default();
    if let Some(work) = work {
        work.noted.iter().for_each(|(key, count)| writer.note(key, *count));
        work.details.iter().for_each(|(key, entries)| writer.details(key, entries.clone()));
        writer.table(work.columns.clone(), work.remarks.clone());
        work.overlaps.iter().for_each(|overlap| writer.overlap(overlap.clone()));
    }
    let blocks = rows.div_ceil(BLOCK_ROWS);
    // The comparison reads all blocks twice, so the counts are halved for the progress.
    let (compared, skipped) = (Cell::new(0), Cell::new(0));
    let fingerprints = || {
        let report = |block: &BlockSummary| {
            let records: usize = block.fingerprints.values().map(Vec::len).sum();
            compared.update(|count| count + records as u64);
            skipped.update(|count| count + block.skipped.len() as u64);
            let (records, skipped) = (compared.get() / 2, skipped.get() / 2);
            let share = COMPARE_SHARE * ((records + skipped) as f64 / rows as f64).min(1.0);
            progress(Progress { stage: Stage::Compare, records, skipped, share });
        };
        all_fingerprints(parts, blocks, report)
    };
    let scratch = writer.scratch().to_path_buf();
    let shared_values = find_shared_values(&scratch, rows, fingerprints)?;
    // Public data sets count the questions of the whole download, as published.
    let counted = work.is_some_and(|work| QuestionCounts::are_in(&work.noted));
    let mut joiner = Joiner {
        writer,
        questions: (!counted).then(QuestionCounts::default),
        duplicates,
        shared_values: shared_values.peekable(),
        number: 0,
        written: 0,
        overlaps: BTreeMap::new(),
    };
    let written = (0..blocks).filter_map(|block| Some((block, part_of(parts, block)?))).flat_map(|(block, part)| {
        let patients = joiner.block(part, block);
        let share = COMPARE_SHARE + (1.0 - COMPARE_SHARE) * (block + 1) as f64 / blocks as f64;
        let (records, skipped) = (joiner.written, joiner.writer.skipped() as u64);
        progress(Progress { stage: Stage::Write, records, skipped, share });
        into_results(patients)
    });
    // The iterator `written` is lazy: records are written while the sort reads their patients.
    let mut last = None;
    let mut patients = BTreeMap::<Split, u64>::new();
    for patient in external_sort(&scratch, rows, written)? {
        let patient: (Split, u128) = patient?;
        if last.replace(patient) != Some(patient) {
            *patients.entry(patient.0).or_default() += 1;
        }
    }
    joiner.finish(patients)
}

fn part_of(parts: &[FinishedPart], block: u64) -> Option<&FinishedPart> {
    parts.iter().find(|part| part.contains(block))
}

/// The fingerprints of all records of these blocks, in order. `report` is called with each block before its records.
fn all_fingerprints(
    parts: &[FinishedPart],
    blocks: u64,
    report: impl Fn(&BlockSummary),
) -> impl Iterator<Item = Result<NumberedFingerprint, DataError>> {
    let summaries = (0..blocks).filter_map(|block| Some(part_of(parts, block)?.summary(block)));
    let fingerprints = move |mut summary: BlockSummary| {
        report(&summary);
        let splits = summary.shards.iter().map(|shard| shard.split);
        let of_split = |split: Split| {
            let fingerprints = summary.fingerprints.remove(&split).unwrap_or_default();
            fingerprints.into_iter().map(move |fingerprint| (split, fingerprint))
        };
        splits.flat_map(of_split).collect()
    };
    let all = summaries.flat_map(move |summary| into_results(summary.map(&fingerprints)));
    (0..).zip(all).map(|(number, one)| one.map(|(split, fingerprint)| (number, split, fingerprint)))
}

/// Moves records from blocks to shards.
struct Joiner<F: Iterator<Item = Result<(RecordNumber, SharedValue), DataError>>> {
    writer: ShardWriter,
    /// Counts of the questions of the written records, unless they were counted before.
    questions: Option<QuestionCounts>,
    duplicates: Duplicates,
    shared_values: Peekable<F>,
    /// The number of the next record.
    number: RecordNumber,
    written: u64,
    overlaps: BTreeMap<(Common, [Split; 2]), OverlapCounts>,
}

/// Records with a value that two splits share.
#[derive(Default)]
struct OverlapCounts {
    count: u64,
    removed: u64,
    examples: Vec<String>,
}

impl<F: Iterator<Item = Result<(RecordNumber, SharedValue), DataError>>> Joiner<F> {
    /// Writes the records of a block. Returns the patients of the written records.
    fn block(&mut self, part: &FinishedPart, block: u64) -> Result<Vec<(Split, u128)>, DataError> {
        let summary = part.summary(block)?;
        summary.skipped.into_iter().for_each(|skipped| self.writer.skip(skipped.place, skipped.cause));
        for (key, entries) in summary.noted {
            self.writer.note(&key, entries.len() as u64);
            self.writer.details(&key, entries);
        }
        let mut patients = vec![];
        for shard in &summary.shards {
            read_shard(&part.folder, shard, &mut |record| {
                patients.extend(self.record(record)?);
                Ok(())
            })?;
        }
        Ok(patients)
    }

    /// Writes a record, or skips it. Returns its patient if it was written.
    fn record(&mut self, record: Record) -> Result<Option<(Split, u128)>, DataError> {
        let mut skip_cause = None;
        let mut shared = vec![];
        while let Some(value) =
            self.shared_values.next_if(|one| one.as_ref().map_or(true, |(number, _)| *number == self.number))
        {
            match value?.1 {
                SharedValue::SameId => skip_cause = Some("an earlier record has the same id".to_string()),
                SharedValue::Shared(Common::Patient, [first, second]) if !self.writer.shares_patients() => {
                    let Record { id, patient, .. } = record;
                    return Err(DataError::PatientInTwoSplits { patient, first, second, id });
                }
                SharedValue::Shared(of, splits) => shared.push((of, splits)),
            }
        }
        self.number += 1;
        let removable = |(of, [first, second]): &(Common, [Split; 2])| {
            self.duplicates == Duplicates::Removed && first != second && matches!(of, Common::Image | Common::NearImage)
        };
        if let Some((_, [_, with])) = shared.iter().rfind(|one| removable(one)) {
            skip_cause = Some(format!("{IN_ANOTHER_SPLIT}`{with}` too"));
        }
        for one in shared {
            let removed = u64::from(removable(&one));
            let overlap = self.overlaps.entry(one).or_default();
            overlap.count += 1;
            overlap.removed += removed;
            if skip_cause.is_none() && overlap.examples.len() < EXAMPLES {
                overlap.examples.push(if one.0 == Common::Patient {
                    record.patient.clone()
                } else {
                    record.id.clone()
                });
            }
        }
        if let Some(cause) = skip_cause {
            self.writer.skip(record.id, cause);
            return Ok(None);
        }
        let patient = (record.split, name_digest(&record.patient));
        if let Some(questions) = &mut self.questions {
            questions.add(&record);
        }
        self.writer.put(record)?;
        self.written += 1;
        Ok(Some(patient))
    }

    fn finish(self, patients: BTreeMap<Split, u64>) -> Result<Manifest, DataError> {
        let Self { mut writer, questions, shared_values, overlaps, .. } = self;
        questions.unwrap_or_default().noted().into_iter().for_each(|(key, count)| writer.note(&key, count));
        // Dropping them removes their temporary files, which are in the folder that becomes the output folder now.
        drop(shared_values);
        patients.into_iter().for_each(|(split, count)| writer.count_patients(split, count));
        for ((of, splits), OverlapCounts { count, removed, examples }) in overlaps {
            writer.overlap(Overlap { of, splits, count, removed, examples });
        }
        writer.finish()
    }
}
