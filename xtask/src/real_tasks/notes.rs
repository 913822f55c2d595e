//! `covid-notes`: the search of notes by films and of films by notes, without fine-tuning, beside a linear map between the frozen encoders.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nalgebra::DMatrix;
use serde_json::{Value, json};

use super::Runner;
use super::task::RealTask;
use crate::process::{json_lines, run};
use crate::real_pairs::{PairFeatures, Ridge, encoder_features};
use crate::task_lines::{Line, TaskLines, Way};

/// The largest number of pairs that are scored: all of the split.
const GALLERY: &str = "1000";

pub fn lines(runner: &Runner<'_>) -> TaskLines {
    let task = RealTask::CovidNotes;
    let (folder, shards) = (runner.out.join(task.name()), runner.pairs.join("data/covid-cxr"));
    fs::create_dir_all(&folder).map_err(|error| format!("cannot create `{}`: {error}", folder.display()))?;
    let ranks = folder.join("contrast");
    let mut evaluate = runner.house.ptunifier(&["evaluate", "--gallery", GALLERY, "--trec"]);
    run(evaluate.arg(&ranks).arg("--data").arg(&shards).arg(runner.pretrained()))?;
    let ranks = ranks.join("ranks.jsonl");
    let ridge = folder.join("ridge.jsonl");
    if !ridge.exists() {
        map_ranks(runner, &shards, (&ranks, &ridge))?;
    }
    let (model, ridge) = (Way::own("contrast", [ranks]), Way::own("ridge", [ridge]));
    let line = |kind, baselines: &[Way]| Line::of(kind, task.name(), task.metric(), &model, baselines);
    Ok(vec![line("task", &[model.chance(), ridge])?, line("trivial", &[model.chance()])?])
}

/// Writes the ranks of a linear map from images to texts that is fitted on the pairs that the model has learned from, for the queries of
/// `asked`.
fn map_ranks(runner: &Runner<'_>, shards: &Path, (asked, out): (&Path, &Path)) -> Result<(), String> {
    let own = ["images", "texts"].map(|modality| (modality, runner.out.join(format!("covid-notes/{modality}.jsonl"))));
    for (modality, file) in &own {
        encoder_features(runner.house, &runner.pairs.join("encoders"), shards, (modality, file))?;
    }
    let roco = ["images", "texts"].map(|modality| runner.pairs.join(format!("features-{modality}.jsonl")));
    let of_roco = |split| PairFeatures::read(&roco[0], &roco[1], split);
    let of_notes = |split| PairFeatures::read(&own[0].1, &own[1].1, split);
    let fitted = Ridge::fit(&of_roco("train")?.and(&of_notes("train")?), &of_roco("validate")?)?;
    let test = of_notes("test")?;
    let texts: BTreeMap<String, String> = json_lines(&runner.pairs.join("covid-cxr.jsonl"))?
        .iter()
        .map(|row| (text(row, "id"), text(row, "text").to_lowercase()))
        .collect();
    let text_of = |place: usize| texts.get(&test.records[place].id);
    let is_hit = |one: usize, other: usize| one == other || (text_of(one).is_some() && text_of(one) == text_of(other));
    let (similarity, mut lines) = (fitted.similarity(&test), String::new());
    for query in json_lines(asked)? {
        let own = test.records.iter().position(|record| record.id == text(&query, "id"));
        let own = own.ok_or_else(|| format!("`{}` has no features", text(&query, "id")))?;
        let scores =
            if text(&query, "direction") == "image-to-text" { similarity.clone() } else { similarity.transpose() };
        let (rank, hits) = rank(&scores, own, &is_hit);
        lines += &format!(
            "{}\n",
            json!({ "direction": query["direction"], "id": query["id"], "patient": query["patient"], "rank": rank, "hits": hits })
        );
    }
    fs::write(out, lines).map_err(|error| format!("cannot write `{}`: {error}", out.display()))
}

/// The rank of the best hit of a query, from 1, and the number of hits. Of equal scores, hits come last.
fn rank(scores: &DMatrix<f64>, query: usize, is_hit: &dyn Fn(usize, usize) -> bool) -> (usize, usize) {
    let row: Vec<f64> = scores.row(query).iter().copied().collect();
    let hits: Vec<usize> = (0..row.len()).filter(|item| is_hit(query, *item)).collect();
    let best = hits.iter().map(|hit| row[*hit]).fold(f64::NEG_INFINITY, f64::max);
    let before = (0..row.len()).filter(|item| !hits.contains(item) && row[*item] >= best).count();
    (before + 1, hits.len())
}

fn text(line: &Value, key: &str) -> String {
    line[key].as_str().unwrap_or_default().trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_hit_has_the_rank() {
        let scores = DMatrix::from_row_slice(1, 4, &[0.1, 0.9, 0.5, 0.5]);
        let is_hit = |_: usize, item: usize| item == 0 || item == 2;
        assert_eq!(rank(&scores, 0, &is_hit), (3, 2), "1 is before, and 3 is equal");
    }
}
