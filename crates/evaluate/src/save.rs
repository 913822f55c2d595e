//! Scores and examples of a run, saved in its folder so that pages can show them.

use std::collections::BTreeMap;
use std::path::Path;

use ptu_model::files;
use ptu_report::ExampleGroup;
use ptu_train::folder;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::EvaluateError;
use crate::scores::Scores;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 256 << 20;

/// The saved results of the evaluations of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Scores by gallery.
    pub scores: BTreeMap<String, Scores>,
    /// Examples of retrieval: queries and their results.
    pub examples: Vec<ExampleGroup>,
}

/// The outcome of saving scores in a run folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveOutcome {
    /// All new scores were saved, alone or together with earlier scores of the same pairs.
    All,
    /// Some scores of the same pairs were saved before with other settings (another number of reranked candidates, other
    /// sentences). The earlier scores were kept, and these new scores were not saved.
    EarlierKept,
}

impl Saved {
    /// Writes the results into a run folder and replaces earlier results.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, run: &Path) -> Result<(), EvaluateError> {
        let json = serde_json::to_vec_pretty(&self.scores).expect("scores are plain data with string keys");
        files::write_bytes(&run.join(folder::SCORES), &json)?;
        let json = serde_json::to_vec(&self.examples).expect("examples are plain data");
        Ok(files::write_bytes(&run.join(folder::EXAMPLES), &json)?)
    }

    /// Adds the results to those in a run folder. Earlier scores of the same pairs by the same model are kept and never
    /// overwritten; only new scores are added. Earlier scores of another model (the run was continued since) or of other data
    /// are replaced.
    ///
    /// # Errors
    /// If files cannot be read or written.
    pub fn keep(mut self, run: &Path) -> Result<SaveOutcome, EvaluateError> {
        let old = Self::read(run)?;
        let is_same = |one: &Scores, other: &Scores| {
            one.scored_on.as_ref().zip(other.scored_on.as_ref()).is_some_and(|(one, other)| one.is_same(other))
        };
        let same = self.scores.keys().eq(old.scores.keys())
            && self.scores.values().zip(old.scores.values()).all(|(new, old)| is_same(new, old));
        if !same {
            self.write(run)?;
            return Ok(SaveOutcome::All);
        }
        let mut kept = SaveOutcome::All;
        for (new, old) in self.scores.values_mut().zip(old.scores.into_values()) {
            if !new.merge(old) {
                kept = SaveOutcome::EarlierKept;
            }
        }
        self.write(run)?;
        Ok(kept)
    }

    /// Reads the results from a run folder. They are empty if the run was never evaluated.
    ///
    /// # Errors
    /// If a file cannot be read, or is not a file of scores or examples.
    pub fn read(run: &Path) -> Result<Self, EvaluateError> {
        Ok(Self { scores: read(&run.join(folder::SCORES))?, examples: read(&run.join(folder::EXAMPLES))? })
    }
}

impl Scores {
    /// Merges older scores of the same pairs into these. If both have a score, the older one is kept. Returns false if a new
    /// score with other settings was dropped in this way.
    fn merge(&mut self, old: Self) -> bool {
        let mut complete = true;
        if old.reranked.is_some() {
            complete &= self.rerank.is_none() || self.rerank == old.rerank;
            (self.rerank, self.reranked) = (old.rerank, old.reranked);
        }
        for (name, mut label) in old.labels {
            if let Some(new) = self.labels.remove(&name) {
                if label.by_sentences.is_none() {
                    (label.by_sentences, label.sentences) = (new.by_sentences, new.sentences);
                } else {
                    complete &= new.sentences.is_empty() || new.sentences == label.sentences;
                }
            }
            self.labels.insert(name, label);
        }
        let key = |curve: &crate::scores::Curve| (curve.score.clone(), curve.missing, curve.stand_in.clone());
        let existing: Vec<_> = old.missing.iter().map(key).collect();
        let new = std::mem::replace(&mut self.missing, old.missing);
        self.missing.extend(new.into_iter().filter(|curve| !existing.contains(&key(curve))));
        complete
    }
}

/// Reads a JSON file; a file that does not exist gives the default.
pub(crate) fn read<T: DeserializeOwned + Default>(path: &Path) -> Result<T, EvaluateError> {
    if !path.exists() {
        return Ok(T::default());
    }
    let unreadable = |error: serde_json::Error| EvaluateError::Saved { path: path.into(), cause: error.to_string() };
    serde_json::from_slice(&files::read(path, LARGEST)?).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use ptu_report::{Example, Item};

    use super::*;
    use crate::scored_on::ScoredOn;
    use crate::scored_on::tests::scored_on;
    use crate::scores::{LabelScores, Retrieval, Score};

    #[test]
    fn saved_results_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Saved::read(folder.path()).unwrap(), Saved::default());
        let item = Item { id: "a".into(), image_png: Some(vec![1, 2, 255]), text: None };
        let example = Example { query: item, ..Example::default() };
        let saved = Saved {
            scores: [("phantom".to_string(), Scores { scored_on: Some(scored_on(20)), ..Scores::default() })].into(),
            examples: vec![ExampleGroup { title: "found".into(), examples: vec![example], ..ExampleGroup::default() }],
        };
        saved.write(folder.path()).unwrap();
        assert_eq!(Saved::read(folder.path()).unwrap(), saved);
        // Files of earlier versions do not have the field `scored_on`.
        std::fs::write(folder.path().join(folder::SCORES), "{\"phantom\": {\"pairs\": 3}}").unwrap();
        assert_eq!(Saved::read(folder.path()).unwrap().scores["phantom"].scored_on, None);
        std::fs::write(folder.path().join(folder::SCORES), "{").unwrap();
        assert!(Saved::read(folder.path()).unwrap_err().to_string().contains(folder::SCORES));
    }

    #[test]
    fn scores_of_the_same_pairs_are_merged_and_others_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let plain = Scores { pairs: 20, scored_on: Some(scored_on(20)), ..Scores::default() };
        let keep = |scores: Scores| {
            let saved = Saved { scores: [("phantom".to_string(), scores)].into(), examples: vec![] };
            (saved.keep(folder.path()).unwrap(), Saved::read(folder.path()).unwrap().scores["phantom"].clone())
        };
        let value = |value| Score { value: Some(value), ..Score::default() };
        let label = |sentence: &str, score| LabelScores {
            by_sentences: Some(value(score)),
            sentences: vec![sentence.into()],
            ..LabelScores::default()
        };
        let labelled = Scores { labels: [("finding".to_string(), label("a {}", 0.5))].into(), ..plain.clone() };
        assert_eq!(keep(labelled.clone()), (SaveOutcome::All, labelled.clone()));
        assert_eq!(keep(plain.clone()), (SaveOutcome::All, labelled.clone()), "nothing is lost");
        let reranked = Scores { reranked: Some(Retrieval::default()), rerank: Some(5), ..plain.clone() };
        let both = Scores { labels: labelled.labels.clone(), ..reranked.clone() };
        assert_eq!(keep(reranked.clone()), (SaveOutcome::All, both.clone()));
        let otherwise = Scores { rerank: Some(9), ..reranked };
        assert_eq!(keep(otherwise), (SaveOutcome::EarlierKept, both.clone()));
        let other = Scores { labels: [("finding".to_string(), label("b {}", 0.7))].into(), ..plain.clone() };
        assert_eq!(keep(other), (SaveOutcome::EarlierKept, both));
        // The run was continued: the scores of its earlier model are replaced.
        let later = Scores { scored_on: Some(ScoredOn { model: "n".into(), ..scored_on(20) }), ..plain };
        assert_eq!(keep(later.clone()), (SaveOutcome::All, later));
    }
}
