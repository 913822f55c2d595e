//! SLAKE (Liu et al., 2021; docs/layouts.md, section 7).

use std::sync::Arc;

use ptu_data::DataError;
use ptu_data::record::{Label, Question, Split};

use super::helpers::{self, QuestionRecords, line_position, string_value};
use super::{Choice, DatasetRows, Description, NamedOptions};
use crate::raw::Raw;

pub const ABOUT: Description = Description {
    name: "slake",
    title: "SLAKE: questions about radiology images with a knowledge graph",
    what: "CT, MR and X-ray images with questions in English and Chinese. Masks, boxes and the knowledge graph are not used.",
    licence: "CC BY 4.0",
    access: "open: https://www.med-vqa.com/slake, or BoKelvin/SLAKE on Hugging Face",
    layout: "\
Slake1.0/
  train.json  validate.json (or validation.json)  test.json
  imgs/xmlab102/source.jpg",
    records: "one for each image, with all its questions (content type, closed or open); modality and location as \
              labels",
    splits: "as published, by image",
    counts: "642 images (450 / 96 / 96), 14,028 questions, in English 4,919 / 1,053 / 1,061, 222 answers",
    citation: "Liu et al., ISBI 2021, arXiv 2102.09542",
    tars: &[],
};

pub fn open(raw: &Arc<Raw>, options: &NamedOptions) -> Result<DatasetRows, DataError> {
    let names: [(&[&str], Split); 3] = [
        (&["train.json"], Split::Train),
        (&["validate.json", "validation.json"], Split::Validate),
        (&["test.json"], Split::Test),
    ];
    raw.require(&names.map(|(names, _)| names))?;
    let all = options.has(Choice::AllLanguages);
    let (mut questions, mut tables) = (QuestionRecords::new(ABOUT.name), vec![]);
    for (names, split) in names {
        let file = raw.need(names)?;
        for (number, item) in helpers::list(&file)?.iter().enumerate() {
            let language = string_value(item, "q_lang");
            if !all && language != "en" {
                continue;
            }
            let (image, question, answer) =
                (string_value(item, "img_name"), string_value(item, "question"), string_value(item, "answer"));
            if image.is_empty() || question.is_empty() || answer.is_empty() {
                let cause = format!(
                    "the image, the question or the answer of question {} is missing",
                    string_value(item, "qid")
                );
                questions.skip(line_position(&file, number as u64 + 1), cause);
                continue;
            }
            let question = Question {
                id: string_value(item, "qid"),
                question,
                answer,
                closed: string_value(item, "answer_type").eq_ignore_ascii_case("closed"),
                category: string_value(item, "content_type"),
            };
            let labels = || ["modality", "location"].map(|name| Label::new(name, string_value(item, name))).to_vec();
            questions.add(split, &image, question, labels);
        }
        tables.push(file);
    }
    let (noted, overlaps) = (questions.counts(), questions.overlaps());
    let rows = questions.rows(raw, |_, name| vec![format!("imgs/{name}"), name.to_string()]);
    let languages = if all { "questions in all languages" } else { "questions in English only" };
    Ok(DatasetRows {
        noted,
        overlaps,
        ..DatasetRows::published_splits(rows, tables, &["splits are those published", languages])
    })
}
