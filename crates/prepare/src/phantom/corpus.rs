//! Writes the phantom corpus as shards: any number of records from a seed, in constant memory, on all cores.

use std::collections::BTreeMap;
use std::path::Path;

use ptu_data::DataError;
use ptu_data::record::{Label, Record, RecordImage, Section, Split};
use ptu_data::shard::WriterOptions;
use ptu_random::{Key, Place as Draws};

use super as phantom;
use crate::blocks::WorkFolder;
use crate::draft::{Draft, RowPosition};
use crate::prepared::{Prepared, Progress};
use crate::run::PrepareOptions;
use crate::run::{DraftSource, Job, run};

/// The largest number of records; with more, the table of patients would be large.
const MOST_RECORDS: u64 = 100_000_000;

/// The number of random orders of the patients that are tried until the counts of the splits are exact.
const ORDERS: u64 = 32;

/// The rank of the random streams that are used here; it differs from those of [`phantom::generate`].
const RANK: u32 = 1_000;

/// Options of [`prepare_phantom`].
#[derive(Clone, Debug, PartialEq)]
pub struct PhantomOptions {
    /// The number of records in all splits together.
    pub pairs: u64,
    /// The seed of the corpus: equal seeds and options give equal bytes.
    pub seed: u64,
    /// Height and width of the pictures in pixels, 32 to 1,024.
    pub side: usize,
    /// The exact number of records in split `validate`.
    pub validate: u64,
    /// The exact number of records in split `test`.
    pub test: u64,
    /// Share of the train records without an image, 0 to 1.
    pub image_missing: f64,
    /// Share of the train records without a text, 0 to 1; no record lacks both.
    pub text_missing: f64,
    /// Options for the preparation. `prepare.side` is ignored, because the pictures are drawn with `side`.
    pub prepare: PrepareOptions,
}

impl PhantomOptions {
    /// `pairs` complete pairs with pictures of 64 x 64 pixels; one tenth of them is for `validate` and one tenth for `test`.
    pub fn new(pairs: u64, seed: u64) -> Self {
        let tenth = pairs / 10;
        Self {
            pairs,
            seed,
            side: 64,
            validate: tenth,
            test: tenth,
            image_missing: 0.0,
            text_missing: 0.0,
            prepare: PrepareOptions::default(),
        }
    }

    fn check(&self) -> Result<(), DataError> {
        let wrong = |name, cause: String| Err(DataError::Setting { name, cause });
        if self.pairs == 0 || self.pairs > MOST_RECORDS {
            return wrong("pairs", format!("{} is not between 1 and {MOST_RECORDS}", self.pairs));
        }
        if !(32..=1024).contains(&self.side) {
            return wrong("side", format!("{} pixels is not between 32 and 1024", self.side));
        }
        if self.validate.checked_add(self.test).is_none_or(|held| held > self.pairs) {
            let held = format!("{} validate and {} test", self.validate, self.test);
            return wrong(
                "test",
                format!("{held} records are more than the {} records in all; request fewer", self.pairs),
            );
        }
        for (name, share) in [("image_missing", self.image_missing), ("text_missing", self.text_missing)] {
            if !(0.0..=1.0).contains(&share) {
                return wrong(name, format!("{share} is not a share: write a number from 0 to 1"));
            }
        }
        if self.image_missing + self.text_missing > 1.0 {
            return wrong("image_missing", "together with `text_missing` it is more than 1; lower one of them".into());
        }
        self.prepare.check()
    }
}

/// Writes the corpus to the folder `out`, which must not exist or must be empty. `progress` is called from time to time.
///
/// Each record has the texts [findings, impression], the labels of [`phantom::Causes::labels`], a picture as PNG and
/// questions about it. All records of a patient are in one split.
///
/// # Errors
/// When an option is out of range, when patients of one to three records cannot fill `validate` and `test` exactly (only
/// in a corpus of a few records), or when `out` cannot be written.
pub fn prepare_phantom(
    out: &Path,
    options: &PhantomOptions,
    progress: &dyn Fn(Progress),
) -> Result<Prepared, DataError> {
    options.check()?;
    let splits = splits(Key::new(options.seed), options)?;
    let work_folder = WorkFolder::acquire(out)?;
    let writer = WriterOptions {
        dataset: "phantom".into(),
        arguments: options.prepare.arguments.clone(),
        preprocessing: vec![
            format!("Pictures are drawn at {0} x {0} pixels, 8-bit grey, stored as PNG.", options.side),
            "Texts are findings and impression, written from the same causes as the picture.".into(),
            "Questions about the picture are asked, and answered, from the same causes too.".into(),
        ],
        ..WriterOptions::new("phantom")
    };
    let PhantomOptions { pairs, seed, side, validate, test, image_missing, text_missing, .. } = options;
    let told = format!("{pairs} {seed} {side} {validate} {test} {image_missing} {text_missing}");
    let job = Job {
        decided_by: BTreeMap::from([("options".into(), told)]),
        tables: vec![],
        writer,
        duplicates: options.prepare.duplicates_of(true),
        table: None,
        skip_bad: true,
        noted: BTreeMap::new(),
        details: BTreeMap::new(),
        overlaps: vec![],
    };
    let mut drawn = Drawn { options: options.clone(), splits, next: 0 };
    run(work_folder, job, &options.prepare, &mut drawn, progress)
}

/// Creates the drafts of the records one after another.
struct Drawn {
    options: PhantomOptions,
    /// The split of each patient.
    splits: Vec<Split>,
    next: u64,
}

impl DraftSource for Drawn {
    fn next(&mut self) -> Result<Option<Draft>, DataError> {
        if self.next == self.options.pairs {
            return Ok(None);
        }
        let (index, options) = (self.next, self.options.clone());
        let split = self.splits[phantom::patient(Key::new(options.seed), index) as usize];
        self.next += 1;
        Ok(Some(Draft::make(RowPosition::Line(index), move || record(&options, index, split))))
    }

    fn share(&self, rows: u64) -> f64 {
        rows as f64 / self.options.pairs as f64
    }
}

/// The split of every patient. Patients in a random order fill `test`, then `validate`; the rest is `train`.
fn splits(key: Key, options: &PhantomOptions) -> Result<Vec<Split>, DataError> {
    let patients = phantom::patient(key, options.pairs - 1) as usize + 1;
    let mut sizes = vec![0u64; patients];
    (0..options.pairs).for_each(|index| sizes[phantom::patient(key, index) as usize] += 1);
    let mut order: Vec<u32> = (0..patients as u32).collect();
    // If nearly all records are for `validate` and `test`, the patients that remain can have too many records to reach the exact
    // counts. Another order may reach them.
    for attempt in 0..ORDERS {
        key.rank(RANK).stream(Draws::Split, attempt).shuffle(&mut order);
        if let Some(splits) = filled(&order, &sizes, options) {
            return Ok(splits);
        }
    }
    let PhantomOptions { pairs, validate, test, .. } = options;
    let cause = format!(
        "each patient has 1 to 3 records, so {pairs} records cannot be split into exactly {validate} validate and \
         {test} test"
    );
    Err(DataError::Setting { name: "test", cause: format!("{cause} records; request more pairs") })
}

/// Fills the splits with the patients in this order; `None` if the counts cannot be reached exactly.
fn filled(order: &[u32], sizes: &[u64], options: &PhantomOptions) -> Option<Vec<Split>> {
    let mut splits = vec![Split::Train; sizes.len()];
    for (split, mut left) in [(Split::Test, options.test), (Split::Validate, options.validate)] {
        for &patient in order {
            let patient = patient as usize;
            if splits[patient] == Split::Train && (1..=left).contains(&sizes[patient]) {
                (splits[patient], left) = (split, left - sizes[patient]);
            }
        }
        if left > 0 {
            return None;
        }
    }
    Some(splits)
}

/// One record; in `train`, the image or the text may be missing.
fn record(options: &PhantomOptions, index: u64, split: Split) -> Result<Record, DataError> {
    let key = Key::new(options.seed);
    let phantom = phantom::generate(key, index, options.side);
    let draw = key.rank(RANK).stream(Draws::Phantom, index).unit();
    let image_missing = split == Split::Train && draw < options.image_missing;
    let text_missing = split == Split::Train && !image_missing && draw < options.image_missing + options.text_missing;
    let id = phantom::id(index);
    // The questions are about the picture, so a record without it has none.
    let (image, questions) = match image_missing {
        true => (None, vec![]),
        false => (Some(RecordImage { bytes: encode(&phantom.picture, &id)?, path: None }), phantom.questions),
    };
    let texts = match text_missing {
        true => vec![],
        false => vec![phantom.report.findings, phantom.report.impression],
    };
    let labels = phantom.causes.labels().into_iter().map(|(name, value)| Label { name: name.into(), value });
    Ok(Record {
        id,
        patient: format!("phantom-patient-{:07}", phantom::patient(key, index)),
        image,
        texts,
        sections: vec![Section::Findings, Section::Impression],
        target: None,
        labels: labels.collect(),
        questions,
        split,
        source: "phantom".into(),
        ..Record::default()
    })
}

/// The picture as an 8-bit grey PNG.
fn encode(picture: &phantom::Picture, id: &str) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::with_capacity(picture.grey.len());
    let mut encoder = png::Encoder::new(&mut bytes, picture.side as u32, picture.side as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&picture.grey));
    written.map_err(|error| DataError::Io {
        action: "encode",
        path: id.into(),
        source: std::io::Error::other(error),
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptu_data::manifest::Manifest;
    use ptu_data::shard::ShardFolder;
    use ptu_data::source::Source;

    fn options(pairs: u64, validate: u64, test: u64) -> PhantomOptions {
        PhantomOptions { side: 32, validate, test, ..PhantomOptions::new(pairs, 9) }
    }

    fn prepare(options: &PhantomOptions) -> Result<(tempfile::TempDir, Manifest), DataError> {
        let here = tempfile::tempdir().unwrap();
        let Prepared::Shards(manifest) = prepare_phantom(&here.path().join("out"), options, &|_| {})? else {
            panic!("no part was asked for")
        };
        Ok((here, *manifest))
    }

    #[test]
    fn counts_are_exact_and_patients_stay_together() {
        let options = PhantomOptions { image_missing: 0.3, text_missing: 0.2, ..options(601, 50, 200) };
        let (_, manifest) = prepare(&options).unwrap();
        let [train, validate, test] = Split::ALL.map(|split| manifest.counts(split));
        assert_eq!((train.records, validate.records, test.records), (351, 50, 200));
        assert_eq!((validate.pairs, test.pairs), (50, 200));
        assert!((70..=140).contains(&train.texts_only) && (40..=100).contains(&train.images_only), "{train:?}");
        assert_eq!(train.pairs + train.texts_only + train.images_only, 351);
        // The writer refuses a patient in two splits. The sum also shows that no patient is counted twice.
        assert_eq!(train.patients + validate.patients + test.patients, phantom::patient(Key::new(9), 600) + 1);
    }

    #[test]
    fn records_with_an_image_have_questions_which_the_manifest_counts() {
        let options = PhantomOptions { image_missing: 0.3, text_missing: 0.2, ..options(150, 20, 30) };
        let (here, manifest) = prepare(&options).unwrap();
        let mut learned = std::collections::BTreeSet::new();
        for split in Split::ALL {
            let folder = ShardFolder::open(&here.path().join("out"), split).unwrap();
            let records: Vec<Record> = (0..folder.len()).map(|place| folder.get(place).unwrap()).collect();
            assert!(records.iter().all(|record| record.questions.is_empty() == record.image.is_none()));
            let questions = || records.iter().flat_map(|record| &record.questions);
            let closed = questions().filter(|question| question.closed).count() as u64;
            assert_eq!(manifest.noted[&format!("questions-in-{split}")], questions().count() as u64);
            assert_eq!(manifest.noted[&format!("closed-questions-in-{split}")], closed);
            learned.extend(questions().filter(|_| split != Split::Test).map(|question| question.answer.clone()));
        }
        assert_eq!(manifest.noted["answers-to-learn-from"], learned.len() as u64);
    }

    #[test]
    fn bytes_do_not_depend_on_the_number_of_threads() {
        let mut options = options(40, 4, 4);
        let (_, two) = prepare(&options).unwrap();
        options.prepare.threads = Some(5);
        assert_eq!(prepare(&options).unwrap().1, two);
        options.seed = 10;
        assert_ne!(prepare(&options).unwrap().1.hash(), two.hash());
    }

    #[test]
    fn progress_rises_to_the_total_and_splits_cover_a_million() {
        let here = tempfile::tempdir().unwrap();
        let large = PhantomOptions { side: 1024, ..options(6, 0, 0) };
        let seen = std::cell::RefCell::new(vec![]);
        let note = |progress: Progress| seen.borrow_mut().push((progress.records, progress.share));
        prepare_phantom(&here.path().join("out"), &large, &note).unwrap();
        let seen = seen.into_inner();
        assert!(seen.is_sorted_by(|one, other| one.1 <= other.1), "{seen:?}");
        assert_eq!(seen.last(), Some(&(6, 1.0)));
        let mut counts = [0; 3];
        let key = Key::new(1);
        let splits = splits(key, &options(1_000_000, 1_000, 5_000)).unwrap();
        for index in 0..1_000_000 {
            counts[splits[phantom::patient(key, index) as usize] as usize] += 1;
        }
        assert_eq!(counts, [994_000, 1_000, 5_000]);
    }

    #[test]
    fn what_cannot_be_made_is_refused_with_a_cure() {
        let fails = |change: &dyn Fn(&mut PhantomOptions), with: &str| {
            let mut options = options(100, 10, 10);
            change(&mut options);
            let error = prepare(&options).unwrap_err().to_string();
            assert!(error.contains(with), "{error}");
        };
        fails(&|options| options.pairs = 0, "`pairs`: 0 is not between");
        fails(&|options| options.pairs = u64::MAX, "is not between");
        fails(&|options| options.side = 50_000, "`side`: 50000 pixels");
        fails(&|options| options.test = 95, "more than the 100 records in all");
        fails(&|options| options.test = u64::MAX, "more than the 100 records in all");
        fails(&|options| options.image_missing = f64::NAN, "`image_missing`: NaN is not a share");
        fails(&|options| (options.image_missing, options.text_missing) = (0.6, 0.5), "more than 1");
        fails(&|options| options.prepare.threads = Some(0), "0 threads");
        let whole = |seed: &u64| phantom::patient(Key::new(*seed), 0) == phantom::patient(Key::new(*seed), 1);
        let seed = (0..).find(whole).unwrap();
        let two = |options: &mut PhantomOptions| {
            (options.pairs, options.validate, options.test, options.seed) = (2, 1, 1, seed);
        };
        fails(
            &two,
            "`test`: each patient has 1 to 3 records, so 2 records cannot be split into exactly 1 validate \
                     and 1 test",
        );
        let nearly_all = options(100, 1, 98);
        assert_eq!(prepare(&nearly_all).unwrap().1.counts(Split::Test).records, 98);
    }

    #[test]
    fn a_record_reads_back_as_it_was_drawn() {
        let (here, _) = prepare(&options(40, 4, 6)).unwrap();
        let folder = ShardFolder::open(&here.path().join("out"), Split::Test).unwrap();
        for place in 0..6 {
            let record = folder.get(place).unwrap();
            let phantom = phantom::generate(Key::new(9), record.id[8..].parse().unwrap(), 32);
            assert_eq!(record.texts, [phantom.report.findings, phantom.report.impression]);
            assert_eq!(record.labels.last().unwrap().value, phantom.causes.key());
            assert_eq!(record.questions, phantom.questions);
            let bytes = std::io::Cursor::new(record.image.unwrap().bytes);
            let mut reader = png::Decoder::new(bytes).read_info().unwrap();
            let mut grey = vec![0; 32 * 32];
            reader.next_frame(&mut grey).unwrap();
            assert_eq!(grey, phantom.picture.grey);
        }
    }
}
