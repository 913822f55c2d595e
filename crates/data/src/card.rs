//! The data set card of a folder of shards: its `README.md`, in the format that Hugging Face reads.

use crate::error::shortened;
use crate::manifest::{Manifest, describe_overlap};
use crate::record::Split;

/// The table of the columns of a shard.
const COLUMNS: &str = "\
| column | what it holds |
|---|---|
| `id`, `patient`, `source` | names of the record, of its patient (in one split only), and of the data set |
| `image` | the image file, or none |
| `texts`, `sections` | texts, and the kind of each text: text, caption, reference, findings, impression |
| `labels`, `fields` | named values: labels can be learned by a model, fields are other values |
| `questions` | questions about the image: id, question, answer, category, closed |
| `sentences` | premise and hypothesis, or none |
| `marks` | named parts of the first text: kind, first character, character after the last |";

/// The card of a folder; `about` is further information about its data set, in Markdown.
pub fn text(manifest: &Manifest, about: &str) -> String {
    let mut all = String::from("---\n");
    let mut line = |text: &str| {
        all.push_str(text);
        all.push('\n');
    };
    let present = || Split::ALL.into_iter().filter(|split| manifest.counts(*split).records > 0);
    line(&format!("pretty_name: {}", quoted(&manifest.source)));
    line("tags:\n- medical");
    line("configs:\n- config_name: default\n  data_files:");
    for split in present() {
        line(&format!("  - split: {}\n    path: {split}-*.parquet", hugging_face_split(split)));
    }
    line("---\n");
    line(&format!("# {}\n", manifest.source));
    if !about.is_empty() {
        line(about);
    }
    line(
        "| split | records | patients | pairs | images without text | texts without image \
         |\n|---|---|---|---|---|---|",
    );
    for split in present() {
        let counts = manifest.counts(split);
        line(&format!(
            "| {split} | {} | {} | {} | {} | {} |",
            counts.records, counts.patients, counts.pairs, counts.images_only, counts.texts_only
        ));
    }
    line("\n## Columns\n");
    line(COLUMNS);
    if !manifest.columns.is_empty() {
        line("\n## Columns of the table from which it was prepared\n");
        line("| column | used as |\n|---|---|");
        let cell = |text: &str| shortened(text, 80).replace('|', "\\|");
        for column in &manifest.columns {
            let why = column.why.as_deref().map(|why| format!(": {}", cell(why))).unwrap_or_default();
            line(&format!("| `{}` | {}{why} |", cell(&column.name), column.taken_for.name()));
        }
    }
    line("\n## How it was prepared\n");
    manifest.preprocessing.iter().for_each(|sentence| line(&format!("- {sentence}")));
    line(&format!(
        "- {} records were skipped; `manifest.json` lists each of them with the reason",
        manifest.skipped.len()
    ));
    for (what, count) in &manifest.noted {
        let listed = if manifest.details.contains_key(what) { "; `manifest.json` lists each of them" } else { "" };
        line(&format!("- {what}: {count}{listed}"));
    }
    manifest.remarks.iter().for_each(|sentence| line(&format!("- {sentence}")));
    if !manifest.overlaps.is_empty() {
        line("\n## What the splits have in common\n");
        manifest.overlaps.iter().for_each(|overlap| line(&format!("- {}", describe_overlap(overlap))));
    }
    all
}

/// The name of a split in the library `datasets`.
fn hugging_face_split(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Validate => "validation",
        Split::Test => "test",
    }
}

/// A text as a quoted YAML string, valid for any characters.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
