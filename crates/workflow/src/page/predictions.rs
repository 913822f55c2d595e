//! Examples of what a fine-tuned model predicts: right and wrong classes or answers, labels, generated texts.

use ptu_data::Record;
use ptu_evaluate::task::TaskEvaluated;
use ptu_infer::task::{Predicted, Target, TaskOutput};
use ptu_random::{Key, Place};
use ptu_report::{Example, ExampleGroup, ExampleKind, Item, Retrieved};

use super::THUMBNAIL;

/// Number of examples of a group.
const EXAMPLES: usize = 6;
/// Number of outputs shown for an input.
const OUTPUTS: usize = 3;

/// Examples drawn at random by the seed: of classes and answers right and wrong ones, of labels and texts any. Empty for a model that
/// ranks pairs.
pub fn examples(evaluated: &TaskEvaluated, seed: u64) -> Vec<ExampleGroup> {
    let right = |wanted: bool| {
        let scorer = evaluated.scorer();
        (0..evaluated.predicted.len()).filter(|&one| scorer.is_right(one) == Some(wanted)).collect::<Vec<_>>()
    };
    let judged = |noun: &str| {
        let groups = [("right", true), ("wrong", false)];
        groups.map(|(word, wanted)| (format!("{word} {noun}"), right(wanted))).to_vec()
    };
    let all = (0..evaluated.predicted.len()).collect();
    let groups = match &evaluated.task.output {
        TaskOutput::Vqa { .. } => judged("answers"),
        TaskOutput::Classification { .. } => judged("predictions"),
        TaskOutput::Multilabel { .. } => vec![("predictions".to_string(), all)],
        TaskOutput::Report(_) | TaskOutput::Summary(_) => vec![("generated texts".to_string(), all)],
        TaskOutput::Retrieval { .. } => vec![],
    };
    let groups = groups.into_iter().filter(|(_, positions)| !positions.is_empty());
    groups.map(|(title, positions)| group(evaluated, &title, positions, seed)).collect()
}

/// The first examples of a random order: an unbiased selection.
fn group(evaluated: &TaskEvaluated, title: &str, mut positions: Vec<usize>, seed: u64) -> ExampleGroup {
    let (count, all) = (positions.len(), evaluated.predicted.len());
    Key::new(seed).stream(Place::Sample, 1).shuffle(&mut positions);
    positions.truncate(EXAMPLES);
    let shown = match positions.len() < count {
        true => format!("shown are {} of them, drawn at random by seed {seed}", positions.len()),
        false => "all of them are shown".into(),
    };
    let (kind, below) = match &evaluated.task.output {
        TaskOutput::Report(_) | TaskOutput::Summary(_) => (ExampleKind::Generation, String::new()),
        output => {
            let temperature = evaluated.task.calibration.map(|calibration| calibration.temperature);
            let calibrated = temperature.map_or(String::new(), |one| format!(", calibrated with temperature {one:.2}"));
            let (outputs, noun) = (OUTPUTS.min(output.names().len()), noun(output));
            (ExampleKind::Prediction, format!(" Below: the {outputs} {noun} with the highest probability{calibrated}."))
        }
    };
    ExampleGroup {
        title: format!("{}: {title}", evaluated.name),
        explanation: format!("{count} {title} for {all} inputs; {shown}.{below}"),
        kind,
        examples: positions.into_iter().map(|position| example(evaluated, &evaluated.predicted[position])).collect(),
    }
}

/// What the outputs of a task are.
fn noun(output: &TaskOutput) -> &'static str {
    match output {
        TaskOutput::Vqa { .. } => "answers",
        TaskOutput::Multilabel { .. } => "labels",
        _ => "classes",
    }
}

fn example(evaluated: &TaskEvaluated, predicted: &Predicted) -> Example {
    let query = Item {
        id: predicted.record.id.clone(),
        image_png: evaluated.thumbnail(predicted, THUMBNAIL),
        text: read_text(&predicted.record),
    };
    let partner = Some(text(truth(&evaluated.task.output, predicted)));
    Example { query, partner, found: found(evaluated, predicted) }
}

/// The text that the model read; `None` if it read only an image.
fn read_text(record: &Record) -> Option<String> {
    let sentences = record.sentences.as_ref().map(|pair| format!("{} / {}", pair.premise, pair.hypothesis));
    record.texts.first().cloned().or(sentences)
}

fn text(text: String) -> Item {
    Item { text: Some(text), ..Item::default() }
}

/// The right output, in words.
fn truth(output: &TaskOutput, predicted: &Predicted) -> String {
    let (names, record) = (output.names(), &predicted.record);
    match &predicted.target {
        Target::Class(class) => names.get(*class).copied().unwrap_or_default().into(),
        Target::OtherClass => {
            let TaskOutput::Classification { label, .. } = output else { return String::new() };
            let values = ptu_data::record::label_values(&record.labels, label);
            format!("{} (not a class of the model)", values.join(", "))
        }
        Target::Answer(known) => {
            let answer = record.questions.first().map_or("", |question| question.answer.as_str());
            format!("{answer}{}", if known.is_none() { " (not in the answer set)" } else { "" })
        }
        Target::Labels(states) => {
            let positive = names.iter().zip(states).filter(|(_, state)| state.truth() == Some(true));
            let positive: Vec<&str> = positive.map(|(name, _)| *name).collect();
            if positive.is_empty() { "none of the labels".into() } else { positive.join(", ") }
        }
        Target::Text(reference) => reference.clone(),
    }
}

/// The generated text, or the outputs with the highest probabilities.
fn found(evaluated: &TaskEvaluated, predicted: &Predicted) -> Vec<Retrieved> {
    if let Some(generated) = &predicted.text {
        return vec![Retrieved { item: text(generated.text.clone()), score: None, hit: None }];
    }
    let (names, probabilities) = (evaluated.task.output.names(), evaluated.task.probabilities(&predicted.logits));
    let hit = |output: usize| match &predicted.target {
        Target::Class(class) => Some(*class == output),
        Target::OtherClass => Some(false),
        Target::Answer(answer) => Some(*answer == Some(output)),
        Target::Labels(states) => states.get(output).and_then(|state| state.truth()),
        Target::Text(_) => None,
    };
    let mut order: Vec<usize> = (0..names.len().min(probabilities.len())).collect();
    order.sort_by(|one, other| probabilities[*other].total_cmp(&probabilities[*one]).then(one.cmp(other)));
    let shown = order.into_iter().take(OUTPUTS).map(|output| Retrieved {
        item: text(names[output].into()),
        score: Some(probabilities[output]),
        hit: hit(output),
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ptu_data::record::{Question, Section};
    use ptu_data::{InputForm, RecordImage, Records};
    use ptu_infer::task::{BinaryLabel, GeneratedText, LabelState, TaskDescription, WrittenText};
    use ptu_input::Picture;
    use ptu_input::image::resample::Size;

    use super::super::task::tests::report;
    use super::*;

    fn predicted(position: usize, target: Target, logits: &[f32]) -> Predicted {
        let question = Question { question: "which?".into(), answer: "Left".into(), ..Question::default() };
        let record = Record {
            id: format!("r{position}"),
            texts: vec![format!("question {position}")],
            questions: vec![question],
            ..Record::default()
        };
        Predicted {
            position,
            record,
            target,
            logits: logits.to_vec(),
            text: None,
            image_hash: None,
            text_hash: None,
            cut: false,
        }
    }

    fn evaluated(output: TaskOutput, predicted: Vec<Predicted>) -> TaskEvaluated {
        let picture = Picture::new(Size { width: 4, height: 4 }, 1, vec![90; 16]).thumbnail_png(4);
        let image = RecordImage { bytes: picture, path: None };
        let records = predicted.iter().map(|one| Record { image: Some(image.clone()), ..one.record.clone() }).collect();
        TaskEvaluated {
            others: Default::default(),
            name: "phantom".into(),
            task: TaskDescription::new(InputForm::Question, output),
            report: report(),
            predicted,
            source: Arc::new(Records { name: "phantom".into(), records }),
        }
    }

    fn answers() -> TaskOutput {
        TaskOutput::Vqa {
            answers: ["left", "right", "yes", "no"].map(String::from).to_vec(),
            collected_from: "train".into(),
        }
    }

    #[test]
    fn right_and_wrong_answers_are_groups_with_the_most_probable_answers() {
        let all = (0..20).map(|position| match position {
            0..9 => predicted(position, Target::Answer(Some(0)), &[3.0, 1.0, -1.0, 2.0]),
            9 => predicted(position, Target::Answer(None), &[0.0, 1.0, 0.0, 0.0]),
            _ => predicted(position, Target::Answer(Some(0)), &[1.0, 2.0, 0.0, -1.0]),
        });
        let evaluated = evaluated(answers(), all.collect());
        let groups = examples(&evaluated, 1);
        let titles: Vec<&str> = groups.iter().map(|group| group.title.as_str()).collect();
        assert_eq!(titles, ["phantom: right answers", "phantom: wrong answers"]);
        assert!(groups[0].explanation.starts_with("9 right answers for 20 inputs; shown are 6 of them"));
        assert!(groups.iter().all(|group| group.examples.len() == 6 && group.kind == ExampleKind::Prediction));
        let first = &groups[0].examples[0];
        assert!(first.query.text.as_ref().unwrap().starts_with("question ") && first.query.image_png.is_some());
        assert_eq!(first.partner.as_ref().unwrap().text.as_deref(), Some("Left"));
        let shown = |example: &Example| -> Vec<(String, Option<bool>)> {
            example.found.iter().map(|found| (found.item.text.clone().unwrap(), found.hit)).collect()
        };
        let hits = [("left", Some(true)), ("no", Some(false)), ("right", Some(false))];
        assert_eq!(shown(first), hits.map(|(name, hit)| (name.to_string(), hit)));
        // The sigmoid of the logit 3.
        assert!((first.found[0].score.unwrap() - 0.952_574).abs() < 1e-5);
        assert_eq!(groups, examples(&evaluated, 1));
        assert_ne!(groups, examples(&evaluated, 2));
    }

    #[test]
    fn an_answer_outside_of_the_set_is_marked_and_an_empty_group_is_left_out() {
        let groups = examples(&evaluated(answers(), vec![predicted(0, Target::Answer(None), &[0.0; 4])]), 0);
        let [group] = groups.as_slice() else { panic!("{groups:?}") };
        assert_eq!(group.examples[0].partner.as_ref().unwrap().text.as_deref(), Some("Left (not in the answer set)"));
        assert!(group.explanation.contains("all of them are shown"));
    }

    #[test]
    fn labels_show_what_applies() {
        let label = |name: &str| BinaryLabel { label: name.into(), value: None, uncertain: LabelState::Ignore };
        let labels = ["mass", "edema"].map(label);
        let output = TaskOutput::Multilabel { labels: labels.to_vec(), unmentioned: LabelState::Ignore };
        let target = Target::Labels(vec![LabelState::Positive, LabelState::Ignore]);
        let groups = examples(&evaluated(output, vec![predicted(0, target, &[0.0, 1.0])]), 0);
        let example = &groups[0].examples[0];
        assert_eq!(example.partner.as_ref().unwrap().text.as_deref(), Some("mass"));
        let hits: Vec<Option<bool>> = example.found.iter().map(|found| found.hit).collect();
        assert_eq!(hits, [None, Some(true)], "of the most probable label it is not known");
    }

    #[test]
    fn a_generated_text_is_shown_beside_its_reference() {
        let written = WrittenText {
            target: Section::Impression,
            lower_case: false,
            generation: serde_json::from_str("{}").unwrap(),
        };
        let text = GeneratedText { text: "clear.".into(), tokens: 3, finished: true, score: Some(-0.1) };
        let one = Predicted { text: Some(text), ..predicted(0, Target::Text("normal.".into()), &[]) };
        let groups = examples(&evaluated(TaskOutput::Report(written), vec![one]), 0);
        let (group, example) = (&groups[0], &groups[0].examples[0]);
        assert_eq!((group.kind, group.title.as_str()), (ExampleKind::Generation, "phantom: generated texts"));
        assert_eq!(example.partner.as_ref().unwrap().text.as_deref(), Some("normal."));
        assert_eq!(example.found[0].item.text.as_deref(), Some("clear."));
        assert_eq!((example.found[0].score, example.found[0].hit), (None, None));
    }
}
