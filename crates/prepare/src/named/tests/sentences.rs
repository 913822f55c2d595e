use ptu_data::record::{Mark, SentencePair};

use super::*;

fn pair(key: &str, id: &str, label: &str, first: &str, second: &str) -> String {
    serde_json::json!({ key: id, "gold_label": label, "sentence1": first, "sentence2": second }).to_string() + "\r\n"
}

fn mednli(fake: &FakeDownload, folder: &str) {
    let rows = [
        pair("pairID", "a", "entailment", " Invented premise ", "Invented hypothesis"),
        pair("pairID", "b", "-", "x.", "y."),
        "\r\n{broken\r\n".to_string(),
        pair("pairID", "c", "maybe", "x", "y"),
        pair("pairID", "d", "neutral", "", "y"),
    ];
    fake.write(&format!("{folder}mli_train_v1.jsonl"), rows.concat());
}

#[test]
fn mednli_pairs_end_with_a_full_stop() {
    let fake = FakeDownload::new();
    mednli(&fake, "mednli/1.0.0/");
    fake.write("mednli/1.0.0/mli_dev_v1.jsonl", pair("pairID", "a", "neutral", "One.", "Two."));
    fake.write("mednli/1.0.0/mli_test_v1.jsonl", pair("pairID", "t", "contradiction", "One", "Two"));
    let prepared = fake.prepare(Dataset::Mednli);
    assert_eq!(prepared.ids(), ["train/a", "validate/a", "test/t"]);
    let record = prepared.record("train/a");
    let wanted = SentencePair { premise: "Invented premise.".into(), hypothesis: "Invented hypothesis.".into() };
    assert_eq!((record.sentences.as_ref(), value(&record.labels, "relation")), (Some(&wanted), "entailment"));
    prepared.assert_skipped("line 2", "did not agree");
    prepared.assert_skipped("line 4", "not valid JSON");
    prepared.assert_skipped("line 5", "`maybe` is not a relation");
    prepared.assert_skipped("line 6", "a sentence is missing");
}

#[test]
fn radnli_uses_training_pairs_in_the_same_folder() {
    let fake = FakeDownload::new();
    fake.write("radnli_dev_v1.jsonl", pair("pair_id", "9001", "neutral", "Lungs are clear.", "No effusion."));
    fake.write("radnli_test_v1.jsonl", pair("pair_id", "9002", "entailment", "Clear.", "Normal"));
    let prepared = fake.prepare(Dataset::Radnli);
    assert_eq!(prepared.ids(), ["validate/9001", "test/9002"]);
    assert!(prepared.manifest.preprocessing.iter().any(|sentence| sentence.contains("no training pairs")));
    mednli(&fake, "mednli/");
    let indexes = [
        pair("pair_id", "p1", "neutral", "s50000001,0:10", "s50000001,11:21"),
        pair("pair_id", "p2", "neutral", "s50000001,0:10", "s59999999,0:5"),
    ];
    fake.write("resources/radnli_pseudo-train_indexes.jsonl", indexes.concat());
    fake.write("mimic_cxr_sectioned.csv.gz", {
        use std::io::Write;
        let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        let text =
            "study,impression,findings,last_paragraph,comparison\r\ns50000001,x,\"Lungs\n  red. No  effusion.\",,\r\n";
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    });
    let prepared = fake.prepare(Dataset::Radnli);
    assert_eq!(prepared.count(Split::Train), 2);
    let record = prepared.record("train/p1");
    let wanted = SentencePair { premise: "Lungs red.".into(), hypothesis: "No effusio".into() };
    assert_eq!((record.source.as_str(), record.sentences.as_ref()), ("radnli", Some(&wanted)));
    assert_eq!(prepared.record("train/a").source, "mednli");
    prepared.assert_skipped("line 2", "`s59999999,0:5.` is not in the sectioned reports");
}

#[test]
fn chemprot_in_the_forms_of_blue_and_scibert() {
    let blue = FakeDownload::new();
    blue.write("train.tsv", "\u{feff}index\tsentence\tlabel\n1.T1.T2\tAn \"é\" @CHEMICAL$ inhibits @GENE$.\tCPR:4\n1.T3.T2\tBoth: @CHEM-GENE$.\tfalse\n");
    blue.write("dev.tsv", "index\tsentence\tlabel\n2.T1.T2\t@GENE$ and @CHEMICAL$.\tCPR:7\n");
    blue.write("test.tsv", "index\tsentence\tlabel\n3.T1.T2\t@GENE$ and @CHEMICAL$.\tCPR:9\n");
    let prepared = blue.prepare(Dataset::Chemprot);
    let record = prepared.record("train/1.T1.T2");
    let marks = [Mark { kind: "CHEMICAL".into(), start: 7, end: 17 }, Mark { kind: "GENE".into(), start: 27, end: 33 }];
    assert_eq!((record.marks.as_slice(), record.patient.as_str()), (marks.as_slice(), "1"));
    assert_eq!(prepared.record("train/1.T3.T2").texts, ["Both: @CHEMICAL-GENE$."]);
    prepared.assert_skipped("dev.tsv line 2", "`CPR:7` is not a relation");

    let scibert = FakeDownload::new();
    let line =
        |text: &str, label: &str| serde_json::json!({"text": text, "label": label, "metadata": []}).to_string() + "\n";
    scibert.write(
        "train.txt",
        line("<< Invented kinase >> is blocked by [[ inventinib ]].", "INHIBITOR") + &line("no marks", "AGONIST"),
    );
    scibert.write("dev.txt", line("[[ a ]] and << b >>", "ANTAGONIST"));
    scibert.write("test.txt", line("[[ a ]] and << b >>", "UNKNOWN"));
    let prepared = scibert.prepare(Dataset::Chemprot);
    let record = prepared.record("train/1");
    assert_eq!(
        (record.texts[0].as_str(), value(&record.labels, "relation")),
        ("Invented kinase is blocked by inventinib.", "CPR:4")
    );
    assert_eq!(record.marks[1], Mark { kind: "second".into(), start: 30, end: 40 });
    prepared.assert_skipped("train.txt line 2", "is not marked");
    prepared.assert_skipped("test.txt line 1", "`UNKNOWN` is not a relation");
}

#[test]
fn chemprot_in_the_form_of_the_corpus() {
    let corpus = FakeDownload::new();
    for (part, gs) in [("training", ""), ("development", ""), ("test", "_gs")] {
        let folder = format!("ChemProt_Corpus/chemprot_{part}{gs}");
        let pmid = part.len();
        corpus.write(
            &format!("{folder}/chemprot_{part}_abstracts{gs}.tsv"),
            format!("{pmid}\tAspirin blocks COX1.\tThen aspirin meets COX2.\n"),
        );
        let entities =
            [("T1", "CHEMICAL", 0, 7), ("T2", "GENE-Y", 15, 19), ("T3", "CHEMICAL", 26, 33), ("T4", "GENE-N", 40, 44)];
        let entities: String = entities
            .iter()
            .map(|(id, kind, start, end)| format!("{pmid}\t{id}\t{kind}\t{start}\t{end}\tx\n"))
            .collect();
        // The fuzz target `named` found that an entity which ends before it starts must be handled.
        let entities = format!("{entities}{pmid}\tT5\tGENE-N\t19\t15\tx\n{pmid}\tT6\tGENE-N\tone\ttwo\tx\n");
        corpus.write(&format!("{folder}/chemprot_{part}_entities{gs}.tsv"), entities);
        let gold = format!(
            "{pmid}\tCPR:4\tArg1:T1\tArg2:T2\n{pmid}\tCPR:9\tArg1:T1\tArg2:T2\n{pmid}\tCPR:3\tArg1:T1\tArg2:T4\n"
        );
        corpus.write(&format!("{folder}/chemprot_{part}_gold_standard.tsv"), gold);
    }
    let prepared = corpus.prepare(Dataset::Chemprot);
    let values: Vec<_> =
        prepared.records.iter().take(3).map(|one| (one.texts[0].as_str(), value(&one.labels, "relation"))).collect();
    let wanted = [
        ("@CHEMICAL$ blocks @GENE$.", "CPR:4"),
        ("@CHEMICAL$ blocks @GENE$.", "CPR:9"),
        ("Then @CHEMICAL$ meets @GENE$.", "false"),
    ];
    assert_eq!(values, wanted);
    prepared.assert_skipped("chemprot_training_entities.tsv line 5", "`19` to `15` is not a range of a text");
    prepared.assert_skipped("chemprot_training_entities.tsv line 6", "`one` to `two` is not a range");
    assert_eq!(prepared.noted("relations-over-two-sentences-left-out"), 3);
    prepared.assert_detail(
        "relations-over-two-sentences-left-out",
        "abstract 8",
        "CPR:3: T1 and T4 are not in one sentence",
    );
}
