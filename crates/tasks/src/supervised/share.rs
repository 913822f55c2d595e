//! A share of the training data, to measure how much a model needs.

use std::collections::BTreeMap;

use ptu_data::{Source, ViewedSource};
use ptu_infer::task::{LabelState, Target, TaskOutput};
use ptu_random::{Key, Place};
use ptu_train::TrainError;

use crate::TaskError;

/// Keeps a share of the examples, drawn with the seed. Each stratum (class, set of positive labels, or open and closed questions)
/// keeps its share. With the same seed, the examples of a smaller share are among those of a larger one.
///
/// # Errors
/// When a class, or the whole source, would have no example left, or a record cannot be read.
pub fn share(viewed: ViewedSource, output: &TaskOutput, share: f64, seed: u64) -> Result<ViewedSource, TrainError> {
    let (mut strata, mut position): (BTreeMap<Vec<usize>, Vec<usize>>, usize) = (BTreeMap::new(), 0);
    viewed.each_without_image(&mut |record| {
        let stratum = match output.target(&record) {
            Some(Target::Class(class)) => vec![class],
            Some(Target::Labels(states)) => {
                let positive = states.iter().enumerate().filter(|(_, state)| **state == LabelState::Positive);
                positive.map(|(label, _)| label).collect()
            }
            // There may be as many answers as questions, so answers cannot all keep their share.
            Some(Target::Answer(_)) => vec![usize::from(record.questions.first().is_some_and(|one| one.closed))],
            Some(Target::Text(_) | Target::OtherClass) | None => vec![],
        };
        strata.entry(stratum).or_default().push(position);
        position += 1;
    })?;
    let mut kept = vec![];
    for (number, (stratum, mut positions)) in strata.into_iter().enumerate() {
        Key::new(seed).stream(Place::Sample, number as u64).shuffle(&mut positions);
        let count = positions.len();
        let keep = (share * count as f64).round() as usize;
        if let (TaskOutput::Classification { classes, .. }, 0, [class]) = (output, keep, stratum.as_slice()) {
            let least = (0.5 / count as f64 * 1e4).ceil() / 1e4;
            return Err(TaskError::EmptyClass { share, class: classes[*class].clone(), count, least }.into());
        }
        kept.extend(positions.into_iter().take(keep));
    }
    if kept.is_empty() && position > 0 {
        return Err(TaskError::EmptyShare { share, count: position }.into());
    }
    kept.sort_unstable();
    Ok(viewed.select(&kept))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ptu_data::{InputForm, Label, Record, Records};

    use super::*;

    fn viewed() -> ViewedSource {
        let record = |number: usize| Record {
            id: number.to_string(),
            texts: vec!["a text".into()],
            labels: vec![Label::new("x", if number.is_multiple_of(4) { "rare" } else { "common" })],
            ..Record::default()
        };
        let records = Records { name: "test".into(), records: (0..200).map(record).collect() };
        ViewedSource::new(Arc::new(records), InputForm::Text, &mut |_| true).unwrap()
    }

    fn ids(source: &ViewedSource) -> Vec<String> {
        (0..source.len()).map(|index| source.get(index).unwrap().id).collect()
    }

    #[test]
    fn a_smaller_share_is_a_part_of_a_larger_one() {
        let output = TaskOutput::Classification { label: "x".into(), classes: vec!["common".into(), "rare".into()] };
        let kept = |part: f64, seed| ids(&share(viewed(), &output, part, seed).unwrap());
        let (tenth, half) = (kept(0.1, 1), kept(0.5, 1));
        assert_eq!((tenth.len(), half.len()), (20, 100));
        assert!(tenth.iter().all(|id| half.contains(id)));
        let rare = |ids: &[String]| ids.iter().filter(|id| id.parse::<usize>().unwrap() % 4 == 0).count();
        assert_eq!((rare(&tenth), rare(&half)), (5, 25));
        assert_ne!(kept(0.1, 1), kept(0.1, 2));
        let error = share(viewed(), &output, 0.005, 1).err().unwrap().to_string();
        assert!(error.contains("`rare`") && error.contains("0.01"), "{error}");
    }
}
