//! Refuses training examples from which a task can learn nothing, because their right outputs do not differ.

use ptu_data::Source;
use ptu_infer::task::{LabelState, Target, TaskOutput};
use ptu_train::TrainError;
use ptu_train::recipe::Recipe;

use crate::TaskError;

/// Largest number of labels that a message lists.
const LISTED: usize = 8;

/// The right outputs of the training examples.
#[derive(Default)]
struct Outputs {
    /// Number of examples.
    examples: usize,
    /// For each class, label or answer the numbers of examples that have it, and that do not.
    counts: Vec<[usize; 2]>,
    /// The first text that should be written.
    text: Option<String>,
    /// Whether there is another one.
    has_other_text: bool,
}

impl Outputs {
    fn add(&mut self, target: Target) {
        self.examples += 1;
        match target {
            Target::Class(output) | Target::Answer(Some(output)) => self.counts[output][0] += 1,
            Target::Labels(states) => {
                for (count, state) in self.counts.iter_mut().zip(states) {
                    count[0] += usize::from(state == LabelState::Positive);
                    count[1] += usize::from(state == LabelState::Negative);
                }
            }
            Target::Text(text) if self.text.is_none() => self.text = Some(text),
            Target::Text(text) => self.has_other_text |= self.text != Some(text),
            Target::OtherClass | Target::Answer(None) => {}
        }
    }

    /// The names of the outputs for whose counts `is_it` is true, in quotation marks; `None` if there are none.
    fn named(&self, output: &TaskOutput, is_it: impl Fn([usize; 2]) -> bool) -> Option<String> {
        let names: Vec<&str> = output
            .names()
            .into_iter()
            .zip(&self.counts)
            .filter(|(_, count)| is_it(**count))
            .map(|(name, _)| name)
            .collect();
        let shown = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let more = if names.len() > LISTED { format!(" and {} more", names.len() - LISTED) } else { String::new() };
        (!names.is_empty()).then(|| shown + &more)
    }
}

/// Refuses training examples whose right outputs are all alike, and labels of which none is known. Notes labels that are the same in all
/// examples, beside others that are not.
///
/// # Errors
/// [`TaskError::NothingToLearn`], or an error of records that cannot be read.
pub fn check(
    output: &TaskOutput,
    recipe: &Recipe,
    sources: &[&dyn Source],
    note: &mut dyn FnMut(&str),
) -> Result<(), TrainError> {
    let mut outputs = Outputs { counts: vec![[0; 2]; output.names().len()], ..Outputs::default() };
    for source in sources {
        source.each_without_image(&mut |record| {
            if let Some(target) = output.target(&record) {
                outputs.add(target);
            }
        })?;
    }
    let examples = outputs.examples;
    let refused = |cause: String, cure: &'static str| {
        // With a share of the data, the rest may have what is missing.
        let cure = if recipe.finetune.share < 1.0 { "use a larger share of the data (`--data`)" } else { cure };
        Err(TaskError::NothingToLearn { data: recipe.folders(), cause, cure }.into())
    };
    let used = outputs.counts.iter().filter(|count| count[0] > 0).count();
    match output {
        TaskOutput::Classification { .. } | TaskOutput::Vqa { .. } if used < 2 => {
            let only = outputs.named(output, |count| count[0] > 0).unwrap_or("unknown".into());
            let noun = if matches!(output, TaskOutput::Vqa { .. }) { "answer" } else { "class" };
            refused(format!("the {noun} of all {examples} examples is {only}"), "add records with others")
        }
        TaskOutput::Multilabel { .. } => {
            if let Some(unknown) = outputs.named(output, |count| count == [0, 0]) {
                let cause =
                    format!("no value of {unknown} is known in {examples} examples, neither positive nor negative");
                return refused(
                    cause,
                    "remove them from `task.labels`, or say in `task.uncertain` what `uncertain` means",
                );
            }
            let same = outputs.named(output, |count| count.contains(&0));
            if outputs.counts.iter().all(|count| count.contains(&0)) {
                let cause = format!("no label has both positive and negative ones among {examples} examples");
                return refused(cause, "add records, or name other labels in `task.labels`");
            }
            if let Some(same) = same {
                note(&format!(
                    "the training examples are all positive or all negative for {same}, so these cannot be learned"
                ));
            }
            Ok(())
        }
        TaskOutput::Report(_) | TaskOutput::Summary(_) if !outputs.has_other_text => {
            refused(format!("all {examples} examples have the same text"), "add records with other texts")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ptu_data::{Label, Question, Record, Records};
    use ptu_infer::task::BinaryLabel;

    use super::*;

    fn checked(output: &TaskOutput, records: Vec<Record>, share: f64) -> Result<Vec<String>, String> {
        let mut recipe = Recipe::default();
        recipe.finetune.share = share;
        let (source, mut notes) = (Records { name: "test".into(), records }, vec![]);
        let result = check(output, &recipe, &[&source], &mut |text| notes.push(text.to_string()));
        result.map(|()| notes).map_err(|error| error.to_string())
    }

    fn labelled(values: &[(&str, &str)]) -> Record {
        Record { labels: values.iter().map(|(name, value)| Label::new(*name, *value)).collect(), ..Record::default() }
    }

    #[test]
    fn answers_must_differ() {
        let output = TaskOutput::Vqa { answers: vec!["no".into(), "yes".into()], collected_from: "train".into() };
        let asked = |answer: &str| Record {
            questions: vec![Question { question: "Is it?".into(), answer: answer.into(), ..Question::default() }],
            ..Record::default()
        };
        let message = checked(&output, vec![asked("yes"), asked("yes"), asked("")], 1.0).unwrap_err();
        assert!(message.contains("the answer of all 2 examples is `yes`"), "{message}");
        assert!(checked(&output, vec![asked("yes"), asked("yes")], 0.1).unwrap_err().contains("larger share"));
        assert_eq!(checked(&output, vec![asked("yes"), asked("no")], 1.0), Ok(vec![]));
    }

    #[test]
    fn labels_must_be_known_and_differ() {
        let label = |name: &str| BinaryLabel { label: name.into(), value: None, uncertain: LabelState::Ignore };
        let labels = vec![label("mass"), label("edema")];
        let output = TaskOutput::Multilabel { labels, unmentioned: LabelState::Ignore };
        let of = |records: &[&[(&str, &str)]]| checked(&output, records.iter().map(|one| labelled(one)).collect(), 1.0);
        let both: [&[(&str, &str)]; 2] = [&[("mass", "positive"), ("edema", "positive")], &[("mass", "negative")]];
        let notes = of(&both).unwrap();
        assert!(notes.len() == 1 && notes[0].contains("for `edema`"), "{notes:?}");
        let message = of(&[&[("mass", "positive")], &[("mass", "negative"), ("edema", "uncertain")]]).unwrap_err();
        assert!(message.contains("no value of `edema` is known") && message.contains("`task.uncertain`"), "{message}");
        assert!(of(&both[..1]).unwrap_err().contains("both positive and negative"));
    }
}
