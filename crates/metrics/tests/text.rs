//! Scores of texts against `pycocoevalcap` 1.2, `rouge_score` 0.1.2 and METEOR 1.5; the numbers come from
//! `tools/reference/golden_text.py`.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use ptu_metrics::text::*;
use serde_json::Value;

/// A hypothesis and its references, as texts.
type Case = (String, Vec<String>);

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn text_golden() -> Value {
    golden(include_str!("golden/text.json"))
}

fn cases(value: &Value) -> Vec<Case> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let case = |case: &Value| (text(&case[0]), case[1].as_array().unwrap().iter().map(text).collect());
    value.as_array().unwrap().iter().map(case).collect()
}

fn split(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Scores of the cases after their texts were made into tokens.
fn scored<R>(cases: &[Case], tokens: impl Fn(&str) -> Vec<String>, score: impl Fn(&[Compared<'_, String>]) -> R) -> R {
    let tokens: Vec<_> = cases
        .iter()
        .map(|(hypothesis, references)| {
            (tokens(hypothesis), references.iter().map(|it| tokens(it)).collect::<Vec<_>>())
        })
        .collect();
    let compared: Vec<_> = tokens.iter().map(|(hypothesis, references)| Compared { hypothesis, references }).collect();
    score(&compared)
}

fn assert_close(name: &str, found: &TextScores, expected: &Value, tolerance: f64) {
    let texts = expected["texts"].as_array().unwrap();
    assert_eq!(found.texts.len(), texts.len());
    let corpus = (&found.corpus, &expected["corpus"]);
    for (place, (found, expected)) in found.texts.iter().zip(texts).chain([corpus]).enumerate() {
        let (found, expected) = (found.unwrap(), expected.as_f64().unwrap());
        assert!((found - expected).abs() < tolerance, "{name} {place}: {found} {expected}");
    }
}

#[test]
fn captions_equal_pycocoevalcap() {
    let golden = text_golden();
    let cases = cases(&golden["cases"]);
    assert!(cases.len() >= 200);
    for (n, found) in scored(&cases, split, bleu).iter().enumerate() {
        let name = format!("bleu{}", n + 1);
        assert_close(&name, found, &golden[&name], 1e-9);
    }
    assert_close("cider", &scored(&cases, split, cider), &golden["cider"], 1e-9);
    assert_close("rouge", &scored(&cases, split, rouge_l_caption), &golden["rouge_l_caption"], 1e-9);
}

#[test]
fn rouge_equals_rouge_score() {
    let golden = text_golden();
    let cases = cases(&golden["cases"]);
    for (stemmed, ending) in [(false, ""), (true, "_stemmed")] {
        let tokens = |text: &str| rouge_tokens(text, stemmed);
        for n in [1, 2] {
            let name = format!("rouge{n}{ending}");
            assert_close(&name, &scored(&cases, tokens, |texts| rouge_n(texts, n)), &golden[&name], 1e-9);
        }
        let name = format!("rougeL{ending}");
        assert_close(&name, &scored(&cases, tokens, rouge_l), &golden[&name], 1e-9);
    }
}

#[test]
fn meteor_equals_the_program_where_there_is_one_way_to_pair() {
    let golden = text_golden();
    let found = scored(&cases(&golden["distinct"]), split, meteor_exact_stem);
    assert_close("meteor", &found, &golden["meteor"], 1e-6);
}

#[test]
fn stems_equal_nltk() {
    for (word, stem) in text_golden()["stems"].as_object().unwrap() {
        assert_eq!(porter_stem(word), stem.as_str().unwrap(), "{word}");
    }
}

#[test]
fn tokens_equal_pycocoevalcap() {
    let golden = golden(include_str!("golden/ptb.json"));
    let texts = golden.as_array().unwrap();
    assert!(texts.len() >= 300);
    for pair in texts {
        let expected: Vec<&str> = pair[1].as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect();
        let expected: Vec<&str> = expected.into_iter().filter(|token| !token.is_empty()).collect();
        assert_eq!(ptb_tokens(pair[0].as_str().unwrap()), expected, "{}", pair[0]);
    }
}

#[test]
fn meteor_pairs_the_most_equal_words_and_then_makes_the_fewest_pieces() {
    // meteor-1.5.jar with the modules `exact stem`.
    let case = |hypothesis: &str, reference: &str| {
        scored(&[(hypothesis.to_owned(), vec![reference.to_owned()])], split, meteor_exact_stem).corpus.unwrap()
    };
    assert!((case("heart hearts", "hearts heart") - 0.4).abs() < 1e-6);
    assert!((case("walking dogs", "walks dog") - 0.6).abs() < 1e-6);
    assert!((case("xx yy zz", "xx yy zz ww") - 0.403_913_036_060_151_9).abs() < 1e-6);
    assert!((case("xx xx", "xx") - 0.347_826_086_956_521_8).abs() < 1e-6);
    assert!(case("walk", "walks walking") == 0.0, "a stem that could be paired in two ways adds a piece");
}

/// All scores of two texts.
fn all_scores(hypothesis: &[String], references: &[Vec<String>]) -> Vec<TextScores> {
    let texts = [0, 1].map(|_| Compared { hypothesis, references });
    let mut found = Vec::from(bleu(&texts));
    found.extend([rouge_n(&texts, 1), rouge_n(&texts, 2), rouge_l(&texts), rouge_l_caption(&texts)]);
    found.extend([meteor_exact_stem(&texts), cider(&texts)]);
    found
}

#[test]
fn an_empty_text_scores_0_and_a_text_without_references_has_no_score() {
    let words = split("the heart is normal in size");
    for scores in all_scores(&[], &[words.clone(), Vec::new()]).into_iter().chain(all_scores(&[], &[Vec::new()])) {
        assert_eq!(scores, TextScores { texts: vec![Some(0.0); 2], corpus: Some(0.0) });
    }
    for scores in all_scores(&words, &[]) {
        assert_eq!(scores, TextScores { texts: vec![None; 2], corpus: None });
    }
    assert_eq!(rouge_l::<String>(&[]).corpus, None);
    let single = [words.clone()];
    assert_eq!(cider(&[Compared { hypothesis: &words, references: &single }]).corpus, None, "all weights are 0");
}

#[test]
fn a_hundred_thousand_words_take_seconds() {
    let repeated = vec!["the".to_owned(); 100_000];
    let vocabulary: Vec<String> = (0..100_000).map(|word| format!("w{}", word * 7_919 % 30_011)).collect();
    for (hypothesis, reference) in [(&repeated, &vocabulary), (&repeated, &repeated), (&vocabulary, &vocabulary)] {
        let references = [reference.clone()];
        let texts = [Compared { hypothesis, references: &references }];
        let same = hypothesis == reference;
        assert_eq!(rouge_l(&texts).corpus, Some(f64::from(u8::from(same))));
        let meteor = meteor_exact_stem(&texts).corpus.unwrap();
        assert!((meteor - f64::from(u8::from(same))).abs() < 1e-9, "{meteor}");
    }
    for text in
        ["<a ".repeat(50_000), "a.".repeat(100_000), "a,".repeat(100_000), "@".repeat(100_000), "-'".repeat(100_000)]
    {
        assert!(ptb_tokens(&text).len() <= text.len());
    }
}
