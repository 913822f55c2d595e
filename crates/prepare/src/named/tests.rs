//! Tests with small imitations of the real downloads, which also imitate the special cases in them.

mod captions;
mod details;
mod labels;
mod questions;
mod sentences;

use std::fs;
use std::path::{Path, PathBuf};

use ptu_data::manifest::Manifest;
use ptu_data::record::{Label, Record, Split};
use ptu_data::shard::ShardFolder;
use ptu_data::source::Source;

use super::*;
use crate::tests::png;
use crate::{Duplicates, Part, join_parts};

/// An imitation of a download.
struct FakeDownload {
    here: tempfile::TempDir,
}

/// The result of a preparation: the manifest, and the records of all splits one after another.
struct PreparedDataset {
    manifest: Manifest,
    records: Vec<Record>,
}

impl FakeDownload {
    fn new() -> Self {
        Self { here: tempfile::tempdir().unwrap() }
    }

    fn raw(&self) -> PathBuf {
        self.here.path().join("raw")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.raw().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn image(&self, name: &str, number: u8) {
        self.write(name, png(number));
    }

    fn out(&self) -> PathBuf {
        self.here.path().join("out")
    }

    fn prepare(&self, dataset: Dataset) -> PreparedDataset {
        self.prepare_with(dataset, &NamedOptions::default()).unwrap()
    }

    fn prepare_with_choice(&self, dataset: Dataset, choice: Choice) -> PreparedDataset {
        self.prepare_with(dataset, &NamedOptions { choices: vec![choice], ..NamedOptions::default() }).unwrap()
    }

    fn prepare_with(&self, dataset: Dataset, options: &NamedOptions) -> Result<PreparedDataset, String> {
        let _ = fs::remove_dir_all(self.out());
        let prepared = prepare_named(dataset, (&self.raw(), &self.out()), options, &|_| {});
        let manifest = prepared.map_err(|error| error.to_string())?.manifest().unwrap().clone();
        Ok(PreparedDataset { records: records(&self.out()), manifest })
    }

    fn preparation_error(&self, dataset: Dataset) -> String {
        let error = self.prepare_with(dataset, &NamedOptions::default()).err().unwrap();
        let left: Vec<_> = fs::read_dir(self.here.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().contains("out")), "{left:?}");
        error
    }
}

fn records(folder: &Path) -> Vec<Record> {
    let mut all = vec![];
    for split in Manifest::read(folder).unwrap().splits.keys() {
        let shards = ShardFolder::open(folder, *split).unwrap();
        all.extend((0..shards.len()).map(|place| shards.get(place).unwrap()));
    }
    all
}

impl PreparedDataset {
    fn record(&self, id: &str) -> &Record {
        let found = self.records.iter().find(|record| record.id == id);
        found.unwrap_or_else(|| panic!("no `{id}` in {:?}", self.ids()))
    }

    fn ids(&self) -> Vec<&str> {
        self.records.iter().map(|record| record.id.as_str()).collect()
    }

    fn count(&self, split: Split) -> u64 {
        self.manifest.counts(split).records
    }

    /// The reasons why records were skipped.
    fn causes(&self) -> Vec<&str> {
        self.manifest.skipped.iter().map(|skipped| skipped.cause.as_str()).collect()
    }

    /// Checks that a row at `place` was skipped for the reason `cause`.
    fn assert_skipped(&self, place: &str, cause: &str) {
        let found = self.manifest.skipped.iter().any(|one| one.place.contains(place) && one.cause.contains(cause));
        assert!(found, "`{place}`: `{cause}` is not in {:?}", self.manifest.skipped);
    }

    /// Checks that everything counted under `key` is also listed, and that the list contains `place` with the reason `cause`.
    fn assert_detail(&self, key: &str, place: &str, cause: &str) {
        let entries = self.manifest.details.get(key).map_or(&[][..], Vec::as_slice);
        assert_eq!(entries.len() as u64, self.noted(key), "{key}");
        let found = entries.iter().any(|one| one.place.contains(place) && one.cause.contains(cause));
        assert!(found, "`{place}`: `{cause}` is not in {entries:?}");
    }

    fn noted(&self, key: &str) -> u64 {
        self.manifest.noted.get(key).copied().unwrap_or_default()
    }
}

fn value<'r>(labels: &'r [Label], name: &str) -> &'r str {
    labels.iter().find(|label| label.name == name).map_or("", |label| &label.value)
}

#[test]
fn every_name_is_described() {
    let names: Vec<&str> = Description::all().map(|about| about.name).collect();
    assert_eq!(names.len(), 15);
    for name in names {
        let about = Description::of(name).unwrap();
        for part in [
            about.title,
            about.what,
            about.licence,
            about.access,
            about.layout,
            about.records,
            about.splits,
            about.counts,
        ] {
            assert!(!part.is_empty() && about.text().contains(part), "{name}");
        }
        assert!(!about.citation.is_empty() && serde_json::to_value(about).unwrap()["layout"].is_string(), "{name}");
    }
    assert!(Description::of("chexnet").is_none());
}

#[test]
fn the_error_for_an_empty_download_names_the_missing_files() {
    let wanted = [
        "captions.txt",
        "top4_public.jsonl",
        "metadata.csv",
        "ecgen-radiology/*.xml",
        "Descriptions.json",
        "trainset.json",
        "train.json",
        "C1_Modality_train.txt",
        "train.csv",
        "stage_2_train_labels.csv",
        "mli_train_v1.jsonl",
        "radnli_dev_v1.jsonl",
        "train.csv",
        "train.tsv",
    ];
    for (dataset, wanted) in Dataset::ALL.into_iter().zip(wanted) {
        let fake = FakeDownload::new();
        fake.write("something.txt", "else");
        let error = fake.preparation_error(dataset);
        assert!(
            error.contains("does not contain") && error.contains(wanted) && error.contains("--describe"),
            "{error}"
        );
    }
}

#[test]
fn options_of_other_sets_are_refused() {
    let fake = FakeDownload::new();
    let options = NamedOptions { choices: vec![Choice::SplitByPaper], ..NamedOptions::default() };
    let error = fake.prepare_with(Dataset::VqaRad, &options).err().unwrap();
    assert!(error.contains("vqa-rad has no option `--split-by paper`; it has `--split-by image`"), "{error}");
}

/// The bytes of a folder of shards, file by file.
fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn threads_and_parts_give_equal_bytes() {
    let fake = FakeDownload::new();
    let rows: String = (0..1_000).map(|row| format!("{{\"gold_label\": \"neutral\", \"sentence1\": \"Premise {row}\", \"sentence2\": \"x\", \"pairID\": \"{row}\"}}\n")).collect();
    fake.write("mli_train_v1.jsonl", rows);
    fake.write(
        "mli_dev_v1.jsonl",
        "{\"gold_label\": \"-\", \"sentence1\": \"a\", \"sentence2\": \"b\", \"pairID\": \"d\"}\n",
    );
    fake.write(
        "mli_test_v1.jsonl",
        "{\"gold_label\": \"neutral\", \"sentence1\": \"a\", \"sentence2\": \"b\", \"pairID\": \"t\"}\n",
    );
    let prepare = |name: &str, prepare: PrepareOptions| {
        let out = fake.here.path().join(name);
        let options = NamedOptions { prepare, ..NamedOptions::default() };
        prepare_named(Dataset::Mednli, (&fake.raw(), &out), &options, &|_| {}).unwrap();
        out
    };
    let one = prepare("one", PrepareOptions { threads: Some(1), ..PrepareOptions::default() });
    let three = prepare("three", PrepareOptions { threads: Some(3), ..PrepareOptions::default() });
    assert_eq!(bytes(&one), bytes(&three));
    let part = |number: u64| {
        let part = Some(Part { number, of: 3 });
        prepare(&format!("part-{number}"), PrepareOptions { part, ..PrepareOptions::default() })
    };
    let mut parts: Vec<PathBuf> = (1..=3).map(part).collect();
    parts.rotate_left(1);
    let joined = fake.here.path().join("joined");
    join_parts(&parts, &joined, &|_| {}).unwrap();
    assert_eq!(bytes(&one), bytes(&joined));
    let again = fake.here.path().join("again");
    let error = join_parts(&parts[..2], &again, &|_| {}).unwrap_err().to_string();
    assert!(error.contains("part 1/3 is missing"), "{error}");
    let error = join_parts(&[&parts[0], &parts[0]], &again, &|_| {}).unwrap_err().to_string();
    assert!(error.contains("is the same part as"), "{error}");
    let error = join_parts(&[&one], &again, &|_| {}).unwrap_err().to_string();
    assert!(error.contains("is not a part of a data set"), "{error}");
    for (file, from, to, wanted) in [
        ("work.json", "\"of\":3", "\"of\":0", "part 2/0, which does not exist"),
        ("block-0000001.json", "train-00001.parquet", "../train-00001.parquet", "not a plain file name"),
        ("block-0000001.json", "\"records\":", "\"records\":1", "its records do not match its shards"),
    ] {
        let path = parts[0].join(file);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, whole.replace(from, to)).unwrap();
        let error = join_parts(&parts, &again, &|_| {}).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        fs::write(&path, whole).unwrap();
    }
    fake.write("mli_test_v1.jsonl", "");
    let other = prepare("other", PrepareOptions { part: Some(Part { number: 1, of: 3 }), ..PrepareOptions::default() });
    let error = join_parts(&[&other, &parts[0], &parts[1]], &again, &|_| {}).unwrap_err().to_string();
    assert!(error.contains("was prepared from other data"), "{error}");
    assert!(!again.exists());
}

#[test]
fn files_in_a_wrong_format_give_an_error_message() {
    let slake = FakeDownload::new();
    for name in ["train.json", "validate.json", "test.json"] {
        slake.write(name, "[".repeat(100_000));
    }
    let error = slake.preparation_error(Dataset::Slake);
    assert!(error.contains("train.json` is not valid JSON (recursion limit"), "{error}");
    slake.write("train.json", "{\"a\": 1}");
    assert!(slake.preparation_error(Dataset::Slake).contains("is not a list; does it belong to another version"));

    let copy = FakeDownload::new();
    copy.write("data/train-00000-of-00001.parquet", "questions");
    let error = copy.preparation_error(Dataset::VqaRad);
    assert!(error.contains("does not contain `trainset.json`") && error.contains("read by `prepare table`"), "{error}");

    let rsna = FakeDownload::new();
    rsna.write("stage_2_train_labels.csv", "patientId,x,y,width,height\n1,,,,\n");
    let error = rsna.preparation_error(Dataset::Rsna);
    assert!(
        error.contains("no column `Target`; it has `patientId`, `x`") && error.contains("another version"),
        "{error}"
    );
    let long = format!("patientId,x,y,width,height,Target\n\"{}", "x".repeat(9 << 20));
    rsna.write("stage_2_train_labels.csv", long);
    let error = rsna.preparation_error(Dataset::Rsna);
    assert!(error.contains("line 2: the row is longer than 8 MiB; is a quotation mark not closed?"), "{error}");

    let mednli = FakeDownload::new();
    for name in ["train", "dev", "test"] {
        mednli.write(&format!("mli_{name}_v1.jsonl"), b"{\"sentence1\": \"caf\xe9\"}\n".as_slice());
    }
    let error = mednli.preparation_error(Dataset::Mednli);
    assert!(
        error.contains("no row can be used; the first is at mli_train_v1.jsonl line 1") && error.contains("not UTF-8"),
        "{error}"
    );

    // Ids that occur twice, and a data set whose images cannot be decoded.
    let chemprot = FakeDownload::new();
    let row = "1.T1.T2\t@CHEMICAL$ and @GENE$.\tfalse\n";
    chemprot.write("train.tsv", format!("index\tsentence\tlabel\n{row}{row}"));
    chemprot.write("dev.tsv", "");
    chemprot.write("test.tsv", "");
    let prepared = chemprot.prepare(Dataset::Chemprot);
    assert_eq!(prepared.records.len(), 1);
    prepared.assert_skipped("train/1.T1.T2", "an earlier record has the same id");
    let melinda = FakeDownload::new();
    for name in ["train", "dev", "test"] {
        melinda.write(
            &format!("{name}.csv"),
            "figure_file,caption,i_meth,p_meth,i_meth_label,p_meth_label\nx.jpg,Some more words,a,b,c,d\n",
        );
    }
    melinda.write("images/x.jpg", "no picture");
    let error = melinda.preparation_error(Dataset::Melinda);
    assert!(error.contains("no row can be used") && error.contains("x.jpg"), "{error}");
}
