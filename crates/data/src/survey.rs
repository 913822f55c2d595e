//! Counts of the content of a folder of shards, made in one pass over all columns except the images.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::DataError;
use crate::manifest::Manifest;
use crate::record::{Record, Split};
use crate::shard::ShardFolder;
use crate::source::Source;

/// The largest number of different values that are counted separately in one split. Further values are counted together.
const MAX_VALUES: usize = 2_000;

/// The largest text length, in words, that is counted separately. Longer texts are counted with this length.
pub const LONGEST: usize = 500;

/// The number of sample records of each split.
const SAMPLES: usize = 6;

/// The counts of all splits of a folder.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The manifest of the folder.
    pub manifest: Manifest,
    /// The counts of each split.
    pub splits: BTreeMap<Split, SplitSurvey>,
}

/// The counts of one split.
#[derive(Clone, Debug, Default)]
pub struct SplitSurvey {
    /// For each number of words (at most [`LONGEST`]), the number of texts of that length.
    pub words: BTreeMap<usize, u64>,
    /// For each label and value, the number of records that have it.
    pub labels: BTreeMap<(String, String), u64>,
    /// The number of texts of each section.
    pub sections: BTreeMap<&'static str, u64>,
    /// The number of questions, and the number of closed questions among them.
    pub questions: (u64, u64),
    /// For each answer, the number of questions that have it.
    pub answers: BTreeMap<String, u64>,
    /// The number of sentence pairs.
    pub sentences: u64,
    /// Some complete records, evenly spread over the split.
    pub samples: Vec<Record>,
}

impl Survey {
    /// Counts the content of a folder.
    ///
    /// # Errors
    /// When it is not a folder of shards, or when a shard is missing or damaged.
    pub fn of(folder: &Path) -> Result<Self, DataError> {
        let manifest = Manifest::read(folder)?;
        let mut splits = BTreeMap::new();
        for split in Split::ALL.into_iter().filter(|split| manifest.counts(*split).records > 0) {
            let shards = ShardFolder::open(folder, split)?;
            let mut survey = SplitSurvey::default();
            shards.each_without_image(&mut |record| survey.add(&record))?;
            let count = shards.len().min(SAMPLES);
            let sample = |place: usize| shards.get(place * shards.len() / count);
            survey.samples = (0..count).map(sample).collect::<Result<_, _>>()?;
            splits.insert(split, survey);
        }
        Ok(Self { manifest, splits })
    }
}

impl SplitSurvey {
    fn add(&mut self, record: &Record) {
        for (place, text) in record.texts.iter().enumerate() {
            *self.words.entry(text.split_whitespace().count().min(LONGEST)).or_default() += 1;
            let section = record.sections.get(place).copied().unwrap_or_default();
            *self.sections.entry(section.name()).or_default() += 1;
        }
        for label in &record.labels {
            count(&mut self.labels, (label.name.clone(), label.value.clone()), |(name, _)| (name, "(others)".into()));
        }
        for question in &record.questions {
            self.questions.0 += 1;
            self.questions.1 += u64::from(question.closed);
            count(&mut self.answers, ptu_input::text::normal_answer(&question.answer), |_| "(others)".into());
        }
        self.sentences += u64::from(record.sentences.is_some());
    }
}

/// Counts a key. After [`MAX_VALUES`] different keys, a new key is counted under the name that `others` gives.
fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K, others: impl FnOnce(K) -> K) {
    let key = if counts.len() < MAX_VALUES || counts.contains_key(&key) { key } else { others(key) };
    *counts.entry(key).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Label, Question};
    use crate::tests::{record, write_folder};

    #[test]
    fn a_folder_is_counted() {
        let here = tempfile::tempdir().unwrap();
        let out = here.path().join("out");
        let mut records: Vec<Record> = (0..40).map(|place| record(&format!("r{place}"))).collect();
        records[3].labels = vec![Label::new("organ", "chest"), Label::new("organ", "head")];
        records[4].questions = vec![Question { answer: "No.".into(), closed: true, ..Question::default() }];
        records[5].split = Split::Test;
        write_folder(&out, records);
        let survey = Survey::of(&out).unwrap();
        let train = &survey.splits[&Split::Train];
        assert_eq!(train.words, BTreeMap::from([(1, 39), (3, 39)]));
        assert_eq!(train.labels.len(), 2);
        assert_eq!((train.questions, train.answers["no"], train.samples.len()), ((1, 1), 1, SAMPLES));
        assert_eq!(survey.splits[&Split::Test].samples[0].id, "r5");
        assert!(train.samples.iter().all(|one| one.image.is_some()));
    }
}
