//! Questions whose answers are not known, several inputs of `ask`, and questions that it cannot read.

use std::io::Write;
use std::process::Stdio;

use crate::finetune::{QUESTIONS, json, prepared, recipe, tuned};
use crate::harness::Place;

/// A model that answers questions, fine-tuned for one step, in `ask`.
fn asked() -> Place {
    tuned(QUESTIONS, "ask", &["train.steps=1", "train.validate_every=0"])
}

#[test]
fn questions_without_answers_are_asked() {
    let place = asked();
    place.write("q.csv", "image,question\n0.png,Which side is bright?\n1.png,Is the left side bright?\n");
    place.write("empty.csv", "image,question,answer\n0.png,Which side is bright?,left\n1.png,Which side is bright?,\n");
    place.write("q.jsonl", "{\"image\": \"0.png\", \"question\": \"Which side is bright?\"}\n{\"image\": \"1.png\", \"question\": \"Which?\"}\n");
    for table in ["q.csv", "empty.csv", "q.jsonl"] {
        let ran = place.exits(&["ask", "ask", table, "--json"], 0, &[]);
        let questions = ran.stdout.lines().filter(|line| json(line)["question"].is_string()).count();
        assert_eq!(questions, 2, "{table}: {}", ran.stdout);
    }
    place.good(&["prepare", "table", "q.csv", "q"]);
    assert_eq!(place.good(&["ask", "ask", "q", "--json"]).stdout.lines().count(), 2);
    place.exits(&["ask", "ask", "pairs.csv", "0.png"], 3, &["0.png", "name the column", "`question`"]);
}

#[test]
fn several_inputs_are_asked_one_question() {
    let place = asked();
    let ran = place.good(&["ask", "ask", "0.png", "1.png", "Which side is bright?"]);
    assert!(ran.stdout.contains("0.png  Which") && ran.stdout.contains("1.png  Which"), "{}", ran.stdout);
    assert!(ran.stderr.contains("do not add up to 1"), "{}", ran.stderr);
    place.exits(&["ask", "ask", "0.png", "nowhere.png"], 2, &["`nowhere.png` does not exist"]);
}

#[test]
fn typed_questions_that_cannot_be_read_are_refused() {
    let place = asked();
    for (typed, words) in [
        (&b"\n \n"[..], "standard input has no question"),
        (b"Which side is bright?\n\xff\xfe\n", "line 2 of standard input is not UTF-8"),
    ] {
        let mut command = place.command(&["ask", "ask", "0.png"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed).unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && stderr.contains(words), "{stderr}");
    }
}

#[test]
fn questions_without_answers_are_neither_trained_on_nor_scored() {
    let place = prepared();
    let mut table = "image,question,answer,patient,split\n".to_string();
    for number in 0..40 {
        let split = ["train", "train", "train", "test"][number / 2 % 4];
        let answer = if number % 5 < 3 { ["left", "right"][number % 2] } else { "" };
        table += &format!("{number}.png,Which side is bright?,{answer},p{number},{split}\n");
    }
    place.write("half.csv", table);
    place.good(&["prepare", "table", "half.csv", "half"]);
    recipe(&place, "ask.toml", QUESTIONS);
    let sets = ["data=[\"half\"]", "train.steps=1", "train.validate_every=0", "train.batch=4"];
    let sets: Vec<&str> = sets.into_iter().flat_map(|set| ["--set", set]).collect();
    let ran = place.good(&[&["finetune", "ask.toml", "--model", "run", "--out", "ask"][..], &sets].concat());
    assert!(ran.stderr.contains("questions without an answer are not used"), "{}", ran.stderr);
    let report = json(&place.good(&["evaluate", "ask", "--json"]).stdout);
    let report = report["sources"].as_object().unwrap().values().next().unwrap().clone();
    assert!(report["notes"].to_string().contains("do not have a question and an answer"), "{report}");
    let unanswered = (0..40).filter(|number| number / 2 % 4 == 3 && number % 5 >= 3).count() as u64;
    assert_eq!(report["records"].as_u64(), Some(10 - unanswered), "{report}");
}
