//! VQA-RAD (Lau et al., 2018; docs/layouts.md, section 6).

use std::sync::Arc;

use ptu_data::DataError;
use ptu_data::record::{Label, Question, Split};
use serde_json::Value;

use super::parts::{self, Asked, at, word};
use super::{Choice, Description, Details, NamedOptions, Opened};
use crate::raw::{Entry, Raw};
use crate::shares::bucket;

pub const ABOUT: Description = Description {
    name: "vqa-rad",
    title: "VQA-RAD: visual questions about radiology images",
    what: "Radiographs, CT and MR images of MedPix with questions and answers that clinicians wrote.",
    licence: "CC0 1.0",
    access: "open: https://osf.io/89kps",
    layout: "\
trainset.json  testset.json             the copy that code for medical VQA reads (also valset.json, where there is one)
images/synpic12345.jpg
or, as OSF has it:
VQA_RAD Dataset Public.json
VQA_RAD Image Folder/synpic12345.jpg
(the copy on Hugging Face, parquet by split, is read by `prepare table`)",
    records: "one an image and split, with all its questions (type, closed or open) and the organ as a label",
    splits: "as published: questions, not images, are split, so nearly all test images are images of train too (reported). \
             `--split-by image` draws splits that share none; `--carve-validation` takes a tenth of train's images",
    counts: "3,064 questions to learn from, 451 to be tested by, 315 images, 498 answers in all, 461 in train",
    citation: "Lau et al., Scientific Data 5, 180251 (2018), doi 10.1038/sdata.2018.251",
    tars: &[],
};

pub fn open(raw: &Arc<Raw>, options: &NamedOptions) -> Result<Opened, DataError> {
    let mut asked = Asked::new(ABOUT.name);
    let mut tables = vec![];
    let choices = Splits { by_image: options.has(Choice::SplitByImage), carve: options.has(Choice::CarveValidation) };
    if let Some(whole) = raw.find(&["VQA_RAD Dataset Public.json"]) {
        for (number, item) in parts::list(&whole)?.iter().enumerate() {
            let split = match word(item, "phrase_type").starts_with("test") {
                true => Split::Test,
                false => Split::Train,
            };
            for key in ["question", "question_rephrase", "question_frame"] {
                ask(&mut asked, &whole, (number, item, key), choices.of(split, &word(item, "image_name")));
            }
        }
        tables.push(whole);
    } else {
        raw.require(&[
            &["trainset.json", "VQA_RAD Dataset Public.json"],
            &["testset.json", "VQA_RAD Dataset Public.json"],
        ])?;
        let files = [("trainset.json", Split::Train), ("valset.json", Split::Validate), ("testset.json", Split::Test)];
        for (name, split) in files {
            let Some(file) = raw.find(&[name]) else { continue };
            for (number, item) in parts::list(&file)?.iter().enumerate() {
                ask(&mut asked, &file, (number, item, "question"), choices.of(split, &word(item, "image_name")));
            }
            tables.push(file);
        }
    }
    let (noted, overlaps, mut details) = (asked.answers(), asked.overlaps(), Details::default());
    for folder in ["images", "VQA_RAD Image Folder"] {
        for name in raw.list(folder, ".jpg").into_keys().filter(|name| !asked.has(name)) {
            details.add("images-that-nobody-asks-about", format!("{folder}/{name}"), "no question names it");
        }
    }
    let rows = asked.rows(raw, |_, name| vec![format!("images/{name}"), format!("VQA_RAD Image Folder/{name}")]);
    let splits = match (choices.by_image, choices.carve) {
        (true, _) => "splits are ours, by a hash of the image: 80 % train, 10 % validate, 10 % test",
        (_, true) => {
            "splits are those published; a tenth of the images of train, by a hash of their name, is for validation"
        }
        _ => "splits are those published",
    };
    Ok(Opened { noted, details, overlaps, published: !choices.by_image, ..Opened::published(rows, tables, &[splits]) })
}

#[derive(Clone, Copy)]
struct Splits {
    by_image: bool,
    carve: bool,
}

impl Splits {
    fn of(self, published: Split, image: &str) -> Split {
        let bucket = bucket("vqarad", 42, image);
        match published {
            _ if self.by_image && bucket < 8_000 => Split::Train,
            _ if self.by_image && bucket < 9_000 => Split::Validate,
            _ if self.by_image => Split::Test,
            Split::Train if self.carve && bucket < 1_000 => Split::Validate,
            published => published,
        }
    }
}

fn ask(asked: &mut Asked, file: &Entry, (number, item, key): (usize, &Value, &str), split: Split) {
    let question = word(item, key);
    let extra = key != "question";
    if extra && (question.is_empty() || question.eq_ignore_ascii_case("null")) {
        return;
    }
    let (image, answer) = (word(item, "image_name"), word(item, "answer"));
    if image.is_empty() || question.is_empty() || answer.is_empty() {
        let place = at(file, number as u64 + 1);
        return asked.skip(place, format!("question {} lacks its image, question or answer", word(item, "qid")));
    }
    let question = Question {
        id: word(item, "qid") + if extra { &key["question".len()..] } else { "" },
        question,
        answer,
        closed: word(item, "answer_type").eq_ignore_ascii_case("closed"),
        category: word(item, "question_type"),
    };
    let organ = word(item, "image_organ");
    asked.add(split, &image, question, || vec![Label::new("organ", organ)]);
}
