//! VQA-Med 2019 (Ben Abacha et al., 2019; docs/layouts.md, section 8).

use std::sync::Arc;

use ptu_data::DataError;
use ptu_data::record::{Question, Split};

use super::helpers::{QuestionRecords, line_position};
use super::{DatasetRows, Description, Details};
use crate::raw::lines::{Line, Lines};
use crate::raw::{Entry, Raw};

pub const ABOUT: Description = Description {
    name: "medvqa2019",
    title: "VQA-Med 2019: the ImageCLEF challenge of medical visual questions",
    what: "Radiology images of MedPix with questions about modality, plane and organ. Questions about abnormalities \
           are skipped, as in published work.",
    licence: "CC BY 4.0",
    access: "open: Zenodo 10499039, and abachaa/VQA-Med-2019 on GitHub for the test",
    layout: "\
ImageClef-2019-VQA-Med-Training/
  QAPairsByCategory/C1_Modality_train.txt  C2_Plane_train.txt  C3_Organ_train.txt
  Train_images/synpic12345.jpg
ImageClef-2019-VQA-Med-Validation/
  QAPairsByCategory/C1_Modality_val.txt  C2_Plane_val.txt  C3_Organ_val.txt
  Val_images/
VQAMed2019Test/
  VQAMed2019_Test_Questions_w_Ref_Answers.txt
  VQAMed2019_Test_Images/
or, repackaged: {train,val,test}/QA/{Modality,Organ,Plane}.csv  {train,val,test}/images/",
    records: "one for each image, with its questions by category; all questions are open",
    splits: "as published, by image",
    counts: "3,200 / 500 / 500 images; 12,792 / 2,000 / 500 questions with abnormalities; 79 answers without",
    citation: "Ben Abacha et al., CLEF 2019 Working Notes",
    tars: &[],
};

/// Categories in the order in which they are read, with the beginnings of the names of their files.
const CATEGORIES: [(&str, &str); 3] = [("modality", "C1_Modality"), ("organ", "C3_Organ"), ("plane", "C2_Plane")];

const SPLITS: [(&str, &str, Split); 2] = [("Training", "train", Split::Train), ("Validation", "val", Split::Validate)];

const TEST_FILE: &str = "VQAMed2019_Test_Questions_w_Ref_Answers.txt";

pub fn open(raw: &Arc<Raw>) -> Result<DatasetRows, DataError> {
    let mut reader =
        QuestionReader { questions: QuestionRecords::new(ABOUT.name), tables: vec![], details: Details::default() };
    let repackaged = raw.find(&["train/QA/Modality.csv"]).is_some();
    if repackaged {
        for (folder, split) in [("train", Split::Train), ("val", Split::Validate), ("test", Split::Test)] {
            for (category, name) in [("modality", "Modality"), ("organ", "Organ"), ("plane", "Plane")] {
                let file = raw.need(&[&format!("{folder}/QA/{name}.csv")])?;
                reader.file(&file, split, |line| three_fields(line, category))?;
            }
        }
    } else {
        let names = |split: &str, short: &str| {
            CATEGORIES.map(|(_, start)| {
                let name = format!("QAPairsByCategory/{start}_{short}.txt");
                [format!("ImageClef-2019-VQA-Med-{split}/{name}"), name]
            })
        };
        let wanted: Vec<[String; 2]> = SPLITS.iter().flat_map(|(long, short, _)| names(long, short)).collect();
        let test = [format!("VQAMed2019Test/{TEST_FILE}"), TEST_FILE.to_string()];
        let all: Vec<[&str; 2]> =
            wanted.iter().chain([&test]).map(|names| [names[0].as_str(), names[1].as_str()]).collect();
        raw.require(&all.iter().map(|names| names.as_slice()).collect::<Vec<_>>())?;
        for (long, short, split) in SPLITS {
            for ((category, _), names) in CATEGORIES.into_iter().zip(names(long, short)) {
                let file = raw.need(&[&names[0], &names[1]])?;
                reader.file(&file, split, |line| three_fields(line, category))?;
            }
        }
        let file = raw.need(&[&test[0], &test[1]])?;
        reader.file(&file, Split::Test, |line| match line.text.splitn(4, '|').collect::<Vec<_>>()[..] {
            [image, category, question, answer] => Some([image, category, question, answer].map(str::to_string)),
            _ => None,
        })?;
    }
    let QuestionReader { questions, tables, details } = reader;
    let (noted, overlaps) = (questions.counts(), questions.overlaps());
    let rows = questions.rows(raw, |split, name| {
        let (folder, short) = match split {
            Split::Train => ("ImageClef-2019-VQA-Med-Training/Train_images", "train"),
            Split::Validate => ("ImageClef-2019-VQA-Med-Validation/Val_images", "val"),
            Split::Test => ("VQAMed2019Test/VQAMed2019_Test_Images", "test"),
        };
        let last = folder.rsplit('/').next().unwrap_or_default();
        vec![format!("{folder}/{name}"), format!("{last}/{name}"), format!("{short}/images/{name}")]
    });
    let preprocessing = ["splits are those published", "questions about abnormalities are skipped"];
    Ok(DatasetRows { noted, details, overlaps, ..DatasetRows::published_splits(rows, tables, &preprocessing) })
}

/// Image, category, question and answer of a line of three fields (image, question, answer). Any further `|` belongs to the
/// answer.
fn three_fields(line: &Line, category: &str) -> Option<[String; 4]> {
    match line.text.splitn(3, '|').collect::<Vec<_>>()[..] {
        [image, question, answer] => Some([image, category, question, answer].map(str::to_string)),
        _ => None,
    }
}

/// Reads files of questions.
struct QuestionReader {
    questions: QuestionRecords,
    tables: Vec<Entry>,
    details: Details,
}

impl QuestionReader {
    /// Reads a file of questions. `fields` divides a line into image, category, question and answer.
    fn file(
        &mut self,
        file: &Entry,
        split: Split,
        fields: impl Fn(&Line) -> Option<[String; 4]>,
    ) -> Result<(), DataError> {
        let mut lines = Lines::open(file)?;
        let (questions, details) = (&mut self.questions, &mut self.details);
        lines.each(|line| {
            if line.text.trim().is_empty() {
                return;
            }
            if line.latin {
                details.add("lines-read-as-latin-1", line_position(file, line.number), "it is not UTF-8");
            }
            match fields(&line).map(|fields| fields.map(|field| field.trim().to_string())) {
                Some([_, category, _, _]) if category == "abnormality" => {}
                Some([image, category, question, answer]) if !image.is_empty() && !answer.is_empty() => {
                    let id = format!("{split}-{category}-{}", line.number);
                    let image = if image.ends_with(".jpg") { image } else { image + ".jpg" };
                    questions.add(split, &image, Question { id, question, answer, closed: false, category }, Vec::new);
                }
                _ => questions.skip(
                    line_position(file, line.number),
                    "the image, the question or the answer is missing in this line",
                ),
            }
        })?;
        self.tables.push(file.clone());
        Ok(())
    }
}
