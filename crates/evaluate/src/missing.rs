//! Scores with missing modalities: images or texts are removed from a growing share of the records. Soft prompts in their place
//! are compared with zeros and with nothing.

use ptu_metrics::Resampling;
use ptu_model::StandIn;
use ptu_random::{Key, Place};

use crate::EvaluateError;
use crate::features::{AvailableModalities, GalleryFeatures};
use crate::labels::LabelProbes;
use crate::measure::Measure;
use crate::scores::{Curve, Removed};
use crate::words::ImageContext;

/// Shares of the records whose image or text is removed.
pub const SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// Answers of one model to the same questions.
#[derive(Clone, Copy)]
struct Answers<'a> {
    /// With both modalities of every record.
    complete: &'a Measure,
    /// With one modality removed from every record.
    incomplete: &'a Measure,
}

/// Computes the scores of a gallery with missing modalities.
pub struct MissingModalityCurves<'a> {
    /// The pairs and their features.
    pub features: &'a GalleryFeatures<'a>,
    /// Probes of the requested labels.
    pub probes: &'a [LabelProbes],
    /// Seed for the choice of records whose modality is removed, and for bootstrap resamples.
    pub key: Key,
}

impl MissingModalityCurves<'_> {
    /// Curves of masked words (images removed), if the model has an MLM head, and of the probes of each label (images removed,
    /// then texts removed). Retrieval has no curve, because its queries and candidates have only one modality anyway.
    ///
    /// # Errors
    /// If records cannot be read, or inputs do not fit the model.
    pub fn curves(&self) -> Result<Vec<Curve>, EvaluateError> {
        let (mut curves, features) = (vec![], self.features);
        if features.embedder.model.heads.mlm.is_some() {
            let complete = features.words(ImageContext::Own)?;
            for stand_in in StandIn::ALL {
                let incomplete = features.words(ImageContext::Missing(stand_in))?;
                let answers = Answers { complete: &complete.right, incomplete: &incomplete.right };
                curves.push(self.curve("masked words right", Removed::Images, stand_in, answers));
            }
        }
        for probes in self.probes {
            let label = &probes.name;
            let complete = probes.evaluate(features, AvailableModalities::Both)?;
            for removed in [Removed::Images, Removed::Texts] {
                for stand_in in StandIn::ALL {
                    let available = match removed {
                        Removed::Images => AvailableModalities::TextOnly(stand_in),
                        Removed::Texts => AvailableModalities::ImageOnly(stand_in),
                    };
                    let incomplete = probes.evaluate(features, available)?;
                    for (name, complete, incomplete) in [
                        ("k-NN", &complete.neighbours, &incomplete.neighbours),
                        ("linear probe", &complete.linear, &incomplete.linear),
                    ] {
                        let answers = Answers { complete, incomplete };
                        curves.push(self.curve(&format!("{label}, {name}"), removed, stand_in, answers));
                    }
                }
            }
        }
        Ok(curves)
    }

    /// The curve of one score, from the answers for complete records to those without the modality.
    fn curve(&self, score: &str, removed: Removed, stand_in: StandIn, answers: Answers<'_>) -> Curve {
        let Answers { complete, incomplete } = answers;
        let size = self.features.gallery.records.len();
        let mut order: Vec<usize> = (0..size).collect();
        self.key.stream(Place::Sample, 3).shuffle(&mut order);
        let mut removal_order = vec![0; size];
        order.iter().enumerate().for_each(|(place, row)| removal_order[*row] = place);
        let resampling = Resampling::new(self.key);
        let point = |share: f64| {
            // A modality that is removed at one share is also removed at all larger shares.
            let count = (share * size as f64).round() as usize;
            let mixed = complete.mixed(incomplete, |row| removal_order[row] < count);
            (share, mixed.score(self.features.gallery, &resampling))
        };
        Curve {
            score: score.into(),
            missing: removed.into(),
            stand_in: stand_in.name().into(),
            points: SHARES.into_iter().map(point).collect(),
        }
    }
}
