//! Classification of a label from frozen vectors: probes fitted to the training split, and zero-shot classification by sentences.

use std::collections::BTreeMap;

use ptu_data::record::{Label, label_values};
use ptu_infer::Vectors;
use ptu_infer::probe::{LinearProbe, nearest_neighbours};
use ptu_input::{Processor, Text};
use ptu_metrics::{Answer, majority_share};
use ptu_random::{Key, Place};

use crate::EvaluateError;
use crate::features::{AvailableModalities, GalleryFeatures, TrainFeatures};
use crate::gallery::{BATCH, Gallery, Pair};
use crate::measure::Measure;

/// Largest number of records that a probe is fitted to.
const MAX_FITTED: usize = 2000;

/// The place in a sentence where the name of the class is inserted.
pub const CLASS: &str = "{}";

/// A label, its classes, and probes that were fitted to predict it.
pub struct LabelProbes {
    /// Name of the label.
    pub name: String,
    /// Values of the label, sorted. A class is an index into this list.
    pub classes: Vec<String>,
    /// The class of each row of the gallery; `None` if the row has no value, several values, or a value that is not in `classes`.
    pub truths: Vec<Option<usize>>,
    /// Number of records that the probes were fitted to.
    pub fitted: usize,
    vectors: Vectors,
    fitted_truths: Vec<usize>,
    linear: LinearProbe,
}

/// The answers of both probes for a gallery.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeMeasures {
    /// Of the nearest-neighbour probe.
    pub neighbours: Measure,
    /// Of the linear probe.
    pub linear: Measure,
}

/// The single value of a label; `None` if there is no value or more than one.
fn value(labels: &[Label], name: &str) -> Option<String> {
    let mut values = label_values(labels, name).into_iter();
    values.next().filter(|_| values.next().is_none())
}

impl LabelProbes {
    /// Fits both probes to the features of at most 2,000 training pairs, which are drawn with `key`. `None` if these pairs have
    /// fewer than two values of the label.
    ///
    /// # Errors
    /// If records cannot be read, or inputs do not fit the model.
    pub fn fit(
        train: &mut TrainFeatures<'_>,
        gallery: &Gallery,
        name: &str,
        key: Key,
    ) -> Result<Option<Self>, EvaluateError> {
        let mut order: Vec<usize> = (0..train.source.len()).collect();
        key.stream(Place::Sample, 2).shuffle(&mut order);
        let (mut positions, mut values) = (vec![], vec![]);
        for position in order {
            if values.len() == MAX_FITTED {
                break;
            }
            let record = train.source.get(position)?;
            let Some(label) = value(&record.labels, name) else { continue };
            if record.image.is_some() && record.texts.iter().any(|text| !text.trim().is_empty()) {
                train.add(position, record)?;
                positions.push(position);
                values.push(label);
            }
        }
        let vectors = train.of(&positions)?;
        let mut classes = values.clone();
        classes.sort();
        classes.dedup();
        if classes.len() < 2 {
            return Ok(None);
        }
        let class = |value: &str| classes.binary_search_by(|class| class.as_str().cmp(value)).ok();
        let fitted_truths: Vec<usize> = values.iter().filter_map(|value| class(value)).collect();
        let of_pair = |pair: &Pair| value(&pair.labels, name).and_then(|value| class(&value));
        let truths = gallery.records.iter().map(of_pair).collect();
        let linear = LinearProbe::fit(&vectors, &fitted_truths);
        let (name, fitted) = (name.to_string(), values.len());
        Ok(Some(Self { name, truths, fitted, vectors, fitted_truths, linear, classes }))
    }

    /// The answers of the probes for a gallery, computed from the available modalities.
    ///
    /// # Errors
    /// If inputs do not fit the model.
    pub fn evaluate(
        &self,
        features: &GalleryFeatures<'_>,
        available: AvailableModalities,
    ) -> Result<ProbeMeasures, EvaluateError> {
        let queries = features.of(available, &mut |_| {})?;
        let measure = |predicted: Vec<usize>| self.measure(&predicted);
        Ok(ProbeMeasures {
            neighbours: measure(nearest_neighbours(&self.vectors, &self.fitted_truths, &queries)),
            linear: measure(self.linear.predict(&queries)),
        })
    }

    /// Zero-shot classification of the images by sentences, without any fitting. The predicted class is the one whose text
    /// vector is nearest to the image vector in the contrastive space. In each sentence `{}` is replaced by the name of the
    /// class. With several sentences, the vector of a class is the mean of their vectors, scaled to unit length (Radford et
    /// al., "Learning transferable visual models from natural language supervision", 2021, section 3.1.4).
    ///
    /// # Errors
    /// If the model has no ITC head, or a sentence cannot be tokenised.
    pub fn by_sentences(
        &self,
        features: &GalleryFeatures<'_>,
        processor: &Processor,
        sentences: &[String],
    ) -> Result<Measure, EvaluateError> {
        let encode = |(class, sentence): (&String, &String)| -> Result<Text, EvaluateError> {
            let sentence = sentence.replace(CLASS, class);
            let text = processor.text(&sentence);
            text.map_err(|error| EvaluateError::Sentence { sentence, cause: error.to_string() })
        };
        let all = self.classes.iter().flat_map(|class| sentences.iter().map(move |sentence| (class, sentence)));
        let all: Vec<Text> = all.map(encode).collect::<Result<_, _>>()?;
        let texts = features.embedder.texts(&all.iter().collect::<Vec<_>>(), BATCH, &mut |_| {})?;
        let classes = texts.unit_means(&vec![sentences.len(); self.classes.len()]);
        let similarity = features.images(&mut |_| {})?.similarity(&classes);
        let nearest =
            |row: &[f32]| (0..row.len()).reduce(|best, other| if row[other] > row[best] { other } else { best });
        Ok(self.measure(&similarity.chunks_exact(self.classes.len()).filter_map(nearest).collect::<Vec<_>>()))
    }

    /// The class that the linear probe predicts for each vector.
    pub fn predict(&self, vectors: &Vectors) -> Vec<usize> {
        self.linear.predict(vectors)
    }

    /// For each record with a class, the probability of the class that the linear probe predicts, and whether it is right.
    pub fn confidence(&self, vectors: &Vectors) -> Vec<(f32, bool)> {
        let rows =
            vectors.rows().zip(&self.truths).filter_map(|(row, truth)| Some((self.linear.logits(row), (*truth)?)));
        rows.map(|(logits, truth)| {
            let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
            (sum.recip(), logits.iter().position(|logit| *logit == most) == Some(truth))
        })
        .collect()
    }

    /// Compares predicted classes with the true ones.
    pub(crate) fn measure(&self, predicted: &[usize]) -> Measure {
        let pairs = predicted.iter().zip(&self.truths);
        let values = pairs.map(|(class, truth)| truth.map(|truth| f64::from(u8::from(*class == truth)))).collect();
        let answers: Vec<Answer<usize>> =
            self.truths.iter().flatten().map(|&right| Answer { given: right, right }).collect();
        Measure::of_rows(values, majority_share(&answers))
    }

    /// Number of rows of the gallery in each class, by the name of the class.
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        self.truths.iter().flatten().for_each(|class| *counts.entry(self.classes[*class].as_str()).or_insert(0) += 1);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_several_values_belongs_to_no_class() {
        let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
        let labels = [label("finding", "mass"), label("side", "left"), label("side", "right")];
        assert_eq!(value(&labels, "finding").as_deref(), Some("mass"));
        let forms = [label("Mu\u{308}ller", "Gro\u{308}\u{df}e"), label("M\u{fc}ller", "Gr\u{f6}\u{df}e ")];
        assert_eq!(value(&forms, "Mu\u{308}ller").as_deref(), Some("Gr\u{f6}\u{df}e"), "two forms are one class");
        assert_eq!((value(&labels, "side"), value(&labels, "age")), (None, None));
    }
}
