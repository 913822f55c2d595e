//! Scores while more and more halves are taken away: prompts in their place against zeros, against nothing.

use ptu_data::{Preparation, Source, TextChoice};
use ptu_infer::Embedder;
use ptu_metrics::Resampling;
use ptu_model::StandIn;
use ptu_random::{Key, Place};
use serde::{Deserialize, Serialize};

use super::labels::{Given, LabelProbes};
use super::words::{Beside, guess};
use super::{Gallery, Measure, Score};
use crate::TrainError;

/// Shares of the records whose half is taken away.
pub const SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// Which half is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Away {
    /// Images.
    Images,
    /// Texts.
    Texts,
}

/// One score, at every share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// What is scored.
    pub score: String,
    /// Which half is taken away.
    pub away: Away,
    /// What stands in its place: `prompts`, `zeros` or `nothing`.
    pub stand_in: String,
    /// (share taken away, score), by share.
    pub points: Vec<(f64, Score)>,
}

impl Away {
    /// The word for tables and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Texts => "texts",
        }
    }
}

/// What is asked of a gallery.
pub struct MissingHalves<'a> {
    /// The pairs.
    pub gallery: &'a Gallery,
    /// Records to learn from, for probes.
    pub train: &'a dyn Source,
    /// Records to inputs.
    pub preparation: &'a Preparation,
    /// Which text of a record.
    pub text: TextChoice,
    /// Labels that probes are asked about.
    pub labels: &'a [String],
    /// Draws what is taken away, what probes are fitted to, resamples.
    pub key: Key,
}

impl MissingHalves<'_> {
    /// Curves of masked words (images taken away), where the model has learned to guess them, and of probes of each label
    /// (images, then texts). Retrieval has none: it asks with one half alone.
    ///
    /// # Errors
    /// Records that cannot be read; inputs that do not fit the model.
    pub fn curves(&self, embedder: Embedder<'_>) -> Result<Vec<Curve>, TrainError> {
        let mut curves = vec![];
        if embedder.model.heads.mlm.is_some() {
            let whole = guess(embedder, self.gallery, Beside::Own)?.right;
            for stand_in in StandIn::ALL {
                let without = guess(embedder, self.gallery, Beside::Missing(stand_in))?.right;
                curves.push(self.curve("masked words right", Away::Images, stand_in, (&whole, &without)));
            }
        }
        for label in self.labels {
            let source = (self.train, self.preparation);
            let Some(probes) = LabelProbes::fit(embedder, source, (label, self.text), self.gallery, self.key)? else {
                continue;
            };
            let whole = probes.ask(embedder, self.gallery, Given::Both)?;
            for away in [Away::Images, Away::Texts] {
                for stand_in in StandIn::ALL {
                    let given = match away {
                        Away::Images => Given::Text(stand_in),
                        Away::Texts => Given::Image(stand_in),
                    };
                    let without = probes.ask(embedder, self.gallery, given)?;
                    for (name, whole, without) in [
                        ("k-NN", &whole.neighbours, &without.neighbours),
                        ("linear probe", &whole.linear, &without.linear),
                    ] {
                        curves.push(self.curve(&format!("{label}, {name}"), away, stand_in, (whole, without)));
                    }
                }
            }
        }
        Ok(curves)
    }

    /// Between the answers to whole records and those without the half.
    fn curve(&self, score: &str, away: Away, stand_in: StandIn, (whole, without): (&Measure, &Measure)) -> Curve {
        let size = self.gallery.records.len();
        let mut order: Vec<usize> = (0..size).collect();
        self.key.stream(Place::Sample, 3).shuffle(&mut order);
        let mut turn = vec![0; size];
        order.iter().enumerate().for_each(|(place, row)| turn[*row] = place);
        let resampling = Resampling::new(self.key);
        let point = |share: f64| {
            // What is away at one share is away at all larger ones.
            let taken = (share * size as f64).round() as usize;
            (share, whole.mixed(without, |row| turn[row] < taken).score(self.gallery, &resampling))
        };
        Curve {
            score: score.into(),
            away,
            stand_in: stand_in.name().into(),
            points: SHARES.into_iter().map(point).collect(),
        }
    }
}
