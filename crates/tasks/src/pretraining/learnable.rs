//! Whether every objective of a run finds something to learn from, told before the first step.
//!
//! Which records stand in which batch follows from seed, sizes and weights ([`ptu_data::order`]), so the batches are gone
//! through as the run will go through them, until each objective has found one that it can learn from. Usually that is the first.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use ptu_data::collate::only_text;
use ptu_data::{Counts, Draw, Mixture, Record, Share, Split, TextUnit};
use ptu_train::TrainError;
use ptu_train::objective::ObjectiveKind;
use ptu_train::recipe::{Mixing, Recipe};
use ptu_train::task::TrainingData;

/// Records that are read for it, at most.
const READ: usize = 20_000;
/// Draws that are gone through, at most.
const DRAWS: u64 = 2_000_000;

/// What of a record decides who can learn from it. Pairs with the same image or the same text are no negatives of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Hash of the image's bytes, and of the text where it is always the same.
    Pair(u64, Option<u64>),
    Text,
    /// An image alone, or nothing.
    Other,
}

impl Kind {
    fn of(record: &Record, unit: TextUnit) -> Self {
        let text = record.texts.iter().any(|text| !text.trim().is_empty());
        match (&record.image, text) {
            (Some(image), true) => {
                let mut hasher = DefaultHasher::new();
                image.bytes.hash(&mut hasher);
                Self::Pair(hasher.finish(), only_text(&record.texts, unit))
            }
            (None, true) => Self::Text,
            (_, false) => Self::Other,
        }
    }
}

/// Refuses a run of which an objective, or a source, would be no part.
///
/// # Errors
/// The objective or source, the cause, and what to change; a record that cannot be read.
pub(super) fn check(recipe: &Recipe, data: &[TrainingData], note: &mut dyn FnMut(&str)) -> Result<(), TrainError> {
    let run = Run::new(recipe, data)?;
    run.every_source_is_drawn()?;
    for kind in &recipe.objectives {
        run.certainly_nothing(*kind)?;
    }
    match run.look()? {
        Looked::All => Ok(()),
        Looked::Nothing(kind, cause) => Err(run.nothing(kind, cause, run.cure(kind))),
        Looked::Rare(kind, steps) => {
            note(&format!(
                "objective `{kind}` finds nothing to learn from in the first {steps} steps: {}; {}",
                run.rare(kind),
                run.cure(kind)
            ));
            Ok(())
        }
    }
}

/// What was seen of a run's batches.
enum Looked {
    /// Every objective finds something.
    All,
    /// One finds nothing in the whole run, for this cause.
    Nothing(ObjectiveKind, String),
    /// One finds nothing in so many steps.
    Rare(ObjectiveKind, u64),
}

struct Run<'a> {
    recipe: &'a Recipe,
    data: &'a [TrainingData],
    mixture: Mixture,
}

impl<'a> Run<'a> {
    fn new(recipe: &'a Recipe, data: &'a [TrainingData]) -> Result<Self, TrainError> {
        let shares: Vec<Share> = data.iter().map(|one| one.source.share()).collect();
        let mixture = Mixture::new(recipe.seed, &shares, recipe.draws_in_a_row())?;
        Ok(Self { recipe, data, mixture })
    }

    /// A source whose share of all draws rounds to none.
    fn every_source_is_drawn(&self) -> Result<(), TrainError> {
        let train = &self.recipe.train;
        let drawn = self.mixture.counts(train.steps.saturating_mul(train.batch as u64));
        let Some(place) = drawn.iter().position(|count| *count == 0) else { return Ok(()) };
        let entry = &self.recipe.data[place];
        Err(TrainError::NeverDrawn {
            path: entry.path.clone(),
            cause: format!(
                "with {} records and weight {} its share of {} steps of {} records rounds to none",
                self.data[place].source.source.len(),
                entry.weight,
                train.steps,
                train.batch
            ),
        })
    }

    fn sum(&self, of: fn(&Counts) -> u64) -> u64 {
        self.data.iter().map(|one| of(&one.manifest.counts(Split::Train))).sum()
    }

    /// What the recipe and the counts of the data tell without a look at records.
    fn certainly_nothing(&self, kind: ObjectiveKind) -> Result<(), TrainError> {
        let train = &self.recipe.train;
        let [pairs, images, texts] =
            [|of: &Counts| of.pairs, |of: &Counts| of.images_only, |of: &Counts| of.texts_only].map(|of| self.sum(of));
        let nothing = |cause: String, cure: String| Err(self.nothing(kind, cause, cure));
        let held =
            format!("the data hold {pairs} pairs, {images} images alone and {texts} texts alone in split `train`");
        let needs = match kind {
            ObjectiveKind::Mlm if pairs + texts == 0 => {
                return nothing(
                    format!("it guesses words of texts, and {held}"),
                    "prepare the data with a column of texts".into(),
                );
            }
            ObjectiveKind::Mlm => return Ok(()),
            ObjectiveKind::Itc => "it compares an image with the texts of other pairs",
            ObjectiveKind::Itm => "it shows a text with the image of another pair",
        };
        if pairs < 2 {
            return nothing(
                format!("{needs}, and {held}"),
                "add data that have both an image and a text to `data`".into(),
            );
        }
        let cached = kind == ObjectiveKind::Itc && train.cached_contrast;
        match (train.batch / train.accumulate, train.accumulate) {
            (1, 1) => nothing(format!("{needs}, and `train.batch` is 1"), "raise `train.batch` to 2 or more".into()),
            (1, parts) if !cached => nothing(
                format!(
                    "{needs}, and `train.batch` {} in `train.accumulate` {parts} parts is one record at a time",
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

    /// Goes through the batches of the run until every objective has found one that it can learn from.
    fn look(&self) -> Result<Looked, TrainError> {
        let batch = self.recipe.train.batch as u64;
        let mut lacking = self.recipe.objectives.clone();
        let all: usize = self.data.iter().map(|one| one.source.source.len()).sum();
        let mut known: HashMap<(usize, usize), Kind> = HashMap::new();
        for step in 0..self.recipe.train.steps {
            let before = known.len();
            let kinds: Vec<Kind> =
                (step * batch..(step + 1) * batch).map(|draw| self.kind(draw, &mut known)).collect::<Result<_, _>>()?;
            lacking.retain(|objective| !self.learns(*objective, &kinds));
            let Some(first) = lacking.first().copied() else { return Ok(Looked::All) };
            if before < all && known.len() == all && !differing(known.values()) {
                let of_pairs = lacking.iter().find(|kind| **kind != ObjectiveKind::Mlm);
                if let Some(kind) = of_pairs {
                    return Ok(Looked::Nothing(*kind, "all pairs share one image or one text".into()));
                }
            }
            if known.len() < all && known.len() >= READ || (step + 1) * batch >= DRAWS {
                return Ok(Looked::Rare(first, step + 1));
            }
        }
        Ok(Looked::Nothing(lacking[0], self.rare(lacking[0])))
    }

    fn kind(&self, draw: u64, known: &mut HashMap<(usize, usize), Kind>) -> Result<Kind, TrainError> {
        let Draw { source, record, .. } = self.mixture.draw(draw);
        if let Some(kind) = known.get(&(source, record)) {
            return Ok(*kind);
        }
        let kind = Kind::of(&self.data[source].source.source.get(record)?, self.recipe.text.unit);
        known.insert((source, record), kind);
        Ok(kind)
    }

    /// Whether an objective finds something in a batch.
    fn learns(&self, kind: ObjectiveKind, batch: &[Kind]) -> bool {
        match kind {
            ObjectiveKind::Mlm => batch.iter().any(|kind| *kind != Kind::Other),
            ObjectiveKind::Itc | ObjectiveKind::Itm => batch.chunks(self.at_a_time(kind)).any(differing),
        }
    }

    /// Records that an objective sees at a time.
    fn at_a_time(&self, kind: ObjectiveKind) -> usize {
        let train = &self.recipe.train;
        match kind == ObjectiveKind::Itc && train.cached_contrast {
            true => train.batch,
            false => train.batch / train.accumulate,
        }
    }

    fn nothing(&self, kind: ObjectiveKind, cause: String, cure: String) -> TrainError {
        let others = self.recipe.objectives.len() > 1;
        let leave = if others { format!(", or leave `{kind}` out of `objectives`") } else { String::new() };
        TrainError::LearnsNothing { objective: kind, cause, cure: cure + &leave }
    }

    /// Why nothing is found although the counts of the data allow it.
    fn rare(&self, kind: ObjectiveKind) -> String {
        let records = self.sum(|counts| counts.records);
        let [pairs, texts] = [|of: &Counts| of.pairs, |of: &Counts| of.texts_only].map(|of| self.sum(of));
        match kind {
            ObjectiveKind::Mlm => format!("no batch holds a text ({} of {records} records have one)", pairs + texts),
            ObjectiveKind::Itc | ObjectiveKind::Itm => format!(
                "no batch holds, among the {} records that it sees at a time, two pairs that differ in image and text ({pairs} of \
                 {records} records are pairs)",
                self.at_a_time(kind)
            ),
        }
    }

    fn cure(&self, kind: ObjectiveKind) -> String {
        if kind == ObjectiveKind::Mlm {
            return "raise `train.batch`, or add data that have texts to `data`".into();
        }
        let mut cures = vec!["add pairs of other images with other texts", "raise `train.batch`"];
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

/// Whether two of these are pairs that are false for each other.
///
/// If any two of several share their image or their text, then all share one image or all share one text: of a and b with
/// another image (so the same text) and c with another text, c would have to share its image with both.
fn differing<'a>(kinds: impl IntoIterator<Item = &'a Kind>) -> bool {
    let (mut first, mut images, mut texts) = (None, false, false);
    for kind in kinds {
        if let Kind::Pair(image, text) = *kind {
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
    fn pairs_of_one_image_or_of_one_text_do_not_differ() {
        let pair = |image, text| Kind::Pair(image, Some(text));
        for (kinds, differ) in [
            (vec![], false),
            (vec![pair(1, 1)], false),
            (vec![pair(1, 1), pair(1, 1)], false),
            (vec![pair(1, 1), Kind::Text, Kind::Other, pair(2, 1)], false),
            (vec![pair(1, 1), pair(1, 2), pair(1, 3)], false),
            (vec![pair(1, 1), pair(2, 2)], true),
            // Neither differs from the first, but they do from each other.
            (vec![pair(1, 1), pair(1, 2), pair(2, 1)], true),
            // A text that is drawn anew each time.
            (vec![Kind::Pair(1, None), Kind::Pair(2, None)], true),
            (vec![Kind::Pair(1, None), Kind::Pair(1, None)], false),
        ] {
            assert_eq!(differing(&kinds), differ, "{kinds:?}");
        }
    }
}
