//! Tables of the real data, with the split of each record.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::Splits;

/// Figures of `roco-cc` with their captions. Of articles that are not in `train`, only the figure that is scored: the first by its name.
pub fn roco_pairs(folder: &Path, splits: &Splits) -> Result<Vec<Value>, String> {
    let rows = csv_rows(&folder.join("table.csv"))?;
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    for row in &rows {
        let (article, image) = (of(row, "group"), of(row, "image"));
        first.entry(article).and_modify(|first| *first = image.min(first)).or_insert(image);
    }
    let is_scored = |row: &Row| first.get(of(row, "group")) == Some(&of(row, "image"));
    let used = rows.iter().filter_map(|row| {
        let split = splits.of("roco-cc", of(row, "group"))?;
        (split == "train" || is_scored(row)).then_some((row, split))
    });
    let record = |(row, split): (&Row, &str)| {
        json!({
            "id": of(row, "image"), "image": folder.join(of(row, "image")), "text": of(row, "text"),
            "patient": of(row, "group"), "split": split,
        })
    };
    Ok(used.map(record).collect())
}

/// Films of `covid-cxr` that have a note.
pub fn covid_pairs(folder: &Path, splits: &Splits) -> Result<Vec<Value>, String> {
    let rows = csv_rows(&folder.join("metadata.csv"))?;
    let record = |row: &Row| {
        let split = splits.of("covid-cxr", of(row, "patient"))?;
        Some(json!({
            "id": of(row, "image"), "image": folder.join(of(row, "image")), "text": of(row, "report"),
            "patient": of(row, "patient"), "split": split,
        }))
    };
    Ok(rows.iter().filter(|row| !of(row, "report").is_empty()).filter_map(record).collect())
}

/// Images of VQA-RAD with their questions and answers as statements, of which one is drawn for each step.
pub fn statements(folder: &Path, splits: &Splits) -> Result<Vec<Value>, String> {
    let mut images: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for question in &questions(folder)? {
        let statement = statement(of(question, "question"), of(question, "answer"));
        images.entry(of(question, "image_name").into()).or_default().push(statement);
    }
    let record = |(name, statements): (String, Vec<String>)| {
        let split = splits.of("vqa-rad", &name)?;
        let image = folder.join("images").join(&name);
        Some(json!({ "id": name, "image": image, "text": statements, "patient": name, "split": split }))
    };
    Ok(images.into_iter().filter_map(record).collect())
}

/// The column of a question of VQA-RAD with its published split.
pub const PUBLISHED_SPLIT: &str = "published split";

/// All questions of VQA-RAD, with the values of its files as text.
pub fn questions(folder: &Path) -> Result<Vec<Row>, String> {
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), String::from);
    let mut all = vec![];
    for split in ["train", "test"] {
        let path = folder.join(format!("{split}set.json"));
        let file = fs::read_to_string(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
        let questions: Vec<BTreeMap<String, Value>> =
            serde_json::from_str(&file).map_err(|error| format!("`{}`: {error}", path.display()))?;
        let row = |question: BTreeMap<String, Value>| {
            let values = question.into_iter().map(|(key, value)| (key, text(value)));
            values.chain([(PUBLISHED_SPLIT.to_string(), split.to_string())]).collect()
        };
        all.extend(questions.into_iter().map(row));
    }
    Ok(all)
}

/// "Is the heart enlarged?", "No" -> "Is the heart enlarged: no." It is one sentence, so that it is always drawn as a whole.
fn statement(question: &str, answer: &str) -> String {
    let plain = |text: &str| text.replace(['?', '!', '\n'], " ").replace(". ", ", ");
    let (question, answer) = (plain(question), plain(answer));
    let (question, answer) =
        (question.trim().trim_end_matches('.'), answer.trim().trim_end_matches('.').to_lowercase());
    format!("{question}: {answer}.")
}

/// Writes records as JSON lines.
pub fn write_table(path: &Path, rows: &[Value]) -> Result<(), String> {
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        for row in rows {
            writeln!(file, "{row}")?;
        }
        file.flush()
    };
    write().map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

/// A row of a table, by column.
pub type Row = BTreeMap<String, String>;

/// The rows of a CSV file.
pub fn csv_rows(path: &Path) -> Result<Vec<Row>, String> {
    let wrong = |error: csv::Error| format!("`{}`: {error}", path.display());
    csv::Reader::from_path(path).map_err(wrong)?.deserialize().map(|row| row.map_err(wrong)).collect()
}

/// The trimmed value of a column; empty if there is none.
pub fn of<'r>(row: &'r Row, column: &str) -> &'r str {
    row.get(column).map(|value| value.trim()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_one_sentence() {
        assert_eq!(statement("Is the heart enlarged?", "No"), "Is the heart enlarged: no.");
        assert_eq!(statement("Where is it? Be exact.", "Left lobe. Upper"), "Where is it  Be exact: left lobe, upper.");
    }
}
