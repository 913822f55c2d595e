//! Checks the values of a recipe against their valid ranges.

use std::collections::BTreeSet;
use std::path::Path;

use ptu_data::InputForm;
use ptu_input::Preprocess;
use ptu_model::{HeadKind, ModelError, Outputs};

use super::{PartnerChoice, Recipe, TaskRecipe};
use crate::RecipeError;
use crate::objective::ObjectiveKind;

/// Largest number of false texts of an image, and of validation pairs that are ranked with each other.
const LARGEST_COUNT: usize = 10_000;

impl Recipe {
    /// Checks every value that can be checked without the data and without the machine.
    pub(super) fn check(&self, path: &Path) -> Result<(), RecipeError> {
        let ensure = |holds: bool, key: &str, cause: String| {
            if holds { Ok(()) } else { Err(RecipeError::Value { path: path.into(), key: key.into(), cause }) }
        };
        let (train, optimizer) = (&self.train, &self.optimizer);
        ensure(!self.data.is_empty(), "data", "is empty; name at least one folder of shards".into())?;
        for entry in &self.data {
            let weight = entry.weight;
            ensure(
                weight > 0.0 && weight.is_finite(),
                "data",
                format!("gives `{}` the weight {weight}; it must be above 0", entry.path.display()),
            )?;
        }
        self.check_objectives(path)?;
        self.check_counts(path)?;
        ensure(
            !train.cached_contrast || (train.accumulate > 1 && self.objectives.contains(&ObjectiveKind::Itc)),
            "train.cached_contrast",
            "needs the objective `itc` and a `train.accumulate` above 1; otherwise remove this key".into(),
        )?;
        for (key, share) in [("train.patch_keep", train.patch_keep), ("text.word_keep", self.text.word_keep)] {
            ensure(share > 0.0 && share <= 1.0, key, format!("is {share}; it must be above 0 and at most 1"))?;
        }
        for (key, value, most) in [
            ("train.warmup", train.warmup, 1.0),
            ("model.dropout", self.model.dropout, 0.999),
            ("optimizer.learning_rate", optimizer.learning_rate, 10.0),
            ("optimizer.fusion", optimizer.fusion, 1e4),
            ("optimizer.head", optimizer.head, 1e4),
            ("optimizer.weight_decay", optimizer.weight_decay, 10.0),
        ] {
            ensure((0.0..=most).contains(&value), key, format!("is {value}; it must lie between 0 and {most}"))?;
        }
        self.check_finetuning(path)?;
        self.check_init(path)?;
        self.check_rates(path)?;
        self.check_optimizer(path)?;
        // Whether a list of transforms is valid does not depend on the size of the image, so any size can be used here.
        let transforms = Preprocess::new(1, self.fit, self.augment).side();
        ensure(
            transforms.is_ok(),
            "augment",
            transforms.err().map_or(String::new(), |error| format!("is not valid: {error}")),
        )?;
        // The sizes do not depend on the vocabulary and the special tokens. Placeholders are used for these, so that wrong sizes
        // are found now and not only after the data was read.
        let placeholder = self.model.preset.config(self.model.style, self.text.vocabulary, [0, 2, 1]);
        let models_images = self.objectives.iter().any(|kind| kind.head() == HeadKind::Mim);
        let heads: &[HeadKind] = if self.task.is_pretraining() && (models_images || !self.model.mim.is_empty()) {
            &[HeadKind::Mim]
        } else {
            &[]
        };
        let is_started = self.finetune.model.is_some() || !self.model.init.is_random();
        match is_started {
            // The model from which training starts gives the other sizes.
            true => self.with_differences(placeholder, heads, Outputs::default())?,
            false => self.config_with(placeholder, heads, Outputs::default())?,
        };
        Ok(())
    }

    /// Checks the values that are whole numbers.
    fn check_counts(&self, path: &Path) -> Result<(), RecipeError> {
        let ensure = |holds: bool, key: &str, cause: String| {
            if holds { Ok(()) } else { Err(RecipeError::Value { path: path.into(), key: key.into(), cause }) }
        };
        let train = &self.train;
        for (key, value, least, most) in [
            ("train.steps", train.steps, 1, 1 << 40),
            ("train.batch", train.batch as u64, 1, 1 << 20),
            ("train.accumulate", train.accumulate as u64, 1, 1 << 20),
            ("train.save_every", train.save_every, 1, u64::MAX),
            ("train.save_every_seconds", train.save_every_seconds, 1, u64::MAX),
            ("train.log_every", train.log_every, 1, u64::MAX),
            ("train.workers", train.workers as u64, 1, 256),
            ("train.bad_steps", train.bad_steps, 1, u64::MAX),
            ("text.max_tokens", self.text.max_tokens as u64, 3, 100_000),
            ("text.vocabulary", self.text.vocabulary as u64, 300, 1_000_000),
            ("evaluate.gallery", self.evaluate.gallery as u64, 2, 1_000_000),
        ] {
            ensure(
                (least..=most).contains(&value),
                key,
                format!("is {value}; it must be at least {least} and at most {most}"),
            )?;
        }
        ensure(
            train.batch.is_multiple_of(train.accumulate),
            "train.accumulate",
            format!("is {}; it must divide train.batch, {}", train.accumulate, train.batch),
        )
    }

    /// Checks from which weights the model starts, and which of them are frozen at first.
    fn check_init(&self, path: &Path) -> Result<(), RecipeError> {
        let wrong = |key: &str, cause: &str| {
            Err(RecipeError::Value { path: path.into(), key: key.into(), cause: cause.to_string() })
        };
        let init = &self.model.init;
        if self.finetune.model.is_some() && !init.is_random() {
            return wrong(
                "model.init",
                "says from which weights training starts, and so does `finetune.model`; remove one of them",
            );
        }
        if init.model.is_some() && (init.image.is_some() || init.text.is_some()) {
            return wrong(
                "model.init.model",
                "is a whole model; remove it, or `model.init.image` and `model.init.text`",
            );
        }
        if init.mean.is_some() != init.std.is_some() || (init.mean.is_some() && init.image.is_none()) {
            return wrong("model.init.mean", "and `model.init.std` belong to `model.init.image`; write all three");
        }
        match self.train.freeze_steps {
            Some(0) => wrong("train.freeze_steps", "is 0, so nothing is frozen; remove it and `train.freeze`"),
            Some(_) if self.train.freeze.is_empty() => {
                wrong("train.freeze_steps", "needs `train.freeze`, the weights that are frozen")
            }
            _ if self.train.freeze.is_empty() && !self.train.freeze_except.is_empty() => {
                wrong("train.freeze_except", "needs `train.freeze`, of which it names exceptions")
            }
            _ => Ok(()),
        }
    }

    /// Checks the values of the optimizer.
    fn check_optimizer(&self, path: &Path) -> Result<(), RecipeError> {
        let ensure = |holds: bool, key: &str, cause: String| {
            if holds { Ok(()) } else { Err(RecipeError::Value { path: path.into(), key: key.into(), cause }) }
        };
        let optimizer = &self.optimizer;
        ensure(
            optimizer.betas.iter().all(|beta| (0.0..1.0).contains(beta)),
            "optimizer.betas",
            format!("are {:?}; each must be at least 0 and below 1", optimizer.betas),
        )?;
        ensure(
            optimizer.eps > 0.0 && optimizer.eps < 1.0,
            "optimizer.eps",
            format!("is {}; it must lie between 0 and 1", optimizer.eps),
        )?;
        let clip = optimizer.clip.unwrap_or(1.0);
        ensure(
            clip > 0.0 && clip.is_finite(),
            "optimizer.clip",
            format!("is {clip}; it must be above 0 (to train without clipping, remove this key)"),
        )
    }

    /// Checks the values of fine-tuning, and the number of epochs.
    fn check_finetuning(&self, path: &Path) -> Result<(), RecipeError> {
        let wrong = |key: &str, cause: String| Err(RecipeError::Value { path: path.into(), key: key.into(), cause });
        let (share, epochs) = (self.finetune.share, self.train.epochs.unwrap_or(1.0));
        if self.finetune.from_scratch && (self.finetune.model.is_some() || !self.model.init.is_random()) {
            let cause = "is true, but `finetune.model` (`--model`) or `model.init` names weights to start from; remove one of both";
            return wrong("finetune.from_scratch", cause.into());
        }
        if !(share > 0.0 && share <= 1.0) {
            return wrong("finetune.share", format!("is {share}; it must be above 0 and at most 1"));
        }
        self.check_missing(path)?;
        if !(epochs > 0.0 && epochs <= 1e6) {
            return wrong("train.epochs", format!("is {epochs}; it must be above 0 and at most 1000000"));
        }
        match &self.task {
            TaskRecipe::Multilabel(multilabel) if multilabel.labels.is_empty() => {
                wrong("task.labels", "is empty; name at least one label".into())
            }
            TaskRecipe::Multilabel(multilabel) => {
                let mut names = BTreeSet::new();
                match multilabel.labels.iter().find(|label| !names.insert(label.as_str())) {
                    Some(label) => wrong("task.labels", format!("names `{label}` twice; name each label once")),
                    None => Ok(()),
                }
            }
            TaskRecipe::Retrieval(retrieval) => {
                for (key, value, least) in [
                    ("task.negatives", retrieval.negatives, 1),
                    ("task.validation_pairs", retrieval.validation_pairs, 2),
                ] {
                    if !(least..=LARGEST_COUNT).contains(&value) {
                        let cause = format!("is {value}; it must be at least {least} and at most {LARGEST_COUNT}");
                        return wrong(key, cause);
                    }
                }
                Ok(())
            }
            TaskRecipe::Pretraining if !self.finetune.is_default() => wrong(
                "finetune",
                "is for fine-tuning, but this recipe has no `[task]`: name one, or use `ptunifier pretrain`".into(),
            ),
            TaskRecipe::Report(_) | TaskRecipe::Summary(_) => self.check_generation(path),
            _ => Ok(()),
        }
    }

    /// Checks the shares of records without an image or a text.
    fn check_missing(&self, path: &Path) -> Result<(), RecipeError> {
        let wrong =
            |cause: String| Err(RecipeError::Value { path: path.into(), key: "finetune.missing".into(), cause });
        let (missing, form) = (self.finetune.missing, self.task.view().form);
        if missing.is_none() {
            return Ok(());
        }
        if let Some(fault) = missing.fault() {
            return wrong(fault);
        }
        let is_supervised = !matches!(self.task, TaskRecipe::Pretraining | TaskRecipe::Retrieval(_));
        if !is_supervised || !form.may_lack_image() {
            let cause = "needs a task that reads the image and the text of a record (`task.input = \"available\"` or `\"pair\"`), or one \
                         that answers questions";
            return wrong(cause.into());
        }
        if missing.texts > 0.0 && !form.may_lack_texts() {
            return wrong("removes texts, but the question is always there; set only `images`".into());
        }
        Ok(())
    }

    /// Checks the values of a task that writes texts.
    fn check_generation(&self, path: &Path) -> Result<(), RecipeError> {
        let wrong = |key: &str, cause: String| Err(RecipeError::Value { path: path.into(), key: key.into(), cause });
        let view = self.task.view();
        let (target, form) = (view.target.unwrap_or_default().name(), view.form);
        if view.section == view.target {
            return wrong("task.source", format!("is `{target}`, which is also the section that is written"));
        }
        let allowed: &[InputForm] = match self.task {
            TaskRecipe::Report(_) => &[InputForm::Image, InputForm::Available, InputForm::Pair],
            _ => &[InputForm::Text, InputForm::Available, InputForm::Pair],
        };
        if !allowed.contains(&form) {
            let allowed: Vec<String> = allowed.iter().map(|form| format!("`{form}`")).collect();
            let cause = format!("is `{form}`; a {} is written from {}", self.task.name(), allowed.join(", "));
            return wrong("task.input", cause);
        }
        match self.task.generation().map(|generation| generation.check()) {
            Some(Err(ModelError::Config { key, rule })) => {
                wrong(&format!("task.{}", key.replacen("generate", "generation", 1)), rule)
            }
            _ => Ok(()),
        }
    }

    /// Refuses learning rates with which no weight would change.
    fn check_rates(&self, path: &Path) -> Result<(), RecipeError> {
        let ensure = |holds: bool, key: &str, cause: String| {
            if holds { Ok(()) } else { Err(RecipeError::Value { path: path.into(), key: key.into(), cause }) }
        };
        let (train, optimizer) = (&self.train, &self.optimizer);
        let ends: Vec<u64> = [0].into_iter().chain(train.extended_from.iter().copied()).chain([train.steps]).collect();
        let phases: Vec<[u64; 2]> = ends.windows(2).map(|ends| [ends[0], ends[1]]).collect();
        ensure(
            phases.iter().all(|[start, end]| start < end),
            "train.extended_from",
            format!(
                "is {:?}; its numbers must increase, and lie above 0 and below train.steps, {}",
                train.extended_from, train.steps
            ),
        )?;
        // The weights are f32. A rate that is 0 as an f32 changes no weight.
        ensure(
            optimizer.learning_rate as f32 > 0.0,
            "optimizer.learning_rate",
            format!("is {}; with this rate no weight would change: write a number above 0", optimizer.learning_rate),
        )?;
        ensure(
            phases.iter().all(|[start, end]| (*start..*end).take(3).any(|step| self.rate_factor(step) > 0.0)),
            "train.warmup",
            format!(
                "is {}; with it the learning rate would be 0 in every step: lower it, or raise train.steps",
                train.warmup
            ),
        )
    }

    /// Checks the objectives, their weights and the settings that depend on them.
    fn check_objectives(&self, path: &Path) -> Result<(), RecipeError> {
        let wrong = |key: &str, cause: String| Err(RecipeError::Value { path: path.into(), key: key.into(), cause });
        if self.objectives.is_empty() {
            return wrong("objectives", format!("is empty; name at least one of {}", ObjectiveKind::names()));
        }
        for (index, kind) in self.objectives.iter().enumerate() {
            if self.objectives[..index].contains(kind) {
                return wrong("objectives", format!("names {kind} twice"));
            }
        }
        for (kind, weight) in &self.weights {
            if !(*weight as f32 > 0.0 && weight.is_finite()) {
                return wrong(
                    &format!("weights.{kind}"),
                    format!("is {weight}; it must be above 0 (to train without {kind}, remove it from `objectives`)"),
                );
            }
        }
        for (key, share) in [("mlm.share", self.mlm.share), ("itm.share", self.itm.share)] {
            if !(share > 0.0 && share <= 1.0) {
                return wrong(
                    key,
                    format!("is {share}; it is the share of the pairs that are used, above 0 and at most 1"),
                );
            }
        }
        if self.itm.partners == PartnerChoice::Hard && !self.objectives.contains(&ObjectiveKind::Itc) {
            return wrong(
                "itm.partners",
                "is \"hard\", which needs the similarities of the objective itc; add itc to `objectives`".into(),
            );
        }
        Ok(())
    }
}
