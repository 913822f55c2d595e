//! The inputs of both programs: recipes, and a small imitation of a public data set.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

use serde_json::json;

/// All objectives with everything that draws random numbers: dropout, hard negatives, crops, patch dropout.
const RUN: &str = r#"
data = ["phantom"]
seed = 7
objectives = ["mlm", "itm", "itc"]

[itm]
partners = "hard"

[text]
vocabulary = 400
max_tokens = 24

[train]
steps = 50
batch = 12
patch_keep = 0.75
save_every = 25
validate_every = 25
log_every = 1

[model]
preset = "tiny"
dropout = 0.1

[model.image]
size = 48
"#;

/// Cached contrast, gradient checkpointing, sentences, word dropout.
const CACHED: &str = r#"
data = ["phantom"]
seed = 8
objectives = ["mlm", "itm", "itc"]

[text]
vocabulary = 400
max_tokens = 24
word_keep = 0.5

[train]
steps = 50
batch = 12
accumulate = 3
cached_contrast = true
checkpointing = "blocks"
save_every = 50
validate_every = 50
log_every = 1

[model]
preset = "tiny"
dropout = 0.1

[model.image]
size = 32
"#;

/// Images of the imitation, and questions about each.
const IMAGES: usize = 12;
const QUESTIONS: [(&str, &str, &str); 3] = [
    ("Is there an effusion?", "Yes", "CLOSED"),
    ("Which side is darker?", "left", "OPEN"),
    ("How many ribs are seen?", "4", "OPEN"),
];

/// Writes recipes and raw data to a new folder.
pub fn write(folder: &Path) -> io::Result<()> {
    let raw = folder.join("raw");
    fs::create_dir_all(raw.join("images"))?;
    fs::write(folder.join("run.toml"), RUN)?;
    fs::write(folder.join("cached.toml"), CACHED)?;
    let (mut train, mut test) = (vec![], vec![]);
    for number in 0..IMAGES {
        let name = format!("synpic{number}.jpg");
        picture(&raw.join("images").join(&name), number)?;
        for (place, (question, answer, kind)) in QUESTIONS.iter().enumerate() {
            let item = json!({
                "qid": number * QUESTIONS.len() + place, "image_name": name, "image_organ": "CHEST",
                "question": question, "answer": answer, "answer_type": kind, "question_type": "PRES",
                "phrase_type": "freeform",
            });
            if number % 4 == 3 { test.push(item) } else { train.push(item) }
        }
    }
    fs::write(raw.join("trainset.json"), json!(train).to_string())?;
    fs::write(raw.join("testset.json"), json!(test).to_string())
}

/// A small grey PNG; each number gives another picture.
fn picture(path: &Path, number: usize) -> io::Result<()> {
    let (width, height) = (40 + number, 36);
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), width as u32, height);
    encoder.set_color(png::ColorType::Grayscale);
    let shade = |place: usize| ((place % width) * (5 + number) + (place / width) * (3 + 2 * number)) as u8;
    let pixels: Vec<u8> = (0..width * height as usize).map(shade).collect();
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).map_err(io::Error::other)
}
