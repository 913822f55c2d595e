//! The pairs and the model that a score belongs to. Without them a score cannot be interpreted, and two scores cannot be
//! compared.

use ptu_data::Split;
use ptu_train::recipe::TextPick;
use serde::{Deserialize, Serialize};

use crate::leak::TrainingOverlap;

/// How a query and a candidate are compared in retrieval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RetrievalProtocol {
    /// Zero-shot: cosine similarity of the vectors of the contrastive (ITC) head, each computed without the other modality.
    #[default]
    Contrast,
    /// The retrieval head of a fine-tuned model, which scores the fused pair, for all pairs of the gallery.
    Ranking,
}

impl RetrievalProtocol {
    /// Whether it is the one of models that are not fine-tuned.
    fn is_contrast(&self) -> bool {
        *self == Self::Contrast
    }
}

/// The pairs that were scored, how they were selected, and the model that was scored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoredOn {
    /// Name of the data set.
    pub source: String,
    /// Value of the label that splits the pairs into galleries; empty if no label does.
    pub gallery: String,
    /// Hash of the data's manifest.
    pub manifest: String,
    /// The split.
    pub split: Split,
    /// Number of pairs that were scored.
    pub pairs: usize,
    /// Number of pairs of the split; `None` if a label splits it into galleries.
    pub of: Option<u64>,
    /// Seed for the sampling of pairs, masks, images for ITM, and bootstrap resamples.
    pub seed: u64,
    /// Which text of a record was used.
    pub text: TextPick,
    /// Label whose equality makes a hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<String>,
    /// Label that splits the pairs into galleries, one for each value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How queries and candidates were compared.
    #[serde(default, skip_serializing_if = "RetrievalProtocol::is_contrast")]
    pub protocol: RetrievalProtocol,
    /// Precision of matrix products: `f32` or `bf16`.
    pub precision: String,
    /// Fingerprint of the bundle.
    pub model: String,
    /// How many of the pairs the model was trained on.
    pub known: TrainingOverlap,
    /// Notes that limit how far the scores can be trusted, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Number of digits of a manifest's hash that are shown.
const SHOWN: usize = 8;

impl ScoredOn {
    /// True if both name the same pairs with the same right answers. Only then can their scores be compared.
    pub fn same_pairs(&self, other: &Self) -> bool {
        let of = |one: &Self| {
            let choice = (one.split, one.pairs, one.seed, one.text);
            let names = [&one.source, &one.gallery, &one.manifest].map(String::clone);
            (names, choice, one.hits.clone(), one.by.clone())
        };
        of(self) == of(other)
    }

    /// True if pairs, model and precision are the same. Then the scores are equal.
    pub fn is_same(&self, other: &Self) -> bool {
        self.same_pairs(other) && self.model == other.model && self.precision == other.precision
    }

    /// One line for tables: `phantom (data 1f2e3d4c), split test, 200 of 1000 pairs, drawn with seed 0`.
    pub fn title(&self) -> String {
        let gallery = if self.gallery.is_empty() { String::new() } else { format!(" {}", self.gallery) };
        let pairs = match self.of {
            Some(of) => pairs_of(self.pairs as u64, of, self.seed),
            None => format!("{} pairs", self.pairs),
        };
        let text = match self.text {
            TextPick::Last => "",
            TextPick::First => "; the first text of each record",
            TextPick::All => "; all texts of each record, joined",
            TextPick::Drawn => "; one text of each record, drawn at random",
        };
        let hits = self.hits.as_ref().map_or(String::new(), |label| format!("; equal `{label}` also counts as a hit"));
        let precision =
            if self.precision == "f32" { String::new() } else { format!("; matrix products in {}", self.precision) };
        let protocol = match self.protocol {
            RetrievalProtocol::Contrast => "",
            RetrievalProtocol::Ranking => "; retrieval by the ranking score of all pairs",
        };
        let set = format!("{}{gallery}{}", self.source, data(&self.manifest));
        format!("{set}, split {}, {pairs}{text}{hits}{protocol}{precision}", self.split)
    }
}

/// Text that identifies the data by the hash of their manifest: ` (data 1f2e3d4c)`.
pub fn data(manifest: &str) -> String {
    format!(" (data {})", manifest.chars().take(SHOWN).collect::<String>())
}

/// Text that says how many pairs of a split were scored, and how they were selected: `200 of 1000 pairs, drawn with seed 0`.
pub fn pairs_of(pairs: u64, of: u64, seed: u64) -> String {
    if of > pairs { format!("{pairs} of {of} pairs, drawn with seed {seed}") } else { format!("all {pairs} pairs") }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::leak::ComparedBy;

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
            protocol: RetrievalProtocol::Contrast,
            precision: "f32".into(),
            model: "m".into(),
            known: TrainingOverlap { by: ComparedBy::Hashes, images: 0, texts: 0 },
            notes: vec![],
        }
    }

    #[test]
    fn the_title_names_split_and_number_of_pairs() {
        assert_eq!(scored_on(20).title(), "phantom (data 01234567), split test, 20 of 100 pairs, drawn with seed 7");
        assert_eq!(scored_on(100).title(), "phantom (data 01234567), split test, all 100 pairs");
        let ranked = ScoredOn { protocol: RetrievalProtocol::Ranking, ..scored_on(100) };
        assert!(ranked.title().ends_with("all 100 pairs; retrieval by the ranking score of all pairs"));
        let ct = ScoredOn {
            gallery: "ct".into(),
            of: None,
            hits: Some("cause".into()),
            text: TextPick::First,
            precision: "bf16".into(),
            ..scored_on(9)
        };
        let title = "phantom ct (data 01234567), split test, 9 pairs; the first text of each record; equal `cause` \
                     also counts as a hit; matrix products in bf16";
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
