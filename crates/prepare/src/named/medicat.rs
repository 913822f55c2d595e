//! MedICaT (Subramanian et al., 2020; docs/layouts.md, section 2).

use std::sync::Arc;

use ptu_data::DataError;
use ptu_data::record::{Section, Split};
use serde_json::Value;

use super::helpers::{PythonRandom, find_image, line_position, new_record, push_text, string_value, with_image};
use super::{Choice, DatasetRows, Description, NamedOptions};
use crate::draft::{Draft, MissingImagePolicy, RowPosition};
use crate::raw::json_lines::Jsonl;
use crate::raw::{Entry, Raw};
use crate::shares::bucket;

pub const ABOUT: Description = Description {
    name: "medicat",
    title: "MedICaT: medical figures with captions and references",
    what: "Figures of open-access biomedical papers, with captions and the sentences that refer to the figures; only \
           figures marked as radiology.",
    licence: "non-commercial research; each figure under its paper's licence",
    access: "open: allenai/medicat on GitHub (medicat_release.tar.gz, 104 GB; unpacking it needs as much space again)",
    layout: "\
release/
  s2_full_figures_oa_nonroco_combined_medical_top4_public.jsonl
  figures/<pdf_hash>_<fig_uri>",
    records: "one for each radiology figure; its caption and references (3 words or more) as texts; if the file of \
              the figure is missing, the record has only the texts",
    splits: "as in published code: the figures are shuffled (seed 42), the last 1,000 are test, the 1,000 before \
             them validate. Figures of one paper can be in several splits (this is reported); `--split-by paper` \
             splits by a hash of the paper instead: 98 % / 1 % / 1 %",
    counts: "217,060 figures of 131,410 papers",
    citation: "Subramanian et al., Findings of EMNLP 2020",
    tars: &["medicat_release"],
};

const FILE: &str = "s2_full_figures_oa_nonroco_combined_medical_top4_public.jsonl";

pub fn open(raw: &Arc<Raw>, options: &NamedOptions) -> Result<DatasetRows, DataError> {
    let names = [FILE, &format!("release/{FILE}")];
    raw.require(&[&names])?;
    let file = raw.need(&names)?;
    let mut count = 0;
    let mut lines = Jsonl::open(&file)?;
    let mut total = 0;
    while let Some(object) = lines.object()? {
        total += 1;
        count += usize::from(object.is_ok_and(|object| object.get("radiology") == Some(&Value::Bool(true))));
    }
    let by_paper = options.has(Choice::SplitByPaper);
    let splits = if by_paper { vec![] } else { draw_splits(count) };
    let rows = {
        let (raw, file, mut lines, mut number) = (Arc::clone(raw), file.clone(), Jsonl::open(&file)?, 0);
        std::iter::from_fn(move || {
            let object = match lines.object() {
                Ok(object) => object?,
                Err(error) => return Some(Err(error)),
            };
            let position = line_position(&file, lines.line());
            Some(Ok(match object {
                Err(bad) => Draft::bad(position, bad.cause),
                Ok(object) if object.get("radiology") != Some(&Value::Bool(true)) => {
                    Draft::bad(position, "it is not a radiology figure")
                }
                Ok(object) => {
                    let split = splits.get(number).copied();
                    number += 1;
                    figure(&raw, position, &Value::Object(object), split)
                }
            }))
        })
    };
    let split_sentence = match by_paper {
        true => "splits are chosen by a hash of the paper: 98 % train, 1 % validate, 1 % test",
        false => "splits are those of published code, by figure (shuffled with seed 42)",
    };
    let opened =
        DatasetRows::published_splits(vec![], vec![file], &[split_sentence, "texts of fewer than 3 words are dropped"]);
    Ok(DatasetRows { rows: Box::new(rows), total, published: !by_paper, ..opened })
}

/// The splits of `count` radiology figures, in the order of the file.
fn draw_splits(count: usize) -> Vec<Split> {
    let mut order: Vec<usize> = (0..count).collect();
    PythonRandom::new(42).shuffle(&mut order);
    let held_out = if count < 2_000 { count / 10 } else { 1_000 };
    let mut splits = vec![Split::Train; count];
    for (position, figure) in order.into_iter().rev().enumerate().take(2 * held_out) {
        splits[figure] = if position < held_out { Split::Test } else { Split::Validate };
    }
    splits
}

/// The draft of a figure; without a `split`, it is chosen by a hash of the paper.
fn figure(raw: &Raw, position: RowPosition, object: &Value, split: Option<Split>) -> Draft {
    let (paper, uri) = (string_value(object, "pdf_hash"), string_value(object, "fig_uri"));
    if paper.is_empty() || uri.is_empty() {
        return Draft::bad(position, "it has no `pdf_hash` or `fig_uri`");
    }
    let split = split.unwrap_or_else(|| match bucket("medicat", 42, &paper) {
        0..9_800 => Split::Train,
        9_800..9_900 => Split::Validate,
        _ => Split::Test,
    });
    let name = format!("{paper}_{uri}");
    let mut record = new_record(ABOUT.name, &name, split);
    record.patient = paper;
    push_text(&mut record, Section::Caption, &string_value(object, "s2_caption"));
    for reference in object.get("s2orc_references").and_then(Value::as_array).into_iter().flatten() {
        push_text(&mut record, Section::Reference, reference.as_str().unwrap_or_default());
    }
    if record.texts.is_empty() {
        return Draft::bad(position, "it has no text of 3 words or more");
    }
    let names = [format!("release/figures/{name}"), format!("figures/{name}")];
    let mut draft = with_image(position, record, find_image(raw, &[&names[0], &names[1]]));
    draft.missing_image = MissingImagePolicy::KeepTexts;
    draft
}

/// Reads the sentences that refer to figures of ROCO (`roco_references.zip`). Calls `take` for each line with the name of the
/// image and the sentences, or with the reason why the line cannot be read. Returns the files.
pub fn roco_references(
    raw: &Raw,
    mut take: impl FnMut(RowPosition, Result<(String, Vec<String>), String>),
) -> Result<Vec<Entry>, DataError> {
    let mut found = vec![];
    for split in ["train", "val", "test"] {
        let name = format!("roco_{split}_references.jsonl");
        let deep = format!("net/nfs2.corp/allennlp/sanjays/roco_files/{name}");
        let Some(file) = raw.find(&[&name, &deep, &format!("roco_files/{name}")]) else { continue };
        let mut lines = Jsonl::open(&file)?;
        while let Some(object) = lines.object()? {
            let position = line_position(&file, lines.line());
            let object = match object {
                Ok(object) => object,
                Err(bad) => {
                    take(position, Err(bad.cause));
                    continue;
                }
            };
            let texts = object.get("gorc_references").and_then(Value::as_array).into_iter().flatten();
            let texts = texts.filter_map(Value::as_str).filter_map(super::helpers::usable_text).collect();
            take(position, Ok((string_value(&Value::Object(object.clone()), "roco_image_id"), texts)));
        }
        found.push(file);
    }
    Ok(found)
}
