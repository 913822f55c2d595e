//! Image reliance: what a score loses without the right image. A model that answers as well without looking has not learned to look
//! at images.

use ptu_data::{Record, Source};
use ptu_random::{Key, Place};
use serde::{Deserialize, Serialize};

use crate::EvaluateError;
use crate::scores::Score;

/// What the model saw instead of the right image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Replacement {
    /// An image of one colour.
    Blank,
    /// The image of another patient.
    Other,
    /// No image; prompts take its place.
    Missing,
}

impl Replacement {
    /// The word in files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::Other => "other",
            Self::Missing => "missing",
        }
    }

    /// The words in messages and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blank => "blank image",
            Self::Other => "image of another patient",
            Self::Missing => "text alone",
        }
    }
}

/// A score with a replaced image, and what the replacement costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliance {
    /// What the model saw.
    pub image: Replacement,
    /// Name of the score.
    pub metric: String,
    /// The score with the replaced image.
    pub score: Score,
    /// The score with the right image minus this score, on the same records (paired interval by patient). Above 0 if the model
    /// relies on the image.
    pub cost: Score,
}

/// For each record of a source the position of a record of another patient whose image is shown instead (a derangement drawn with `key`);
/// `None` if all records are of one patient. Each image is used once, unless one patient has more than half of the records: then the
/// images of the others are used several times.
///
/// # Errors
/// If records cannot be read.
pub fn other_patients(source: &dyn Source, key: Key) -> Result<Option<Vec<usize>>, EvaluateError> {
    let mut patients: Vec<String> = vec![];
    source.each_without_image(&mut |record: Record| patients.push(record.patient))?;
    let mut order: Vec<usize> = (0..patients.len()).collect();
    key.stream(Place::Sample, 0).shuffle(&mut order);
    // All records of a patient stand together, patients in the order of their first shuffled record. A shift by the largest number
    // of records of a patient then leads to another patient, unless this patient has more than half of all records.
    let mut groups: Vec<(&str, Vec<usize>)> = vec![];
    let mut group_of: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    for &position in &order {
        let patient = patients[position].as_str();
        let group = *group_of.entry(patient).or_insert_with(|| {
            groups.push((patient, vec![]));
            groups.len() - 1
        });
        groups[group].1.push(position);
    }
    let (largest, shift) = groups
        .iter()
        .map(|(patient, members)| (*patient, members.len()))
        .max_by_key(|(_, count)| *count)
        .unwrap_or_default();
    let grouped: Vec<usize> = groups.into_iter().flat_map(|(_, members)| members).collect();
    let outside: Vec<usize> = grouped.iter().copied().filter(|position| patients[*position] != largest).collect();
    if outside.is_empty() && !grouped.is_empty() {
        return Ok(None);
    }
    let (mut again, mut others) = (outside.iter().cycle(), vec![0; grouped.len()]);
    for (place, &position) in grouped.iter().enumerate() {
        let shifted = grouped[(place + shift) % grouped.len()];
        others[position] = match patients[shifted] == patients[position] {
            true => again.next().copied().unwrap_or(shifted),
            false => shifted,
        };
    }
    Ok(Some(others))
}

#[cfg(test)]
mod tests {
    use ptu_data::Records;

    use super::*;

    fn source(patients: &[&str]) -> Records {
        let record = |patient: &&str| Record { patient: patient.to_string(), ..Record::default() };
        Records { name: "test".into(), records: patients.iter().map(record).collect() }
    }

    #[test]
    fn the_shown_image_is_of_another_patient() {
        let patients: Vec<String> = (0..60).map(|number| format!("p{}", number % 17)).collect();
        let patients: Vec<&str> = patients.iter().map(String::as_str).collect();
        let drawn = |seed| other_patients(&source(&patients), Key::new(seed)).unwrap().unwrap();
        let others = drawn(3);
        assert!((0..60).all(|position| patients[others[position]] != patients[position]));
        let mut used = others.clone();
        used.sort_unstable();
        assert_eq!(used, (0..60).collect::<Vec<_>>(), "each image is used once");
        assert_eq!(others, drawn(3));
        assert_ne!(others, drawn(4));
    }

    #[test]
    fn a_patient_with_most_records_gets_the_images_of_the_others_too() {
        let patients = ["a", "a", "a", "a", "a", "b", "c"];
        let others = other_patients(&source(&patients), Key::new(1)).unwrap().unwrap();
        assert!((0..7).all(|position| patients[others[position]] != patients[position]), "{others:?}");
    }

    #[test]
    fn a_single_patient_has_no_other() {
        assert_eq!(other_patients(&source(&["a", "a"]), Key::new(1)).unwrap(), None);
        assert_eq!(other_patients(&source(&[]), Key::new(1)).unwrap(), Some(vec![]));
    }
}
