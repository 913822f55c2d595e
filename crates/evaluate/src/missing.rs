//! Scores while more and more halves are taken away: prompts in their place against zeros, against nothing.

use ptu_metrics::Resampling;
use ptu_model::StandIn;
use ptu_random::{Key, Place};

use crate::EvaluateError;
use crate::features::{GalleryFeatures, Given};
use crate::labels::LabelProbes;
use crate::measure::Measure;
use crate::scores::{Curve, Removed};
use crate::words::ImageContext;

/// Shares of the records whose half is taken away.
pub const SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// What is asked of a gallery.
pub struct MissingModalityCurves<'a> {
    /// The pairs, and what the model makes of them.
    pub features: &'a GalleryFeatures<'a>,
    /// Probes of the labels that are asked about.
    pub probes: &'a [LabelProbes],
    /// Draws what is taken away, what probes are fitted to, resamples.
    pub key: Key,
}

impl MissingModalityCurves<'_> {
    /// Curves of masked words (images taken away), where the model has learned to guess them, and of probes of each label
    /// (images, then texts). Retrieval has none: it asks with one half alone.
    ///
    /// # Errors
    /// Records that cannot be read; inputs that do not fit the model.
    pub fn curves(&self) -> Result<Vec<Curve>, EvaluateError> {
        let (mut curves, features) = (vec![], self.features);
        if features.embedder.model.heads.mlm.is_some() {
            let whole = features.words(ImageContext::Own)?;
            for stand_in in StandIn::ALL {
                let without = features.words(ImageContext::Missing(stand_in))?;
                let both = (&whole.right, &without.right);
                curves.push(self.curve("masked words right", Removed::Images, stand_in, both));
            }
        }
        for probes in self.probes {
            let label = &probes.name;
            let whole = probes.ask(features, Given::Both)?;
            for away in [Removed::Images, Removed::Texts] {
                for stand_in in StandIn::ALL {
                    let given = match away {
                        Removed::Images => Given::Text(stand_in),
                        Removed::Texts => Given::Image(stand_in),
                    };
                    let without = probes.ask(features, given)?;
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
    fn curve(&self, score: &str, away: Removed, stand_in: StandIn, (whole, without): (&Measure, &Measure)) -> Curve {
        let size = self.features.gallery.records.len();
        let mut order: Vec<usize> = (0..size).collect();
        self.key.stream(Place::Sample, 3).shuffle(&mut order);
        let mut turn = vec![0; size];
        order.iter().enumerate().for_each(|(place, row)| turn[*row] = place);
        let resampling = Resampling::new(self.key);
        let point = |share: f64| {
            // What is away at one share is away at all larger ones.
            let taken = (share * size as f64).round() as usize;
            (share, whole.mixed(without, |row| turn[row] < taken).score(self.features.gallery, &resampling))
        };
        Curve {
            score: score.into(),
            away,
            stand_in: stand_in.name().into(),
            points: SHARES.into_iter().map(point).collect(),
        }
    }
}
