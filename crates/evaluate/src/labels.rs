//! What frozen vectors tell about a label: probes fitted to the training split, and zero-shot classification by sentences.

use std::collections::BTreeMap;

use ptu_data::record::Label;
use ptu_infer::Vectors;
use ptu_infer::probe::{LinearProbe, nearest_neighbours};
use ptu_input::{Processor, Text};
use ptu_metrics::{Answer, majority_share};
use ptu_random::{Key, Place};

use crate::EvaluateError;
use crate::features::{GalleryFeatures, Given, TrainFeatures};
use crate::gallery::{BATCH, Gallery, Pair, values};
use crate::measure::Measure;

/// Records that a probe is fitted to, at most.
const FITTED: usize = 2000;

/// Where a sentence names the class.
pub const CLASS: &str = "{}";

/// A label, its classes, and probes that know it.
pub struct LabelProbes {
    /// Name of the label.
    pub name: String,
    /// Its values, in order; a class is a position here.
    pub classes: Vec<String>,
    /// The class of each row of the gallery; `None` where it has none, several, or one that was never seen.
    pub truths: Vec<Option<usize>>,
    /// Records that the probes were fitted to.
    pub fitted: usize,
    vectors: Vectors,
    fitted_truths: Vec<usize>,
    linear: LinearProbe,
}

/// Answers of both probes.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeMeasures {
    /// Nearest neighbours.
    pub neighbours: Measure,
    /// Linear classifier.
    pub linear: Measure,
}

/// The one value of a label; none where it has none or several.
fn value(labels: &[Label], name: &str) -> Option<String> {
    let mut values = values(labels, name).into_iter();
    values.next().filter(|_| values.next().is_none())
}

impl LabelProbes {
    /// Fits both probes to features of training pairs, at most 2,000 of them, drawn by `key`. `None` where fewer than
    /// two values of the label are there.
    ///
    /// # Errors
    /// Records that cannot be read; inputs that do not fit the model.
    pub fn fit(
        train: &mut TrainFeatures<'_>,
        gallery: &Gallery,
        name: &str,
        key: Key,
    ) -> Result<Option<Self>, EvaluateError> {
        let mut order: Vec<usize> = (0..train.source.len()).collect();
        key.stream(Place::Sample, 2).shuffle(&mut order);
        let (mut places, mut values) = (vec![], vec![]);
        for place in order {
            if values.len() == FITTED {
                break;
            }
            let record = train.source.get(place)?;
            let Some(label) = value(&record.labels, name) else { continue };
            if record.image.is_some() && record.texts.iter().any(|text| !text.trim().is_empty()) {
                train.add(place, record)?;
                places.push(place);
                values.push(label);
            }
        }
        let vectors = train.of(&places)?;
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

    /// What the probes say about a gallery of which the model is given some.
    ///
    /// # Errors
    /// Inputs that do not fit the model.
    pub fn ask(&self, features: &GalleryFeatures<'_>, given: Given) -> Result<ProbeMeasures, EvaluateError> {
        let asked = features.of(given, &mut |_| {})?;
        let measure = |given: Vec<usize>| self.measure(&given);
        Ok(ProbeMeasures {
            neighbours: measure(nearest_neighbours(&self.vectors, &self.fitted_truths, &asked)),
            linear: measure(self.linear.predict(&asked)),
        })
    }

    /// Classes by sentences, without any fitting: of an image alone the class that is nearest by contrast. A sentence names the
    /// class where it has `{}`; of several a class has the mean of their vectors, of unit length again (Radford et al., "Learning
    /// transferable visual models from natural language supervision", 2021, section 3.1.4).
    ///
    /// # Errors
    /// A model without contrast head; sentences that cannot be tokenised.
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
        let classes = means(&texts, sentences.len());
        let similarity = features.images(&mut |_| {})?.similarity(&classes);
        let nearest =
            |row: &[f32]| (0..row.len()).reduce(|best, other| if row[other] > row[best] { other } else { best });
        Ok(self.measure(&similarity.chunks_exact(self.classes.len()).filter_map(nearest).collect::<Vec<_>>()))
    }

    fn measure(&self, given: &[usize]) -> Measure {
        let right = given.iter().zip(&self.truths);
        let values = right.map(|(given, truth)| truth.map(|truth| f64::from(u8::from(*given == truth)))).collect();
        let answers: Vec<Answer<usize>> =
            self.truths.iter().flatten().map(|&right| Answer { given: right, right }).collect();
        Measure::of_rows(values, majority_share(&answers))
    }

    /// Rows of the gallery of each class, by name.
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        self.truths.iter().flatten().for_each(|class| *counts.entry(self.classes[*class].as_str()).or_insert(0) += 1);
        counts
    }
}

/// The mean of each `count` vectors in a row, of unit length; one vector is its own mean.
fn means(vectors: &Vectors, count: usize) -> Vectors {
    if count == 1 {
        return vectors.clone();
    }
    let mut values = Vec::with_capacity(vectors.values.len() / count.max(1));
    for group in vectors.values.chunks_exact((vectors.width * count).max(1)) {
        let sum = |place: usize| group.iter().skip(place).step_by(vectors.width).map(|x| f64::from(*x)).sum::<f64>();
        let sums: Vec<f64> = (0..vectors.width).map(sum).collect();
        let length = sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt();
        // Vectors that cancel each other out have no direction: nothing is near them.
        values.extend(sums.iter().map(|sum| if length > 0.0 { (sum / length) as f32 } else { 0.0 }));
    }
    Vectors { width: vectors.width, values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_of_several_sentences_is_their_mean_of_unit_length() {
        let vectors = Vectors { width: 2, values: vec![1.0, 0.0, 0.0, 1.0, 0.6, 0.8, 0.6, 0.8] };
        let means = means(&vectors, 2);
        let half = 0.5f32.sqrt();
        for (found, due) in means.values.iter().zip([half, half, 0.6, 0.8]) {
            assert!((found - due).abs() < 1e-6, "{means:?}");
        }
        assert_eq!(super::means(&vectors, 1), vectors);
        let opposite = Vectors { width: 1, values: vec![1.0, -1.0] };
        assert_eq!(super::means(&opposite, 2).values, [0.0]);
    }

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
