//! VQA-RAD (Lau et al., 2018; docs/layouts.md, section 6).

use std::sync::Arc;

use ptu_data::DataError;
use ptu_data::record::{Label, Question, Split};
use serde_json::Value;

use super::helpers::{self, QuestionRecords, line_position, string_value};
use super::{Choice, DatasetRows, Description, Details, NamedOptions};
use crate::draft::RowPosition;
use crate::raw::Raw;
use crate::shares::bucket;

pub const ABOUT: Description = Description {
    name: "vqa-rad",
    title: "VQA-RAD: visual questions about radiology images",
    what: "Radiographs, CT and MR images of MedPix with questions and answers that clinicians wrote.",
    licence: "CC0 1.0",
    access: "open: https://osf.io/89kps",
    layout: "\
trainset.json  testset.json             the copy that published code for medical VQA uses (also valset.json, if it exists)
images/synpic12345.jpg
or the copy on OSF:
VQA_RAD Dataset Public.json
VQA_RAD Image Folder/synpic12345.jpg
(for the copy on Hugging Face, parquet files by split, use `prepare table`)",
    records: "one for each image in each split, with all its questions (type, closed or open) and the organ as a \
              label",
    splits: "as published: the questions are split, not the images, so nearly all test images are in train too (this \
             is reported). `--split-by image` makes splits that have no image in common; `--carve-validation` moves \
             a tenth of the training images to validate",
    counts: "3,064 questions for training, 451 for testing, 315 images, 498 answers in all, 461 in train",
    citation: "Lau et al., Scientific Data 5, 180251 (2018), doi 10.1038/sdata.2018.251",
    tars: &[],
};

pub fn open(raw: &Arc<Raw>, options: &NamedOptions) -> Result<DatasetRows, DataError> {
    let mut questions = QuestionRecords::new(ABOUT.name);
    let mut tables = vec![];
    let split_choices =
        SplitChoices { by_image: options.has(Choice::SplitByImage), carve: options.has(Choice::CarveValidation) };
    if let Some(single_file) = raw.find(&["VQA_RAD Dataset Public.json"]) {
        for (number, item) in helpers::list(&single_file)?.iter().enumerate() {
            let split = match string_value(item, "phrase_type").starts_with("test") {
                true => Split::Test,
                false => Split::Train,
            };
            for key in ["question", "question_rephrase", "question_frame"] {
                let position = line_position(&single_file, number as u64 + 1);
                let split = split_choices.of(split, &string_value(item, "image_name"));
                add_question(&mut questions, position, item, key, split);
            }
        }
        tables.push(single_file);
    } else {
        raw.require(&[
            &["trainset.json", "VQA_RAD Dataset Public.json"],
            &["testset.json", "VQA_RAD Dataset Public.json"],
        ])?;
        let files = [("trainset.json", Split::Train), ("valset.json", Split::Validate), ("testset.json", Split::Test)];
        for (name, split) in files {
            let Some(file) = raw.find(&[name]) else { continue };
            for (number, item) in helpers::list(&file)?.iter().enumerate() {
                let position = line_position(&file, number as u64 + 1);
                let split = split_choices.of(split, &string_value(item, "image_name"));
                add_question(&mut questions, position, item, "question", split);
            }
            tables.push(file);
        }
    }
    let (noted, overlaps, mut details) = (questions.counts(), questions.overlaps(), Details::default());
    for folder in ["images", "VQA_RAD Image Folder"] {
        for name in raw.list(folder, ".jpg").into_keys().filter(|name| !questions.contains(name)) {
            details.add("images-that-nobody-asks-about", format!("{folder}/{name}"), "no question names it");
        }
    }
    let rows = questions.rows(raw, |_, name| vec![format!("images/{name}"), format!("VQA_RAD Image Folder/{name}")]);
    let splits = match (split_choices.by_image, split_choices.carve) {
        (true, _) => "splits are chosen by a hash of the image: 80 % train, 10 % validate, 10 % test",
        (_, true) => {
            "splits are those published; a tenth of the training images, chosen by a hash of their names, is used \
             for validation"
        }
        _ => "splits are those published",
    };
    Ok(DatasetRows {
        noted,
        details,
        overlaps,
        published: !split_choices.by_image,
        ..DatasetRows::published_splits(rows, tables, &[splits])
    })
}

/// How questions are assigned to splits.
#[derive(Clone, Copy)]
struct SplitChoices {
    /// By image, instead of the published splits.
    by_image: bool,
    /// Whether a tenth of the training images is used for validation.
    carve: bool,
}

impl SplitChoices {
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

/// Adds the question under `key` of an item. A rephrased question (another key than `question`) may be missing.
fn add_question(questions: &mut QuestionRecords, position: RowPosition, item: &Value, key: &str, split: Split) {
    let question = string_value(item, key);
    let rephrased = key != "question";
    if rephrased && (question.is_empty() || question.eq_ignore_ascii_case("null")) {
        return;
    }
    let (image, answer) = (string_value(item, "image_name"), string_value(item, "answer"));
    if image.is_empty() || question.is_empty() || answer.is_empty() {
        return questions.skip(
            position,
            format!("the image, the question or the answer of question {} is missing", string_value(item, "qid")),
        );
    }
    let question = Question {
        id: string_value(item, "qid") + if rephrased { &key["question".len()..] } else { "" },
        question,
        answer,
        closed: string_value(item, "answer_type").eq_ignore_ascii_case("closed"),
        category: string_value(item, "question_type"),
    };
    let organ = string_value(item, "image_organ");
    questions.add(split, &image, question, || vec![Label::new("organ", organ)]);
}
