//! Fidelity: how close a pair without one modality, completed by a stand-in, comes to the real pair.

mod information;
mod memory;
mod memory_file;
mod similarity;

use std::collections::BTreeMap;

use ptu_infer::{Embedder, Vectors};
use ptu_input::Input;
use ptu_metrics::{CALIBRATION_BINS, Resampling, expected_calibration_error, found_at, ranks};
use ptu_model::{Model, ModelError, StandIn};
use ptu_random::Key;
use serde::{Deserialize, Serialize};

use crate::EvaluateError;
use crate::gallery::{BATCH, Gallery};
use crate::labels::LabelProbes;
use crate::measure::{Aggregation, Measure};
use crate::scored_on::ScoredOn;
use crate::scores::{Removed, Score};
use information::Told;
pub(crate) use memory::TrainingMemory;
pub use memory_file::MemoryFile;
use similarity::{Centred, cka, mean};

/// What takes the place of the modality that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Completion {
    /// The modality itself: what a perfect stand-in would give.
    Pair,
    /// The model's prompts.
    Prompts,
    /// As many tokens as the prompts, all zeros.
    Zeros,
    /// Nothing but the tokens around the prompts.
    Nothing,
    /// The mean of the training embeddings, as one token.
    Mean,
    /// The modality of the training pair that is most similar to what is there.
    Neighbour,
}

impl Completion {
    /// All values.
    pub const ALL: [Self; 6] = [Self::Pair, Self::Prompts, Self::Zeros, Self::Nothing, Self::Mean, Self::Neighbour];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Prompts => "prompts",
            Self::Zeros => "zeros",
            Self::Nothing => "nothing",
            Self::Mean => "mean",
            Self::Neighbour => "neighbour",
        }
    }

    /// The model that computes with this completion, and the stand-in that it uses; `mean` is that with the mean of the training embeddings
    /// in place of prompts.
    pub(crate) fn model<'m>(self, own: &'m Model, mean: &'m Model) -> (&'m Model, StandIn) {
        match self {
            Self::Mean => (mean, StandIn::Prompts),
            Self::Zeros => (own, StandIn::Zeros),
            Self::Nothing => (own, StandIn::Nothing),
            Self::Pair | Self::Prompts | Self::Neighbour => (own, StandIn::Prompts),
        }
    }
}

impl From<StandIn> for Completion {
    fn from(stand_in: StandIn) -> Self {
        match stand_in {
            StandIn::Prompts => Self::Prompts,
            StandIn::Zeros => Self::Zeros,
            StandIn::Nothing => Self::Nothing,
        }
    }
}

/// What is being computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FidelityPart {
    /// The memory of the training split; so many pairs are read.
    Memory(usize),
    /// Pairs without this modality, completed in this way.
    Completion(Removed, Completion),
}

/// How close the completed pairs of a gallery come to the real ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fidelity {
    /// The modality that was removed.
    pub removed: Removed,
    /// What took its place.
    pub completion: Completion,
    /// Means over records with their intervals, by name: see [`names`].
    pub scores: BTreeMap<String, Score>,
    /// Expected calibration error of the linear probe of each label.
    pub calibration: BTreeMap<String, Option<f64>>,
    /// Linear CKA of the pooled features with those of the real pairs.
    pub cka: Option<f64>,
    /// The states after each layer of the fusion.
    pub layers: Vec<LayerFidelity>,
}

/// The states of the first tokens after a layer of the fusion.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerFidelity {
    /// The layer, from 1.
    pub layer: usize,
    /// Mean cosine similarity with the states of the real pair, after the mean of all real pairs was subtracted.
    pub cosine: Option<f64>,
    /// Linear CKA with the states of the real pairs.
    pub cka: Option<f64>,
    /// What the state of the stream whose input was completed tells about the modality that was removed, in bits (a linear probe, a lower
    /// bound for Gaussian variables); `None` for too few records.
    pub bits: Option<f64>,
}

/// A paired difference between two completions: the first minus the second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FidelityDifference {
    /// The modality that was removed.
    pub removed: Removed,
    /// Name of the score.
    pub score: String,
    /// The first completion.
    pub first: Completion,
    /// The second completion.
    pub second: Completion,
    /// The difference with its interval.
    pub difference: Score,
}

/// The fidelity of a model in one gallery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FidelityReport {
    /// The pairs and the model.
    pub scored_on: ScoredOn,
    /// Number of training pairs from which the mean and the neighbours come.
    pub training_pairs: usize,
    /// One entry for each modality that was removed and each completion.
    pub fidelity: Vec<Fidelity>,
    /// The prompts against every other completion, for each score.
    pub differences: Vec<FidelityDifference>,
}

/// Names of scores of fidelity.
pub mod names {
    /// Cosine similarity of pooled features with those of the real pair, after the mean of all real pairs was subtracted.
    pub const COSINE: &str = "cosine";
    /// Share of records whose own real pair is the nearest one.
    pub const PARTNER: &str = "partner R@1";
    /// Median rank of the own real pair among all, from 1.
    pub const PARTNER_RANK: &str = "partner median rank";
    /// Suffix of a label's name: accuracy of a linear probe that was fitted to complete training pairs.
    pub const ACCURACY: &str = " accuracy";
    /// Suffix of a label's name: share of records for which this probe says the same as for the real pair.
    pub const AGREEMENT: &str = " agreement";
}

/// The real pairs of a gallery and what is computed of them.
pub(crate) struct Studied<'a> {
    pub embedder: Embedder<'a>,
    pub gallery: &'a Gallery,
    pub memory: &'a TrainingMemory<'a>,
    pub probes: &'a [LabelProbes],
    pub key: Key,
}

/// Pooled features of completed pairs, and the states of first tokens after each layer.
struct States {
    features: Vectors,
    layers: Vec<Vectors>,
}

/// The real pairs, with which completed ones are compared.
struct Real {
    states: States,
    centre: Vec<f64>,
    predicted: Vec<Vec<usize>>,
    /// What can be told about each modality, in the order of [`Removed`] in [`REMOVED`].
    told: [Option<Told>; 2],
}

const REMOVED: [Removed; 2] = [Removed::Images, Removed::Texts];

impl Studied<'_> {
    /// The fidelity of all completions, and the differences between prompts and the others. `done` is called with what is being
    /// computed.
    ///
    /// # Errors
    /// If records cannot be read, or inputs do not fit the model.
    pub fn fidelity(
        &self,
        done: &mut dyn FnMut(FidelityPart),
    ) -> Result<(Vec<Fidelity>, Vec<FidelityDifference>), EvaluateError> {
        self.gallery.encoded.start(self.embedder.model, self.embedder.precision);
        let real = self.real()?;
        let mean_model = self.memory.mean_model(self.embedder.model)?;
        let (mut all, mut differences) = (vec![], vec![]);
        for removed in REMOVED {
            let mut measures: BTreeMap<Completion, BTreeMap<String, Measure>> = BTreeMap::new();
            for completion in Completion::ALL {
                done(FidelityPart::Completion(removed, completion));
                let states = match completion {
                    Completion::Pair => None,
                    _ => Some(self.states(
                        &self.completed(removed, completion)?,
                        completion.model(self.embedder.model, &mean_model),
                    )?),
                };
                let (fidelity, of_completion) =
                    self.compare((removed, completion), &real, states.as_ref().unwrap_or(&real.states));
                measures.insert(completion, of_completion);
                all.push(fidelity);
            }
            differences.extend(self.differences(removed, &measures));
        }
        Ok((all, differences))
    }

    /// The inputs of the model for a completion.
    fn completed(&self, removed: Removed, completion: Completion) -> Result<Vec<Input>, EvaluateError> {
        let rows = self.gallery.rows();
        let texts = || self.gallery.records.iter().map(|pair| pair.text.clone());
        // Each image goes through the encoder once, for all completions.
        let images = || Ok::<_, EvaluateError>(self.gallery.encoded_images(self.embedder, &rows)?.into_iter());
        Ok(match (completion, removed) {
            (Completion::Pair, _) => images()?.zip(texts()).map(|(image, text)| Input::Pair { image, text }).collect(),
            (Completion::Neighbour, Removed::Images) => {
                let found = self.memory.images_of_nearest_texts(self.embedder, &self.alone(Removed::Images)?)?;
                found.into_iter().zip(texts()).map(|(image, text)| Input::Pair { image, text }).collect()
            }
            (Completion::Neighbour, Removed::Texts) => {
                let found = self.memory.texts_of_nearest_images(self.embedder, &self.alone(Removed::Texts)?)?;
                images()?.zip(found).map(|(image, text)| Input::Pair { image, text }).collect()
            }
            (_, Removed::Images) => texts().map(Input::Text).collect(),
            (_, Removed::Texts) => images()?.map(Input::Image).collect(),
        })
    }

    /// Texts (images are removed) or images (texts are removed) as the encoders get them.
    fn alone(&self, removed: Removed) -> Result<Vec<Input>, EvaluateError> {
        Ok(match removed {
            Removed::Images => self.gallery.records.iter().map(|pair| Input::Text(pair.text.clone())).collect(),
            Removed::Texts => self.gallery.images(&self.gallery.rows())?.into_iter().map(Input::Image).collect(),
        })
    }

    fn states(&self, inputs: &[Input], (model, stand_in): (&Model, StandIn)) -> Result<States, ModelError> {
        let embedder = Embedder { model, ..self.embedder };
        let (layers, features) = embedder.states_by_layer(stand_in, inputs, BATCH)?;
        Ok(States { features, layers })
    }

    fn real(&self) -> Result<Real, EvaluateError> {
        let pairs = self.completed(Removed::Images, Completion::Pair)?;
        let states = self.states(&pairs, (self.embedder.model, StandIn::Prompts))?;
        let patients = self.gallery.patients();
        // What is told about a modality is asked of its encoder alone.
        let told = |alone: Removed| -> Result<Option<Told>, EvaluateError> {
            Ok(Told::new(&self.embedder.encoder_features(&self.alone(alone)?, BATCH)?, &patients))
        };
        let told = [told(Removed::Texts)?, told(Removed::Images)?];
        let predicted = self.probes.iter().map(|probe| probe.predict(&states.features)).collect();
        Ok(Real { centre: mean(&states.features), states, predicted, told })
    }

    /// Compares completed pairs with the real ones.
    fn compare(
        &self,
        (removed, completion): (Removed, Completion),
        real: &Real,
        found: &States,
    ) -> (Fidelity, BTreeMap<String, Measure>) {
        let mut measures = self.of_partners(real, found);
        let mut calibration = BTreeMap::new();
        for (probe, of_pair) in self.probes.iter().zip(&real.predicted) {
            let predicted = probe.predict(&found.features);
            measures.insert(format!("{}{}", probe.name, names::ACCURACY), probe.measure(&predicted));
            let agrees = predicted.iter().zip(of_pair).map(|(one, other)| Some(f64::from(u8::from(one == other))));
            measures.insert(format!("{}{}", probe.name, names::AGREEMENT), Measure::of_rows(agrees.collect(), None));
            let confidence = probe.confidence(&found.features);
            calibration.insert(probe.name.clone(), expected_calibration_error(CALIBRATION_BINS, confidence));
        }
        let resampling = Resampling::new(self.key);
        let scores =
            measures.iter().map(|(name, measure)| (name.clone(), measure.score(self.gallery, &resampling))).collect();
        let layers = self.layers(removed, real, found);
        let cka = cka(&real.states.features, &found.features);
        (Fidelity { removed, completion, scores, calibration, cka, layers }, measures)
    }

    /// The similarity with the own real pair, and its rank among all real pairs.
    fn of_partners(&self, real: &Real, found: &States) -> BTreeMap<String, Measure> {
        let of = |states: &States| Centred::new(&states.features, &real.centre);
        let (found, pairs) = (of(found), of(&real.states));
        let records = &self.gallery.records;
        let is_own = |query: usize, candidate: usize| {
            let (query, candidate) = (&records[query], &records[candidate]);
            query.id == candidate.id
                || (query.image_hash == candidate.image_hash && query.text_hash == candidate.text_hash)
        };
        let ranks = ranks(&found.all_cosines(&pairs), records.len(), is_own);
        let from_one = ranks.iter().map(|rank| rank.map(|rank| rank as f64 + 1.0)).collect();
        BTreeMap::from([
            (names::COSINE.to_string(), Measure::of_rows(found.cosines(&pairs), Some(0.0))),
            (names::PARTNER.to_string(), Measure::of_rows(found_at(1, &ranks), Some(1.0 / records.len() as f64))),
            (
                names::PARTNER_RANK.to_string(),
                Measure { aggregation: Aggregation::Median, ..Measure::of_rows(from_one, None) },
            ),
        ])
    }

    fn layers(&self, removed: Removed, real: &Real, found: &States) -> Vec<LayerFidelity> {
        let d = self.embedder.model.config().fusion.width;
        // The first token of the text comes first.
        let (from, told) = match removed {
            Removed::Images => (d, &real.told[0]),
            Removed::Texts => (0, &real.told[1]),
        };
        let each = found.layers.iter().zip(&real.states.layers).enumerate();
        each.map(|(layer, (found, real))| {
            let centre = mean(real);
            let cosines = Centred::new(found, &centre).cosines(&Centred::new(real, &centre));
            let own = found.rows().flat_map(|row| row[from..from + d].to_vec()).collect();
            LayerFidelity {
                layer: layer + 1,
                cosine: Measure::of_rows(cosines, None).value(),
                cka: cka(real, found),
                bits: told.as_ref().map(|told| told.bits(&Vectors { width: d, values: own })),
            }
        })
        .collect()
    }

    /// The prompts minus each other completion.
    fn differences(
        &self,
        removed: Removed,
        measures: &BTreeMap<Completion, BTreeMap<String, Measure>>,
    ) -> Vec<FidelityDifference> {
        let (resampling, first) = (Resampling::new(self.key), Completion::Prompts);
        let others = Completion::ALL.into_iter().filter(|completion| *completion != first);
        let against = |second: Completion| {
            let resampling = &resampling;
            measures[&first].iter().filter_map(move |(name, own)| {
                let difference = own.difference(&measures[&second][name], self.gallery, resampling)?;
                Some(FidelityDifference { removed, score: name.clone(), first, second, difference })
            })
        };
        others.flat_map(against).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_have_the_names_of_their_files() {
        for completion in Completion::ALL {
            assert_eq!(serde_json::to_value(completion).unwrap(), completion.name());
        }
    }
}
