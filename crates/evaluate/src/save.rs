//! Scores and examples of a run, kept in its folder so that pages can show them.

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

/// What the last evaluation of a run found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Scores by gallery.
    pub scores: BTreeMap<String, Scores>,
    /// What was found for what.
    pub examples: Vec<ExampleGroup>,
}

/// What became of scores that were to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// They are there, alone or beside what was scored of the same pairs before.
    All,
    /// The same was scored of the same pairs before, but asked otherwise (another number ranked anew, other sentences): that
    /// stays.
    NotOtherwise,
}

impl Saved {
    /// Writes it into a run folder, in place of what was there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, run: &Path) -> Result<(), EvaluateError> {
        let json = serde_json::to_vec_pretty(&self.scores).expect("scores are plain data with string keys");
        files::write_bytes(&run.join(folder::SCORES), &json)?;
        let json = serde_json::to_vec(&self.examples).expect("examples are plain data");
        Ok(files::write_bytes(&run.join(folder::EXAMPLES), &json)?)
    }

    /// Writes it into a run folder. Of what was scored there before, of the same pairs by the same model, nothing is lost or
    /// overwritten: what is new is added. What another model or other data scored (the run went on since) is replaced.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn keep(mut self, run: &Path) -> Result<Kept, EvaluateError> {
        let old = Self::read(run)?;
        let is_same = |one: &Scores, other: &Scores| {
            one.scored_on.as_ref().zip(other.scored_on.as_ref()).is_some_and(|(one, other)| one.is_same(other))
        };
        let same = self.scores.keys().eq(old.scores.keys())
            && self.scores.values().zip(old.scores.values()).all(|(new, old)| is_same(new, old));
        if !same {
            self.write(run)?;
            return Ok(Kept::All);
        }
        let mut kept = Kept::All;
        for (new, old) in self.scores.values_mut().zip(old.scores.into_values()) {
            if !new.join(old) {
                kept = Kept::NotOtherwise;
            }
        }
        self.write(run)?;
        Ok(kept)
    }

    /// Reads it from a run folder; it is empty where the run was never evaluated.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else.
    pub fn read(run: &Path) -> Result<Self, EvaluateError> {
        Ok(Self { scores: read(&run.join(folder::SCORES))?, examples: read(&run.join(folder::EXAMPLES))? })
    }
}

impl Scores {
    /// Puts older scores of the same pairs beside these; where both have one, the older stays. Whether nothing of these was lost
    /// that was asked otherwise.
    fn join(&mut self, old: Self) -> bool {
        let mut all = true;
        if old.reranked.is_some() {
            all &= self.rerank.is_none() || self.rerank == old.rerank;
            (self.rerank, self.reranked) = (old.rerank, old.reranked);
        }
        for (name, mut label) in old.labels {
            if let Some(new) = self.labels.remove(&name) {
                if label.by_sentences.is_none() {
                    (label.by_sentences, label.sentences) = (new.by_sentences, new.sentences);
                } else {
                    all &= new.sentences.is_empty() || new.sentences == label.sentences;
                }
            }
            self.labels.insert(name, label);
        }
        let names = |curve: &crate::scores::Curve| (curve.score.clone(), curve.away, curve.stand_in.clone());
        let there: Vec<_> = old.missing.iter().map(names).collect();
        let new = std::mem::replace(&mut self.missing, old.missing);
        self.missing.extend(new.into_iter().filter(|curve| !there.contains(&names(curve))));
        all
    }
}

fn read<T: DeserializeOwned + Default>(path: &Path) -> Result<T, EvaluateError> {
    if !path.exists() {
        return Ok(T::default());
    }
    let wrong = |error: serde_json::Error| EvaluateError::Saved { path: path.into(), cause: error.to_string() };
    serde_json::from_slice(&files::read(path, LARGEST)?).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use ptu_report::{Example, Item};

    use super::*;
    use crate::scored_on::ScoredOn;
    use crate::scored_on::tests::scored_on;
    use crate::scores::{LabelScores, Retrieval, Score};

    #[test]
    fn what_was_found_is_read_as_it_was_written() {
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
        // Files of earlier versions say nothing of what was scored.
        std::fs::write(folder.path().join(folder::SCORES), "{\"phantom\": {\"pairs\": 3}}").unwrap();
        assert_eq!(Saved::read(folder.path()).unwrap().scores["phantom"].scored_on, None);
        std::fs::write(folder.path().join(folder::SCORES), "{").unwrap();
        assert!(Saved::read(folder.path()).unwrap_err().to_string().contains(folder::SCORES));
    }

    #[test]
    fn scores_of_the_same_pairs_come_together_and_others_take_their_place() {
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
        assert_eq!(keep(labelled.clone()), (Kept::All, labelled.clone()));
        assert_eq!(keep(plain.clone()), (Kept::All, labelled.clone()), "nothing is lost");
        let reranked = Scores { reranked: Some(Retrieval::default()), rerank: Some(5), ..plain.clone() };
        let both = Scores { labels: labelled.labels.clone(), ..reranked.clone() };
        assert_eq!(keep(reranked.clone()), (Kept::All, both.clone()));
        let otherwise = Scores { rerank: Some(9), ..reranked };
        assert_eq!(keep(otherwise), (Kept::NotOtherwise, both.clone()));
        let other = Scores { labels: [("finding".to_string(), label("b {}", 0.7))].into(), ..plain.clone() };
        assert_eq!(keep(other), (Kept::NotOtherwise, both));
        // The run went on: what its earlier model scored is past.
        let later = Scores { scored_on: Some(ScoredOn { model: "n".into(), ..scored_on(20) }), ..plain };
        assert_eq!(keep(later.clone()), (Kept::All, later));
    }
}
