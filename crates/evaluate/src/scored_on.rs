//! What a score was made on: without it a number says nothing, and two numbers cannot be compared.

use ptu_data::Split;
use ptu_train::recipe::TextPick;
use serde::{Deserialize, Serialize};

use crate::leak::Known;

/// The pairs that were scored, how they were chosen, and by which model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoredOn {
    /// Name of the data set.
    pub source: String,
    /// Value of the label that makes galleries; empty where none does.
    pub gallery: String,
    /// Hash of the data's manifest.
    pub manifest: String,
    /// The split.
    pub split: Split,
    /// Pairs that were scored.
    pub pairs: usize,
    /// Pairs of the split; `None` where the gallery is a part of it by its label.
    pub of: Option<u64>,
    /// Draws pairs, masks, partners, resamples.
    pub seed: u64,
    /// Which text of a record.
    pub text: TextPick,
    /// Label whose equality makes a hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<String>,
    /// Label whose values are galleries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// In what was multiplied: `f32`, `bf16`.
    pub precision: String,
    /// Fingerprint of the bundle.
    pub model: String,
    /// What of it the model has learned from.
    pub known: Known,
    /// What a reader must know before believing the scores, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Digits of a manifest's hash that are shown.
const SHOWN: usize = 8;

impl ScoredOn {
    /// Whether both name the same pairs with the same right answers: what scores must have in common to be compared.
    pub fn same_pairs(&self, other: &Self) -> bool {
        let of = |one: &Self| {
            let choice = (one.split, one.pairs, one.seed, one.text);
            let names = [&one.source, &one.gallery, &one.manifest].map(String::clone);
            (names, choice, one.hits.clone(), one.by.clone())
        };
        of(self) == of(other)
    }

    /// Whether it is the same model too, computed alike: then equal scores come out.
    pub fn is_same(&self, other: &Self) -> bool {
        self.same_pairs(other) && self.model == other.model && self.precision == other.precision
    }

    /// The set in a line, for tables: `phantom (data 1f2e3d4c), split test, 200 of 1000 pairs, drawn by seed 0`.
    pub fn title(&self) -> String {
        let gallery = if self.gallery.is_empty() { String::new() } else { format!(" {}", self.gallery) };
        let pairs = match self.of {
            Some(of) => pairs_of(self.pairs as u64, of, self.seed),
            None => format!("{} pairs", self.pairs),
        };
        let text = match self.text {
            TextPick::Last => "",
            TextPick::First => "; of several texts the first",
            TextPick::All => "; all texts of a record joined",
            TextPick::Drawn => "; of several texts one drawn",
        };
        let hits = self.hits.as_ref().map_or(String::new(), |label| format!("; equal `{label}` is right too"));
        let precision =
            if self.precision == "f32" { String::new() } else { format!("; products in {}", self.precision) };
        let set = format!("{}{gallery}{}", self.source, data(&self.manifest));
        format!("{set}, split {}, {pairs}{text}{hits}{precision}", self.split)
    }
}

/// Which data of a name, by the hash of their manifest: ` (data 1f2e3d4c)`.
pub fn data(manifest: &str) -> String {
    format!(" (data {})", manifest.chars().take(SHOWN).collect::<String>())
}

/// How many pairs of a split, and how they were chosen: `200 of 1000 pairs, drawn by seed 0`.
pub fn pairs_of(pairs: u64, of: u64, seed: u64) -> String {
    if of > pairs { format!("{pairs} of {of} pairs, drawn by seed {seed}") } else { format!("all {pairs} pairs") }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::leak::LookedFor;

    pub(crate) fn scored_on(pairs: usize) -> ScoredOn {
        ScoredOn {
            source: "phantom".into(),
            gallery: String::new(),
            manifest: "0123456789abcdef".into(),
            split: Split::Test,
            pairs,
            of: Some(100),
            seed: 7,
            text: TextPick::Last,
            hits: None,
            by: None,
            precision: "f32".into(),
            model: "m".into(),
            known: Known { by: LookedFor::Hashes, images: 0, texts: 0 },
            notes: vec![],
        }
    }

    #[test]
    fn a_set_says_split_and_number() {
        assert_eq!(scored_on(20).title(), "phantom (data 01234567), split test, 20 of 100 pairs, drawn by seed 7");
        assert_eq!(scored_on(100).title(), "phantom (data 01234567), split test, all 100 pairs");
        let ct = ScoredOn {
            gallery: "ct".into(),
            of: None,
            hits: Some("cause".into()),
            text: TextPick::First,
            precision: "bf16".into(),
            ..scored_on(9)
        };
        let title = "phantom ct (data 01234567), split test, 9 pairs; of several texts the first; equal `cause` is right too; \
                     products in bf16";
        assert_eq!(ct.title(), title);
    }

    #[test]
    fn sets_differ_by_what_changes_scores() {
        let one = scored_on(20);
        for other in [
            scored_on(21),
            ScoredOn { manifest: "f".into(), ..one.clone() },
            ScoredOn { split: Split::Validate, ..one.clone() },
            ScoredOn { seed: 8, ..one.clone() },
            ScoredOn { hits: Some("cause".into()), ..one.clone() },
            ScoredOn { text: TextPick::All, ..one.clone() },
        ] {
            assert!(!one.same_pairs(&other), "{other:?}");
        }
        let trained_on = ScoredOn { model: "n".into(), notes: vec!["a".into()], ..one.clone() };
        assert!(one.same_pairs(&trained_on) && !one.is_same(&trained_on) && one.is_same(&one));
    }
}
