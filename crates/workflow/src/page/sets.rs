//! On what scores were made: named beside each table, and told aloud where runs were not scored alike.

use ptu_data::{Manifest, Split};
use ptu_evaluate::Scores;
use ptu_evaluate::scored_on::{data, pairs_of};

use super::Run;

/// The set of some scores, for the head of their table.
pub fn title(gallery: &str, scores: &Scores) -> String {
    match &scores.scored_on {
        Some(set) => set.title(),
        None => format!("{gallery}, {} pairs (of an earlier version, which kept neither split nor data)", scores.pairs),
    }
}

/// Whether runs that stand side by side were scored on the same pairs; a sentence where they were not.
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
            "These runs were not scored on the same pairs, so their scores cannot be compared, and stand in tables of their own ({}). To \
             compare them, score them on one set: `ptunifier evaluate RUN --compare OTHER`, or `--data` and `--gallery` alike for all",
            sets.join(" | ")
        ));
    }
    let validated: Vec<String> = runs.iter().map(validated_on).collect();
    if validated.iter().any(|set| *set != validated[0]) {
        notes.push(
            "These runs were validated on different pairs: their validation curves cannot be compared, and stand in charts of their own"
                .into(),
        );
    }
    notes
}

/// The pairs that a run was validated on.
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
