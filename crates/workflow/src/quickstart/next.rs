//! The next steps that the page of a quickstart suggests. The commands work as they are printed, in any
//! folder of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ptu_data::{ShardFolder, Source, Split};
use ptu_evaluate::Evaluated;
use ptu_report::Step;

use super::output::OutputFolder;
use crate::WorkflowError;
use crate::page;
use crate::shell::{quoted, word};

/// Number of words of a scored text that the example search uses.
const WORDS: usize = 8;
/// The largest number of values of a label that the example probe uses; a label with more values is a name rather than a class.
const MAX_CLASSES: usize = 20;

/// The next steps after a quickstart on a table of the user (`own`) or on the phantom corpus.
///
/// # Errors
/// If the shards cannot be read.
pub(super) fn next(output: &OutputFolder, own: bool, evaluated: &Evaluated) -> Result<Vec<Step>, WorkflowError> {
    let [run, data, vectors] = [&output.run, &output.data, &output.vectors].map(|path| quoted(path));
    let mut steps = vec![];
    if evaluated.retrieval.is_some() {
        let text = if own { own_words(evaluated) } else { "effusion on the left".into() };
        let search = format!("ptunifier search {vectors} --model {run} --text {}", word(&text));
        let command = match own {
            true => search,
            false => format!("ptunifier embed {run} {data} --out {vectors} && {search}"),
        };
        let why = "Finds the nearest images. You can also search with an image, or with both.";
        steps.push(("Search with a sentence", command, why));
    }
    let label = if own { probe_label(&output.data)? } else { Some("finding".into()) };
    if label.is_some() || evaluated.scores.mlm.is_some() {
        let label = label.map_or(String::new(), |label| format!(" --label {}", word(&label)));
        let page = quoted(&output.page.with_file_name("missing.html"));
        let command = format!("ptunifier evaluate {run}{label} --missing --page {page}");
        let why = "Shows how the scores fall when images or texts are missing, and how much the prompts help.";
        steps.push(("Evaluate with missing images or texts", command, why));
    }
    if !own {
        let command = format!(
            "ptunifier ask {} {} {}",
            quoted(&output.ask),
            quoted(&output.example),
            word("Which body part is shown?")
        );
        let why =
            "Answers a question about an image that the model has not seen; without the question, it is typed in.";
        steps.push(("Ask about an image", command, why));
    }
    let again = format!("ptunifier evaluate {run}");
    let why = "Computes the same scores on the same pairs, as a table, or as JSON with --json.";
    steps.push(("Evaluate the model again", again, why));
    let inspect = format!("ptunifier inspect {run}");
    steps.push(("Inspect the run", inspect, "Lists what the run contains: recipe, saved states, weights, scores."));
    if !own {
        let command = "ptunifier quickstart --table pairs.csv --out own".to_string();
        let why = "pairs.csv is your own file: a CSV with a column of image paths and a column of texts is enough.";
        steps.push(("Train on your own pairs", command, why));
    }
    let steps: Vec<(&str, &str, &str)> =
        steps.iter().map(|(title, command, why)| (*title, command.as_str(), *why)).collect();
    Ok(page::next_steps(&steps))
}

/// The first words of a scored text.
fn own_words(evaluated: &Evaluated) -> String {
    let text = evaluated.gallery.records.first().map_or("", |pair| &pair.words);
    text.split_whitespace().take(WORDS).collect::<Vec<_>>().join(" ")
}

/// The label that most training records have, among the labels with 2 to 20 values; the first by name if several are equal.
fn probe_label(data: &Path) -> Result<Option<String>, WorkflowError> {
    let mut labels: BTreeMap<String, (usize, BTreeSet<String>)> = BTreeMap::new();
    ShardFolder::open(data, Split::Train)?.each_without_image(&mut |record| {
        for label in record.labels {
            let (count, values) = labels.entry(label.name).or_default();
            *count += 1;
            if values.len() <= MAX_CLASSES {
                values.insert(label.value);
            }
        }
    })?;
    let fits = labels.into_iter().filter(|(_, (_, values))| (2..=MAX_CLASSES).contains(&values.len()));
    Ok(fits.rev().max_by_key(|(_, (count, _))| *count).map(|(name, _)| name))
}
