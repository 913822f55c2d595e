//! What to run after a quickstart: commands that work as they are printed, wherever they are pasted on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ptu_data::{ShardFolder, Split};
use ptu_evaluate::Evaluated;
use ptu_report::Step;

use super::place::Place;
use crate::WorkflowError;
use crate::page;
use crate::shell::{quoted, word};

/// Words of an own text that a search is shown with.
const WORDS: usize = 8;
/// Values of a label that probes are asked about, at most: more are names rather than classes.
const CLASSES: usize = 20;

/// Steps for a quickstart that was just scored, on a table of one's `own` or on the phantom corpus.
///
/// # Errors
/// Shards that cannot be read.
pub(super) fn next(place: &Place, own: bool, evaluated: &Evaluated) -> Result<Vec<Step>, WorkflowError> {
    let [run, data, vectors] = [&place.run, &place.data, &place.vectors].map(|path| quoted(path));
    let mut steps = vec![];
    if evaluated.found.is_some() {
        let text = if own { own_words(evaluated) } else { "effusion on the left".into() };
        let search = format!("ptunifier search {vectors} --model {run} --text {}", word(&text));
        let command = match own {
            true => search,
            false => format!("ptunifier embed {run} {data} --out {vectors} && {search}"),
        };
        steps.push(("Search by a sentence", command, "the nearest images; or by an image, or both"));
    }
    let label = if own { probe_label(&place.data)? } else { Some("finding".into()) };
    if label.is_some() || evaluated.scores.mlm.is_some() {
        let label = label.map_or(String::new(), |label| format!(" --label {}", word(&label)));
        let page = quoted(&place.page.with_file_name("missing.html"));
        let command = format!("ptunifier evaluate {run}{label} --missing --page {page}");
        let why = "how scores fall while images or texts go missing, and what prompts save";
        steps.push(("Take halves away", command, why));
    }
    let again = format!("ptunifier evaluate {run}");
    steps.push(("Score it again", again, "the same numbers on the same pairs, as a table or with --json"));
    let look = format!("ptunifier inspect {run}");
    steps.push(("Look inside", look, "what the run holds: recipe, states, weights, scores"));
    if !own {
        let command = "ptunifier quickstart --table pairs.csv --out own".to_string();
        let why = "pairs.csv is yours: a CSV with a column of image paths and a column of texts is enough";
        steps.push(("Train on your own pairs", command, why));
    }
    let steps: Vec<(&str, &str, &str)> =
        steps.iter().map(|(title, command, why)| (*title, command.as_str(), *why)).collect();
    Ok(page::next_steps(&steps))
}

/// The beginning of a text that was scored.
fn own_words(evaluated: &Evaluated) -> String {
    let text = evaluated.gallery.records.first().map_or("", |pair| &pair.words);
    text.split_whitespace().take(WORDS).collect::<Vec<_>>().join(" ")
}

/// The label that most training records have, of those with two to twenty values; the first by name of equals.
fn probe_label(data: &Path) -> Result<Option<String>, WorkflowError> {
    let mut labels: BTreeMap<String, (usize, BTreeSet<String>)> = BTreeMap::new();
    ShardFolder::open(data, Split::Train)?.each_without_image(&mut |record| {
        for label in record.labels {
            let (count, values) = labels.entry(label.name).or_default();
            *count += 1;
            if values.len() <= CLASSES {
                values.insert(label.value);
            }
        }
    })?;
    let fits = labels.into_iter().filter(|(_, (_, values))| (2..=CLASSES).contains(&values.len()));
    Ok(fits.rev().max_by_key(|(_, (count, _))| *count).map(|(name, _)| name))
}
