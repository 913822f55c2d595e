//! Functions that several data sets use.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ptu_input::text::normal_answer;
use rand_mt::Mt;
use serde_json::Value;

use crate::asked::QuestionCounts;
use crate::draft::{Draft, RowPosition};
use crate::raw::row::Row;
use crate::raw::{Entry, Raw};
pub(crate) use crate::raw::{json, json_list as list};
use ptu_data::manifest::{Common, Overlap};
use ptu_data::record::{Finding, Label, Question, Record, RecordImage, Section, Split};
use ptu_data::shard::EXAMPLES;

/// Smallest number of words of a text; shorter texts are not used.
const MIN_WORDS: usize = 3;

/// The text, trimmed, with each run of white space (also non-breaking) replaced by one blank.
pub fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text with collapsed white space; `None` if it has fewer than three words.
pub fn usable_text(text: &str) -> Option<String> {
    let text = collapsed(text);
    (text.split(' ').count() >= MIN_WORDS).then_some(text)
}

/// Adds a text to a record, if it has three words or more.
pub fn push_text(record: &mut Record, section: Section, words: &str) {
    if let Some(words) = usable_text(words) {
        record.texts.push(words);
        record.sections.push(section);
    }
}

/// A new record of the data set `source`. Its patient is its id, until the caller sets another one.
pub fn new_record(source: &str, id: impl Into<String>, split: Split) -> Record {
    let id = id.into();
    Record { patient: id.clone(), id, split, source: source.into(), ..Record::default() }
}

/// The image of a record, without its bytes, and its file in the download. `names` are the paths that the file may have; the
/// file may be missing.
pub fn find_image(raw: &Raw, names: &[&str]) -> (RecordImage, Entry) {
    let name = names.first().copied().unwrap_or_default();
    let entry = raw.find(names).unwrap_or_else(|| Entry::file(raw.root().join(name)));
    (RecordImage { bytes: vec![], path: Some(name.to_string()) }, entry)
}

/// Names in the form that [`Raw::find`] takes.
pub fn as_strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// The draft of a record with its image.
pub fn with_image(position: RowPosition, mut record: Record, (image, entry): (RecordImage, Entry)) -> Draft {
    record.image = Some(image);
    Draft::read(position, record, Some(entry))
}

/// The position of a line of a file.
pub fn line_position(entry: &Entry, line: u64) -> RowPosition {
    RowPosition::Named(format!("{} line {line}", entry.name()))
}

/// A value of a JSON object as text: numbers as they are written. Empty if the value is missing, or is neither a text nor a
/// number.
pub fn string_value(object: &Value, key: &str) -> String {
    match object.get(key) {
        Some(Value::String(text)) => text.trim().to_string(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// CPython's `random.Random(seed)`, but only what `shuffle` needs of it.
pub struct PythonRandom(Mt);

impl PythonRandom {
    pub fn new(seed: u32) -> Self {
        Self(Mt::new_with_key([seed]))
    }

    /// Shuffles as `random.shuffle` does.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u32 + 1);
            items.swap(last, other as usize);
        }
    }

    fn below(&mut self, bound: u32) -> u32 {
        let bits = 32 - bound.leading_zeros();
        loop {
            let drawn = self.0.next_u32() >> (32 - bits);
            if drawn < bound {
                return drawn;
            }
        }
    }
}

/// The same permutation as NumPy's legacy `RandomState(seed).permutation(count)`.
pub fn numpy_permutation(seed: u32, count: usize) -> Vec<usize> {
    let mut random = Mt::new(seed);
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        let mask = u32::MAX >> (last as u32).leading_zeros();
        let other = loop {
            let drawn = random.next_u32() & mask;
            if drawn as usize <= last {
                break drawn as usize;
            }
        };
        order.swap(last, other);
    }
    order
}

/// Labels of findings from cells that contain 1.0, 0.0, -1.0 or nothing.
///
/// # Errors
/// When a cell contains another value; the message names it.
pub fn finding_labels(row: &Row, columns: &[(String, usize)]) -> Result<Vec<Label>, String> {
    let label = |(name, column): &(String, usize)| match Finding::of(row.get(*column)) {
        Some(finding) => Ok(Label::new(name, finding.name())),
        None => Err(format!("`{name}` is `{}`, not 1.0, 0.0, -1.0 or blank", row.get(*column))),
    };
    columns.iter().map(label).collect()
}

/// Collects questions about images into records: one record for each image and split.
pub struct QuestionRecords {
    source: &'static str,
    images: BTreeMap<(Split, String), Record>,
    order: Vec<(Split, String)>,
    /// Questions that cannot be used.
    unusable: Vec<Draft>,
}

impl QuestionRecords {
    pub fn new(source: &'static str) -> Self {
        Self { source, images: BTreeMap::new(), order: vec![], unusable: vec![] }
    }

    /// Skips a question that cannot be used.
    pub fn skip(&mut self, position: RowPosition, cause: impl Into<String>) {
        self.unusable.push(Draft::bad(position, cause));
    }

    /// Adds a question. `labels` is called only for the first question about an image in a split.
    pub fn add(&mut self, split: Split, image: &str, question: Question, labels: impl FnOnce() -> Vec<Label>) {
        let key = (split, image.to_string());
        let new = || {
            self.order.push(key.clone());
            let mut record = new_record(self.source, format!("{split}/{image}"), split);
            record.patient = image.to_string();
            record.labels = labels();
            record
        };
        self.images.entry(key.clone()).or_insert_with(new).questions.push(question);
    }

    /// Whether there is a question about an image.
    pub fn contains(&self, image: &str) -> bool {
        Split::ALL.into_iter().any(|split| self.images.contains_key(&(split, image.to_string())))
    }

    /// Counts of all questions for the manifest, whether their images are there or not.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = QuestionCounts::default();
        self.images.values().for_each(|record| counts.add(record));
        counts.noted()
    }

    /// Questions that two splits have in common: same image, same question, same answer.
    pub fn overlaps(&self) -> Vec<Overlap> {
        let mut seen: HashMap<(&str, String, String), Vec<Split>> = HashMap::new();
        for ((split, image), record) in &self.images {
            for question in &record.questions {
                let key =
                    (image.as_str(), collapsed(&question.question).to_lowercase(), normal_answer(&question.answer));
                let splits = seen.entry(key).or_default();
                if !splits.contains(split) {
                    splits.push(*split);
                }
            }
        }
        let mut found: BTreeMap<[Split; 2], Vec<String>> = BTreeMap::new();
        for ((image, question, _), splits) in seen {
            for (position, &first) in splits.iter().enumerate() {
                for &second in &splits[position + 1..] {
                    found
                        .entry([first.min(second), first.max(second)])
                        .or_default()
                        .push(format!("{image}: {question}"));
                }
            }
        }
        let overlap = |(splits, mut examples): ([Split; 2], Vec<String>)| {
            examples.sort();
            let count = examples.len() as u64;
            examples.truncate(EXAMPLES);
            Overlap { of: Common::Question, splits, count, removed: 0, examples }
        };
        found.into_iter().map(overlap).collect()
    }

    /// The rows, in the order of the first question about each image. `names` gives the paths that the file of an image may
    /// have.
    pub fn rows(mut self, raw: &Arc<Raw>, names: impl Fn(Split, &str) -> Vec<String>) -> Vec<Draft> {
        let mut rows = self.unusable;
        for key in self.order {
            if let Some(record) = self.images.remove(&key) {
                let names = names(key.0, &key.1);
                rows.push(with_image(RowPosition::Named(record.id.clone()), record, find_image(raw, &as_strs(&names))));
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn shuffles_match_python() {
        let shuffled = |count: usize| {
            let mut items: Vec<usize> = (0..count).collect();
            PythonRandom::new(42).shuffle(&mut items);
            items
        };
        assert_eq!(shuffled(10), [7, 3, 2, 8, 5, 6, 9, 4, 0, 1]);
        let thousand: Vec<String> = shuffled(1000).iter().map(usize::to_string).collect();
        let hash = Sha256::digest(thousand.join(","));
        assert_eq!(hash[..8], 0x73d4_3194_0076_22fc_u64.to_be_bytes());
        assert_eq!(shuffled(65_421)[..5], [28_875, 19_442, 10_293, 58_736, 62_891]);
        let mut random = PythonRandom::new(42);
        let mut lists: [Vec<u8>; 3] = [(0..20).collect(), (0..10).collect(), (0..10).collect()];
        lists.iter_mut().for_each(|list| random.shuffle(list));
        assert_eq!(lists[0], [19, 5, 14, 4, 9, 13, 15, 18, 6, 12, 17, 10, 1, 11, 2, 16, 7, 8, 0, 3]);
        assert_eq!(lists[1], [7, 5, 0, 2, 4, 9, 1, 6, 3, 8]);
        assert_eq!(lists[2], [7, 8, 3, 0, 2, 9, 1, 4, 5, 6]);
    }

    #[test]
    fn permutations_match_numpy() {
        assert_eq!(numpy_permutation(0, 10), [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]);
    }

    #[test]
    fn texts_have_at_least_three_words() {
        assert_eq!(usable_text(" Axial\u{a0}view \n (arrow). ").as_deref(), Some("Axial view (arrow)."));
        assert_eq!(usable_text("two words"), None);
        assert_eq!(usable_text(" \u{a0}"), None);
    }
}
