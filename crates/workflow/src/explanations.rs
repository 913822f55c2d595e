//! Checks whether the explanations of a model say something about it, on records that it has not learned from.
//!
//! - *Deletion*: without the tenth of the patches that is worth most, the score falls more than without a random tenth.
//! - *Random weights*: the maps are others than those of the same network with random weights.
//! - *Pointing*, on the phantom corpus, where the region of each finding is known: the patch that is worth most lies in it, more often than
//!   the centre of the picture, and than the one patch that lies in most regions of the training records.

mod regions;

use std::path::PathBuf;
use std::sync::Arc;

use ptu_data::collate::Origin;
use ptu_data::{Example, InputForm, Preparation, ShardFolder, Source, Split, TextChoice, TextUnit, ViewedSource};
use ptu_evaluate::{EvaluateOptions, Score};
use ptu_explain::{Checked, Checker, ExplainError, Explainer, Goal, Method};
use ptu_infer::preparation;
use ptu_infer::task::{Target, TaskDescription, TaskOutput};
use ptu_input::Input;
use ptu_metrics::{Resampling, bootstrap_mean, bootstrap_mean_difference, mean, spearman};
use ptu_model::{Bundle, Model};
use ptu_random::{Key, Place};
use serde::Serialize;

use crate::WorkflowError;
use regions::Regions;

/// Number of records that are checked at a time.
const CHUNK: usize = 8;
/// Added to the seed of an evaluation for the random weights.
const RANDOM_WEIGHTS: u64 = 1_000_003;

/// What is checked.
#[derive(Clone, Debug)]
pub struct ExplanationCheckOptions {
    /// A run folder or a bundle.
    pub model: PathBuf,
    /// Folders of shards; empty for those of the run's recipe.
    pub data: Vec<PathBuf>,
    /// The split.
    pub split: Split,
    /// Largest number of records.
    pub records: usize,
    /// The methods.
    pub methods: Vec<Method>,
}

/// The checks of one method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplanationCheck {
    /// The method.
    pub method: &'static str,
    /// Number of records.
    pub records: usize,
    /// What the score loses without the tenth of the patches that is worth most.
    pub deletion: Score,
    /// What it loses without a random tenth.
    pub random_deletion: Score,
    /// The difference of both on the same records.
    pub deletion_difference: Score,
    /// Spearman's correlation of the map with that of random weights.
    pub random_weights: Score,
    /// Whether maps point to findings; `None` if no region is known.
    pub pointing: Option<Pointing>,
}

/// A map that correlates less than this with that of random weights depends on the weights.
const ALIKE: f64 = 0.3;

impl ExplanationCheck {
    /// What the checks say, in one sentence.
    pub fn verdict(&self) -> String {
        let is_above = |score: &Score, limit: f64| score.low.is_some_and(|low| low > limit);
        let is_below = |score: &Score, limit: f64| score.high.is_some_and(|high| high < limit);
        let deletion = match &self.deletion_difference {
            difference if is_above(difference, 0.0) => "marks what the score depends on",
            difference if is_below(difference, 0.0) => "marks what matters less than random patches",
            _ => "is not shown to mark what the score depends on",
        };
        let weights = match &self.random_weights {
            correlation if is_below(correlation, ALIKE) => "depends on the weights",
            correlation if is_above(correlation, ALIKE) => "hardly depends on the weights",
            _ => "is not shown to depend on the weights",
        };
        let pointing = self.pointing.as_ref().map_or("", |pointing| {
            match [&pointing.centre_difference, &pointing.fixed_difference].iter().all(|score| is_above(score, 0.0)) {
                true => ", and points to findings more often than fixed places do",
                false => ", and is not shown to point to findings more often than a fixed place",
            }
        });
        format!("it {deletion}, {weights}{pointing}")
    }
}

/// How often a patch lies in the region of the finding, on records whose finding is predicted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pointing {
    /// Number of records.
    pub records: usize,
    /// The patch that is worth most.
    pub most: Score,
    /// The patches in the centre of the picture.
    pub centre: Score,
    /// The difference of both.
    pub centre_difference: Score,
    /// The one patch that lies in most regions of the training records.
    pub fixed: Score,
    /// The difference to it.
    pub fixed_difference: Score,
}

/// A record that is checked.
struct Case {
    patient: String,
    input: Input,
    goal: Goal,
    /// For each patch, whether it has a pixel of the finding; `None` if this is not known, or the prediction is wrong.
    region: Option<Vec<bool>>,
}

/// Checks the explanations of a model. `done` receives the progress: what is done, how many of how many.
///
/// # Errors
/// When the model or its data cannot be read, or when no record has an image and a score.
pub fn check_explanations(
    options: &ExplanationCheckOptions,
    done: &mut dyn FnMut(&str, usize, usize),
) -> Result<Vec<ExplanationCheck>, WorkflowError> {
    let device = ptu_explain::device();
    let of = EvaluateOptions::of(&options.model, options.data.clone(), options.split, device)?;
    let explainer = Explainer::open(&of.bundle)?;
    let key = Key::new(of.seed);
    let bundle = &explainer.bundle;
    let weights = Key::new(of.seed.wrapping_add(RANDOM_WEIGHTS));
    let model = Model::new(bundle.model.config(), weights, &ptu_explain::device())?;
    let randomised = Explainer::new(Bundle { model, ..bundle.clone() }, explainer.task.clone());
    let checker = Checker { explainer: &explainer, randomised: &randomised, key };
    if let Some(task) = &explainer.task {
        let cause = match (&task.output, task.input) {
            (TaskOutput::Report(_) | TaskOutput::Summary(_), _) => {
                Some("it writes texts, whose scores are not explained")
            }
            (_, InputForm::Text | InputForm::Sentences) => {
                Some("it reads texts alone, and maps over images are checked")
            }
            _ => None,
        };
        if let Some(cause) = cause {
            return Err(ExplainError::Goal(format!("`{}` cannot be checked: {cause}", options.model.display())).into());
        }
    }
    let (cases, fixed) = cases(&explainer, &of, options.records)?;
    if cases.is_empty() {
        return Err(ExplainError::Goal(format!(
            "no record of the {} split has what is explained: an image, and the label, question or text that the model is about",
            options.split
        ))
        .into());
    }
    let (mut found, all) = (vec![], cases.len() * options.methods.len());
    for method in &options.methods {
        let (mut checked, before) = (vec![], found.len() * cases.len());
        for (number, chunk) in cases.chunks(CHUNK).enumerate() {
            done(method.name(), before + number * CHUNK, all);
            let inputs: Vec<Input> = chunk.iter().map(|case| case.input.clone()).collect();
            let goals: Vec<Goal> = chunk.iter().map(|case| case.goal).collect();
            checked.extend(checker.check(&inputs, &goals, *method, number * CHUNK)?);
        }
        done(method.name(), before + cases.len(), all);
        found.push(summary(method.name(), (&cases, &checked), fixed, &Resampling::new(key)));
    }
    Ok(found)
}

/// The records to check, and the patch that lies in most regions of the training records, if regions are known.
fn cases(
    explainer: &Explainer,
    options: &EvaluateOptions,
    most: usize,
) -> Result<(Vec<Case>, Option<usize>), WorkflowError> {
    let (mut cases, mut fixed) = (vec![], None);
    let share = most.div_ceil(options.data.len().max(1));
    for folder in &options.data {
        let shards = ShardFolder::open(folder, options.split)?;
        let regions = Regions::of(&shards, explainer.bundle.model.config())?;
        if let Some(regions) = &regions {
            fixed = fixed.or(regions.most_frequent(folder)?);
        }
        let source = viewed(Arc::new(shards), explainer.task.as_ref())?;
        let preparation = preparation_of(explainer);
        let mut order: Vec<usize> = (0..source.len()).collect();
        Key::new(options.seed).stream(Place::Sample, 7).shuffle(&mut order);
        let before = cases.len();
        for position in order {
            if cases.len() - before == share {
                break;
            }
            let origin = Origin { source: 0, name: source.name(), position };
            let example = preparation.evaluate(source.get(position)?, origin, TextChoice::First, None)?;
            let Some(example) = example.filter(|example| is_explained(&example.input, explainer.task.as_ref())) else {
                continue;
            };
            cases.push(case(explainer, example, regions.as_ref())?);
        }
    }
    Ok((cases, fixed))
}

/// Whether an input has an image, and a text if the score compares both.
fn is_explained(input: &Input, task: Option<&TaskDescription>) -> bool {
    match task.map(|task| &task.output) {
        None | Some(TaskOutput::Retrieval { .. }) => matches!(input, Input::Pair { .. }),
        Some(_) => input.image().is_some(),
    }
}

/// The records as the task reads them.
fn viewed(source: Arc<dyn Source>, task: Option<&TaskDescription>) -> Result<ViewedSource, WorkflowError> {
    // Retrieval has no right output of a record: its pairs are explained.
    let task = task.filter(|task| !matches!(task.output, TaskOutput::Retrieval { .. }));
    let view = match task {
        Some(task) => task.view(),
        None => InputForm::Available.into(),
    };
    let mut is_used = |record: &ptu_data::Record| task.is_none_or(|task| task.output.target(record).is_some());
    Ok(ViewedSource::new(source, view, &mut is_used)?)
}

fn preparation_of(explainer: &Explainer) -> Preparation {
    match &explainer.task {
        Some(task) => task.preparation(&explainer.bundle),
        None => Preparation { unit: TextUnit::Text, ..preparation(&explainer.bundle) },
    }
}

fn case(explainer: &Explainer, example: Example, regions: Option<&Regions>) -> Result<Case, WorkflowError> {
    let Example { record, input, .. } = example;
    let goal = explainer.goal(&input)?;
    let is_right = match (&explainer.task, goal) {
        (Some(task), Goal::Output(class)) => task.output.target(&record) == Some(Target::Class(class)),
        _ => true,
    };
    let region = regions.filter(|_| is_right).and_then(|regions| regions.patches(&record.id));
    Ok(Case { patient: record.patient, input, goal, region })
}

/// Scores with intervals by patient.
fn summary(
    method: &'static str,
    (cases, checked): (&[Case], &[Checked]),
    fixed: Option<usize>,
    resampling: &Resampling,
) -> ExplanationCheck {
    let patients: Vec<&str> = cases.iter().map(|case| case.patient.as_str()).collect();
    let of = |value: &dyn Fn(&Checked) -> Option<f64>| -> Vec<Option<f64>> { checked.iter().map(value).collect() };
    let score = |values: &[Option<f64>], chance: Option<f64>| {
        Score::new(mean(values.iter().copied()), bootstrap_mean(values, &patients, resampling), chance)
    };
    let difference = |one: &[Option<f64>], other: &[Option<f64>]| {
        let value = mean(one.iter().zip(other).map(|(one, other)| Some((*one)? - (*other)?)));
        Score::new(value, bootstrap_mean_difference(one, other, &patients, resampling), Some(0.0))
    };
    let deletion = of(&|one| Some(f64::from(one.deletion)));
    let random = of(&|one| Some(f64::from(one.random_deletion)));
    let doubles = |values: &[f32]| -> Vec<f64> { values.iter().map(|value| f64::from(*value)).collect() };
    let alike = of(&|one| spearman(&doubles(&one.patches), &doubles(&one.random_weights)));
    let hit = |patch: &dyn Fn(&Checked, &[bool]) -> f64| -> Vec<Option<f64>> {
        let pairs = cases.iter().zip(checked);
        pairs.map(|(case, one)| case.region.as_ref().map(|region| patch(one, region))).collect()
    };
    let inside = |is_inside: bool| f64::from(u8::from(is_inside));
    let most = hit(&|one, region| inside(region[best(&one.patches)]));
    let pointing = most.iter().any(Option::is_some).then(|| {
        let centre = hit(&|_, region| {
            let places = regions::centre(region.len());
            places.iter().map(|place| inside(region[*place])).sum::<f64>() / places.len() as f64
        });
        let fixed = hit(&|_, region| fixed.map_or(0.0, |place| inside(region[place])));
        Pointing {
            records: most.iter().flatten().count(),
            most: score(&most, None),
            centre: score(&centre, None),
            centre_difference: difference(&most, &centre),
            fixed: score(&fixed, None),
            fixed_difference: difference(&most, &fixed),
        }
    });
    ExplanationCheck {
        method,
        records: cases.len(),
        deletion: score(&deletion, None),
        random_deletion: score(&random, None),
        deletion_difference: difference(&deletion, &random),
        random_weights: score(&alike, Some(0.0)),
        pointing,
    }
}

/// The patch that is worth most.
fn best(patches: &[f32]) -> usize {
    patches.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1)).map_or(0, |(place, _)| place)
}
