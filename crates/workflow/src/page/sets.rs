//! The set of pairs that scores were computed on. It is named above each table; a warning says if runs were scored on
//! different sets.

use ptu_data::{Manifest, Split};
use ptu_evaluate::Scores;
use ptu_evaluate::scored_on::{data, pairs_of};

use super::Run;

/// The set that the scores were computed on, as the heading of their table.
pub fn title(gallery: &str, scores: &Scores) -> String {
    match &scores.scored_on {
        Some(set) => set.title(),
        None => format!(
            "{gallery}, {} pairs (scored by an earlier version, which did not record the split and the data)",
            scores.pairs
        ),
    }
}

/// Warnings for compared runs that were not scored, or not validated, on the same pairs. Empty if the sets are the same.
pub fn differences(runs: &[Run]) -> Vec<String> {
    let of = |run: &Run| -> Vec<String> {
        run.saved.scores.iter().map(|(gallery, scores)| title(gallery, scores)).collect()
    };
    let scored: Vec<&Run> = runs.iter().filter(|run| !run.saved.scores.is_empty()).collect();
    let mut notes = vec![];
    let unknown = scored.iter().flat_map(|run| run.saved.scores.values()).any(|scores| scores.scored_on.is_none());
    if scored.iter().any(|run| of(run) != of(scored[0])) || (scored.len() > 1 && unknown) {
        let sets: Vec<String> = scored.iter().map(|run| format!("{}: {}", run.name, of(run).join("; "))).collect();
        notes.push(format!(
            "These runs were not scored on the same pairs. Their scores cannot be compared and are shown in separate tables ({}). To \
             compare them, score them on the same set: use `ptunifier evaluate RUN --compare OTHER`, or the same `--data` and \
             `--gallery` for all runs",
            sets.join(" | ")
        ));
    }
    let validated: Vec<String> = runs.iter().map(validated_on).collect();
    if validated.iter().any(|set| *set != validated[0]) {
        notes.push(
            "These runs were validated on different pairs. Their validation curves cannot be compared and are shown in separate charts"
                .into(),
        );
    }
    notes
}

/// Names the pairs that a run was validated on.
pub fn validated_on(run: &Run) -> String {
    let most = run.recipe.evaluate.gallery as u64;
    let of = |path: &std::path::Path| {
        let Ok(manifest) = Manifest::read(path) else {
            return format!("at most {most} pairs of `{}`", path.display());
        };
        let all = manifest.counts(Split::Validate).pairs;
        let pairs = pairs_of(most.min(all), all, run.recipe.seed);
        format!("{}{}, {pairs}", manifest.source, data(&manifest.hash()))
    };
    let sets: Vec<String> = run.recipe.data.iter().map(|entry| of(&entry.path)).collect();
    sets.join(", ")
}
