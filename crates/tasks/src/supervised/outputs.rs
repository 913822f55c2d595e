//! Reads from the training data what the outputs of a task are: its classes, labels or answers.

use std::collections::{BTreeMap, BTreeSet};

use ptu_data::{InputForm, Manifest, Record, ShardFolder, Source, Split};
use ptu_infer::task::{BinaryLabel, LabelState, TaskOutput, WrittenText};
use ptu_input::text::{name_key, normal_answer};
use ptu_train::TrainError;
use ptu_train::recipe::task::{AnswerSplits, LabelPolicy, MultilabelRecipe, ReportRecipe, SummaryRecipe};
use ptu_train::recipe::{Recipe, TaskRecipe};
use ptu_train::task::TrainingData;

use crate::TaskError;

/// The outputs of the task of a recipe.
///
/// # Errors
/// When the training records have no such label, question or pair of sentences, or only one class.
pub fn output(recipe: &Recipe, data: &[TrainingData]) -> Result<TaskOutput, TrainError> {
    match &recipe.task {
        TaskRecipe::Multilabel(multilabel) => labels(multilabel, recipe, data),
        TaskRecipe::Vqa(vqa) => answers(vqa.answers, recipe, data),
        TaskRecipe::Classification(classification) => classes(&classification.label, recipe, data),
        other => match written(other) {
            Some(output) => Ok(output),
            None => classes("", recipe, data),
        },
    }
}

/// The output of a task that writes texts; `None` for other tasks.
pub fn written(task: &TaskRecipe) -> Option<TaskOutput> {
    match task {
        TaskRecipe::Report(ReportRecipe { target, lower_case, generation, .. }) => {
            Some(TaskOutput::Report(WrittenText { target: *target, lower_case: *lower_case, generation: *generation }))
        }
        TaskRecipe::Summary(SummaryRecipe { target, lower_case, generation, .. }) => {
            Some(TaskOutput::Summary(WrittenText { target: *target, lower_case: *lower_case, generation: *generation }))
        }
        _ => None,
    }
}

/// Notes and errors about the data of a task whose outputs are known.
pub fn check(
    recipe: &Recipe,
    data: &[TrainingData],
    output: &TaskOutput,
    note: &mut dyn FnMut(&str),
) -> Result<(), TrainError> {
    // A record is read without its image first, so that the images of a source are known by its manifest only.
    let has_nothing = |one: &TrainingData| {
        let train = one.manifest.counts(Split::Train);
        let read = match recipe.task.view().form {
            InputForm::Pair => train.pairs,
            InputForm::Image => train.pairs + train.images_only,
            _ => 1,
        };
        read == 0 || one.source.source.is_empty()
    };
    if data.iter().any(has_nothing) {
        let (wanted, cure) = match output {
            TaskOutput::Vqa { .. } => {
                ("a question", "prepare a data set with questions, or columns `question` and `answer`")
            }
            TaskOutput::Report(_) | TaskOutput::Summary(_) => (
                "a text of the section `task.target` and what `task.input` reads",
                "prepare reports with sections, for example a table with columns `findings` and `impression`",
            ),
            _ => ("what `task.input` reads", "choose another `task.input`, or prepare other data"),
        };
        return Err(TaskError::NothingToRead { data: recipe.folders(), wanted, cure }.into());
    }
    let validates = data.iter().any(|one| one.manifest.counts(Split::Validate).records > 0);
    if recipe.train.validate_every > 0 && !validates {
        return Err(TrainError::NoValidationRecord { every: recipe.train.validate_every, data: recipe.folders() });
    }
    for one in data {
        let between = one.manifest.overlaps.iter().filter(|overlap| overlap.splits[0] != overlap.splits[1]);
        for overlap in between.filter(|overlap| overlap.count > overlap.removed) {
            note(&format!("{}: {}", one.source.source.name(), ptu_data::manifest::describe_overlap(overlap)));
        }
    }
    Ok(())
}

/// All values of a label with the number of records that have each, by the form in which names are compared.
#[derive(Default)]
struct LabelValues {
    /// For each value its first spelling.
    spellings: BTreeMap<String, String>,
    /// Names of all labels of the records.
    names: BTreeSet<String>,
    /// The first record with a value that says neither yes nor no, and the value.
    neither: Option<(String, String)>,
}

impl LabelValues {
    fn add(&mut self, record: &Record, label: &str) {
        for one in &record.labels {
            self.names.insert(one.name.clone());
            if name_key(&one.name) != name_key(label) {
                continue;
            }
            self.spellings.entry(name_key(&one.value).into_owned()).or_insert_with(|| one.value.trim().to_string());
            if self.neither.is_none() && LabelState::of(&one.value, LabelState::Ignore, LabelState::Ignore).is_none() {
                self.neither = Some((record.id.clone(), one.value.clone()));
            }
        }
    }

    /// The values of each of these labels, read in one pass over the records.
    fn read(labels: &[String], recipe: &Recipe, data: &[TrainingData]) -> Result<Vec<Self>, TrainError> {
        let mut all: Vec<Self> = labels.iter().map(|_| Self::default()).collect();
        for one in data {
            one.source.source.each_without_image(&mut |record| {
                all.iter_mut().zip(labels).for_each(|(values, label)| values.add(&record, label));
            })?;
        }
        let mut both = all.iter().zip(labels);
        if let Some((values, label)) = both.find(|(values, _)| values.spellings.is_empty()) {
            let names: Vec<String> = values.names.iter().take(20).map(|name| format!("`{name}`")).collect();
            let there = match names.as_slice() {
                [] => "the records have no labels".to_string(),
                names => format!("the records have {}", names.join(", ")),
            };
            return Err(TaskError::NoLabel { label: label.clone(), data: recipe.folders(), there }.into());
        }
        Ok(all)
    }

    /// The values, sorted.
    fn sorted(self) -> Vec<String> {
        let mut values: Vec<String> = self.spellings.into_values().collect();
        values.sort_unstable();
        values
    }
}

/// The classes of a label: its values in the training data, sorted.
fn classes(label: &str, recipe: &Recipe, data: &[TrainingData]) -> Result<TaskOutput, TrainError> {
    let values = LabelValues::read(&[label.to_string()], recipe, data)?;
    let classes: Vec<String> = values.into_iter().flat_map(LabelValues::sorted).collect();
    match classes.as_slice() {
        [class] => {
            let (label, class) = (label.to_string(), class.clone());
            Err(TaskError::OneClass { label, data: recipe.folders(), class }.into())
        }
        _ => Ok(TaskOutput::Classification { label: label.into(), classes }),
    }
}

/// The labels of multi-label classification.
fn labels(multilabel: &MultilabelRecipe, recipe: &Recipe, data: &[TrainingData]) -> Result<TaskOutput, TrainError> {
    let state = |policy: LabelPolicy| match policy {
        LabelPolicy::Positive => LabelState::Positive,
        LabelPolicy::Negative => LabelState::Negative,
        LabelPolicy::Ignore => LabelState::Ignore,
    };
    let unmentioned = state(multilabel.unmentioned);
    if let Some(label) = multilabel.uncertain.keys().find(|label| !multilabel.labels.contains(label)) {
        return Err(TaskError::UnknownPolicy { label: label.clone() }.into());
    }
    let mut labels = vec![];
    for (label, values) in multilabel.labels.iter().zip(LabelValues::read(&multilabel.labels, recipe, data)?) {
        let uncertain = state(multilabel.uncertain.get(label).copied().unwrap_or_default());
        match &values.neither {
            None => labels.push(BinaryLabel { label: label.clone(), value: None, uncertain }),
            Some(_) if multilabel.labels.len() == 1 => {
                let of = |value| BinaryLabel { label: label.clone(), value: Some(value), uncertain };
                labels.extend(values.sorted().into_iter().map(of));
            }
            Some((id, value)) => {
                let (label, id, value) = (label.clone(), id.clone(), value.clone());
                return Err(TaskError::NeitherYesNorNo { label, id, value }.into());
            }
        }
    }
    Ok(TaskOutput::Multilabel { labels, unmentioned })
}

/// The answer set: all answers of some splits in their normal form, sorted.
fn answers(splits: AnswerSplits, recipe: &Recipe, data: &[TrainingData]) -> Result<TaskOutput, TrainError> {
    let mut answers = BTreeSet::new();
    let mut add = |record: Record| {
        let normal = record.questions.iter().map(|question| normal_answer(&question.answer));
        answers.extend(normal.filter(|answer| !answer.is_empty()));
    };
    for one in data {
        one.source.source.each_without_image(&mut add)?;
    }
    let (more, collected_from): (&[Split], &str) = match splits {
        AnswerSplits::Train => (&[], "train"),
        AnswerSplits::Validate => (&[Split::Validate], "train and validate"),
        AnswerSplits::Published => (&[Split::Validate, Split::Test], "train, validate and test"),
    };
    for entry in &recipe.data {
        let manifest = Manifest::read(&entry.path)?;
        for split in more {
            if manifest.counts(*split).records > 0 {
                ShardFolder::open(&entry.path, *split)?.each_without_image(&mut add)?;
            } else if splits == AnswerSplits::Published && *split == Split::Test {
                return Err(TaskError::NoSplit { split: split.name(), path: entry.path.clone() }.into());
            }
        }
    }
    if answers.is_empty() {
        let cure = "prepare a data set with questions, or a table with columns `question` and `answer`";
        return Err(
            TaskError::NothingToRead { data: recipe.folders(), wanted: "a question with an answer", cure }.into()
        );
    }
    Ok(TaskOutput::Vqa { answers: answers.into_iter().collect(), collected_from: collected_from.into() })
}
