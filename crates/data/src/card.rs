//! The card of a folder of shards: its `README.md`, in the form that Hugging Face reads.

use crate::manifest::{Manifest, told};
use crate::record::Split;

/// The card of a folder.
pub fn text(manifest: &Manifest) -> String {
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
        line(&format!("  - split: {}\n    path: {split}-*.parquet", hugging_face(split)));
    }
    line("---\n");
    line(&format!("# {}\n", manifest.source));
    line("| split | records | patients | pairs | images alone | texts alone |\n|---|---|---|---|---|---|");
    for split in present() {
        let counts = manifest.counts(split);
        line(&format!(
            "| {split} | {} | {} | {} | {} | {} |",
            counts.records, counts.patients, counts.pairs, counts.images_only, counts.texts_only
        ));
    }
    line("\n## How it was made\n");
    manifest.preprocessing.iter().for_each(|sentence| line(&format!("- {sentence}")));
    line(&format!(
        "- {} records were left out; `manifest.json` lists each of them with the reason",
        manifest.skipped.len()
    ));
    manifest.noted.iter().for_each(|(what, count)| line(&format!("- {what}: {count}")));
    if !manifest.overlaps.is_empty() {
        line("\n## What splits have in common\n");
        manifest.overlaps.iter().for_each(|overlap| line(&format!("- {}", told(overlap))));
    }
    all
}

/// The name that `datasets` has for a split.
fn hugging_face(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Validate => "validation",
        Split::Test => "test",
    }
}

/// As YAML reads it, whatever is in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
