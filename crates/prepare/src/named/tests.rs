//! Small imitations of the real downloads, with their odd cases, made here.

mod captions;
mod labels;
mod questions;
mod sentences;
mod told;

use std::fs;
use std::path::{Path, PathBuf};

use ptu_data::manifest::Manifest;
use ptu_data::record::{Label, Record, Split};
use ptu_data::shard::ShardFolder;
use ptu_data::source::Source;

use super::*;
use crate::tests::png;
use crate::{Duplicates, Part, join_parts};

/// A download that is being imitated.
struct Fake {
    here: tempfile::TempDir,
}

/// Shards and their records, all splits one after another.
struct Made {
    manifest: Manifest,
    records: Vec<Record>,
}

impl Fake {
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

    fn prepare(&self, dataset: Dataset) -> Made {
        self.with(dataset, &NamedOptions::default()).unwrap()
    }

    fn chosen(&self, dataset: Dataset, choice: Choice) -> Made {
        self.with(dataset, &NamedOptions { choices: vec![choice], ..NamedOptions::default() }).unwrap()
    }

    fn with(&self, dataset: Dataset, options: &NamedOptions) -> Result<Made, String> {
        let _ = fs::remove_dir_all(self.out());
        let prepared = prepare_named(dataset, (&self.raw(), &self.out()), options, &|_| {});
        let manifest = prepared.map_err(|error| error.to_string())?.manifest().unwrap().clone();
        Ok(Made { records: records(&self.out()), manifest })
    }

    fn fails(&self, dataset: Dataset) -> String {
        let error = self.with(dataset, &NamedOptions::default()).err().unwrap();
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

impl Made {
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

    /// Causes of the records that were left out.
    fn causes(&self) -> Vec<&str> {
        self.manifest.skipped.iter().map(|skipped| skipped.cause.as_str()).collect()
    }

    fn lacks(&self, place: &str, cause: &str) {
        let found = self.manifest.skipped.iter().any(|one| one.place.contains(place) && one.cause.contains(cause));
        assert!(found, "`{place}`: `{cause}` is not in {:?}", self.manifest.skipped);
    }

    /// What is counted under a word is listed too, each with its place and cause; one of them is this one.
    fn tells(&self, what: &str, place: &str, cause: &str) {
        let told = self.manifest.details.get(what).map_or(&[][..], Vec::as_slice);
        assert_eq!(told.len() as u64, self.noted(what), "{what}");
        let found = told.iter().any(|one| one.place.contains(place) && one.cause.contains(cause));
        assert!(found, "`{place}`: `{cause}` is not in {told:?}");
    }

    fn noted(&self, what: &str) -> u64 {
        self.manifest.noted.get(what).copied().unwrap_or_default()
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
fn an_empty_download_is_told_what_it_lacks() {
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
        let fake = Fake::new();
        fake.write("something.txt", "else");
        let error = fake.fails(dataset);
        assert!(error.contains("lacks") && error.contains(wanted) && error.contains("--describe"), "{error}");
    }
}

#[test]
fn options_of_other_sets_are_refused() {
    let fake = Fake::new();
    let options = NamedOptions { choices: vec![Choice::SplitByPaper], ..NamedOptions::default() };
    let error = fake.with(Dataset::VqaRad, &options).err().unwrap();
    assert!(error.contains("vqa-rad has no option `--split-by paper`; it has `--split-by image`"), "{error}");
}

/// The bytes of a folder of shards, file by file.
fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn threads_and_parts_make_equal_bytes() {
    let fake = Fake::new();
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
    let prepare = |name: &str, making: PrepareOptions| {
        let out = fake.here.path().join(name);
        let options = NamedOptions { making, ..NamedOptions::default() };
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
    assert!(error.contains("is no part of a data set"), "{error}");
    for (file, from, to, wanted) in [
        ("work.json", "\"of\":3", "\"of\":0", "part 2/0, which is none"),
        ("block-0000001.json", "train-00001.parquet", "../train-00001.parquet", "no plain file name"),
        ("block-0000001.json", "\"records\":", "\"records\":1", "its records are not those of its shards"),
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
    assert!(error.contains("was made from other data"), "{error}");
    assert!(!again.exists());
}

#[test]
fn files_that_are_no_such_files_end_with_a_message() {
    let slake = Fake::new();
    for name in ["train.json", "validate.json", "test.json"] {
        slake.write(name, "[".repeat(100_000));
    }
    let error = slake.fails(Dataset::Slake);
    assert!(error.contains("train.json` is no JSON (recursion limit"), "{error}");
    slake.write("train.json", "{\"a\": 1}");
    assert!(slake.fails(Dataset::Slake).contains("is no list; is it of another version"));

    let copy = Fake::new();
    copy.write("data/train-00000-of-00001.parquet", "questions");
    let error = copy.fails(Dataset::VqaRad);
    assert!(error.contains("lacks `trainset.json`") && error.contains("read by `prepare table`"), "{error}");

    let rsna = Fake::new();
    rsna.write("stage_2_train_labels.csv", "patientId,x,y,width,height\n1,,,,\n");
    let error = rsna.fails(Dataset::Rsna);
    assert!(
        error.contains("no column `Target`; it has `patientId`, `x`") && error.contains("another version"),
        "{error}"
    );
    let long = format!("patientId,x,y,width,height,Target\n\"{}", "x".repeat(9 << 20));
    rsna.write("stage_2_train_labels.csv", long);
    let error = rsna.fails(Dataset::Rsna);
    assert!(error.contains("line 2: the row is longer than 8 MiB; is a quotation mark not closed?"), "{error}");

    let mednli = Fake::new();
    for name in ["train", "dev", "test"] {
        mednli.write(&format!("mli_{name}_v1.jsonl"), b"{\"sentence1\": \"caf\xe9\"}\n".as_slice());
    }
    let error = mednli.fails(Dataset::Mednli);
    assert!(
        error.contains("not one row is usable, the first at mli_train_v1.jsonl line 1") && error.contains("not UTF-8"),
        "{error}"
    );

    // Ids that come twice, and images of which none can be decoded.
    let chemprot = Fake::new();
    let row = "1.T1.T2\t@CHEMICAL$ and @GENE$.\tfalse\n";
    chemprot.write("train.tsv", format!("index\tsentence\tlabel\n{row}{row}"));
    chemprot.write("dev.tsv", "");
    chemprot.write("test.tsv", "");
    let made = chemprot.prepare(Dataset::Chemprot);
    assert_eq!(made.records.len(), 1);
    made.lacks("train/1.T1.T2", "its id was there before");
    let melinda = Fake::new();
    for name in ["train", "dev", "test"] {
        melinda.write(
            &format!("{name}.csv"),
            "figure_file,caption,i_meth,p_meth,i_meth_label,p_meth_label\nx.jpg,Some more words,a,b,c,d\n",
        );
    }
    melinda.write("images/x.jpg", "no picture");
    let error = melinda.fails(Dataset::Melinda);
    assert!(error.contains("not one row is usable") && error.contains("x.jpg"), "{error}");
}
