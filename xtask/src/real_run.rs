//! `cargo xtask real-run DATA OUT`: from real pairs to scores, with the commands of a user.
//!
//! Tables are written from `covid-cxr` (image, clinical note) and `vqa-rad` (question and answer made into a statement). A
//! third of the covid patients and a third of the VQA-RAD images are held out, by a hash of their name.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use ptu_random::index_of;
use serde_json::{Value, json};

use crate::house::House;
use crate::process::run;

const RECIPE: &str = "recipes/pretrain/real.toml";

/// Runs all steps; prints one line for each gallery, and the mean over galleries and directions.
pub fn real_run(house: &House, data: &Path, out: &Path) -> Result<(), String> {
    let start = Instant::now();
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!("`{}` is not empty; choose a new or empty folder", out.display()));
    }
    fs::create_dir_all(out).map_err(|error| format!("cannot create `{}`: {error}", out.display()))?;
    let (data, out) = (absolute(data)?, absolute(out)?);
    write_table(&out.join("covid-cxr.jsonl"), &covid(&data.join("covid-cxr"))?)?;
    write_table(&out.join("vqa-rad.jsonl"), &vqa(&data.join("vqa-rad"))?)?;

    let root = &house.root;
    run(Command::new("cargo").args(["build", "--release", "--quiet", "--package", "ptunifier-cli"]).current_dir(root))?;
    let ptunifier = || {
        let mut command = Command::new(root.join("target/release/ptunifier"));
        command.current_dir(root).stdout(Stdio::null());
        command
    };
    let (run_folder, mut sources) = (out.join("run"), vec![]);
    for (name, labels) in [("covid-cxr", &["gallery", "view"][..]), ("vqa-rad", &["gallery"])] {
        let shards = out.join("data").join(name);
        fs::create_dir_all(out.join("data")).map_err(|error| error.to_string())?;
        let table = out.join(format!("{name}.jsonl"));
        let labels = labels.iter().flat_map(|label| ["--label", label]);
        run(ptunifier().args(["prepare", "table"]).arg(table).arg(&shards).args(labels))?;
        sources.push(format!("{{ path = {} }}", json!(shards)));
    }
    let set = format!("data=[{}]", sources.join(", "));
    run(ptunifier().args(["pretrain", RECIPE, "--set", &set, "--out"]).arg(&run_folder))?;
    let page = out.join("report.html");
    let mut evaluate = ptunifier();
    evaluate.arg("evaluate").arg(&run_folder).args(["--json", "--page"]).arg(&page).stdout(Stdio::piped());
    let scores = run(&mut evaluate)?;
    let scores: Value = serde_json::from_str(&scores).map_err(|error| format!("`evaluate --json`: {error}"))?;
    report(&scores);
    eprintln!("{:.0} s in total; page: {}", start.elapsed().as_secs_f64(), page.display());
    println!("real-run: R@10 {}", line(&scores["mean_r10"]));
    Ok(())
}

fn report(scores: &Value) {
    let empty = serde_json::Map::new();
    for (gallery, scores) in scores["sources"].as_object().unwrap_or(&empty) {
        let retrieval = &scores["retrieval"];
        println!(
            "{gallery}: N {} image-to-text R@10 {} text-to-image R@10 {}",
            scores["pairs"],
            line(&retrieval["image_to_text"]["r10"]),
            line(&retrieval["text_to_image"]["r10"])
        );
    }
}

/// `0.340 [0.27, 0.41] chance 0.250`.
fn line(score: &Value) -> String {
    let show = |key: &str, digits: usize| {
        score[key].as_f64().map_or("undefined".to_string(), |value| format!("{value:.digits$}"))
    };
    format!("{} [{}, {}] chance {}", show("value", 3), show("low", 2), show("high", 2), show("chance", 3))
}

/// A third of all names.
fn held_out(name: &str) -> bool {
    index_of(name).is_multiple_of(3)
}

fn split(name: &str) -> &'static str {
    if held_out(name) { "test" } else { "train" }
}

/// Rows of the covid images that have a note.
fn covid(folder: &Path) -> Result<Vec<Value>, String> {
    let path = folder.join("metadata.csv");
    let mut table = csv::Reader::from_path(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    let mut rows = vec![];
    for row in table.deserialize::<BTreeMap<String, String>>() {
        let row = row.map_err(|error| format!("`{}`: {error}", path.display()))?;
        let of = |key: &str| row.get(key).map(|value| value.trim()).unwrap_or_default();
        if of("report").is_empty() {
            continue;
        }
        let view = Some(of("view")).filter(|view| !matches!(*view, "" | "?"));
        rows.push(json!({
            "id": of("image"), "image": folder.join(of("image")), "text": of("report"),
            "patient": of("patient"), "split": split(of("patient")), "gallery": "notes", "view": view,
        }));
    }
    Ok(rows)
}

/// One row for each image, with all its statements: one is drawn for each step, and one by the seed for the gallery.
fn vqa(folder: &Path) -> Result<Vec<Value>, String> {
    let path = folder.join("trainset.json");
    let text = fs::read_to_string(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    let questions: Vec<Value> =
        serde_json::from_str(&text).map_err(|error| format!("`{}`: {error}", path.display()))?;
    let mut images: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for question in &questions {
        let of = |key: &str| match &question[key] {
            Value::String(text) => text.trim().to_string(),
            other => other.to_string(),
        };
        let image = images.entry(of("image_name")).or_insert_with(|| (of("image_organ"), vec![]));
        image.1.push(statement(&of("question"), &of("answer")));
    }
    let rows = images.into_iter().map(|(name, (organ, statements))| {
        json!({
            "id": name, "image": folder.join("images").join(&name), "text": statements,
            "patient": name, "split": split(&name), "gallery": organ.to_lowercase(),
        })
    });
    Ok(rows.collect())
}

/// "Is the heart enlarged?", "No" -> "Is the heart enlarged: no." It is one sentence, so that it is always drawn as a whole.
fn statement(question: &str, answer: &str) -> String {
    let plain = |text: &str| text.replace(['?', '!', '\n'], " ").replace(". ", ", ");
    let (question, answer) = (plain(question), plain(answer));
    let (question, answer) =
        (question.trim().trim_end_matches('.'), answer.trim().trim_end_matches('.').to_lowercase());
    format!("{question}: {answer}.")
}

fn write_table(path: &Path, rows: &[Value]) -> Result<(), String> {
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        for row in rows {
            writeln!(file, "{row}")?;
        }
        file.flush()
    };
    write().map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    path.canonicalize().map_err(|error| format!("`{}`: {error}", path.display()))
}

/// Runs a command that must succeed; returns its standard output if that is piped.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_one_sentence() {
        assert_eq!(statement("Is the heart enlarged?", "No"), "Is the heart enlarged: no.");
        assert_eq!(statement("Where is it? Be exact.", "Left lobe. Upper"), "Where is it  Be exact: left lobe, upper.");
    }

    #[test]
    fn about_a_third_is_held_out() {
        let held = (0..3000).filter(|number| held_out(&format!("synpic{number}.jpg"))).count();
        assert!((900..1100).contains(&held), "{held}");
    }
}
