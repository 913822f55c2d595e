//! Checks before the first step whether every objective of a run will find something to learn from.
//!
//! The records of each batch depend only on the seed, the sizes of the sources and their weights ([`ptu_data::order`]). So the
//! batches are checked in the order in which the run will use them, until there is one for each objective that it can learn
//! from. Usually this is the first batch.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use ptu_data::collate::only_text;
use ptu_data::{Counts, Draw, Mixture, Record, Share, Split, TextUnit};
use ptu_train::TrainError;
use ptu_train::objective::ObjectiveKind;
use ptu_train::recipe::{Mixing, Recipe};
use ptu_train::task::TrainingData;

/// Maximal number of records that are read for the check.
const MAX_RECORDS: usize = 20_000;
/// Maximal number of draws that are checked.
const MAX_DRAWS: u64 = 2_000_000;

/// The properties of a record that decide which objectives can learn from it. Two pairs with the same image or the same text
/// cannot be negatives of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecordKind {
    /// An image with a text: the hash of the image's bytes, and the hash of the text. The latter is `None` if the
    /// training text is drawn anew each time from several possible texts.
    Pair(u64, Option<u64>),
    /// A text without an image.
    Text,
    /// An image without a text.
    Image,
    /// An empty record.
    Empty,
}

impl RecordKind {
    fn of(record: &Record, unit: TextUnit) -> Self {
        let text = record.texts.iter().any(|text| !text.trim().is_empty());
        match (&record.image, text) {
            (Some(image), true) => {
                let mut hasher = DefaultHasher::new();
                image.bytes.hash(&mut hasher);
                Self::Pair(hasher.finish(), only_text(&record.texts, unit))
            }
            (None, true) => Self::Text,
            (Some(_), false) => Self::Image,
            (None, false) => Self::Empty,
        }
    }
}

/// Refuses a run in which an objective would have nothing to learn from, or a source would not be used.
///
/// # Errors
/// When there is such an objective or source; the message names it, the cause, and what to change. When a record cannot be read.
pub(super) fn check(recipe: &Recipe, data: &[TrainingData], note: &mut dyn FnMut(&str)) -> Result<(), TrainError> {
    let run = PlannedRun::new(recipe, data)?;
    run.check_sources()?;
    for kind in &recipe.objectives {
        run.check_counts(*kind)?;
    }
    match run.check_batches()? {
        BatchCheck::AllLearn => Ok(()),
        BatchCheck::Never(kind, cause) => Err(run.learns_nothing(kind, cause, run.cure(kind))),
        BatchCheck::NotYet(kind, steps) => {
            note(&format!(
                "objective `{kind}` finds nothing to learn from in the first {steps} steps: {}; {}",
                run.cause(kind),
                run.cure(kind)
            ));
            Ok(())
        }
    }
}

/// The result of checking the batches of a run.
enum BatchCheck {
    /// Every objective can learn from at least one batch.
    AllLearn,
    /// This objective can learn from no batch of the whole run; the text is the cause.
    Never(ObjectiveKind, String),
    /// This objective can learn from none of the first batches; the number is that of the steps that were checked.
    NotYet(ObjectiveKind, u64),
}

/// A run before its first step: its recipe, its data, and the order in which records are drawn.
struct PlannedRun<'a> {
    recipe: &'a Recipe,
    data: &'a [TrainingData],
    mixture: Mixture,
}

impl<'a> PlannedRun<'a> {
    fn new(recipe: &'a Recipe, data: &'a [TrainingData]) -> Result<Self, TrainError> {
        let shares: Vec<Share> = data.iter().map(|one| one.source.share()).collect();
        let mixture = Mixture::new(recipe.seed, &shares, recipe.draws_in_a_row())?;
        Ok(Self { recipe, data, mixture })
    }

    /// Refuses a source from which the run would draw no record, because its share of all draws rounds to 0.
    fn check_sources(&self) -> Result<(), TrainError> {
        let train = &self.recipe.train;
        let drawn = self.mixture.counts(train.steps.saturating_mul(train.batch as u64));
        let Some(index) = drawn.iter().position(|count| *count == 0) else { return Ok(()) };
        let entry = &self.recipe.data[index];
        Err(TrainError::NeverDrawn {
            path: entry.path.clone(),
            cause: format!(
                "with {} records and weight {}, its share of {} steps of {} records rounds to 0",
                self.data[index].source.source.len(),
                entry.weight,
                train.steps,
                train.batch
            ),
        })
    }

    /// Sum of a count over the training records of all sources.
    fn sum(&self, of: fn(&Counts) -> u64) -> u64 {
        self.data.iter().map(|one| of(&one.manifest.counts(Split::Train))).sum()
    }

    /// Refuses an objective that cannot learn anything according to the recipe and the counts of the data. No record is read.
    fn check_counts(&self, kind: ObjectiveKind) -> Result<(), TrainError> {
        let train = &self.recipe.train;
        let [pairs, images, texts] =
            [|of: &Counts| of.pairs, |of: &Counts| of.images_only, |of: &Counts| of.texts_only].map(|of| self.sum(of));
        let nothing = |cause: String, cure: String| Err(self.learns_nothing(kind, cause, cure));
        let contents = format!(
            "split `train` contains {pairs} pairs, {images} images without a text and {texts} texts without an image"
        );
        let needs = match kind {
            ObjectiveKind::Mlm if pairs + texts == 0 => {
                return nothing(
                    format!("it predicts masked words of texts, but {contents}"),
                    "prepare the data with a column of texts".into(),
                );
            }
            ObjectiveKind::Mim if pairs + images == 0 => {
                return nothing(
                    format!("it predicts removed patches of images, but {contents}"),
                    "prepare the data with a column of images".into(),
                );
            }
            ObjectiveKind::MlmTextOnly | ObjectiveKind::MimImageOnly if pairs == 0 => {
                return nothing(
                    format!("it uses pairs without one of their sides, but {contents}"),
                    "add data with image-text pairs to `data`".into(),
                );
            }
            ObjectiveKind::Mlm | ObjectiveKind::MlmTextOnly | ObjectiveKind::Mim | ObjectiveKind::MimImageOnly => {
                return Ok(());
            }
            ObjectiveKind::Itc => "it compares an image with the texts of other pairs",
            ObjectiveKind::Itm => "it combines a text with the image of another pair",
        };
        if pairs < 2 {
            return nothing(format!("{needs}, but {contents}"), "add data with image-text pairs to `data`".into());
        }
        let cached = kind == ObjectiveKind::Itc && train.cached_contrast;
        match (train.batch / train.accumulate, train.accumulate) {
            (1, 1) => nothing(format!("{needs}, but `train.batch` is 1"), "raise `train.batch` to 2 or more".into()),
            (1, parts) if !cached => nothing(
                format!(
                    "{needs}, but `train.batch` ({}) divided by `train.accumulate` ({parts}) is one record at a time",
                    train.batch
                ),
                match kind {
                    ObjectiveKind::Itc => "lower `train.accumulate`, or set `train.cached_contrast = true`".into(),
                    _ => "lower `train.accumulate`".into(),
                },
            ),
            _ => Ok(()),
        }
    }

    /// Checks the batches of the run one after another, until each objective has found a batch that it can learn from.
    fn check_batches(&self) -> Result<BatchCheck, TrainError> {
        let batch = self.recipe.train.batch as u64;
        let mut lacking = self.recipe.objectives.clone();
        let all: usize = self.data.iter().map(|one| one.source.source.len()).sum();
        let mut known: HashMap<(usize, usize), RecordKind> = HashMap::new();
        for step in 0..self.recipe.train.steps {
            let before = known.len();
            let kinds: Vec<RecordKind> =
                (step * batch..(step + 1) * batch).map(|draw| self.kind(draw, &mut known)).collect::<Result<_, _>>()?;
            lacking.retain(|objective| !self.learns(*objective, &kinds));
            let Some(first) = lacking.first().copied() else { return Ok(BatchCheck::AllLearn) };
            if before < all && known.len() == all && !any_negatives(known.values()) {
                let of_pairs = lacking.iter().find(|kind| matches!(kind, ObjectiveKind::Itc | ObjectiveKind::Itm));
                if let Some(kind) = of_pairs {
                    return Ok(BatchCheck::Never(*kind, "all pairs have the same image or the same text".into()));
                }
            }
            if known.len() < all && known.len() >= MAX_RECORDS || (step + 1) * batch >= MAX_DRAWS {
                return Ok(BatchCheck::NotYet(first, step + 1));
            }
        }
        Ok(BatchCheck::Never(lacking[0], self.cause(lacking[0])))
    }

    /// The kind of the record of a draw; `known` contains the kinds of the records that were already read.
    fn kind(&self, draw: u64, known: &mut HashMap<(usize, usize), RecordKind>) -> Result<RecordKind, TrainError> {
        let Draw { source, record, .. } = self.mixture.draw(draw);
        if let Some(kind) = known.get(&(source, record)) {
            return Ok(*kind);
        }
        let kind = RecordKind::of(&self.data[source].source.source.get(record)?, self.recipe.text.unit);
        known.insert((source, record), kind);
        Ok(kind)
    }

    /// Whether an objective can learn from a batch.
    fn learns(&self, kind: ObjectiveKind, batch: &[RecordKind]) -> bool {
        match kind {
            ObjectiveKind::Mlm => batch.iter().any(|kind| matches!(kind, RecordKind::Pair(..) | RecordKind::Text)),
            ObjectiveKind::Mim => batch.iter().any(|kind| matches!(kind, RecordKind::Pair(..) | RecordKind::Image)),
            ObjectiveKind::MlmTextOnly | ObjectiveKind::MimImageOnly => {
                batch.iter().any(|kind| matches!(kind, RecordKind::Pair(..)))
            }
            ObjectiveKind::Itc | ObjectiveKind::Itm => batch.chunks(self.records_at_a_time(kind)).any(any_negatives),
        }
    }

    /// Number of records that an objective compares with each other: those of the batch or of the micro-batch.
    fn records_at_a_time(&self, kind: ObjectiveKind) -> usize {
        let train = &self.recipe.train;
        match kind == ObjectiveKind::Itc && train.cached_contrast {
            true => train.batch,
            false => train.batch / train.accumulate,
        }
    }

    /// The error for an objective that has nothing to learn from.
    fn learns_nothing(&self, kind: ObjectiveKind, cause: String, cure: String) -> TrainError {
        let others = self.recipe.objectives.len() > 1;
        let remove = if others { format!(", or remove `{kind}` from `objectives`") } else { String::new() };
        TrainError::LearnsNothing { objective: kind, cause, cure: cure + &remove }
    }

    /// The reason why no batch was found that the objective can learn from, although the counts of the data allow it.
    fn cause(&self, kind: ObjectiveKind) -> String {
        let records = self.sum(|counts| counts.records);
        let [pairs, images, texts] =
            [|of: &Counts| of.pairs, |of: &Counts| of.images_only, |of: &Counts| of.texts_only].map(|of| self.sum(of));
        match kind {
            ObjectiveKind::Mlm => format!("no batch contains a text ({} of {records} records have one)", pairs + texts),
            ObjectiveKind::Mim => {
                format!("no batch contains an image ({} of {records} records have one)", pairs + images)
            }
            ObjectiveKind::MlmTextOnly | ObjectiveKind::MimImageOnly => {
                format!("no batch contains a pair ({pairs} of {records} records are pairs)")
            }
            ObjectiveKind::Itc | ObjectiveKind::Itm => format!(
                "no batch contains, among the {} records that are compared at a time, two pairs with different images and \
                 different texts ({pairs} of {records} records are pairs)",
                self.records_at_a_time(kind)
            ),
        }
    }

    /// What the user can change so that the objective finds something to learn from.
    fn cure(&self, kind: ObjectiveKind) -> String {
        match kind {
            ObjectiveKind::Mlm => return "raise `train.batch`, or add data with texts to `data`".into(),
            ObjectiveKind::Mim => return "raise `train.batch`, or add data with images to `data`".into(),
            ObjectiveKind::MlmTextOnly | ObjectiveKind::MimImageOnly => {
                return "raise `train.batch`, or add data with image-text pairs to `data`".into();
            }
            ObjectiveKind::Itc | ObjectiveKind::Itm => {}
        }
        let mut cures = vec!["add pairs with other images and other texts", "raise `train.batch`"];
        if self.data.len() > 1 {
            cures.push("raise the weight of a source that has pairs");
            if self.recipe.train.mixing == Mixing::Records {
                cures.push("set `train.mixing = \"batches\"`");
            }
        }
        if self.recipe.train.accumulate > 1 {
            cures.push("lower `train.accumulate`");
        }
        cures.join(", or ")
    }
}

/// Whether there are two pairs among these records that differ in image and in text, so that they can be negatives of each other.
///
/// It is enough to check whether not all images are equal and not all texts are equal. For if every two of the pairs had the
/// same image or the same text, then all would have the same image or all the same text: when a and b have different images (so
/// the same text), a pair c with another text would need the same image as both a and b, which is not possible.
fn any_negatives<'a>(kinds: impl IntoIterator<Item = &'a RecordKind>) -> bool {
    let (mut first, mut images, mut texts) = (None, false, false);
    for kind in kinds {
        if let RecordKind::Pair(image, text) = *kind {
            let (first_image, first_text) = *first.get_or_insert((image, text));
            images |= image != first_image;
            texts |= text.is_none() || text != first_text;
        }
    }
    images && texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_with_the_same_image_or_text_are_not_negatives() {
        let pair = |image, text| RecordKind::Pair(image, Some(text));
        for (kinds, expected) in [
            (vec![], false),
            (vec![pair(1, 1)], false),
            (vec![pair(1, 1), pair(1, 1)], false),
            (vec![pair(1, 1), RecordKind::Text, RecordKind::Empty, pair(2, 1)], false),
            (vec![pair(1, 1), pair(1, 2), pair(1, 3)], false),
            (vec![pair(1, 1), pair(2, 2)], true),
            // The second and the third pair can be negatives of each other, although neither can be a negative of the first.
            (vec![pair(1, 1), pair(1, 2), pair(2, 1)], true),
            // The text is drawn anew each time.
            (vec![RecordKind::Pair(1, None), RecordKind::Pair(2, None)], true),
            (vec![RecordKind::Pair(1, None), RecordKind::Pair(1, None)], false),
        ] {
            assert_eq!(any_negatives(&kinds), expected, "{kinds:?}");
        }
    }
}
