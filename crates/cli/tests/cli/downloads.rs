//! Small imitations of public data sets as they are downloaded, with the files and columns that docs/layouts.md describes.

use std::path::PathBuf;

use serde_json::json;

use crate::harness::Place;
use crate::vectors::png;

/// The splits of an imitation: a name, the number of the first record, and how many records there are.
const SPLITS: [(&str, usize, usize); 3] = [("train", 0, 24), ("validate", 24, 8), ("test", 32, 8)];

const FINDINGS: &str = "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,\
                        Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices";

/// Writes the imitation of a data set into the folder `raw/NAME`, and prepares it into the folder `OUT`.
pub fn prepare(place: &Place, name: &str, out: &str) -> PathBuf {
    let raw = format!("raw/{name}");
    let write = match name {
        "roco" => roco,
        "medicat" => medicat,
        "mimic-cxr" => mimic_cxr,
        "vqa-rad" => vqa_rad,
        "slake" => slake,
        "medvqa2019" => medvqa2019,
        "chexpert" => chexpert,
        "rsna" => rsna,
        "radnli" => radnli,
        "chemprot" => chemprot,
        "melinda" => melinda,
        _ => panic!("there is no imitation of {name}"),
    };
    write(place, &raw);
    place.good(&["prepare", name, &raw, out, "--keep-duplicates"]);
    place.path(out)
}

/// The value for a record, in turn.
fn turn<'a>(values: &[&'a str], number: usize) -> &'a str {
    values[number % values.len()]
}

/// Writes a picture that looks different for each number.
pub fn picture(place: &Place, path: &str, number: usize) {
    let pixels: Vec<u8> = (0..32 * 32).map(|at| ((at * (number + 3)) % 251) as u8).collect();
    place.write(path, png(32, &pixels));
}

/// A line for each record of a split.
fn lines(first: usize, count: usize, line: impl Fn(usize) -> String) -> String {
    (first..first + count).map(|number| line(number) + "\n").collect()
}

fn roco(place: &Place, raw: &str) {
    for (split, first, count) in SPLITS {
        let folder = format!("{raw}/data/{}/radiology", split.replace("validate", "validation"));
        let caption = |id| format!("ROCO_{id:05}\t Invented axial view number {id}.");
        place.write(&format!("{folder}/captions.txt"), lines(first, count, caption));
        (first..first + count).for_each(|id| picture(place, &format!("{folder}/images/ROCO_{id:05}.jpg"), id));
    }
}

fn medicat(place: &Place, raw: &str) {
    let figure = |number: usize| {
        let (hash, uri) = (format!("{number:040x}"), format!("{number}-Figure1-1.png"));
        picture(place, &format!("{raw}/release/figures/{hash}_{uri}"), 100 + number);
        let (caption, reference) = (format!("Figure {number}. Invented film."), "An invented sentence about it.");
        json!({"pdf_hash": hash, "fig_uri": uri, "s2_caption": caption, "s2orc_references": [reference], "radiology": true})
            .to_string()
    };
    let name = "s2_full_figures_oa_nonroco_combined_medical_top4_public.jsonl";
    place.write(&format!("{raw}/release/{name}"), lines(0, 20, figure));
}

fn mimic_cxr(place: &Place, raw: &str) {
    let mut tables = [
        "dicom_id,subject_id,study_id,ViewPosition\n".to_string(),
        "dicom_id,study_id,subject_id,split\n".to_string(),
        format!("subject_id,study_id,{FINDINGS}\n"),
    ];
    for (split, first, count) in SPLITS {
        for number in first..first + count {
            let (id, subject, study) = (format!("image{number}"), 10_000_000 + number, 50_000_000 + number);
            tables[0] += &format!("{id},{subject},{study},PA\n");
            tables[1] += &format!("{id},{study},{subject},{split}\n");
            tables[2] += &format!("{subject},{study}{}\n", ",".repeat(14));
            picture(place, &format!("{raw}/files/p10/p{subject}/s{study}/{id}.jpg"), 200 + number);
            let impression = turn(&["Nothing acute is seen.", "No change is seen."], number);
            let report = format!(
                " FINDINGS: \n \n Invented lungs are clear in case {number}.\n \n IMPRESSION: \n \n {impression}\n"
            );
            place.write(&format!("{raw}/files/p10/p{subject}/s{study}.txt"), report);
        }
    }
    for (name, text) in ["metadata", "split", "chexpert"].iter().zip(tables) {
        place.write(&format!("{raw}/mimic-cxr-2.0.0-{name}.csv"), text);
    }
}

/// Two questions about each image: `[question, answer, whether it is closed]`.
fn questions(number: usize) -> [(&'static str, &'static str, &'static str); 2] {
    [
        ("Which organ is shown?", turn(&["Lung", "Brain"], number), "OPEN"),
        ("Is it normal?", turn(&["Yes", "No"], number / 2), "CLOSED"),
    ]
}

fn vqa_rad(place: &Place, raw: &str) {
    for (file, splits) in [("trainset", &SPLITS[..2]), ("testset", &SPLITS[2..])] {
        let mut items = vec![];
        for number in splits.iter().flat_map(|(_, first, count)| *first..first + count) {
            let image = format!("synpic{number}.jpg");
            picture(place, &format!("{raw}/images/{image}"), number);
            items.extend(questions(number).into_iter().enumerate().map(|(index, (question, answer, kind))| {
                json!({
                    "qid": 10 * number + index, "image_name": image, "image_organ": "CHEST", "answer": answer, "answer_type": kind,
                    "question_type": "PRES", "question": question, "phrase_type": "freeform",
                })
            }));
        }
        place.write(&format!("{raw}/{file}.json"), json!(items).to_string());
    }
}

fn slake(place: &Place, raw: &str) {
    for (split, first, count) in SPLITS {
        let mut items = vec![];
        for number in first..first + count {
            let name = format!("xmlab{number}/source.jpg");
            picture(place, &format!("{raw}/Slake1.0/imgs/{name}"), number);
            items.extend(questions(number).into_iter().enumerate().map(|(index, (question, answer, kind))| {
                json!({
                    "img_id": number, "img_name": name, "question": question, "answer": answer, "q_lang": "en", "location": "Abdomen",
                    "modality": "CT", "answer_type": kind, "base_type": "vqa", "triple": ["vhead", "_", "_"],
                    "qid": 10 * number + index, "content_type": "Organ",
                })
            }));
        }
        place.write(&format!("{raw}/Slake1.0/{split}.json"), json!(items).to_string());
    }
}

fn medvqa2019(place: &Place, raw: &str) {
    let answers = |number| {
        [
            ("modality", "what modality is shown?", turn(&["xr", "ct"], number)),
            ("plane", "which plane?", turn(&["axial", "coronal"], number / 2)),
            ("organ", "what organ is shown?", turn(&["lung", "skull"], number)),
        ]
    };
    for ((long, short, images), (_, first, count)) in
        [("Training", "train", "Train"), ("Validation", "val", "Val")].into_iter().zip(SPLITS)
    {
        let folder = format!("{raw}/ImageClef-2019-VQA-Med-{long}");
        for (index, name) in ["C1_Modality", "C2_Plane", "C3_Organ"].into_iter().enumerate() {
            let line = |number| {
                let (_, question, answer) = answers(number)[index];
                format!("synpic{number}|{question}|{answer}")
            };
            place.write(&format!("{folder}/QAPairsByCategory/{name}_{short}.txt"), lines(first, count, line));
        }
        (first..first + count)
            .for_each(|number| picture(place, &format!("{folder}/{images}_images/synpic{number}.jpg"), number));
    }
    let (folder, (_, first, count)) = (format!("{raw}/VQAMed2019Test"), SPLITS[2]);
    let test = |number| {
        let each = answers(number)
            .map(|(category, question, answer)| format!("synpic{number}|{category}|{question}|{answer}"));
        each.join("\n")
    };
    place.write(&format!("{folder}/VQAMed2019_Test_Questions_w_Ref_Answers.txt"), lines(first, count, test));
    (first..first + count)
        .for_each(|number| picture(place, &format!("{folder}/VQAMed2019_Test_Images/synpic{number}.jpg"), number));
}

fn chexpert(place: &Place, raw: &str) {
    for (table, splits) in [("train", &SPLITS[..2]), ("valid", &SPLITS[2..])] {
        let row = |number: usize| {
            let path = format!("CheXpert-v1.0-small/{table}/patient{number:05}/study1/view1_frontal.jpg");
            picture(place, &format!("{raw}/{path}"), number);
            // Each finding is positive, negative, uncertain or not mentioned in turn. In valid.csv each is known.
            let values: &[&str] = if table == "train" { &["1.0", "0.0", "-1.0", ""] } else { &["1.0", "0.0"] };
            let cells: Vec<&str> = (0..14).map(|finding| turn(values, number + finding)).collect();
            format!("{path},Female,68,Frontal,AP,{}\n", cells.join(","))
        };
        let rows: String = splits.iter().flat_map(|(_, first, count)| *first..first + count).map(row).collect();
        let header = format!("Path,Sex,Age,Frontal/Lateral,AP/PA,{FINDINGS}\n");
        place.write(&format!("{raw}/CheXpert-v1.0-small/{table}.csv"), header + &rows);
    }
}

fn rsna(place: &Place, raw: &str) {
    // The splits are drawn, so there are enough images for each.
    let row = |number: usize| {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        picture(place, &format!("{raw}/stage_2_train_images/{id}.png"), number);
        if number.is_multiple_of(2) { format!("{id},,,,,0") } else { format!("{id},4.0,4.0,9.0,9.0,1") }
    };
    let rows = lines(0, 60, row);
    place.write(&format!("{raw}/stage_2_train_labels.csv"), format!("patientId,x,y,width,height,Target\n{rows}"));
}

/// A pair of sentences with their relation.
fn sentences(key: &str, number: usize) -> String {
    let relation = turn(&["contradiction", "entailment", "neutral"], number);
    let premise = format!("The heart is normal in case {number}.");
    json!({ key: number.to_string(), "gold_label": relation, "sentence1": premise, "sentence2": format!("There is finding {number}.") })
        .to_string()
}

fn mednli(place: &Place, raw: &str) {
    for (split, first, count) in SPLITS {
        let name = split.replace("validate", "dev");
        place.write(&format!("{raw}/mli_{name}_v1.jsonl"), lines(first, count, |number| sentences("pairID", number)));
    }
}

/// The training pairs of RadNLI are those of MedNLI.
fn radnli(place: &Place, raw: &str) {
    mednli(place, &format!("{raw}/mednli"));
    for (name, (_, first, count)) in ["dev", "test"].into_iter().zip(&SPLITS[1..]) {
        let rows = lines(100 + first, *count, |number| sentences("pair_id", number));
        place.write(&format!("{raw}/radnli_{name}_v1.jsonl"), rows);
    }
}

fn chemprot(place: &Place, raw: &str) {
    for (split, first, count) in SPLITS {
        let row = |number| {
            let relation = turn(&["CPR:3", "CPR:4", "CPR:5", "CPR:6", "CPR:9", "false"], number);
            format!("{number}.T1.T2\tCase {number}: @CHEMICAL$ inhibits @GENE$ in cells.\t{relation}")
        };
        let (name, rows) = (split.replace("validate", "dev"), lines(first, count, row));
        place.write(&format!("{raw}/{name}.tsv"), format!("index\tsentence\tlabel\n{rows}"));
    }
}

fn melinda(place: &Place, raw: &str) {
    for (split, first, count) in SPLITS {
        let row = |number| {
            let (image, method) = (format!("9{number:06}_1_A.jpg"), turn(&["MI:0113", "MI:0096", "MI:0018"], number));
            picture(place, &format!("{raw}/melinda_images/{image}"), number);
            format!("{number},{image},\"Western blot of sample {number}.\",{method},MI:0001,blot,other")
        };
        let (name, rows) = (split.replace("validate", "dev"), lines(first, count, row));
        let header = "pid,figure_file,caption,i_meth,p_meth,i_meth_label,p_meth_label\n";
        place.write(&format!("{raw}/{name}.csv"), format!("{header}{rows}"));
    }
}
